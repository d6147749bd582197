/*-------------------------------------------------------------------------
 *
 * sync_schedule.c
 *	  When the syncs of this database run.
 *
 * The worker only says when: each run is a process of its own, so no query of
 * anybody's holds up a delivery.  That a sync does not run, and why, is in its
 * status; the log has one line when there is no free place and one when there
 * is again.  Each sync is looked at in a subtransaction, so that what is wrong
 * with one of them is nothing to the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/attempt.h"
#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/guc.h"
#include "base/table_write.h"
#include "feed/sync_run.h"
#include "feed/sync_table.h"
#include "store/started_table.h"
#include "worker/round.h"
#include "worker/sync_schedule.h"
#include "worker/sync_worker.h"

/* when a run is started again that has not begun */
#define START_AGAIN	"5 min"

/* a process that was started here */
typedef struct Running
{
	int64		sync;
	Oid			role;			/* its owner */
	BackgroundWorkerHandle *handle; /* NULL: the place is free */
} Running;

/* a sync that is due, or whose process is gone */
typedef struct Due
{
	int64		sync;
	char	   *name;
	char	   *destination;
	char	   *owner;
	char	   *status;
	Oid			role;			/* InvalidOid: it does not exist */
	int			pid;			/* of its last run, if that has not ended as
								 * it should; or 0 */
	bool		is_due;
	bool		has_others;		/* other roles have syncs with a timetable */
} Due;

/* a sync that cannot be looked at; others are */
typedef struct Fault
{
	struct Fault *next;
	int64		sync;
	BrazeBackoff backoff;
}			Fault;

static Fault * faults = NULL;
static Running running[BRAZE_SYNC_WORKERS_LIMIT];
static bool no_place = false;	/* and the log says so */

/* ----- the processes ----- */

/* also those that the postmaster has not started yet are not started then */
static void
end_runs(int code, Datum arg)
{
	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle != NULL)
			TerminateBackgroundWorker(running[i].handle);
	}
}

static void
free_ended(void)
{
	pid_t		pid;

	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle == NULL ||
			GetBackgroundWorkerPid(running[i].handle, &pid) != BGWH_STOPPED)
			continue;
		pfree(running[i].handle);
		running[i].handle = NULL;
	}
}

static int
count_running(void)
{
	int			count = 0;

	for (int i = 0; i < lengthof(running); i++)
		count += (running[i].handle != NULL);
	return count;
}

static int
count_running_of(Oid role)
{
	int			count = 0;

	for (int i = 0; i < lengthof(running); i++)
		count += (running[i].handle != NULL && running[i].role == role);
	return count;
}

/*
 * Where several roles have syncs, none of them may take the last place: a query
 * that never ends would stop the syncs of all the others.
 */
static bool
may_take_place(const Due *due)
{
	return !due->has_others || count_running_of(due->role) < Max(braze_max_sync_workers - 1, 1);
}

/*
 * A role that has all the places took the last one while no other role had
 * syncs.  A run of it is ended: its next one does the rest, and not before a
 * place is left to others.
 */
static void
make_place(void)
{
	const Running *last = NULL;

	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle == NULL)
			continue;
		if (last != NULL && last->role != running[i].role)
			return;
		last = &running[i];
	}
	if (count_running() > 1)
		TerminateBackgroundWorker(last->handle);
}

static bool
is_running(int64 sync)
{
	for (int i = 0; i < lengthof(running); i++)
	{
		if (running[i].handle != NULL && running[i].sync == sync)
			return true;
	}
	return false;
}

static bool
start_run(const Due *due)
{
	static bool registered = false;
	Running    *place = running;
	BackgroundWorkerHandle *handle;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	if (!registered)
		before_shmem_exit(end_runs, (Datum) 0);
	registered = true;
	while (place->handle != NULL)
		place++;
	started = braze_sync_worker_start(MyDatabaseId, due->role, due->sync, due->name, &handle);
	MemoryContextSwitchTo(old);
	if (started)
	{
		place->sync = due->sync;
		place->role = due->role;
		place->handle = handle;
	}
	return started;
}

