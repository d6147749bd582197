/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Random JSON: scalars that hurt, and containers of them.
 *
 * All of it is JSON that jsonb takes: what it refuses (\u0000, lone
 * surrogates, numbers beyond numeric) never reaches the mapping.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* numeric takes this many digits before the point, and 16,383 after it */
#define MAX_DIGITS	131000

static uint64_t state;

static char *buffer;
static size_t length;
static size_t size;

/* splitmix64 */
static uint64_t
next_random(void)
{
	uint64_t	z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* seeds beside each other must not give one stream that is shifted */
void
fuzz_seed(uint64_t seed)
{
	state = seed;
	state = next_random();
}

unsigned
fuzz_below(unsigned n)
{
	return (unsigned) ((next_random() >> 32) * n >> 32);
}

bool
fuzz_percent(unsigned percent)
{
	return fuzz_below(100) < percent;
}

void
fuzz_reset(void)
{
	length = 0;
	fuzz_put("%s", "");
}

const char *
fuzz_text(void)
{
	return buffer;
}

static void
reserve(size_t more)
{
	if (length + more + 1 <= size)
		return;
	size = (length + more + 1) * 2;
	buffer = realloc(buffer, size);
	if (buffer == NULL)
		abort();
}

static void
put_bytes(const char *data, size_t count)
{
	reserve(count);
	memcpy(buffer + length, data, count);
	length += count;
	buffer[length] = '\0';
}

void
fuzz_put(const char *format,...)
{
	va_list		args;
	int			needed;

	va_start(args, format);
	needed = vsnprintf(NULL, 0, format, args);
	va_end(args);
	reserve(needed);
	va_start(args, format);
	vsnprintf(buffer + length, needed + 1, format, args);
	va_end(args);
	length += needed;
}

void
fuzz_put_string(const char *text)
{
	put_bytes("\"", 1);
	for (; *text; text++)
	{
		if (*text == '"' || *text == '\\')
			put_bytes("\\", 1);
		if ((unsigned char) *text < 0x20)
			fuzz_put("\\u%04x", *text);
		else
			put_bytes(text, 1);
	}
	put_bytes("\"", 1);
}

static void
put_repeated(const char *text, int times)
{
	size_t		one = strlen(text);

	for (int i = 0; i < times; i++)
		put_bytes(text, one);
}

/* around the limits that Braze and the mapping have */
static int
any_length(void)
{
	static const int lengths[] = {
		1, 2, 7, 8, 59, 60, 61, 63, 64, 65, 127, 235, 236, 237, 254, 255, 256, 257,
		511, 512, 986, 987, 988, 1023, 1024, 1025, 4096
	};
	static const int large[] = {51199, 51200, 51201, 102399, 102400, 102401, 300000};

	return fuzz_below(400) == 0 ? FUZZ_PICK(large) : FUZZ_PICK(lengths);
}

void
fuzz_put_any_string(void)
{
	/* as JSON writes them, without the quotes */
	static const char *const strings[] = {
		"", " ", "\\t", "a", "A b", "u1", "true", "false", "TRUE", "null", "undefined", "None", "NaN",
		"[object Object]", "00000000-0000-0000-0000-000000000000", "0", "1", "-1", "12.50", " 7 ",
		"1e3", "1e400", "-0", "007", ".5", "+5", "1,299.50", "$5", "0x10", "Infinity", "9007199254740993",
		"USD", "usd", " eur ", "XXX", "EURO", "ada@example.com", " Ada@Example.COM ", "ada@@example.com",
		"a@b", ".a@b.com", "a..b@c.org", "+14155552671", "555",
		"1991-09-26", "1991-09-26T23:30:00-05:00", "1991-02-30", "1899-12-31", "2101-01-01", "0000-00-00",
		"2024-05-06T07:08:09Z", "2024-05-06 07:08:09.123456789+02", "2024-05-06T24:00:00Z",
		"2024-05-06T07:08:60Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "10000-01-01", "infinity",
		"-infinity", "1715000000", "1715000000000", "99999999999999999999",
		"m", "Male", "w", "not applicable", "diverse", "en", "en-US", "de_DE", "EN-", "-", "Europe/London", "GB", "gbr",
		"opted_in", "subscribed", "unsubscribed", "Opted_In", "https://example.com/a.png?b=c&d", "not a url",
		"f47ac10b-58cc-4372-a567-0e02b2c3d479", "F47AC10B-58CC-4372-A567-0E02B2C3D479",
		"add", "remove", "replace", "$add", "$", "$time", "a.b", "a b", "\\u00e9", "\\ud83d\\ude00",
		"\\u2028\\u2029", "\\uffff", "\\ufeff", "\\u0001\\u001f\\u007f", "\\\"\\\\\\/\\b\\f\\n\\r", "\xf0\x9f\x98\x80", "\xc3\xa9",
		"e\xcc\x81", "\xe2\x80\xae" "abc", "\xf4\x8f\xbf\xbd", "\xc2\xa0", "\xe3\x80\x80 x", "ab_segment_group_x", "external_id", "time",
	};
	static const char *const pieces[] = {
		"x", " ", "0", "\xc3\xa9", "\xf0\x9f\x98\x80", "\\u0001", "\\\"", "\\ud83d\\ude00", "a.b@c.de", "-", "$"
	};

	fuzz_put("\"");
	if (fuzz_percent(90))
		fuzz_put("%s", FUZZ_PICK(strings));
	else
	{
		if (fuzz_percent(50))
			fuzz_put("%s", FUZZ_PICK(strings));
		put_repeated(FUZZ_PICK(pieces), any_length());
	}
	fuzz_put("\"");
}

void
fuzz_put_number(void)
{
	static const char *const numbers[] = {
		"0", "-0", "0.0", "0.00", "1", "-1", "2", "2.0", "2.50", "0.5", "-0.01", "19.990", "99", "100", "101",
		"7499", "7500", "7501", "7500.5", "1e3", "1E+2", "1.5e1", "1e-3", "255", "2147483647", "2147483648",
		"-2147483649", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808",
		"-9223372036854775809", "1e19", "1e300", "1.7976931348623157e308", "1.8e308", "-1.8e308", "1e309",
		"4.9e-324", "1e-400", "1e-5000", "0.1e-16000", "180", "180.0000001", "-180", "90", "-90.5", "51.5",
		"1715000000", "1715000000.123", "1715000000000", "9999999999", "10000000000", "253402300799999",
		"253402300800000", "86399", "86400", "86400000", "3.141592653589793238462643383279502884197169399375",
		"0.1", "0.30000000000000004", "123456789012345678901234567890.123456789012345678901234567890"
	};

	if (fuzz_below(2000) == 0)
		fuzz_put("%s1e%d", fuzz_percent(20) ? "-" : "", (int) fuzz_below(MAX_DIGITS));
	else if (fuzz_percent(20))
		fuzz_put("%s%u.%u", fuzz_percent(20) ? "-" : "", fuzz_below(100000), fuzz_below(1000));
	else
		fuzz_put("%s", FUZZ_PICK(numbers));
}

void
fuzz_put_scalar(void)
{
	switch (fuzz_below(10))
	{
		case 0:
			fuzz_put("null");
			break;
		case 1:
			fuzz_put(fuzz_percent(50) ? "true" : "false");
			break;
		case 2:
		case 3:
		case 4:
			fuzz_put_number();
			break;
		default:
			fuzz_put_any_string();
	}
}

void
fuzz_put_any_key(void)
{
	fuzz_put_any_string();
	fuzz_put(":");
}

/* what Braze takes for an instruction inside of an attribute */
static void
put_operator(int depth)
{
	static const char *const operators[] = {"inc", "add", "remove", "$add", "$update", "$remove", "$time",
		"$identifier_key", "$identifier_value", "$new_object"};

	switch (fuzz_below(6))
	{
		case 0:
			fuzz_put("{\"$time\":");
			fuzz_put_scalar();
			fuzz_put("}");
			break;
		case 1:
			fuzz_put("{\"inc\":");
			fuzz_put_number();
			fuzz_put("}");
			break;
		case 2:
			fuzz_put("{\"%s\":[", fuzz_percent(50) ? "add" : "remove");
			fuzz_put_any_string();
			fuzz_put("]}");
			break;
		case 3:
			fuzz_put("{\"$update\":[{\"$identifier_key\":\"id\",\"$identifier_value\":");
			fuzz_put_scalar();
			fuzz_put(",\"$new_object\":");
			fuzz_put_value(depth - 1);
			fuzz_put("}]}");
			break;
		case 4:
			fuzz_put("{\"$add\":[");
			fuzz_put_value(depth - 1);
			fuzz_put("],\"$remove\":[{\"$identifier_key\":");
			fuzz_put_scalar();
			fuzz_put(",\"$identifier_value\":1}]}");
			break;
		default:
			fuzz_put("{\"%s\":", FUZZ_PICK(operators));
			fuzz_put_value(depth - 1);
			fuzz_put(",\"%s\":", FUZZ_PICK(operators));
			fuzz_put_value(depth - 1);
			fuzz_put("}");
	}
}

void
fuzz_put_deep(void)
{
	static const int depths[] = {10, 31, 32, 50, 62, 63, 64, 65, 66, 100, 400, 1000};
	bool		objects = fuzz_percent(50);
	int			depth = FUZZ_PICK(depths);

	put_repeated(objects ? "{\"a\":" : "[", depth);
	fuzz_put_scalar();
	put_repeated(objects ? "}" : "]", depth);
}

void
fuzz_put_value(int depth)
{
	unsigned	kind = fuzz_below(100);
	unsigned	count;

	if (depth <= 0 || kind < 60)
	{
		fuzz_put_scalar();
		return;
	}
	if (kind < 61)
	{
		fuzz_put_deep();
		return;
	}
	if (kind < 68)
	{
		put_operator(depth);
		return;
	}
	count = fuzz_below(300) == 0 ? fuzz_below(600) : fuzz_below(5);
	fuzz_put(kind < 84 ? "[" : "{");
	for (unsigned i = 0; i < count; i++)
	{
		if (i > 0)
			fuzz_put(",");
		if (kind >= 84)
			fuzz_put_any_key();
		fuzz_put_value(depth - 1);
	}
	fuzz_put(kind < 84 ? "]" : "}");
}
