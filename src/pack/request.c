/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests: filling them, and halving what is refused.
 *
 * A request keeps its objects until each was accepted or refused.  What Braze
 * refuses as a whole is sent again in halves, one after the other so that a
 * user in both stays in order, until the guilty object stands alone.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- filling ----- */

static int
max_objects(const BrazePack *pack, BrazeEndpoint endpoint)
{
	return endpoint == BRAZE_USERS_TRACK ? braze_object_limit_max(pack)
		: braze_endpoints[endpoint].max_objects;
}

/*
 * How many of the call's next objects belong to this endpoint and fit into
 * this request; *whole says that none of the endpoint's are left out.
 */
static int
fitting_objects(const BrazePack *pack, const BrazeRequest *request,
				const PackedCall *call, bool *whole)
{
	int			room = max_objects(pack, request->endpoint) - request->nobjects;
	size_t		bytes = request->bytes;
	int			n = 0;
	int			kind = -1;

	if (request->nobjects > 0)
		kind = braze_object_at(request, 0)->kind;
	*whole = true;
	for (int i = call->next_object; i < call->pub.nobjects; i++)
	{
		const PackedObject *object = &call->objects[i];

		if (braze_kinds[object->kind].endpoint != request->endpoint)
			break;
		if (kind < 0)
			kind = object->kind;
		bytes += object->length + 1;
		if (n >= room ||
			(braze_endpoints[request->endpoint].one_kind && object->kind != kind) ||
			(bytes + BRAZE_BODY_OVERHEAD > pack->limits.max_body &&
			 request->nobjects + n > 0))
		{
			*whole = false;
			break;
		}
		n++;
	}
	return n;
}

static void
add_call(BrazePack *pack, BrazeRequest *request, PackedCall *call, int nobjects)
{
	braze_pack_take(pack, call, request, nobjects);
	request->calls[request->ncalls++] = call;
	for (int i = 0; i < nobjects; i++)
	{
		ObjectRef  *ref = &request->objects[request->nobjects++];

		ref->call = call;
		ref->object = call->next_object + i;
		request->bytes += call->objects[ref->object].length + 1;
	}
}

/*
 * May the user's next call join the request that already holds his earlier
 * ones?  Only if Braze applies it after them, and only as a whole.
 */
static bool
may_follow(const BrazePack *pack, const BrazeRequest *request,
		   const Lane *lane, const PackedCall *call, int *nobjects)
{
	bool		whole;

	if (lane->closed || call->nlanes != 1 ||
		call->suspicion.group != request->calls[0]->suspicion.group)
		return false;
	for (int i = call->next_object; i < call->pub.nobjects; i++)
	{
		const PackedObject *object = &call->objects[i];

		if (object->kind < lane->last_kind)
			return false;
		if (object->kind == BRAZE_ATTRIBUTES && lane->has_attributes &&
			(object->alone || lane->has_alone))
			return false;
	}
	*nobjects = fitting_objects(pack, request, call, &whole);
	return whole && *nobjects > 0;
}

static void
fill(BrazePack *pack, BrazeRequest *request, ReadyList *list)
{
	uint64_t	group = list->calls.head->suspicion.group;
	PackedCall *call;

	while ((call = list->calls.head) != NULL && call->suspicion.group == group)
	{
		bool		whole;
		int			n = fitting_objects(pack, request, call, &whole);

		/* a call is divided only when even an empty request is too small */
		if (n == 0 || (!whole && request->nobjects > 0))
			break;
		(void) braze_pack_ready_pop(list);
		add_call(pack, request, call, n);
		if (pack->one_call)
			break;

		if (call->nlanes == 1)
		{
			Lane	   *lane = call->lanes[0];

			while (lane->head != NULL &&
				   may_follow(pack, request, lane, lane->head, &n))
				add_call(pack, request, lane->head, n);
		}
	}
}

/* ----- what to send ----- */

static int
pending_in(const BrazeRequest *request, Range range)
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
braze_request_endpoint(const BrazeRequest *request)
{
	return request->endpoint;
}

const char *
braze_request_body(const BrazeRequest *request, size_t *length)
{
	*length = request->body_length;
	return request->body;
}

const BrazeSent *
braze_request_sent(const BrazeRequest *request)
{
	return &request->sent;
}

int
braze_request_sent_calls(const BrazeRequest *request)
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
braze_request_is_lone(const BrazeRequest *request)
{
	return pending_in(request, request->ranges[request->nranges - 1]) == 1;
}

bool
braze_request_is_again(const BrazeRequest *request)
{
	return request->calls[0]->suspicion.group != 0;
}

/* ----- life ----- */

