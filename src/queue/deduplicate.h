/*-------------------------------------------------------------------------
 *
 * deduplicate.h
 *	  The messageIds that were queued lately, for the option deduplicate.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DEDUPLICATE_H
#define BRAZE_DEDUPLICATE_H

#include "utils/jsonb.h"

/*
 * deduplicate.c: remembers that a call is being queued.  False when one with its
 * messageId was, within that many seconds; it is then counted as a duplicate,
 * if this transaction commits.  Waits for a transaction that is queueing the
 * same messageId.
 *
 * received: braze_receive has taken it, and it is remembered for
 * BRAZE_RECEIVED_SECONDS at least, whatever the option says.
 */
#define BRAZE_RECEIVED_SECONDS	(24 * 3600)

extern bool braze_deduplicate_remember(const char *destination, Jsonb *call, int seconds,
									   bool received);

/*
 * deduplicate_retention.c: forgets what has expired, a small part of the table at
 * each call, in a transaction of the worker.  seconds tells how long a
 * destination remembers, 0: not at all.  Returns in how many milliseconds to
 * go on, or -1 at the end of the table.
 */
typedef int (*BrazeRemembers) (const char *destination);

extern int	braze_deduplicate_retention_sweep(BrazeRemembers seconds);

#endif							/* BRAZE_DEDUPLICATE_H */
