/*-------------------------------------------------------------------------
 *
 * json_write.c
 *	  Writes JSON text straight from jsonb, never past a limit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "json/json_write.h"
#include "json/number.h"
#include "json/time.h"
#include "json/value.h"

/* keys with a leading "$" that mean something to Braze inside an attribute */
static const struct
{
	const char *key;
	bool		(*takes) (const JsonbValue *value);
}			operators[] = {
	{"$add", braze_is_array},
	{"$remove", braze_is_array},
	{"$update", braze_is_array},
	{"$identifier_key", braze_is_string},
	{"$identifier_value", braze_is_scalar},
	{"$new_object", braze_is_object},
};

static bool write_value(BrazeText *text, const JsonbValue *value,
						BrazeNesting nesting, BrazeLoss *loss, int depth);

/*
 * Does none of eight bytes need an escape?  A byte below 0x20, or equal to a
 * quote or backslash after xor with it, borrows from its high bit when one (or
 * 0x20) is subtracted.  A borrow may also mark a byte behind a marked one, but
 * none where no byte is to be marked.
 */
static inline bool
needs_no_escape(uint64 chunk)
{
	const uint64 ones = UINT64CONST(0x0101010101010101);
	const uint64 highs = UINT64CONST(0x8080808080808080);
	uint64		quote = chunk ^ (ones * '"');
	uint64		backslash = chunk ^ (ones * '\\');

	return ((((chunk - ones * 0x20) & ~chunk) |
			 ((quote - ones) & ~quote) |
			 ((backslash - ones) & ~backslash)) & highs) == 0;
}

static inline uint64
load_eight(const char *data)
{
	uint64		chunk;

	memcpy(&chunk, data, sizeof(chunk));
	return chunk;
}

/*
 * Four to eight bytes, of which those in the middle may be there twice; the
 * order does not matter.
 */
static inline uint64
load_few(const char *data, int length)
{
	uint32		first;
	uint32		last;

	memcpy(&first, data, sizeof(first));
	memcpy(&last, data + length - sizeof(last), sizeof(last));
	return (uint64) first << 32 | last;
}

/* the length of the run at the start of data that needs no escape */
static inline int
plain_run(const char *data, int length)
{
	int			i = 0;

	while (length - i >= 8 && needs_no_escape(load_eight(data + i)))
		i += 8;

	/* the rest at once, where nothing before it has ended the run */
	if (length - i < 8 && length >= 4 &&
		needs_no_escape(length >= 8 ? load_eight(data + length - 8) : load_few(data, length)))
		return length;
	while (i < length && (unsigned char) data[i] >= 0x20 &&
		   data[i] != '"' && data[i] != '\\')
		i++;
	return i;
}

static void
write_escape(BrazeText *text, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char		escape[6] = {'\\', 0, '0', '0', 0, 0};
	int			length = 2;

	switch (c)
	{
		case '"':
		case '\\':
			escape[1] = c;
			break;
		case '\b':
			escape[1] = 'b';
			break;
		case '\f':
			escape[1] = 'f';
			break;
		case '\n':
			escape[1] = 'n';
			break;
		case '\r':
			escape[1] = 'r';
			break;
		case '\t':
			escape[1] = 't';
			break;
		default:
			escape[1] = 'u';
			escape[4] = hex[c >> 4];
			escape[5] = hex[c & 0x0F];
			length = 6;
	}
	braze_text_bytes(text, escape, length);
}

void
braze_json_write_string(BrazeText *text, const char *data, int length)
{
	char	   *p;
	int			run = plain_run(data, length);

	/* nearly every string has nothing to escape, and is copied as a whole */
	if (likely(run == length))
	{
		p = braze_text_reserve(text, length + 2);
		if (p != NULL)
		{
			*p++ = '"';
			memcpy(p, data, length);
			p[length] = '"';
			text->out->len += length + 2;
		}
		return;
	}

	braze_text_char(text, '"');
	for (;;)
	{
		braze_text_bytes(text, data, run);
		data += run;
		length -= run;
		if (length == 0 || text->full)
			break;
		write_escape(text, *data);
		data++;
		length--;
		run = plain_run(data, length);
	}
	braze_text_char(text, '"');
}

