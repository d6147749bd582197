/*-------------------------------------------------------------------------
 *
 * sync_run.c
 *	  A run of a sync, from its query to the last part of its calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/catalog.h"
#include "base/guc.h"
#include "feed/parts.h"
#include "feed/sync_part.h"
#include "feed/sync_run.h"
#include "feed/sync_state.h"
#include "feed/sync_table.h"

/* which of the advisory locks' fields keeps ours apart from the users' */
#define SYNC_LOCK_FIELD		78

/*
 * A run by the timetable has one of few places.  It gives it up when the
 * destination has taken nothing for so many naps of the worker, at most so
 * long.
 */
#define PATIENCE_NAPS		12
#define MAX_PATIENCE_MS		60000

typedef struct Run
{
	int64		id;				/* of the sync */
	BrazeSyncRunMode mode;
	BrazeSync  *sync;
	Oid			owner;
	double		max_removed;
	MemoryContext context;		/* lasts as long as the run */
	MemoryContext step_context; /* as long as a step */
	BrazeSyncProgress progress;
	BrazeSyncRows *rows;
	BrazeSyncChanges *changes;
	BrazeSyncQueue *queue;
	BrazeParts *parts;
	bool		is_blocked;		/* it ends, since the destination is */
} Run;

/* ----- one run at a time ----- */

static void
tag_of_sync(LOCKTAG *tag, int64 id)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id, SYNC_LOCK_FIELD);

	/* none of those that pg_advisory_unlock_all() in a query releases */
	tag->locktag_lockmethodid = DEFAULT_LOCKMETHOD;
}

/*
 * Of the session, since it outlives transactions; or of the one transaction.  A
 * transaction that is rolled back as a whole releases either.
 */
static bool
try_lock_sync(const Run *run)
{
	LOCKTAG		tag;

	tag_of_sync(&tag, run->id);
	return LockAcquire(&tag, ExclusiveLock, run->mode != BRAZE_SYNC_RUN_AT_ONCE, true) != LOCKACQUIRE_NOT_AVAIL;
}

static void
lock_sync(const Run *run)
{
	int			pid;

	if (try_lock_sync(run))
		return;
	pid = braze_sync_state_pid(run->id);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("sync \"%s\" is running already", braze_sync_state_load(run->id)->name),
			 pid == 0 ? errhint("Wait until it has finished.") :
			 errhint("Wait until it has finished, or cancel it with SELECT pg_cancel_backend(%d).", pid)));
}

static void
unlock_sync(const Run *run)
{
	LOCKTAG		tag;

	tag_of_sync(&tag, run->id);
	if (run->mode != BRAZE_SYNC_RUN_AT_ONCE)
		(void) LockRelease(&tag, ExclusiveLock, true);
}

bool
braze_sync_run_is_under_way(int64 id)
{
	LOCKTAG		tag;

	tag_of_sync(&tag, id);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	(void) LockRelease(&tag, ExclusiveLock, false);
	return false;
}

/* ----- steps, each a transaction ----- */

/*
 * SPI_commit() alone begins the next transaction since late versions of 14 only
 */
static void
commit_step(const Run *run)
{
	if (run->mode == BRAZE_SYNC_RUN_AT_ONCE)
		return;
	SPI_commit();
	if (!IsTransactionState())
		SPI_start_transaction();
}

/*
 * A background worker gets no statement_timeout of PostgreSQL's.  What it
 * limits here is a step: the query, or a part.
 */
static void
begin_statement(const Run *run)
{
	if (run->mode == BRAZE_SYNC_RUN_TIMED && StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

static void
end_statement(const Run *run)
{
	if (run->mode == BRAZE_SYNC_RUN_TIMED)
		disable_timeout(STATEMENT_TIMEOUT, false);
}

/*
 * a sync that somebody drops meanwhile ends here, with what was queued so far
 */
static void
show_progress(const Run *run)
{
	if (braze_sync_state_progress(run->sync->id, &run->progress))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("sync \"%s\" was dropped while it was running", run->sync->name),
			 errdetail("Of " INT64_FORMAT " calls " INT64_FORMAT " are queued.",
					   run->progress.to_queue, run->progress.queued)));
}

static void
begin_run(Run *run)
{
	braze_sync_state_begin(run->sync, &run->progress);
}

