/*-------------------------------------------------------------------------
 *
 * trigger_condition.c
 *	  The WHEN condition of a trigger, asked of a row that is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"

#include "functions/trigger_condition.h"

struct BrazeTriggerCondition
{
	EState	   *estate;			/* NULL: each row meets it */
	ExprState  *state;
	TupleTableSlot *slot;
};

/* its variables are columns of OLD and of NEW */
static bool
needs_more_than_new(Node *node, void *context)
{
	const Trigger *trigger = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		if (((Var *) node)->varno == PRS2_OLD_VARNO)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the WHEN condition of trigger \"%s\" looks at OLD", trigger->tgname),
					 errdetail("A backfill queues existing rows, of which no earlier version is known."),
					 errhint("Create two triggers with the same arguments, and name the one without OLD.")));
		if (((Var *) node)->varattno < 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the WHEN condition of trigger \"%s\" looks at a system column", trigger->tgname),
					 errdetail("The system columns of an existing row differ from those that the row had when it was written.")));
	}
	return expression_tree_walker(node, needs_more_than_new, context);
}

BrazeTriggerCondition *
braze_trigger_condition_begin(const Trigger *trigger, Relation rel)
{
	BrazeTriggerCondition *condition = palloc0(sizeof(BrazeTriggerCondition));
	MemoryContext old;
	Node	   *node;

	if (trigger->tgqual == NULL)
		return condition;
	condition->estate = CreateExecutorState();
	old = MemoryContextSwitchTo(condition->estate->es_query_cxt);
	node = stringToNode(trigger->tgqual);
	(void) needs_more_than_new(node, unconstify(Trigger *, trigger));

	/* as the executor has the new row of a trigger */
	ChangeVarNodes(node, PRS2_NEW_VARNO, OUTER_VAR, 0);
	condition->state = ExecPrepareQual(make_ands_implicit((Expr *) node), condition->estate);
	condition->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	MemoryContextSwitchTo(old);
	return condition;
}

bool
braze_trigger_condition_holds(BrazeTriggerCondition *condition, HeapTuple tuple)
{
	ExprContext *context;

	if (condition->estate == NULL)
		return true;
	context = GetPerTupleExprContext(condition->estate);
	ExecForceStoreHeapTuple(tuple, condition->slot, false);
	context->ecxt_outertuple = condition->slot;
	return ExecQualAndReset(condition->state, context);
}

void
braze_trigger_condition_end(BrazeTriggerCondition *condition)
{
	if (condition->estate == NULL)
		return;
	ExecDropSingleTupleTableSlot(condition->slot);
	FreeExecutorState(condition->estate);
}
