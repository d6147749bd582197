/*-------------------------------------------------------------------------
 *
 * bucket.h
 *	  So many requests a second, and no more.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_BUCKET_H
#define BRAZE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket.  It saves up a tenth of a second's worth of requests, at
 * least one, so that a lone call never waits and no burst is worth mentioning.
 */
typedef struct BrazeBucket
{
	double		interval;		/* a token in so many ms, 0: as many as you
								 * like */
	double		full_at;		/* when it is full if nothing is taken */
} BrazeBucket;

/* another limit begins with a full bucket; the same one changes nothing */
extern void braze_bucket_set(BrazeBucket *bucket, double per_second);
extern bool braze_bucket_ready(const BrazeBucket *bucket, int64_t now, int64_t *wait_ms);
extern void braze_bucket_take(BrazeBucket *bucket, int64_t now);

#endif							/* BRAZE_BUCKET_H */
