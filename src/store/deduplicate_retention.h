/*-------------------------------------------------------------------------
 *
 * deduplicate_retention.h
 *	  What is remembered of messageIds is deleted when it has expired.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DEDUPLICATE_RETENTION_H
#define BRAZE_DEDUPLICATE_RETENTION_H

/*
 * Deletes what has expired, a small part of the table at each call, in a
 * transaction of the worker.  seconds tells how long a destination remembers,
 * 0: not at all.  Returns in how many milliseconds to go on, or -1 at the end
 * of the table.
 */
typedef int (*BrazeRemembers) (const char *destination);

extern int	braze_deduplicate_retention_expire(BrazeRemembers seconds);

#endif							/* BRAZE_DEDUPLICATE_RETENTION_H */
