/*-------------------------------------------------------------------------
 *
 * round_settle.h
 *	  The worker's transaction that settles what is done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_SETTLE_H
#define BRAZE_ROUND_SETTLE_H

#include "queue/column_values.h"

/* calls settled in one transaction */
#define BRAZE_SETTLE_BATCH	10000

/* has this process settled anything yet? */
extern bool braze_first_settle_done;

/* the last settle failed: nothing new may be sent until one succeeds */
extern bool braze_settle_blocked;

/* collects the calls that are done and tells how many there are */
extern int	braze_round_settle_pending(void);

/* returns in how many milliseconds it is to be tried again, 0: it succeeded */
extern int	braze_round_settle(void);

/*
 * in how many milliseconds what could not
 * be settled is due again, -1: nothing is
 */
extern long braze_round_settle_wait(void);

/*
 * May what others added to a table run when it is written?  Then each call is
 * written in an attempt of its own, and after so long it is the others' turn.
 */
extern bool braze_round_settle_needs_care(void);

#endif							/* BRAZE_ROUND_SETTLE_H */
