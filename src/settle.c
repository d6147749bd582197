/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Calls that are done leave the queue, the refused ones for dead letters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "compat.h"
#include "queue.h"
#include "queue_size.h"
#include "table.h"

/* what the transaction under way has deleted of a destination */
typedef struct Deleted
{
	struct Deleted *next;
	NameData	destination;
	BrazeQueueSize *size;
	int64		bytes;
} Deleted;

static Deleted *deleted = NULL; /* one for each destination that we saw */

bool
braze_settle_begin(BrazeSettler *settler)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	if (!braze_table_try_lock(catalog->queue, RowExclusiveLock))
		return false;
	settler->queue = table_open(catalog->queue, NoLock);
	settler->pkey = index_open(catalog->queue_pkey, RowExclusiveLock);
	settler->slot = table_slot_create(settler->queue, NULL);
	settler->nblocks = RelationGetNumberOfBlocks(settler->queue);
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
		entry->bytes = 0;
	return true;
}

void
braze_settle_end(BrazeSettler *settler)
{
	ExecDropSingleTupleTableSlot(settler->slot);
	index_close(settler->pkey, RowExclusiveLock);
	table_close(settler->queue, NoLock);
}

void
braze_settle_committed(void)
{
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
	{
		braze_queue_size_settled(entry->size, entry->bytes);
		entry->bytes = 0;
	}
}

/* a truncated queue may have given the id to another call meanwhile */
static bool
slot_has(BrazeSettler *settler, const BrazeSettleRow *row)
{
	slot_getsomeattrs(settler->slot, BRAZE_QUEUE_QUEUED_AT);
	return DatumGetInt64(settler->slot->tts_values[BRAZE_QUEUE_ID - 1]) == row->id &&
		DatumGetTimestampTz(settler->slot->tts_values[BRAZE_QUEUE_QUEUED_AT - 1]) == row->queued_at;
}

/* the row where it was read, if it is still there */
static bool
fetch_by_hint(BrazeSettler *settler, const BrazeSettleRow *row)
{
	ItemPointerData tid = row->tid;

	if (row->storage != settler->queue->rd_rel->relfilenode ||
		ItemPointerGetBlockNumber(&tid) >= settler->nblocks)
		return false;
	return table_tuple_fetch_row_version(settler->queue, &tid,
										 GetActiveSnapshot(), settler->slot) &&
		slot_has(settler, row);
}

static bool
fetch_by_id(BrazeSettler *settler, const BrazeSettleRow *row)
{
	ScanKeyData key;
	IndexScanDesc scan;
	bool		found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(row->id));
	scan = braze_index_beginscan(settler->queue, settler->pkey,
								 GetActiveSnapshot(), 1);
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, settler->slot) &&
		slot_has(settler, row);

	/* the slot must not lose its buffer with the scan */
	if (found)
		ExecMaterializeSlot(settler->slot);
	index_endscan(scan);
	return found;
}

/* false: somebody else deleted it, a purge for instance */
static bool
fetch(BrazeSettler *settler, const BrazeSettleRow *row)
{
	return fetch_by_hint(settler, row) || fetch_by_id(settler, row);
}

bool
braze_settle_finds(BrazeSettler *settler, const BrazeSettleRow *row)
{
	bool		found = fetch(settler, row);

	ExecClearTuple(settler->slot);
	return found;
}

/* the slot was read up to queued_at, when its row was fetched */
static void
note_deleted(TupleTableSlot *slot)
{
	const char *destination = NameStr(*DatumGetName(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1]));
	Deleted    *entry = deleted;

	while (entry != NULL && strcmp(NameStr(entry->destination), destination) != 0)
		entry = entry->next;
	if (entry == NULL)
	{
		entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Deleted));
		namestrcpy(&entry->destination, destination);
		entry->size = braze_queue_size_of(destination);
		entry->next = deleted;
		deleted = entry;
	}
	entry->bytes += toast_datum_size(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
}

static TM_Result
delete_fetched(BrazeSettler *settler)
{
	TM_FailureData failure;
	ItemPointerData tid = settler->slot->tts_tid;
	TM_Result	result;

	/* never wait for a row lock: its holder may take long */
	result = table_tuple_delete(settler->queue, &tid, GetCurrentCommandId(true),
								GetActiveSnapshot(), InvalidSnapshot, false,
								&failure, false);
	if (result == TM_Ok)
		note_deleted(settler->slot);
	return result;
}

