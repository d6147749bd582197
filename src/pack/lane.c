/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  Lanes: each is the queue of one user's calls.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "braze/hash.h"
#include "pack/pack.h"
#include "pack/pack_internal.h"

/* few, since most destinations hold little */
#define FIRST_BUCKETS	64

/* twice as many buckets; false when there is not even a first table */
bool
braze_lane_grow(BrazePack *pack)
{
	size_t		nbuckets = pack->nbuckets ? pack->nbuckets * 2 : FIRST_BUCKETS;
	Lane	  **buckets = calloc(nbuckets, sizeof(Lane *));

	if (buckets == NULL)
		return pack->nbuckets > 0;	/* a fuller table is only slower */
	for (size_t i = 0; i < pack->nbuckets; i++)
	{
		Lane	   *lane = pack->buckets[i];

		while (lane != NULL)
		{
			Lane	   *next = lane->next_in_bucket;
			size_t		bucket = lane->hash & (nbuckets - 1);

			lane->next_in_bucket = buckets[bucket];
			buckets[bucket] = lane;
			lane = next;
		}
	}
	free(pack->buckets);
	pack->buckets = buckets;
	pack->nbuckets = nbuckets;
	return true;
}

static size_t
lane_size(const Lane *lane)
{
	return sizeof(Lane) + lane->key_length;
}

uint64_t
braze_lane_hash(const BrazePack *pack, const BrazePackUser *user)
{
	uint64_t	hash = braze_hash(user->key, user->length);

	if (pack->nbuckets > 0)
		__builtin_prefetch(&pack->buckets[hash & (pack->nbuckets - 1)]);
	return hash;
}

static Lane *
find_lane(const BrazePack *pack, const char *key, size_t length, uint64_t hash)
{
	Lane	   *lane = pack->buckets[hash & (pack->nbuckets - 1)];

	while (lane != NULL && !(lane->hash == hash && (size_t) lane->key_length == length &&
							 memcmp(lane->key, key, length) == 0))
		lane = lane->next_in_bucket;
	return lane;
}

/* the user's lane, made if there is none; the caller counts itself in it */
Lane	   *
braze_lane_for(BrazePack *pack, const BrazePackUser *user, uint64_t hash)
{
	Lane	   *lane;
	size_t		bucket;

	if (pack->nlanes * 2 >= pack->nbuckets && !braze_lane_grow(pack))
		return NULL;
	lane = find_lane(pack, user->key, user->length, hash);
	if (lane != NULL)
		return lane;

	bucket = hash & (pack->nbuckets - 1);
	lane = calloc(1, sizeof(Lane) + user->length);
	if (lane == NULL)
		return NULL;
	lane->hash = hash;
	lane->key_length = (int) user->length;
	memcpy(lane->key, user->key, user->length);
	lane->next_in_bucket = pack->buckets[bucket];
	pack->buckets[bucket] = lane;
	pack->nlanes++;
	pack->memory += lane_size(lane);
	return lane;
}

/*
 * One call less is about this user, or one other reason less to keep the lane.
 * The last one frees it.
 */
void
braze_lane_unref(BrazePack *pack, Lane *lane)
{
	Lane	  **link;

	if (--lane->calls > 0)
		return;
	link = &pack->buckets[lane->hash & (pack->nbuckets - 1)];
	while (*link != lane)
		link = &(*link)->next_in_bucket;
	*link = lane->next_in_bucket;
	pack->nlanes--;
	pack->memory -= lane_size(lane);
	free(lane);
}

/*
 * A deletion was accepted: nothing else of the users whom it names starts
 * before it is settled.  The settle forgets which aliases the deleted user had.
 * If they were given one again before, it would forget that as well, and the
 * alias would be given to somebody else.  After a crash the deletion is sent
 * again, with its joins, and must find what it found before.
 */
void
braze_lane_bar(Lane *lane)
{
	lane->deletions++;
	lane->calls++;
}

void
braze_lane_unbar(BrazePack *pack, Lane *lane)
{
	BRAZE_ASSERT(lane->deletions > 0);
	lane->deletions--;
	braze_lane_unref(pack, lane);
}

bool
braze_lane_is_barred(const BrazePack *pack, const char *key, size_t length)
{
	const Lane *lane = find_lane(pack, key, length, braze_hash(key, length));

	return lane != NULL && lane->deletions > 0;
}