static BrazeRequest *
new_request(BrazePack *pack, BrazeEndpoint endpoint)
{
	BrazeRequest *request = malloc(sizeof(BrazeRequest));

	if (request == NULL)
		return NULL;
	request->prev = NULL;
	request->next = pack->requests;
	request->next_later = NULL;
	request->endpoint = endpoint;
	request->is_divided = request->has_refusal = false;
	request->largest_part = 0;
	request->has_gone = request->has_left_out = false;
	request->ncalls = 0;
	request->nobjects = 0;
	request->bytes = 0;
	request->nranges = 0;
	request->body = NULL;
	request->body_length = 0;
	if (pack->requests != NULL)
		pack->requests->prev = request;
	pack->requests = request;
	pack->in_flight++;
	pack->memory += sizeof(BrazeRequest);
	return request;
}

void
braze_request_free(BrazePack *pack, BrazeRequest *request)
{
	if (pack->object_limit.examined == request)
		pack->object_limit.examined = NULL;
	if (request->prev != NULL)
		request->prev->next = request->next;
	else
		pack->requests = request->next;
	if (request->next != NULL)
		request->next->prev = request->prev;
	pack->in_flight--;
	pack->memory -= sizeof(BrazeRequest);
	free(request->body);
	free(request);
}

void
braze_request_put_off(BrazePack *pack, BrazeRequest *request)
{
	request->next_later = NULL;
	if (pack->later_tail != NULL)
		pack->later_tail->next_later = request;
	else
		pack->later_head = request;
	pack->later_tail = request;
}

static bool
may_pass(const BrazeGates *gates, BrazeEndpoint endpoint, bool again)
{
	return again ? gates->again[endpoint] : gates->fresh[endpoint];
}

/* the oldest that may go now */
static BrazeRequest *
pop_later(BrazePack *pack, const BrazeGates *gates)
{
	BrazeRequest *before = NULL;
	BrazeRequest *request = pack->later_head;

	while (request != NULL &&
		   !may_pass(gates, request->endpoint, braze_request_is_again(request)))
	{
		before = request;
		request = request->next_later;
	}
	if (request == NULL)
		return NULL;
	if (before != NULL)
		before->next_later = request->next_later;
	else
		pack->later_head = request->next_later;
	if (pack->later_tail == request)
		pack->later_tail = before;
	return request;
}

/*
 * May a request to this endpoint start: is it full, is nothing under way, or
 * has its oldest call waited long enough?  What failed before gets no company
 * anyway.
 */
static bool
may_start(const BrazePack *pack, BrazeEndpoint endpoint, const ReadyList *list,
		  int64_t now, int64_t *wait)
{
	int64_t		left;

	if (list->calls.head == NULL || pack->in_flight >= pack->limits.max_in_flight)
		return false;
	if (endpoint == BRAZE_USERS_TRACK && braze_object_limit_holds(pack, now, wait))
		return false;
	if (pack->in_flight == 0 || list->objects >= max_objects(pack, endpoint) ||
		list->calls.head->suspicion.group != 0)
		return true;
	left = list->calls.head->ready_since + pack->limits.max_delay - now;
	if (left <= 0)
		return true;
	if (*wait < 0 || left < *wait)
		*wait = left;
	return false;
}

/*
 * The request is over.  What is still pending goes back, each call in front of
 * what its lane holds: hence backwards.
 */
static void
finish(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	braze_gone_leave_gone(request);
	braze_gone_take_in(pack, request, now);
	for (int i = request->ncalls - 1; i >= 0; i--)
	{
		PackedCall *call = request->calls[i];
		int			first = call->next_object;

		while (call->next_object < call->pub.nobjects &&
			   call->objects[call->next_object].state >= OBJECT_ACCEPTED)
			call->next_object++;
		if (call->next_object < call->pub.nobjects)
		{
			braze_pack_give_back(call);
			if (call->pub.letter != 0 && !call->pub.judged)
				pack->stranded = true;
		}
		if (request->endpoint != BRAZE_USERS_TRACK && pack->limits.identity_delay > 0 &&
			call->next_object > first)
		{
			for (int j = 0; j < call->nlanes; j++)
				braze_lane_delay(pack, call->lanes[j], now + pack->limits.identity_delay);
		}
	}
	pack->finished++;
	braze_pack_release_lanes(pack, request->calls, request->ncalls, now);
	braze_request_free(pack, request);
}

void
braze_request_cancel_postponed(BrazePack *pack, BrazeEndpoint endpoint, int64_t now)
{
	BrazeRequest *request = pack->later_head;

	pack->later_head = pack->later_tail = NULL;
	while (request != NULL)
	{
		BrazeRequest *next = request->next_later;

		if (request->endpoint == endpoint)
			finish(pack, request, now);
		else
			braze_request_put_off(pack, request);
		request = next;
	}
}

