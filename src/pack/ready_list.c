/*-------------------------------------------------------------------------
 *
 * ready_list.c
 *	  Which calls may start, and what that does to the lanes of their users.
 *
 * A call is ready when it heads the lane of each of its users, no request holds
 * an earlier call of theirs, and no deletion but its own that names one of them
 * is still to be settled.  It leaves its lanes for a request, and comes back to
 * their heads when something of it is left to send.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * calls that failed before have lists of their own, so that others pass them
 */
static ReadyList *
ready_list(BrazePack *pack, const PackedCall *call)
{
	BrazeEndpoint endpoint = braze_packed_call_endpoint(call);

	return call->suspicion.group != 0 ? &pack->again[endpoint] : &pack->ready[endpoint];
}

/* a call that heads its lanes may start once they are idle */
void
braze_ready_list_enter(BrazePack *pack, PackedCall *call, int64_t now)
{
	ReadyList  *list;
	int			weight = 0;

	if (call->ready)
		return;
	for (int i = 0; i < call->nlanes; i++)
	{
		if (call->users[i].lane->head != call || call->users[i].lane->busy != NULL ||
			call->users[i].lane->not_before > 0 ||
			call->users[i].lane->deletions > call->pub.deleted)
			return;
		weight += call->users[i].lane->waiting_objects;
	}

	/* it is about one user more, of whom something else may be the first */
	if (braze_identity_link_add_owner(pack, call))
	{
		braze_ready_list_enter(pack, call, now);
		return;
	}

	/*
	 * Everything earlier of these users is answered now, and not before: so
	 * only now is it known which links Braze needs.  This may change the
	 * call's next endpoint, hence before the list is chosen.
	 */
	if (!call->links_decided)
		braze_identity_link_decide(pack, call);
	list = ready_list(pack, call);
	call->ready = true;
	call->ready_since = now;
	call->ready_weight = weight;
	list->objects += weight;
	braze_packed_call_append(&list->calls, call);
}

/* so many objects more wait behind this call: the sooner it may go */
void
braze_ready_list_add_weight(BrazePack *pack, PackedCall *call, int nobjects)
{
	call->ready_weight += nobjects;
	ready_list(pack, call)->objects += nobjects;
}

/* takes out the first call of the list, NULL when there is none */
PackedCall *
braze_ready_list_pop(ReadyList *list)
{
	PackedCall *call = braze_packed_call_pop(&list->calls);

	if (call != NULL)
	{
		call->ready = false;
		list->objects -= call->ready_weight;
		BRAZE_ASSERT(list->objects >= 0 && (list->calls.head != NULL || list->objects == 0));
	}
	return call;
}

/* moves the call out of its lanes into a request, with its next nobjects */
void
braze_ready_list_take(BrazePack *pack, PackedCall *call, BrazeRequest *request, int nobjects)
{
	int			last_kind = 0;
	bool		attributes = false;
	bool		alone = false;

	BRAZE_ASSERT(call->state == CALL_WAITING && !call->ready);
	BRAZE_ASSERT(nobjects > 0 && nobjects <= braze_lane_remaining_objects(call));
	for (int i = 0; i < nobjects; i++)
	{
		const PackedObject *object = &call->objects[call->next_object + i];

		if (object->kind > last_kind)
			last_kind = object->kind;
		attributes = attributes || object->kind == BRAZE_ATTRIBUTES;
		alone = alone || object->alone;
	}
	for (int i = 0; i < call->nlanes; i++)
	{
		Lane	   *lane = call->users[i].lane;

		BRAZE_ASSERT(lane->head == call && lane->deletions <= call->pub.deleted);
		BRAZE_ASSERT(lane->busy == NULL ? lane->taken_calls == 0 : lane->busy == request);

		/* room in a lane may let a call in that is deferred */
		braze_lane_pop(lane);
		braze_deferred_lane_has_room(pack, lane);
		if (lane->busy == NULL)
		{
			lane->busy = request;
			lane->last_kind = 0;
			lane->closed = lane->has_attributes = lane->has_alone = false;
		}

		/* what decides whether the user's next call may join: see request.c */
		lane->taken_calls++;
		BRAZE_ASSERT(lane->busy == request && lane->taken_calls > 0);
		lane->has_attributes = lane->has_attributes || attributes;
		lane->has_alone = lane->has_alone || alone;
		if (last_kind > lane->last_kind)
			lane->last_kind = last_kind;

		/* the rest of this call comes before any later one */
		if (nobjects < braze_lane_remaining_objects(call))
			lane->closed = true;
	}
	call->state = CALL_TAKEN;
	call->started = true;
	call->taken = nobjects;
}

/* a call with objects left goes back to the head of its lanes */
void
braze_ready_list_return_to_lane(PackedCall *call)
{
	BRAZE_ASSERT(call->state == CALL_TAKEN);
	call->state = CALL_WAITING;
	call->taken = 0;
	for (int i = 0; i < call->nlanes; i++)
	{
		/* the request that gives it back still holds its lanes */
		BRAZE_ASSERT(call->users[i].lane->busy != NULL);
		braze_lane_prepend(call->users[i].lane, call);
	}

	/* a call that waits stands in all its lanes */
	for (int i = 0; i < call->nlanes; i++)
		BRAZE_ASSERT(call->users[i].lane->head == call);
}

/*
 * The request is over: what waited for its users may go.  All calls that have
 * objects left were given back before, or a follower could overtake them.
 */
void
braze_ready_list_release_lanes(BrazePack *pack, PackedCall **calls, int ncalls,
							   int64_t now)
{
	for (int i = 0; i < ncalls; i++)
	{
		for (int j = 0; j < calls[i]->nlanes; j++)
		{
			BRAZE_ASSERT(calls[i]->users[j].lane->taken_calls > 0);
			if (--calls[i]->users[j].lane->taken_calls == 0)
				calls[i]->users[j].lane->busy = NULL;
		}
	}

	/*
	 * Only now, since a call about two users looks at both lanes.  The alias
	 * before its user, whom a deletion of it is about as well.
	 */
	for (int i = 0; i < ncalls; i++)
	{
		for (int j = calls[i]->nlanes - 1; j >= 0; j--)
		{
			Lane	   *lane = calls[i]->users[j].lane;

			if (lane->head != NULL)
				braze_ready_list_enter(pack, lane->head, now);
		}
	}

	for (int i = 0; i < ncalls; i++)
	{
		PackedCall *call = calls[i];

		if (braze_lane_remaining_objects(call) == 0)
			braze_packed_call_done(pack, call, now);
	}
}

/* what waited goes on; wait: until the next of them */
void
braze_ready_list_end_delays(BrazePack *pack, int64_t now, int64_t *wait)
{
	while (pack->delayed != NULL && pack->delayed->delay_key <= now)
	{
		Lane	   *lane = braze_lane_pop_delayed(pack);

		if (lane->not_before > now)
		{
			braze_lane_enter_delayed(pack, lane);
			continue;
		}
		lane->not_before = 0;
		if (lane->head != NULL)
			braze_ready_list_enter(pack, lane->head, now);
		braze_lane_unref(pack, lane);
	}
	if (pack->delayed != NULL && (*wait < 0 || pack->delayed->delay_key - now < *wait))
		*wait = pack->delayed->delay_key - now;
}