static void
read_and_compare(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	TimestampTz since = run->sync->cursor_at;
	const TimestampTz *from = NULL;

	run->rows = braze_sync_read_begin();
	run->changes = braze_sync_compare_begin();
	MemoryContextSwitchTo(old);

	/*
	 * from before the newest event that was seen, since events may come late
	 */
	if (run->sync->is_track && run->sync->has_cursor)
	{
		since = braze_sync_state_window(run->sync, since);

		/* what was forgotten would be sent again */
		if (run->sync->has_forgotten)
			since = Max(since, run->sync->forgotten_before);
		from = &since;
	}
	braze_sync_read(run->rows, run->sync, run->owner, from, -1);
	braze_sync_compare(run->changes, run->sync, run->rows, run->max_removed);
	run->progress.status = "queueing";
	run->progress.read = run->rows->count;
	run->progress.to_queue = run->changes->nadded + run->changes->nchanged +
		(run->sync->on_remove == BRAZE_SYNC_KEEP ? 0 : run->changes->nremoved);
	show_progress(run);
}

/* the row of the sync first: braze_drop_sync waits for it, and this for that */
static void
queue_next_part(Run *run)
{
	show_progress(run);
	braze_sync_part(run->queue);
	run->progress.queued = run->queue->nqueued;
	show_progress(run);
	if (run->mode != BRAZE_SYNC_RUN_AT_ONCE)
		braze_parts_note(run->parts, run->queue->ids, run->queue->nids);
}

static void
finish_run(Run *run)
{
	BrazeSyncCounts counts = {
		.added = run->changes->nadded,
		.changed = run->changes->nchanged,
		.removed = run->changes->nremoved,
		.unchanged = run->changes->nunchanged,
		.rejected = run->queue->nrejected
	};

	show_progress(run);

	/*
	 * After the last part: a run that is ended before reads the same events
	 * again.  So does one that has dropped some, however old these are.
	 */
	if (run->sync->is_track && run->rows->count > 0 && run->queue->ndropped == 0)
		braze_sync_state_advance(run->sync, run->rows->last_time, run->progress.started);
	braze_sync_state_finish(run->sync, &run->progress, &counts);
	ereport(run->mode == BRAZE_SYNC_RUN_TIMED ? DEBUG1 : NOTICE,
			(errmsg("sync \"%s\": " INT64_FORMAT " added, " INT64_FORMAT " changed, " INT64_FORMAT " removed, "
					INT64_FORMAT " unchanged, " INT64_FORMAT " rejected",
					run->sync->name, counts.added, counts.changed, counts.removed,
					counts.unchanged, counts.rejected)));
}

static void
run_body(Run *run, void (*body) (Run *run))
{
	MemoryContext old = MemoryContextSwitchTo(run->step_context);
	int			level;

	PushActiveSnapshot(GetTransactionSnapshot());

	/*
	 * The same settings for each step, as the hashes of the state depend on
	 * them.  They end with the step, so that the caller has their own between
	 * two.
	 */
	level = braze_sync_read_fix_settings();
	begin_statement(run);
	body(run);
	end_statement(run);
	braze_sync_read_restore_settings(level);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->step_context);
}

/* what became of the run, once nothing of the step that failed is left */
static void
note_failure(const Run *run, const ErrorData *error)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	braze_sync_state_fail(run->sync, &run->progress, error);
	if (run->is_blocked)
		braze_sync_state_run_soon(run->sync);
	PopActiveSnapshot();
	commit_step(run);
}

/*
 * Runs a step in a subtransaction, which leaves a transaction that can note the
 * error.  Then commits.
 */
static void
take_step(Run *run, void (*body) (Run *run))
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	/* in the transaction of the caller, who is told of the error by its end */
	if (run->mode == BRAZE_SYNC_RUN_AT_ONCE)
	{
		run_body(run, body);
		return;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run_body(run, body);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();

		/* before the error is noted, which a timeout must not end */
		end_statement(run);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL)
	{
		note_failure(run, error);
		ReThrowError(error);
	}
	commit_step(run);
}

static int
run_patience(void)
{
	return Min(PATIENCE_NAPS * braze_nap, MAX_PATIENCE_MS);
}

