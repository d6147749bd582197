/*-------------------------------------------------------------------------
 *
 * exchange.h
 *	  Requests of one destination going out, and what their answers mean for it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_EXCHANGE_H
#define BRAZE_EXCHANGE_H

#include "lib/ilist.h"

#include "worker/delivery.h"

/* a request at curl, or on its way there */
typedef struct BrazeTransfer
{
	BrazeHttpRequest http;		/* first: curl's side knows this address */
	BrazeDelivery *delivery;
	BrazeRequest *request;
	struct BrazeTransfer *next_to_claim;
	uint64		number;			/* of the request, for the log */
	uint64		target_number;	/* to which it went */
	int64		started_at;
	dlist_node	node;			/* of all under way */
} BrazeTransfer;

/*
 * Starts what may start, at most max_transfers requests over all; returns in
 * how many milliseconds to call again, -1 for not before something happens.
 */
extern int64 braze_exchange_send(BrazeDelivery *delivery, BrazeHttp *http,
								 int max_transfers);
extern int	braze_exchange_transfers(void);

/* is nothing to be sent now, whatever the destination? */
extern bool braze_exchange_is_stopped(void);

/*
 * Sends the requests that wait for their calls to be claimed, see claim.h; in
 * how many milliseconds to call again, -1 for not before something happens.
 */
extern long braze_exchange_send_claimed(BrazeHttp *http);

/* before the process ends: what was not sent must not be taken for sent */
extern void braze_exchange_cancel_unsent(BrazeHttp *http);

/* all that are there */
extern void braze_exchange_take_answers(BrazeHttp *http);

/* are as many requests answered and not settled as may be under way? */
extern bool braze_exchange_wants_settle(const BrazeDelivery *delivery);

#endif							/* BRAZE_EXCHANGE_H */