/* ----- what is due ----- */

static char *
text_of(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(row, column, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

typedef struct Listing
{
	List	   *dues;
	MemoryContext context;
} Listing;

static void
list_due(HeapTuple row, TupleDesc desc, void *arg)
{
	Listing    *listing = arg;
	MemoryContext old = MemoryContextSwitchTo(listing->context);
	Due		   *due = palloc0(sizeof(Due));
	bool		isnull;

	due->sync = DatumGetInt64(heap_getattr(row, 1, desc, &isnull));
	due->name = text_of(row, desc, 2);
	due->destination = text_of(row, desc, 3);
	due->owner = text_of(row, desc, 4);
	due->status = text_of(row, desc, 5);
	due->role = DatumGetObjectId(heap_getattr(row, 6, desc, &isnull));
	if (isnull)
		due->role = InvalidOid;
	due->pid = DatumGetInt32(heap_getattr(row, 7, desc, &isnull));
	if (isnull)
		due->pid = 0;
	due->is_due = DatumGetBool(heap_getattr(row, 8, desc, &isnull)) && !isnull;
	due->has_others = DatumGetBool(heap_getattr(row, 9, desc, &isnull));
	listing->dues = lappend(listing->dues, due);
	MemoryContextSwitchTo(old);
}

/*
 * Also one whose next run lies further ahead than "every" can put it: the clock
 * was ahead when that was written.
 */
#define IS_DUE	"(s.next_run <= now() OR s.next_run > now() + least(s.every, interval '1 year') + interval '1 min')"

/* locked: nobody else writes these rows, or has to be waited for */
static List *
find_due(void)
{
	Listing		listing = {NIL, CurrentMemoryContext};
	BrazeSyncArguments here = {0};

	braze_sync_table_add(&here, INT8OID, Int64GetDatum((int64) GetSystemIdentifier()));
	braze_sync_table_read(psprintf("SELECT s.id, s.name, s.destination, s.owner, s.status, r.oid, s.pid, " IS_DUE ", "
								   "EXISTS (SELECT FROM %1$s o WHERE o.every IS NOT NULL AND o.owner_oid IS DISTINCT FROM s.owner_oid) "
								   "FROM %1$s s LEFT JOIN pg_roles r ON "
								   "CASE WHEN s.system_identifier = $1 THEN r.oid = s.owner_oid ELSE r.rolname = s.owner END "
								   "WHERE " IS_DUE " OR s.pid IS NOT NULL "
								   "ORDER BY s.next_run, s.id FOR UPDATE OF s SKIP LOCKED",
								   braze_sync_table_syncs()),
						  &here, NULL, list_due, &listing);
	return listing.dues;
}

/* next_run NULL: it stays, and nothing is written that is there already */
static void
set_status(Due *due, const char *status, const char *next_run)
{
	BrazeSyncArguments arguments = {0};

	if (next_run == NULL && due->pid == 0 && strcmp(due->status, status) == 0)
		return;
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(due->sync));
	braze_sync_table_add_text(&arguments, status);
	(void) braze_sync_table_write(braze_catalog_required()->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET status = $2, pid = NULL, next_run = %s WHERE id = $1",
										   braze_sync_table_syncs(),
										   next_run != NULL ? next_run : "next_run"),
								  &arguments);
	due->pid = 0;
	due->status = pstrdup(status);
}

static void
report_place(bool is_free, const char *name)
{
	if (is_free && no_place)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: syncs of database \"%s\" have background workers again",
						braze_database_name())));
	else if (!is_free && !no_place)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: no background worker is free for sync \"%s\" in database \"%s\"",
						name, braze_database_name()),
				 errhint("Increase max_worker_processes, and restart the server.")));
	no_place = !is_free;
}

