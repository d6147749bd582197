/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  A clock that no administrator sets.
 *
 * What measures how long something takes or waits reads this one, also where
 * the moment is in shared memory: all processes of a machine see the same.
 * GetCurrentTimestamp() is for what people read and what tables keep.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CLOCK_H
#define BRAZE_CLOCK_H

#include <time.h>

/* so long a round may take that has more to do: it goes on with the next */
#define BRAZE_MAX_ROUND_MS	1000

/* milliseconds since some moment in the past */
static inline int64
braze_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif							/* BRAZE_CLOCK_H */
