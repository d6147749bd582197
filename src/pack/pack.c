/*-------------------------------------------------------------------------
 *
 * pack.c
 *	  Calls and the lanes of their users.
 *
 * A lane is one user's queue.  A call stands in the lanes of all the users it
 * is about, and is ready when it heads each of them and no request holds an
 * earlier call of theirs.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- lists ----- */

void
braze_pack_calls_append(CallList *list, PackedCall *call)
{
	call->next = NULL;
	if (list->tail != NULL)
		list->tail->next = call;
	else
		list->head = call;
	list->tail = call;
}

PackedCall *
braze_pack_calls_pop(CallList *list)
{
	PackedCall *call = list->head;

	if (call != NULL)
	{
		list->head = call->next;
		if (list->head == NULL)
			list->tail = NULL;
		call->next = NULL;
	}
	return call;
}

/* ----- what can start ----- */

BrazeEndpoint
braze_pack_next_endpoint(const PackedCall *call)
{
	return braze_kinds[call->objects[call->next_object].kind].endpoint;
}

static ReadyList *
ready_list(BrazePack *pack, const PackedCall *call)
{
	BrazeEndpoint endpoint = braze_pack_next_endpoint(call);

	return call->suspicion.group != 0 ? &pack->again[endpoint] : &pack->ready[endpoint];
}

/* a call that heads its lanes may start once they are idle */
void
braze_pack_make_ready(BrazePack *pack, PackedCall *call, int64_t now)
{
	ReadyList  *list;
	int			weight = 0;

	if (call->ready)
		return;
	for (int i = 0; i < call->nlanes; i++)
	{
		if (call->lanes[i]->head != call || call->lanes[i]->busy != NULL ||
			call->lanes[i]->not_before > 0)
			return;
		weight += call->lanes[i]->waiting_objects;
	}
	if (!call->links_decided)
		braze_identity_link_decide(pack, call);
	list = ready_list(pack, call);
	call->ready = true;
	call->ready_since = now;
	call->ready_weight = weight;
	list->objects += weight;
	braze_pack_calls_append(&list->calls, call);
}

PackedCall *
braze_pack_ready_pop(ReadyList *list)
{
	PackedCall *call = braze_pack_calls_pop(&list->calls);

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
braze_pack_take(BrazePack *pack, PackedCall *call, BrazeRequest *request, int nobjects)
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
		Lane	   *lane = call->lanes[i];

		BRAZE_ASSERT(lane->head == call);
		BRAZE_ASSERT(lane->busy == NULL ? lane->taken_calls == 0 : lane->busy == request);
		braze_lane_pop(pack, lane);
		if (lane->busy == NULL)
		{
			lane->busy = request;
			lane->last_kind = 0;
			lane->closed = lane->has_attributes = lane->has_alone = false;
		}
		lane->taken_calls++;
		lane->has_attributes = lane->has_attributes || attributes;
		lane->has_alone = lane->has_alone || alone;
		if (last_kind > lane->last_kind)
			lane->last_kind = last_kind;
		if (nobjects < braze_lane_remaining_objects(call))
			lane->closed = true;
	}
	call->state = CALL_TAKEN;
	call->started = true;
	call->taken = nobjects;
}

/* a call with objects left goes back to the head of its lanes */
void
braze_pack_give_back(PackedCall *call)
{
	BRAZE_ASSERT(call->state == CALL_TAKEN);
	call->state = CALL_WAITING;
	call->taken = 0;
	for (int i = 0; i < call->nlanes; i++)
		braze_lane_prepend(call->lanes[i], call);
}

/*
 * The request is over: what waited for its users may go.  All calls that have
 * objects left were given back before, or a follower could overtake them.
 */
void
braze_pack_release_lanes(BrazePack *pack, PackedCall **calls, int ncalls,
						 int64_t now)
{
	for (int i = 0; i < ncalls; i++)
	{
		for (int j = 0; j < calls[i]->nlanes; j++)
		{
			BRAZE_ASSERT(calls[i]->lanes[j]->taken_calls > 0);
			if (--calls[i]->lanes[j]->taken_calls == 0)
				calls[i]->lanes[j]->busy = NULL;
		}
	}

	/* only now, since a call about two users looks at both lanes */
	for (int i = 0; i < ncalls; i++)
	{
		for (int j = 0; j < calls[i]->nlanes; j++)
		{
			Lane	   *lane = calls[i]->lanes[j];

			if (lane->head != NULL)
				braze_pack_make_ready(pack, lane->head, now);
		}
	}

	for (int i = 0; i < ncalls; i++)
	{
		PackedCall *call = calls[i];

		if (braze_lane_remaining_objects(call) > 0)
			continue;
		for (int j = 0; j < call->nlanes; j++)
			braze_lane_unref(pack, call->lanes[j]);
		call->nlanes = 0;
		call->state = CALL_DONE;
		braze_pack_calls_append(&pack->done, call);
	}
}

