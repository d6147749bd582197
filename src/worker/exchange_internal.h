/*-------------------------------------------------------------------------
 *
 * exchange_internal.h
 *	  What exchange.c and claim.c share: a request at curl, or on its way there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_EXCHANGE_INTERNAL_H
#define BRAZE_EXCHANGE_INTERNAL_H

#include "lib/ilist.h"

#include "worker/delivery.h"

typedef struct BrazeTransfer
{
	BrazeHttpRequest http;		/* first: curl's side knows this address */
	BrazeDelivery *delivery;
	BrazeRequest *request;
	struct BrazeTransfer *next_to_claim;
	dlist_node	node;			/* in braze_exchange_all */
} BrazeTransfer;

extern dlist_head braze_exchange_all;	/* of BrazeTransfer */

/* which of a destination's clocks an endpoint obeys */
extern BrazePace *braze_exchange_pace(BrazeDelivery *delivery, BrazeEndpoint endpoint);

/* from here on the pace counts it as started; then it is sent */
extern void braze_exchange_reserve(BrazeTransfer *transfer);
extern void braze_exchange_send_reserved(BrazeHttp *http, BrazeTransfer *transfer);

/* one that was reserved is not sent after all; or ended without an answer */
extern void braze_exchange_abandon(BrazeTransfer *transfer);
extern void braze_exchange_failed(BrazeHttp *http, BrazeTransfer *transfer);

#endif							/* BRAZE_EXCHANGE_INTERNAL_H */
