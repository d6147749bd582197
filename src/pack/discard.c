/*-------------------------------------------------------------------------
 *
 * discard.c
 *	  Taking out of the pack what was not sent, and what is held at all.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* a call that is partly sent must not be read again from its beginning */
static bool
is_droppable(const PackedCall *call)
{
	return call->state == CALL_WAITING && (!call->started || call->pub.gone);
}

void
braze_discard_mark_gone(BrazePack *pack, BrazeGone gone, void *arg)
{
	for (PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		if (call->state != CALL_DONE && !call->pub.gone)
			call->pub.gone = gone(&call->pub, arg);
	}
	for (BrazeRequest *request = pack->requests; request != NULL; request = request->next)
	{
		for (int i = 0; i < request->ncalls; i++)
			request->has_gone = request->has_gone || request->calls[i]->pub.gone;
	}
}

typedef bool (*Leaving) (const PackedCall *call);

/*
 * The calls that leave are taken out of the lane; the others keep their order.
 */
static void
drop_from_lane(BrazePack *pack, Lane *lane, Leaving leaving)
{
	PackedCall **link = &lane->head;
	PackedCall *call;

	lane->tail = NULL;
	lane->waiting_objects = 0;
	while ((call = *link) != NULL)
	{
		if (leaving(call))
			*link = *braze_lane_link(call, lane);
		else
		{
			lane->tail = call;
			lane->waiting_objects += braze_lane_remaining_objects(call);
			link = braze_lane_link(call, lane);
		}
	}
	braze_deferred_lane_has_room(pack, lane);
}

/* the same with a list of ready calls */
static void
drop_from_list(ReadyList *list, Leaving leaving)
{
	CallList	kept = {NULL, NULL};
	int64_t		objects = 0;
	PackedCall *call;

	while ((call = braze_packed_call_pop(&list->calls)) != NULL)
	{
		if (leaving(call))
			continue;
		braze_packed_call_append(&kept, call);
		objects += call->ready_weight;
	}
	list->calls = kept;
	list->objects = objects;
}

/* out of whatever they wait in */
static void
take_out(BrazePack *pack, Leaving leaving)
{
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		drop_from_list(&pack->ready[i], leaving);
		drop_from_list(&pack->again[i], leaving);
	}
	for (size_t i = 0; i < pack->nbuckets; i++)
	{
		for (Lane *lane = pack->buckets[i]; lane != NULL; lane = lane->next_in_bucket)
			drop_from_lane(pack, lane, leaving);
	}
}

/*
 * Frees them; returns the lowest of their ids, 0 when there was none, and when
 * that call was queued.
 */
static int64_t
drop_calls(BrazePack *pack, Leaving leaving, int64_t *queued_at)
{
	PackedCall *call;
	PackedCall *next;
	int64_t		lowest = 0;

	/* out of all lists first, which would point to what is freed */
	take_out(pack, leaving);
	for (call = pack->all; call != NULL; call = next)
	{
		next = call->all_next;
		if (!leaving(call))
			continue;
		if (lowest == 0 || call->pub.id < lowest)
		{
			lowest = call->pub.id;
			if (queued_at != NULL)
				*queued_at = call->pub.row.queued_at;
		}
		braze_identity_link_given_up(call);
		braze_packed_call_free(pack, call);
	}

	/* one that left may have headed a lane */
	for (call = pack->all; call != NULL; call = call->all_next)
	{
		if (call->state == CALL_WAITING)
			braze_ready_list_enter(pack, call, 0);
	}
	return lowest;
}

int64_t
braze_discard_drop_waiting(BrazePack *pack, int64_t *queued_at)
{
	int64_t		deferred = braze_deferred_drop(pack);
	int64_t		its_time = 0;
	int64_t		lowest = drop_calls(pack, is_droppable, &its_time);

	if (lowest == 0 || (deferred != 0 && deferred < lowest))
		return deferred;
	if (queued_at != NULL)
		*queued_at = its_time;
	return lowest;
}

static bool
gone_and_waiting(const PackedCall *call)
{
	return call->state == CALL_WAITING && call->pub.gone;
}

