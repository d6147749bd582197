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
 * Remembers that a call is being queued.  False when one with its
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
 * what this transaction has remembered, of a call that is not queued after all
 */
extern void braze_deduplicate_delete(const char *destination, Jsonb *call);

#endif							/* BRAZE_DEDUPLICATE_H */
