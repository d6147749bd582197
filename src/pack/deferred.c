/*-------------------------------------------------------------------------
 *
 * deferred.c
 *	  Calls of which only the id is kept, since too many of their user wait.
 *
 * One user's calls go out a request at a time, however many there are.  If all
 * of them were held, a user with a long backlog would take the memory of all
 * others; if the destination fell behind instead, all others would wait for
 * that user.  So a lane holds as much as makes some requests; what comes after
 * is deferred, and read again by its id when the lane has room.
 *
 * A call about two users is deferred in both their lanes, and is wanted when it
 * is the first of both and both have room.  All lanes list the calls in the
 * order in which they came, so the first of all is first in its lanes.  A lane
 * is a candidate from whatever may have made its first call wanted until that
 * is looked at: so nobody ever looks through all of them.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

#define CHUNK_IDS		55

/* a call that is deferred in several lanes */
typedef struct Shared
{
	int64_t		id;
	int			nlists;			/* that it is still in */
	int			nlanes;
	Lane	   *lanes[BRAZE_PACK_USERS];
} Shared;

typedef union Entry
{
	int64_t		id;
	Shared	   *shared;
} Entry;

typedef struct Chunk
{
	struct Chunk *next;
	Entry		entries[CHUNK_IDS];
	bool		is_shared[CHUNK_IDS];
	int			n;
} Chunk;

struct Deferred
{
	Lane	   *lane;
	Deferred   *prev;			/* of all lanes with deferred calls */
	Deferred   *next;
	bool		is_candidate;
	Deferred   *prev_candidate;
	Deferred   *next_candidate;
	bool		filling;		/* its lane takes calls until it is full */
	Chunk	   *head;
	Chunk	   *tail;
	int			first;			/* in the head: those before it are done */
	int			count;
};

/* ----- the list of one lane ----- */

/* the first call of the list, if it is deferred in other lanes, too */
static Shared *
first_shared(const Deferred *deferred)
{
	return deferred->head->is_shared[deferred->first] ?
		deferred->head->entries[deferred->first].shared : NULL;
}

static int64_t
first_id(const Deferred *deferred)
{
	const Shared *shared = first_shared(deferred);

	return shared != NULL ? shared->id : deferred->head->entries[deferred->first].id;
}

/* room for more entries at the end of the list; false: no memory */
static bool
add_chunk(BrazePack *pack, Deferred *deferred)
{
	Chunk	   *chunk = malloc(sizeof(Chunk));

	if (chunk == NULL)
		return false;
	chunk->next = NULL;
	chunk->n = 0;
	if (deferred->tail != NULL)
		deferred->tail->next = chunk;
	else
		deferred->head = chunk;
	deferred->tail = chunk;
	pack->memory += sizeof(Chunk);
	return true;
}

/* the first chunk, all of whose entries are done */
static void
remove_head(BrazePack *pack, Deferred *deferred)
{
	Chunk	   *chunk = deferred->head;

	deferred->head = chunk->next;
	if (deferred->head == NULL)
		deferred->tail = NULL;
	deferred->first = 0;
	pack->memory -= sizeof(Chunk);
	free(chunk);
}

/* the lane gets a list, which is empty */
static bool
begin_list(BrazePack *pack, Lane *lane)
{
	Deferred   *deferred = calloc(1, sizeof(Deferred));

	if (deferred == NULL)
		return false;
	deferred->lane = lane;
	deferred->next = pack->deferred;
	if (pack->deferred != NULL)
		pack->deferred->prev = deferred;
	pack->deferred = deferred;
	lane->deferred = deferred;
	lane->calls++;				/* the lane stays as long as this does */
	pack->memory += sizeof(Deferred);
	return true;
}

/* ----- candidates ----- */

static void
remove_candidate(BrazePack *pack, Deferred *deferred)
{
	if (!deferred->is_candidate)
		return;
	deferred->is_candidate = false;
	if (deferred->prev_candidate != NULL)
		deferred->prev_candidate->next_candidate = deferred->next_candidate;
	else
		pack->candidates = deferred->next_candidate;
	if (deferred->next_candidate != NULL)
		deferred->next_candidate->prev_candidate = deferred->prev_candidate;
	else
		pack->last_candidate = deferred->prev_candidate;
}

