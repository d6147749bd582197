/*-------------------------------------------------------------------------
 *
 * delivery_stuck.h
 *	  Destinations whose calls cannot be settled.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_STUCK_H
#define BRAZE_DELIVERY_STUCK_H

#include "worker/delivery.h"

/* why some of its calls cannot be settled; and whether they still cannot */
extern void braze_delivery_stuck_note(BrazeDelivery *delivery, const char *problem);
extern void braze_delivery_stuck_end(BrazeDelivery *delivery);

/* one of its calls is settled */
extern void braze_delivery_stuck_settled(BrazeDelivery *delivery);

/*
 * The process ends, perhaps because of a trigger that could not be cancelled;
 * the caller holds the lock of shared memory.  The next worker then leaves the
 * destination alone for a while, see the other one.
 */
extern void braze_delivery_stuck_process_ends(void);
extern void braze_delivery_stuck_begin(BrazeDelivery *delivery);

/* until when it is left alone, 0: it is not */
extern int64 braze_delivery_stuck_until(const BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_STUCK_H */
