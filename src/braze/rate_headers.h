/*-------------------------------------------------------------------------
 *
 * rate_headers.h
 *	  What the headers of an answer say of the rate limit.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_RATE_HEADERS_H
#define BRAZE_RATE_HEADERS_H

#include <stdint.h>

/* what a response said of the rate limit; -1 where it said nothing */
typedef struct BrazeRateHeaders
{
	int64_t		remaining;		/* x-ratelimit-remaining */
	int64_t		wait_ms;		/* how long to wait, whichever header said so */
	int			source;			/* private: which header that was */
	int64_t		until_ms;		/* private: the moment that it named, -1: none */
	int64_t		date_ms;		/* the answer's Date, -1: none */
} BrazeRateHeaders;

extern void braze_rate_headers_reset(BrazeRateHeaders *headers);

/* how long to wait, at most an hour; 0: nothing said so */
extern int64_t braze_rate_headers_wait(const BrazeRateHeaders *headers);

/*
 * Reads one header line as it came ("Name: value\r\n", any case).  Order of
 * preference: x-ratelimit-retry-after, retry-after, x-ratelimit-reset.
 * A moment is counted from the Date of the answer, else from epoch_ms, our own
 * wall clock.
 */
extern void braze_rate_headers_read(BrazeRateHeaders *headers,
									const char *line, int length,
									int64_t epoch_ms);

#endif							/* BRAZE_RATE_HEADERS_H */
