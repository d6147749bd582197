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
 * what is held and not in the queue any
 * more is forgotten; false: try again later
 */
extern bool braze_round_gone(void);

#endif							/* BRAZE_ROUND_GONE_H */
