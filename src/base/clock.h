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

/*
 * The same clock, behind by a few milliseconds: what it said at the kernel's
 * last tick.  It costs a fourth, which counts where each call is timed.
 */
static inline int64
braze_roughly_now_ms(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0)
		return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
#endif
	return braze_now_ms();
}

#endif							/* BRAZE_CLOCK_H */
