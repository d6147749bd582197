/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  The process that delivers the calls of one database.
 *
 * Its loop: take answers, settle what is done, read what is new, send.  Each
 * of the steps that need the database is one short transaction, and none is
 * open while it waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
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
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/statement.h"
#include "base/wait_event.h"
#include "braze/http.h"
#include "store/notes_table.h"
#include "store/profiles_table.h"
#include "worker/claim.h"
#include "worker/deliveries.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_stuck.h"
#include "worker/exchange.h"
#include "worker/round.h"
#include "worker/round_gone.h"
#include "worker/round_read.h"
#include "worker/round_refresh.h"
#include "worker/round_settle.h"
#include "worker/round_upkeep.h"
#include "worker/worker.h"

/* while requests are under way, new rows are looked for this often */
#define READ_INTERVAL_MS	2

/* holes whose owners do not wake us when they end are looked at this often */
#define HOLE_INTERVAL_MS	50

/* a settle that failed is tried again this much later */
#define SETTLE_RETRY_MS		1000

/* what is answered waits this long at most for company before it is settled */
#define SETTLE_DELAY_MS		10

/*
 * Before the process ends, answers that are about to come are waited for this
 * long, each lock this long, and everything together takes this long at most.
 */
#define DRAIN_MS			300
#define END_LOCK_TIMEOUT	"100ms"
#define END_MS				1000

/* a request that goes alone may hold up those of other destinations this long */
#define ALONE_MS			1000

/*
 * Connections to one host without TLS.  PostgreSQL leaves a third of the files
 * that a process may open to what is not its own, and a host that hangs must
 * not have all of these.
 */
#define MAX_CONNECTIONS		Min(1000, max_safe_fds / 6)

/* which of the advisory locks' fields keeps ours apart from the users' */
#define WORKER_LOCK_FIELD	77

static BrazeDatabaseSlot *slot; /* see shmem.h for what needs the lock */
static bool options_changed = true;
static int64 next_refresh = 0;
static bool look = true;		/* something may have been queued */
static TimeoutId end_timeout;

/* a server or a user mapping; it may come in the middle of a round */
static void
server_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	options_changed = true;
}

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
	slot->pid = 0;
	slot->latch = NULL;
	slot->settle_blocked[0] = '\0';
	slot->read_blocked[0] = '\0';
	if (slot->state == BRAZE_DATABASE_RUNNING ||
		slot->state == BRAZE_DATABASE_STARTING ||
		slot->state == BRAZE_DATABASE_OUTDATED)
		slot->state = BRAZE_DATABASE_WANTED;
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