static char *
wait_part(const Run *run)
{
	const char *destination = run->sync->destination;

	if (run->mode != BRAZE_SYNC_RUN_TIMED)
		return braze_parts_wait_patiently(run->parts, destination, NOTICE, 0);
	return braze_parts_wait_patiently(run->parts, destination, LOG, run_patience());
}

/* one that has a part queued already must not have another one with each run */
static char *
wait_open(const Run *run)
{
	return run->mode != BRAZE_SYNC_RUN_TIMED || run->queue->nleft <= BRAZE_SYNC_PART_CALLS ? NULL :
		braze_parts_wait_until_open(run->parts, run->sync->destination, run_patience());
}

/* whoever cancels a run most likely finds it here */
static void
wait_for(Run *run, char *(*what) (const Run *run))
{
	MemoryContext context = CurrentMemoryContext;
	char	   *state;

	if (run->mode == BRAZE_SYNC_RUN_AT_ONCE)
		return;
	PG_TRY();
	{
		state = what(run);
		if (!IsTransactionState())
			SPI_start_transaction();
		run->is_blocked = state != NULL;
		if (run->is_blocked)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("destination \"%s\" takes no calls: %s", run->sync->destination, state),
					 errdetail("Of " INT64_FORMAT " calls " INT64_FORMAT " are queued; the next run does the rest.",
							   run->progress.to_queue, run->progress.queued)));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(run->context);
		error = CopyErrorData();
		FlushErrorState();
		SPI_rollback();
		if (!IsTransactionState())
			SPI_start_transaction();
		MemoryContextSwitchTo(context);

		/* where another run has begun by now, what is noted is about that */
		if (try_lock_sync(run))
			note_failure(run, error);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/* with the lock: how far another run got is known when that has ended */
static void
load_sync(Run *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);

	run->sync = braze_sync_state_load(run->id);
	run->owner = braze_sync_table_owner(run->sync);
	if (run->max_removed < 0)
		run->max_removed = run->sync->max_removed;
	run->parts = braze_parts_create();
	MemoryContextSwitchTo(old);
}

static void
take_steps(Run *run)
{
	load_sync(run);

	/*
	 * committed by itself: others see that it runs while the query takes long
	 */
	take_step(run, begin_run);
	take_step(run, read_and_compare);
	run->queue = MemoryContextAllocZero(run->context, sizeof(BrazeSyncQueue));
	run->queue->sync = run->sync;
	run->queue->owner = run->owner;
	run->queue->rows = run->rows;
	run->queue->changes = run->changes;
	run->queue->nleft = run->changes->nadded + run->changes->nchanged + run->changes->nmoved +
		run->changes->nremoved;

	/*
	 * before the first part: it would stand in the queue of a destination
	 * that takes nothing, with those of the runs before
	 */
	wait_for(run, wait_open);
	while (run->queue->nleft > 0)
	{
		take_step(run, queue_next_part);
		if (run->queue->nleft > 0)
			wait_for(run, wait_part);
	}
	take_step(run, finish_run);
}

void
braze_sync_run(int64 id, double max_removed, BrazeSyncRunMode mode)
{
	Run			run = {.id = id, .mode = mode, .max_removed = max_removed};

	/* not that of a transaction, which the run outlives */
	run.context = AllocSetContextCreate(mode == BRAZE_SYNC_RUN_AT_ONCE ? CurrentMemoryContext : PortalContext,
										"segment_braze sync", ALLOCSET_DEFAULT_SIZES);
	run.step_context = AllocSetContextCreate(run.context, "segment_braze sync step",
											 ALLOCSET_DEFAULT_SIZES);
	if (mode != BRAZE_SYNC_RUN_AT_ONCE && SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	lock_sync(&run);
	PG_TRY();
	{
		take_steps(&run);
	}
	PG_FINALLY();
	{
		if (run.rows != NULL)
			braze_sync_read_end(run.rows);
		if (run.changes != NULL)
			braze_sync_compare_end(run.changes);
	}
	PG_END_TRY();

	/* after an error the end of the transaction does so */
	unlock_sync(&run);
	if (mode != BRAZE_SYNC_RUN_AT_ONCE)
		SPI_finish();
	MemoryContextDelete(run.context);
}
