/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Strings, times, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "number.h"
#include "value.h"

#define MS_PER_DAY			INT64CONST(86400000)

/* 1970-01-02: Braze takes what is earlier for a clock that was never set */
#define FIRST_TIME_MS		MS_PER_DAY
/* 0001-01-01T00:00:00.000Z */
#define EARLIEST_TIME_MS	INT64CONST(-62135596800000)
/* 9999-12-31T23:59:59.999Z */
#define LAST_TIME_MS		INT64CONST(253402300799999)

/* from here on a number counts milliseconds; as seconds it is the year 2286 */
#define FIRST_MS_EPOCH		INT64CONST(10000000000)

#define FIRST_BIRTH_YEAR	1900
#define LAST_BIRTH_YEAR		2100

/* as far as offsets go on earth, plus what PostgreSQL itself accepts */
#define MAX_OFFSET_HOURS	15

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

/* reads exactly count digits; moves p behind them */
static bool
read_digits(const char **p, const char *end, int count, int *result)
{
	int			value = 0;

	if (end - *p < count)
		return false;
	for (int i = 0; i < count; i++)
	{
		char		c = (*p)[i];

		if (!is_digit(c))
			return false;
		value = value * 10 + (c - '0');
	}
	*p += count;
	*result = value;
	return true;
}

static bool
read_char(const char **p, const char *end, char c)
{
	if (*p >= end || **p != c)
		return false;
	(*p)++;
	return true;
}

static bool
is_calendar_date(int year, int month, int day)
{
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
		day <= day_tab[isleap(year)][month - 1];
}

/* Z, +hh, +hhmm, +hh:mm or nothing; minutes east of Greenwich */
static bool
read_offset(const char **p, const char *end, int *minutes)
{
	int			hour;
	int			minute = 0;
	bool		west;

	*minutes = 0;
	if (*p == end)
		return true;
	if (**p == 'Z' || **p == 'z')
	{
		(*p)++;
		return *p == end;
	}
	if (**p != '+' && **p != '-')
		return false;
	west = **p == '-';
	(*p)++;
	if (!read_digits(p, end, 2, &hour))
		return false;
	if (*p < end)
	{
		read_char(p, end, ':');
		if (!read_digits(p, end, 2, &minute))
			return false;
	}
	if (*p != end || hour > MAX_OFFSET_HOURS || minute > 59)
		return false;
	*minutes = hour * 60 + minute;
	if (west)
		*minutes = -*minutes;
	return true;
}

bool
braze_time_parse(BrazeString string, BrazeTime *time)
{
	const char *p;
	const char *end;
	int			hour = 0;
	int			minute = 0;
	int			second = 0;
	int			ms = 0;
	int			offset = 0;

	string = braze_trim(string);
	p = string.data;
	end = p + string.length;

	if (!read_digits(&p, end, 4, &time->year) || !read_char(&p, end, '-') ||
		!read_digits(&p, end, 2, &time->month) || !read_char(&p, end, '-') ||
		!read_digits(&p, end, 2, &time->day) ||
		!is_calendar_date(time->year, time->month, time->day))
		return false;

	if (p < end)
	{
		if (*p != 'T' && *p != 't' && *p != ' ')
			return false;
		p++;
		if (!read_digits(&p, end, 2, &hour) || !read_char(&p, end, ':') ||
			!read_digits(&p, end, 2, &minute))
			return false;
		if (read_char(&p, end, ':'))
		{
			if (!read_digits(&p, end, 2, &second))
				return false;
			if (read_char(&p, end, '.'))
			{
				int			unit = 100;

				if (p >= end || !is_digit(*p))
					return false;
				for (; p < end && is_digit(*p); p++)
				{
					ms += (*p - '0') * unit;
					unit /= 10;
				}
			}
		}
		/* 60 is a leap second */
		if (hour > 23 || minute > 59 || second > 60)
			return false;
		if (!read_offset(&p, end, &offset))
			return false;
	}

	time->ms = (date2j(time->year, time->month, time->day) - UNIX_EPOCH_JDATE) * MS_PER_DAY +
		((hour * 60 + minute - offset) * INT64CONST(60) + second) * 1000 + ms;
	return true;
}

