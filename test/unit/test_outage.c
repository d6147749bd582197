/*
 * When the log tells of an outage.
 *
 * link: ../../src/braze/outage.c
 */
#include "tap.h"

#include "braze/outage.h"

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)

/* how many lines an endpoint makes that is down and up in turn, for a day */
static int
lines_of_a_day(int64_t down, int64_t up)
{
	BrazeOutage outage = {0};
	int			lines = 0;

	for (int64_t start = 0; start < 24 * 60 * MINUTE; start += down + up)
	{
		for (int64_t now = start; now < start + down; now += SECOND)
			lines += braze_outage_begins(&outage, start, now);
		lines += braze_outage_ends(&outage);
	}
	return lines;
}

static void
test_one(void)
{
	BrazeOutage outage = {0};
	const int64_t since = 5 * SECOND;	/* the machine has just been started */

	ok(!braze_outage_ends(&outage), "without an outage there is no end");
	ok(!braze_outage_begins(&outage, since, since), "a failure is not told");
	ok(!braze_outage_begins(&outage, since, since + MINUTE - 1), "nor what lasts less than a minute");
	ok(braze_outage_begins(&outage, since, since + MINUTE), "a minute is told");
	is_int(outage.since, since, "with its begin");
	ok(!braze_outage_begins(&outage, since, since + 60 * MINUTE), "once");
	ok(braze_outage_ends(&outage), "so is its end");
	ok(!braze_outage_ends(&outage), "once");
}

static void
test_short_ones(void)
{
	BrazeOutage outage = {0};

	ok(!braze_outage_begins(&outage, 0, 59 * SECOND), "59 seconds are not told");
	ok(!braze_outage_ends(&outage), "nor is their end");
}

static void
test_next_one(void)
{
	BrazeOutage outage = {0};

	(void) braze_outage_begins(&outage, 0, MINUTE);
	(void) braze_outage_ends(&outage);
	ok(!braze_outage_begins(&outage, 2 * MINUTE, 4 * MINUTE), "soon after one that was told another is not");
	ok(!braze_outage_ends(&outage), "nor its end");
	ok(!braze_outage_begins(&outage, 5 * MINUTE, 11 * MINUTE - 1), "for ten minutes");
	ok(braze_outage_begins(&outage, 5 * MINUTE, 11 * MINUTE), "after these one that lasts is");
	is_int(outage.since, 5 * MINUTE, "from its begin on");
	ok(braze_outage_ends(&outage), "and so is its end");
}

static void
test_cancelled(void)
{
	BrazeOutage outage = {0};

	(void) braze_outage_begins(&outage, 0, MINUTE);
	braze_outage_cancel(&outage);
	ok(!braze_outage_ends(&outage), "a destination that was dropped or paused is not told to be back");
}

static void
test_flapping(void)
{
	is_int(lines_of_a_day(30 * SECOND, SECOND), 0, "30 s down, 1 s up: nothing");
	ok(lines_of_a_day(70 * SECOND, SECOND) <= 2 * 24 * 6 + 2, "70 s down, 1 s up: two lines in ten minutes at most");
	is_int(lines_of_a_day(20 * MINUTE, 40 * MINUTE), 2 * 24, "20 minutes of each hour: each is told");
	is_int(lines_of_a_day(24 * 60 * MINUTE, SECOND), 2, "a day: two lines");
}

int
main(void)
{
	test_one();
	test_short_ones();
	test_next_one();
	test_cancelled();
	test_flapping();
	return done();
}
