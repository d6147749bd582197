/*-------------------------------------------------------------------------
 *
 * ascii.h
 *	  Comparing words of a protocol, in any case and in any locale.
 *
 * Plain C.  What strncasecmp finds equal depends on the locale: in a Turkish
 * one an I is no i.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ASCII_H
#define BRAZE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

/* does the text begin with this word, which is in lower case? */
static inline bool
braze_ascii_begins(const char *text, size_t length, const char *word)
{
	for (size_t i = 0; word[i] != '\0'; i++)
	{
		if (i == length ||
			(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]) != word[i])
			return false;
	}
	return true;
}

#endif							/* BRAZE_ASCII_H */
