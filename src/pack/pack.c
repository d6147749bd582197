/*-------------------------------------------------------------------------
 *
 * pack.c
 *	  Calls that enter the pack and leave it.
 *
 * A lane is one user's queue.  A call stands in the lanes of all the users it
 * is about; see ready_list.c for when it may start.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- calls in and out ----- */

/* puts the call into the lanes of its users; false: no memory */
static bool
find_lanes(BrazePack *pack, PackedCall *call, int nusers, const BrazePackUser *users,
		   const uint64_t *hashes)
{
	for (int i = 0; i < nusers; i++)
	{
		Lane	   *lane = braze_lane_for(pack, &users[i], hashes[i]);
		bool		known = false;

		if (lane == NULL)
			return false;
		if (users[i].profile != NULL)
			call->pub.profiles[call->pub.nprofiles++] = users[i].profile;
		/* two names may be one user: merging somebody into himself, say */
		for (int j = 0; j < call->nlanes; j++)
			known = known || call->users[j].lane == lane;
		if (known)
			continue;
		lane->calls++;
		call->users[call->nlanes].link = users[i].link;
		call->users[call->nlanes].profile = users[i].profile;
		call->users[call->nlanes++].lane = lane;
	}
	return true;
}

/*
 * How many identity objects may have to stand in front of the call's own: one
 * for each user up to the last that can be linked, so that a place says which
 * user it is about.
 */
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

/* knows its lanes, but does not stand in them yet */
static PackedCall *
new_call_in_lanes(BrazePack *pack, int64_t id, BrazeRowAddress row,
				  int nobjects, const BrazePackObject *objects,
				  int nusers, const BrazePackUser *users, size_t *size)
{
	uint64_t	hashes[BRAZE_PACK_USERS];
	PackedCall *call;

	/* with a place for the owner of an alias that is deleted */
	int			owners = nobjects > 0 && braze_kinds[objects[0].kind].endpoint == BRAZE_USERS_DELETE;

	for (int i = 0; i < nusers; i++)
		hashes[i] = braze_lane_hash(pack, &users[i]);
	call = braze_packed_call_create(nusers + owners, count_links(nusers, users), nobjects,
									objects, size);

	if (call == NULL)
		return NULL;
	call->arrival = ++pack->arrivals;
	call->pub.id = id;
	call->pub.row = row;
	call->state = CALL_WAITING;
	if (!find_lanes(pack, call, nusers, users, hashes))
	{
		braze_packed_call_discard(pack, call);
		return NULL;
	}
	/* lanes that turned out to be the same leave links without a lane */
	for (int i = (call->nlanes > 0 ? call->nlanes - 1 : 0); i < call->nlinks; i++)
		call->objects[i].state = OBJECT_ACCEPTED;
	return call;
}

/* the call waits in its lanes, and is ready if it heads each of them */
static void
join_lanes(BrazePack *pack, PackedCall *call, size_t size, int64_t now)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		Lane	   *lane = call->users[i].lane;

		braze_lane_append(lane, call);
		if (lane->head != call && lane->head->ready)
			braze_ready_list_add_weight(pack, lane->head, call->pub.nobjects);
	}
	braze_ready_list_enter(pack, call, now);

	/* a call that waits stands in all its lanes */
	for (int i = 0; i < call->nlanes; i++)
		BRAZE_ASSERT(call->users[i].lane->tail == call);

	braze_packed_call_enter(pack, call, size);
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

	/*
	 * The deferred call whose turn it is joins, if it is still about the same
	 * users.  Any other call must not pass what is deferred in its lanes.
	 */
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
		braze_packed_call_release_profiles(pack, call);
		if (wanted)
			braze_deferred_done(pack);
	}
	braze_packed_call_discard(pack, call);
	return deferred;
}

bool
braze_pack_add_done(BrazePack *pack, int64_t id, BrazeRowAddress row,
					const char *reason)
{
	size_t		size;
	PackedCall *call = braze_packed_call_create(0, 0, 0, NULL, &size);

	if (call == NULL)
		return false;
	call->pub.id = id;
	call->pub.row = row;
	call->state = CALL_DONE;
	braze_packed_call_enter(pack, call, size);
	if (reason != NULL && !braze_packed_call_add_refusal(pack, call, -1, 0, false, reason))
	{
		braze_packed_call_free(pack, call);
		return false;
	}
	if (braze_deferred_is_wanted(pack, id))
		braze_deferred_done(pack);
	braze_packed_call_append(&pack->done, call);
	return true;
}

const BrazeCall *
braze_pack_next_done(BrazePack *pack)
{
	PackedCall *call = braze_packed_call_pop(&pack->done);

	return call != NULL ? &call->pub : NULL;
}

bool
braze_pack_has_done(const BrazePack *pack)
{
	return pack->done.head != NULL;
}

int
braze_pack_users_of(const BrazeCall *call, uint64_t users[BRAZE_PACK_USERS])
{
	const PackedCall *packed = (const PackedCall *) call;

	BRAZE_ASSERT(packed->state == CALL_DONE);
	for (int i = 0; i < packed->nusers; i++)
		users[i] = packed->users[i].hash;
	return packed->nusers;
}

void
braze_pack_free_call(BrazePack *pack, const BrazeCall *call)
{
	PackedCall *packed = (PackedCall *) call;
	PackedCall *barred[BRAZE_PACK_USERS] = {NULL};

	for (int i = 0; i < packed->nusers && call->deleted; i++)
		barred[i] = packed->users[i].lane->head;
	braze_packed_call_free(pack, packed);
	for (int i = 0; i < BRAZE_PACK_USERS; i++)
	{
		if (barred[i] != NULL)
			braze_ready_list_enter(pack, barred[i], 0);
	}
}

/* ----- the pack itself ----- */

BrazePack  *
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

void
braze_pack_destroy(BrazePack *pack)
{
	int64_t		wait = -1;

	/* first, as it looks at what waits */
	braze_ready_list_end_delays(pack, INT64_MAX, &wait);
	while (pack->requests != NULL)
		braze_request_state_free(pack, pack->requests);
	while (pack->all != NULL)
		braze_packed_call_free(pack, pack->all);
	(void) braze_deferred_drop(pack);
	braze_attributes_free(&pack->fields);
	braze_attributes_free(&pack->more_fields);
	free(pack->buckets);
	free(pack);
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

int64_t
braze_pack_ready_objects(const BrazePack *pack, BrazeEndpoint endpoint)
{
	return pack->ready[endpoint].objects + pack->again[endpoint].objects;
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

bool
braze_pack_is_idle(const BrazePack *pack)
{
	return pack->ncalls == 0 && pack->delayed == NULL;
}