/* ----- calls in and out ----- */

static void
account(BrazePack *pack, PackedCall *call, size_t bytes)
{
	call->size += bytes;
	pack->memory += bytes;
}

/*
 * The text counts twice: a body that is written has it once more, and what is
 * taken in is to leave room for that.
 */
static PackedCall *
new_call(int nlinks, int nobjects, const BrazePackObject *objects, size_t *size)
{
	size_t		header = sizeof(PackedCall) + (nlinks + nobjects) * sizeof(PackedObject);
	size_t		text = 0;
	PackedCall *call;
	char	   *to;

	for (int i = 0; i < nobjects; i++)
		text += objects[i].length;
	*size = header + 2 * text;
	call = malloc(header + text);
	if (call == NULL)
		return NULL;
	memset(call, 0, header);
	call->nlinks = nlinks;
	call->links_decided = (nlinks == 0);
	call->pub.nobjects = nlinks + nobjects;
	for (int i = 0; i < nlinks; i++)
		call->objects[i].number = BRAZE_LINK_ALONE;
	to = (char *) call + header;
	for (int i = 0; i < nobjects; i++)
	{
		PackedObject *object = &call->objects[nlinks + i];

		memcpy(to, objects[i].json, objects[i].length);
		object->json = to;
		object->length = objects[i].length;
		object->number = objects[i].number;
		object->kind = objects[i].kind;
		object->state = OBJECT_PENDING;
		object->alone = (object->kind == BRAZE_ATTRIBUTES &&
						 braze_attributes_stand_alone(object->json, object->length));
		call->pub.deletes = call->pub.deletes ||
			braze_kinds[object->kind].endpoint == BRAZE_USERS_DELETE;
		to += objects[i].length;
	}
	return call;
}

/* puts the call into the lanes of its users; false: no memory */
static bool
find_lanes(BrazePack *pack, PackedCall *call, int nusers, const BrazePackUser *users)
{
	for (int i = 0; i < nusers; i++)
	{
		Lane	   *lane = braze_lane_for(pack, &users[i]);
		bool		known = false;

		if (lane == NULL)
			return false;
		if (users[i].profile != NULL)
			call->pub.profiles[call->pub.nprofiles++] = users[i].profile;
		/* two names may be one user: merging somebody into himself, say */
		for (int j = 0; j < call->nlanes; j++)
			known = known || call->lanes[j] == lane;
		if (known)
			continue;
		lane->calls++;
		call->links[call->nlanes] = users[i].link;
		call->profiles[call->nlanes] = users[i].profile;
		call->lanes[call->nlanes++] = lane;
	}
	return true;
}

static void
enter(BrazePack *pack, PackedCall *call, size_t size)
{
	call->all_next = pack->all;
	if (pack->all != NULL)
		pack->all->all_prev = call;
	pack->all = call;
	pack->ncalls++;
	account(pack, call, size);
}

static int
count_links(int nusers, const BrazePackUser *users)
{
	int			last = 0;

	for (int i = 1; i < nusers; i++)
	{
		if (users[i].link >= 0)
			last = i;
	}
	return last;
}

/* a call that is not in the pack, and does not stay */
static void
discard(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
		braze_lane_unref(pack, call->lanes[i]);
	free(call);
}

static void
release_profiles(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->pub.nprofiles; i++)
		pack->limits.release(call->pub.profiles[i]);
	call->pub.nprofiles = 0;
}

/* knows its lanes, but does not stand in them yet */
static PackedCall *
new_call_in_lanes(BrazePack *pack, int64_t id, BrazeRowAddress row,
				  int nobjects, const BrazePackObject *objects,
				  int nusers, const BrazePackUser *users, size_t *size)
{
	PackedCall *call = new_call(count_links(nusers, users), nobjects, objects, size);

	if (call == NULL)
		return NULL;
	call->pub.id = id;
	call->pub.row = row;
	call->state = CALL_WAITING;
	if (!find_lanes(pack, call, nusers, users))
	{
		discard(pack, call);
		return NULL;
	}
	/* lanes that turned out to be the same leave links without a lane */
	for (int i = (call->nlanes > 0 ? call->nlanes - 1 : 0); i < call->nlinks; i++)
		call->objects[i].state = OBJECT_ACCEPTED;
	return call;
}

static void
join_lanes(BrazePack *pack, PackedCall *call, size_t size, int64_t now)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		Lane	   *lane = call->lanes[i];

		braze_lane_append(lane, call);
		if (lane->head != call && lane->head->ready)
		{
			/* the more waits behind a ready call, the sooner it may go */
			lane->head->ready_weight += call->pub.nobjects;
			ready_list(pack, lane->head)->objects += call->pub.nobjects;
		}
	}
	braze_pack_make_ready(pack, call, now);

	enter(pack, call, size);
}

