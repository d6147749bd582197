/*-------------------------------------------------------------------------
 *
 * round_collectors.h
 *	  The worker's look at the processes that collect calls from elsewhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_COLLECTORS_H
#define BRAZE_ROUND_COLLECTORS_H

/* starts and ends them; returns how long it may take to the next look, in ms */
extern int	braze_round_collectors(void);

#endif							/* BRAZE_ROUND_COLLECTORS_H */
