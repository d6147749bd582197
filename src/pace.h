/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  When a destination may be sent its next request.
 *
 * Plain C.  One clock per destination: exponential backoff with full jitter
 * while it fails, with one request as the probe, and no request before the
 * moment that a rate limit named.  Times are milliseconds of a monotonic
 * clock that the caller reads; random numbers are the caller's too, so that a
 * test can decide both.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PACE_H
#define BRAZE_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct BrazePace
{
	int			failures;		/* in a row; 0: the destination is up */
	int			under_way;		/* started and not yet ended */
	bool		probing;		/* the one under way is the probe */
	int64_t		not_before;		/* no request starts earlier than this */
} BrazePace;

/* what a response said of the rate limit; -1 where it said nothing */
typedef struct BrazeRateHeaders
{
	int64_t		remaining;		/* x-ratelimit-remaining */
	int64_t		wait_ms;		/* how long to wait, whichever header said so */
	int			source;			/* private: which header that was */
} BrazeRateHeaders;

extern void braze_rate_headers_reset(BrazeRateHeaders *headers);

/*
 * Reads one header line as it came ("Name: value\r\n", any case).  Order of
 * preference: x-ratelimit-retry-after, retry-after, x-ratelimit-reset.
 * epoch_ms is the wall clock, for values that are points in time.
 */
extern void braze_rate_headers_read(BrazeRateHeaders *headers,
									const char *line, int length,
									int64_t epoch_ms);

extern void braze_pace_reset(BrazePace *pace);

/*
 * May a request start now?  If not, wait_ms says when to ask again; -1 means
 * after a request that is under way has ended.  While the destination is down
 * the probe starts only when nothing else is under way, so that whatever ends
 * meanwhile cannot be taken for it.
 */
extern bool braze_pace_ready(const BrazePace *pace, int64_t now, int64_t *wait_ms);

/*
 * Every start is followed by exactly one of succeeded, failed, slow_down and
 * ended: a start without its end would hold back the probe for ever.
 */
extern void braze_pace_started(BrazePace *pace);

/* the request was cancelled, or its end says nothing of when to send the next */
extern void braze_pace_ended(BrazePace *pace);

/*
 * What became of a request.  Any answer but 429 and a fault counts as success,
 * also one that refuses what was sent.  random is in [0,1).
 */
extern void braze_pace_succeeded(BrazePace *pace, const BrazeRateHeaders *headers,
								 int64_t now);
extern void braze_pace_failed(BrazePace *pace, int64_t now, double random);
extern void braze_pace_slow_down(BrazePace *pace, const BrazeRateHeaders *headers,
								 int64_t now, double random);

#endif							/* BRAZE_PACE_H */
