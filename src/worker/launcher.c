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
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/wait_event.h"
#include "worker/worker.h"


/* a database as this process knows it; shared memory says how its worker is */
typedef struct Known
{
	Oid			database;		/* hash key */
	bool		listed;			/* by the last look at pg_database */
	bool		no_extension;	/* its worker found none: not asked again */
	bool		ask_again;		/* but CREATE EXTENSION came after it started */
	BackgroundWorkerHandle *handle; /* of the worker registered last */
} Known;

static HTAB *known_databases;
static MemoryContext launcher_context;

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
			known->no_extension = false;
			known->ask_again = true;
			known->handle = NULL;
		}
		known->listed = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
}

/*
 * The worker gets the slot's index as argument.  It is never restarted by the
 * postmaster, which would not know whether the database still wants one.
 */
static bool
register_worker(Known *known, int index)
{
	BackgroundWorker worker;
	MemoryContext old;
	bool		registered;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "segment_braze", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "braze_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "segment_braze worker for database %u",
			 known->database);
	strlcpy(worker.bgw_type, "segment_braze worker", BGW_MAXLEN);
	worker.bgw_main_arg = Int32GetDatum(index);
	worker.bgw_notify_pid = MyProcPid;

	if (known->handle != NULL)
		pfree(known->handle);
	known->handle = NULL;
	old = MemoryContextSwitchTo(launcher_context);
	registered = RegisterDynamicBackgroundWorker(&worker, &known->handle);
	MemoryContextSwitchTo(old);
	return registered;
}

/* a worker that was registered and is gone before it could say anything */
static void
notice_stillborn(Known *known, BrazeDatabaseSlot *slot)
{
	pid_t		pid;

	if (slot->state == BRAZE_DATABASE_STARTING && slot->pid == 0 &&
		(known->handle == NULL ||
		 GetBackgroundWorkerPid(known->handle, &pid) == BGWH_STOPPED))
		slot->state = BRAZE_DATABASE_WANTED;
}

/*
 * Brings one database's slot up to date and starts its worker if it is time;
 * returns when to look again, in milliseconds, -1 for no special time.
 */
static long
tend_database(Known *known, bool probe_all)
{
	BrazeDatabaseSlot *slot;
	TimestampTz now = GetCurrentTimestamp();
	long		wait = -1;
	bool		start = false;

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
			long		since = (now - slot->started_at) / 1000;

			/* a worker that fails at once must not keep the server busy */
			if (since >= BRAZE_RESTART_INTERVAL_MS || slot->wanted_at_once)
			{
				slot->started_at = now;
				slot->wanted_at_once = false;
				slot->state = BRAZE_DATABASE_STARTING;
				known->ask_again = false;
				start = true;
			}
			else
				wait = BRAZE_RESTART_INTERVAL_MS - since;
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
				(errmsg_internal("segment_braze: starting a worker for database %u",
								 known->database)));
	Assert(!start || slot != NULL);
	if (start && !register_worker(known, slot - braze_shared->databases))
	{
		/*
		 * tried again by the throttle, as other workers may have ended by
		 * then
		 */
		LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
		slot->state = BRAZE_DATABASE_NO_SLOT;
		LWLockRelease(braze_shared->lock);
		ereport(LOG,
				(errmsg("segment_braze: no free background worker for database %u",
						known->database),
				 errhint("Increase max_worker_processes.")));
	}
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
	return timeout;
}

static void
wait_for_latch(long timeout, BrazeWait wait)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 timeout, braze_wait_event(wait));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * After a crash of the server the queue is left alone for a while: if one of
 * its calls brought the server down, somebody can still connect and look.
 */
static void
wait_after_crash(void)
{
	TimestampTz end;
	long		left;

	if (braze_shared->startups <= 1)
		return;
	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									  braze_restart_delay * INT64CONST(1000));
	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end)) > 0)
		wait_for_latch(left, BRAZE_WAIT_LAUNCHER_RESTART_DELAY);
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

	wait_after_crash();
	for (;;)
	{
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