void
braze_discard_drop_gone(BrazePack *pack)
{
	for (const PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		if (gone_and_waiting(call))
		{
			(void) drop_calls(pack, gone_and_waiting, NULL);
			return;
		}
	}
}

static bool
given_up(const PackedCall *call)
{
	return call->given_up && call->state == CALL_WAITING;
}

/*
 * What Braze has taken of it is not refused.  When memory runs out before all
 * the others are, these are pending as before.
 */
static bool
refuse_rest(BrazePack *pack, PackedCall *call, const BrazeGivingUp *why)
{
	char		reason[BRAZE_REASON_SIZE * 2];
	bool		whole = (call->pub.nrefused == 0);

	/* in seconds first: a plain INSERT may have given it -infinity */
	snprintf(reason, sizeof(reason), "queued %lld s ago and not delivered: %s",
			 (long long) (why->wall_clock / 1000000 - call->pub.row.queued_at / 1000000), why->reason);
	braze_identity_link_given_up(call);
	for (int i = 0; i < call->pub.nobjects; i++)
		whole = whole && (call->objects[i].number < 0 || call->objects[i].state < OBJECT_ACCEPTED);
	if (whole)
		return braze_packed_call_add_refusal(pack, call, BRAZE_WHOLE_CALL, why->http_status, false, reason);
	for (int i = call->next_object; i < call->pub.nobjects; i++)
	{
		if (call->objects[i].state >= OBJECT_ACCEPTED)
			continue;
		if (!braze_packed_call_add_refusal(pack, call, call->objects[i].number, why->http_status, false, reason))
			return false;
		call->objects[i].state = OBJECT_REFUSED;
	}
	return true;
}

bool
braze_discard_give_up(BrazePack *pack, const BrazeGivingUp *why, int64_t now)
{
	bool		enough = true;	/* memory */

	for (PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		if (call->state != CALL_WAITING || call->pub.gone ||
			call->pub.row.queued_at >= why->queued_before ||
			!why->endpoints[braze_packed_call_endpoint(call)])
			continue;
		enough = refuse_rest(pack, call, why);
		if (!enough)
			break;
		call->given_up = true;
	}

	/* all the way for each that is refused, or it would be sent after all */
	take_out(pack, given_up);

	/* first to the end what waits behind them, since lanes may go with them */
	for (PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		for (int i = 0; i < call->nlanes && given_up(call); i++)
		{
			if (call->users[i].lane->head != NULL)
				braze_ready_list_enter(pack, call->users[i].lane->head, now);
		}
	}
	for (PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		if (given_up(call))
			braze_packed_call_done(pack, call, now);
	}
	return enough;
}

static int
compare_held(const void *a, const void *b)
{
	const BrazeHeld *left = a;
	const BrazeHeld *right = b;

	if (left->id != right->id)
		return (left->id > right->id) - (left->id < right->id);
	return (left->queued_at > right->queued_at) - (left->queued_at < right->queued_at);
}

BrazeHeld  *
braze_discard_held(const BrazePack *pack, int *count)
{
	int			ndeferred = braze_deferred_list(pack, NULL);
	BrazeHeld  *held = malloc(sizeof(BrazeHeld) * (pack->ncalls + ndeferred + 1));
	int			n;

	if (held == NULL)
		return NULL;
	n = braze_deferred_list(pack, held);
	for (const PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		held[n].id = call->pub.id;
		held[n++].queued_at = call->pub.row.queued_at;
	}
	qsort(held, n, sizeof(BrazeHeld), compare_held);
	*count = n;
	return held;
}

static bool
is_among(const BrazeHeld *held, int count, int64_t id, int64_t queued_at)
{
	BrazeHeld	key = {id, queued_at};

	return count > 0 && bsearch(&key, held, count, sizeof(BrazeHeld), compare_held) != NULL;
}

bool
braze_discard_held_contain(const BrazeHeld *held, int count, int64_t id, int64_t queued_at)
{
	return is_among(held, count, id, queued_at) ||
		is_among(held, count, id, BRAZE_HELD_AT_ANY_TIME);
}
