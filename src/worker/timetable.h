/*-------------------------------------------------------------------------
 *
 * timetable.h
 *	  What the worker does at which moment.
 *
 * Its steps are one table in timetable.c, which has for each when it is due
 * and not before when it may run again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TIMETABLE_H
#define BRAZE_TIMETABLE_H

#include "base/shmem.h"
#include "braze/http.h"

/* slot: that of our database, which says what sessions ask of the worker */
extern void braze_timetable_init(BrazeDatabaseSlot *slot);

/* something may have been queued */
extern void braze_timetable_look(void);

/* has a session told of something since, of which the latch may say nothing? */
extern bool braze_timetable_is_told(void);

/* settings have changed: destinations are read anew before anything is sent */
extern void braze_timetable_refresh(void);

/* one turn of the loop; returns the moment of the next, if nothing happens */
extern int64 braze_timetable_turn(BrazeHttp *http);

#endif							/* BRAZE_TIMETABLE_H */
