/*
 * How long things took, in buckets.
 *
 * link: ../../src/base/histogram.c
 */
#include "tap.h"

#include "base/histogram.h"

static void
test_bounds(void)
{
	bool		ascending = true;

	for (int i = 1; i < BRAZE_HISTOGRAM_BOUNDS; i++)
		ascending = ascending && braze_histogram_bounds_ms[i - 1] < braze_histogram_bounds_ms[i];
	ok(ascending, "the bounds ascend");
}

static void
test_each_bound(void)
{
	BrazeHistogram histogram = {{0}, 0};
	bool		inside = true;
	bool		outside = true;

	for (int i = 0; i < BRAZE_HISTOGRAM_BOUNDS; i++)
	{
		BrazeHistogram one = {{0}, 0};

		braze_histogram_add(&one, braze_histogram_bounds_ms[i]);
		inside = inside && braze_histogram_up_to(&one, i) == 1 &&
			(i == 0 || braze_histogram_up_to(&one, i - 1) == 0);
		braze_histogram_add(&one, braze_histogram_bounds_ms[i] + 1);
		outside = outside && braze_histogram_up_to(&one, i) == 1 &&
			braze_histogram_up_to(&one, i + 1) == 2;
		braze_histogram_merge(&histogram, &one);
	}
	ok(inside, "a bound belongs to its bucket");
	ok(outside, "what is longer belongs to the next one");
	is_int(braze_histogram_up_to(&histogram, BRAZE_HISTOGRAM_BOUNDS), 2 * BRAZE_HISTOGRAM_BOUNDS,
		   "merged histograms have what each had");
}

static void
test_extremes(void)
{
	BrazeHistogram histogram = {{0}, 0};

	braze_histogram_add(&histogram, -5);
	is_int(braze_histogram_up_to(&histogram, 0), 1, "less than nothing is nothing");
	ok(histogram.seconds == 0, "and adds nothing");
	braze_histogram_add(&histogram, INT64_MAX);
	is_int(braze_histogram_up_to(&histogram, BRAZE_HISTOGRAM_BOUNDS - 1), 1, "what took for ever is above all bounds");
	is_int(braze_histogram_up_to(&histogram, BRAZE_HISTOGRAM_BOUNDS), 2, "and counts");
	braze_histogram_add(&histogram, INT64_MAX);
	ok(histogram.seconds > 1e16, "the sum does not overflow");
}

static void
test_sum(void)
{
	BrazeHistogram one = {{0}, 0};
	BrazeHistogram all = {{0}, 0};

	braze_histogram_add(&one, 1500);
	braze_histogram_add(&one, 250);
	braze_histogram_merge(&all, &one);
	braze_histogram_merge(&all, &one);
	ok(all.seconds == 3.5, "the sum is in seconds");
	is_int(braze_histogram_up_to(&all, BRAZE_HISTOGRAM_BOUNDS), 4, "of all");
}

int
main(void)
{
	test_bounds();
	test_each_bound();
	test_extremes();
	test_sum();
	return done();
}
