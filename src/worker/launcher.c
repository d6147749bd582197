/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  One process per server: it keeps a worker for every database that has
 *	  the extension.
 *
 * No setting names the databases.  Each one is asked once, by a worker that
 * ends when the extension is not there; CREATE EXTENSION has it asked again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/background_worker.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/steady_time.h"
#include "base/wait_event.h"
#include "worker/worker.h"

/* so many times there must have been no room before the log says so */
#define PROBES_WITHOUT_ROOM	3

/*
 * a database whose worker cannot start, as
 * its tablespace is lost, is left alone
 */
#define MAX_RESTART_INTERVAL_MS	(300 * 1000)

/* a database as this process knows it; shared memory says how its worker is */
typedef struct Known
{
	Oid			database;		/* hash key */
	NameData	name;
	bool		listed;			/* by the last look at pg_database */
	bool		no_extension;	/* its worker found none: not asked again */
	bool		ask_again;		/* but CREATE EXTENSION came after it started */
	BackgroundWorkerHandle *handle; /* of the worker registered last */
	bool		named;			/* in the log: it has no worker for want of
								 * room */
	int			no_room;		/* how often, at least the interval apart */
	int64		no_room_at;		/* the last time that counts */
} Known;

static HTAB *known_databases;
static uint32 releases_listed;	/* braze_shared->releases before the listing */
static MemoryContext launcher_context;
static bool unseen_reported = false;	/* and the log has no end of it yet */

/* nobody is to set the latch of a process that is gone, or count on it */
static void
clear_launcher(int code, Datum arg)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	braze_shared->launcher_pid = 0;
	braze_shared->launcher_latch = NULL;
	LWLockRelease(braze_shared->lock);
}

/* marks the databases that may be connected to */
static void
list_databases(void)
{
	HASH_SEQ_STATUS status;
	Known	   *known;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	hash_seq_init(&status, known_databases);
	while ((known = hash_seq_search(&status)) != NULL)
		known->listed = false;

	/* before the listing: after a release a database of it may be gone */
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	releases_listed = braze_shared->releases;
	LWLockRelease(braze_shared->lock);

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		bool		found;

		/* a connection limit of -2 marks a database that is half dropped */
		if (database->datistemplate || !database->datallowconn ||
			database->datconnlimit == -2)
			continue;
		known = hash_search(known_databases, &database->oid, HASH_ENTER, &found);
		if (!found)
		{
			/* only a worker of its own can see whether it has the extension */
			known->no_extension = false;
			known->ask_again = true;
			known->handle = NULL;
			known->named = false;
			known->no_room = 0;
		}
		known->name = database->datname;
		known->listed = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
}

/* the worker gets the slot's index as argument */
static bool
register_worker(Known *known, int index)
{
	BackgroundWorker worker;
	MemoryContext old;
	bool		registered;

	braze_background_worker_prepare(&worker, "braze_worker_main", "segment_braze worker");

	/* also the process title; a rename ends the worker and starts another */
	snprintf(worker.bgw_name, BGW_MAXLEN, "segment_braze worker for \"%s\"",
			 NameStr(known->name));
	worker.bgw_main_arg = Int32GetDatum(index);

	if (known->handle != NULL)
		pfree(known->handle);
	known->handle = NULL;
	old = MemoryContextSwitchTo(launcher_context);
	registered = RegisterDynamicBackgroundWorker(&worker, &known->handle);
	MemoryContextSwitchTo(old);
	return registered;
}

/*
 * when another may be started after one; longer each time that one has failed
 */
static long
restart_interval(const BrazeDatabaseSlot *slot)
{
	int			doublings = Min(Max(slot->failed_starts - 1, 0), 10);

	return Min((long) BRAZE_RESTART_INTERVAL_MS << doublings, MAX_RESTART_INTERVAL_MS);
}

/* a worker that was registered and is gone before it could say anything */
static void
notice_stillborn(Known *known, BrazeDatabaseSlot *slot)
{
	pid_t		pid;

	if (slot->state == BRAZE_DATABASE_STARTING && slot->pid == 0 &&
		(known->handle == NULL ||
		 GetBackgroundWorkerPid(known->handle, &pid) == BGWH_STOPPED))
	{
		slot->failed_starts++;
		slot->state = BRAZE_DATABASE_WANTED;
	}
}

/*
 * No worker could be registered.  A database that has the extension is named,
 * once; of the others there may be many, see report_unseen().
 */
static void
note_no_room(Known *known, bool has_extension)
{
	int64		now = braze_now_ms();

	if (known->no_room == 0 || now - known->no_room_at >= BRAZE_RESTART_INTERVAL_MS)
	{
		known->no_room++;
		known->no_room_at = now;
	}
	if (!has_extension || known->named)
		return;
	known->named = true;
	ereport(LOG,
			(errmsg("segment_braze: no background worker is free for database \"%s\", its calls are not sent",
					NameStr(known->name)),
			 errhint("Increase max_worker_processes, and restart the server.")));
}