/* until ALTER EXTENSION UPDATE; it is looked for as often as for other things */
static void
wait_for_update(void)
{
	static bool logged = false;

	set_slot_state(BRAZE_DATABASE_OUTDATED);
	if (!logged)
		ereport(LOG,
				(errmsg("segment_braze: the extension is older than its library, nothing is sent"),
				 errhint("Run ALTER EXTENSION %s UPDATE.", BRAZE_EXTENSION)));
	logged = true;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 braze_nap, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
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
		catalog = braze_catalog();
		locked = (catalog != NULL && lock_extension(catalog->extension));
		CommitTransactionCommand();
		if (catalog != NULL || !braze_catalog_is_outdated())
			break;
		wait_for_update();
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
	if (mine->pid == 0 && OidIsValid(mine->database))
	{
		mine->pid = MyProcPid;
		mine->lowest_in_flight = PG_INT64_MAX;
		mine->highest_read = 0;
		mine->latch = MyLatch;
		slot = mine;
		braze_attempt_left_alone = slot->left_alone;
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

/* takes all answers that are there */
static void
take_answers(BrazeHttp *http)
{
	BrazeHttpRequest *done;

	while ((done = braze_http_next_done(http)) != NULL)
		braze_exchange_answered(http, done);
}

/* what SIGTERM does; by a signal too, so it also ends a wait that is under way */
static void
raise_end_again(void)
{
	InterruptPending = true;
	ProcDiePending = true;
}

/*
 * The server shuts down, or somebody needs the database: what Braze has
 * accepted is settled if that is possible at once, so that it is not sent
 * again.
 *
 * Only the request to end is taken back.  InterruptPending and
 * QueryCancelPending are others' as well: a barrier, for one, waits for every
 * process.  Interrupts are not held off, because then no wait for a lock and
 * no trigger could be ended.  From here on a SIGTERM, and end_timeout in its
 * place, ends the process at once.
 */
static void
end_process(BrazeHttp *http)
{
	int64		deadline = braze_now_ms() + DRAIN_MS;
	int64		left;

	/* first of all: whatever below takes too long, the process ends */
	enable_timeout_after(end_timeout, END_MS);
	ProcDiePending = false;
	SetConfigOption("lock_timeout", END_LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	while (braze_exchange_transfers() > 0 &&
		   (left = deadline - braze_now_ms()) > 0)
	{
		(void) WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_SOCKET_READABLE |
								 WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								 braze_http_fd(http),
								 shorter_wait((long) left, braze_http_timeout(http)),
								 braze_wait_event(BRAZE_WAIT_WORKER_SHUTDOWN));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		take_answers(http);
	}

	/*
	 * Requests that are sent at most once are ended here, so that those of
	 * which nothing has left are known, and go back to the queue.  What is
	 * answered is settled before that: if the time is over, it would be sent
	 * again, while what is not released stays a dead letter.
	 */
	braze_exchange_cancel_unsent(http);
	if (braze_round_settle_pending() > 0)
		(void) braze_round_settle();
	if (braze_claim_release_wanted())
		(void) braze_claim_release();
	disable_timeout(end_timeout, false);
	proc_exit(0);
}

/* may a destination send nothing until its answers are settled? */
static bool
settle_is_wanted(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		if (braze_exchange_wants_settle(lfirst(cell)))
			return true;
	}
	return false;
}

/* settles when it pays, or when nothing else is left to do */
static long
settle_if_due(int64 now)
{
	static int64 retry_at = 0;
	static int64 waiting_since = 0;
	int			pending = braze_round_settle_pending();

	if (pending == 0)
	{
		waiting_since = 0;
		return braze_round_settle_wait();
	}
	if (waiting_since == 0)
		waiting_since = now;
	if (now < retry_at)
		return retry_at - now;

	/*
	 * A commit costs as much for one call as for hundreds, so while answers
	 * are to come it waits for some of them.  Not after a start, when the one
	 * request that goes alone holds up all others, and not when a destination
	 * may send no more until it has settled.
	 */
	if (braze_exchange_transfers() > 0 && braze_first_settle_done &&
		!settle_is_wanted() && pending < BRAZE_SETTLE_BATCH && now - waiting_since < SETTLE_DELAY_MS)
		return SETTLE_DELAY_MS - (now - waiting_since);
	if (!braze_round_settle())
		retry_at = braze_now_ms() + SETTLE_RETRY_MS;
	waiting_since = 0;
	return braze_round_settle_pending() > 0 ? 0 : braze_round_settle_wait();
}

/* what was not sent goes back to the queue, where it survives this process */
static long
release_if_due(int64 now)
{
	static int64 retry_at = 0;

	if (!braze_claim_release_wanted())
		return -1;
	if (now < retry_at)
		return retry_at - now;
	if (braze_claim_release())
		return -1;
	retry_at = braze_now_ms() + SETTLE_RETRY_MS;
	return SETTLE_RETRY_MS;
}

/*
 * Reads when somebody has queued something, when there is memory again, and
 * while holes may fill that nobody announces.
 */
static long
read_if_due(int64 now)
{
	static int64 next_read = 0;
	static int64 next_hole = 0;
	BrazeReadResult result;

	if (braze_round_read_may_go_on())
		look = true;
	if (!look && (!braze_round_read_has_holes() || now < next_hole))
		return braze_round_read_has_holes() ? next_hole - now : -1;
	if (now < next_read)
		return next_read - now;

	/* before the read: what is queued during it sets the latch again */
	look = false;
	result = braze_round_read_queue();
	now = braze_now_ms();
	next_hole = now + HOLE_INTERVAL_MS;
	next_read = now;
	if (result == BRAZE_READ_MORE)
	{
		look = true;
		return 0;
	}
	if (result == BRAZE_READ_FAILED)
	{
		look = true;
		next_read = now + SETTLE_RETRY_MS;
		return SETTLE_RETRY_MS;
	}

	/* while Braze is at work, rows gather: fewer reads find as much */
	if (braze_exchange_transfers() > 0)
		next_read = now + READ_INTERVAL_MS;
	return braze_round_read_has_holes() ? HOLE_INTERVAL_MS : -1;
}

/* what was purged must not be sent, so this comes before everything else */
static long
drop_gone_if_due(int64 now)
{
	static int64 retry_at = 0;

	/* before the look: what is purged during it is looked for again */
	if (slot->purged)
	{
		slot->purged = false;
		braze_gone_due = true;
		retry_at = 0;
	}
	if (!braze_gone_due)
		return -1;
	if (now < retry_at)
		return retry_at - now;
	if (braze_round_gone())
		return -1;
	retry_at = braze_now_ms() + SETTLE_RETRY_MS;
	return SETTLE_RETRY_MS;
}

/* removes what has expired, each table at its own pace */
static long
upkeep_if_due(int64 now)
{
	static struct
	{
		int			(*round) (void);
		int64		next;
	}			steps[] = {
		{braze_round_upkeep_messages, 0}, {braze_round_upkeep_notes, 0}, {braze_round_upkeep_dead_letters, 0},
		{braze_round_upkeep_profiles, 0}, {braze_round_upkeep_old_profiles, 0},
		{braze_round_upkeep_replica_trigger, 0}
	};
	long		timeout = -1;

	for (int i = 0; i < lengthof(steps); i++)
	{
		if (now >= steps[i].next)
		{
			int			pause = steps[i].round();

			steps[i].next = now + (pause < 0 ? braze_nap : pause);
		}
		timeout = shorter_wait(timeout, steps[i].next - now);
	}
	return timeout;
}

/*
 * A call that crashes the server on its way must not take a whole batch of
 * requests with it each time, so after a start one request goes alone.  If
 * that one hangs, another destination may try.
 */
static long
send_all(BrazeHttp *http)
{
	static int64 last_start = 0;
	int64		now = braze_now_ms();
	long		timeout = -1;
	ListCell   *cell;

	if (!braze_deliver || braze_settle_blocked || braze_gone_due)
		return -1;
	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);
		int			under_way = braze_exchange_transfers();
		int			max_transfers = INT_MAX;

		/* one at a time until an answer is settled */
		if (!braze_first_settle_done)
		{
			max_transfers = under_way;
			if (under_way == 0 ||
				(delivery->transfers == 0 && now - last_start >= ALONE_MS))
				max_transfers++;
		}
		timeout = shorter_wait(timeout, braze_exchange_send(delivery, http, max_transfers));
		if (braze_exchange_transfers() > under_way)
			last_start = now;
	}
	if (!braze_first_settle_done && now - last_start < ALONE_MS)
		timeout = shorter_wait(timeout, ALONE_MS - (now - last_start));
	return shorter_wait(timeout, braze_exchange_send_claimed(http));
}

