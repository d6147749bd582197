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
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/attempt.h"
#include "base/catalog.h"
#include "base/size_counter.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "json/jsonb_walk.h"
#include "json/value.h"
#include "queue/queue.h"
#include "store/claims_table.h"
#include "store/fetch_row.h"

/* what the transaction under way has deleted of a destination */
typedef struct Deleted
{
	struct Deleted *next;
	NameData	destination;
	BrazeSizeCounter *size;
	int64		bytes;
	int64		attempted;		/* by the subtransaction under way */
} Deleted;

static Deleted *deleted = NULL; /* one for each destination that we saw */

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
	index_close(table->pkey, RowExclusiveLock);
	table_close(table->rel, NoLock);
}

bool
braze_settle_begin(BrazeSettler *settler)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	settler->letters.rel = NULL;
	settler->forgotten = NULL;
	settler->context = CurrentMemoryContext;
	return open_table(&settler->queue, catalog->queue, catalog->queue_pkey,
					  BRAZE_QUEUE_QUEUED_AT);
}

bool
braze_settle_open_letters(BrazeSettler *settler)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	MemoryContext old = MemoryContextSwitchTo(settler->context);
	bool		opened = settler->letters.rel != NULL ||
		open_table(&settler->letters, catalog->dead_letters,
				   catalog->dead_letters_pkey, InvalidAttrNumber);

	MemoryContextSwitchTo(old);
	return opened;
}

void
braze_settle_end(BrazeSettler *settler)
{
	close_table(&settler->letters);
	close_table(&settler->queue);
}

void
braze_settle_forget_sizes(void)
{
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
	{
		entry->bytes = entry->attempted = 0;
		entry->size = NULL;		/* its place may have been freed meanwhile */
	}
}

void
braze_settle_attempted(bool done)
{
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
	{
		if (done)
			entry->bytes += entry->attempted;
		entry->attempted = 0;
	}
}

