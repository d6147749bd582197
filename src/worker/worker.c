/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The process that delivers the calls of one database.
 *
 * Its loop: take answers, settle what is done, read what is new, send; when
 * each of them is due, timetable.c knows.  Each of the steps that need the
 * database is one short transaction, and none is open while it waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/statement.h"
#include "base/wait_event.h"
#include "braze/http.h"
#include "store/notes_table.h"
#include "store/profiles_table.h"
#include "store/queue_recount.h"
#include "worker/activity.h"
#include "worker/claim.h"
#include "worker/connection_test.h"
#include "worker/delivery_stuck.h"
#include "worker/exchange.h"
#include "worker/round.h"
#include "worker/round_read.h"
#include "worker/round_settle.h"
#include "worker/round_tally.h"
#include "worker/standstill.h"
#include "worker/timetable.h"
#include "worker/worker.h"

/*
 * Before the process ends, answers that are about to come are waited for this
 * long, no further round of settling begins after so long, each lock is waited
 * for this long, and everything together takes this long at most.
 */
#define DRAIN_MS			300
#define LAST_SETTLE_MS		700
#define END_LOCK_TIMEOUT	"100ms"
#define END_MS				1000

/*
 * Connections to one host without TLS.  PostgreSQL leaves a third of the files
 * that a process may open to what is not its own, and a host that hangs must
 * not have all of these.
 */
#define MAX_CONNECTIONS		Min(1000, max_safe_fds / 6)

/* which of the advisory locks' fields keeps ours apart from the users' */
#define WORKER_LOCK_FIELD	77

static BrazeDatabaseSlot *slot; /* see shmem.h for what needs the lock */
static bool has_served = false;
static TimeoutId end_timeout;

/*
 * Runs after the process has left the process array: whoever waits for the
 * slot to be cleared may then rely on the database being left alone.
 */
static void
clear_slot(int code, Datum arg)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	braze_delivery_stuck_process_ends();
	slot->left_alone = braze_attempt_left_alone;
	braze_standstill_process_ends(slot);
	slot->failed_starts = has_served || code == 0 ? 0 : slot->failed_starts + 1;
	slot->pid = 0;
	slot->latch = NULL;
	slot->settle_blocked[0] = '\0';
	slot->read_blocked[0] = '\0';
	if (slot->state == BRAZE_DATABASE_RUNNING ||
		slot->state == BRAZE_DATABASE_STARTING ||
		slot->state == BRAZE_DATABASE_OUTDATED)
		slot->state = BRAZE_DATABASE_WANTED;
	braze_collector_slot_stop_all(slot->database);
	LWLockRelease(braze_shared->lock);
	braze_shmem_wake_launcher();
}

/* wakes nobody: the launcher looks when this process ends */
static void
set_slot_state(BrazeDatabaseState state)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot->state = state;
	slot->has_extension = (state != BRAZE_DATABASE_NO_EXTENSION);
	LWLockRelease(braze_shared->lock);
}

/* nothing that ALTER DATABASE or ALTER ROLE sets may change what we do */
static void
fix_settings(void)
{
	static const char *const settings[][2] = {
		{"synchronous_commit", "local"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"TimeZone", "UTC"},
		{"search_path", "pg_catalog, pg_temp"},
		{"statement_timeout", "0"},
		{"lock_timeout", "1s"},
		{"idle_in_transaction_session_timeout", "0"},
		{"row_security", "off"},
		BRAZE_TIMEOUTS_SINCE_17
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);

	/*
	 * ALTER DATABASE can set even the role, and the tables are closed to
	 * others
	 */
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
}

/* one worker per database: whoever holds this lock is it */
static bool
lock_extension(Oid extension)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, extension, 0, WORKER_LOCK_FIELD);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Between two rounds there is nothing that pg_cancel_backend() could cancel,
 * and an error would end the process, with what is under way.
 */
static void
check_interrupts(void)
{
	HOLD_CANCEL_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
	QueryCancelPending = false;
	RESUME_CANCEL_INTERRUPTS();
}

