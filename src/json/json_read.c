/*-------------------------------------------------------------------------
 *
 * json_read.c
 *	  JSON text that we have written, as jsonb.
 *
 * It has no white space, and its strings seldom need an escape, so that most of
 * them can be taken from where they stand.  Whatever is not like that is read
 * by jsonb_in, which also has the last word on what is wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "base/compat.h"
#include "base/grow.h"
#include "json/json_read.h"

/* a number of so many digits is an int64 */
#define INT64_DIGITS	18

#define INITIAL_PAIRS	32

typedef struct JsonReader
{
	const char *p;
	const char *end;
	JsonbPair  *pairs;			/* of the containers that are open; the
								 * elements of an array have no keys */
	int			npairs;
	int			max_pairs;
} JsonReader;

static bool read_value(JsonReader *reader, JsonbValue *value);

/* as jsonb sorts keys */
static inline int
compare_pair_keys(const JsonbPair * a, const JsonbPair * b)
{
	if (a->key.val.string.len != b->key.val.string.len)
		return a->key.val.string.len > b->key.val.string.len ? 1 : -1;
	return memcmp(a->key.val.string.val, b->key.val.string.val, a->key.val.string.len);
}

#define ST_SORT sort_pairs
#define ST_ELEMENT_TYPE JsonbPair
#define ST_COMPARE(a, b) compare_pair_keys(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static inline bool
take_char(JsonReader *reader, char c)
{
	if (reader->p == reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static bool
take_string(JsonReader *reader, JsonbValue *value)
{
	const char *start;
	const char *quote;

	if (!take_char(reader, '"'))
		return false;
	start = reader->p;
	quote = memchr(start, '"', reader->end - start);
	if (quote == NULL || memchr(start, '\\', quote - start) != NULL)
		return false;
	reader->p = quote + 1;
	value->type = jbvString;
	value->val.string.val = (char *) start;
	value->val.string.len = quote - start;
	return true;
}

static bool
take_number(JsonReader *reader, JsonbValue *value)
{
	const char *start = reader->p;
	bool		negative = take_char(reader, '-');
	const char *digits = reader->p;
	int64		number = 0;
	char	   *text;

	for (; reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9'; reader->p++)
	{
		if (reader->p - digits < INT64_DIGITS)
			number = number * 10 + (*reader->p - '0');
	}
	if (reader->p == digits)
		return false;
	value->type = jbvNumeric;
	if (reader->p - digits <= INT64_DIGITS &&
		(reader->p == reader->end || strchr(",]}", *reader->p) != NULL))
	{
		value->val.numeric = int64_to_numeric(negative ? -number : number);
		return true;
	}
	while (reader->p < reader->end && strchr(",]}", *reader->p) == NULL)
		reader->p++;
	text = pnstrdup(start, reader->p - start);
	value->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
															 ObjectIdGetDatum(InvalidOid),
															 Int32GetDatum(-1)));
	return true;
}

static JsonbPair *
add_pair(JsonReader *reader)
{
	if (reader->npairs == reader->max_pairs)
		reader->pairs = braze_grow(reader->pairs, &reader->max_pairs, sizeof(JsonbPair));
	return &reader->pairs[reader->npairs++];
}

/* the pairs from first on are those of this object */
static bool
end_object(JsonReader *reader, int first, JsonbValue *value)
{
	int			count = reader->npairs - first;

	value->type = jbvObject;
	value->val.object.nPairs = count;
	value->val.object.pairs = palloc(sizeof(JsonbPair) * count);
	memcpy(value->val.object.pairs, reader->pairs + first, sizeof(JsonbPair) * count);
	reader->npairs = first;
	sort_pairs(value->val.object.pairs, count);
	for (int i = 1; i < count; i++)
	{
		if (compare_pair_keys(&value->val.object.pairs[i - 1], &value->val.object.pairs[i]) == 0)
			return false;
	}
	return true;
}

static bool
read_object(JsonReader *reader, JsonbValue *value)
{
	int			first = reader->npairs;

	if (!take_char(reader, '}'))
	{
		do
		{
			JsonbValue	member;
			JsonbPair  *pair = add_pair(reader);
			int			place = reader->npairs - 1;

			if (!take_string(reader, &pair->key) || !take_char(reader, ':') ||
				!read_value(reader, &member))
				return false;
			/* what was read may have moved the list */
			reader->pairs[place].value = member;
		} while (take_char(reader, ','));
		if (!take_char(reader, '}'))
			return false;
	}
	return end_object(reader, first, value);
}

static bool
read_array(JsonReader *reader, JsonbValue *value)
{
	int			first = reader->npairs;
	int			count;

	if (!take_char(reader, ']'))
	{
		do
		{
			JsonbValue	element;

			if (!read_value(reader, &element))
				return false;
			add_pair(reader)->value = element;
		} while (take_char(reader, ','));
		if (!take_char(reader, ']'))
			return false;
	}
	count = reader->npairs - first;
	value->type = jbvArray;
	value->val.array.rawScalar = false;
	value->val.array.nElems = count;
	value->val.array.elems = palloc(sizeof(JsonbValue) * count);
	for (int i = 0; i < count; i++)
		value->val.array.elems[i] = reader->pairs[first + i].value;
	reader->npairs = first;
	return true;
}

static bool
take_literal(JsonReader *reader, const char *word, int length)
{
	if (reader->end - reader->p < length || memcmp(reader->p, word, length) != 0)
		return false;
	reader->p += length;
	return true;
}

/* false: jsonb_in is to read the whole */
static bool
read_value(JsonReader *reader, JsonbValue *value)
{
	if (reader->p == reader->end)
		return false;
	switch (*reader->p)
	{
		case '"':
			return take_string(reader, value);
		case '{':
		case '[':
			check_stack_depth();
			return *reader->p++ == '{' ? read_object(reader, value) : read_array(reader, value);
		case 't':
			value->type = jbvBool;
			value->val.boolean = true;
			return take_literal(reader, "true", 4);
		case 'f':
			value->type = jbvBool;
			value->val.boolean = false;
			return take_literal(reader, "false", 5);
		case 'n':
			value->type = jbvNull;
			return take_literal(reader, "null", 4);
		default:
			return take_number(reader, value);
	}
}

Jsonb	   *
braze_json_read(const char *json, int length)
{
	JsonReader	reader = {
		.p = json,
		.end = json + length,
		.pairs = palloc(sizeof(JsonbPair) * INITIAL_PAIRS),
		.max_pairs = INITIAL_PAIRS
	};
	JsonbValue	value;

	if (length > 0 && (*json == '{' || *json == '[') && read_value(&reader, &value) &&
		reader.p == reader.end)
		return JsonbValueToJsonb(&value);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pnstrdup(json, length))));
}
