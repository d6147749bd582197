/*-------------------------------------------------------------------------
 *
 * round_gone.h
 *	  The worker's transaction that finds the calls that were taken out of the
 *	  queue.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_GONE_H
#define BRAZE_ROUND_GONE_H

/*
 * What is held and not in the queue any more is forgotten.  Returns 0, or after
 * how many milliseconds to try again.
 */
extern int	braze_round_gone(void);

#endif							/* BRAZE_ROUND_GONE_H */
