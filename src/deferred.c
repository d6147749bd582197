/*-------------------------------------------------------------------------
 *
 * deferred.c
 *	  Calls of which only the id is kept, since too many of their user wait.
 *
 * One user's calls go out a request at a time, however many there are.  If all
 * of them were held, a user with a long backlog would take the memory of all
 * others.  So a lane holds as much as makes some requests; what comes after is
 * deferred, and read again by its id when the lane has room.
 *
 * A call about two users is deferred in both their lanes, and taken back when
 * it is the first that is deferred in each of them.  All lanes list the calls
 * in the order in which they came, so the first of all is first in its lanes.
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "pack_internal.h"

#define CHUNK_IDS		55

typedef struct Chunk
{
	struct Chunk *next;
	int64_t		ids[CHUNK_IDS];
	uint8_t		nlanes[CHUNK_IDS];	/* in which the call is deferred */
	int			n;
} Chunk;

struct Deferred
{
	Lane	   *lane;
	Deferred   *prev;			/* of all lanes with deferred calls */
	Deferred   *next;
	Chunk	   *head;
	Chunk	   *tail;
	int			first;			/* in the head: those before it are done */
	int			count;
	uint64_t	blocked_at;		/* its first call waited for another lane's then */
};

static int64_t
first_id(const Deferred *deferred)
{
	return deferred->head->ids[deferred->first];
}

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

static bool
begin(BrazePack *pack, Lane *lane)
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

static void
end(BrazePack *pack, Deferred *deferred)
{
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

/* room for one more id, so that adding it cannot fail */
static bool
reserve(BrazePack *pack, Lane *lane)
{
	if (lane->deferred == NULL && !begin(pack, lane))
		return false;
	if (lane->deferred->tail != NULL && lane->deferred->tail->n < CHUNK_IDS)
		return true;
	return add_chunk(pack, lane->deferred);
}

/* what was reserved and is not used, as there was no memory for another lane */
static void
unreserve(BrazePack *pack, Lane *lane)
{
	Deferred   *deferred = lane->deferred;
	Chunk	  **link;

	if (deferred == NULL)
		return;
	if (deferred->count == 0)
	{
		end(pack, deferred);
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
braze_must_defer(const BrazePack *pack, const PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		const Lane *lane = call->lanes[i];

		if (lane->deferred != NULL || lane->waiting_objects >= pack->limits.max_waiting)
			return true;
	}
	return false;
}

bool
braze_defer(BrazePack *pack, const PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		if (reserve(pack, call->lanes[i]))
			continue;
		for (; i >= 0; i--)
			unreserve(pack, call->lanes[i]);
		return false;
	}
	for (int i = 0; i < call->nlanes; i++)
	{
		Deferred   *deferred = call->lanes[i]->deferred;
		Chunk	   *chunk = deferred->tail;

		chunk->ids[chunk->n] = call->pub.id;
		chunk->nlanes[chunk->n++] = call->nlanes;
		deferred->count++;
	}
	return true;
}

void
braze_pack_deferred_done(BrazePack *pack, int64_t id)
{
	Deferred   *next;

	for (Deferred *deferred = pack->deferred; deferred != NULL; deferred = next)
	{
		next = deferred->next;
		if (first_id(deferred) != id)
			continue;
		pack->deferred_done++;
		if (--deferred->count == 0)
			end(pack, deferred);
		else if (++deferred->first == deferred->head->n)
			remove_head(pack, deferred);
	}
}

bool
braze_pack_deferred_may_end(BrazePack *pack, int64_t id)
{
	int			nlanes = 0;
	int			nfirst = 0;

	for (const Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
	{
		if (first_id(deferred) != id)
			continue;
		nlanes = deferred->head->nlanes[deferred->first];
		nfirst++;
	}
	if (nfirst > 0 && nfirst == nlanes)
		return true;
	for (Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
	{
		if (first_id(deferred) == id)
			deferred->blocked_at = pack->deferred_done + 1;
	}
	return false;
}

bool
braze_may_take_back(BrazePack *pack, const PackedCall *call)
{
	bool		is_first = false;
	bool		waits = false;

	for (int i = 0; i < call->nlanes; i++)
	{
		const Deferred *deferred = call->lanes[i]->deferred;

		if (deferred == NULL)
			continue;
		if (first_id(deferred) == call->pub.id)
			is_first = true;
		else
			waits = true;
	}
	if (is_first && !waits)
		return true;

	/* not again before something else was taken back */
	for (int i = 0; i < call->nlanes; i++)
	{
		Deferred   *deferred = call->lanes[i]->deferred;

		if (deferred != NULL && first_id(deferred) == call->pub.id)
			deferred->blocked_at = pack->deferred_done + 1;
	}
	return false;
}

int
braze_pack_wanted(const BrazePack *pack, int64_t *ids, int max)
{
	int			n = 0;

	for (const Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
	{
		int			room = pack->limits.max_waiting - deferred->lane->waiting_objects;

		if (room <= pack->limits.max_waiting / 2 ||
			deferred->blocked_at == pack->deferred_done + 1)
			continue;
		for (const Chunk *chunk = deferred->head; chunk != NULL; chunk = chunk->next)
		{
			for (int i = chunk == deferred->head ? deferred->first : 0; i < chunk->n && room-- > 0; i++)
			{
				if (n == max)
					return n;
				ids[n++] = chunk->ids[i];
			}
		}
	}
	return n;
}

int
braze_deferred_ids(const BrazePack *pack, int64_t *ids)
{
	int			n = 0;

	for (const Deferred *deferred = pack->deferred; deferred != NULL; deferred = deferred->next)
	{
		int			first = deferred->first;

		for (const Chunk *chunk = deferred->head; chunk != NULL; chunk = chunk->next)
		{
			if (ids != NULL)
				memcpy(ids + n, chunk->ids + first, (chunk->n - first) * sizeof(int64_t));
			n += chunk->n - first;
			first = 0;
		}
	}
	return n;
}

int64_t
braze_drop_deferred(BrazePack *pack)
{
	int64_t		lowest = 0;

	while (pack->deferred != NULL)
	{
		Deferred   *deferred = pack->deferred;

		for (; deferred->count > 0; deferred->count--)
		{
			if (lowest == 0 || first_id(deferred) < lowest)
				lowest = first_id(deferred);
			if (++deferred->first == deferred->head->n)
				remove_head(pack, deferred);
		}
		end(pack, deferred);
	}
	return lowest;
}
