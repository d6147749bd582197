/*-------------------------------------------------------------------------
 *
 * round.c
 *	  A transaction of the worker, whose errors are its own to handle.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/statement.h"
#include "worker/activity.h"
#include "worker/round.h"

/* a lock on a whole table that lasts for so long is told */
#define BRIEF_LOCK_MS	1000

static const char end_is_near[] = "the worker was told to end";

bool		braze_gone_due = false;

MemoryContext braze_round_context;

/* of the last round */
static Oid	queue = InvalidOid;

/* the one that this worker serves, from its first round on */
static Oid	extension = InvalidOid;

static volatile sig_atomic_t under_way = false;
static volatile sig_atomic_t asked_for_end = false;
static volatile sig_atomic_t end_has_begun = false;

/*
 * TRUNCATE takes calls out of the queue, and fires no trigger where logical
 * replication applies it; but whoever gives the table another file has to
 * invalidate it.
 */
static void
queue_invalidated(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == queue)
		braze_gone_due = true;
}

void
braze_round_init(void)
{
	braze_round_context = AllocSetContextCreate(TopMemoryContext,
												"segment_braze rounds",
												ALLOCSET_DEFAULT_SIZES);
	CacheRegisterRelcacheCallback(queue_invalidated, (Datum) 0);
}

/* as LockDatabaseObject(), which has no such sister before 18 */
static bool
try_lock_extension(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, extension, 0);
	if (LockAcquire(&tag, AccessShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	AcceptInvalidationMessages();
	return true;
}

/*
 * A transaction with a snapshot, in which the extension cannot be dropped.
 * False: somebody has dropped it and not committed yet.
 */
static bool
begin_round(const char *activity)
{
	const BrazeCatalog *catalog;

	Assert(!IsTransactionState());
	braze_activity_begin(activity);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(extension))
		extension = get_extension_oid(BRAZE_EXTENSION, true);

	/*
	 * DROP EXTENSION locks the extension before what belongs to it.  So do
	 * we, or a round that opens one table after another would deadlock with
	 * it.
	 */
	if (OidIsValid(extension) && !try_lock_extension())
		return false;
	catalog = braze_catalog();

	/* after the lock: it sees all that DROP and CREATE EXTENSION have done */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (catalog == NULL || catalog->extension != extension)
	{
		/*
		 * DROP EXTENSION has committed.  Even if it was created again since:
		 * that is another queue, of which we know nothing.  The launcher
		 * looks whether it needs a worker.  Where a table was changed
		 * instead, the next worker says what is wrong with it.
		 */
		if (catalog != NULL || braze_catalog_problem() == NULL)
			ereport(LOG,
					(errhidecontext(true),
					 errmsg("segment_braze: the extension was dropped from database \"%s\", so its worker ends",
							braze_database_name())));
		proc_exit(0);
	}
	queue = catalog->queue;
	return true;
}

/* the log is not told of each round that is not begun */
static ErrorData *
give_up_round(MemoryContext caller, const char *why)
{
	ErrorData  *error;

	AbortCurrentTransaction();
	MemoryContextSwitchTo(caller);
	error = palloc0(sizeof(ErrorData));
	error->elevel = ERROR;
	error->sqlerrcode = ERRCODE_LOCK_NOT_AVAILABLE;
	error->message = pstrdup(why);
	return error;
}

static void
commit_round(void)
{
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
}

/* logs the error and cleans up; returns a copy */
static ErrorData *
fail_round(MemoryContext caller)
{
	ErrorData  *error;

	/* before the abort, which frees what the error is in */
	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (asked_for_end && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		FlushErrorState();
		FreeErrorData(error);
		return give_up_round(caller, end_is_near);
	}
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	return error;
}

/* ----- the end of the process ----- */

/*
 * What is only in memory can be saved by the process alone, in transactions of
 * their own, so it must not end inside of one.
 */
bool
braze_round_ask_for_end(void)
{
	if (end_has_begun || braze_statement_runs_others())
		return false;
	asked_for_end = true;
	if (under_way)
		QueryCancelPending = InterruptPending = true;
	return true;
}

void
braze_round_end_begins(void)
{
	end_has_begun = true;
	asked_for_end = false;
}

bool
braze_round_is_ending(void)
{
	return asked_for_end || end_has_begun;
}

/* a cancel that came too late for the round must not hit what follows */
static void
round_is_over(void)
{
	under_way = false;
	if (asked_for_end)
		QueryCancelPending = false;
}

/* ----- a round ----- */

ErrorData  *
braze_round_run(const char *activity, void (*body) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	int64		began = braze_now_ms();
	ErrorData  *volatile error = NULL;
	volatile bool committed = false;

	if (asked_for_end)
		return give_up_round(caller, end_is_near);
	PG_TRY();
	{
		under_way = true;
		if (begin_round(activity))
		{
			body(arg);
			commit_round();
			committed = true;
			braze_report_stat();
		}
		else
			error = give_up_round(caller, "somebody has locked the extension " BRAZE_EXTENSION);
		round_is_over();
	}
	PG_CATCH();
	{
		round_is_over();

		/*
		 * an error of the commit comes here as well: nothing has happened
		 * then
		 */
		error = fail_round(caller);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	braze_activity_begin(NULL);

	/* statistics that could not be reported undo nothing */
	if (error != NULL && committed)
	{
		FreeErrorData(error);
		error = NULL;
	}
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: %s %s after " INT64_FORMAT " ms", activity,
							 error == NULL ? "ended" : "failed", braze_now_ms() - began)));
	return error;
}

bool
braze_round_succeeds(const char *activity, void (*body) (void *arg), void *arg)
{
	ErrorData  *error = braze_round_run(activity, body, arg);

	if (error == NULL)
		return true;
	FreeErrorData(error);
	return false;
}

bool
braze_round_lock_is_brief(int64 *since, bool failed, const ErrorData *error)
{
	if (!failed || (error != NULL && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE))
	{
		*since = 0;
		return false;
	}
	if (*since == 0)
		*since = braze_now_ms();
	if (braze_now_ms() - *since >= BRIEF_LOCK_MS)
		return false;
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: a table is locked, it is tried again soon")));
	return true;
}
