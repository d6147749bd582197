/*-------------------------------------------------------------------------
 *
 * sync_schedule.h
 *	  When the syncs of this database run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_SCHEDULE_H
#define BRAZE_SYNC_SCHEDULE_H

/* starts those that are due; returns in how many milliseconds to look again */
extern int	braze_sync_schedule_look(void);

#endif							/* BRAZE_SYNC_SCHEDULE_H */
