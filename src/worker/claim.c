/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Requests that are sent at most once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "store/claims_table.h"
#include "worker/claim.h"
#include "worker/delivery_internal.h"
#include "worker/round_claim.h"

/* calls that could not be claimed are tried again after this */
#define CLAIM_RETRY_MS		1000

/* oldest first */
static BrazeTransfer *first_waiting = NULL;
static BrazeTransfer **last_waiting = &first_waiting;
static int64 next_claim_at = 0;

void
braze_claim_begin(BrazeTransfer *transfer)
{
	transfer->http.once = transfer->delivery->at_most_once;
}

/* would a restart find some of it in the queue? */
bool
braze_claim_is_missing(const BrazeTransfer *transfer)
{
	if (!transfer->delivery->at_most_once)
		return false;
	for (int i = 0; i < braze_gone_ncalls(transfer->request); i++)
	{
		if (braze_gone_is_unclaimed(transfer->request, i))
			return true;
	}
	return false;
}

bool
braze_claim_first(BrazeTransfer *transfer)
{
	if (!braze_claim_is_missing(transfer))
		return false;
	braze_exchange_reserve(transfer);
	*last_waiting = transfer;
	last_waiting = &transfer->next_to_claim;
	return true;
}

int64
braze_claim_wait(const BrazeDelivery *delivery, int64 now)
{
	return delivery->at_most_once ? Max(next_claim_at - now, 0) : 0;
}

/* while Braze fails, what may be lost in finding out is little */
void
braze_claim_limit(const BrazeDelivery *delivery, BrazeGates *gates)
{
	gates->one_call = delivery->at_most_once &&
		(delivery->pace[BRAZE_TRACK_SERVICE].failures > 0 ||
		 delivery->pace[BRAZE_IDENTITY_SERVICE].failures > 0);
}

/* its calls are out of the queue, but for those left out; false: that is all */
static bool
send_claimed(BrazeHttp *http, BrazeTransfer *transfer)
{
	switch (braze_request_progress_next(transfer->delivery->pack, transfer->request, braze_now_ms()))
	{
		case BRAZE_NEXT_SEND:
			braze_exchange_send_reserved(http, transfer);
			return true;
		case BRAZE_NEXT_NO_MEMORY:
			braze_delivery_out_of_memory();
			break;
		case BRAZE_NEXT_DONE:
		case BRAZE_NEXT_LATER:
			braze_exchange_abandon(transfer);
			break;
	}
	return false;
}

long
braze_claim_send(BrazeHttp *http)
{
	BrazeTransfer *transfer;
	bool		claimed;
	long		timeout = -1;

	if (first_waiting == NULL)
		return -1;
	for (transfer = first_waiting; transfer != NULL; transfer = transfer->next_to_claim)
		braze_round_claim_add(transfer->delivery, transfer->request);
	claimed = braze_round_claim();
	while ((transfer = first_waiting) != NULL)
	{
		first_waiting = transfer->next_to_claim;
		if (claimed)
		{
			/* others may go instead, and what was left out later */
			if (!send_claimed(http, transfer))
				timeout = 0;
			continue;
		}
		braze_request_state_postpone(transfer->delivery->pack, transfer->request);
		braze_exchange_abandon(transfer);
	}
	last_waiting = &first_waiting;
	if (claimed)
		return timeout;
	next_claim_at = braze_now_ms() + CLAIM_RETRY_MS;
	return CLAIM_RETRY_MS;
}

void
braze_claim_cancel_unsent(BrazeHttp *http)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &braze_exchange_all)
	{
		BrazeTransfer *transfer = dlist_container(BrazeTransfer, node, iter.cur);

		if (!transfer->http.once)
			continue;
		braze_http_cancel(http, &transfer->http);
		if (transfer->http.unsent)
			braze_exchange_failed(http, transfer);
	}
}

bool
braze_claim_release_wanted(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		if (braze_gone_has_stranded(((BrazeDelivery *) lfirst(cell))->pack))
			return true;
	}
	return false;
}

bool
braze_claim_release(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);
		BrazeCall  *call = NULL;

		if (!braze_gone_has_stranded(delivery->pack))
			continue;
		while ((call = braze_gone_next_stranded(delivery->pack, call)) != NULL)
			braze_round_claim_add_release(delivery, call);
	}
	if (!braze_round_claim_release())
		return false;
	foreach(cell, braze_deliveries)
		braze_gone_end_stranded(((BrazeDelivery *) lfirst(cell))->pack);
	return true;
}

void
braze_claim_settled(const BrazeCall *call)
{
	if (call->letter != 0)
		braze_claims_table_leave(call->flight);
}

void
braze_claim_publish(void)
{
	braze_claims_table_publish();
}
