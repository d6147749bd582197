/*-------------------------------------------------------------------------
 *
 * activity.h
 *	  What the worker is doing, for pg_stat_activity and for its errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ACTIVITY_H
#define BRAZE_ACTIVITY_H

/* from here on each message of this process says what it was doing */
extern void braze_activity_init(void);

/* "reading the queue", say; NULL: it waits */
extern void braze_activity_begin(const char *doing);

/*
 * The destination it is about, until the next begin; NULL: none.  The name
 * must live as long.
 */
extern void braze_activity_about(const char *destination);

#endif							/* BRAZE_ACTIVITY_H */
