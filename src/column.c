/*-------------------------------------------------------------------------
 *
 * column.c
 *	  A column of a row, on its way into a call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "column.h"
#include "compat.h"
#include "enqueue.h"

BrazeRow
braze_row_deform(HeapTuple tuple, TupleDesc desc)
{
	BrazeRow	row;

	row.values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	row.nulls = palloc(sizeof(bool) * Max(desc->natts, 1));
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	return row;
}

const char *
braze_next_column(void *state)
{
	BrazeColumnNames *names = state;

	while (names->i < names->desc->natts)
	{
		Form_pg_attribute attribute = TupleDescAttr(names->desc, names->i++);

		if (!attribute->attisdropped)
			return NameStr(attribute->attname);
	}
	return NULL;
}

void
braze_column_set(BrazeColumn *column, TupleDesc desc, int index, const char *key)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, index);

	column->key = key;
	column->index = index;
	column->base_type = getBaseType(attribute->atttypid);
	column->varlena = attribute->attlen == -1;
	column->to_jsonb = NULL;
	switch (column->base_type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case JSONBOID:
			break;
		default:
			{
				Node	   *call;

				/* to_jsonb asks the call's expression for the type of its argument */
				call = (Node *) makeFuncExpr(F_TO_JSONB, JSONBOID,
											 list_make1(makeNullConst(attribute->atttypid,
																	  -1, InvalidOid)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
				column->to_jsonb = palloc0(sizeof(FmgrInfo));
				fmgr_info(F_TO_JSONB, column->to_jsonb);
				fmgr_info_set_expr(call, column->to_jsonb);
			}
	}
}

void
braze_column_push(BrazeJsonbState *state, const BrazeColumn *column, Datum datum)
{
	JsonbValue	value;

	switch (column->base_type)
	{
		case BOOLOID:
			value.type = jbvBool;
			value.val.boolean = DatumGetBool(datum);
			break;
		case INT2OID:
			value.type = jbvNumeric;
			value.val.numeric =
				DatumGetNumeric(DirectFunctionCall1(int2_numeric, datum));
			break;
		case INT4OID:
			value.type = jbvNumeric;
			value.val.numeric =
				DatumGetNumeric(DirectFunctionCall1(int4_numeric, datum));
			break;
		case INT8OID:
			value.type = jbvNumeric;
			value.val.numeric =
				DatumGetNumeric(DirectFunctionCall1(int8_numeric, datum));
			break;
		case NUMERICOID:
			value.type = jbvNumeric;
			value.val.numeric = DatumGetNumeric(datum);
			if (numeric_is_nan(value.val.numeric) || numeric_is_inf(value.val.numeric))
			{
				/* JSON has no such numbers */
				value.type = jbvString;
				value.val.string.val = DatumGetCString(DirectFunctionCall1(numeric_out, datum));
				value.val.string.len = strlen(value.val.string.val);
			}
			break;
		case TEXTOID:
		case VARCHAROID:
			{
				text	   *string = DatumGetTextPP(datum);

				value.type = jbvString;
				value.val.string.val = VARDATA_ANY(string);
				value.val.string.len = VARSIZE_ANY_EXHDR(string);
				break;
			}
		case JSONBOID:
			braze_push_jsonb(state, DatumGetJsonbP(datum));
			return;
		default:
			braze_push_jsonb(state, DatumGetJsonbP(FunctionCall1(column->to_jsonb, datum)));
			return;
	}
	braze_jsonb_add(state, WJB_VALUE, &value);
}
