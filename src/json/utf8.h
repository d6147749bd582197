/*-------------------------------------------------------------------------
 *
 * utf8.h
 *	  Text of the database's encoding as UTF-8.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_UTF8_H
#define BRAZE_UTF8_H

#include "json/jsonb_walk.h"

/* in palloc'd memory where it differs; false: it cannot be converted */
extern bool braze_utf8_convert(BrazeString *string);

/*
 * Has it min to max bytes, as Braze counts them?  Of a text that cannot be
 * converted those that it has are counted.
 */
extern bool braze_utf8_fits(BrazeString string, int min, int max);

/* the bytes that a text of the database's has in UTF-8 */
extern int	braze_utf8_size(const char *data, int length);

#endif							/* BRAZE_UTF8_H */