/*
 * Prepares the next part that has something to send; when all of it is
 * settled, the request is over.
 */
static BrazeNext
advance(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	braze_gone_leave_gone(request);
	for (;;)
	{
		while (request->nranges > 0 &&
			   pending_in(request, request->ranges[request->nranges - 1]) == 0)
			request->nranges--;
		if (request->nranges == 0)
		{
			braze_object_limit_judged(pack, request, now);
			finish(pack, request, now);
			return BRAZE_NEXT_DONE;
		}
		if (!braze_request_body_write(pack, request))
			return BRAZE_NEXT_NO_MEMORY;
		if (request->norder > 0)
			return BRAZE_NEXT_SEND;
	}
}

BrazeNext
braze_request_rewrite(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	return advance(pack, request, now);
}

/* NULL when it need not be sent after all, or cannot be prepared yet */
static BrazeRequest *
prepared(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	switch (advance(pack, request, now))
	{
		case BRAZE_NEXT_SEND:
			return request;
		case BRAZE_NEXT_NO_MEMORY:
			/* it keeps its calls and is tried again */
			braze_request_put_off(pack, request);
			return NULL;
		default:
			return NULL;
	}
}

static BrazeRequest *
start_request(BrazePack *pack, BrazeEndpoint endpoint, ReadyList *list, int64_t now)
{
	BrazeRequest *request = new_request(pack, endpoint);

	if (request == NULL)
		return NULL;
	if (endpoint == BRAZE_USERS_TRACK)
		braze_object_limit_begin(pack, list, now);
	fill(pack, request, list);
	braze_object_limit_filled(pack, request, now);
	request->ranges[0].low = 0;
	request->ranges[0].high = request->nobjects;
	request->nranges = 1;
	return prepared(pack, request, now);
}

/* one that was put off goes as it is, unless there was no memory to write it */
static BrazeRequest *
resume_request(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	braze_gone_leave_gone(request);
	return request->body_length > 0 ? request : prepared(pack, request, now);
}

/* a request of which nothing had to be sent makes room for the next */
static BrazeRequest *
next_of(BrazePack *pack, ReadyList *lists, const bool *gates, int64_t now, int64_t *wait)
{
	for (int endpoint = 0; endpoint < BRAZE_ENDPOINTS; endpoint++)
	{
		while (gates[endpoint] && may_start(pack, endpoint, &lists[endpoint], now, wait))
		{
			int			finished = pack->finished;
			BrazeRequest *request = start_request(pack, endpoint, &lists[endpoint], now);

			if (request != NULL || pack->finished == finished)
				return request;
		}
	}
	return NULL;
}

BrazeRequest *
braze_request_next(BrazePack *pack, const BrazeGates *gates, int64_t now,
						int64_t *wait)
{
	BrazeRequest *request;
	int			finished;

	*wait = -1;
	pack->one_call = gates->one_call;
	braze_lane_end_delays(pack, now, wait);

	while ((request = pop_later(pack, gates)) != NULL)
	{
		finished = pack->finished;
		request = resume_request(pack, request, now);
		if (request != NULL || pack->finished == finished)
			return request;
	}

	/* in turns, so that neither keeps the other from being tried */
	for (int i = 0; i < 2 && request == NULL; i++)
	{
		bool		again = (i == 0) == pack->again_first;

		request = again ? next_of(pack, pack->again, gates->again, now, wait)
			: next_of(pack, pack->ready, gates->fresh, now, wait);
		if (request != NULL)
			pack->again_first = !again;
	}
	return request;
}

/* ----- answers ----- */

bool
braze_request_refuse(BrazePack *pack, BrazeRequest *request, int position,
					 int http_status, const char *reason)
{
	PackedObject *object = braze_object_at(request, position);

	if (object->state == OBJECT_REFUSED)
		return true;
	if (!braze_pack_add_refusal(pack, request->objects[position].call,
								object->number, http_status, false, reason))
		return false;
	object->state = OBJECT_REFUSED;
	request->objects[position].call->pub.judged = true;
	braze_identity_link_refused(request->objects[position].call,
						   request->objects[position].object);
	return true;
}

/*
 * What was refused folded is sent again object by object, so that only the
 * guilty one is refused; all others of the request are judged as usual.
 */
static bool
unfold(BrazeRequest *request, int position)
{
	if (braze_object_at(request, position)->fold_next < 0)
		return false;
	for (; position >= 0; position = braze_object_at(request, position)->fold_next)
		braze_object_at(request, position)->state = OBJECT_UNFOLD;
	return true;
}