/*
 * until somebody has repaired it, which is
 * looked for as often as for other things
 */
static void
wait_for_repair(const BrazeCatalogProblem *problem)
{
	static BrazeCatalogProblem logged;

	set_slot_state(BRAZE_DATABASE_OUTDATED);
	if (strcmp(logged.message, problem->message) != 0)
		ereport(LOG,
				(errmsg("segment_braze: nothing is sent from database \"%s\": %s",
						braze_database_name(), problem->message),
				 errhint("Run %s.", problem->command)));
	logged = *problem;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 braze_nap, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (ProcDiePending || slot->held > 0)
		proc_exit(0);
	check_interrupts();
}

/* exits when there is nothing for a worker to do in this database */
static void
require_extension(void)
{
	const BrazeCatalog *catalog;
	bool		locked;

	/*
	 * The lock is a session's, and outlives the transaction.  A worker that
	 * does not get it ends: the one that has it is on its way out, or serves.
	 */
	for (;;)
	{
		StartTransactionCommand();
		braze_database_name_read();
		catalog = braze_catalog();
		locked = (catalog != NULL && lock_extension(catalog->extension));
		CommitTransactionCommand();
		if (catalog != NULL || braze_catalog_problem() == NULL)
			break;
		wait_for_repair(braze_catalog_problem());
	}

	if (catalog == NULL)
	{
		set_slot_state(BRAZE_DATABASE_NO_EXTENSION);
		proc_exit(0);
	}
	if (!locked)
		proc_exit(0);
	set_slot_state(BRAZE_DATABASE_RUNNING);
}

/* from here on sessions wake this process, and DROP DATABASE ends it */
static void
attach_to_slot(int index)
{
	BrazeDatabaseSlot *mine = &braze_shared->databases[index];

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);

	/*
	 * The launcher may have registered another worker since, if it took this
	 * one for dead, or have freed the slot: then this one has nothing to do.
	 */
	if (mine->held > 0)
	{
		/* who waits for the database waits for this as well */
		if (mine->pid == 0 && mine->state == BRAZE_DATABASE_STARTING)
			mine->state = BRAZE_DATABASE_WANTED;
	}
	else if (mine->pid == 0 && OidIsValid(mine->database))
	{
		mine->pid = MyProcPid;
		mine->lowest_in_flight = PG_INT64_MAX;
		mine->highest_in_flight = 0;
		mine->highest_read = 0;
		mine->latch = MyLatch;
		slot = mine;
		braze_attempt_left_alone = slot->left_alone;
		braze_standstill_begin(slot);
	}
	LWLockRelease(braze_shared->lock);
	if (slot == NULL)
		proc_exit(0);
	on_shmem_exit(clear_slot, (Datum) 0);
}

/* of two waits in milliseconds, -1 standing for no end */
static long
shorter_wait(long timeout, int64 other)
{
	if (other < 0 || (timeout >= 0 && timeout <= other))
		return timeout;
	return (long) other;
}

/*
 * what SIGTERM does; by a signal too, so it also ends a wait that is under way
 */
static void
raise_end_again(void)
{
	InterruptPending = true;
	ProcDiePending = true;
}

/* the first one of the main loop: end_process() comes next */
static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	if (braze_round_ask_for_end())
		SetLatch(MyLatch);
	else
		die(BRAZE_SIGNAL_ARGUMENTS);
	errno = save_errno;
}

/*
 * The server shuts down, or somebody needs the database: what Braze has
 * accepted is settled if that is possible at once, so that it is not sent
 * again.
 *
 * Only the request to end is taken back.  InterruptPending is others' as well:
 * a barrier, for one, waits for every process.  Interrupts are not held off,
 * because then no wait for a lock and no trigger could be ended.  From here on
 * a SIGTERM, and end_timeout in its place, ends the process at once.
 */
