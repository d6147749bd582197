/*-------------------------------------------------------------------------
 *
 * collect_origin.h
 *	  What an origin must be like, so that its calls can be collected.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_ORIGIN_H
#define BRAZE_COLLECT_ORIGIN_H

#include "feed/collect_table.h"

/*
 * An error where the table is our own queue, or is collected already.  database
 * as braze_collect_locks there names it.  Who only deletes what they have
 * collected is in nobody's way, and need not ask.
 */
extern void braze_collect_origin_require_ours(const BrazeOrigin *origin, const char *database);

/* what is hidden is never collected, and nothing else would say so */
extern void braze_collect_origin_require_all_rows(const BrazeOrigin *origin);

#endif							/* BRAZE_COLLECT_ORIGIN_H */
