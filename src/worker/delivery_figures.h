/*-------------------------------------------------------------------------
 *
 * delivery_figures.h
 *	  What the worker publishes of a destination, for braze_metrics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_FIGURES_H
#define BRAZE_DELIVERY_FIGURES_H

#include "store/reader.h"
#include "worker/delivery.h"

/* what Braze said of its limits was said to another key, or by another host */
extern void braze_delivery_figures_reset_limits(BrazeDelivery *delivery);

/* a request was answered, or has failed without an answer: status is 0 then */
extern void braze_delivery_figures_add_request(BrazeDelivery *delivery, BrazeEndpoint endpoint,
											   long status, int64 ms, int64 remaining);

/* a call that is settled; the moment of that by both clocks */
extern void braze_delivery_figures_add_call(BrazeDelivery *delivery, const BrazeCall *call,
											int64 settled_at, TimestampTz settled_wall);

/* a row was passed over, since its destination fell behind */
extern void braze_delivery_figures_passed(BrazeDelivery *delivery, int64 id, TimestampTz queued_at);

/* the row up to which it has read its backlog; PG_INT64_MAX: all of it */
extern void braze_delivery_figures_caught_up(BrazeDelivery *delivery, int64 id);

/* what was passed over may be gone */
extern void braze_delivery_figures_clear_passed(BrazeDelivery *delivery);

/* in how many milliseconds what is held is to be looked at, -1: it is not */
extern int64 braze_delivery_figures_wait(int64 now);

/* has those published for which it is time */
extern void braze_delivery_figures_look(int64 now);

/* before the lock is taken, and under it; the sums begin at nothing again */
extern void braze_delivery_figures_prepare(BrazeDelivery *delivery);
extern void braze_delivery_figures_publish(BrazeDelivery *delivery, BrazeDestinationSlot *slot);
extern void braze_delivery_figures_published(BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_FIGURES_H */
