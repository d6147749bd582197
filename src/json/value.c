/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Strings, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "braze/currency.h"
#include "braze/email.h"
#include "json/number.h"
#include "json/value.h"

#define MAX_DIGITS			1000

/* bytes: more than any address has that Braze takes */
#define MAX_EMAIL		1024

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
braze_longer_than(BrazeString string, int characters)
{
	if (string.length <= characters)
		return false;
	return pg_mbstrlen_with_len(string.data, string.length) > characters;
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
		if (!decimal.finite || braze_number_print_size(&decimal) > MAX_DIGITS)
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

static bool
is_ascii(BrazeString string)
{
	for (int i = 0; i < string.length; i++)
	{
		if (IS_HIGHBIT_SET(string.data[i]))
			return false;
	}
	return true;
}

/* in UTF-8, in palloc'd memory where it differs; false: it cannot be converted */
static bool
to_utf8(BrazeString *string)
{
	Oid			conversion;
	int			size;
	unsigned char *converted;

	if (GetDatabaseEncoding() == PG_UTF8 || is_ascii(*string))
		return true;
	conversion = FindDefaultConversionProc(GetDatabaseEncoding(), PG_UTF8);
	if (!OidIsValid(conversion))
		return false;
	size = string->length * MAX_CONVERSION_GROWTH + 1;
	converted = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, GetDatabaseEncoding(), PG_UTF8,
									  (unsigned char *) unconstify(char *, string->data),
									  string->length, converted, size, true) != string->length)
		return false;
	string->data = (char *) converted;
	string->length = strlen(string->data);
	return true;
}

bool
braze_is_email(BrazeString string)
{
	return string.length <= MAX_EMAIL && to_utf8(&string) &&
		braze_email_is_valid(string.data, string.length);
}

bool
braze_is_e164(BrazeString string)
{
	if (string.length < 3 || string.length > 16 || string.data[0] != '+' ||
		string.data[1] == '0')
		return false;
	for (int i = 1; i < string.length; i++)
	{
		if (!is_digit(string.data[i]))
			return false;
	}
	return true;
}

bool
braze_is_uuid(BrazeString string)
{
	if (string.length != 36)
		return false;
	for (int i = 0; i < string.length; i++)
	{
		char		c = string.data[i];

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
		}
		else if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
			return false;
	}
	return true;
}

const char *
braze_currency(const JsonbValue *value)
{
	BrazeString text;

	if (value->type != jbvString || !braze_solid_text(value, &text))
		return NULL;
	return braze_currency_code(text.data, text.length);
}
