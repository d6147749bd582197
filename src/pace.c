/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  When a destination may be sent its next request.
 *
 *-------------------------------------------------------------------------
 */
#include "pace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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

#define IS_NAME(s)	(name_length == sizeof(s) - 1 && strncasecmp(line, s, name_length) == 0)
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
}

bool
braze_pace_ready(const BrazePace *pace, int64_t now, int64_t *wait_ms)
{
	if (pace->failures > 0 && pace->under_way > 0)
	{
		*wait_ms = -1;
		return false;
	}
	if (now < pace->not_before)
	{
		*wait_ms = pace->not_before - now;
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

static void
wait_at_least(BrazePace *pace, int64_t until)
{
	if (pace->not_before < until)
		pace->not_before = until;
}

/*
 * Counts a failure and returns how long to wait.  Of the requests that were
 * under way together when the destination went down only the first counts:
 * sixteen connections that break at once are one failure, not sixteen in a row.
 */
static int64_t
back_off(BrazePace *pace, bool was_probe, double random)
{
	int64_t		ceiling = BACKOFF_BASE_MS;

	if (pace->failures > 0 && !was_probe)
		return 0;

	for (int i = 0; i < pace->failures && ceiling < BACKOFF_CAP_MS; i++)
		ceiling *= 2;
	if (ceiling > BACKOFF_CAP_MS)
		ceiling = BACKOFF_CAP_MS;
	if (pace->failures < INT32_MAX)
		pace->failures++;
	return (int64_t) (ceiling * random);
}

/*
 * What was waited for before stays waited for: a request that was under way
 * when a rate limit was named may well succeed after it.
 */
void
braze_pace_succeeded(BrazePace *pace, const BrazeRateHeaders *headers, int64_t now)
{
	(void) end_request(pace);
	pace->failures = 0;
	if (headers != NULL && headers->remaining == 0 && headers->wait_ms > 0)
		wait_at_least(pace, now + clamp_wait(headers->wait_ms));
}

void
braze_pace_failed(BrazePace *pace, int64_t now, double random)
{
	bool		was_probe = end_request(pace);

	wait_at_least(pace, now + back_off(pace, was_probe, random));
}

/*
 * Over the rate limit.  A wait that the answer names counts, whoever got it;
 * without one, or when it is zero, the backoff keeps the probes apart.
 */
void
braze_pace_slow_down(BrazePace *pace, const BrazeRateHeaders *headers,
					 int64_t now, double random)
{
	bool		was_probe = end_request(pace);
	int64_t		wait_ms = back_off(pace, was_probe, random);

	if (headers != NULL && headers->wait_ms > 0)
		wait_ms = clamp_wait(headers->wait_ms);
	wait_at_least(pace, now + wait_ms);
}