/* starts a run of the sync if it may have one now, or writes down why not */
static void
look_at_due(void *arg)
{
	Due		   *due = arg;
	bool		started;

	if (is_running(due->sync) || braze_sync_run_is_under_way(due->sync))
		return;
	if (due->pid != 0)
		set_status(due, "its last run ended before it had finished; the next one does the rest", NULL);
	if (!due->is_due)
		return;
	if (!OidIsValid(due->role))
		set_status(due, psprintf("not running: its owner, role \"%s\", does not exist or was created anew; drop the sync, and create it again", due->owner), NULL);
	else if (!braze_started_table_has(due->destination))
		set_status(due, psprintf("not running here: destination \"%s\" is not started; %s",
								 due->destination, braze_started_table_advice(due->destination)), NULL);
	else if (!may_take_place(due))
		set_status(due, psprintf("waiting: %d syncs of its owner are running; the last place of segment_braze.max_sync_workers is left to other roles",
								 count_running_of(due->role)), NULL);
	else if (count_running() >= braze_max_sync_workers)
	{
		set_status(due, psprintf("waiting: %d syncs are running, as many as segment_braze.max_sync_workers",
								 count_running()), NULL);
		if (count_running_of(due->role) == 0)
			make_place();
	}
	else
	{
		/*
		 * First: a start that cannot be noted would come again and again. The
		 * run itself notes when the next one is due; one that never begins is
		 * started again.
		 */
		set_status(due, "starting; if it stays so, the server log says why",
				   "clock_timestamp() + least(every, interval '" START_AGAIN "')");
		started = start_run(due);
		report_place(started, due->name);
		if (!started)
			set_status(due, "waiting: no background worker is free; increase max_worker_processes, and restart the server", "now()");
	}
}

/* ----- what is wrong with one sync ----- */

/* the link to the entry, or to where a new one goes */
static Fault * *find_fault(int64 sync)
{
	Fault	  **link = &faults;

	while (*link != NULL && (*link)->sync != sync)
		link = &(*link)->next;
	return link;
}

static void
remove_fault(Fault * *link, const Due *due)
{
	Fault	   *fault = *link;

	*link = fault->next;
	pfree(fault);
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: sync \"%s\" in database \"%s\" can be run again",
					due->name, braze_database_name())));
}

typedef struct FaultNote
{
	Due		   *due;
	const ErrorData *error;
}			FaultNote;

static void
write_fault(void *arg)
{
	FaultNote  *note = arg;

	set_status(note->due, psprintf("not running: %s", note->error->message), NULL);
}

static void
note_fault(Fault * *link, Due *due, const ErrorData *error)
{
	FaultNote	note = {due, error};
	int64		not_before;
	bool		is_new = *link == NULL;

	if (is_new)
	{
		*link = MemoryContextAllocZero(TopMemoryContext, sizeof(Fault));
		(*link)->sync = due->sync;
	}
	braze_attempt_back_off(&(*link)->backoff);

	/* what keeps its row from being written is in the log at least */
	(void) braze_attempt(due->destination, write_fault, &note, &not_before);
	if (is_new)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: sync \"%s\" in database \"%s\" cannot be run: %s",
						due->name, braze_database_name(), error->message),
				 errdetail("It is tried again from time to time; other syncs go on.")));
}

static void
try_due(Due *due)
{
	Fault	  **link = find_fault(due->sync);
	ErrorData  *error;
	int64		not_before;

	if (*link != NULL && braze_now_ms() < (*link)->backoff.next)
		return;
	error = braze_attempt(due->destination, look_at_due, due, &not_before);
	if (error != NULL && braze_attempt_is_passing(error))
		ReThrowError(error);
	if (error != NULL)
		note_fault(link, due, error);
	else if (*link != NULL)
		remove_fault(link, due);
}

static void
look_for_due(void *arg)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	ListCell   *cell;

	/* whoever has locked a table is not waited for */
	if (!braze_table_write_try_lock(catalog->syncs, RowExclusiveLock) ||
		!braze_started_table_try_read())
		return;
	foreach(cell, find_due())
		try_due(lfirst(cell));
}

int
braze_sync_schedule_look(void)
{
	free_ended();
	if (braze_deliver && braze_max_sync_workers > 0)
		(void) braze_round_succeeds("looking for syncs that are due", look_for_due, NULL);
	return braze_nap;
}
