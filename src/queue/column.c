/*-------------------------------------------------------------------------
 *
 * column.c
 *	  A column of a row, on its way into a call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "queue/column.h"

BrazeRow
braze_column_deform_row(HeapTuple tuple, TupleDesc desc)
{
	BrazeRow	row;

	row.values = palloc(sizeof(Datum) * Max(desc->natts, 1));
	row.nulls = palloc(sizeof(bool) * Max(desc->natts, 1));
	heap_deform_tuple(tuple, desc, row.values, row.nulls);
	return row;
}

const char *
braze_column_next(void *state)
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

static void
find_function(FmgrInfo *function, Oid oid, Oid result, Oid type)
{
	/* it asks the call's expression for the type of its argument */
	Node	   *call = (Node *) makeFuncExpr(oid, result,
											 list_make1(makeNullConst(type, -1, InvalidOid)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

	fmgr_info(oid, function);
	fmgr_info_set_expr(call, function);
}

/* a type of fixed length that PostgreSQL has writes any of its values */
static bool
may_fail(Form_pg_attribute attribute)
{
	return attribute->attlen < 0 || attribute->atttypid >= FirstGenbkiObjectId;
}

void
braze_column_set(BrazeColumn *column, TupleDesc desc, int index, const char *key)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, index);

	column->key = key;
	column->index = index;
	column->base_type = getBaseType(attribute->atttypid);
	column->type = attribute->atttypid;
	column->varlena = attribute->attlen == -1;
	column->may_fail = false;
	column->to_jsonb = NULL;

	/*
	 * The usual types are built directly: to_jsonb looks the type up for each
	 * value.
	 */
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
			column->may_fail = may_fail(attribute);
			column->to_jsonb = palloc0(sizeof(FmgrInfo));
			find_function(column->to_jsonb, F_TO_JSONB, JSONBOID, column->type);
	}
}

Size
braze_column_size(const BrazeColumn *column, Datum datum)
{
	return column->varlena ? toast_raw_datum_size(datum) : 0;
}

bool
braze_column_may_fail(const BrazeColumn *column, Datum datum)
{
	return column->may_fail ||
		(column->base_type == JSONBOID && braze_call_builder_may_be_deep(toast_raw_datum_size(datum)));
}

/*
 * json is copied as it is, whatever numbers and characters are in it.  What a
 * user's type has for to_json may be why we are here.
 */
static void
append_json(StringInfo out, const BrazeColumn *column, Datum datum)
{
	FmgrInfo	to_json;
	text	   *json;

	if (column->base_type >= FirstNormalObjectId && !type_is_rowtype(column->base_type) &&
		!OidIsValid(get_element_type(column->base_type)))
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(column->base_type, &function, &is_varlena);
		escape_json(out, OidOutputFunctionCall(function, datum));
		return;
	}
	find_function(&to_json, F_TO_JSON, JSONOID, column->type);
	json = DatumGetTextPP(FunctionCall1(&to_json, datum));
	appendBinaryStringInfo(out, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
}

void
braze_column_add(BrazeCallBuilder *call, const BrazeColumn *column, Datum datum)
{
	JsonbValue	value;

	if (call->text != NULL)
	{
		append_json(call->text, column, datum);
		return;
	}
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
			/* jsonb shares the digits: nothing is rounded on the way */
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
			braze_call_builder_add_document(call, DatumGetJsonbP(datum));
			return;
		default:
			braze_call_builder_add_document(call, DatumGetJsonbP(FunctionCall1(column->to_jsonb, datum)));
			return;
	}
	braze_call_builder_add_value(call, &value);
}
