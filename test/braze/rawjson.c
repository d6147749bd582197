/*-------------------------------------------------------------------------
 *
 * rawjson.c
 *	  JSON as bytes: what a parser into a tree hides.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "rawjson.h"

typedef struct Key
{
	const char *start;
	size_t		length;
} Key;

typedef struct Scan
{
	const char *begin;
	const char *text;			/* what is looked at now */
	const char *end;
	int			depth;
	Key		   *keys;			/* of all open objects, outermost first */
	size_t		nkeys;
	size_t		maxkeys;
	char	   *reason;
	size_t		size;
} Scan;

static bool scan_value(Scan *scan);

static bool
fail(Scan *scan, const char *what)
{
	snprintf(scan->reason, scan->size, "%s at byte %ld", what,
			 (long) (scan->text - scan->begin));
	return false;
}

static void
skip_space(Scan *scan)
{
	while (scan->text < scan->end &&
		   (*scan->text == ' ' || *scan->text == '\t' ||
			*scan->text == '\n' || *scan->text == '\r'))
		scan->text++;
}

/* the length of the valid UTF-8 sequence at text, 0 if there is none */
static int
utf8_sequence(const unsigned char *text, size_t left)
{
	int			length;
	int			i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if ((text[0] & 0xf0) == 0xe0)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < (size_t) length)
		return 0;
	for (i = 1; i < length; i++)
	{
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
		(text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

static int
hex4(Scan *scan)
{
	int			value = 0;
	int			i;

	if (scan->end - scan->text < 4)
		return -1;
	for (i = 0; i < 4; i++)
	{
		unsigned char c = (unsigned char) scan->text[i];

		if (!isxdigit(c))
			return -1;
		value = value * 16 + (isdigit(c) ? c - '0' : (tolower(c) - 'a') + 10);
	}
	scan->text += 4;
	return value;
}

static bool
scan_escape(Scan *scan)
{
	int			unit;

	scan->text++;
	if (scan->text == scan->end)
		return fail(scan, "unfinished escape");
	if (*scan->text != 'u')
	{
		if (strchr("\"\\/bfnrt", *scan->text) == NULL || *scan->text == '\0')
			return fail(scan, "unknown escape");
		scan->text++;
		return true;
	}
	scan->text++;
	unit = hex4(scan);
	if (unit < 0)
		return fail(scan, "bad unicode escape");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(scan, "lone surrogate");
	if (unit >= 0xd800 && unit <= 0xdbff)
	{
		if (scan->end - scan->text < 6 || scan->text[0] != '\\' || scan->text[1] != 'u')
			return fail(scan, "lone surrogate");
		scan->text += 2;
		unit = hex4(scan);
		if (unit < 0xdc00 || unit > 0xdfff)
			return fail(scan, "lone surrogate");
	}
	return true;
}

static bool
scan_string(Scan *scan)
{
	scan->text++;
	for (;;)
	{
		unsigned char c;

		if (scan->text == scan->end)
			return fail(scan, "unfinished string");
		c = (unsigned char) *scan->text;
		if (c == '"')
			break;
		if (c < 0x20)
			return fail(scan, "control character in a string");
		if (c == '\\')
		{
			if (!scan_escape(scan))
				return false;
		}
		else
		{
			int			length = utf8_sequence((const unsigned char *) scan->text,
											   (size_t) (scan->end - scan->text));

			if (length == 0)
				return fail(scan, "invalid UTF-8");
			scan->text += length;
		}
	}
	scan->text++;
	return true;
}

static bool
scan_digits(Scan *scan)
{
	const char *begin = scan->text;

	while (scan->text < scan->end && isdigit((unsigned char) *scan->text))
		scan->text++;
	return scan->text > begin;
}

static bool
scan_number(Scan *scan)
{
	const char *begin = scan->text;
	size_t		length;

	if (*scan->text == '-')
		scan->text++;
	if (scan->text < scan->end && *scan->text == '0')
		scan->text++;
	else if (!scan_digits(scan))
		return fail(scan, "bad number");
	if (scan->text < scan->end && *scan->text == '.')
	{
		scan->text++;
		if (!scan_digits(scan))
			return fail(scan, "bad number");
	}
	if (scan->text < scan->end && (*scan->text == 'e' || *scan->text == 'E'))
	{
		scan->text++;
		if (scan->text < scan->end && (*scan->text == '+' || *scan->text == '-'))
			scan->text++;
		if (!scan_digits(scan))
			return fail(scan, "bad number");
	}

	length = (size_t) (scan->text - begin);
	if (length > 300 || memchr(begin, 'e', length) || memchr(begin, 'E', length))
	{
		Buffer		copy = {0};
		double		value;

		standin_buffer_add(&copy, begin, length);
		value = strtod(copy.data, NULL);
		standin_buffer_free(&copy);
		if (isinf(value))
			return fail(scan, "number out of range");
	}
	return true;
}

static bool
scan_word(Scan *scan, const char *word)
{
	size_t		length = strlen(word);

	if ((size_t) (scan->end - scan->text) < length ||
		memcmp(scan->text, word, length) != 0)
		return fail(scan, "unknown word");
	scan->text += length;
	return true;
}

static int
compare_keys(const void *a, const void *b)
{
	const Key  *x = a;
	const Key  *y = b;

	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return memcmp(x->start, y->start, x->length);
}

static void
remember_key(Scan *scan, const char *start, size_t length)
{
	if (scan->nkeys == scan->maxkeys)
	{
		scan->maxkeys = scan->maxkeys ? scan->maxkeys * 2 : 64;
		scan->keys = standin_realloc(scan->keys, scan->maxkeys * sizeof(Key));
	}
	scan->keys[scan->nkeys].start = start;
	scan->keys[scan->nkeys].length = length;
	scan->nkeys++;
}

/* compares keys as they are written: "a" and "\u0061" pass as two */
static bool
no_duplicates(Scan *scan, size_t first)
{
	size_t		i;

	if (scan->nkeys - first < 2)
		return true;
	qsort(scan->keys + first, scan->nkeys - first, sizeof(Key), compare_keys);
	for (i = first + 1; i < scan->nkeys; i++)
	{
		if (compare_keys(&scan->keys[i - 1], &scan->keys[i]) == 0)
			return false;
	}
	return true;
}

static bool
scan_members(Scan *scan, char close)
{
	size_t		first = scan->nkeys;
	bool		object = close == '}';

	if (++scan->depth > STANDIN_JSON_DEPTH)
		return fail(scan, "nested too deep");
	scan->text++;
	skip_space(scan);
	if (scan->text < scan->end && *scan->text == close)
	{
		scan->text++;
		scan->depth--;
		return true;
	}
	for (;;)
	{
		if (object)
		{
			const char *key;

			skip_space(scan);
			key = scan->text;
			if (scan->text == scan->end || *scan->text != '"')
				return fail(scan, "key expected");
			if (!scan_string(scan))
				return false;
			remember_key(scan, key, (size_t) (scan->text - key));
			skip_space(scan);
			if (scan->text == scan->end || *scan->text != ':')
				return fail(scan, "colon expected");
			scan->text++;
		}
		if (!scan_value(scan))
			return false;
		skip_space(scan);
		if (scan->text == scan->end)
			return fail(scan, "unfinished array or object");
		if (*scan->text == close)
			break;
		if (*scan->text != ',')
			return fail(scan, "comma expected");
		scan->text++;
	}
	scan->text++;
	if (!no_duplicates(scan, first))
		return fail(scan, "duplicate key");
	scan->nkeys = first;
	scan->depth--;
	return true;
}

static bool
scan_value(Scan *scan)
{
	skip_space(scan);
	if (scan->text == scan->end)
		return fail(scan, "value expected");
	switch (*scan->text)
	{
		case '{':
			return scan_members(scan, '}');
		case '[':
			return scan_members(scan, ']');
		case '"':
			return scan_string(scan);
		case 't':
			return scan_word(scan, "true");
		case 'f':
			return scan_word(scan, "false");
		case 'n':
			return scan_word(scan, "null");
		default:
			return scan_number(scan);
	}
}

bool
standin_json_check(const char *text, size_t length, char *reason, size_t size)
{
	Scan		scan = {0};
	bool		good;

	scan.begin = text;
	scan.text = text;
	scan.end = text + length;
	scan.reason = reason;
	scan.size = size;
	good = scan_value(&scan);
	if (good)
	{
		skip_space(&scan);
		if (scan.text < scan.end)
			good = fail(&scan, "something follows the value");
	}
	free(scan.keys);
	return good;
}

static const char *
string_end(const char *text)
{
	for (text++; *text != '"'; text++)
	{
		if (*text == '\\')
			text++;
	}
	return text + 1;
}

const char *
standin_json_end(const char *text)
{
	int			depth = 0;

	text += strspn(text, " \t\r\n");
	do
	{
		switch (*text)
		{
			case '{':
			case '[':
				depth++;
				text++;
				break;
			case '}':
			case ']':
				depth--;
				text++;
				break;
			case '"':
				text = string_end(text);
				break;
			case ',':
			case ':':
			case ' ':
			case '\t':
			case '\r':
			case '\n':
				text++;
				break;
			default:
				text += strcspn(text, ",:]} \t\r\n");
		}
	} while (depth > 0);
	return text;
}

bool
standin_json_next(const char **at, const char **start, size_t *length)
{
	const char *text = *at;
	const char *end;

	/* over the bracket before the first, over the comma before the others */
	text += strspn(text, " \t\r\n");
	if (*text == ']' || *text == '}' || *text == '\0')
		return false;
	text++;
	text += strspn(text, " \t\r\n");
	if (*text == ']' || *text == '}')
		return false;
	*start = text;
	if (*text == '"')
	{
		end = string_end(text);
		end += strspn(end, " \t\r\n");
		end = standin_json_end(*end == ':' ? end + 1 : text);
	}
	else
		end = standin_json_end(text);
	*length = (size_t) (end - *start);
	*at = end;
	return true;
}
