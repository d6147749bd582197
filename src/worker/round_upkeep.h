/*-------------------------------------------------------------------------
 *
 * round_upkeep.h
 *	  The worker's transactions that look after our tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_UPKEEP_H
#define BRAZE_ROUND_UPKEEP_H

/* forgets old messageIds; returns in how many milliseconds to go on */
extern int	braze_round_upkeep_messages(void);

/* the same for dead letters */
extern int	braze_round_upkeep_dead_letters(void);

/* the same for what the mapping noted */
extern int	braze_round_upkeep_notes(void);

/* counts them, for the status */
extern int	braze_round_upkeep_letter_counts(void);

/* has replicated rows wake the worker, if a restore has put an end to it */
extern int	braze_round_upkeep_replica_trigger(void);

/* writes what was postponed of users who changed all the time */
extern int	braze_round_upkeep_profiles(void);

/* forgets what is remembered of users, as old messageIds are */
extern int	braze_round_upkeep_old_profiles(void);

/* makes one row of many of what was delivered, */
extern int	braze_round_upkeep_activity_sums(void);
extern int	braze_round_upkeep_activity_users(void);

/* and forgets it when it is old */
extern int	braze_round_upkeep_old_sums(void);
extern int	braze_round_upkeep_old_users(void);

/* which calls were collected from where nothing is collected any more */
extern int	braze_round_upkeep_old_collected(void);

#endif							/* BRAZE_ROUND_UPKEEP_H */
