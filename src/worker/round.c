/*-------------------------------------------------------------------------
 *
 * round.c
 *	  The worker's transactions: refresh, read, settle, forget.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "queue/deduplicate.h"
#include "queue/queue_size.h"
#include "store/claims_table.h"
#include "store/notes_table.h"
#include "store/profiles_table.h"
#include "store/reader.h"
#include "worker/delivery.h"
#include "worker/round.h"
#include "worker/round_internal.h"
#include "worker/round_read.h"
#include "worker/worker.h"

/* a call that is done, until its settle has committed */
typedef struct Done
{
	BrazeDelivery *delivery;
	const BrazeCall *call;
	bool		settled;
} Done;

bool		braze_first_settle_done = false;
bool		braze_settle_blocked = false;
bool		braze_forget_due = false;

MemoryContext braze_rounds_context;
static BrazeReader *reader;

/* are the destinations known? */
static bool refreshed = false;

/* of the last round */
static Oid	queue = InvalidOid;

static Done *done;
static int	ndone = 0;
static int	maxdone = 1024;

/*
 * TRUNCATE takes calls out of the queue, and fires no trigger where logical
 * replication applies it; but whoever gives the table another file has to
 * invalidate it.
 */
static void
queue_invalidated(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == queue)
		braze_forget_due = true;
}

void
braze_round_init(void)
{
	MemoryContext old;

	braze_rounds_context = AllocSetContextCreate(TopMemoryContext,
										   "segment_braze reader",
										   ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(braze_rounds_context);
	reader = braze_reader_create();
	braze_notes_table_init();
	braze_profiles_table_init();
	done = palloc(sizeof(Done) * maxdone);
	CacheRegisterRelcacheCallback(queue_invalidated, (Datum) 0);
	MemoryContextSwitchTo(old);
}

/* ----- a transaction whose errors are ours to handle ----- */

void
braze_round_begin(const char *activity)
{
	static Oid	extension = InvalidOid;
	const BrazeCatalog *catalog;

	pgstat_report_activity(STATE_RUNNING, activity);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(extension))
		extension = get_extension_oid(BRAZE_EXTENSION, true);

	/*
	 * DROP EXTENSION locks the extension before what belongs to it.  So do we,
	 * or a round that opens one table after another would deadlock with it.
	 */
	if (OidIsValid(extension))
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	catalog = braze_catalog();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog == NULL || catalog->extension != extension)
	{
		/*
		 * DROP EXTENSION has committed.  Even if it was created again since:
		 * that is another queue, of which we know nothing.  The launcher looks
		 * whether it needs a worker.
		 */
		ereport(LOG,
				(errmsg("segment_braze: the extension was dropped, its worker ends")));
		proc_exit(0);
	}
	queue = catalog->queue;
}

void
braze_round_end(void)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	braze_report_stat();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* logs the error and cleans up; returns a copy that the caller frees */
ErrorData *
braze_round_fail(MemoryContext caller)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	pgstat_report_activity(STATE_IDLE, NULL);
	return error;
}

/* ----- refresh ----- */

static void
store_pauses(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		braze_delivery_pause_store_pauses(lfirst(cell));
}

/* during a pause its calls may have been taken out of the queue */
static void
look_at_resumed(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->resumed)
			braze_forget_due = true;
		delivery->resumed = false;
	}
}

bool
braze_round_refresh(bool options_changed)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		braze_round_begin("reading the destinations");
		store_pauses();
		braze_notes_table_store();
		CommandCounterIncrement();
		PopActiveSnapshot();
		PushActiveSnapshot(GetTransactionSnapshot());
		braze_delivery_refresh(options_changed);
		braze_round_end();
		braze_notes_table_stored();
		refreshed = true;
		look_at_resumed();
	}
	PG_CATCH();
	{
		FreeErrorData(braze_round_fail(caller));
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return ok;
}

/* ----- what has expired ----- */

static int
remembers(const char *destination)
{
	const BrazeDelivery *delivery = braze_delivery_by_name(destination);

	if (delivery == NULL || delivery->destination == NULL)
		return 0;
	return delivery->destination->settings.deduplicate;
}

static int
sweep_messages(void)
{
	return braze_deduplicate_retention_sweep(remembers);
}

static int
sweep_dead_letters(void)
{
	return braze_dead_letters_table_sweep(braze_dead_letter_retention);
}

static int
sweep_round(const char *activity, int (*sweep) (void))
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int pause = -1;

	PG_TRY();
	{
		braze_round_begin(activity);
		pause = sweep();
		braze_round_end();
	}
	PG_CATCH();
	{
		FreeErrorData(braze_round_fail(caller));
		pause = -1;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return pause;
}

