/*-------------------------------------------------------------------------
 *
 * start_delay.c
 *	  When a request may start, and so how long a call waits for company.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack.h"
#include "pack/pack_internal.h"

/* do the gates let a request to this endpoint through? */
static bool
may_pass(const BrazeGates *gates, BrazeEndpoint endpoint, bool again)
{
	return again ? gates->again[endpoint] : gates->fresh[endpoint];
}

/*
 * Takes the oldest postponed request that may go now out of their list.  A
 * later one may pass it: the two have no user in common, since the lanes of
 * both are busy.
 */
BrazeRequest *
braze_start_delay_postponed(BrazePack *pack, const BrazeGates *gates)
{
	BrazeRequest *before = NULL;
	BrazeRequest *request = pack->postponed_head;

	while (request != NULL &&
		   !may_pass(gates, request->endpoint, braze_request_state_is_again(request)))
	{
		before = request;
		request = request->next_postponed;
	}
	if (request == NULL)
		return NULL;
	if (before != NULL)
		before->next_postponed = request->next_postponed;
	else
		pack->postponed_head = request->next_postponed;
	if (pack->postponed_tail == request)
		pack->postponed_tail = before;
	return request;
}

/*
 * May a request to this endpoint start: is it full, is nothing under way, or
 * has its oldest call waited long enough?  What failed before gets no company
 * anyway.
 */
bool
braze_start_delay_is_due(const BrazePack *pack, BrazeEndpoint endpoint, const ReadyList *list,
						 int64_t now, int64_t *wait)
{
	int64_t		left;

	if (list->calls.head == NULL || pack->open_requests >= pack->limits.max_open_requests)
		return false;

	/* of many too large requests at once each would be halved for itself */
	if (endpoint == BRAZE_USERS_TRACK && braze_object_limit_holds(pack, now, wait))
		return false;
	if (pack->open_requests == 0 || list->objects >= braze_object_limit_max(pack, endpoint) ||
		list->calls.head->suspicion.group != 0)
		return true;

	/* the oldest call is at the head, so no other one has waited longer */
	left = list->calls.head->ready_since + pack->limits.max_delay - now;
	if (left <= 0)
		return true;
	if (*wait < 0 || left < *wait)
		*wait = left;
	return false;
}
