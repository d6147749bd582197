/*-------------------------------------------------------------------------
 *
 * own_json.h
 *	  Going through JSON that the mapping has written.
 *
 * Plain C.  The text is valid, so it is read without checking that again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OWN_JSON_H
#define BRAZE_OWN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* literal ends with a NUL, text does not */
static inline bool
is_literal(const char *text, size_t length, const char *literal)
{
	return length == strlen(literal) && memcmp(text, literal, length) == 0;
}

/*
 * Behind the string that begins here; the text is our own, and valid.  A quote
 * is its end unless an odd number of backslashes stands before it.
 */
static inline const char *
pass_string(const char *p)
{
	const char *start = ++p;

	for (;; p++)
	{
		const char *q;

		p = strchr(p, '"');
		for (q = p; q > start && q[-1] == '\\'; q--)
			 /* next */ ;
		if ((p - q) % 2 == 0)
			return p + 1;
	}
}

/* behind the value that begins here */
static inline const char *
pass_value(const char *p, const char *end)
{
	int			depth = 0;

	if (*p == '"')
		return pass_string(p);
	while (p < end)
	{
		switch (*p)
		{
			case '"':
				p = pass_string(p);
				continue;
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return p;
				if (--depth == 0)
					return p + 1;
				break;
			case ',':
				if (depth == 0)
					return p;
				break;
		}
		p++;
	}
	return p;
}

/* commas and colons, too: between our own values nothing else stands */
static inline const char *
pass_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == ',' || *p == ':'))
		p++;
	return p;
}

#endif							/* BRAZE_OWN_JSON_H */
