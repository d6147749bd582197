/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  When a destination may be sent its next request.
 *
 * Plain C.  A clock: exponential backoff with full jitter while requests
 * fail, with one of them as the probe, and none before the moment that a rate
 * limit named.  Times are milliseconds of a monotonic clock that the caller
 * reads; random numbers are the caller's too, so that a test can decide both.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PACE_H
#define BRAZE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "braze/rate_headers.h"

/*
 * A request is fresh unless what it holds has failed before.  The distinction
 * is for calls that make Braze fail whenever they are sent: what fails again
 * and again says little about what was never tried, so it makes only its own
 * like wait longer.
 */
typedef struct BrazePace
{
	int			failures;		/* in a row; 0: the destination is up */
	int			fresh_failures; /* those of fresh requests among them */
	int			under_way;		/* started and not yet ended */
	bool		probing;		/* the one under way is the probe */
	int64_t		retry_at;		/* while it is down: the next probe, */
	int64_t		fresh_at;		/* if it is a fresh request */
	int64_t		not_before;		/* by a rate limit: nothing starts earlier */
	int64_t		failing_since;	/* only faults since then, -1: it does not
								 * fail */
} BrazePace;

extern void braze_pace_reset(BrazePace *pace);

/*
 * Nothing was sent for a while since nobody wanted it: how it failed before is
 * forgotten, but not a rate limit.
 */
extern void braze_pace_rested(BrazePace *pace);

/*
 * May a request start now?  If not, wait_ms says when to ask again; -1 means
 * after a request that is under way has ended.  While the destination is down
 * the probe starts only when nothing else is under way, so that whatever ends
 * meanwhile cannot be taken for it.
 */
extern bool braze_pace_ready(const BrazePace *pace, bool fresh, int64_t now,
							 int64_t *wait_ms);

/*
 * Every start is followed by exactly one of succeeded, failed, slow_down and
 * ended: a start without its end would hold back the probe for ever.
 */
extern void braze_pace_started(BrazePace *pace);

/*
 * the request was cancelled, or its end says nothing of when to send the next
 */
extern void braze_pace_ended(BrazePace *pace);

/*
 * What became of a request.  Any answer but 429 and a fault counts as success,
 * also one that refuses what was sent.  random is in [0,1).
 */
extern void braze_pace_succeeded(BrazePace *pace, const BrazeRateHeaders *headers,
								 int64_t now);
extern void braze_pace_failed(BrazePace *pace, bool fresh, int64_t now, double random);
extern void braze_pace_slow_down(BrazePace *pace, const BrazeRateHeaders *headers,
								 int64_t now, double random);

#endif							/* BRAZE_PACE_H */
