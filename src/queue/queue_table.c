/*-------------------------------------------------------------------------
 *
 * queue_table.c
 *	  Queueing a call, and recording one that cannot be sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table_write.h"
#include "base/worker_wake.h"
#include "queue/call_user.h"
#include "queue/insert_buffer.h"
#include "queue/queue_table.h"
#include "queue/queued_in_transaction.h"

/* a row as large as that may be compressed, or stored elsewhere */
#define MAYBE_TOASTED	(TOAST_TUPLE_THRESHOLD / 2)

/*
 * what a transaction has locked of a table, so as not to ask for it each time
 */
typedef struct HeldLocks
{
	LocalTransactionId transaction;
	Oid			table;
} HeldLocks;

/* what a call takes up that is not compressed */
static int64
plain_bytes(const void *call)
{
	return VARATT_CAN_MAKE_SHORT(call) ? VARATT_CONVERTED_SHORT_SIZE(call) : VARSIZE(call);
}

/*
 * what the call takes up in the row that was inserted, as braze_status has it
 */
static int64
stored_bytes(Relation rel, ItemPointer tid, const void *call)
{
	TupleTableSlot *slot;
	int64		bytes = plain_bytes(call);

	if (bytes < MAYBE_TOASTED)
		return bytes;
	slot = table_slot_create(rel, NULL);
	if (table_tuple_fetch_row_version(rel, tid, SnapshotAny, slot))
	{
		slot_getsomeattrs(slot, BRAZE_QUEUE_CALL);
		bytes = toast_datum_size(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	}
	ExecDropSingleTupleTableSlot(slot);
	return bytes;
}

/*
 * The lock is taken before an id is drawn and kept until the transaction ends,
 * savepoints or not: the worker asks the lock manager which transactions could
 * still fill a hole in the ids, and those are exactly the holders.  The
 * sequence is locked before, as DROP EXTENSION does, or the two would deadlock.
 */
static void
lock_until_end(HeldLocks *held, Oid table, Oid sequence)
{
	LocalTransactionId transaction = braze_local_transaction_id();
	ResourceOwner owner = CurrentResourceOwner;

	if (held->transaction == transaction && held->table == table)
		return;

	/* of the subtransaction, it would end at ROLLBACK TO */
	CurrentResourceOwner = TopTransactionResourceOwner;
	LockRelationOid(sequence, RowExclusiveLock);
	LockRelationOid(table, RowExclusiveLock);
	CurrentResourceOwner = owner;

	/* somebody may have altered the table before the lock was granted */
	(void) braze_catalog_required();
	held->transaction = transaction;
	held->table = table;
}

/* Inserts a row; id is drawn here.  stored: what its call takes up */
static int64
insert_row(HeldLocks *held, Oid table, Oid sequence, int columns,
		   Datum *values, bool *nulls, ItemPointer tid, int64 *stored)
{
	Relation	rel;
	int64		id;

	lock_until_end(held, table, sequence);
	rel = table_open(table, NoLock);

	/* without a check of rights: USAGE on the server is the right to queue */
	id = nextval_internal(sequence, false);
	values[0] = Int64GetDatum(id);
	nulls[0] = false;
	braze_table_write_insert(rel, columns, values, nulls, tid);
	if (stored != NULL && ItemPointerIsValid(tid))
		*stored = stored_bytes(rel, tid, DatumGetPointer(values[BRAZE_QUEUE_CALL - 1]));
	table_close(rel, NoLock);
	return id;
}

/* of the queue and its sequence */
static HeldLocks queue_locks;

/*
 * Holds a row back until more of the query can be inserted with it.  False: it
 * is to be inserted by itself, after those that were held back.
 */
static bool
hold_back(const BrazeCatalog *catalog, Datum *values, bool *nulls, int64 *id)
{
	if (plain_bytes(DatumGetPointer(values[BRAZE_QUEUE_CALL - 1])) >= MAYBE_TOASTED)
	{
		braze_insert_buffer_flush();
		return false;
	}
	lock_until_end(&queue_locks, catalog->queue, catalog->queue_sequence);
	if (!braze_insert_buffer_is_open(catalog->queue, BRAZE_QUEUE_COLUMNS))
		return false;
	*id = nextval_internal(catalog->queue_sequence, false);
	values[0] = Int64GetDatum(*id);
	nulls[0] = false;
	braze_insert_buffer_add(values, nulls);
	return true;
}

void
braze_queue_table_lock(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	PreventCommandIfReadOnly("queueing a Segment call");
	lock_until_end(&queue_locks, catalog->queue, catalog->queue_sequence);
}

static int64
put_queue_row(const char *destination, Jsonb *call, BrazeCallKind kind, TimestampTz queued_at,
			  const Datum *objects)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Datum		values[BRAZE_QUEUE_COLUMNS];
	bool		nulls[BRAZE_QUEUE_COLUMNS];
	ItemPointerData tid;
	int64		stored = 0;
	int64		id;

	PreventCommandIfReadOnly("queueing a Segment call");
	memset(nulls, false, sizeof(nulls));
	values[BRAZE_QUEUE_DESTINATION - 1] = CStringGetTextDatum(destination);
	values[BRAZE_QUEUE_CALL - 1] = JsonbPGetDatum(call);
	values[BRAZE_QUEUE_QUEUED_AT - 1] = TimestampTzGetDatum(queued_at);
	nulls[BRAZE_QUEUE_OBJECTS - 1] = (objects == NULL);
	if (objects != NULL)
		values[BRAZE_QUEUE_OBJECTS - 1] = *objects;
	nulls[BRAZE_QUEUE_DEAD_LETTER - 1] = true;
	values[BRAZE_QUEUE_CALL_KIND - 1] = braze_segment_call_kind_text(kind);
	if (hold_back(catalog, values, nulls, &id))
		braze_queued_in_transaction_add(destination, id, plain_bytes(call));
	else
	{
		id = insert_row(&queue_locks, catalog->queue, catalog->queue_sequence,
						BRAZE_QUEUE_COLUMNS, values, nulls, &tid, &stored);

		/* what the executor inserts, if it does, our trigger counts */
		if (ItemPointerIsValid(&tid))
			braze_queued_in_transaction_add(destination, id, stored);
	}
	braze_worker_wake_at_commit();
	return id;
}