int
braze_round_messages(void)
{
	return refreshed ? sweep_round("forgetting old messages", sweep_messages) : -1;
}

int
braze_round_profiles(void)
{
	if (braze_profiles_table_has_postponed())
		braze_profiles_table_stored(sweep_round("remembering users", braze_profiles_table_store_postponed) == 0);
	return -1;
}

int
braze_round_dead_letters(void)
{
	return braze_dead_letter_retention > 0 ?
		sweep_round("removing old dead letters", sweep_dead_letters) : -1;
}

/* ----- read ----- */

/*
 * A destination of which nothing is held, before and after a read that left
 * nothing out, has an empty queue: what was counted before the read is not
 * there.
 */
static bool
is_idle(const BrazeDelivery *delivery)
{
	return !delivery->behind && braze_pack_calls(delivery->pack) == 0;
}

static void
note_idle(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		delivery->idle = is_idle(delivery);
		if (delivery->idle)
			delivery->idle_look = braze_queue_size_look(delivery->size);
	}
}

static void
correct_idle(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->idle && is_idle(delivery))
			(void) braze_queue_size_correct(delivery->size, &delivery->idle_look, 0);
	}
}

/*
 * Errors that no call is to blame for: a lock, a cancel, a shortage, a disk.
 * The read waits until they are over, and the status says so.
 */
static bool
is_passing(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_OBJECT_IN_USE;
	}
}

/* what keeps the queue from being read, empty: nothing */
static void
report_read(const char *problem)
{
	static bool reported = false;
	BrazeDatabaseSlot *slot;

	if (problem[0] == '\0' && !reported)
		return;
	reported = (problem[0] != '\0');
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		strlcpy(slot->read_blocked, problem, BRAZE_MESSAGE_SIZE);
	LWLockRelease(braze_shared->lock);
}

BrazeReadResult
braze_round_read_queue(void)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile BrazeReadResult result = BRAZE_READ_ALL;
	ErrorData  *volatile error = NULL;

	note_idle();
	PG_TRY();
	{
		braze_round_begin("reading the queue");
		if (braze_reader_begin(reader))
		{
			if (braze_round_read_read(reader))
				result = BRAZE_READ_MORE;
			braze_reader_end(reader);
		}
		else
			result = BRAZE_READ_FAILED;
		braze_round_end();
	}
	PG_CATCH();
	{
		error = braze_round_fail(caller);
		if (!is_passing(error->sqlerrcode))
			braze_round_read_failed(reader, error->message);
		braze_reader_reset(reader);
		result = BRAZE_READ_FAILED;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	braze_round_read_flush();
	if (result == BRAZE_READ_ALL)
		correct_idle();
	report_read(error != NULL ? error->message :
				result == BRAZE_READ_FAILED ? "somebody has locked the table braze_queue" : "");
	if (error != NULL)
		FreeErrorData(error);
	return result;
}

bool
braze_round_reader_waits(void)
{
	ListCell   *cell;

	if (braze_reader_has_holes(reader))
		return true;
	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->behind && braze_delivery_open(delivery))
			return true;
	}
	return false;
}

/* ----- settle ----- */

/* what was answered is settled: as much again may be */
static void
allow_all(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		((BrazeDelivery *) lfirst(cell))->unsettled = 0;
}

int
braze_round_settle_pending(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);
		const BrazeCall *call;

		while (ndone < BRAZE_SETTLE_BATCH &&
			   (call = braze_pack_next_done(delivery->pack)) != NULL)
		{
			if (ndone == maxdone)
			{
				done = repalloc(done, sizeof(Done) * maxdone * 2);
				maxdone *= 2;
			}
			done[ndone].delivery = delivery;
			done[ndone].call = call;
			done[ndone].settled = false;
			ndone++;
		}
	}
	/* answers that settle nothing, such as a 503, do not count */
	if (ndone == 0)
		allow_all();
	return ndone;
}

