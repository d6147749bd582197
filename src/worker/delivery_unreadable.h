/*-------------------------------------------------------------------------
 *
 * delivery_unreadable.h
 *	  What keeps a destination's calls from being read now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_UNREADABLE_H
#define BRAZE_DELIVERY_UNREADABLE_H

#include "worker/delivery.h"

/* at the begin of a read, before it looks at any destination */
extern void braze_delivery_unreadable_begin(void);

extern void braze_delivery_unreadable_look(BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_UNREADABLE_H */
