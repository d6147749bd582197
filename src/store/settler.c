/*-------------------------------------------------------------------------
 *
 * settler.c
 *	  The worker's hold on both tables while it settles calls that are done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/size_counter.h"
#include "base/table_write.h"
#include "store/fetch_row.h"
#include "store/queue_recount.h"
#include "store/settler.h"

/* what the transaction under way has deleted of a destination */
typedef struct Deleted
{
	struct Deleted *next;
	NameData	destination;
	BrazeSizeCounter *size;
	BrazeSizeChange change;
	BrazeSizeChange attempted;	/* by the subtransaction under way */
} Deleted;

static Deleted *deleted = NULL; /* one for each destination that we saw */

/*
 * Nobody is waited for: one who rewrites a table may take hours, and requests
 * of all destinations are under way meanwhile.
 */
static bool
open_table(BrazeSettleTable *table, Oid rel, Oid pkey, AttrNumber queued_at)
{
	if (!braze_table_write_try_lock(rel, RowExclusiveLock))
		return false;
	table->rel = table_open(rel, NoLock);
	table->pkey = index_open(pkey, RowExclusiveLock);
	table->slot = table_slot_create(table->rel, NULL);
	table->nblocks = RelationGetNumberOfBlocks(table->rel);
	table->queued_at = queued_at;
	return true;
}

static void
close_table(BrazeSettleTable *table)
{
	if (table->rel == NULL)
		return;
	ExecDropSingleTupleTableSlot(table->slot);

	/*
	 * the lock on the table stays to the end, as on any table that was
	 * written
	 */
	index_close(table->pkey, RowExclusiveLock);
	table_close(table->rel, NoLock);
}

/* before the locks are given back: who then has the table finds it counted */
static void
deletes_at_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;

	/* what was deleted outside of any subtransaction has not been added yet */
	braze_settler_attempted(event == XACT_EVENT_COMMIT);
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
	{
		if (event == XACT_EVENT_COMMIT && entry->size != NULL)
			braze_size_counter_commit(entry->size, &entry->change);
		memset(&entry->change, 0, sizeof(entry->change));
		entry->size = NULL;		/* its place may be freed from now on */
	}
}

bool
braze_settler_begin(BrazeSettler *settler)
{
	static bool callback_registered = false;
	const BrazeCatalog *catalog = braze_catalog_required();

	if (!callback_registered)
		RegisterXactCallback(deletes_at_transaction_end, NULL);
	callback_registered = true;
	settler->letters.rel = NULL;
	settler->context = CurrentMemoryContext;
	braze_table_write_locked = BRAZE_LOCKED_TABLE("braze_queue");
	return open_table(&settler->queue, catalog->queue, catalog->queue_pkey,
					  BRAZE_QUEUE_QUEUED_AT);
}

/* the sequence as well, before the table as whoever puts a letter locks them */
bool
braze_settler_open_letters(BrazeSettler *settler)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	/* this may be called for one call, and its memory does not last */
	MemoryContext old = MemoryContextSwitchTo(settler->context);
	bool		opened = settler->letters.rel != NULL ||
	(braze_catalog_try_lock(catalog->dead_letters_sequence, RowExclusiveLock) &&
	 braze_table_write_try_lock_indexes(catalog->dead_letters) &&
	 open_table(&settler->letters, catalog->dead_letters,
				catalog->dead_letters_pkey, InvalidAttrNumber));

	MemoryContextSwitchTo(old);
	if (!opened)
		braze_table_write_locked = BRAZE_LOCKED_TABLE("braze_dead_letters");
	return opened;
}

void
braze_settler_end(BrazeSettler *settler)
{
	close_table(&settler->letters);
	close_table(&settler->queue);
}

void
braze_settler_attempted(bool done)
{
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
	{
		if (done)
			braze_size_counter_join(&entry->change, &entry->attempted);
		memset(&entry->attempted, 0, sizeof(entry->attempted));
	}
}