/* at the end, so that every lane has its turn */
static void
add_candidate(BrazePack *pack, Deferred *deferred)
{
	if (deferred->is_candidate)
		return;
	deferred->is_candidate = true;
	deferred->next_candidate = NULL;
	deferred->prev_candidate = pack->last_candidate;
	if (pack->last_candidate != NULL)
		pack->last_candidate->next_candidate = deferred;
	else
		pack->candidates = deferred;
	pack->last_candidate = deferred;
}

/* has the lane room, by halves, so that not every answer makes a read? */
static bool
takes_calls(const BrazePack *pack, const Lane *lane)
{
	int			limit = pack->limits.max_waiting;

	return lane->waiting_objects <
		(lane->deferred != NULL && !lane->deferred->filling ? (limit + 1) / 2 : limit);
}

void
braze_deferred_lane_has_room(BrazePack *pack, Lane *lane)
{
	if (lane->deferred != NULL && takes_calls(pack, lane))
		add_candidate(pack, lane->deferred);
}

/* the lane has no deferred calls any more, and may go with them */
static void
end_list(BrazePack *pack, Deferred *deferred)
{
	remove_candidate(pack, deferred);
	while (deferred->head != NULL)
		remove_head(pack, deferred);
	if (deferred->prev != NULL)
		deferred->prev->next = deferred->next;
	else
		pack->deferred = deferred->next;
	if (deferred->next != NULL)
		deferred->next->prev = deferred->prev;
	pack->memory -= sizeof(Deferred);
	deferred->lane->deferred = NULL;
	braze_lane_unref(pack, deferred->lane);
	free(deferred);
}

/* ----- deferring ----- */

/* room for one more entry, so that adding it cannot fail */
static bool
reserve_entry(BrazePack *pack, Lane *lane)
{
	if (lane->deferred == NULL && !begin_list(pack, lane))
		return false;
	if (lane->deferred->tail != NULL && lane->deferred->tail->n < CHUNK_IDS)
		return true;
	return add_chunk(pack, lane->deferred);
}

/*
 * what was reserved and is not used, as there was no memory for another lane
 */
static void
unreserve_entry(BrazePack *pack, Lane *lane)
{
	Deferred   *deferred = lane->deferred;
	Chunk	  **link;

	if (deferred == NULL)
		return;
	if (deferred->count == 0)
	{
		end_list(pack, deferred);
		return;
	}
	if (deferred->tail->n > 0)
		return;
	for (link = &deferred->head; (*link)->next != NULL; link = &(*link)->next)
		deferred->tail = *link;
	pack->memory -= sizeof(Chunk);
	free(*link);
	*link = NULL;
}

bool
braze_deferred_must(const BrazePack *pack, const PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		const Lane *lane = call->users[i].lane;

		if (lane->deferred != NULL || lane->waiting_objects >= pack->limits.max_waiting)
			return true;
	}
	return false;
}

/* one entry that the lists of all lanes of the call point to */
static Shared *
new_shared(BrazePack *pack, const PackedCall *call)
{
	Shared	   *shared = malloc(sizeof(Shared));

	if (shared == NULL)
		return NULL;
	shared->id = call->pub.id;
	shared->nlanes = shared->nlists = call->nlanes;
	for (int i = 0; i < call->nlanes; i++)
		shared->lanes[i] = call->users[i].lane;
	pack->memory += sizeof(Shared);
	return shared;
}

bool
braze_deferred_add(BrazePack *pack, const PackedCall *call)
{
	Shared	   *shared = NULL;
	int			reserved = 0;

	/*
	 * All memory comes first.  If it failed in the middle, the call would be
	 * deferred in some of its lanes only, and wait for the others for ever.
	 */
	while (reserved < call->nlanes && reserve_entry(pack, call->users[reserved].lane))
		reserved++;
	if (reserved == call->nlanes && call->nlanes > 1)
		shared = new_shared(pack, call);
	if (reserved < call->nlanes || (call->nlanes > 1 && shared == NULL))
	{
		for (int i = 0; i <= reserved && i < call->nlanes; i++)
			unreserve_entry(pack, call->users[i].lane);
		return false;
	}
	for (int i = 0; i < call->nlanes; i++)
	{
		Deferred   *deferred = call->users[i].lane->deferred;
		Chunk	   *chunk = deferred->tail;

		if (shared != NULL)
			chunk->entries[chunk->n].shared = shared;
		else
			chunk->entries[chunk->n].id = call->pub.id;
		chunk->is_shared[chunk->n++] = (shared != NULL);
		if (deferred->count++ == 0)
			braze_deferred_lane_has_room(pack, call->users[i].lane);
	}
	return true;
}