/* one reason for all, and which objects it and the others hit */
static BrazeSettled
reject(BrazeSettler *settler, const BrazeCall *call, const BrazeSettleRow *row)
{
	const BrazeRefusal *told = call->refusals;
	BrazeDeadLetter letter;
	int		   *objects = palloc(sizeof(int) * call->nrefused);
	int			n = 0;

	for (const BrazeRefusal *refusal = call->refusals; refusal != NULL;
		 refusal = refusal->next)
	{
		if (refusal->number >= 0)
			objects[n++] = refusal->number;
	}
	memset(&letter, 0, sizeof(letter));

	/* what is in doubt must say so, whatever else was refused */
	while (!told->in_doubt && told->next != NULL)
		told = told->next;
	if (!told->in_doubt)
		told = call->refusals;
	letter.nobjects = (call->refusals->number == BRAZE_WHOLE_CALL) ? -1 : n;
	letter.objects = objects;
	letter.state = told->in_doubt ? BRAZE_LETTER_IN_DOUBT : BRAZE_LETTER_REJECTED;
	letter.reason = told->reason;
	letter.http_status = told->http_status;
	return braze_settle_reject(settler, row, &letter);
}

BrazeSettleRow
braze_round_settle_row_of(const BrazeCall *call)
{
	BrazeSettleRow row;

	row.id = call->id;
	row.letter = call->letter;
	row.is_retry = call->is_retry;
	row.before = call->before;
	row.storage = call->row.storage;
	ItemPointerSet(&row.tid, call->row.block, call->row.offset);
	row.queued_at = call->row.queued_at;
	return row;
}

static void
settle_all(BrazeSettler *settler)
{
	for (int i = 0; i < ndone; i++)
	{
		const BrazeCall *call = done[i].call;
		BrazeSettleRow row = braze_round_settle_row_of(call);
		BrazeSettled result;

		if (call->deletes && call->nrefused == 0 && !call->gone &&
			!braze_settle_forget_user(settler, &row))
			continue;
		if (call->nrefused > 0)
			result = reject(settler, call, &row);
		else
			result = braze_settle_delete(settler, &row);
		done[i].settled = (result == BRAZE_SETTLED);
		for (int j = 0; j < call->nprofiles; j++)
			braze_profiles_table_store(call->profiles[j]);
	}
	braze_settle_forget_letters(settler);
}

/* the commit is through: what is settled is counted and forgotten */
static void
forget_settled(void)
{
	int			kept = 0;

	for (int i = 0; i < ndone; i++)
	{
		if (!done[i].settled)
		{
			done[kept++] = done[i];
			continue;
		}
		if (done[i].call->letter != 0)
			braze_claims_table_leave(done[i].call->flight);
		braze_delivery_settled(done[i].delivery, done[i].call);
	}
	braze_claims_table_publish();
	ndone = kept;

	/* what is kept is a row that somebody has locked: it holds up nobody */
	allow_all();
}

/* nothing is sent meanwhile, so the status has to say it */
static void
report_blocked(const char *problem)
{
	BrazeDatabaseSlot *slot;

	if (problem[0] == '\0' && !braze_settle_blocked)
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		strlcpy(slot->settle_blocked, problem, BRAZE_MESSAGE_SIZE);
	LWLockRelease(braze_shared->lock);
}

bool
braze_round_settle(void)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool ok = false;
	ErrorData  *error = NULL;

	PG_TRY();
	{
		BrazeSettler settler;

		braze_round_begin("settling what is done");
		if (braze_settle_begin(&settler))
		{
			settle_all(&settler);
			braze_settle_end(&settler);
			ok = true;
		}
		braze_round_end();
	}
	PG_CATCH();
	{
		error = braze_round_fail(caller);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);

	braze_profiles_table_stored(ok);
	report_blocked(ok ? "" : error != NULL ? error->message : "somebody has locked the table braze_queue");
	if (error != NULL)
		FreeErrorData(error);
	braze_settle_blocked = !ok;
	if (ok)
	{
		braze_first_settle_done = true;
		braze_settle_committed();
		forget_settled();
	}
	return ok;
}

/* ----- calls that were taken out of the queue ----- */

static bool
is_gone(const BrazeCall *call, void *settler)
{
	BrazeSettleRow row = braze_round_settle_row_of(call);

	CHECK_FOR_INTERRUPTS();
	return !braze_settle_finds(settler, &row);
}

bool
braze_round_forget(void)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool ok = false;

	PG_TRY();
	{
		BrazeSettler settler;

		braze_round_begin("looking what was purged");
		if (braze_settle_begin(&settler))
		{
			ListCell   *cell;

			foreach(cell, braze_deliveries)
				braze_delivery_forget_gone(lfirst(cell), is_gone, &settler);
			braze_settle_end(&settler);
			ok = true;
		}
		braze_round_end();
	}
	PG_CATCH();
	{
		FreeErrorData(braze_round_fail(caller));
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	if (ok)
		braze_forget_due = false;
	return ok;
}
