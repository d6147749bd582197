/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Filling requests, and the next one to send.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- filling ----- */

/*
 * How many of the call's next objects belong to this endpoint and fit into
 * this request; *whole says that none of the endpoint's are left out.
 */
static int
fitting_objects(const BrazePack *pack, const BrazeRequest *request,
				const PackedCall *call, bool *whole)
{
	int			room = braze_object_limit_max(pack, request->endpoint) - request->nobjects;
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

		/*
		 * The first object of a request goes in whatever its size: an object
		 * that fits in no request would never be sent.
		 */
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

/* the call goes into the request with its next objects */
static void
add_call(BrazePack *pack, BrazeRequest *request, PackedCall *call, int nobjects)
{
	braze_ready_list_take(pack, call, request, nobjects);
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
 * May the user's next call join the request that already holds their
 * earlier ones?  Only if Braze applies it after them, and only as a whole.
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

/*
 * Fills an empty request from a list of calls that are ready.  All of them are
 * of one group of suspicion: what failed together is tried together, and takes
 * nobody else along.
 */
static void
fill_request(BrazePack *pack, BrazeRequest *request, ReadyList *list)
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
		(void) braze_ready_list_pop(list);
		add_call(pack, request, call, n);
		if (pack->one_call)
			break;

		/*
		 * The user's next calls come along as long as Braze applies them in
		 * order.  Without this a user would get one call a request.
		 */
		if (call->nlanes == 1)
		{
			Lane	   *lane = call->users[0].lane;

			while (lane->head != NULL &&
				   may_follow(pack, request, lane, lane->head, &n))
				add_call(pack, request, lane->head, n);
		}
	}
}

/* ----- starting ----- */

/* NULL when it need not be sent after all, or cannot be prepared yet */
static BrazeRequest *
prepare_request(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	switch (braze_request_progress_next(pack, request, now))
	{
		case BRAZE_NEXT_SEND:
			return request;
		case BRAZE_NEXT_NO_MEMORY:
			/* it keeps its calls and is tried again */
			braze_request_state_postpone(pack, request);
			return NULL;
		default:
			return NULL;
	}
}

/* a new request from this list; NULL when it need not be sent after all */
static BrazeRequest *
start_request(BrazePack *pack, BrazeEndpoint endpoint, ReadyList *list, int64_t now)
{
	BrazeRequest *request = braze_request_state_create(pack, endpoint);

	if (request == NULL)
		return NULL;
	if (endpoint == BRAZE_USERS_TRACK)
		braze_object_limit_begin(pack, list, now);
	fill_request(pack, request, list);
	braze_object_limit_filled(pack, request, now);
	request->ranges[0].low = 0;
	request->ranges[0].high = request->nobjects;
	request->nranges = 1;
	return prepare_request(pack, request, now);
}

/*
 * one that was postponed goes as it is, unless there was no memory to write it
 */
static BrazeRequest *
resume_request(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	braze_gone_exclude_all(request);
	return request->body_length > 0 ? request : prepare_request(pack, request, now);
}

/* a request of which nothing had to be sent makes room for the next */
static BrazeRequest *
next_of_lists(BrazePack *pack, ReadyList *lists, const bool *gates, int64_t now, int64_t *wait)
{
	for (int endpoint = 0; endpoint < BRAZE_ENDPOINTS; endpoint++)
	{
		while (gates[endpoint] && braze_start_delay_is_due(pack, endpoint, &lists[endpoint], now, wait))
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
	braze_ready_list_end_delays(pack, now, wait);

	/* first those that hold their users' lanes busy already */
	while ((request = braze_start_delay_postponed(pack, gates)) != NULL)
	{
		finished = pack->finished;
		request = resume_request(pack, request, now);

		/*
		 * not sent and not over: memory is out, and asking again now is no
		 * use
		 */
		if (request != NULL || pack->finished == finished)
			return request;
	}

	/* in turns, so that neither keeps the other from being tried */
	for (int i = 0; i < 2 && request == NULL; i++)
	{
		bool		again = (i == 0) == pack->again_first;

		request = again ? next_of_lists(pack, pack->again, gates->again, now, wait)
			: next_of_lists(pack, pack->ready, gates->fresh, now, wait);
		if (request != NULL)
			pack->again_first = !again;
	}
	return request;
}
