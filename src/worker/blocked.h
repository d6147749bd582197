/*-------------------------------------------------------------------------
 *
 * blocked.h
 *	  What the log and the status say while nothing can be read or settled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_BLOCKED_H
#define BRAZE_BLOCKED_H

typedef enum BrazeBlocked
{
	BRAZE_BLOCKED_READ,
	BRAZE_BLOCKED_SETTLE
} BrazeBlocked;

/* what keeps it from being done; empty: nothing does any more */
extern void braze_blocked_report(BrazeBlocked what, const char *problem);

#endif							/* BRAZE_BLOCKED_H */
