/*-------------------------------------------------------------------------
 *
 * gone.c
 *	  Calls that are not sent, or not again, with the request they are in.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* a call that could not be taken out of the queue is tried again after this */
#define EXCLUDED_DELAY_MS	1000

/* ----- gone ----- */

/* whatever is left of calls that are gone needs no sending */
void
braze_gone_exclude_all(BrazeRequest *request)
{
	if (!request->has_gone)
		return;
	for (int i = 0; i < request->ncalls; i++)
	{
		PackedCall *call = request->calls[i];

		if (call->pub.gone)
			braze_identity_link_given_up(call);
		for (int j = call->next_object; call->pub.gone && j < call->pub.nobjects; j++)
		{
			if (call->objects[j].state <= OBJECT_UNFOLD || call->objects[j].state == OBJECT_EXCLUDED)
				call->objects[j].state = OBJECT_ACCEPTED;
		}
	}

	/* what was written has them still: length 0 has it written anew */
	request->body_length = 0;
}

/* ----- out of the queue, and excluded ----- */

int
braze_gone_ncalls(const BrazeRequest *request)
{
	return request->ncalls;
}

BrazeCall  *
braze_gone_call(BrazeRequest *request, int number)
{
	return &request->calls[number]->pub;
}

bool
braze_gone_is_unclaimed(const BrazeRequest *request, int number)
{
	const PackedCall *call = request->calls[number];

	if (call->pub.letter != 0 || call->pub.gone)
		return false;
	for (int i = call->next_object; i < call->next_object + call->taken; i++)
	{
		if (call->objects[i].state <= OBJECT_UNFOLD)
			return true;
	}
	return false;
}

bool
braze_gone_follows(const BrazeRequest *request, int earlier, int later)
{
	const PackedCall *first = request->calls[earlier];
	const PackedCall *second = request->calls[later];

	for (int i = 0; i < first->nlanes; i++)
	{
		for (int j = 0; j < second->nlanes; j++)
		{
			if (first->users[i].lane == second->users[j].lane)
				return true;
		}
	}
	return false;
}

/*
 * Of a call that is gone nothing more is sent.  One that is excluded is only
 * passed over: its objects have a state of their own until the request ends,
 * so that no answer to the others judges them.
 */
void
braze_gone_exclude(BrazeRequest *request, int number, bool gone)
{
	PackedCall *call = request->calls[number];

	if (gone)
	{
		call->pub.gone = true;
		request->has_gone = true;
		return;
	}
	call->excluded = true;
	request->has_excluded = true;
	for (int i = call->next_object; i < call->next_object + call->taken; i++)
	{
		if (call->objects[i].state <= OBJECT_UNFOLD)
			call->objects[i].state = OBJECT_EXCLUDED;
	}
}

/* the request is over: what was excluded waits for the next one */
void
braze_gone_include_again(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	if (!request->has_excluded)
		return;
	for (int i = 0; i < request->ncalls; i++)
	{
		PackedCall *call = request->calls[i];

		if (!call->excluded)
			continue;
		call->excluded = false;
		for (int j = call->next_object; j < call->next_object + call->taken; j++)
		{
			if (call->objects[j].state == OBJECT_EXCLUDED)
				call->objects[j].state = OBJECT_PENDING;
		}
		for (int j = 0; j < call->nlanes; j++)
			braze_lane_delay(pack, call->users[j].lane, now + EXCLUDED_DELAY_MS);
	}
}

bool
braze_gone_has_stranded(const BrazePack *pack)
{
	return pack->stranded;
}

BrazeCall  *
braze_gone_next_stranded(BrazePack *pack, BrazeCall *previous)
{
	PackedCall *call = previous != NULL ? ((PackedCall *) previous)->all_next : pack->all;

	while (call != NULL &&
		   (call->state != CALL_WAITING || call->pub.letter == 0 || call->pub.judged))
		call = call->all_next;
	return call != NULL ? &call->pub : NULL;
}

/* what could not be released is stranded still */
void
braze_gone_end_stranded(BrazePack *pack)
{
	pack->stranded = pack->stranded && braze_gone_next_stranded(pack, NULL) != NULL;
}

/* ----- in doubt ----- */

/*
 * Braze may have accepted what was just sent, and it is not to be sent again
 */
bool
braze_gone_doubt(BrazePack *pack, BrazeRequest *request, const BrazeAnswer *answer,
				 int http_status)
{
	Range		range = request->ranges[request->nranges - 1];
	char		reason[BRAZE_REASON_SIZE + 100];

	snprintf(reason, sizeof(reason), "in doubt, braze_retry may make it count twice: %s",
			 answer->reason);
	for (int i = range.low; i < range.high; i++)
	{
		PackedObject *object = braze_object_at(request, i);
		PackedCall *call = request->objects[i].call;

		if (object->state != OBJECT_PENDING)
			continue;
		if (!braze_packed_call_add_refusal(pack, call, object->number, http_status, true, reason))
			return false;
		object->state = OBJECT_REFUSED;
		call->pub.judged = true;
		braze_identity_link_in_doubt(call, request->objects[i].object);
	}
	return true;
}