/* a truncated queue may have given the id to another call meanwhile */
static bool
slot_has(BrazeSettleTable *table, int64 id, const BrazeSettleRow *row)
{
	slot_getallattrs(table->slot);
	return DatumGetInt64(table->slot->tts_values[0]) == id &&
		(table->queued_at == InvalidAttrNumber ||
		 DatumGetTimestampTz(table->slot->tts_values[table->queued_at - 1]) == row->queued_at);
}

/* by its place or its id, in whichever file of the table it is now */
bool
braze_settler_fetch(BrazeSettleTable *table, int64 id, const BrazeSettleRow *row)
{
	/*
	 * The place is a hint, and spares a search in the index.  What is found
	 * there may be another row by now, so its id decides, and then the index
	 * is asked.
	 */
	return (braze_fetch_row_at(table->rel, row->storage, table->nblocks, &row->tid, table->slot) &&
			slot_has(table, id, row)) ||
		(braze_fetch_row_by_id(table->rel, table->pkey, GetActiveSnapshot(), id, table->slot) &&
		 slot_has(table, id, row));
}

/*
 * where a call is, in the queue or claimed; NULL: that cannot be looked at now
 */
BrazeSettleTable *
braze_settler_table_of(BrazeSettler *settler, const BrazeSettleRow *row, int64 *id)
{
	*id = row->letter != 0 ? row->letter : row->id;
	if (row->letter == 0)
		return &settler->queue;
	return braze_settler_open_letters(settler) ? &settler->letters : NULL;
}

/* one slot is read as a row of either table, see below */
StaticAssertDecl(BRAZE_QUEUE_CALL == BRAZE_DEAD_CALL &&
				 BRAZE_QUEUE_DESTINATION == BRAZE_DEAD_DESTINATION,
				 "a queued call and a dead letter agree in these columns");

/*
 * The slot has a row of either table, which agree in these columns; it left
 * the queue, where it has the id, or came back.  A count under way that has yet
 * to come by the row finds it there, or not, by itself.
 */
void
braze_settler_note_queued(TupleTableSlot *slot, int64 id, bool back)
{
	int			sign = back ? 1 : -1;
	BrazeQueued queued = {sign, sign * (int64) toast_datum_size(slot->tts_values[BRAZE_QUEUE_CALL - 1])};
	BrazeSizeChange change = {queued};
	Deleted    *entry = deleted;
	NameData	destination;

	braze_column_values_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	while (entry != NULL && strcmp(NameStr(entry->destination), NameStr(destination)) != 0)
		entry = entry->next;
	if (entry == NULL)
	{
		/* it stays as long as the worker does: there are few destinations */
		entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Deleted));
		entry->destination = destination;
		entry->next = deleted;
		deleted = entry;
	}
	if (entry->size == NULL)
		entry->size = braze_size_counter_of(NameStr(destination));
	change.bound = pg_atomic_read_u64(&entry->size->bound);
	if (braze_queue_recount_has(id))
		change.anew = queued;
	braze_size_counter_join(&entry->attempted, &change);
}

TM_Result
braze_settler_delete_fetched(BrazeSettler *settler, BrazeSettleTable *table)
{
	ItemPointerData tid = table->slot->tts_tid;
	TM_Result	result = braze_table_write_delete(table->rel, &tid, GetActiveSnapshot());

	if (table == &settler->queue)
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_queue");
	else
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_dead_letters");

	/* a letter does not count: its call left the queue when it was claimed */
	if (result == TM_Ok && table == &settler->queue)
		braze_settler_note_queued(table->slot, DatumGetInt64(table->slot->tts_values[0]), false);
	return result;
}

/* what the queue's row says of the dead letter that it is a retry of */
BrazeRetriedState
braze_settler_lock_retried(BrazeSettler *settler, const BrazeSettleRow *row, BrazeRetried *retried)
{
	TupleTableSlot *slot = settler->queue.slot;

	slot_getsomeattrs(slot, BRAZE_QUEUE_COLUMNS);
	if (slot->tts_isnull[BRAZE_QUEUE_DEAD_LETTER - 1])
		return BRAZE_RETRIED_NONE;
	return braze_dead_letters_table_lock(retried,
										 DatumGetInt64(slot->tts_values[BRAZE_QUEUE_DEAD_LETTER - 1]),
										 row->id);
}
