/*-------------------------------------------------------------------------
 *
 * json_split.c
 *	  Splits JSON text into the members of an object, or the elements of a list.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/json_split.h"

static bool
is_json_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_space(BrazeSplit *split)
{
	while (split->next < split->end && is_json_space(*split->next))
		split->next++;
}

/* from its quote to after the other one; false where that is missing */
static bool
skip_string(BrazeSplit *split)
{
	for (split->next++; split->next < split->end; split->next++)
	{
		if (*split->next == '\\')
			split->next++;
		else if (*split->next == '"')
		{
			split->next++;
			return true;
		}
	}
	split->next = split->end;
	return false;
}

/*
 * To what ends the value: a comma, or the bracket of what it is in.  Brackets
 * are counted whatever their shape: what mixes them is refused by jsonb.
 */
static bool
skip_value(BrazeSplit *split)
{
	const char *start = split->next;
	int			depth = 0;

	while (split->next < split->end)
	{
		char		c = *split->next;

		if (c == '"')
		{
			if (!skip_string(split))
				return false;
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			break;
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		split->next++;
	}
	return depth == 0 && split->next > start;
}

bool
braze_json_split_begin(BrazeSplit *split, BrazeString text, char open)
{
	split->next = text.data;
	split->end = text.data + text.length;
	split->close = open == '{' ? '}' : ']';
	split->first = true;
	split->broken = false;
	skip_space(split);
	if (split->next == split->end || *split->next != open)
		return false;
	split->next++;
	return true;
}

/* nothing but white space may follow */
static bool
end_split(BrazeSplit *split)
{
	split->next++;
	skip_space(split);
	split->broken = split->next < split->end;
	return false;
}

bool
braze_json_split_next(BrazeSplit *split, BrazeString *key, BrazeString *value)
{
	const char *start;

	skip_space(split);
	if (split->next < split->end && *split->next == split->close)
		return end_split(split);

	/* until the member turns out to be whole */
	split->broken = true;

	/*
	 * A comma only between two: one at the end or the start is an error, as
	 * in jsonb.
	 */
	if (!split->first)
	{
		if (split->next == split->end || *split->next != ',')
			return false;
		split->next++;
		skip_space(split);
	}
	split->first = false;
	if (split->close == '}')
	{
		start = split->next;
		if (start == split->end || *start != '"' || !skip_string(split))
			return false;
		key->data = start + 1;
		key->length = split->next - start - 2;
		skip_space(split);
		if (split->next == split->end || *split->next != ':')
			return false;
		split->next++;
		skip_space(split);
	}
	start = split->next;
	if (!skip_value(split))
		return false;
	value->data = start;
	value->length = split->next - start;
	while (value->length > 0 && is_json_space(value->data[value->length - 1]))
		value->length--;
	split->broken = false;
	return true;
}
