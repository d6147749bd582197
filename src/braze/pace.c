/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  When a destination may be sent its next request.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/ascii.h"
#include "braze/pace.h"

#include <stdio.h>
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

/* a bucket saves up what comes in this time */
#define BURST_MS			100.0

/*
 * Braze's longest rate limit is by the hour, so a header that asks for more is
 * wrong, and believing it would stop a destination for days.
 */
#define MAX_WAIT_MS			((int64_t) 60 * 60 * 1000)

/*
 * x-ratelimit-reset is documented as seconds left and as seconds since 1970;
 * no rate limit lasts 30 years.
 */
#define FIRST_EPOCH_SECOND	1000000000

/* where a wait comes from, the most trusted last */
enum
{
	SOURCE_NONE,
	SOURCE_RESET,
	SOURCE_RETRY_AFTER,
	SOURCE_RATELIMIT_RETRY_AFTER
};

static int64_t
clamp_wait(int64_t wait_ms)
{
	if (wait_ms < 0)
		return 0;
	return wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS;
}

void
braze_rate_headers_reset(BrazeRateHeaders *headers)
{
	headers->remaining = -1;
	headers->wait_ms = -1;
	headers->source = SOURCE_NONE;
}

/*
 * A number without sign; a fraction rounds it up.  Too large a number becomes
 * one that every clamp catches, and that can still be multiplied by 1000.
 */
static bool
parse_number(const char *value, int64_t *number)
{
	const int64_t limit = INT64_MAX / 10000;
	const char *p = value;
	int64_t		n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		n = n < limit ? n * 10 + (*p - '0') : limit;
	if (*p == '.')
	{
		bool		fraction = false;

		for (p++; *p >= '0' && *p <= '9'; p++)
			fraction |= *p != '0';
		n += fraction;
	}
	if (*p != '\0')
		return false;
	*number = n < limit ? n : limit;
	return true;
}

/* days from 1970-01-01 to a date of the Gregorian calendar */
static int64_t
days_since_epoch(int year, int month, int day)
{
	int			y = month <= 2 ? year - 1 : year;
	int			era = y / 400;
	int			year_of_era = y - era * 400;
	int			day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return (int64_t) era * 146097 + year_of_era * 365 + year_of_era / 4 -
		year_of_era / 100 + day_of_year - 719468;
}

/*
 * "Sun, 06 Nov 1994 08:49:37 GMT", the one form of a date that RFC 9110 lets a
 * server send.  By hand, since strptime depends on the locale.
 */
