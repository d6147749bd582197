/*-------------------------------------------------------------------------
 *
 * outage.h
 *	  When the log is to tell of an outage, and of its end.
 *
 * Plain C, with the caller's clock as in pace.h.  An outage is told of when it
 * has lasted a minute, and its end when something is accepted again.  An
 * endpoint that comes and goes must not fill the log: at most one outage is
 * told of in ten minutes, and the end only of one that was told of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OUTAGE_H
#define BRAZE_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct BrazeOutage
{
	bool		told;			/* the outage under way was told of */
	int64_t		since;			/* when that one began */
	bool		told_before;	/* any was, and */
	int64_t		told_at;		/* when the last one was */
} BrazeOutage;

/* all requests have failed since then: is it time to tell of it? */
extern bool braze_outage_begins(BrazeOutage *outage, int64_t since, int64_t now);

/* requests succeed: is that to be told? */
extern bool braze_outage_ends(BrazeOutage *outage);

/* nothing is sent any more, so that no end will come */
extern void braze_outage_cancel(BrazeOutage *outage);

#endif							/* BRAZE_OUTAGE_H */
