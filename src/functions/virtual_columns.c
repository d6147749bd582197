/*-------------------------------------------------------------------------
 *
 * virtual_columns.c
 *	  Generated columns that are computed when they are read.
 *
 * They are not in the tuple that a trigger gets.  PostgreSQL lets their
 * expressions use nothing but its own immutable functions and types, so they
 * may be computed with anybody's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "base/guc.h"
#include "functions/virtual_columns.h"

void
braze_virtual_columns_plan(BrazeVirtualColumns *columns, Relation rel,
						   const BrazeColumn *wanted, int nwanted)
{
	for (int i = 0; i < nwanted; i++)
	{
		int			index = wanted[i].index;
		Node	   *expression = braze_virtual_column_expression(rel, index + 1);
		BrazeVirtualColumn *column;

		if (expression == NULL)
			continue;
		if (columns->columns == NULL)
			columns->columns = palloc(sizeof(BrazeVirtualColumn) * RelationGetDescr(rel)->natts);

		/* a column may be a field and a member */
		column = columns->columns;
		while (column < columns->columns + columns->ncolumns && column->index != index)
			column++;
		if (column < columns->columns + columns->ncolumns)
			continue;
		column->index = index;
		column->state = ExecInitExpr(expression_planner((Expr *) expression), NULL);
		columns->ncolumns++;
	}
}

typedef struct Computation
{
	const BrazeVirtualColumn *column;
	ExprContext *context;
	BrazeRow   *row;
} Computation;

static void
compute_column(void *arg)
{
	Computation *computation = arg;
	int			index = computation->column->index;

	computation->row->nulls[index] = true;
	computation->row->values[index] =
		ExecEvalExpr(computation->column->state, computation->context,
					 &computation->row->nulls[index]);
}

const char *
braze_virtual_columns_compute(const BrazeVirtualColumns *columns, HeapTuple tuple,
							  TupleDesc desc, BrazeRow *row)
{
	const char *problem = NULL;
	TupleTableSlot *slot;
	Computation computation;

	if (columns->ncolumns == 0)
		return NULL;

	/* of the current context, as are the values, which must outlive the slot */
	computation.context = CreateStandaloneExprContext();
	computation.row = row;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	ExecStoreHeapTuple(tuple, slot, false);
	computation.context->ecxt_scantuple = slot;
	for (int i = 0; i < columns->ncolumns; i++)
	{
		ErrorData  *error;

		computation.column = &columns->columns[i];
		/* an error is for the application, without a subtransaction */
		if (braze_on_invalid_call != BRAZE_INVALID_DEAD_LETTER)
		{
			compute_column(&computation);
			continue;
		}
		error = braze_call_builder_try(compute_column, &computation);
		if (error == NULL)
			continue;

		/*
		 * The call goes on without it, and is kept as a dead letter with the
		 * reason.
		 */
		row->nulls[columns->columns[i].index] = true;
		problem = psprintf("%s%sColumn \"%s\" cannot be computed: %s.",
						   problem ? problem : "", problem ? " " : "",
						   NameStr(TupleDescAttr(desc, columns->columns[i].index)->attname),
						   error->message);
	}
	ExecDropSingleTupleTableSlot(slot);
	return problem;
}
