/*-------------------------------------------------------------------------
 *
 * dead_letters_table.c
 *	  The dead letter that a queued call is a retry of.
 *
 * It stays readable while the retry is queued, and ends with it: deleted when
 * the call was delivered, rewritten when it was rejected again.  The other
 * letters stay until braze_purge, or as long as a setting says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/steady_time.h"
#include "base/table_write.h"
#include "store/claims_bound.h"
#include "store/dead_letters_table.h"
#include "store/fetch_row.h"
#include "store/retention.h"

/*
 * between the slices of a count, and what
 * a pass took until the next: it costs 2 %
 */
#define COUNT_PAUSE_MS		5
#define COUNT_SHARE			50
#define COUNT_MAX_PAUSE_MS	600000

/* in the queue or among the letters */
static bool
find_by_id(Relation rel, Oid pkey, int64 id, Snapshot snapshot, TupleTableSlot *slot)
{
	Relation	index = index_open(pkey, AccessShareLock);
	bool		found = braze_fetch_row_by_id(rel, index, snapshot, id, slot);

	index_close(index, AccessShareLock);
	return found;
}

/* its newest version, whatever the snapshot shows */
static BrazeRetriedState
lock_letter(Relation letters, TupleTableSlot *slot)
{
	ItemPointerData tid = slot->tts_tid;
	TM_FailureData failure;

	switch (table_tuple_lock(letters, &tid, GetActiveSnapshot(), slot,
							 GetCurrentCommandId(true), LockTupleExclusive, LockWaitSkip,
							 TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure))
	{
		case TM_Ok:
			return BRAZE_RETRIED_LOCKED;
		case TM_WouldBlock:
			braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_dead_letters");
			return BRAZE_RETRIED_BUSY;
		default:
			return BRAZE_RETRIED_NONE;	/* somebody deleted it, perhaps we */
	}
}

static bool
is_retry(TupleTableSlot *slot, int64 queue_id)
{
	bool		isnull;
	Datum		retry_id = slot_getattr(slot, BRAZE_DEAD_RETRY_ID, &isnull);

	return !isnull && DatumGetInt64(retry_id) == queue_id;
}

bool
braze_dead_letters_table_is_in_flight(TupleTableSlot *letter)
{
	bool		isnull;
	Datum		state = slot_getattr(letter, BRAZE_DEAD_STATE, &isnull);

	return braze_column_values_state_read(state) == BRAZE_LETTER_IN_FLIGHT;
}

/* queue_id 0: it is to be in flight */
static BrazeRetriedState
lock_one(BrazeRetried *retried, int64 letter, int64 queue_id)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeRetriedState state = BRAZE_RETRIED_NONE;
	TupleTableSlot *slot;

	if (!braze_table_write_try_lock(catalog->dead_letters, RowExclusiveLock))
	{
		braze_table_write_locked = BRAZE_LOCKED_TABLE("braze_dead_letters");
		return BRAZE_RETRIED_BUSY;
	}
	retried->letters = table_open(catalog->dead_letters, NoLock);
	slot = table_slot_create(retried->letters, NULL);
	if (find_by_id(retried->letters, catalog->dead_letters_pkey, letter,
				   GetActiveSnapshot(), slot))
		state = lock_letter(retried->letters, slot);

	/*
	 * Only what the locked version says counts: until then braze_retry may
	 * have given the letter to another call, or a user may have changed it.
	 */
	if (state == BRAZE_RETRIED_LOCKED)
	{
		if (queue_id != 0 ? is_retry(slot, queue_id) : braze_dead_letters_table_is_in_flight(slot))
			retried->letter = ExecCopySlotHeapTuple(slot);
		else
			state = BRAZE_RETRIED_NONE;
	}
	ExecDropSingleTupleTableSlot(slot);
	if (state != BRAZE_RETRIED_LOCKED)
		table_close(retried->letters, NoLock);
	return state;
}

BrazeRetriedState
braze_dead_letters_table_lock(BrazeRetried *retried, int64 letter, int64 queue_id)
{
	return lock_one(retried, letter, queue_id);
}

BrazeRetriedState
braze_dead_letters_table_lock_in_flight(BrazeRetried *retried, int64 letter)
{
	return lock_one(retried, letter, 0);
}

void
braze_dead_letters_table_delete(BrazeRetried *retried)
{
	braze_table_write_delete_locked(retried->letters, &retried->letter->t_self);
}

BrazeLetterState
braze_dead_letters_table_state(const BrazeRetried *retried)
{
	bool		isnull;

	return braze_column_values_state_read(heap_getattr(retried->letter, BRAZE_DEAD_STATE,
													   RelationGetDescr(retried->letters), &isnull));
}

