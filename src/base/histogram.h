/*-------------------------------------------------------------------------
 *
 * histogram.h
 *	  How long things took, in fixed buckets.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HISTOGRAM_H
#define BRAZE_HISTOGRAM_H

#include <stdint.h>

#define BRAZE_HISTOGRAM_BOUNDS	18

/* inclusive upper bounds, ascending; the last bucket has none */
extern const int64_t braze_histogram_bounds_ms[BRAZE_HISTOGRAM_BOUNDS];

typedef struct BrazeHistogram
{
	int64_t		counts[BRAZE_HISTOGRAM_BOUNDS + 1];
	double		seconds;		/* of all together */
} BrazeHistogram;

/* less than nothing counts as nothing: a clock was set back */
extern void braze_histogram_add(BrazeHistogram *histogram, int64_t ms);
extern void braze_histogram_merge(BrazeHistogram *into, const BrazeHistogram *from);

/*
 * how many took no longer than that bound;
 * BRAZE_HISTOGRAM_BOUNDS: how many at all
 */
extern int64_t braze_histogram_up_to(const BrazeHistogram *histogram, int bound);

#endif							/* BRAZE_HISTOGRAM_H */
