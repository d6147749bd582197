/*-------------------------------------------------------------------------
 *
 * sync_part.c
 *	  A part of a sync's run: some calls, queued together with their state.
 *
 * The calls and the state of their rows are committed together, so whatever is
 * killed, the next run queues what this one has not.  A call that is rejected
 * is a dead letter, and its row counts as synced: it would be rejected again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "feed/sync_part.h"
#include "feed/sync_row.h"
#include "feed/sync_table.h"
#include "queue/enqueue.h"

typedef struct Part
{
	BrazeSyncQueue *queue;
	MemoryContext call_context;
	ArrayBuildState *keys;		/* whose state is to be written */
	ArrayBuildState *hashes;	/* and what it becomes */
	ArrayBuildState *removed;	/* whose state is to be deleted */
	StringInfoData buffer;
	int			count;			/* of rows, or else of removed users */
} Part;

/* true: the state may say that it was queued */
static bool
put_call_of_part(Part *part, BrazeNewCall call)
{
	BrazeSyncQueue *queue = part->queue;
	int64		id = braze_enqueue_call(call, queue->sync->destination, queue->owner,
										BRAZE_ENQUEUE_CALLER);

	/*
	 * there was no room, and on_full says to drop it: the next run has it
	 * again
	 */
	if (id == BRAZE_NOT_QUEUED)
	{
		queue->ndropped++;
		return false;
	}
	queue->nqueued++;
	if (id == BRAZE_DEAD_LETTER)
		queue->nrejected++;
	else
		queue->ids[queue->nids++] = id;
	return true;
}

static ArrayBuildState *
append_to_array(ArrayBuildState *array, Datum value, Oid type, MemoryContext context)
{
	return accumArrayResult(array, value, false, type, context);
}

static void
queue_row(Part *part, TupleTableSlot *slot, bool known, MemoryContext context)
{
	BrazeSyncPlan *plan = part->queue->rows->plan;
	BrazeRow	row;
	BrazeString key;
	int64		hash;

	slot_getallattrs(slot);
	row.values = slot->tts_values;
	row.nulls = slot->tts_isnull;

	/* of an event that was sent, nothing but the moment is written */
	if (!(plan->sync->is_track && known) &&
		!put_call_of_part(part, braze_sync_row_call(plan, &row, known)))
		return;
	key = braze_sync_row_key(plan, &row);
	hash = plan->sync->is_track ? braze_sync_row_time(plan, &row) :
		braze_sync_row_hash(plan, &row, &part->buffer);
	part->keys = append_to_array(part->keys,
								 PointerGetDatum(cstring_to_text_with_len(key.data, key.length)),
								 TEXTOID, context);
	part->hashes = append_to_array(part->hashes, Int64GetDatum(hash), INT8OID, context);
}

static void
queue_rows(Part *part, MemoryContext context)
{
	BrazeSyncQueue *queue = part->queue;
	BrazeSyncChanges *changes = queue->changes;
	TupleTableSlot *change = MakeSingleTupleTableSlot(changes->rows_desc, &TTSOpsMinimalTuple);
	TupleTableSlot *row = MakeSingleTupleTableSlot(queue->rows->plan->desc, &TTSOpsMinimalTuple);

	while (part->count < BRAZE_SYNC_PART_CALLS &&
		   tuplestore_gettupleslot(changes->rows, true, false, change))
	{
		int64		place;
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(change);
		place = DatumGetInt64(change->tts_values[0]);

		/*
		 * differences come in the order of places, so the rows are walked
		 * once
		 */
		(void) tuplestore_skiptuples(queue->rows->rows, place - queue->next_place, true);
		if (!tuplestore_gettupleslot(queue->rows->rows, true, false, row))
			elog(ERROR, "row " INT64_FORMAT " of a sync is not there", place);
		queue->next_place = place + 1;
		old = MemoryContextSwitchTo(part->call_context);
		queue_row(part, row, DatumGetBool(change->tts_values[1]), context);
		MemoryContextSwitchTo(old);
		MemoryContextReset(part->call_context);
		part->count++;
	}
	ExecDropSingleTupleTableSlot(change);
	ExecDropSingleTupleTableSlot(row);
}

static void
queue_removed(Part *part, MemoryContext context)
{
	BrazeSyncQueue *queue = part->queue;
	BrazeSyncChanges *changes = queue->changes;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(changes->removed_desc, &TTSOpsMinimalTuple);

	while (part->count < BRAZE_SYNC_PART_CALLS &&
		   tuplestore_gettupleslot(changes->removed, true, false, slot))
	{
		MemoryContext old = MemoryContextSwitchTo(part->call_context);
		char	   *key;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		key = TextDatumGetCString(slot->tts_values[0]);
		if (queue->sync->on_remove == BRAZE_SYNC_KEEP ||
			put_call_of_part(part, braze_sync_row_removal(queue->rows->plan, key)))
			part->removed = append_to_array(part->removed, slot->tts_values[0], TEXTOID, context);
		MemoryContextSwitchTo(old);
		MemoryContextReset(part->call_context);
		part->count++;
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * with the owner's rights: a type's output
 * and its cast to json may be anybody's
 */
static void
queue_calls(void *arg)
{
	Part	   *part = arg;
	MemoryContext context = CurrentMemoryContext;

	part->queue->nids = 0;
	part->call_context = AllocSetContextCreate(context, "segment_braze sync call",
											   ALLOCSET_DEFAULT_SIZES);
	queue_rows(part, context);

	/*
	 * in parts of their own, after all rows: what is written of the state is
	 * either new rows or deleted ones
	 */
	if (part->count == 0)
		queue_removed(part, context);
}

static void
store_state(const Part *part)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments arguments = {0};

	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(part->queue->sync->id));
	if (part->keys != NULL)
	{
		braze_sync_table_add(&arguments, TEXTARRAYOID, makeArrayResult(part->keys, CurrentMemoryContext));
		braze_sync_table_add(&arguments, INT8ARRAYOID, makeArrayResult(part->hashes, CurrentMemoryContext));
		(void) braze_sync_table_write(catalog->sync_state, CMD_INSERT,
									  psprintf("INSERT INTO %s AS s (sync, key, hash) "
											   "SELECT $1, r.key, r.hash FROM ROWS FROM (unnest($2, $3)) r (key, hash) "
											   "ON CONFLICT (sync, key) DO UPDATE SET hash = excluded.hash",
											   braze_sync_table_state()), &arguments);
	}
	else if (part->removed != NULL)
	{
		braze_sync_table_add(&arguments, TEXTARRAYOID, makeArrayResult(part->removed, CurrentMemoryContext));
		(void) braze_sync_table_write(catalog->sync_state, CMD_DELETE,
									  psprintf("DELETE FROM %s WHERE sync = $1 AND key = ANY ($2)",
											   braze_sync_table_state()), &arguments);
	}
}

void
braze_sync_part(BrazeSyncQueue *queue)
{
	Part		part = {queue};

	initStringInfo(&part.buffer);

	/*
	 * The calls and their state are one transaction.  If only the calls were
	 * committed, the next run would send them again; if only the state, they
	 * would never be sent.
	 */
	braze_statement_run_as(queue->owner, queue->sync->search_path, queue_calls, &part);
	store_state(&part);
	queue->nleft -= part.count;
}
