/*-------------------------------------------------------------------------
 *
 * steady_time.h
 *	  The time by which stored rows grow old.
 *
 * Tables keep moments of the wall clock, which somebody may set.  Set ahead by
 * mistake, it would make everything old at once, and what has been deleted
 * does not come back when it is set right.  So a jump ahead counts only when
 * it has lasted for an hour; a jump back counts at once, and keeps rows
 * longer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STEADY_TIME_H
#define BRAZE_STEADY_TIME_H

#include "datatype/timestamp.h"

/* never later than the wall clock */
extern TimestampTz braze_steady_time(void);

/* the launcher, when it starts and at each nap: was the wall clock set? */
extern void braze_steady_time_follow(void);

#endif							/* BRAZE_STEADY_TIME_H */