static bool
parse_http_date(const char *value, int64_t *epoch_seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *found;
	char		month[4];
	int			day,
				year,
				hour,
				minute,
				second,
				end = 0;

	if (sscanf(value, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
			   &day, month, &year, &hour, &minute, &second, &end) != 6 ||
		end == 0 || value[end] != '\0')
		return false;
	if (day < 1 || day > 31 || year < 1970 || hour < 0 || hour > 23 ||
		minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	found = strstr(months, month);
	if (found == NULL || strlen(month) != 3 || (found - months) % 3 != 0)
		return false;
	*epoch_seconds = days_since_epoch(year, (int) (found - months) / 3 + 1, day) * 86400 +
		hour * 3600 + minute * 60 + second;
	return true;
}

static void
note_wait(BrazeRateHeaders *headers, int source, int64_t wait_ms)
{
	wait_ms = clamp_wait(wait_ms);
	if (source > headers->source ||
		(source == headers->source && wait_ms > headers->wait_ms))
	{
		headers->source = source;
		headers->wait_ms = wait_ms;
	}
}

void
braze_rate_headers_read(BrazeRateHeaders *headers, const char *line, int length,
						int64_t epoch_ms)
{
	const char *colon = memchr(line, ':', length > 0 ? length : 0);
	const char *end = line + length;
	const char *start;
	size_t		name_length;
	char		value[64];
	int64_t		number;

	if (colon == NULL)
		return;
	name_length = colon - line;

	for (start = colon + 1; start < end && (*start == ' ' || *start == '\t'); start++)
		;
	while (end > start && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end == start || (size_t) (end - start) >= sizeof(value))
		return;
	memcpy(value, start, end - start);
	value[end - start] = '\0';
	if (strlen(value) != (size_t) (end - start))
		return;

#define IS_NAME(s)	(name_length == sizeof(s) - 1 && braze_ascii_begins(line, name_length, s))
	if (IS_NAME("x-ratelimit-remaining"))
	{
		if (parse_number(value, &number))
			headers->remaining = number;
	}
	else if (IS_NAME("x-ratelimit-retry-after"))
	{
		if (parse_number(value, &number))
			note_wait(headers, SOURCE_RATELIMIT_RETRY_AFTER, number * 1000);
	}
	else if (IS_NAME("retry-after"))
	{
		if (parse_number(value, &number))
			note_wait(headers, SOURCE_RETRY_AFTER, number * 1000);
		else if (parse_http_date(value, &number))
			note_wait(headers, SOURCE_RETRY_AFTER, number * 1000 - epoch_ms);
	}
	else if (IS_NAME("x-ratelimit-reset"))
	{
		if (parse_number(value, &number))
			note_wait(headers, SOURCE_RESET,
					  number >= FIRST_EPOCH_SECOND ? number * 1000 - epoch_ms : number * 1000);
	}
#undef IS_NAME
}

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
backoff(int failures, double random)
{
	int64_t		ceiling = BACKOFF_BASE_MS;

	for (int i = 1; i < failures && ceiling < BACKOFF_CAP_MS; i++)
		ceiling *= 2;
	if (ceiling > BACKOFF_CAP_MS)
		ceiling = BACKOFF_CAP_MS;
	return (int64_t) (ceiling * random);
}

static void
count_one(int *failures)
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
counts(const BrazePace *pace, bool was_probe)
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
	if (headers != NULL && headers->remaining == 0 && headers->wait_ms > 0 &&
		pace->not_before < now + clamp_wait(headers->wait_ms))
		pace->not_before = now + clamp_wait(headers->wait_ms);
}

void
braze_pace_failed(BrazePace *pace, bool fresh, int64_t now, double random)
{
	if (!counts(pace, end_request(pace)))
		return;
	if (pace->failing_since < 0)
		pace->failing_since = now;
	count_one(&pace->failures);
	pace->retry_at = now + backoff(pace->failures, random);
	if (!fresh)
		return;
	count_one(&pace->fresh_failures);
	pace->fresh_at = now + backoff(pace->fresh_failures, random);
}

/*
 * Over the rate limit.  A wait that the answer names counts, whoever got it;
 * without one, or when it is zero, the backoff keeps the probes apart.
 */
void
braze_pace_slow_down(BrazePace *pace, const BrazeRateHeaders *headers,
					 int64_t now, double random)
{
	bool		counted = counts(pace, end_request(pace));
	int64_t		wait_ms = 0;

	pace->failing_since = -1;
	if (counted)
	{
		count_one(&pace->failures);
		count_one(&pace->fresh_failures);
		wait_ms = backoff(pace->failures, random);
	}
	if (headers != NULL && headers->wait_ms > 0)
		wait_ms = clamp_wait(headers->wait_ms);
	if (pace->not_before < now + wait_ms)
		pace->not_before = now + wait_ms;
}

/* ----- the bucket ----- */

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
saved(const BrazeBucket *bucket)
{
	return bucket->interval < BURST_MS ? BURST_MS - bucket->interval : 0;
}

bool
braze_bucket_ready(const BrazeBucket *bucket, int64_t now, int64_t *wait_ms)
{
	double		wait = bucket->full_at - saved(bucket) - now;

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

/* ----- the flood guard ----- */

void
braze_flood_reset(BrazeFlood *flood)
{
	memset(flood, 0, sizeof(*flood));
}

void
braze_flood_judged(BrazeFlood *flood, int calls, bool malformed)
{
	for (int i = 0; i < calls && i < BRAZE_FLOOD_CALLS; i++)
	{
		bool	   *place = &flood->malformed[flood->next];

		flood->count += (int) malformed - (int) *place;
		*place = malformed;
		flood->next = (flood->next + 1) % BRAZE_FLOOD_CALLS;
	}
}

bool
braze_flood_is_on(const BrazeFlood *flood)
{
	return flood->count > BRAZE_FLOOD_CALLS / 2;
}
