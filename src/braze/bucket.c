/*-------------------------------------------------------------------------
 *
 * bucket.c
 *	  So many requests a second, and no more.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/bucket.h"

/* a bucket saves up what comes in this time */
#define BURST_MS			100.0

void
braze_bucket_set(BrazeBucket *bucket, double per_second)
{
	double		interval = per_second > 0 ? 1000 / per_second : 0;

	if (interval == bucket->interval)
		return;
	bucket->interval = interval;
	bucket->full_at = 0;
}

/* how early a token may be taken: what the bucket saves up beyond one */
static double
saved_ms(const BrazeBucket *bucket)
{
	return bucket->interval < BURST_MS ? BURST_MS - bucket->interval : 0;
}

bool
braze_bucket_ready(const BrazeBucket *bucket, int64_t now, int64_t *wait_ms)
{
	double		wait = bucket->full_at - saved_ms(bucket) - now;

	/* rounded up, but for what adding fractions leaves over */
	*wait_ms = bucket->interval > 0 && wait > 0 ? (int64_t) (wait + 0.999) : 0;
	return *wait_ms == 0;
}

void
braze_bucket_take(BrazeBucket *bucket, int64_t now)
{
	if (bucket->full_at < now)
		bucket->full_at = now;
	bucket->full_at += bucket->interval;
}