static void
report_all(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		braze_delivery_report(lfirst(cell));
}

/* destinations, their options, keys and pauses; true when they were read anew */
static bool
refresh_if_due(int64 now)
{
	bool		changed = options_changed;
	bool		refreshed;

	/* before the reading: what is changed during it is read again */
	if (slot->refresh || braze_new_pauses)
	{
		slot->refresh = braze_new_pauses = false;
		next_refresh = 0;
	}
	if (!changed && now < next_refresh)
		return false;
	options_changed = false;
	refreshed = braze_round_refresh(changed);

	/* an invalidation during it says that something has changed since */
	if (!refreshed)
		options_changed = options_changed || changed;
	next_refresh = now + braze_nap;
	look = true;
	return refreshed;
}

static void
main_loop(BrazeHttp *http)
{
	for (;;)
	{
		int64		now = braze_now_ms();
		long		timeout = braze_nap;
		int			events;

		/*
		 * curl's callbacks are never under way here, so it may be left by
		 * longjmp
		 */
		if (ProcDiePending)
			end_process(http);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);

			/* delivery may be on from now: not before the pauses are read */
			next_refresh = 0;
		}

		/*
		 * The order is that of what may do harm.  What was purged is not to
		 * be sent, so it is looked for first.  Answers are taken, and settled
		 * when it pays, before more is read and sent: what a crash would have
		 * sent twice stays little.  What was claimed and not sent goes back
		 * before anything new is claimed.
		 */
		AcceptInvalidationMessages();
		(void) refresh_if_due(now);

		timeout = shorter_wait(timeout, drop_gone_if_due(now));
		take_answers(http);
		timeout = shorter_wait(timeout, settle_if_due(now));
		timeout = shorter_wait(timeout, release_if_due(now));
		timeout = shorter_wait(timeout, upkeep_if_due(now));
		if (braze_deliver)
			timeout = shorter_wait(timeout, read_if_due(now));

		/*
		 * what was read now may have been queued after a pause or ALTER
		 * SERVER
		 */
		AcceptInvalidationMessages();
		if (refresh_if_due(now))
			timeout = 0;

		/* the messages may have told of a TRUNCATE */
		timeout = shorter_wait(timeout, drop_gone_if_due(braze_now_ms()));
		timeout = shorter_wait(timeout, send_all(http));

		/* last, so that the status is never ahead of what has happened */
		report_all();

		timeout = shorter_wait(timeout, braze_http_timeout(http));
		events = WaitLatchOrSocket(MyLatch,
								   WL_LATCH_SET | WL_SOCKET_READABLE |
								   WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
								   braze_http_fd(http), timeout,
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
			look = true;
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
	braze_statement_init_worker();
	require_extension();

	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, server_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, server_changed, (Datum) 0);

	http = braze_http_create(MAX_CONNECTIONS, error, sizeof(error));
	if (http == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("segment_braze could not set up libcurl: %s", error)));
	ReserveExternalFD();		/* that of its epoll set */
	braze_http_announce_sockets(http, AcquireExternalFD, ReleaseExternalFD);
	braze_delivery_init();
	braze_round_init();
	braze_round_read_init();
	braze_notes_table_init();
	braze_profiles_table_init();
	end_timeout = RegisterTimeout(USER_TIMEOUT, raise_end_again);
	main_loop(http);
}