bool
braze_json_write_number(BrazeText *text, Numeric number)
{
	BrazeDecimal decimal;
	char	   *p;

	braze_number_read(&decimal, number);
	if (!braze_number_in_range(&decimal))
		return false;
	p = braze_text_reserve(text, braze_number_print_size(&decimal));
	if (p != NULL)
		text->out->len += braze_number_print(&decimal, p);
	return true;
}

void
braze_json_write_lose(BrazeLostNames *lost, BrazeString name)
{
	for (int i = 0; i < lost->count; i++)
	{
		if (lost->names[i].length == name.length &&
			memcmp(lost->names[i].data, name.data, name.length) == 0)
			return;
	}
	if (lost->count < BRAZE_LOST_NAMES)
		lost->names[lost->count++] = name;
	else
		lost->nothers++;
}

/* may this key stand inside a value?  If not, loss says why */
static bool
nested_key_passes(BrazeString key, const JsonbValue *value, BrazeNesting nesting,
				  BrazeLoss *loss)
{
	int			lost = 0;
	BrazeLostNames *names;

	if (key.length == 0 || braze_longer_than(key, BRAZE_MAX_NAME))
		lost = BRAZE_LOST_KEY;

	/*
	 * Names with $ are Braze's own: one that it does not know, or with a
	 * value of another type, would cost the whole attribute.
	 */
	else if (key.data[0] == '$')
	{
		lost = BRAZE_LOST_KEY;
		if (braze_string_is(key, "$time"))
			return true;
		for (int i = 0; i < lengthof(operators) && nesting == BRAZE_IN_ATTRIBUTE; i++)
		{
			if (!braze_string_is(key, operators[i].key))
				continue;
			if (operators[i].takes(value))
				return true;
			lost = BRAZE_LOST_OPERATOR;
		}
	}
	else if (nesting == BRAZE_IN_ATTRIBUTE &&
			 (memchr(key.data, ' ', key.length) != NULL ||
			  memchr(key.data, '.', key.length) != NULL))
		lost = BRAZE_LOST_KEY;

	if (lost == 0)
		return true;
	names = lost == BRAZE_LOST_KEY ? &loss->keys : &loss->operators;

	/* the lists are initialised here: most values lose nothing */
	if (!(loss->flags & lost))
		names->count = names->nothers = 0;
	braze_json_write_lose(names, key);
	loss->flags |= lost;
	return false;
}

static bool
key_is_one_of(BrazeString key, const char *const *names)
{
	for (; *names != NULL; names++)
	{
		if (braze_string_is(key, *names))
			return true;
	}
	return false;
}

/* one that is invalid would cost the whole attribute */
static bool
write_nested_time(BrazeText *text, const JsonbValue *value)
{
	char		printed[BRAZE_TIME_LENGTH];
	int			length = braze_time_print_nested(value, printed);

	if (length == 0)
		return false;
	braze_json_write_string(text, printed, length);
	return true;
}

