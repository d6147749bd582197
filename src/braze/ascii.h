/*-------------------------------------------------------------------------
 *
 * ascii.h
 *	  Comparing words of a protocol, in any case and in any locale.
 *
 * Plain C.  What strncasecmp finds equal depends on the locale: in a Turkish
 * one an I is not an i.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ASCII_H
#define BRAZE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline char
braze_ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? c + ('a' - 'A') : c;
}

static inline bool
braze_ascii_equal(const char *a, const char *b)
{
	while (*a != '\0' && braze_ascii_lower(*a) == braze_ascii_lower(*b))
	{
		a++;
		b++;
	}
	return *a == '\0' && *b == '\0';
}

/* does the text begin with this word, which is in lower case? */
static inline bool
braze_ascii_begins(const char *text, size_t length, const char *word)
{
	for (size_t i = 0; word[i] != '\0'; i++)
	{
		if (i == length || braze_ascii_lower(text[i]) != word[i])
			return false;
	}
	return true;
}

#endif							/* BRAZE_ASCII_H */
