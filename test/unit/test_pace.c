/*
 * The retry clock, the rate headers and the bucket.
 *
 * link: ../../src/braze/pace.c ../../src/braze/rate_headers.c ../../src/braze/bucket.c ../../src/braze/refusal_rate.c
 */
#include "tap.h"

#include <locale.h>

#include "braze/bucket.h"
#include "braze/pace.h"
#include "braze/refusal_rate.h"

static const int64_t wall = INT64_C(1700000000000);

static int64_t
wait_of(const char *const *lines)
{
	BrazeRateHeaders headers;

	braze_rate_headers_reset(&headers);
	for (; *lines != NULL; lines++)
		braze_rate_headers_read(&headers, *lines, (int) strlen(*lines), wall);
	return headers.wait_ms;
}

#define WAIT(...) wait_of((const char *const[]) {__VA_ARGS__, NULL})

static void
test_headers(void)
{
	BrazeRateHeaders headers;

	is_int(WAIT("Content-Type: application/json\r\n"), -1, "another header says nothing");
	is_int(WAIT("x-ratelimit-retry-after: 3\r\n"), 3000, "x-ratelimit-retry-after is seconds");
	is_int(WAIT("X-RateLimit-Retry-After:7\r\n"), 7000, "in any case, without a space");
	(void) setlocale(LC_CTYPE, "tr_TR.UTF-8");	/* where there is one, its I is no i */
	is_int(WAIT("X-RATELIMIT-RETRY-AFTER:7\r\n"), 7000, "in any locale");
	(void) setlocale(LC_CTYPE, "C");
	is_int(WAIT("retry-after: 5\r\n"), 5000, "retry-after is seconds");
	is_int(WAIT("x-ratelimit-reset: 12\r\n"), 12000, "x-ratelimit-reset may be seconds left");
	is_int(WAIT("x-ratelimit-reset: 1700000004\r\n"), 4000, "or a point in time");
	is_int(WAIT("retry-after: 5\r\n", "x-ratelimit-retry-after: 2\r\n"), 2000, "x-ratelimit-retry-after goes first");
	is_int(WAIT("x-ratelimit-retry-after: 2\r\n", "retry-after: 5\r\n"), 2000, "whichever comes first");
	is_int(WAIT("x-ratelimit-reset: 9\r\n", "retry-after: 5\r\n"), 5000, "retry-after before x-ratelimit-reset");
	ok(WAIT("retry-after: 99999999\r\n") <= 3600 * 1000, "an absurd wait is bounded");
	ok(WAIT("retry-after: 99999999999999999999999999\r\n") <= 3600 * 1000, "one that no number holds too");
	ok(WAIT("retry-after: -5\r\n") <= 0, "a negative one is no wait");
	is_int(WAIT("retry-after: soon\r\n"), -1, "a word is none");
	is_int(WAIT("retry-after:\r\n"), -1, "nothing is none");
	ok(WAIT("x-ratelimit-reset: 1600000000\r\n") <= 0, "a point in time that has passed is no wait");

	/* our clock is five minutes slow, wall is Tue, 14 Nov 2023 22:13:20 GMT */
	is_int(WAIT("Date: Tue, 14 Nov 2023 22:18:20 GMT\r\n", "x-ratelimit-reset: 1700000304\r\n"), 4000,
		   "a point in time is one of the server's clock, which its Date tells");
	is_int(WAIT("x-ratelimit-reset: 1700000304\r\n", "Date: Tue, 14 Nov 2023 22:18:20 GMT\r\n"), 4000,
		   "also when that comes after it");
	is_int(WAIT("retry-after: Tue, 14 Nov 2023 22:18:27 GMT\r\n", "Date: Tue, 14 Nov 2023 22:18:20 GMT\r\n"), 7000,
		   "and a date to retry after");
	is_int(WAIT("retry-after: 5\r\n", "Date: Tue, 14 Nov 2023 22:18:20 GMT\r\n"), 5000, "seconds are seconds");
	ok(WAIT("x-ratelimit-reset: 1700000304\r\n", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n") <= 3600 * 1000,
	   "a Date that is absurd makes no absurd wait");
	is_int(WAIT("x-ratelimit-reset: 1700000004\r\n", "Date: soon\r\n"), 4000, "one that is none is passed over");

	braze_rate_headers_reset(&headers);
	braze_rate_headers_read(&headers, "X-Ratelimit-Remaining: 0\r\n", 26, wall);
	is_int(headers.remaining, 0, "x-ratelimit-remaining");
}

static void
test_clock(void)
{
	BrazePace	pace;
	BrazeRateHeaders headers;
	int64_t		wait = 0;
	int64_t		now = 1000;
	int64_t		longest = 0;

	braze_pace_reset(&pace);
	braze_rate_headers_reset(&headers);
	ok(braze_pace_ready(&pace, true, now, &wait), "ready at the start");
	braze_pace_started(&pace);
	ok(braze_pace_ready(&pace, true, now, &wait), "while it is up, several at once");

	braze_pace_failed(&pace, true, now, 0.999);
	ok(!braze_pace_ready(&pace, true, now, &wait) && wait > 0, "after a failure it waits");
	ok(wait <= 60000, "not for ever");
	now += wait;
	ok(braze_pace_ready(&pace, true, now, &wait), "then it may try");
	braze_pace_started(&pace);
	ok(!braze_pace_ready(&pace, true, now, &wait), "with one probe alone");
	is_int(wait, -1, "and what is next depends on the probe");
	braze_pace_succeeded(&pace, &headers, now);
	ok(braze_pace_ready(&pace, true, now, &wait), "when it succeeds, all go");
	is_int(pace.failures, 0, "and the failures are forgotten");

	for (int i = 0; i < 200; i++)
	{
		braze_pace_failed(&pace, true, now, 0.999);
		if (!braze_pace_ready(&pace, true, now, &wait) && wait > longest)
			longest = wait;
		now += wait > 0 ? wait : 0;
		braze_pace_started(&pace);
	}
	ok(longest > 10000 && longest <= 60000, "waits grow up to a minute, however many failures (%lld ms)", (long long) longest);
	braze_pace_failed(&pace, true, now, 0.0);
	braze_pace_ready(&pace, true, now, &wait);
	ok(wait < 2000, "full jitter: any wait between none and that (%lld ms)", (long long) wait);

	braze_pace_reset(&pace);
	headers.wait_ms = 4000;
	braze_pace_slow_down(&pace, &headers, now, 0.5);
	ok(!braze_pace_ready(&pace, true, now, &wait) && wait >= 4000, "429: as long as the headers say");
	ok(!braze_pace_ready(&pace, true, now + 3999, &wait), "and not a moment less");
	braze_pace_reset(&pace);
	headers.wait_ms = -1;
	braze_pace_slow_down(&pace, &headers, now, 0.5);
	ok(!braze_pace_ready(&pace, true, now, &wait), "429 without a header: it backs off");
}

/* 2023-11-14 22:13:20 is the wall clock of these tests */
static void
test_dates(void)
{
	BrazeRateHeaders headers;

	is_int(WAIT("Retry-After: Tue, 14 Nov 2023 22:13:50 GMT\r\n"), 30000, "retry-after may be a date");
	is_int(WAIT("Retry-After: Tue, 14 Nov 2023 22:13:00 GMT\r\n"), 0, "one that has passed is no wait");
	is_int(WAIT("Retry-After: Thu, 29 Feb 2024 00:00:00 GMT\r\n"), 3600 * 1000, "one that is far away is bounded");
	is_int(WAIT("Retry-After: Tue, 14 Nov 9999 22:13:50 GMT\r\n"), 3600 * 1000, "very far too");
	is_int(WAIT("Retry-After: Tuesday, 14-Nov-23 22:13:50 GMT\r\n"), -1, "a date of another form is none");
	is_int(WAIT("Retry-After: Tue, 14 ovD 2023 22:13:50 GMT\r\n"), -1, "nor one of no month");
	is_int(WAIT("Retry-After: Tue, 14 Nov 2023 25:13:50 GMT\r\n"), -1, "nor one of no hour");
	is_int(WAIT("Retry-After: Tue, 14 Nov 2023 22:13:50 CET\r\n"), -1, "nor one of another zone");
	is_int(WAIT("x-ratelimit-reset: Tue, 14 Nov 2023 22:13:50 GMT\r\n"), -1, "the others take no date");

	is_int(WAIT("retry-after: 1.2\r\n"), 2000, "a fraction is rounded up");
	is_int(WAIT("retry-after: 2.0\r\n"), 2000, "where there is one");
	is_int(WAIT("retry-after: 1e3\r\n"), -1, "an exponent is no number");
	is_int(WAIT("retry-after: +5\r\n"), -1, "nor is a sign");
	is_int(WAIT("retry-after: 5 s\r\n"), -1, "nor a unit");
	is_int(WAIT("retry-after:\t5 \t\r\n"), 5000, "white space around it is none of it");
	is_int(WAIT("retry-after: 5"), 5000, "nor is the end of the line needed");
	is_int(WAIT("retry-after : 5\r\n"), -1, "a space before the colon makes another name");
	is_int(WAIT("x-retry-after: 5\r\n"), -1, "as does anything before it");
	is_int(WAIT("retry-after: 3\r\n", "retry-after: 8\r\n", "retry-after: 5\r\n"), 8000, "of several the longest");
	is_int(WAIT("x-ratelimit-reset: 1700000004000\r\n"), 3600 * 1000, "a point in time in milliseconds is bounded");
	ok(WAIT("retry-after: 0000000000000000000000000000000000000000000000000000000000000000000000005\r\n") <= 5000, "a line longer than any number");

	braze_rate_headers_reset(&headers);
	braze_rate_headers_read(&headers, "retry-after: 59", 14, wall);
	is_int(headers.wait_ms, 5000, "no more is read than the line is long");
	braze_rate_headers_read(&headers, "x-ratelimit-retry-after: 1\0" "2\r\n", 31, wall);
	is_int(headers.wait_ms, 5000, "a NUL makes it nothing");
	braze_rate_headers_read(&headers, "", 0, wall);
	braze_rate_headers_read(&headers, ":", 1, wall);
	braze_rate_headers_read(&headers, "retry-after", 11, wall);
	is_int(headers.wait_ms, 5000, "nor does a line without name, value or colon say anything");
}

static int64_t
wait_after(const BrazePace *pace, int64_t now)
{
	int64_t		wait;

	return braze_pace_ready(pace, true, now, &wait) ? 0 : wait;
}

static void
test_together(void)
{
	BrazePace	pace;
	BrazeRateHeaders headers;
	int64_t		wait;

	braze_pace_reset(&pace);
	for (int i = 0; i < 16; i++)
		braze_pace_started(&pace);
	braze_pace_failed(&pace, true, 1000, 0.5);
	is_int(wait_after(&pace, 1000), -1, "down, it waits for all that are under way");
	for (int i = 0; i < 15; i++)
		braze_pace_failed(&pace, true, 1000, 0.5);
	is_int(pace.failures, 1, "sixteen that break together are one failure");
	is_int(wait_after(&pace, 1000), 250, "and one wait: half of the first, with that random number");
	braze_pace_started(&pace);
	braze_pace_failed(&pace, true, 2000, 0.5);
	is_int(wait_after(&pace, 2000), 500, "a probe that fails doubles it");
	braze_pace_started(&pace);
	braze_pace_ended(&pace);
	is_int(wait_after(&pace, 3000), 0, "one that was cancelled says nothing");
	braze_pace_started(&pace);
	braze_pace_failed(&pace, true, 3000, 0.5);
	is_int(wait_after(&pace, 3000), 1000, "the next doubles it again");

	braze_pace_reset(&pace);
	braze_rate_headers_reset(&headers);
	headers.wait_ms = 7000;
	braze_pace_started(&pace);
	braze_pace_started(&pace);
	braze_pace_slow_down(&pace, &headers, 1000, 0.5);
	braze_pace_succeeded(&pace, NULL, 1000);
	is_int(wait_after(&pace, 1000), 7000, "a success after a rate limit does not end the wait");

	braze_pace_reset(&pace);
	headers.remaining = 0;
	braze_pace_started(&pace);
	braze_pace_succeeded(&pace, &headers, 1000);
	is_int(wait_after(&pace, 1000), 7000, "the last request that the limit has room for is followed by a wait");
	braze_pace_reset(&pace);
	headers.remaining = 1;
	braze_pace_started(&pace);
	braze_pace_succeeded(&pace, &headers, 1000);
	is_int(wait_after(&pace, 1000), 0, "the one before it is not");

	braze_pace_reset(&pace);
	headers.wait_ms = INT64_MAX;
	braze_pace_started(&pace);
	braze_pace_slow_down(&pace, &headers, 1000, 0.5);
	ok(!braze_pace_ready(&pace, true, 1000, &wait) && wait == 3600 * 1000, "no wait is longer than an hour");

	braze_pace_reset(&pace);
	braze_pace_ended(&pace);
	is_int(pace.under_way, 0, "an end that comes after a reset is not counted");
}

/*
 * with the failures that came before, the wait is between none and all of this
 */
static void
test_jitter(void)
{
	int64_t		ceiling = 500;

	for (int failures = 1; failures <= 12; failures++)
	{
		BrazePace	low;
		BrazePace	high;

		braze_pace_reset(&low);
		for (int i = 1; i < failures; i++)
		{
			braze_pace_started(&low);
			braze_pace_failed(&low, true, 0, 0.0);
		}
		high = low;
		braze_pace_started(&low);
		braze_pace_failed(&low, true, 1000, 0.0);
		braze_pace_started(&high);
		braze_pace_failed(&high, true, 1000, 0.9999999);
		ok(wait_after(&low, 1000) == 0 && wait_after(&high, 1000) == ceiling - 1,
		   "after %d failures the wait is below %lld ms", failures, (long long) ceiling);
		ceiling = ceiling * 2 > 60000 ? 60000 : ceiling * 2;
	}
}

/* what failed before and fails again must not hold up what was never tried */
static void
test_fresh(void)
{
	BrazePace	pace;
	int64_t		now = 1000;
	int64_t		wait;

	braze_pace_reset(&pace);
	is_int(pace.failing_since, -1, "at the start nothing fails");
	for (int i = 0; i < 10; i++)
	{
		braze_pace_started(&pace);
		braze_pace_failed(&pace, false, now, 0.9999999);
	}
	ok(!braze_pace_ready(&pace, false, now + 59998, &wait) && wait == 1, "what fails again and again waits up to a minute");
	ok(braze_pace_ready(&pace, true, now, &wait), "what is fresh is tried at once");
	braze_pace_started(&pace);
	ok(!braze_pace_ready(&pace, true, now, &wait) && wait == -1, "alone");
	braze_pace_failed(&pace, true, now, 0.9999999);
	ok(!braze_pace_ready(&pace, true, now, &wait) && wait == 499, "if it fails too, it is the first of its kind");
	now += 499;
	braze_pace_started(&pace);
	braze_pace_failed(&pace, true, now, 0.9999999);
	ok(!braze_pace_ready(&pace, true, now, &wait) && wait == 999, "the next waits longer");
	is_int(pace.failing_since, 1000, "and it is known since when it has failed");
	braze_pace_started(&pace);
	braze_pace_succeeded(&pace, NULL, now);
	ok(braze_pace_ready(&pace, false, now, &wait) && braze_pace_ready(&pace, true, now, &wait),
	   "a success ends the waiting of all");
	is_int(pace.failing_since, -1, "and the outage");

	braze_pace_started(&pace);
	braze_pace_failed(&pace, true, now, 0.5);
	braze_pace_started(&pace);
	braze_pace_slow_down(&pace, NULL, now, 0.5);
	is_int(pace.failing_since, -1, "429 is no fault: the outage is over");
	braze_pace_rested(&pace);
	ok(!braze_pace_ready(&pace, false, now, &wait) && !braze_pace_ready(&pace, true, now, &wait),
	   "but everything waits for it");
}

/* how many of the requests that want to start do so within a time */
static int
started_within(BrazeBucket *bucket, int64_t *now, int64_t ms)
{
	int64_t		end = *now + ms;
	int64_t		wait;
	int			n = 0;

	while (*now < end)
	{
		if (braze_bucket_ready(bucket, *now, &wait))
		{
			braze_bucket_take(bucket, *now);
			n++;
		}
		else
			*now += wait;
	}
	return n;
}

static void
test_bucket(void)
{
	BrazeBucket bucket = {0};
	int64_t		now = 1000000;
	int64_t		wait;
	int			n = 0;

	ok(braze_bucket_ready(&bucket, now, &wait), "without a limit it is always ready");

	braze_bucket_set(&bucket, 100);
	while (n < 1000 && braze_bucket_ready(&bucket, now, &wait))
	{
		braze_bucket_take(&bucket, now);
		n++;
	}
	is_int(n, 10, "a tenth of a second's worth may go at once");
	is_int(wait, 10, "then one every 10 ms");
	n = started_within(&bucket, &now, 60000);
	ok(n >= 5999 && n <= 6000, "100 a second are 6000 in a minute (%d)", n);

	for (double rate = 3; rate < 1000; rate *= 1.7)
	{
		memset(&bucket, 0, sizeof(bucket));
		braze_bucket_set(&bucket, rate);
		n = started_within(&bucket, &now, 100000);
		ok(n >= (int) (rate * 99) && n <= (int) (rate * 100.1) + 2, "%.3f a second are %d in 100 s", rate, n);
	}

	memset(&bucket, 0, sizeof(bucket));
	braze_bucket_set(&bucket, 0.5);
	ok(braze_bucket_ready(&bucket, now, &wait), "a lone request goes at once, however low the rate");
	braze_bucket_take(&bucket, now);
	ok(!braze_bucket_ready(&bucket, now, &wait) && wait == 2000, "half a request a second is one every two seconds");
	ok(!braze_bucket_ready(&bucket, now + 1999, &wait) && braze_bucket_ready(&bucket, now + 2000, &wait), "to the millisecond");
	now += 3600 * 1000;
	braze_bucket_take(&bucket, now);
	ok(!braze_bucket_ready(&bucket, now, &wait), "and an idle hour saves up no more than one");

	braze_bucket_set(&bucket, 0.5);
	ok(!braze_bucket_ready(&bucket, now, &wait), "the same limit once more gives nothing away");
	braze_bucket_set(&bucket, 0);
	ok(braze_bucket_ready(&bucket, now, &wait), "a limit may be taken away");
	braze_bucket_take(&bucket, now);
	braze_bucket_set(&bucket, 1000);
	n = started_within(&bucket, &now, 10000);
	ok(n >= 10000 && n <= 10100, "and set again (%d in 10 s)", n);
}

static void
test_flood(void)
{
	BrazeRefusalRate	flood;

	braze_refusal_rate_reset(&flood);
	braze_refusal_rate_judged(&flood, 50, true);
	ok(!braze_refusal_rate_is_high(&flood), "fifty refused at the start are not yet over half of a hundred");
	braze_refusal_rate_judged(&flood, 1, true);
	ok(braze_refusal_rate_is_high(&flood), "51 are");
	braze_refusal_rate_judged(&flood, 49, false);
	ok(braze_refusal_rate_is_high(&flood), "51 and then 49 others too");
	braze_refusal_rate_judged(&flood, 1, false);
	ok(!braze_refusal_rate_is_high(&flood), "what is longer ago than a hundred calls does not count");
	braze_refusal_rate_judged(&flood, 1, true);
	ok(!braze_refusal_rate_is_high(&flood), "a new one takes the place of an old one");
	braze_refusal_rate_judged(&flood, 1, false);
	is_int(flood.count, 49, "and is counted once");
	braze_refusal_rate_judged(&flood, 1000000000, false);
	is_int(flood.count, 0, "a large accepted request is as good as a hundred calls");
	for (int i = 0; i < 100000; i++)
		braze_refusal_rate_judged(&flood, 1, i % 2 == 0);
	ok(!braze_refusal_rate_is_high(&flood), "half of them is not over half, however long");
	braze_refusal_rate_judged(&flood, 2, true);
	ok(braze_refusal_rate_is_high(&flood), "a little more is");
	braze_refusal_rate_reset(&flood);
	ok(!braze_refusal_rate_is_high(&flood), "and a reset forgets it");
}

int
main(void)
{
	test_flood();
	test_fresh();
	test_bucket();
	test_headers();
	test_dates();
	test_together();
	test_jitter();
	test_clock();
	return done();
}
