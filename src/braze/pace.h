/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  When a destination may be sent its next request.
 *
 * Plain C.  A clock: exponential backoff with full jitter while requests
 * fail, with one of them as the probe, and none before the moment that a rate
 * limit named.  A bucket: so many requests a second and no more.  Times are
 * milliseconds of a monotonic clock that the caller reads; random numbers are
 * the caller's too, so that a test can decide both.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PACE_H
#define BRAZE_PACE_H

#include <stdbool.h>
#include <stdint.h>

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
	int64_t		failing_since;	/* only faults since then, -1: it does not fail */
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

/* the request was cancelled, or its end says nothing of when to send the next */
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

/*
 * A token bucket.  It saves up a tenth of a second's worth of requests, at
 * least one, so that a lone call never waits and no burst is worth mentioning.
 */
typedef struct BrazeBucket
{
	double		interval;		/* a token in so many ms, 0: as many as you like */
	double		full_at;		/* when it is full if nothing is taken */
} BrazeBucket;

/* another limit begins with a full bucket; the same one changes nothing */
extern void braze_bucket_set(BrazeBucket *bucket, double per_second);
extern bool braze_bucket_ready(const BrazeBucket *bucket, int64_t now, int64_t *wait_ms);
extern void braze_bucket_take(BrazeBucket *bucket, int64_t now);

/*
 * Of the calls that Braze judged last, which stood alone in their request and
 * were refused as malformed?  When it is over half, the cause is hardly the
 * calls: better to stop than to refuse everything.
 */
#define BRAZE_FLOOD_CALLS	100

typedef struct BrazeFlood
{
	bool		malformed[BRAZE_FLOOD_CALLS];	/* a ring */
	int			next;
	int			count;			/* that are malformed */
} BrazeFlood;

extern void braze_flood_reset(BrazeFlood *flood);
extern void braze_flood_judged(BrazeFlood *flood, int calls, bool malformed);
extern bool braze_flood_is_on(const BrazeFlood *flood);

#endif							/* BRAZE_PACE_H */
