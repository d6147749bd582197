/*-------------------------------------------------------------------------
 *
 * delivery_cursor.h
 *	  How far a destination has read the queue, and which calls it holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_CURSOR_H
#define BRAZE_DELIVERY_CURSOR_H

#include "worker/delivery.h"

/* the reader goes on without it, from behind this id */
extern void braze_delivery_cursor_fall_behind(BrazeDelivery *delivery, int64 cursor);

/* the same where it may hold calls from behind this id */
extern void braze_delivery_cursor_step_back(BrazeDelivery *delivery, int64 cursor);

/* what waits is read again, by other settings or when it may be sent */
extern void braze_delivery_cursor_drop_waiting(BrazeDelivery *delivery);

/* everything is to be read again, but for what is held */
extern void braze_delivery_cursor_start_over(BrazeDelivery *delivery);

/*
 * is it one of the calls that were held when it stepped back, and held still?
 */
extern bool braze_delivery_cursor_holds(BrazeDelivery *delivery, int64 id, TimestampTz queued_at);

/* forgets which of those are not held any more */
extern void braze_delivery_cursor_trim_held(BrazeDelivery *delivery);

/*
 * Is it one of all the calls held?  They are listed when this is asked first;
 * the list is to be freed before rows are taken whose ids may come again.
 */
extern bool braze_delivery_cursor_has_call(BrazeDelivery *delivery, int64 id,
										   TimestampTz queued_at);
extern void braze_delivery_cursor_free_list(BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_CURSOR_H */