bool
braze_pack_add(BrazePack *pack, int64_t id, BrazeRowAddress row,
			   int nobjects, const BrazePackObject *objects,
			   int nusers, const BrazePackUser *users, int64_t now)
{
	size_t		size;
	PackedCall *call = new_call_in_lanes(pack, id, row, nobjects, objects,
										 nusers, users, &size);
	bool		wanted = braze_deferred_is_wanted(pack, id);
	bool		deferred;

	if (call == NULL)
		return false;
	if ((wanted && braze_deferred_is_like(pack, call)) || !braze_deferred_must(pack, call))
	{
		if (wanted)
			braze_deferred_done(pack);
		join_lanes(pack, call, size, now);
		return true;
	}

	/* if it was deferred before, somebody has changed its row since */
	deferred = braze_deferred_add(pack, call);
	if (deferred)
	{
		release_profiles(pack, call);
		if (wanted)
			braze_deferred_done(pack);
	}
	discard(pack, call);
	return deferred;
}

bool
braze_pack_add_refusal(BrazePack *pack, PackedCall *call, int number,
					   int http_status, bool in_doubt, const char *reason)
{
	size_t		length = strlen(reason) + 1;
	BrazeRefusal *refusal = malloc(sizeof(BrazeRefusal) + length);
	BrazeRefusal **link = &call->pub.refusals;

	if (refusal == NULL)
		return false;
	refusal->number = number;
	refusal->http_status = http_status;
	refusal->in_doubt = in_doubt;
	memcpy(refusal->reason, reason, length);
	if (call->last_refusal != NULL && call->last_refusal->number <= number)
		link = &call->last_refusal->next;
	while (*link != NULL && (*link)->number < number)
		link = &(*link)->next;
	refusal->next = *link;
	*link = refusal;
	if (refusal->next == NULL)
		call->last_refusal = refusal;
	call->pub.nrefused++;
	account(pack, call, sizeof(BrazeRefusal) + length);
	return true;
}

void
braze_pack_free_call(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
		braze_lane_unref(pack, call->lanes[i]);
	if (call->all_prev != NULL)
		call->all_prev->all_next = call->all_next;
	else
		pack->all = call->all_next;
	if (call->all_next != NULL)
		call->all_next->all_prev = call->all_prev;
	pack->ncalls--;
	pack->memory -= call->size;
	for (int i = 0; i < BRAZE_PACK_USERS; i++)
		free(call->link_text[i]);
	release_profiles(pack, call);
	while (call->pub.refusals != NULL)
	{
		BrazeRefusal *refusal = call->pub.refusals;

		call->pub.refusals = refusal->next;
		free(refusal);
	}
	free(call);
}

bool
braze_pack_add_done(BrazePack *pack, int64_t id, BrazeRowAddress row,
					const char *reason)
{
	size_t		size;
	PackedCall *call = new_call(0, 0, NULL, &size);

	if (call == NULL)
		return false;
	call->pub.id = id;
	call->pub.row = row;
	call->state = CALL_DONE;
	enter(pack, call, size);
	if (reason != NULL && !braze_pack_add_refusal(pack, call, -1, 0, false, reason))
	{
		braze_pack_free_call(pack, call);
		return false;
	}
	if (braze_deferred_is_wanted(pack, id))
		braze_deferred_done(pack);
	braze_pack_calls_append(&pack->done, call);
	return true;
}

const BrazeCall *
braze_pack_next_done(BrazePack *pack)
{
	PackedCall *call = braze_pack_calls_pop(&pack->done);

	return call != NULL ? &call->pub : NULL;
}

void
braze_pack_forget(BrazePack *pack, const BrazeCall *call)
{
	braze_pack_free_call(pack, (PackedCall *) call);
}

/* ----- the pack itself ----- */

BrazePack *
braze_pack_create(const BrazePackLimits *limits)
{
	BrazePack  *pack = calloc(1, sizeof(BrazePack));

	if (pack == NULL)
		return NULL;
	braze_pack_set_limits(pack, limits);
	if (!braze_lane_grow(pack))
	{
		free(pack);
		return NULL;
	}
	return pack;
}

int
braze_pack_learned_limit(const BrazePack *pack)
{
	int			size = pack->object_limit.size;

	return size < pack->limits.max_objects ? size : 0;
}

void
braze_pack_set_limits(BrazePack *pack, const BrazePackLimits *limits)
{
	pack->limits = *limits;
	if (pack->limits.max_objects > BRAZE_PACK_MAX_OBJECTS)
		pack->limits.max_objects = BRAZE_PACK_MAX_OBJECTS;
	braze_deferred_may_go(pack);
}

int64_t
braze_pack_take_unchanged(BrazePack *pack)
{
	int64_t		unchanged = pack->unchanged;

	pack->unchanged = 0;
	return unchanged;
}

size_t
braze_pack_memory(const BrazePack *pack)
{
	return pack->memory;
}

int
braze_pack_calls(const BrazePack *pack)
{
	return pack->ncalls;
}
