/*-------------------------------------------------------------------------
 *
 * value.h
 *	  Strings, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_VALUE_H
#define BRAZE_VALUE_H

#include "json/jsonb_walk.h"

extern int	braze_value_characters(BrazeString string);

/* has it more than this many characters?  Each has a byte at least. */
static inline bool
braze_longer_than(BrazeString string, int characters)
{
	return string.length > characters && braze_value_characters(string) > characters;
}

/*
 * The text of a string, or the digits of a number (palloc'd), of a whole one
 * without a point; false for other types, and for numbers of more than a
 * thousand digits.
 */
extern bool braze_scalar_text(const JsonbValue *value, BrazeString *text);

/* as the text above, trimmed, and false when nothing is left */
extern bool braze_solid_text(const JsonbValue *value, BrazeString *text);

/* a string that begins and ends as a JSON array or object does */
extern bool braze_is_json_text(const JsonbValue *value);

/* a string that is one of two spellings of a boolean, or a boolean */
extern bool braze_flag(const JsonbValue *value, bool *flag);

#endif							/* BRAZE_VALUE_H */
