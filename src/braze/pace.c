/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  When a destination may be sent its next request.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/pace.h"

#include <string.h>

/*
 * The first retry comes within half a second, since most faults are a
 * restarting node behind Braze's load balancer.
 */
#define BACKOFF_BASE_MS		500

/*
 * A probe at least once a minute: an outage that is over is noticed soon, and
 * one request a minute harms nobody.
 */
#define BACKOFF_CAP_MS		(60 * 1000)

void
braze_pace_reset(BrazePace *pace)
{
	memset(pace, 0, sizeof(*pace));
	pace->failing_since = -1;
}

bool
braze_pace_ready(const BrazePace *pace, bool fresh, int64_t now, int64_t *wait_ms)
{
	int64_t		at = fresh ? pace->fresh_at : pace->retry_at;

	if (at < pace->not_before)
		at = pace->not_before;
	/* while it fails, one request at a time finds out whether it still does */
	if (pace->failures > 0 && pace->under_way > 0)
	{
		*wait_ms = -1;
		return false;
	}
	if (now < at)
	{
		*wait_ms = at - now;
		return false;
	}
	*wait_ms = 0;
	return true;
}

void
braze_pace_started(BrazePace *pace)
{
	pace->probing = pace->failures > 0;
	pace->under_way++;
}

/* true if the request that ended was the probe */
static bool
end_request(BrazePace *pace)
{
	bool		was_probe = pace->probing;

	/* a reset forgets the requests under way, whose ends still come */
	if (pace->under_way > 0)
		pace->under_way--;
	pace->probing = false;
	return was_probe;
}

void
braze_pace_ended(BrazePace *pace)
{
	(void) end_request(pace);
}

/* how long to wait after so many failures in a row */
static int64_t
backoff_ms(int failures, double random)
{
	int64_t		ceiling = BACKOFF_BASE_MS;

	for (int i = 1; i < failures && ceiling < BACKOFF_CAP_MS; i++)
		ceiling *= 2;
	if (ceiling > BACKOFF_CAP_MS)
		ceiling = BACKOFF_CAP_MS;
	return (int64_t) (ceiling * random);
}

/* years of failures must not overflow it */
static void
count_failure(int *failures)
{
	if (*failures < INT32_MAX)
		(*failures)++;
}

/*
 * Does a failure count?  Of the requests that were under way together when
 * the destination went down only the first one does: sixteen connections that
 * break at once are one failure, not sixteen in a row.
 */
static bool
failure_counts(const BrazePace *pace, bool was_probe)
{
	return pace->failures == 0 || was_probe;
}

/* it is up, which ends the waiting for it to come back */
static void
is_up(BrazePace *pace)
{
	pace->failures = pace->fresh_failures = 0;
	pace->retry_at = pace->fresh_at = 0;
	pace->failing_since = -1;
}

void
braze_pace_rested(BrazePace *pace)
{
	is_up(pace);
}

/*
 * The wait that a rate limit named goes on: a request that was under way when
 * it was named may well succeed after it.
 */
void
braze_pace_succeeded(BrazePace *pace, const BrazeRateHeaders *headers, int64_t now)
{
	(void) end_request(pace);
	is_up(pace);
	if (headers != NULL && headers->remaining == 0 &&
		pace->not_before < now + braze_rate_headers_wait(headers))
		pace->not_before = now + braze_rate_headers_wait(headers);
}

void
braze_pace_failed(BrazePace *pace, bool fresh, int64_t now, double random)
{
	if (!failure_counts(pace, end_request(pace)))
		return;
	if (pace->failing_since < 0)
		pace->failing_since = now;
	count_failure(&pace->failures);
	pace->retry_at = now + backoff_ms(pace->failures, random);
	/* calls that failed before say nothing of those that were not tried */
	if (!fresh)
		return;
	count_failure(&pace->fresh_failures);
	pace->fresh_at = now + backoff_ms(pace->fresh_failures, random);
}

/*
 * Over the rate limit.  A wait that the answer names counts, whoever got it;
 * without one, or when it is zero, the backoff keeps the probes apart.
 */
void
braze_pace_slow_down(BrazePace *pace, const BrazeRateHeaders *headers,
					 int64_t now, double random)
{
	bool		counted = failure_counts(pace, end_request(pace));
	int64_t		wait_ms = 0;

	/* somebody answers, so this is not an outage */
	pace->failing_since = -1;
	if (counted)
	{
		count_failure(&pace->failures);
		count_failure(&pace->fresh_failures);
		wait_ms = backoff_ms(pace->failures, random);
	}
	if (braze_rate_headers_wait(headers) > 0)
		wait_ms = braze_rate_headers_wait(headers);
	if (pace->not_before < now + wait_ms)
		pace->not_before = now + wait_ms;
}
