/*-------------------------------------------------------------------------
 *
 * settle_order.h
 *	  A user's calls leave the queue in order, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SETTLE_ORDER_H
#define BRAZE_SETTLE_ORDER_H

#include "worker/delivery.h"

/* nothing is known to be stuck */
extern void braze_settle_order_begin(void);

/* this call stays in the queue for now; untried: there was no time for it */
extern void braze_settle_order_stays(const BrazeDelivery *delivery, const BrazeCall *call, bool untried);

typedef enum BrazeSettleWait
{
	BRAZE_SETTLE_NO_WAIT,
	BRAZE_SETTLE_BEHIND_STUCK,
	BRAZE_SETTLE_BEHIND_UNTRIED /* perhaps behind one that is stuck as well */
}			BrazeSettleWait;

/* does an earlier call of one of its users stay? */
extern BrazeSettleWait braze_settle_order_waits(const BrazeDelivery *delivery, const BrazeCall *call);

#endif							/* BRAZE_SETTLE_ORDER_H */