static bool
write_object(BrazeText *text, JsonbContainer *object, BrazeNesting nesting,
			 const char *const *except, BrazeLoss *loss, int depth)
{
	int			start = braze_text_mark(text);
	bool		empty = true;
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;

	braze_text_char(text, '{');
	braze_walk_object(&walk, object);
	while (!text->full && braze_walk_pair(&walk, &key, &value))
	{
		int			mark = braze_text_mark(text);

		/* no loss: what is in except has gone elsewhere */
		if (except != NULL && key_is_one_of(key, except))
			continue;
		if (!nested_key_passes(key, &value, nesting, loss))
			continue;
		if (!empty)
			braze_text_char(text, ',');
		braze_json_write_string(text, key.data, key.length);
		braze_text_char(text, ':');
		if (braze_string_is(key, "$time"))
		{
			if (write_nested_time(text, &value))
				empty = false;
			else
			{
				loss->flags |= BRAZE_LOST_TIME;
				if (!text->full)
					braze_text_rewind(text, mark);
			}
		}
		else if (write_value(text, &value, nesting, loss, depth + 1))
			empty = false;

		/*
		 * Where it is full the mark is of no use: whoever narrowed the limit
		 * rewinds to where that was, and a rewind in here would hide that.
		 */
		else if (!text->full)
			braze_text_rewind(text, mark);
	}

	/*
	 * An object that was empty is sent as it is.  One that has lost all that
	 * it had says nothing that the caller meant.
	 */
	if (empty && walk.count > 0)
	{
		if (!text->full)
			braze_text_rewind(text, start);
		return false;
	}
	braze_text_char(text, '}');
	return true;
}

static bool
write_array(BrazeText *text, JsonbContainer *array, BrazeNesting nesting,
			BrazeLoss *loss, int depth)
{
	int			start = braze_text_mark(text);
	bool		empty = true;
	BrazeWalk	walk;
	JsonbValue	value;

	braze_text_char(text, '[');
	braze_walk_array(&walk, array);
	while (!text->full && braze_walk_element(&walk, &value))
	{
		int			mark = braze_text_mark(text);

		if (!empty)
			braze_text_char(text, ',');
		if (write_value(text, &value, nesting, loss, depth + 1))
			empty = false;
		else if (!text->full)
			braze_text_rewind(text, mark);
	}

	/* as with objects */
	if (empty && walk.count > 0)
	{
		if (!text->full)
			braze_text_rewind(text, start);
		return false;
	}
	braze_text_char(text, ']');
	return true;
}

static bool
write_value(BrazeText *text, const JsonbValue *value, BrazeNesting nesting,
			BrazeLoss *loss, int depth)
{
	switch (value->type)
	{
		case jbvString:

			/*
			 * Braze's limit is in characters, which are counted only where
			 * the bytes are more than that, and once for a value.
			 */
			if (value->val.string.len > BRAZE_MAX_NAME &&
				!(loss->flags & BRAZE_LONG_STRING))
			{
				BrazeString string = {value->val.string.val, value->val.string.len};

				if (braze_longer_than(string, BRAZE_MAX_NAME))
					loss->flags |= BRAZE_LONG_STRING;
			}
			braze_json_write_string(text, value->val.string.val, value->val.string.len);
			return true;

		case jbvNumeric:
			if (braze_json_write_number(text, value->val.numeric))
				return true;
			loss->flags |= BRAZE_LOST_NUMBER;
			return false;

		case jbvBool:
			if (value->val.boolean)
				braze_text_literal(text, "true");
			else
				braze_text_literal(text, "false");
			return true;

		case jbvBinary:

			/*
			 * By our own count: the stack of a session is not for a caller to
			 * exhaust.
			 */
			if (depth >= BRAZE_MAX_DEPTH)
			{
				loss->flags |= BRAZE_LOST_DEPTH;
				return false;
			}
			if (JsonContainerIsObject(value->val.binary.data))
				return write_object(text, value->val.binary.data, nesting, NULL, loss, depth);
			return write_array(text, value->val.binary.data, nesting, loss, depth);

		default:
			loss->flags |= BRAZE_LOST_NULL;
			return false;
	}
}

bool
braze_json_write_value(BrazeText *text, const JsonbValue *value, BrazeNesting nesting,
					   BrazeLoss *loss)
{
	loss->flags = 0;
	return write_value(text, value, nesting, loss, 0);
}

bool
braze_json_write_value_except(BrazeText *text, const JsonbValue *value, BrazeNesting nesting,
							  const char *const *except, BrazeLoss *loss)
{
	if (except == NULL || !braze_is_object(value))
		return braze_json_write_value(text, value, nesting, loss);
	loss->flags = 0;
	return write_object(text, value->val.binary.data, nesting, except, loss, 0);
}
