/*-------------------------------------------------------------------------
 *
 * refusal_rate.c
 *	  How many of the last calls Braze refused as malformed.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/refusal_rate.h"

#include <string.h>

void
braze_refusal_rate_reset(BrazeRefusalRate *rate)
{
	memset(rate, 0, sizeof(*rate));
}

void
braze_refusal_rate_judged(BrazeRefusalRate *rate, int calls, bool malformed)
{
	for (int i = 0; i < calls && i < BRAZE_REFUSAL_RATE_CALLS; i++)
	{
		bool	   *place = &rate->malformed[rate->next];

		rate->count += (int) malformed - (int) *place;
		*place = malformed;
		rate->next = (rate->next + 1) % BRAZE_REFUSAL_RATE_CALLS;
	}
}

bool
braze_refusal_rate_is_high(const BrazeRefusalRate *rate)
{
	return rate->count > BRAZE_REFUSAL_RATE_CALLS / 2;
}
