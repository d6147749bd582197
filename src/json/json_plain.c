/*-------------------------------------------------------------------------
 *
 * json_plain.c
 *	  The beginning of a jsonb's text, however long all of it would be.
 *
 * A number of eight bytes may have 131,072 digits as text, so a document that
 * is kept for people to read is not written to its end first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "json/json_plain.h"

static void
append_scalar(StringInfo text, const JsonbValue *value)
{
	char	   *copy;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(text, "null");
			break;
		case jbvBool:
			appendStringInfoString(text, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			copy = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			appendStringInfoString(text, copy);
			pfree(copy);
			break;
		default:
			copy = pnstrdup(value->val.string.val, value->val.string.len);
			escape_json(text, copy);
			pfree(copy);
	}
}

char	   *
braze_json_plain_text(Jsonb *jsonb, Size limit)
{
	JsonbIterator *it = JsonbIteratorInit(&jsonb->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	StringInfoData text;
	bool		comma = false;

	initStringInfo(&text);
	while (text.len <= limit && (token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		bool		ends = (token == WJB_END_ARRAY || token == WJB_END_OBJECT);

		if (comma && !ends)
			appendStringInfoChar(&text, ',');
		comma = (ends || token == WJB_ELEM || token == WJB_VALUE);
		switch (token)
		{
			case WJB_BEGIN_OBJECT:
				appendStringInfoChar(&text, '{');
				break;
			case WJB_END_OBJECT:
				appendStringInfoChar(&text, '}');
				break;
			case WJB_BEGIN_ARRAY:
				/* a scalar stands in an array of its own */
				if (!value.val.array.rawScalar)
					appendStringInfoChar(&text, '[');
				break;
			case WJB_END_ARRAY:
				if (!JB_ROOT_IS_SCALAR(jsonb))
					appendStringInfoChar(&text, ']');
				break;
			default:
				append_scalar(&text, &value);
				if (token == WJB_KEY)
					appendStringInfoChar(&text, ':');
		}
	}
	return text.data;
}
