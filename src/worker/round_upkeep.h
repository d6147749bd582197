/*-------------------------------------------------------------------------
 *
 * round_upkeep.h
 *	  The worker's transactions that look after our tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_UPKEEP_H
#define BRAZE_ROUND_UPKEEP_H

/* does what is due, each at its own pace; returns the moment of the next */
extern int64 braze_round_upkeep(void);

/* writes what was postponed of users who changed all the time, due or not */
extern void braze_round_upkeep_profiles(void);

#endif							/* BRAZE_ROUND_UPKEEP_H */