int64
braze_queue_table_put(const char *destination, Jsonb *call, BrazeCallKind kind)
{
	/* the calls of one transaction came at one moment */
	return put_queue_row(destination, call, kind, GetCurrentTransactionStartTimestamp(), NULL);
}

int64
braze_queue_table_put_collected(const char *destination, Jsonb *call, BrazeCallKind kind,
								TimestampTz queued_at, const Datum *objects)
{
	return put_queue_row(destination, call, kind, queued_at, objects);
}

/* as the table's own expression has it; false: null */
static bool
user_hash_of(Jsonb *stored, int64 *hash)
{
	Jsonb	   *call = DatumGetJsonbP(JsonbPGetDatum(stored));
	BrazeString user;
	bool		found = braze_call_user_read(call, &user);

	if (found)
		*hash = braze_call_user_hash(user);
	if (call != stored)
		pfree(call);
	return found;
}

int64
braze_queue_table_put_dead_letter(const BrazeDeadLetter *letter, ItemPointer tid)
{
	static HeldLocks held;
	const BrazeCatalog *catalog = braze_catalog_required();
	Datum		values[BRAZE_DEAD_COLUMNS];
	bool		nulls[BRAZE_DEAD_COLUMNS];
	int64		user_hash = 0;

	PreventCommandIfReadOnly("recording a dead letter");
	memset(nulls, false, sizeof(nulls));
	if (letter->destination != NULL)
		values[BRAZE_DEAD_DESTINATION - 1] = CStringGetTextDatum(letter->destination);
	else
		nulls[BRAZE_DEAD_DESTINATION - 1] = true;
	values[BRAZE_DEAD_CALL - 1] = JsonbPGetDatum(letter->call);
	nulls[BRAZE_DEAD_CALL - 1] = (letter->call == NULL);
	if (letter->call_text != NULL)
		values[BRAZE_DEAD_CALL_TEXT - 1] = CStringGetTextDatum(letter->call_text);
	else
		nulls[BRAZE_DEAD_CALL_TEXT - 1] = true;
	values[BRAZE_DEAD_CALL_KIND - 1] = braze_segment_call_kind_text(letter->kind);
	if (letter->nobjects >= 0)
		values[BRAZE_DEAD_OBJECTS - 1] =
			braze_column_values_objects_array(letter->nobjects, letter->objects);
	else
		nulls[BRAZE_DEAD_OBJECTS - 1] = true;
	values[BRAZE_DEAD_STATE - 1] = braze_column_values_state_text(letter->state);
	values[BRAZE_DEAD_REASON - 1] = CStringGetTextDatum(letter->reason);
	if (letter->http_status > 0)
		values[BRAZE_DEAD_HTTP_STATUS - 1] = Int32GetDatum(letter->http_status);
	else
		nulls[BRAZE_DEAD_HTTP_STATUS - 1] = true;
	values[BRAZE_DEAD_QUEUED_AT - 1] = TimestampTzGetDatum(letter->queued_at);
	values[BRAZE_DEAD_FAILED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());

	/* a letter that is a claim has not been tried yet */
	values[BRAZE_DEAD_ATTEMPTS - 1] = Int32GetDatum(letter->state == BRAZE_LETTER_IN_FLIGHT ? 0 : 1);
	nulls[BRAZE_DEAD_RETRIED_AT - 1] = true;
	nulls[BRAZE_DEAD_RETRY_ID - 1] = true;

	/* a row that passes the executor by has its generated column from us */
	nulls[BRAZE_DEAD_USER_HASH - 1] = letter->call == NULL ||
		!user_hash_of(letter->call, &user_hash);
	values[BRAZE_DEAD_USER_HASH - 1] = Int64GetDatum(user_hash);
	return insert_row(&held, catalog->dead_letters, catalog->dead_letters_sequence,
					  BRAZE_DEAD_COLUMNS, values, nulls, tid, NULL);
}
