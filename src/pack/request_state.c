/*-------------------------------------------------------------------------
 *
 * request_state.c
 *	  A request as it stands: what it holds, and what of that is pending.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- what to send ----- */

int
braze_request_state_pending(const BrazeRequest *request, Range range)
{
	int			n = 0;

	for (int i = range.low; i < range.high; i++)
	{
		if (braze_object_at(request, i)->state <= OBJECT_UNFOLD)
			n++;
	}
	return n;
}

BrazeEndpoint
braze_request_state_endpoint(const BrazeRequest *request)
{
	return request->endpoint;
}

const char *
braze_request_state_body(const BrazeRequest *request, size_t *length)
{
	*length = request->body_length;
	return request->body;
}

const BrazeSent *
braze_request_state_sent(const BrazeRequest *request)
{
	return &request->sent;
}

int
braze_request_state_sent_calls(const BrazeRequest *request)
{
	Range		range = request->ranges[request->nranges - 1];
	const PackedCall *last = NULL;
	int			n = 0;

	/* a call's objects stand side by side */
	for (int i = range.low; i < range.high; i++)
	{
		if (braze_object_at(request, i)->state != OBJECT_PENDING ||
			request->objects[i].call == last)
			continue;
		last = request->objects[i].call;
		n++;
	}
	return n;
}

bool
braze_request_state_is_lone(const BrazeRequest *request)
{
	return braze_request_state_pending(request, request->ranges[request->nranges - 1]) == 1;
}

bool
braze_request_state_has_rest(const BrazeRequest *request)
{
	return request->nranges > 1;
}

bool
braze_request_state_is_again(const BrazeRequest *request)
{
	return request->calls[0]->suspicion.group != 0;
}

/* ----- its life ----- */

/* an empty request, which is one of the open ones until it is freed */
BrazeRequest *
braze_request_state_create(BrazePack *pack, BrazeEndpoint endpoint)
{
	BrazeRequest *request = malloc(sizeof(BrazeRequest));

	if (request == NULL)
		return NULL;
	request->prev = NULL;
	request->next = pack->requests;
	request->next_postponed = NULL;
	request->endpoint = endpoint;
	request->is_divided = request->has_refusal = false;
	request->largest_part = 0;
	request->has_gone = request->has_excluded = false;
	request->ncalls = 0;
	request->nobjects = 0;
	request->bytes = 0;
	request->nranges = 0;
	request->body = NULL;
	request->body_length = 0;
	if (pack->requests != NULL)
		pack->requests->prev = request;
	pack->requests = request;
	pack->open_requests++;
	pack->memory += sizeof(BrazeRequest);
	return request;
}

void
braze_request_state_free(BrazePack *pack, BrazeRequest *request)
{
	if (pack->object_limit.examined == request)
		pack->object_limit.examined = NULL;
	if (request->prev != NULL)
		request->prev->next = request->next;
	else
		pack->requests = request->next;
	if (request->next != NULL)
		request->next->prev = request->prev;
	pack->open_requests--;
	pack->memory -= sizeof(BrazeRequest);
	free(request->body);
	free(request);
}

/* to the end of the list, so that the oldest goes first */
void
braze_request_state_postpone(BrazePack *pack, BrazeRequest *request)
{
	request->next_postponed = NULL;
	if (pack->postponed_tail != NULL)
		pack->postponed_tail->next_postponed = request;
	else
		pack->postponed_head = request;
	pack->postponed_tail = request;
}

/* ----- its objects ----- */

/* refuses one object; false: no memory, and nothing has happened */
bool
braze_request_state_refuse(BrazePack *pack, BrazeRequest *request, int position,
						   int http_status, const char *reason)
{
	PackedObject *object = braze_object_at(request, position);
	PackedCall *call = request->objects[position].call;

	if (object->state == OBJECT_REFUSED)
		return true;
	if (!braze_packed_call_add_refusal(pack, call, object->number, http_status, false, reason))
		return false;
	object->state = OBJECT_REFUSED;
	call->pub.judged = true;

	/* of what failed before, Braze may have something */
	if (call->suspicion.group != 0)
		braze_identity_link_in_doubt(call, request->objects[position].object);
	else
		braze_identity_link_refused(call, request->objects[position].object);
	return true;
}