void
braze_settle_committed(void)
{
	braze_settle_attempted(true);
	for (Deleted *entry = deleted; entry != NULL; entry = entry->next)
		braze_size_counter_settled(entry->size, entry->bytes);
	braze_settle_forget_sizes();
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

bool
braze_settle_fetch(BrazeSettleTable *table, int64 id, const BrazeSettleRow *row)
{
	return (braze_fetch_row_at(table->rel, row->storage, table->nblocks, &row->tid, table->slot) &&
			slot_has(table, id, row)) ||
		(braze_fetch_row_by_id(table->rel, table->pkey, GetActiveSnapshot(), id, table->slot) &&
		 slot_has(table, id, row));
}

/* where a call is, in the queue or claimed; NULL: that cannot be looked at now */
static BrazeSettleTable *
table_of(BrazeSettler *settler, const BrazeSettleRow *row, int64 *id)
{
	*id = row->letter != 0 ? row->letter : row->id;
	if (row->letter == 0)
		return &settler->queue;
	return braze_settle_open_letters(settler) ? &settler->letters : NULL;
}

bool
braze_settle_finds(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = table_of(settler, row, &id);
	bool		found;

	/* not to be decided now */
	if (table == NULL)
		return true;
	found = braze_settle_fetch(table, id, row);
	ExecClearTuple(table->slot);
	return found;
}

/*
 * The slot has a row of either table, which agree in these columns; it left
 * the queue, or came back.
 */
void
braze_settle_note_queued(TupleTableSlot *slot, bool back)
{
	int64		bytes = toast_datum_size(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	Deleted    *entry = deleted;
	NameData	destination;

	braze_queue_table_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	while (entry != NULL && strcmp(NameStr(entry->destination), NameStr(destination)) != 0)
		entry = entry->next;
	if (entry == NULL)
	{
		entry = MemoryContextAllocZero(TopMemoryContext, sizeof(Deleted));
		entry->destination = destination;
		entry->next = deleted;
		deleted = entry;
	}
	if (entry->size == NULL)
		entry->size = braze_size_counter_of(NameStr(destination));
	entry->attempted += back ? -bytes : bytes;
}

TM_Result
braze_settle_delete_fetched(BrazeSettler *settler, BrazeSettleTable *table)
{
	ItemPointerData tid = table->slot->tts_tid;
	TM_Result	result = braze_table_write_delete(table->rel, &tid, GetActiveSnapshot());

	if (result == TM_Ok && table == &settler->queue)
		braze_settle_note_queued(table->slot, false);
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
BrazeRetriedState
braze_settle_lock_retried(BrazeSettler *settler, const BrazeSettleRow *row, BrazeRetried *retried)
{
	TupleTableSlot *slot = settler->queue.slot;

	slot_getsomeattrs(slot, BRAZE_QUEUE_COLUMNS);
	if (slot->tts_isnull[BRAZE_QUEUE_DEAD_LETTER - 1])
		return BRAZE_RETRIED_NONE;
	return braze_dead_letters_table_lock(retried,
							  DatumGetInt64(slot->tts_values[BRAZE_QUEUE_DEAD_LETTER - 1]),
							  row->id);
}

BrazeSettled
braze_settle_delete(BrazeSettler *settler, const BrazeSettleRow *row)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (row->letter != 0)
		return braze_claims_table_delete(settler, row);
	if (braze_settle_fetch(&settler->queue, row->id, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = braze_settle_lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_SETTLE_LATER;
		else
		{
			TM_Result	deleted = braze_settle_delete_fetched(settler, &settler->queue);

			result = settled(deleted);
			if (state == BRAZE_RETRIED_LOCKED)
			{
				if (deleted == TM_Ok)
					braze_dead_letters_table_delete(&retried);
				braze_dead_letters_table_release(&retried);
			}
		}
	}
	ExecClearTuple(settler->queue.slot);
	return result;
}

static void
read_call(void *arg)
{
	Datum		call = *(Datum *) arg;
	struct varlena *plain = pg_detoast_datum((struct varlena *) DatumGetPointer(call));

	if ((Pointer) plain != DatumGetPointer(call))
		pfree(plain);
}

/*
 * As it is stored.  One that was refused before it was sent may have been so
 * because it cannot be read: then its letter is without it, since nobody could
 * look at the letters otherwise.  Braze has seen the others.
 */
static Jsonb *
call_of(Datum call, bool is_unsent)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(call);
	ErrorData  *error;
	int64		not_before;

	if (!is_unsent || (!VARATT_IS_EXTERNAL(stored) && !VARATT_IS_COMPRESSED(stored)))
		return (Jsonb *) stored;
	error = braze_attempt(NULL, read_call, &call, &not_before);
	if (error != NULL && braze_attempt_is_passing(error))
		ReThrowError(error);
	return error != NULL ? NULL : (Jsonb *) stored;
}

/* the row's place is taken by a letter, which lacks what the row has */
static void
put_letter(BrazeSettler *settler, const BrazeDeadLetter *letter, BrazeRetried *retried)
{
	TupleTableSlot *slot = settler->queue.slot;
	BrazeDeadLetter complete = *letter;
	NameData	destination;
	ItemPointerData tid;

	/* of a call that was queued in part, no more than that was rejected */
	if (complete.nobjects < 0 && !slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1])
		complete.nobjects = braze_queue_table_objects_read(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1],
											   &complete.objects);
	if (retried != NULL)
	{
		braze_dead_letters_table_refused(retried, &complete);
		braze_settle_note_letter(settler, DatumGetInt64(slot->tts_values[BRAZE_QUEUE_DEAD_LETTER - 1]));
		return;
	}
	braze_queue_table_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	complete.destination = NameStr(destination);
	complete.kind = braze_segment_call_kind_read(slot->tts_values[BRAZE_QUEUE_CALL_KIND - 1]);
	complete.call = call_of(slot->tts_values[BRAZE_QUEUE_CALL - 1], letter->http_status == 0);
	complete.queued_at = DatumGetTimestampTz(slot->tts_values[BRAZE_QUEUE_QUEUED_AT - 1]);
	braze_settle_note_letter(settler, braze_queue_table_put_dead_letter(&complete, &tid));
}

BrazeSettled
braze_settle_reject(BrazeSettler *settler, const BrazeSettleRow *row,
					const BrazeDeadLetter *letter)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (row->letter != 0)
		return braze_claims_table_reject(settler, row, letter);
	if (braze_settle_fetch(&settler->queue, row->id, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = braze_settle_lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_SETTLE_LATER;
		else
		{
			TM_Result	deleted = braze_settle_delete_fetched(settler, &settler->queue);

			result = settled(deleted);
			if (deleted == TM_Ok)
				put_letter(settler, letter,
						   state == BRAZE_RETRIED_LOCKED ? &retried : NULL);
			if (state == BRAZE_RETRIED_LOCKED)
				braze_dead_letters_table_release(&retried);
		}
	}
	ExecClearTuple(settler->queue.slot);
	return result;
}

