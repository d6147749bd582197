/*-------------------------------------------------------------------------
 *
 * activity_rollup.h
 *	  Making one row of many in the tables of the activity, and removing old
 *	  ones.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ACTIVITY_ROLLUP_H
#define BRAZE_ACTIVITY_ROLLUP_H

/*
 * Each goes on a small step, in a transaction of the worker; returns in how
 * many milliseconds to go on, or -1: at the next nap.
 */
extern int	braze_activity_rollup_sums(void);
extern int	braze_activity_rollup_users(void);

/* the same for rows older than so many seconds */
extern int	braze_activity_rollup_expire_sums(int seconds);
extern int	braze_activity_rollup_expire_users(int seconds);

#endif							/* BRAZE_ACTIVITY_ROLLUP_H */
