/*-------------------------------------------------------------------------
 *
 * outage.c
 *	  When the log is to tell of an outage, and of its end.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/outage.h"

/* a restarting node is back before that, and nobody needs to know */
#define TOLD_AFTER_MS		(60 * 1000)

/* from one outage that was told of to the next */
#define TOLD_INTERVAL_MS	(10 * 60 * 1000)

bool
braze_outage_begins(BrazeOutage *outage, int64_t since, int64_t now)
{
	if (outage->told || now - since < TOLD_AFTER_MS ||
		(outage->told_before && now - outage->told_at < TOLD_INTERVAL_MS))
		return false;
	outage->told = outage->told_before = true;
	outage->since = since;
	outage->told_at = now;
	return true;
}

bool
braze_outage_ends(BrazeOutage *outage)
{
	bool		told = outage->told;

	outage->told = false;
	return told;
}

void
braze_outage_cancel(BrazeOutage *outage)
{
	outage->told = false;
}