static void
note_room(Known *known)
{
	if (known->named)
		ereport(LOG,
				(errmsg("segment_braze: database \"%s\" has got a background worker",
						NameStr(known->name))));
	known->named = false;
	known->no_room = 0;
}

/* says of how many databases it is not known whether they have the extension */
static void
report_unseen(void)
{
	HASH_SEQ_STATUS status;
	Known	   *known;
	int			waiting = 0;
	int			unseen = 0;

	hash_seq_init(&status, known_databases);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		if (!known->listed || known->named)
			continue;
		waiting += (known->no_room > 0);
		unseen += (known->no_room >= PROBES_WITHOUT_ROOM);
	}
	if (unseen > 0 && !unseen_reported)
		ereport(LOG,
				(errmsg_plural("segment_braze: %d database could not be looked at, as no background worker is free",
							   "segment_braze: %d databases could not be looked at, as no background worker is free",
							   unseen, unseen),
				 errdetail("If the extension is installed there, its calls are not sent."),
				 errhint("Increase max_worker_processes, and restart the server.")));
	else if (waiting == 0 && unseen_reported)
		ereport(LOG,
				(errmsg("segment_braze: all databases have been looked at")));

	/*
	 * Once reported, it is over only when none waits: it would be said again
	 * and again while workers come and go.
	 */
	unseen_reported = (unseen > 0 || (unseen_reported && waiting > 0));
}

/*
 * Brings one database's slot up to date and starts its worker if it is time;
 * returns when to look again, in milliseconds, -1 for no special time.
 */
static long
tend_database(Known *known, bool probe_all)
{
	BrazeDatabaseSlot *slot;
	int64		now = braze_now_ms();
	long		wait = -1;
	bool		start = false;
	bool		has_extension = false;

	/*
	 * The state is changed here, by the worker (running, outdated, no
	 * extension, and wanted when it ends) and by CREATE EXTENSION (wanted),
	 * all under this lock.  Only here does it become starting, and then only
	 * while no worker is in the slot: so there is never a second one.
	 */
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	if (probe_all)
	{
		known->no_extension = false;
		known->ask_again = true;
	}

	/*
	 * A database without the extension keeps no slot, since there are only as
	 * many as there may be workers.  That none was found is remembered here.
	 */
	slot = braze_shmem_database(known->database, known->listed && !known->no_extension);
	if (slot != NULL)
	{
		notice_stillborn(known, slot);

		/* what this worker saw may be older than CREATE EXTENSION */
		if (slot->state == BRAZE_DATABASE_NO_EXTENSION && slot->pid == 0 &&
			known->ask_again)
		{
			slot->state = BRAZE_DATABASE_WANTED;
			slot->wanted_at_once = true;
		}
		if (slot->state == BRAZE_DATABASE_NO_EXTENSION && slot->pid == 0)
			known->no_extension = true;
		else
			known->no_extension = false;

		/*
		 * A slot is freed when nobody will write to it any more: no worker is
		 * in it or on its way, and no session counts on its hold to be there.
		 */
		if (slot->pid == 0 && slot->held == 0 &&
			(known->no_extension || !known->listed) &&
			slot->state != BRAZE_DATABASE_STARTING)
			slot->database = InvalidOid;
		else if (slot->pid == 0 && slot->held == 0 &&
				 (slot->state == BRAZE_DATABASE_WANTED ||
				  slot->state == BRAZE_DATABASE_NO_SLOT))
		{
			long		since = (long) (now - slot->started_at);

			/*
			 * A worker that fails at once must not keep the server busy.  One
			 * that could not be registered has cost nothing, and a worker
			 * that has just ended may have made room.
			 */
			if (releases_listed != braze_shared->releases)
				wait = 0;		/* it may have been dropped since the listing */
			else if (slot->started_at == 0 || slot->wanted_at_once ||
					 since >= restart_interval(slot) ||
					 slot->state == BRAZE_DATABASE_NO_SLOT)
			{
				slot->started_at = now;
				slot->wanted_at_once = false;
				slot->state = BRAZE_DATABASE_STARTING;
				known->ask_again = false;
				start = true;
			}
			else
				wait = restart_interval(slot) - since;
		}
	}
	LWLockRelease(braze_shared->lock);

	/*
	 * Without the lock, which sessions want at each commit.  Nobody else
	 * starts a worker while the slot says starting, and nobody but this
	 * process frees a slot, so it is still this database's.
	 */
	if (start)
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: starting a worker for database \"%s\"",
								 NameStr(known->name))));
	Assert(!start || slot != NULL);
	if (start && register_worker(known, slot - braze_shared->databases))
		note_room(known);
	else if (start)
	{
		/*
		 * Tried again by the next look.  The place is for databases that have
		 * the extension; a session that finds no place cannot say that its
		 * database has it.
		 */
		LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
		has_extension = slot->has_extension;
		if (has_extension || slot->held > 0)
			slot->state = BRAZE_DATABASE_NO_SLOT;
		else
			slot->database = InvalidOid;
		LWLockRelease(braze_shared->lock);
		note_no_room(known, has_extension);
	}
	else if (slot == NULL && known->listed && !known->no_extension)
		note_no_room(known, false);
	return wait;
}

