/*-------------------------------------------------------------------------
 *
 * rate_headers.c
 *	  What the headers of an answer say of the rate limit.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/rate_headers.h"

#include <stdio.h>
#include <string.h>

#include "braze/ascii.h"

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

/* at most MAX_WAIT_MS, whatever a header says */
static int64_t
clamp_wait(int64_t wait_ms)
{
	if (wait_ms < 0)
		return 0;
	return wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS;
}

int64_t
braze_rate_headers_wait(const BrazeRateHeaders *headers)
{
	return headers == NULL ? 0 : clamp_wait(headers->wait_ms);
}

void
braze_rate_headers_reset(BrazeRateHeaders *headers)
{
	headers->remaining = -1;
	headers->wait_ms = -1;
	headers->source = SOURCE_NONE;
	headers->date_ms = -1;
	headers->until_ms = -1;
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

/* until_ms: the moment that the header named, -1: it named a time to wait */
static void
note_wait(BrazeRateHeaders *headers, int source, int64_t wait_ms, int64_t until_ms)
{
	wait_ms = clamp_wait(wait_ms);
	if (source > headers->source ||
		(source == headers->source && wait_ms > headers->wait_ms))
	{
		headers->source = source;
		headers->wait_ms = wait_ms;
		headers->until_ms = until_ms;
	}
}

/*
 * A moment is one of the server's clock.  Ours may be minutes off, so what is
 * left until then is counted from the answer's own Date, if it has one.
 */
static void
note_moment(BrazeRateHeaders *headers, int source, int64_t until_ms, int64_t epoch_ms)
{
	int64_t		now_ms = headers->date_ms >= 0 ? headers->date_ms : epoch_ms;

	note_wait(headers, source, until_ms - now_ms, until_ms);
}

/* the Date may come after the header that it is needed for */
static void
note_date(BrazeRateHeaders *headers, int64_t date_ms)
{
	headers->date_ms = date_ms;
	if (headers->until_ms >= 0)
		headers->wait_ms = clamp_wait(headers->until_ms - date_ms);
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
	/* with a NUL in it, only a part of the value would be read */
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
			note_wait(headers, SOURCE_RATELIMIT_RETRY_AFTER, number * 1000, -1);
	}
	else if (IS_NAME("retry-after"))
	{
		if (parse_number(value, &number))
			note_wait(headers, SOURCE_RETRY_AFTER, number * 1000, -1);
		else if (parse_http_date(value, &number))
			note_moment(headers, SOURCE_RETRY_AFTER, number * 1000, epoch_ms);
	}
	else if (IS_NAME("x-ratelimit-reset"))
	{
		if (!parse_number(value, &number))
			return;
		/* documented both as a moment and as seconds from now */
		if (number >= FIRST_EPOCH_SECOND)
			note_moment(headers, SOURCE_RESET, number * 1000, epoch_ms);
		else
			note_wait(headers, SOURCE_RESET, number * 1000, -1);
	}
	else if (IS_NAME("date"))
	{
		if (parse_http_date(value, &number))
			note_date(headers, number * 1000);
	}
#undef IS_NAME
}
