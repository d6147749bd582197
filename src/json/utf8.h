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

/* how many bytes Braze counts; of a text that cannot be converted, those it has */
extern int	braze_utf8_length(BrazeString string);

#endif							/* BRAZE_UTF8_H */
