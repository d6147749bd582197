/*-------------------------------------------------------------------------
 *
 * collect_round.h
 *	  One round of a collector: some calls come from their origin to here.
 *
 * When collecting is to stop, rounds only delete there what was collected.  The
 * last one removes the row of braze_collecting, and from then on somebody else
 * may collect or deliver from there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_ROUND_H
#define BRAZE_COLLECT_ROUND_H

#include "feed/collect_table.h"

typedef struct BrazeCollectRound
{
	int			collected;		/* calls that are here now */
	bool		more;			/* there is more to do at once */
	bool		stopped;		/* there is no other round */
	bool		all;			/* nothing was there that could have been
								 * collected */
	char		staying[BRAZE_COLLECTOR_TEXT_SIZE]; /* why some calls stay
													 * there; empty: none */
} BrazeCollectRound;

/* in no transaction; an error is the caller's, who then calls the other */
extern void braze_collect_round_run(const BrazeOrigin *origin, BrazeCollectRound *result);

/*
 * After an error, 0: none yet: nothing is known of the origin any more.  True:
 * the next round reads more carefully, and may succeed at once.
 */
extern bool braze_collect_round_reset(int sqlstate);

/* how many calls wait at the origin, and since when the oldest does */
extern int64 braze_collect_round_waiting(const BrazeOrigin *origin, TimestampTz *oldest);

#endif							/* BRAZE_COLLECT_ROUND_H */