/* an epoch in seconds, or in milliseconds when it is that large */
static bool
epoch_ms(Numeric number, int64 *ms)
{
	BrazeDecimal decimal;
	int64		whole;

	braze_decimal_read(&decimal, number);
	if (!braze_decimal_int64(&decimal, 0, &whole))
		return false;
	if (whole >= FIRST_MS_EPOCH || whole <= -FIRST_MS_EPOCH)
	{
		*ms = whole;
		return true;
	}
	return braze_decimal_int64(&decimal, 3, ms);
}

bool
braze_time_in_range(int64 ms)
{
	return ms >= FIRST_TIME_MS && ms <= LAST_TIME_MS;
}

bool
braze_time(const JsonbValue *value, int64 *ms)
{
	if (value->type == jbvString)
	{
		BrazeString string = {value->val.string.val, value->val.string.len};
		BrazeTime	time;

		if (!braze_time_parse(string, &time))
			return false;
		*ms = time.ms;
	}
	else if (value->type != jbvNumeric || !epoch_ms(value->val.numeric, ms))
		return false;

	return braze_time_in_range(*ms);
}

static char *
print_digits(char *out, int value, int count)
{
	for (int i = count - 1; i >= 0; i--)
	{
		out[i] = '0' + value % 10;
		value /= 10;
	}
	return out + count;
}

static char *
print_date(char *out, int year, int month, int day)
{
	out = print_digits(out, year, 4);
	*out++ = '-';
	out = print_digits(out, month, 2);
	*out++ = '-';
	return print_digits(out, day, 2);
}

bool
braze_time_print(int64 ms, char *out)
{
	int64		days = ms / MS_PER_DAY;
	int			rest = ms % MS_PER_DAY;
	int			year;
	int			month;
	int			day;

	if (ms < EARLIEST_TIME_MS || ms > LAST_TIME_MS)
		return false;
	if (rest < 0)
	{
		rest += MS_PER_DAY;
		days--;
	}
	j2date(days + UNIX_EPOCH_JDATE, &year, &month, &day);
	out = print_date(out, year, month, day);
	*out++ = 'T';
	out = print_digits(out, rest / 3600000, 2);
	*out++ = ':';
	out = print_digits(out, rest / 60000 % 60, 2);
	*out++ = ':';
	out = print_digits(out, rest / 1000 % 60, 2);
	*out++ = '.';
	out = print_digits(out, rest % 1000, 3);
	*out = 'Z';
	return true;
}

bool
braze_date(const JsonbValue *value, char *out)
{
	int			year;
	int			month;
	int			day;

	if (value->type == jbvString)
	{
		BrazeString string = {value->val.string.val, value->val.string.len};
		BrazeTime	time;
		Numeric		number;

		string = braze_trim(string);
		if (braze_time_parse(string, &time))
		{
			year = time.year;
			month = time.month;
			day = time.day;
		}
		else
		{
			JsonbValue	digits = *value;

			/* digits only, a sign before them for what is before 1970 */
			for (int i = 0; i < string.length; i++)
			{
				if (!is_digit(string.data[i]) && !(i == 0 && string.data[i] == '-'))
					return false;
			}
			number = braze_number(&digits);
			if (number == NULL)
				return false;
			digits.type = jbvNumeric;
			digits.val.numeric = number;
			return braze_date(&digits, out);
		}
	}
	else if (value->type == jbvNumeric)
	{
		int64		ms;
		int64		days;

		if (!epoch_ms(value->val.numeric, &ms) ||
			ms > LAST_TIME_MS || ms < -LAST_TIME_MS)
			return false;
		days = ms / MS_PER_DAY;
		if (ms % MS_PER_DAY < 0)
			days--;
		if (days + UNIX_EPOCH_JDATE < 0)
			return false;
		j2date(days + UNIX_EPOCH_JDATE, &year, &month, &day);
	}
	else
		return false;

	if (year < FIRST_BIRTH_YEAR || year > LAST_BIRTH_YEAR)
		return false;
	print_date(out, year, month, day);
	return true;
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
