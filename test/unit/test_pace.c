/*
 * The retry clock and the rate headers.
 *
 * link: ../../src/pace.c
 */
#include "tap.h"

#include "pace.h"

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
	ok(braze_pace_ready(&pace, now, &wait), "ready at the start");
	braze_pace_started(&pace);
	ok(braze_pace_ready(&pace, now, &wait), "while it is up, several at once");

	braze_pace_failed(&pace, now, 0.999);
	ok(!braze_pace_ready(&pace, now, &wait) && wait > 0, "after a failure it waits");
	ok(wait <= 60000, "not for ever");
	now += wait;
	ok(braze_pace_ready(&pace, now, &wait), "then it may try");
	braze_pace_started(&pace);
	ok(!braze_pace_ready(&pace, now, &wait), "with one probe alone");
	is_int(wait, -1, "and what is next depends on the probe");
	braze_pace_succeeded(&pace, &headers, now);
	ok(braze_pace_ready(&pace, now, &wait), "when it succeeds, all go");
	is_int(pace.failures, 0, "and the failures are forgotten");

	for (int i = 0; i < 200; i++)
	{
		braze_pace_failed(&pace, now, 0.999);
		if (!braze_pace_ready(&pace, now, &wait) && wait > longest)
			longest = wait;
		now += wait > 0 ? wait : 0;
		braze_pace_started(&pace);
	}
	ok(longest > 10000 && longest <= 60000, "waits grow up to a minute, however many failures (%lld ms)", (long long) longest);
	braze_pace_failed(&pace, now, 0.0);
	braze_pace_ready(&pace, now, &wait);
	ok(wait < 2000, "full jitter: any wait between none and that (%lld ms)", (long long) wait);

	braze_pace_reset(&pace);
	headers.wait_ms = 4000;
	braze_pace_slow_down(&pace, &headers, now, 0.5);
	ok(!braze_pace_ready(&pace, now, &wait) && wait >= 4000, "429: as long as the headers say");
	ok(!braze_pace_ready(&pace, now + 3999, &wait), "and not a moment less");
	braze_pace_reset(&pace);
	headers.wait_ms = -1;
	braze_pace_slow_down(&pace, &headers, now, 0.5);
	ok(!braze_pace_ready(&pace, now, &wait), "429 without a header: it backs off");
}

int
main(void)
{
	test_headers();
	test_clock();
	return done();
}