/* makes a range of each of them, the first on top */
static void
send_unfolded(BrazeRequest *request, Range range)
{
	for (int i = range.high - 1; i >= range.low; i--)
	{
		PackedObject *object = braze_object_at(request, i);

		if (object->state != OBJECT_UNFOLD)
			continue;
		object->state = OBJECT_PENDING;
		object->unfolded = true;
		BRAZE_ASSERT(request->nranges < MAX_RANGES);
		request->ranges[request->nranges].low = i;
		request->ranges[request->nranges].high = i + 1;
		request->nranges++;
	}
}

/* in the order in which the objects stand in their calls, whatever Braze's is */
static bool
refuse_named(BrazePack *pack, BrazeRequest *request, const BrazeAnswer *answer,
			 int http_status)
{
	const BrazeObjectError *errors[BRAZE_PACK_MAX_OBJECTS] = {NULL};

	for (int i = 0; i < answer->nerrors; i++)
	{
		const BrazeObjectError *error = &answer->errors[i];
		int			position;

		if (error->index < 0 || error->index >= request->sent.counts[error->kind])
			continue;
		position = request->order[request->first_of_kind[error->kind] + error->index];
		if (errors[position] == NULL)
			errors[position] = error;
	}
	for (int i = 0; i < request->nobjects; i++)
	{
		if (errors[i] != NULL && !unfold(request, i) &&
			!braze_request_refuse(pack, request, i, http_status, errors[i]->reason))
			return false;
	}
	return true;
}

static bool
accept_pending(BrazePack *pack, BrazeRequest *request, Range range)
{
	for (int i = range.low; i < range.high; i++)
	{
		PackedObject *object = braze_object_at(request, i);

		if (object->state != OBJECT_PENDING)
			continue;
		if (!braze_identity_link_accepted(pack, request->objects[i].call,
									 request->objects[i].object))
			return false;
		object->state = OBJECT_ACCEPTED;
		request->objects[i].call->pub.judged = true;
	}
	return true;
}

/* replaces the range under way by its two halves, the first on top */
static void
halve(BrazeRequest *request, Range range, int pending)
{
	int			middle = range.low;
	int			seen = 0;

	while (seen < (pending + 1) / 2)
	{
		if (braze_object_at(request, middle++)->state == OBJECT_PENDING)
			seen++;
	}
	BRAZE_ASSERT(request->nranges < MAX_RANGES);
	request->ranges[request->nranges - 1].low = middle;
	request->ranges[request->nranges - 1].high = range.high;
	request->ranges[request->nranges].low = range.low;
	request->ranges[request->nranges].high = middle;
	request->nranges++;
}

BrazeNext
braze_request_answered(BrazePack *pack, BrazeRequest *request,
					   const BrazeAnswer *answer, int http_status, int64_t now)
{
	Range		range = request->ranges[request->nranges - 1];
	int			pending;

	BRAZE_ASSERT(request->nranges > 0 && request->nranges <= MAX_RANGES);
	if (answer->verdict <= BRAZE_REFUSED_WHOLE)
	{
		pack->successes[request->endpoint]++;
		pack->down[request->endpoint] = false;
	}
	if (braze_object_limit_answered(pack, request, answer, http_status))
	{
		finish(pack, request, now);
		return BRAZE_NEXT_LATER;
	}
	switch (answer->verdict)
	{
		case BRAZE_ACCEPTED:
			if (!refuse_named(pack, request, answer, http_status))
				return BRAZE_NEXT_NO_MEMORY;
			if (!accept_pending(pack, request, range))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_SOME_REFUSED:
			if (!refuse_named(pack, request, answer, http_status))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_REFUSED_WHOLE:
			pending = pending_in(request, range);
			if (pending > 1)
				halve(request, range, pending);
			else if (!braze_request_refuse(pack, request, request->order[0], http_status,
							 answer->reason))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_FAILED:
		case BRAZE_STOPPED:
		case BRAZE_SLOW_DOWN:
			if (answer->verdict == BRAZE_FAILED &&
				(answer->ambiguous && pack->limits.at_most_once ?
				 !braze_gone_doubt(pack, request, answer, http_status) :
				 !braze_isolate_fail(pack, request, answer, http_status, now)))
				return BRAZE_NEXT_NO_MEMORY;
			pending = pending_in(request, (Range) {0, request->nobjects});
			finish(pack, request, now);
			return pending > 0 ? BRAZE_NEXT_LATER : BRAZE_NEXT_DONE;
	}

	send_unfolded(request, range);
	return advance(pack, request, now);
}
