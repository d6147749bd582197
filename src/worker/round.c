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

#include "base/attempt.h"
#include "base/catalog.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/size_counter.h"
#include "queue/deduplicate.h"
#include "store/claims_table.h"
#include "store/notes_table.h"
#include "store/profiles_retention.h"
#include "store/profiles_table.h"
#include "store/reader.h"
#include "store/replica_trigger.h"
#include "worker/deliveries.h"
#include "worker/delivery_pause.h"
#include "worker/round.h"
#include "worker/round_internal.h"
#include "worker/round_read.h"
#include "worker/worker.h"

bool		braze_forget_due = false;

MemoryContext braze_rounds_context;
static BrazeReader *reader;

/* are the destinations known? */
static bool refreshed = false;

/* of the last round */
static Oid	queue = InvalidOid;

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
		braze_delivery_pause_store(lfirst(cell));
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
		CommandCounterIncrement();
		PopActiveSnapshot();
		PushActiveSnapshot(GetTransactionSnapshot());
		braze_delivery_refresh(options_changed);
		braze_round_end();
		refreshed = true;
		braze_delivery_refreshed();
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
	const BrazeDelivery *delivery = braze_deliveries_find(destination);

	if (delivery == NULL || delivery->destination == NULL)
		return 0;
	return delivery->destination->settings.deduplicate;
}

static int
sweep_messages(void)
{
	return braze_deduplicate_retention_sweep(remembers);
}

/*
 * Of a destination that is not there, now or as far as the worker knows,
 * attributes are kept for as long as the option's default says.
 */
static void
profile_retention(const char *destination, int *attributes, int *visitors)
{
	const BrazeDelivery *delivery = braze_deliveries_find(destination);
	const BrazeSettings *settings = braze_destination_default_settings();

	if (delivery != NULL && delivery->destination != NULL)
		settings = &delivery->destination->settings;
	*attributes = settings->resend_unchanged_after;
	*visitors = settings->forget_visitors_after;
}

static int
sweep_profiles(void)
{
	return braze_profiles_retention_sweep(profile_retention);
}

static int
sweep_dead_letters(void)
{
	return braze_dead_letters_table_sweep(braze_dead_letter_retention);
}

typedef struct Sweep
{
	int			(*sweep) (void);
	int			pause;
} Sweep;

static void
attempt_sweep(void *arg)
{
	Sweep	   *sweep = arg;

	sweep->pause = sweep->sweep();
}

/* in how many milliseconds to go on, -1: at the next nap; *ok: did it succeed? */
static int
sweep_round(const char *activity, int (*run) (void), BrazeBackoff *backoff, bool *ok)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;
	Sweep		sweep = {run, -1};

	PG_TRY();
	{
		braze_round_begin(activity);
		done = braze_attempt_when_due(backoff, NULL, attempt_sweep, &sweep);
		braze_round_end();
	}
	PG_CATCH();
	{
		FreeErrorData(braze_round_fail(caller));
		done = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	if (ok != NULL)
		*ok = done;
	return done ? sweep.pause : -1;
}

int
braze_round_messages(void)
{
	static BrazeBackoff backoff;

	return refreshed ? sweep_round("forgetting old messages", sweep_messages, &backoff, NULL) : -1;
}

int
braze_notes_round(void)
{
	static BrazeBackoff backoff;
	bool		stored = false;

	if (braze_notes_are_due())
		(void) sweep_round("counting notes", braze_notes_table_store, &backoff, &stored);
	if (stored)
		braze_notes_table_stored();
	return -1;
}

int
braze_round_old_profiles(void)
{
	static BrazeBackoff backoff;

	return refreshed ? sweep_round("forgetting old profiles", sweep_profiles, &backoff, NULL) : -1;
}

int
braze_round_profiles(void)
{
	static BrazeBackoff backoff;
	bool		stored = false;

	if (braze_profiles_table_has_postponed())
	{
		(void) sweep_round("remembering users", braze_profiles_table_store_postponed, &backoff, &stored);
		braze_profiles_table_stored(stored);
	}
	return -1;
}

int
braze_round_dead_letters(void)
{
	static BrazeBackoff backoff;

	return braze_dead_letter_retention > 0 ?
		sweep_round("removing old dead letters", sweep_dead_letters, &backoff, NULL) : -1;
}

int
braze_round_replica_trigger(void)
{
	static BrazeBackoff backoff;

	return sweep_round("looking at a trigger", braze_replica_trigger_restore, &backoff, NULL);
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
	return delivery->size != NULL && !delivery->behind && braze_pack_calls(delivery->pack) == 0;
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
			delivery->idle_look = braze_size_counter_look(delivery->size);
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
			(void) braze_size_counter_correct(delivery->size, &delivery->idle_look, 0);
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

/* for braze_start: what is queued with a lower id comes late */
static void
publish_cursor(void)
{
	static int64 published = 0;
	BrazeDatabaseSlot *slot;

	if (reader->cursor == published)
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		slot->highest_read = reader->cursor;
	LWLockRelease(braze_shared->lock);
	published = reader->cursor;
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
		if (!braze_attempt_error_is_passing(error->sqlerrcode))
			braze_round_read_failed(reader, error->message);
		braze_reader_reset(reader);
		result = BRAZE_READ_FAILED;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	braze_round_read_flush();
	publish_cursor();
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
	return braze_reader_has_holes(reader);
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
