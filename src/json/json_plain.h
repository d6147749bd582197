/*-------------------------------------------------------------------------
 *
 * json_plain.h
 *	  The beginning of a jsonb's text, however long all of it would be.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_JSON_PLAIN_H
#define BRAZE_JSON_PLAIN_H

#include "utils/jsonb.h"

/*
 * The text as PostgreSQL writes it, but for white space; it ends after the
 * value with which it is longer than limit.
 */
extern char *braze_json_plain_text(Jsonb *jsonb, Size limit);

#endif							/* BRAZE_JSON_PLAIN_H */
