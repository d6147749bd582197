/*-------------------------------------------------------------------------
 *
 * delivery_pause.h
 *	  What a destination is not sent, or one of its endpoints, and why.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_PAUSE_H
#define BRAZE_DELIVERY_PAUSE_H

#include "worker/delivery.h"

/*
 * There are pauses by answers that no refresh has put into the table yet.  It
 * is to do so before they are reported: who sees one may end it at once.
 */
extern bool braze_new_pauses;

/* in a transaction: pauses by answers go into the table */
extern void braze_delivery_pause_store(BrazeDelivery *delivery);

/* in a transaction: what the table says now, once what is over has left it */
extern void braze_delivery_pause_refresh(BrazeDelivery *delivery, bool changed,
										 const char *key_problem);

/* and when that transaction has committed: what was written is in the table */
extern void braze_delivery_pause_committed(BrazeDelivery *delivery);

/* NULL: it is not paused */
extern void braze_delivery_pause_set(BrazeDelivery *delivery, const char *reason);

/* because of an answer of Braze: to any endpoint, or to this one */
extern void braze_delivery_pause(BrazeDelivery *delivery, const char *reason);
extern void braze_delivery_pause_close(BrazeDelivery *delivery, BrazeEndpoint endpoint,
									   const char *reason);

/* for people: what is paused, NULL: nothing; valid until the next call */
extern const char *braze_delivery_pause_text(const BrazeDelivery *delivery);

#endif							/* BRAZE_DELIVERY_PAUSE_H */