/* a row that another transaction deleted meanwhile is gone too */
static BrazeSettled
settled(TM_Result result)
{
	return result == TM_Ok || result == TM_Deleted || result == TM_SelfModified ?
		BRAZE_SETTLED : BRAZE_SETTLE_LATER;
}

/* what the queue's row says of the dead letter that it is a retry of */
static BrazeRetriedState
lock_retried(BrazeSettler *settler, const BrazeSettleRow *row, BrazeRetried *retried)
{
	TupleTableSlot *slot = settler->slot;

	slot_getsomeattrs(slot, BRAZE_QUEUE_COLUMNS);
	if (slot->tts_isnull[BRAZE_QUEUE_DEAD_LETTER - 1])
		return BRAZE_RETRIED_NONE;
	return braze_retried_lock(retried,
							  DatumGetInt64(slot->tts_values[BRAZE_QUEUE_DEAD_LETTER - 1]),
							  row->id);
}

BrazeSettled
braze_settle_delete(BrazeSettler *settler, const BrazeSettleRow *row)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (fetch(settler, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_SETTLE_LATER;
		else
		{
			TM_Result	deleted = delete_fetched(settler);

			result = settled(deleted);
			if (state == BRAZE_RETRIED_LOCKED)
			{
				if (deleted == TM_Ok)
					braze_retried_delete(&retried);
				braze_retried_release(&retried);
			}
		}
	}
	ExecClearTuple(settler->slot);
	return result;
}

/* the row's place is taken by a letter, which lacks what the row has */
static void
put_letter(TupleTableSlot *slot, const BrazeDeadLetter *letter, BrazeRetried *retried)
{
	BrazeDeadLetter complete = *letter;

	/* of a call that was queued in part, no more than that was rejected */
	if (complete.nobjects < 0 && !slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1])
		complete.nobjects = braze_objects_read(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1],
											   &complete.objects);
	if (retried != NULL)
	{
		braze_retried_refused(retried, &complete);
		return;
	}
	complete.destination = NameStr(*DatumGetName(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1]));
	complete.call = DatumGetJsonbP(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	complete.queued_at = DatumGetTimestampTz(slot->tts_values[BRAZE_QUEUE_QUEUED_AT - 1]);
	braze_queue_put_dead_letter(&complete);
}

BrazeSettled
braze_settle_reject(BrazeSettler *settler, const BrazeSettleRow *row,
					const BrazeDeadLetter *letter)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (fetch(settler, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_SETTLE_LATER;
		else
		{
			TM_Result	deleted = delete_fetched(settler);

			result = settled(deleted);
			if (deleted == TM_Ok)
				put_letter(settler->slot, letter,
						   state == BRAZE_RETRIED_LOCKED ? &retried : NULL);
			if (state == BRAZE_RETRIED_LOCKED)
				braze_retried_release(&retried);
		}
	}
	ExecClearTuple(settler->slot);
	return result;
}

/*
 * Rare, so a statement will do.  The user is the one that the call names, in
 * either spelling, in the calls of the same destination.
 */
void
braze_settle_forget_user(int64 id)
{
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(id);
	char	   *statement;

	statement = psprintf("DELETE FROM %s d USING %s q "
						 "WHERE q.id OPERATOR(pg_catalog.=) $1 "
						 "AND d.destination OPERATOR(pg_catalog.=) q.destination "
						 "AND coalesce(d.call OPERATOR(pg_catalog.->>) 'userId', d.call OPERATOR(pg_catalog.->>) 'user_id') "
						 "OPERATOR(pg_catalog.=) coalesce(q.call OPERATOR(pg_catalog.->>) 'userId', q.call OPERATOR(pg_catalog.->>) 'user_id')",
						 braze_table_name("braze_dead_letters"),
						 braze_table_name("braze_queue"));
	SPI_connect();
	if (SPI_execute_with_args(statement, 1, &type, &value, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete the dead letters of a user");
	SPI_finish();
}
