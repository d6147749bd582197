/*-------------------------------------------------------------------------
 *
 * delivery.c
 *	  The worker's side of one destination.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/message.h"
#include "base/shmem.h"
#include "base/size_counter.h"
#include "queue/column_values.h"
#include "store/claims_bound.h"
#include "store/notes_table.h"
#include "store/profiles_table.h"
#include "worker/deliveries.h"
#include "worker/delivery.h"
#include "worker/delivery_figures.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_stuck.h"
#include "worker/delivery_utf8.h"
#include "worker/memory_budget.h"
#include "worker/round_tally.h"
#include "worker/worker.h"

static MemoryContext row_context;	/* reset after each row */
static BrazeMapped *mapped;

void
braze_delivery_init(void)
{
	MemoryContext old;

	braze_deliveries_init();
	row_context = AllocSetContextCreate(braze_deliveries_context, "segment_braze row",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(braze_deliveries_context);
	mapped = braze_map_create();
	MemoryContextSwitchTo(old);
}

/* for the status, which shows a rate limit as such */
static bool
is_failing(const BrazeDelivery *delivery)
{
	int64		now = braze_now_ms();

	for (int i = 0; i < BRAZE_SERVICES; i++)
	{
		if (delivery->pace[i].failures > 0 && delivery->pace[i].not_before <= now)
			return true;
	}
	return false;
}

void
braze_delivery_drop_gone(BrazeDelivery *delivery, BrazeGone gone, void *arg)
{
	braze_discard_mark_gone(delivery->pack, gone, arg);
	braze_discard_drop_gone(delivery->pack);
}

/* ----- from a row to the pack ----- */

/*
 * One without a target is about to be paused: an error has ended the refresh
 * that found its key gone.
 */
bool
braze_delivery_open(const BrazeDelivery *delivery)
{
	return delivery->destination != NULL && delivery->paused == NULL && delivery->target != NULL;
}

bool
braze_delivery_can_take(const BrazeDelivery *delivery)
{
	return braze_delivery_open(delivery) && delivery->unreadable == NULL;
}

int64
braze_delivery_wanted(BrazeDelivery *delivery)
{
	if (!braze_delivery_can_take(delivery) || !braze_memory_budget_has_reserve(delivery))
		return 0;
	return braze_deferred_wanted(delivery->pack);
}

static BrazeRowAddress
address_of(const BrazeQueueRow *row)
{
	BrazeRowAddress address;

	address.storage = row->storage;
	address.block = ItemPointerGetBlockNumberNoCheck(&row->tid);
	address.offset = ItemPointerGetOffsetNumberNoCheck(&row->tid);
	address.was_there = row->was_there;
	address.queued_at = row->queued_at;
	return address;
}

/*
 * which of the call's objects are to be sent: all, or those that the row names
 */
static bool *
wanted_objects(const int *objects, int nobjects)
{
	bool	   *wanted = palloc(Max(mapped->nobjects, 1));

	memset(wanted, nobjects < 0, mapped->nobjects);
	for (int i = 0; i < nobjects; i++)
	{
		int			index = braze_map_find_object(mapped, objects[i]);

		Assert(index >= 0);
		wanted[index] = true;
	}
	return wanted;
}

/* it needs no request */
static bool
pack_done(BrazeDelivery *delivery, const BrazeQueueRow *row, const char *reason)
{
	return braze_pack_add_done(delivery->pack, row->id, address_of(row), reason);
}

/* of all users of the call, or after an error of none */
static void
get_profiles(const BrazeDelivery *delivery, BrazePackUser *users)
{
	volatile int got = 0;

	PG_TRY();
	{
		for (; got < mapped->nusers; got++)
			users[got].profile = braze_profiles_table_get(NameStr(delivery->name),
														  mapped->text.data + mapped->users[got].json.offset,
														  mapped->users[got].json.length);
	}
	PG_CATCH();
	{
		while (got > 0)
			braze_profiles_table_release(users[--got].profile);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * What the mapping made of the row goes into the pack; a row of which nothing
 * is to be sent is done at once.  False: no memory.
 */
static bool
pack_mapped(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	BrazePackObject *objects = palloc(sizeof(BrazePackObject) *
									  Max(mapped->nobjects, 1));
	BrazePackUser users[BRAZE_USERS_PER_CALL];
	const int  *numbers = NULL;
	int			nnumbers = row->all_objects ? -1 : braze_column_values_objects_read(row->objects, &numbers);
	bool	   *wanted;
	int			n = 0;

	/*
	 * A dead letter that is tried again names objects by their numbers. Under
	 * other options the call may have become other objects, and sending these
	 * would be sending what was never asked for.
	 */
	if (!braze_map_has_objects(mapped, numbers, nnumbers))
		return pack_done(delivery, row, BRAZE_OTHER_OBJECTS);
	wanted = wanted_objects(numbers, nnumbers);
	for (int i = 0; i < mapped->nobjects; i++)
	{
		const BrazeObject *object = &mapped->objects[i];

		if (!wanted[i])
			continue;
		objects[n].kind = object->kind;
		objects[n].number = braze_map_number(mapped, i);
		if (!braze_delivery_utf8_object(mapped, object, &objects[n]))
			return pack_done(delivery, row, braze_delivery_utf8_problem());
		n++;
	}
	if (n == 0)
		return pack_done(delivery, row, NULL);
	for (int i = 0; i < mapped->nusers; i++)
	{
		const char *key = mapped->text.data + mapped->users[i].json.offset;

		users[i].length = mapped->users[i].json.length;
		users[i].key = braze_delivery_utf8_text(key, &users[i].length);
		if (users[i].key == NULL)
			return pack_done(delivery, row, braze_delivery_utf8_problem());
		users[i].link = mapped->users[i].link;
		users[i].profile = NULL;
	}

	/*
	 * from here on the call has profiles to release, so nothing ends it early
	 */
	if (braze_profiles_table_needed(&delivery->destination->settings))
		get_profiles(delivery, users);
	return braze_pack_add(delivery->pack, row->id, address_of(row), n, objects,
						  mapped->nusers, users, braze_roughly_now_ms());
}

void
braze_delivery_take(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(row_context);
	bool		packed = true;

	braze_map_call(DatumGetJsonbP(row->call), row->kind, &delivery->destination->settings,
				   row->queued_at, GetCurrentTransactionStartTimestamp(), mapped);
	/* one that was deferred was counted when it was read first */
	if (row->id != braze_deferred_wanted(delivery->pack))
		braze_notes_table_count(NameStr(delivery->name), row->id, mapped);
	switch (mapped->outcome)
	{
		case BRAZE_SEND:
			packed = pack_mapped(delivery, row);
			break;
		case BRAZE_SKIP:
			packed = pack_done(delivery, row, NULL);
			break;
		case BRAZE_REJECT:
			packed = pack_done(delivery, row, braze_mapping_note_joined(mapped));
			break;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(row_context);
	if (!packed)
		braze_deliveries_out_of_memory();
}

void
braze_delivery_reject(BrazeDelivery *delivery, const BrazeQueueRow *row,
					  const char *reason)
{
	if (!pack_done(delivery, row, reason))
		braze_deliveries_out_of_memory();
}

/* ----- what becomes of it ----- */

void
braze_delivery_settled(BrazeDelivery *delivery, const BrazeCall *call)
{
	if (call->gone)
		 /* it is nobody's any more */ ;
	else if (call->nrefused > 0)
		delivery->counts[BRAZE_COUNT_REJECTED]++;
	else if (call->nobjects == 0)
		delivery->counts[BRAZE_COUNT_SKIPPED]++;
	else
		delivery->counts[BRAZE_COUNT_DELIVERED]++;
	if (call->withheld)
		braze_notes_table_add(NameStr(delivery->name), call->id,
							  "An anonymousId, email or phone of the call was not joined with the user: it was joined with another user before.");
	if (!call->gone)
		braze_round_tally_add_call(delivery, call);
	delivery->changed = true;
	braze_delivery_stuck_settled(delivery);
	braze_pack_free_call(delivery->pack, call);
}

/* why it sends nothing, or less than it could; empty: it does */
static const char *
explain_state(const BrazeDelivery *delivery)
{
	static char text[BRAZE_MESSAGE_SIZE * 2];
	const char *paused = braze_delivery_pause_text(delivery);
	int			learned = braze_pack_learned_limit(delivery->pack);

	if (paused != NULL)
		return paused;
	if (delivery->stuck_problem[0] != '\0')
		snprintf(text, sizeof(text), "what was answered cannot be settled: %s",
				 delivery->stuck_problem);
	else if (delivery->unreadable != NULL)
		snprintf(text, sizeof(text), "its calls cannot be read: %s", delivery->unreadable);
	else if (learned > 0)
		snprintf(text, sizeof(text), "this workspace takes at most %d objects in a request, as its answers show; "
				 "set max_objects_per_request to its limit", learned);
	else
		text[0] = '\0';
	return text;
}

void
braze_delivery_end_flight(void *delivery, int flight)
{
	braze_claims_bound_leave(flight);
	((BrazeDelivery *) delivery)->claimed--;
}

void
braze_delivery_report(BrazeDelivery *delivery)
{
	BrazeDestinationSlot *slot;
	const char *state;

	if (!delivery->changed)
		return;
	state = explain_state(delivery);

	/*
	 * What was counted is added and begins at nothing again: shared memory
	 * outlives this worker, and its numbers go on with the next one.  Without
	 * a place for the destination they are lost, which harms nothing but the
	 * status.
	 */
	delivery->changed = false;
	braze_delivery_figures_prepare(delivery);
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_destination(MyDatabaseId, NameStr(delivery->name), delivery->size != NULL);
	if (slot != NULL)
	{
		delivery->size = &slot->size;
		slot->state = delivery->not_started ? BRAZE_DESTINATION_NOT_STARTED
			: delivery->paused != NULL ? BRAZE_DESTINATION_PAUSED
			: delivery->stuck_problem[0] != '\0' || delivery->unreadable != NULL ? BRAZE_DESTINATION_WAITING
			: is_failing(delivery) ? BRAZE_DESTINATION_RETRYING
			: BRAZE_DESTINATION_RUNNING;
		slot->limit_ends = delivery->pace[BRAZE_TRACK_SERVICE].not_before;
		slot->identity_limit_ends = delivery->pace[BRAZE_IDENTITY_SERVICE].not_before;
		slot->in_flight = delivery->transfers;
		for (int i = 0; i < BRAZE_COUNTERS; i++)
			slot->counts[i] += delivery->counts[i];
		braze_delivery_figures_publish(delivery, slot);
		slot->counts[BRAZE_COUNT_UNCHANGED] += braze_pack_take_unchanged(delivery->pack);
		if (delivery->last_success != 0)
			slot->last_success = delivery->last_success;
		if (delivery->last_error_at != 0)
		{
			slot->last_error_at = delivery->last_error_at;
			braze_message_copy(slot->last_error, delivery->last_error, BRAZE_MESSAGE_SIZE);
		}
		braze_message_copy(slot->paused, state, BRAZE_MESSAGE_SIZE);
	}
	LWLockRelease(braze_shared->lock);
	delivery->last_success = delivery->last_error_at = 0;
	memset(delivery->counts, 0, sizeof(delivery->counts));
	braze_delivery_figures_published(delivery);
}