void
braze_dead_letters_table_move(BrazeRetried *retried, BrazeLetterState state, int64 retry_id,
							  ItemPointer tid)
{
	TupleDesc	desc = RelationGetDescr(retried->letters);
	Datum		values[BRAZE_DEAD_COLUMNS];
	bool		nulls[BRAZE_DEAD_COLUMNS];

	for (int i = 0; i < BRAZE_DEAD_COLUMNS; i++)
		values[i] = heap_getattr(retried->letter, i + 1, desc, &nulls[i]);
	values[BRAZE_DEAD_STATE - 1] = braze_column_values_state_text(state);
	values[BRAZE_DEAD_RETRIED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[BRAZE_DEAD_RETRY_ID - 1] = Int64GetDatum(retry_id);
	nulls[BRAZE_DEAD_RETRIED_AT - 1] = nulls[BRAZE_DEAD_RETRY_ID - 1] = (retry_id == 0);

	/* in flight, perhaps for good: from now on it is kept, as any new letter */
	if (retry_id == 0)
		values[BRAZE_DEAD_FAILED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	braze_table_write_update(retried->letters, &retried->letter->t_self, BRAZE_DEAD_COLUMNS,
							 values, nulls, tid);
}

/* its call and when that was queued first stay as they are */
void
braze_dead_letters_table_refused(BrazeRetried *retried, const BrazeDeadLetter *again)
{
	TupleDesc	desc = RelationGetDescr(retried->letters);
	Datum		values[BRAZE_DEAD_COLUMNS];
	bool		nulls[BRAZE_DEAD_COLUMNS];
	int			attempts;
	ItemPointerData tid;

	for (int i = 0; i < BRAZE_DEAD_COLUMNS; i++)
		values[i] = heap_getattr(retried->letter, i + 1, desc, &nulls[i]);
	attempts = DatumGetInt32(values[BRAZE_DEAD_ATTEMPTS - 1]);
	values[BRAZE_DEAD_ATTEMPTS - 1] = Int32GetDatum(Min(attempts, PG_INT32_MAX - 1) + 1);
	nulls[BRAZE_DEAD_OBJECTS - 1] = (again->nobjects < 0);
	if (again->nobjects >= 0)
		values[BRAZE_DEAD_OBJECTS - 1] = braze_column_values_objects_array(again->nobjects, again->objects);
	values[BRAZE_DEAD_STATE - 1] = braze_column_values_state_text(again->state);
	values[BRAZE_DEAD_REASON - 1] = CStringGetTextDatum(again->reason);
	values[BRAZE_DEAD_HTTP_STATUS - 1] = Int32GetDatum(again->http_status);
	nulls[BRAZE_DEAD_HTTP_STATUS - 1] = (again->http_status <= 0);
	values[BRAZE_DEAD_FAILED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	nulls[BRAZE_DEAD_RETRIED_AT - 1] = nulls[BRAZE_DEAD_RETRY_ID - 1] = true;
	braze_table_write_update(retried->letters, &retried->letter->t_self, BRAZE_DEAD_COLUMNS,
							 values, nulls, &tid);
}

void
braze_dead_letters_table_release(BrazeRetried *retried)
{
	heap_freetuple(retried->letter);
	table_close(retried->letters, NoLock);
}

/* ----- letters that have expired ----- */

/* is the letter's call in the queue?  When that cannot be seen, it may be */
static bool
is_queued(int64 letter, int64 queue_id)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	queue;
	TupleTableSlot *slot;
	Snapshot	snapshot;
	bool		found;

	if (!braze_catalog_try_lock(catalog->queue, AccessShareLock))
		return true;

	/*
	 * to a snapshot from before the lock, a table that was rewritten is empty
	 */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	queue = table_open(catalog->queue, NoLock);
	slot = table_slot_create(queue, NULL);
	found = find_by_id(queue, catalog->queue_pkey, queue_id, snapshot, slot);
	if (found)
	{
		bool		isnull;
		Datum		retried = slot_getattr(slot, BRAZE_QUEUE_DEAD_LETTER, &isnull);

		found = !isnull && DatumGetInt64(retried) == letter;
	}
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(queue, AccessShareLock);
	return found;
}

/*
 * A letter stays while its call is under
 * way or queued again: it is needed then.
 */
static bool
letter_has_expired(TupleTableSlot *slot, void *arg)
{
	int			seconds = *(int *) arg;
	bool		isnull;
	TimestampTz failed_at;
	int64		id;
	Datum		retry_id;

	failed_at = DatumGetTimestampTz(slot_getattr(slot, BRAZE_DEAD_FAILED_AT, &isnull));
	if (failed_at > braze_steady_time() - seconds * USECS_PER_SEC)
		return false;
	id = DatumGetInt64(slot_getattr(slot, BRAZE_DEAD_ID, &isnull));

	/* the bound is asked after the letter was seen, see claims_bound.h */
	if (braze_dead_letters_table_is_in_flight(slot) && braze_claims_bound_holds(id))
		return false;
	retry_id = slot_getattr(slot, BRAZE_DEAD_RETRY_ID, &isnull);
	return isnull || !is_queued(id, DatumGetInt64(retry_id));
}

int
braze_dead_letters_table_expire(int seconds)
{
	static BrazeExpiry expiry;

	return braze_retention_expire(&expiry, braze_catalog_required()->dead_letters, letter_has_expired, &seconds);
}

/* ----- how many there are ----- */

typedef struct Letters
{
	struct Letters *next;
	NameData	destination;
	int64		count;			/* of the pass under way */
}			Letters;

/* one for each destination that had some; there are few */
static Letters * letters = NULL;

/* as braze_status counts them: not those that are queued again or in flight */
static bool
count_letter(TupleTableSlot *slot, void *arg)
{
	bool		isnull;
	Datum		destination = slot_getattr(slot, BRAZE_DEAD_DESTINATION, &isnull);
	int64		id;
	Datum		retry_id;
	NameData	name;
	Letters    *entry = letters;

	if (isnull)
		return false;
	id = DatumGetInt64(slot_getattr(slot, BRAZE_DEAD_ID, &isnull));
	if (braze_dead_letters_table_is_in_flight(slot) && braze_claims_bound_holds(id))
		return false;
	retry_id = slot_getattr(slot, BRAZE_DEAD_RETRY_ID, &isnull);
	if (!isnull && is_queued(id, DatumGetInt64(retry_id)))
		return false;
	braze_column_values_destination(destination, &name);
	while (entry != NULL && strcmp(NameStr(entry->destination), NameStr(name)) != 0)
		entry = entry->next;
	if (entry == NULL)
	{
		entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Letters));
		entry->destination = name;
		entry->next = letters;
		letters = entry;
	}
	entry->count++;
	return false;
}