static bool
is_known(Oid database)
{
	return hash_search(known_databases, &database, HASH_FIND, NULL) != NULL;
}

static bool
may_have_extension(Oid database)
{
	const Known *known = hash_search(known_databases, &database, HASH_FIND, NULL);

	return known != NULL && !known->no_extension;
}

/*
 * Frees what is left of databases that are gone, or have the extension no
 * more: a slot that a session made to keep the worker away, and the places of
 * the destinations.
 */
static void
free_orphans(void)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		BrazeDatabaseSlot *slot = &braze_shared->databases[i];

		if (OidIsValid(slot->database) && slot->pid == 0 && slot->held == 0 &&
			slot->state != BRAZE_DATABASE_STARTING && !is_known(slot->database))
			slot->database = InvalidOid;
	}
	for (int i = 0; i < braze_max_destinations; i++)
	{
		BrazeDestinationSlot *slot = &braze_shared->destinations[i];

		if (OidIsValid(slot->database) && !may_have_extension(slot->database) &&
			braze_shmem_database(slot->database, false) == NULL &&
			pg_atomic_read_u32(&slot->size.users) == 0)
			braze_shmem_free_destination(slot);
	}
	LWLockRelease(braze_shared->lock);
}

static bool
has_slot(Oid database)
{
	bool		has;

	LWLockAcquire(braze_shared->lock, LW_SHARED);
	has = (braze_shmem_database(database, false) != NULL);
	LWLockRelease(braze_shared->lock);
	return has;
}

/* one look at every database; returns how long to wait for the next */
static long
tend_all(void)
{
	HASH_SEQ_STATUS status;
	Known	   *known;
	long		timeout = braze_nap;
	bool		probe_all;

	/* one that is set from here on is for the next time */
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	probe_all = braze_shared->probe_all;
	braze_shared->probe_all = false;
	LWLockRelease(braze_shared->lock);

	hash_seq_init(&status, known_databases);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		long		wait = tend_database(known, probe_all);

		if (wait >= 0 && wait < timeout)
			timeout = wait;

		/* its slot may have a worker still, or be held by who drops it */
		if (!known->listed && !has_slot(known->database))
		{
			if (known->handle != NULL)
				pfree(known->handle);
			hash_search(known_databases, &known->database, HASH_REMOVE, NULL);
		}
	}
	free_orphans();
	report_unseen();
	return timeout;
}

static void
wait_for_latch(long timeout, BrazeWait wait)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout, braze_wait_event(wait));
	ResetLatch(MyLatch);

	/*
	 * This is not an error, so not FATAL.  The code has the postmaster start
	 * it again, if it was somebody else who ended it.
	 */
	if (ProcDiePending)
		proc_exit(1);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* for the status, which says until when it waits */
static void
set_crash_wait(int64 from)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	braze_shared->crash_wait_from = from;
	LWLockRelease(braze_shared->lock);
}

/*
 * After a crash of the server the queue is left alone for a while: if one of
 * its calls brought the server down, somebody can still connect and look.
 */
static void
wait_after_crash(void)
{
	int64		from = braze_now_ms();
	int64		left;

	if (braze_shared->startups <= 1)
		return;
	set_crash_wait(from);

	/* read anew each time: a reload may have set another delay */
	while ((left = from + braze_restart_delay * INT64CONST(1000) - braze_now_ms()) > 0)
		wait_for_latch((long) left, BRAZE_WAIT_LAUNCHER_RESTART_DELAY);
	set_crash_wait(0);
}

void
braze_launcher_main(Datum arg)
{
	HASHCTL		control;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	braze_shared->launcher_pid = MyProcPid;
	braze_shared->launcher_latch = MyLatch;
	braze_shared->launcher_started = true;
	LWLockRelease(braze_shared->lock);
	on_shmem_exit(clear_launcher, (Datum) 0);

	/* the shared catalogs are enough, so no database is kept busy */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	launcher_context = AllocSetContextCreate(TopMemoryContext,
											 "segment_braze launcher",
											 ALLOCSET_DEFAULT_SIZES);
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Known);
	control.hcxt = launcher_context;
	known_databases = hash_create("segment_braze databases", 64, &control,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	braze_steady_time_follow();
	wait_after_crash();
	for (;;)
	{
		braze_steady_time_follow();
		list_databases();
		wait_for_latch(tend_all(), BRAZE_WAIT_LAUNCHER_NAP);
	}
}

static void
register_launcher(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "segment_braze", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "braze_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "segment_braze launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "segment_braze launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
braze_launcher_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	braze_shmem_init();
	braze_database_commands_init();

	/* pg_upgrade starts both servers, and counts on nothing being done there */
	if (!IsBinaryUpgrade)
		register_launcher();
}
