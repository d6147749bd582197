/*-------------------------------------------------------------------------
 *
 * user_id.c
 *	  A user's id, which may be of several types.
 *
 * As an argument it is declared as anycompatible: a literal, an untyped
 * parameter and a null without a type become text, and any other value keeps
 * its type.  One function per type would make braze_track('u1', 'x') ambiguous.
 *
 * Only types are allowed whose text can be nothing but the id.  A type that is
 * written in a way that settings decide (dates, floats), or that text of JSON
 * has quotes around, would silently make another user of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "base/guc.h"
#include "json/value.h"
#include "queue/user_id.h"

/* ----- the type ----- */

/* what to do in place of passing a value of this type */
static const char *
remedy_of(Oid type)
{
	switch (type)
	{
		case JSONOID:
			return "Use ->> in place of ->, or cast the value to jsonb: the text of a json string has quotes around it.";
		case FLOAT4OID:
		case FLOAT8OID:
			return "Cast it to bigint or numeric: the text of a large floating-point number is not its digits.";
		default:
			return "Pass a string, an integer, a numeric, a uuid, an enum, or a jsonb string or number; "
				"or cast the value to text, if its text is the user's id at Braze.";
	}
}

/* false: the type is not allowed */
static bool
find_form(Oid type, BrazeUserIdForm *form)
{
	char		category;
	bool		preferred;

	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			*form = BRAZE_USER_ID_TEXT;
			return true;
		case BPCHAROID:
			*form = BRAZE_USER_ID_PADDED;
			return true;
		case NUMERICOID:
			*form = BRAZE_USER_ID_NUMERIC;
			return true;
		case JSONBOID:
			*form = BRAZE_USER_ID_JSONB;
			return true;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case CHAROID:			/* a string for 14 only */
			*form = BRAZE_USER_ID_OUTPUT;
			return true;
	}
	*form = BRAZE_USER_ID_OUTPUT;
	if (type_is_enum(type))
		return true;
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

BrazeUserIdType
braze_user_id_type_of(Oid given)
{
	BrazeUserIdType type;

	type.type = getBaseType(given);
	if (!find_form(type.type, &type.form))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("user_id cannot be of type %s", format_type_be(given)),
				 errhint("%s", remedy_of(type.type))));
	type.varlena = get_typlen(type.type) == -1;

	/*
	 * An enum's text is its label, whoever made it; the output function of
	 * another type may do anything.
	 */
	type.user_defined = type.form == BRAZE_USER_ID_OUTPUT && type.type >= FirstNormalObjectId &&
		!type_is_enum(type.type);
	return type;
}

BrazeUserIdType
braze_user_id_type(FunctionCallInfo fcinfo, int argument)
{
	Oid			given = get_fn_expr_argtype(fcinfo->flinfo, argument);

	if (!OidIsValid(given))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of user_id"),
				 errhint("Call the function in a query, such as SELECT braze_identify('u1').")));
	return braze_user_id_type_of(given);
}

/* ----- its values ----- */

Size
braze_user_id_size(const BrazeUserIdType *type, Datum value)
{
	return type->varlena ? toast_raw_datum_size(value) : 0;
}

bool
braze_user_id_may_fail(const BrazeUserIdType *type, Datum value)
{
	return type->user_defined ||
		(type->form == BRAZE_USER_ID_JSONB && braze_call_builder_may_be_deep(toast_raw_datum_size(value)));
}

/*
 * NaN and the infinities are not the id of a user.  Where invalid calls are
 * kept, the mapping says so of a list, which shows what it was.
 */
static void
add_not_finite(BrazeCallBuilder *call, const char *key, const char *text)
{
	Datum		list;

	if (braze_on_invalid_call != BRAZE_INVALID_DEAD_LETTER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_id cannot be the numeric %s", text)));
	list = DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("[\"%s\"]", text)));
	braze_call_builder_add_jsonb(call, key, DatumGetJsonbP(list));
}

