/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Strings, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "json/number.h"
#include "json/value.h"

int
braze_value_characters(BrazeString string)
{
	return pg_mbstrlen_with_len(string.data, string.length);
}

bool
braze_scalar_text(const JsonbValue *value, BrazeString *text)
{
	if (value->type == jbvString)
	{
		text->data = value->val.string.val;
		text->length = value->val.string.len;
		return true;
	}
	if (value->type == jbvNumeric)
	{
		BrazeDecimal decimal;
		char	   *digits;

		braze_number_read(&decimal, value->val.numeric);
		/* 12345.00, as a column of numeric(12,2) has it, is the id 12345 */
		if (decimal.finite && braze_number_is_whole(&decimal))
			decimal.scale = 0;
		if (!decimal.finite || braze_number_print_size(&decimal) > BRAZE_MAX_DIGITS)
			return false;
		digits = palloc(braze_number_print_size(&decimal));
		text->length = braze_number_print(&decimal, digits);
		text->data = digits;
		return true;
	}
	return false;
}

bool
braze_solid_text(const JsonbValue *value, BrazeString *text)
{
	if (!braze_scalar_text(value, text))
		return false;
	*text = braze_trim(*text);
	return text->length > 0;
}

bool
braze_is_json_text(const JsonbValue *value)
{
	BrazeString text;
	char		last;

	if (value->type != jbvString || !braze_solid_text(value, &text))
		return false;
	last = text.data[text.length - 1];
	return (text.data[0] == '[' && last == ']') || (text.data[0] == '{' && last == '}');
}

bool
braze_flag(const JsonbValue *value, bool *flag)
{
	if (value->type == jbvBool)
	{
		*flag = value->val.boolean;
		return true;
	}
	if (value->type == jbvString)
	{
		BrazeString text = {value->val.string.val, value->val.string.len};

		*flag = braze_string_is(text, "true");
		return *flag || braze_string_is(text, "false");
	}
	return false;
}