static void
end_process(BrazeHttp *http)
{
	int64		began = braze_now_ms();
	int64		left;

	/* first of all: whatever below takes too long, the process ends */
	enable_timeout_after(end_timeout, END_MS);
	braze_round_end_begins();
	ProcDiePending = false;
	SetConfigOption("lock_timeout", END_LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	while (braze_exchange_transfers() > 0 &&
		   (left = began + DRAIN_MS - braze_now_ms()) > 0)
	{
		(void) WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_SOCKET_READABLE |
								 WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 braze_http_fd(http),
								 shorter_wait((long) left, braze_http_timeout(http)),
								 braze_wait_event(BRAZE_WAIT_WORKER_SHUTDOWN));
		ResetLatch(MyLatch);
		check_interrupts();
		braze_exchange_take_answers(http);
	}

	/*
	 * Requests that are sent at most once are ended here, so that those of
	 * which nothing has left are known, and go back to the queue.  What is
	 * answered is settled before that: if the time is over, it would be sent
	 * again, while what is not released stays a dead letter.
	 */
	braze_exchange_cancel_unsent(http);
	while (braze_round_settle_pending() > 0 && braze_round_settle() == 0 &&
		   braze_now_ms() - began < LAST_SETTLE_MS)
		 /* there may be more than one round takes */ ;
	if (braze_claim_release_wanted())
		(void) braze_claim_release();
	braze_round_tally_save();
	disable_timeout(end_timeout, false);
	proc_exit(0);
}

static void
main_loop(BrazeHttp *http)
{
	for (;;)
	{
		int64		next;
		int64		now;
		long		timeout;
		int			events;

		/*
		 * curl's callbacks are never under way here, so it may be left by
		 * longjmp
		 */
		if (braze_round_is_ending() || ProcDiePending || slot->held > 0)
			end_process(http);
		check_interrupts();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);

			/* delivery may be on from now: not before the pauses are read */
			braze_timetable_refresh();
		}
		next = braze_timetable_turn(http);
		now = braze_now_ms();
		timeout = braze_timetable_is_told() ? 0
			: shorter_wait(Min(Max(next - now, 0), braze_nap), braze_http_timeout(http));
		braze_standstill_wait(now + timeout);
		events = WaitLatchOrSocket(MyLatch,
								   WL_LATCH_SET | WL_SOCKET_READABLE |
								   WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								   braze_http_fd(http),
								   timeout,
								   braze_wait_event(braze_exchange_transfers() > 0 ?
													BRAZE_WAIT_WORKER_ANSWER :
													BRAZE_WAIT_WORKER_NAP));

		/*
		 * A latch that is set means that somebody has queued something, most
		 * of the time.  It is reset before the queue is read: what is queued
		 * after the read sets it again, and is not missed.
		 */
		if (events & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			braze_timetable_look();
		}
	}
}

void
braze_worker_main(Datum arg)
{
	BrazeHttp  *http;
	char		error[256];
	Oid			database;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	attach_to_slot(DatumGetInt32(arg));
	database = slot->database;
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	fix_settings();
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_OVERRIDE);
	braze_activity_init();
	braze_statement_init_worker();
	require_extension();

	braze_timetable_init(slot);
	braze_connection_test_init(slot);
	http = braze_http_create(MAX_CONNECTIONS, error, sizeof(error));
	if (http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("segment_braze could not set up libcurl in the worker of database \"%s\": %s",
						braze_database_name(), error)));
	ReserveExternalFD();		/* that of its epoll set */
	braze_http_announce_sockets(http, AcquireExternalFD, ReleaseExternalFD);
	braze_http_ask_before(http, braze_standstill_may_send);
	braze_delivery_init();
	braze_round_init();
	braze_round_read_init();
	braze_queue_recount_init();
	braze_notes_table_init();
	braze_profiles_table_init();
	end_timeout = RegisterTimeout(USER_TIMEOUT, raise_end_again);
	has_served = true;
	pqsignal(SIGTERM, handle_sigterm);
	main_loop(http);
}