/* the link from this call to the next one of the same lane */
PackedCall **
braze_lane_link(PackedCall *call, const Lane *lane)
{
	int			i = 0;

	while (call->users[i].lane != lane)
		i++;
	return &call->users[i].next_in_lane;
}

/* those that are not answered, which include what a request has */
int
braze_lane_remaining_objects(const PackedCall *call)
{
	return call->pub.nobjects - call->next_object;
}

/* a call that is new waits behind all others of the user */
void
braze_lane_append(Lane *lane, PackedCall *call)
{
	*braze_lane_link(call, lane) = NULL;
	if (lane->tail != NULL)
		*braze_lane_link(lane->tail, lane) = call;
	else
		lane->head = call;
	lane->tail = call;
	lane->waiting_objects += braze_lane_remaining_objects(call);
}

/* a call that comes back from a request waits before all others */
void
braze_lane_prepend(Lane *lane, PackedCall *call)
{
	*braze_lane_link(call, lane) = lane->head;
	lane->head = call;
	if (lane->tail == NULL)
		lane->tail = call;
	lane->waiting_objects += braze_lane_remaining_objects(call);
}

/*
 * A call that waits in other lanes comes to wait here as well: in the order in
 * which they arrived, which is that of all lanes, or two calls could wait for
 * each other.  One that is ready goes in any case.
 */
void
braze_lane_insert(Lane *lane, PackedCall *call)
{
	PackedCall **link = &lane->head;

	while (*link != NULL && ((*link)->ready || (*link)->arrival < call->arrival))
		link = braze_lane_link(*link, lane);
	*braze_lane_link(call, lane) = *link;
	if (*link == NULL)
		lane->tail = call;
	*link = call;
	lane->waiting_objects += braze_lane_remaining_objects(call);
}

/* the first call leaves, since a request takes it */
void
braze_lane_pop(Lane *lane)
{
	PackedCall *call = lane->head;

	BRAZE_ASSERT(call != NULL);
	lane->head = *braze_lane_link(call, lane);
	if (lane->head == NULL)
		lane->tail = NULL;
	*braze_lane_link(call, lane) = NULL;
	lane->waiting_objects -= braze_lane_remaining_objects(call);
	BRAZE_ASSERT(lane->waiting_objects >= 0);
}

/* ----- delays ----- */

/* one of them becomes the other's child; either may be NULL */
static Lane *
meld_delayed(Lane *one, Lane *other)
{
	Lane	   *first = one;
	Lane	   *second = other;

	if (one == NULL || other == NULL)
		return one != NULL ? one : other;
	if (other->delay_key < one->delay_key)
	{
		first = other;
		second = one;
	}
	second->delay_next = first->delay_child;
	first->delay_child = second;
	return first;
}

/* puts the lane into the heap, at its not_before */
void
braze_lane_enter_delayed(BrazePack *pack, Lane *lane)
{
	lane->delay_key = lane->not_before;
	lane->delay_child = lane->delay_next = NULL;
	pack->delayed = meld_delayed(pack->delayed, lane);
}

/*
 * takes the soonest out: its children are melded in pairs, then all of these
 */
Lane	   *
braze_lane_pop_delayed(BrazePack *pack)
{
	Lane	   *soonest = pack->delayed;
	Lane	   *child = soonest->delay_child;
	Lane	   *pairs = NULL;

	while (child != NULL)
	{
		Lane	   *one = child;
		Lane	   *other = one->delay_next;

		child = other != NULL ? other->delay_next : NULL;
		one = meld_delayed(one, other);
		one->delay_next = pairs;
		pairs = one;
	}
	pack->delayed = NULL;
	while (pairs != NULL)
	{
		Lane	   *next = pairs->delay_next;

		pack->delayed = meld_delayed(pack->delayed, pairs);
		pairs = next;
	}
	return soonest;
}

/*
 * Nothing of this user goes out before then: Braze answers the identity
 * endpoints before it applies what they say, and a call that fails has a
 * clock of its own.  A later time moves a lane on in the heap when the time
 * that it stands there for has come.
 */
void
braze_lane_delay(BrazePack *pack, Lane *lane, int64_t until)
{
	bool		delayed = (lane->not_before > 0);

	if (lane->not_before >= until)
		return;
	lane->not_before = until;

	/* its place in the heap is found again when the earlier time has come */
	if (delayed)
		return;

	/* the lane stays while it is delayed, even if no call is about the user */
	lane->calls++;
	braze_lane_enter_delayed(pack, lane);
}
