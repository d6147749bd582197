/*-------------------------------------------------------------------------
 *
 * histogram.c
 *	  How long things took, in fixed buckets.
 *
 *-------------------------------------------------------------------------
 */
#include "base/histogram.h"

/*
 * From an answer that comes at once to an outage of a day: requests and
 * deliveries share the bounds.
 */
const int64_t braze_histogram_bounds_ms[BRAZE_HISTOGRAM_BOUNDS] = {
	10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
	300000, 900000, 3600000, 10800000, 43200000, 86400000
};

void
braze_histogram_add(BrazeHistogram *histogram, int64_t ms)
{
	int			bucket = 0;

	if (ms < 0)
		ms = 0;
	while (bucket < BRAZE_HISTOGRAM_BOUNDS && ms > braze_histogram_bounds_ms[bucket])
		bucket++;
	histogram->counts[bucket]++;
	histogram->seconds += (double) ms / 1000;
}

void
braze_histogram_merge(BrazeHistogram *into, const BrazeHistogram *from)
{
	for (int i = 0; i <= BRAZE_HISTOGRAM_BOUNDS; i++)
		into->counts[i] += from->counts[i];
	into->seconds += from->seconds;
}

int64_t
braze_histogram_up_to(const BrazeHistogram *histogram, int bound)
{
	int64_t		count = 0;

	for (int i = 0; i <= bound; i++)
		count += histogram->counts[i];
	return count;
}
