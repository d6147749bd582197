/*-------------------------------------------------------------------------
 *
 * delivery_internal.h
 *	  What delivery.c (destinations, rows), delivery_pause.c and exchange.c
 *	  (requests, answers) share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_INTERNAL_H
#define BRAZE_DELIVERY_INTERNAL_H

#include "worker/delivery.h"

/* lives as long as the worker */
extern MemoryContext braze_delivery_context;

extern void braze_delivery_out_of_memory(void);

/* NULL: it is not paused */
extern void braze_delivery_pause_set_paused(BrazeDelivery *delivery, const char *reason);
extern void braze_delivery_pause_refresh_pauses(BrazeDelivery *delivery, bool changed,
										  const char *key_problem);

/* because of an answer of Braze: to any endpoint, or to this one */
extern void braze_delivery_pause(BrazeDelivery *delivery, const char *reason);
extern void braze_delivery_pause_close(BrazeDelivery *delivery, BrazeEndpoint endpoint,
								 const char *reason);

extern const char *braze_delivery_pause_paused_text(const BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_INTERNAL_H */