static bool
numeric_text(Numeric numeric, BrazeString *text)
{
	JsonbValue	value = {.type = jbvNumeric,.val.numeric = numeric};

	if (numeric_is_nan(numeric) || numeric_is_inf(numeric))
		return false;

	/* where a value has no such text, the mapping says that it is not an id */
	if (!braze_scalar_text(&value, text))
		*text = braze_string(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(numeric))));
	return true;
}

static bool
jsonb_text(Jsonb *jsonb, BrazeString *text)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &value))
		return false;
	if (value.type == jbvNumeric)
		return numeric_text(value.val.numeric, text);
	if (value.type != jbvString)
		return false;
	text->data = value.val.string.val;
	text->length = value.val.string.len;
	return true;
}

bool
braze_user_id_is_null(const BrazeUserIdType *type, Datum value)
{
	Jsonb	   *jsonb;
	JsonbValue	scalar;

	if (type->form != BRAZE_USER_ID_JSONB)
		return false;
	jsonb = DatumGetJsonbP(value);
	return JB_ROOT_IS_SCALAR(jsonb) && JsonbExtractScalar(&jsonb->root, &scalar) &&
		scalar.type == jbvNull;
}

bool
braze_user_id_text(const BrazeUserIdType *type, Datum value, BrazeString *id)
{
	Oid			function;
	bool		is_varlena;

	switch (type->form)
	{
		case BRAZE_USER_ID_TEXT:
			{
				text	   *string = DatumGetTextPP(value);

				id->data = VARDATA_ANY(string);
				id->length = VARSIZE_ANY_EXHDR(string);
				return true;
			}
		case BRAZE_USER_ID_PADDED:
			{
				BpChar	   *string = DatumGetBpCharPP(value);

				id->data = VARDATA_ANY(string);
				id->length = bpchartruelen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
				return true;
			}
		case BRAZE_USER_ID_NUMERIC:
			return numeric_text(DatumGetNumeric(value), id);
		case BRAZE_USER_ID_JSONB:
			return jsonb_text(DatumGetJsonbP(value), id);
		case BRAZE_USER_ID_OUTPUT:
			getTypeOutputInfo(type->type, &function, &is_varlena);
			*id = braze_string(OidOutputFunctionCall(function, value));
			return true;
	}
	return false;
}

/* where invalid calls are kept, the mapping says why it is not an id */
static void
add_document(BrazeCallBuilder *call, const char *key, Jsonb *jsonb)
{
	if (braze_on_invalid_call != BRAZE_INVALID_DEAD_LETTER)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_id cannot be a jsonb %s",
						JB_ROOT_IS_SCALAR(jsonb) ? "boolean" :
						JB_ROOT_IS_ARRAY(jsonb) ? "array" : "object"),
				 errhint("Pass a jsonb string or number; -> and ->> take one out of an object.")));
	braze_call_builder_add_jsonb(call, key, jsonb);
}

void
braze_user_id_add(BrazeCallBuilder *call, const char *key, const BrazeUserIdType *type, Datum value)
{
	BrazeString id;

	if (braze_user_id_text(type, value, &id))
		braze_call_builder_add_text(call, key, id.data, id.length);
	else if (type->form == BRAZE_USER_ID_NUMERIC)
		add_not_finite(call, key, DatumGetCString(DirectFunctionCall1(numeric_out, value)));
	else if (!braze_user_id_is_null(type, value))
		add_document(call, key, DatumGetJsonbP(value));
}

BrazeString
braze_user_id_to_key(BrazeString id)
{
	if (id.length > 0 && (id.data[0] == '{' || id.data[0] == '\\'))
		return braze_string(psprintf("\\%.*s", id.length, id.data));
	return id;
}

const char *
braze_user_id_of_key(const char *key)
{
	return key[0] == '\\' ? key + 1 : key;
}
