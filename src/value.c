/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Strings, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "number.h"
#include "value.h"

#define MAX_DIGITS			1000

#define EMAIL_MAX_LOCAL		64

/* in the order of strcmp */
static const char currencies[][4] = {
	"AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM",
	"BBD", "BDT", "BGN", "BHD", "BIF", "BMD", "BND", "BOB", "BRL", "BSD", "BTC",
	"BTN", "BWP", "BYR", "BZD", "CAD", "CDF", "CHF", "CLF", "CLP", "CNY", "COP",
	"CRC", "CUC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EEK", "EGP",
	"ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GGP", "GHS", "GIP", "GMD",
	"GNF", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG", "HUF", "IDR", "ILS", "IMP",
	"INR", "IQD", "IRR", "ISK", "JEP", "JMD", "JOD", "JPY", "KES", "KGS", "KHR",
	"KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL",
	"LTL", "LVL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRO",
	"MTL", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK",
	"NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR",
	"RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP",
	"SLL", "SOS", "SRD", "STD", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND",
	"TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VEF",
	"VND", "VUV", "WST", "XAF", "XAG", "XAU", "XCD", "XDR", "XOF", "XPD", "XPF",
	"XPT", "YER", "ZAR", "ZMK", "ZMW", "ZWL",
};

static inline bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

BrazeString
braze_trim(BrazeString string)
{
	while (string.length > 0 && is_space(string.data[0]))
	{
		string.data++;
		string.length--;
	}
	while (string.length > 0 && is_space(string.data[string.length - 1]))
		string.length--;
	return string;
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

		braze_decimal_read(&decimal, value->val.numeric);
		if (!decimal.finite || braze_decimal_print_size(&decimal) > MAX_DIGITS)
			return false;
		digits = palloc(braze_decimal_print_size(&decimal));
		text->length = braze_decimal_print(&decimal, digits);
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

/* dots neither at an end nor side by side; returns how many, or -1 */
static int
count_dots(const char *data, int length)
{
	int			dots = 0;

	if (length == 0 || data[0] == '.' || data[length - 1] == '.')
		return -1;
	for (int i = 0; i < length; i++)
	{
		if (data[i] != '.')
			continue;
		if (data[i + 1] == '.')
			return -1;
		dots++;
	}
	return dots;
}

/* white space or a control character, those of Unicode too, at p? */
static bool
is_blank_or_control(const unsigned char *p, const unsigned char *end)
{
	if (*p <= 0x20 || *p == 0x7F)
		return true;
	if (*p < 0x80 || GetDatabaseEncoding() != PG_UTF8)
		return false;
	if (p[0] == 0xC2)
		return end - p >= 2 && p[1] <= 0xA0;
	if (end - p < 3)
		return false;
	/* U+1680, U+2000 to U+200F, U+2028 to U+202F, U+205F, U+3000 */
	return (p[0] == 0xE1 && p[1] == 0x9A && p[2] == 0x80) ||
		(p[0] == 0xE2 && p[1] == 0x80 && (p[2] <= 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAF))) ||
		(p[0] == 0xE2 && p[1] == 0x81 && p[2] == 0x9F) ||
		(p[0] == 0xE3 && p[1] == 0x80 && p[2] == 0x80);
}

bool
braze_is_email(BrazeString string)
{
	const char *at = memchr(string.data, '@', string.length);
	const unsigned char *end = (const unsigned char *) string.data + string.length;
	int			local;

	if (at == NULL)
		return false;
	local = at - string.data;
	if (local < 1 || local > EMAIL_MAX_LOCAL ||
		memchr(at + 1, '@', string.length - local - 1) != NULL)
		return false;
	for (const unsigned char *p = (const unsigned char *) string.data; p < end; p++)
	{
		if (is_blank_or_control(p, end))
			return false;
	}
	return count_dots(string.data, local) >= 0 &&
		count_dots(at + 1, string.length - local - 1) >= 1;
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
	char		code[4];
	int			low = 0;
	int			high = lengthof(currencies) - 1;

	if (value->type != jbvString || !braze_solid_text(value, &text) || text.length != 3)
		return NULL;
	for (int i = 0; i < 3; i++)
		code[i] = pg_ascii_toupper((unsigned char) text.data[i]);
	code[3] = '\0';

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = strcmp(code, currencies[middle]);

		if (order == 0)
			return currencies[middle];
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}
