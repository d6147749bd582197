/*-------------------------------------------------------------------------
 *
 * refusal_rate.h
 *	  How many of the last calls Braze refused as malformed.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_REFUSAL_RATE_H
#define BRAZE_REFUSAL_RATE_H

#include <stdbool.h>

/*
 * Of the calls that Braze judged last, which stood alone in their request and
 * were refused as malformed?  When it is over half, the cause is hardly the
 * calls: better to stop than to refuse everything.
 */
#define BRAZE_REFUSAL_RATE_CALLS	100

typedef struct BrazeRefusalRate
{
	bool		malformed[BRAZE_REFUSAL_RATE_CALLS];	/* a ring */
	int			next;
	int			count;			/* that are malformed */
} BrazeRefusalRate;

extern void braze_refusal_rate_reset(BrazeRefusalRate *rate);
extern void braze_refusal_rate_judged(BrazeRefusalRate *rate, int calls, bool malformed);
extern bool braze_refusal_rate_is_high(const BrazeRefusalRate *rate);

#endif							/* BRAZE_REFUSAL_RATE_H */
