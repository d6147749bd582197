/*-------------------------------------------------------------------------
 *
 * delivery_internal.h
 *	  What delivery.c (destinations, rows) and exchange.c (requests, answers)
 *	  share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_INTERNAL_H
#define BRAZE_DELIVERY_INTERNAL_H

#include "delivery.h"

/* lives as long as the worker */
extern MemoryContext braze_delivery_context;

extern void braze_delivery_out_of_memory(void);

/* NULL: it is not paused */
extern void braze_delivery_set_paused(BrazeDelivery *delivery, const char *reason);

#endif							/* BRAZE_DELIVERY_INTERNAL_H */
