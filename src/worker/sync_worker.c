/*-------------------------------------------------------------------------
 *
 * sync_worker.c
 *	  The process that runs a sync when it is due.
 *
 * It is connected as the sync's owner, so that the query has their rights and
 * their settings, and pg_cancel_backend() is theirs.  The worker that started
 * it ends it when it ends itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "base/background_worker.h"
#include "base/catalog.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/guc.h"
#include "feed/sync_run.h"
#include "feed/sync_table.h"
#include "store/started_table.h"
#include "worker/sync_worker.h"

/* what the process is told, in bgw_extra */
typedef struct Task
{
	Oid			database;
	Oid			role;
	int64		sync;
} Task;

StaticAssertDecl(sizeof(Task) <= BGW_EXTRALEN, "a task has to fit in bgw_extra");

bool
braze_sync_worker_start(Oid database, Oid role, int64 sync, const char *name,
						BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;
	Task		task = {database, role, sync};

	braze_background_worker_prepare(&worker, "braze_sync_worker_main", "segment_braze sync");
	snprintf(worker.bgw_name, BGW_MAXLEN, "segment_braze sync \"%s\"", name);
	memcpy(worker.bgw_extra, &task, sizeof(task));
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/*
 * what ALTER ROLE and ALTER DATABASE set
 * holds, but for what no run could do with
 */
static void
fix_run_settings(void)
{
	static const char *const settings[][2] = {
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"}
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* false: it was dropped, given to another role, or is not to run here since */
static bool
may_run(const Task *task)
{
	BrazeSync  *sync;
	bool		may;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	sync = braze_catalog() == NULL ? NULL : braze_sync_table_find_id(task->sync);
	braze_database_name_read();
	may = braze_deliver && sync != NULL && braze_sync_table_owner(sync) == task->role &&
		braze_started_table_has(sync->destination);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return may;
}

/* ----- what the log says: when a sync begins to fail, and works again ----- */

/* how the last two runs ended, the last one first */
typedef struct Ends
{
	MemoryContext context;
	char	   *name;			/* of the sync; NULL: it is gone */
	int			count;
	char	   *errors[2];		/* NULL: none */
} Ends;

static void
read_end(HeapTuple row, TupleDesc desc, void *arg)
{
	Ends	   *ends = arg;
	bool		isnull;
	Datum		error = heap_getattr(row, 1, desc, &isnull);

	ends->errors[ends->count++] = isnull ? NULL :
		MemoryContextStrdup(ends->context, TextDatumGetCString(error));
}

static Ends
read_ends(int64 id)
{
	Ends		ends = {CurrentMemoryContext};
	BrazeSyncArguments arguments = {0};
	BrazeSync  *sync;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	sync = braze_sync_table_find_id(id);
	if (sync != NULL)
		ends.name = MemoryContextStrdup(ends.context, sync->name);
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(id));
	braze_sync_table_read(psprintf("SELECT r.error FROM %s r JOIN %s s ON s.name = r.sync "
								   "WHERE s.id = $1 AND r.finished IS NOT NULL ORDER BY r.started DESC LIMIT 2",
								   braze_sync_table_runs(), braze_sync_table_syncs()),
						  &arguments, NULL, read_end, &ends);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return ends;
}

static void
report_failure(const Task *task, const ErrorData *error)
{
	Ends		ends = read_ends(task->sync);

	/* somebody runs it by hand: what comes of it, they are told */
	if (error->sqlerrcode == ERRCODE_OBJECT_IN_USE || ends.name == NULL)
		return;
	if (ends.count == 2 && ends.errors[0] != NULL && ends.errors[1] != NULL &&
		strcmp(ends.errors[0], ends.errors[1]) == 0)
		return;
	ereport(LOG,
			(errmsg("segment_braze: sync \"%s\" in database \"%s\" failed: %s",
					ends.name, braze_database_name(), error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext("%s", error->context) : 0));
}

static void
report_success(const Task *task)
{
	Ends		ends = read_ends(task->sync);

	if (ends.name != NULL && ends.count == 2 && ends.errors[0] == NULL && ends.errors[1] != NULL)
		ereport(LOG,
				(errmsg("segment_braze: sync \"%s\" in database \"%s\" runs again",
						ends.name, braze_database_name())));
}

static void
run_task(const Task *task, MemoryContext context)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		StartTransactionCommand();
		braze_sync_run(task->sync, -1, BRAZE_SYNC_RUN_TIMED);
		if (IsTransactionState())
			CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (error != NULL)
		report_failure(task, error);
	else
		report_success(task);
}

void
braze_sync_worker_main(Datum arg)
{
	Task		task;

	memcpy(&task, MyBgworkerEntry->bgw_extra, sizeof(task));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(task.database, task.role, BRAZE_BACKGROUND_FLAGS);
	fix_run_settings();
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_RUNNING, MyBgworkerEntry->bgw_name);

	/* what outlives a transaction is made there, as in a procedure */
	PortalContext = AllocSetContextCreate(TopMemoryContext, "segment_braze sync worker",
										  ALLOCSET_DEFAULT_SIZES);
	if (may_run(&task))
		run_task(&task, PortalContext);
	proc_exit(0);
}