/* the user that the call names, in either spelling; false: it names none */
static bool
user_of(Datum call, BrazeString *user)
{
	Jsonb	   *jsonb = DatumGetJsonbP(call);
	JsonbValue	value;

	return JB_ROOT_IS_OBJECT(jsonb) &&
		(braze_lookup(&jsonb->root, "userId", &value) ||
		 braze_lookup(&jsonb->root, "user_id", &value)) &&
		braze_scalar_text(&value, user);
}

/*
 * Users who were deleted, in order, and the letters that came into being among
 * them: after so many of these users.
 */
typedef struct BrazeForgotten
{
	int			nusers;
	ArrayBuildState *destinations;
	ArrayBuildState *users;
	ArrayBuildState *letters;
	ArrayBuildState *after;
} BrazeForgotten;

static void
append_value(BrazeSettler *settler, ArrayBuildState **array, Datum value, Oid type)
{
	*array = accumArrayResult(*array, value, false, type, settler->context);
}

static Datum
array_of(ArrayBuildState *array, Oid type)
{
	return array == NULL ? PointerGetDatum(construct_empty_array(type)) :
		makeArrayResult(array, CurrentMemoryContext);
}

bool
braze_settle_forget_user(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = table_of(settler, row, &id);
	bool		is_letter = (table == &settler->letters);
	int			call = (is_letter ? BRAZE_DEAD_CALL : BRAZE_QUEUE_CALL) - 1;
	int			destination = (is_letter ? BRAZE_DEAD_DESTINATION : BRAZE_QUEUE_DESTINATION) - 1;
	BrazeString user;

	if (table == NULL || !braze_settle_open_letters(settler))
		return false;
	if (braze_settle_fetch(table, id, row) &&
		!table->slot->tts_isnull[call] && !table->slot->tts_isnull[destination] &&
		user_of(table->slot->tts_values[call], &user))
	{
		BrazeForgotten *forgotten = settler->forgotten;

		if (forgotten == NULL)
			forgotten = settler->forgotten =
				MemoryContextAllocZero(settler->context, sizeof(BrazeForgotten));
		append_value(settler, &forgotten->destinations, table->slot->tts_values[destination], TEXTOID);
		append_value(settler, &forgotten->users,
					 PointerGetDatum(cstring_to_text_with_len(user.data, user.length)), TEXTOID);
		forgotten->nusers++;
	}
	ExecClearTuple(table->slot);
	return true;
}

void
braze_settle_note_letter(BrazeSettler *settler, int64 letter)
{
	BrazeForgotten *forgotten = settler->forgotten;

	if (forgotten == NULL)
		return;
	append_value(settler, &forgotten->letters, Int64GetDatum(letter), INT8OID);
	append_value(settler, &forgotten->after, Int32GetDatum(forgotten->nusers), INT4OID);
}

/*
 * What is under way of such a user was queued after the deletion, which waited
 * for all before it.
 */
void
braze_settle_forget_letters(BrazeSettler *settler)
{
	static const Oid types[5] = {TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8OID};
	BrazeForgotten *forgotten = settler->forgotten;
	Relation	letters = settler->letters.rel;
	Datum		values[5];
	BrazeStatement statement = {letters, CMD_DELETE, NULL, lengthof(types), types, values};
	int64		put_backs;

	if (forgotten == NULL)
		return;
	settler->forgotten = NULL;
	values[0] = array_of(forgotten->destinations, TEXTOID);
	values[1] = array_of(forgotten->users, TEXTOID);
	values[2] = array_of(forgotten->letters, INT8OID);
	values[3] = array_of(forgotten->after, INT4OID);
	values[4] = Int64GetDatum(braze_claims_table_lowest(&put_backs));
	statement.text =
		psprintf("DELETE FROM %s d USING ("
				 "SELECT u.destination, u.name, max(u.number) AS number "
				 "FROM ROWS FROM (unnest($1, $2)) WITH ORDINALITY u (destination, name, number) "
				 "GROUP BY 1, 2) u "
				 "WHERE d.destination = u.destination "
				 "AND coalesce(d.call ->> 'userId', d.call ->> 'user_id') = u.name "
				 "AND NOT (d.state = 'in flight' AND d.id >= $5) "
				 "AND NOT EXISTS (SELECT FROM ROWS FROM (unnest($3, $4)) s (id, number) "
				 "WHERE s.id = d.id AND s.number >= u.number)",
				 braze_statement_table(letters));
	(void) braze_statement_run(&statement);
}