static void
publish_letters(void)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_max_destinations; i++)
	{
		if (braze_shared->destinations[i].database == MyDatabaseId)
			braze_shared->destinations[i].dead_letters = 0;
	}
	for (Letters * entry = letters; entry != NULL; entry = entry->next)
	{
		BrazeDestinationSlot *place = braze_shmem_destination(MyDatabaseId, NameStr(entry->destination), false);

		if (place != NULL)
			place->dead_letters = entry->count;
	}
	LWLockRelease(braze_shared->lock);
}

/*
 * what PostgreSQL's statistics say of the
 * table: another sum says that it changed
 */
static int64
letters_changes(Oid table)
{
	Datum		oid = ObjectIdGetDatum(table);

	return DatumGetInt64(DirectFunctionCall1(pg_stat_get_tuples_inserted, oid)) +
		DatumGetInt64(DirectFunctionCall1(pg_stat_get_tuples_updated, oid)) +
		DatumGetInt64(DirectFunctionCall1(pg_stat_get_tuples_deleted, oid)) +
		DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples, oid));
}

int
braze_dead_letters_table_count(void)
{
	static BrazeExpiry pass;
	static int64 took = 0;
	static int64 changes = -1;	/* when the last pass began */
	static bool under_way = false;
	Oid			table = braze_catalog_required()->dead_letters;
	int64		began = braze_now_ms();
	int			pause;

	/*
	 * a pass over what somebody has locked would end at once, as over nothing
	 */
	if (!braze_catalog_try_lock(table, RowExclusiveLock))
		return braze_nap;
	if (!under_way)
	{
		int64		now = letters_changes(table);

		/* again: there may be places now that had none */
		if (now == changes)
		{
			publish_letters();
			return braze_nap;
		}
		for (Letters * entry = letters; entry != NULL; entry = entry->next)
			entry->count = 0;
		changes = now;
		under_way = true;
	}
	pause = braze_retention_expire(&pass, table, count_letter, NULL);
	took += braze_now_ms() - began;
	if (pause >= 0)
		return COUNT_PAUSE_MS;
	under_way = false;
	pause = (int) Min(Max(braze_nap, took * COUNT_SHARE), COUNT_MAX_PAUSE_MS);
	took = 0;
	publish_letters();
	return pause;
}