/* ----- reloading ----- */

/* the first call of this list leaves it */
static void
remove_first(BrazePack *pack, Deferred *deferred)
{
	Shared	   *shared = first_shared(deferred);

	if (shared != NULL && --shared->nlists == 0)
	{
		pack->memory -= sizeof(Shared);
		free(shared);
	}
	if (--deferred->count == 0)
	{
		end_list(pack, deferred);
		return;
	}
	if (++deferred->first == deferred->head->n)
		remove_head(pack, deferred);
	braze_deferred_lane_has_room(pack, deferred->lane);
}

/*
 * is the first call of this list the first of all its lanes, with room in
 * each?
 */
static bool
may_be_reloaded(const BrazePack *pack, const Deferred *deferred)
{
	const Shared *shared = first_shared(deferred);

	if (shared == NULL)
		return takes_calls(pack, deferred->lane);

	/*
	 * It stands in all of these lists until it is reloaded, so that none is
	 * empty.
	 */
	for (int i = 0; i < shared->nlanes; i++)
	{
		if (first_shared(shared->lanes[i]->deferred) != shared ||
			!takes_calls(pack, shared->lanes[i]))
			return false;
	}
	return true;
}

int64_t
braze_deferred_wanted(BrazePack *pack)
{
	while (pack->candidates != NULL)
	{
		Deferred   *deferred = pack->candidates;

		if (may_be_reloaded(pack, deferred))
			return first_id(deferred);

		/*
		 * Nobody looks at it again before something has changed: room in a
		 * lane, or another first call of its list, makes it a candidate.  A
		 * lane that is full now waits until it is half empty, or each answer
		 * would make one read.
		 */
		deferred->filling = deferred->filling && takes_calls(pack, deferred->lane);
		remove_candidate(pack, deferred);
	}
	return 0;
}

bool
braze_deferred_is_wanted(const BrazePack *pack, int64_t id)
{
	return pack->candidates != NULL && first_id(pack->candidates) == id &&
		may_be_reloaded(pack, pack->candidates);
}

/* is it about the users that it was about when it was deferred? */
bool
braze_deferred_is_like(const BrazePack *pack, const PackedCall *call)
{
	const Deferred *deferred = pack->candidates;
	const Shared *shared = first_shared(deferred);

	if (shared == NULL)
		return call->nlanes == 1 && call->users[0].lane == deferred->lane;
	for (int i = 0; i < call->nlanes && i < shared->nlanes; i++)
	{
		if (call->users[i].lane != shared->lanes[i])
			return false;
	}
	return call->nlanes == shared->nlanes;
}

void
braze_deferred_done(BrazePack *pack)
{
	Deferred   *deferred = pack->candidates;
	Shared	   *shared = first_shared(deferred);
	Lane	   *lanes[BRAZE_PACK_USERS] = {deferred->lane};
	int			nlanes = 1;

	/* a copy: removing the last entry of a shared call frees it */
	if (shared != NULL)
	{
		nlanes = shared->nlanes;
		memcpy(lanes, shared->lanes, sizeof(lanes));
	}
	for (int i = 0; i < nlanes; i++)
	{
		lanes[i]->deferred->filling = true;
		remove_first(pack, lanes[i]->deferred);
	}
}

/* ----- all of them ----- */

void
braze_deferred_may_go(BrazePack *pack)
{
	for (Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
		braze_deferred_lane_has_room(pack, deferred->lane);
}

int
braze_deferred_list(const BrazePack *pack, BrazeHeld *held)
{
	int			n = 0;

	for (const Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
	{
		int			first = deferred->first;

		for (const Chunk *chunk = deferred->head; chunk != NULL; chunk = chunk->next)
		{
			for (int i = first; i < chunk->n; i++, n++)
			{
				if (held == NULL)
					continue;
				held[n].id = chunk->is_shared[i] ? chunk->entries[i].shared->id
					: chunk->entries[i].id;
				held[n].queued_at = BRAZE_HELD_AT_ANY_TIME;
			}
			first = 0;
		}
	}
	return n;
}

int64_t
braze_deferred_drop(BrazePack *pack)
{
	int64_t		lowest = 0;

	/* removing a list's last call takes the list out */
	while (pack->deferred != NULL)
	{
		if (lowest == 0 || first_id(pack->deferred) < lowest)
			lowest = first_id(pack->deferred);
		remove_first(pack, pack->deferred);
	}
	return lowest;
}
