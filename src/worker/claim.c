/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Requests that are sent at most once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "worker/claim.h"
#include "worker/deliveries.h"
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

/* whether or not it succeeds, none of them waits here any more */
bool
braze_claim_waiting(BrazeTransfer **transfers)
{
	bool		claimed;

	*transfers = first_waiting;
	if (first_waiting == NULL)
		return true;
	for (BrazeTransfer *transfer = first_waiting; transfer != NULL; transfer = transfer->next_to_claim)
		braze_round_claim_add(transfer->delivery, transfer->request);
	claimed = braze_round_claim();

	/*
	 * The caller sends them or postpones them.  Sending one may end it, and
	 * that must not touch a list that is still in use.
	 */
	first_waiting = NULL;
	last_waiting = &first_waiting;
	if (!claimed)
		next_claim_at = braze_now_ms() + CLAIM_RETRY_MS;
	return claimed;
}

bool
braze_claim_release_wanted(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		if (braze_gone_has_stranded(((BrazeDelivery *) lfirst(cell))->pack))
			return true;
	}
	return false;
}

/*
 * All that is stranded goes back in one transaction; only once that has
 * committed may the pack forget that it was claimed.
 */
bool
braze_claim_release(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
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
	foreach(cell, braze_deliveries_at_work)
		braze_gone_end_stranded(((BrazeDelivery *) lfirst(cell))->pack);

	/* somebody may have locked a row, or there was no time for all */
	return !braze_claim_release_wanted();
}
