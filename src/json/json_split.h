/*-------------------------------------------------------------------------
 *
 * json_split.h
 *	  Splits JSON text into the members of an object, or the elements of a list.
 *
 * Only what stands between the parts has to be right.  A part itself is found
 * by its strings and brackets alone, and may be what jsonb refuses: so one bad
 * call leaves the others of its batch readable.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_JSON_SPLIT_H
#define BRAZE_JSON_SPLIT_H

#include "json/jsonb_walk.h"

typedef struct BrazeSplit
{
	const char *next;
	const char *end;
	char		close;			/* what ends it: } or ] */
	bool		first;
	bool		broken;			/* what follows cannot be told apart */
} BrazeSplit;

/* false when the text is not an object (open '{') or list ('[') */
extern bool braze_json_split_begin(BrazeSplit *split, BrazeString text, char open);

/*
 * The next part; false after the last, or where it is broken.  Of a list, key
 * is left alone.  A key is without its quotes and as it is written: one with an
 * escape is none of those that we look for.
 */
extern bool braze_json_split_next(BrazeSplit *split, BrazeString *key, BrazeString *value);

#endif							/* BRAZE_JSON_SPLIT_H */
