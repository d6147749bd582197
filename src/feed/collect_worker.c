/*-------------------------------------------------------------------------
 *
 * collect_worker.c
 *	  The process that collects the calls of one origin.
 *
 * One for each origin, so that one that is down or hangs costs the others
 * nothing.  The worker of the database registers it, and it ends with that one.
 * It is connected as the role that called braze_collect.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/background_worker.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/message.h"
#include "base/wait_event.h"
#include "feed/collect_memory.h"
#include "feed/collect_remote.h"
#include "feed/collect_round.h"
#include "feed/collect_worker.h"

/*
 * nobody announces what is queued there: an origin is asked again after so long
 */
#define MIN_IDLE_MS		50
#define MAX_IDLE_MS		1000

/* the same after an error */
#define MIN_RETRY_MS	1000
#define MAX_RETRY_MS	30000

/*
 * what a concurrent transaction there is in the way of is tried again at once
 */
#define MAX_CONFLICTS	10

/* the rate is that of so long */
#define RATE_MS			10000

/* how much waits there is asked so often, and takes so little of the time */
#define COUNT_MS		10000
#define COUNT_SHARE		20

static BrazeCollectorSlot *slot;
static BrazeOrigin origin;
static BrazeCollectorFigures figures;
static MemoryContext loop_context;
static volatile sig_atomic_t end_wanted = false;

/* the last error may not come again, since rows are read more carefully */
static bool is_more_careful = false;

/* of the rate, and of counting */
static int64 rate_since;
static int64 rate_calls = 0;
static int64 next_count = 0;

/*
 * SIGTERM.  A wait for the origin is ended by cutting the connection: die()
 * would have postgres_fdw ask a server to cancel that may not answer.  Any
 * other wait is ended as usual.  A connection that is being made anew is cut by
 * the next signal, or ends by its own limit.
 */
static void
end_by_signal(SIGNAL_ARGS)
{
	end_wanted = true;
	braze_collect_remote_sever();
	if (braze_collect_remote_is_busy())
		SetLatch(MyLatch);
	else
		die(BRAZE_SIGNAL_ARGUMENTS);
}

/* nothing that ALTER ROLE or ALTER DATABASE sets may change what we do */
static void
fix_collector_settings(void)
{
	static const char *const settings[][2] = {
		{"role", "none"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"search_path", "pg_catalog, pg_temp"},
		{"lock_timeout", "10s"},
		{"idle_in_transaction_session_timeout", "0"},
		{"row_security", "off"},

		/* LLVM ends the process when there is no memory */
		{"jit", "off"},
		BRAZE_TIMEOUTS_SINCE_17
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);

	/*
	 * What is deleted there must not be lost here.  Set in any case: a reload
	 * could lower it otherwise.
	 */
	SetConfigOption("synchronous_commit",
					synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? "remote_apply" : "on",
					PGC_SUSET, PGC_S_OVERRIDE);
}

static bool
must_end(void)
{
	return end_wanted || ProcDiePending || braze_collector_slot_must_end(slot);
}

/* ----- what is said of it ----- */

static void
log_outage(const ErrorData *error)
{
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: no calls are collected from table %s of server \"%s\" into database \"%s\": %s",
					origin.table, NameStr(origin.server), braze_database_name(), error->message),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 errhint("It is tried again until it succeeds; braze_origins shows the state.")));
}

static void
log_recovery(void)
{
	long		seconds = (long) ((GetCurrentTimestamp() - figures.down_since) / USECS_PER_SEC);

	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: calls are collected again from table %s of server \"%s\" into database \"%s\", after %ld s",
					origin.table, NameStr(origin.server), braze_database_name(), seconds)));
}

static void
count_rate(int collected)
{
	int64		now = braze_now_ms();

	rate_calls += collected;
	if (now - rate_since < RATE_MS)
		return;
	figures.rate = rate_calls * 1000.0 / (now - rate_since);
	rate_calls = 0;
	rate_since = now;
}

static void
set_figure_text(char *to, const char *text)
{
	braze_message_copy(to, text, BRAZE_COLLECTOR_TEXT_SIZE);
}

static void
round_succeeded(const BrazeCollectRound *round)
{
	figures.collected += round->collected;
	figures.last_success = GetCurrentTimestamp();
	if (figures.down_since != 0)
		log_recovery();
	figures.down_since = 0;
	set_figure_text(figures.state, round->staying[0] == '\0' ? "collecting" :
					psprintf("collecting; some calls stay there: %s", round->staying));

	/* nothing is left there but what is about to be deleted */
	if (round->all && round->staying[0] == '\0')
	{
		figures.waiting = 0;
		figures.oldest = 0;
		next_count = 0;
	}
	count_rate(round->collected);
	braze_collector_slot_publish(slot, &figures);
}

static void
round_failed(const ErrorData *error)
{
	set_figure_text(figures.last_error, error->message);
	figures.last_error_at = GetCurrentTimestamp();
	set_figure_text(figures.state, psprintf("retrying: %s", error->message));
	if (figures.down_since == 0)
	{
		figures.down_since = figures.last_error_at;
		log_outage(error);
	}
	else
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: collecting failed again: %s", error->message)));
	count_rate(0);
	braze_collector_slot_publish(slot, &figures);
}

/* ----- rounds ----- */

static void
run_round(void *arg)
{
	braze_collect_round_run(&origin, arg);
}

/* a count of millions takes its time, so the next one comes much later */
static void
count_at_origin(void *arg)
{
	int64		began = braze_now_ms();

	figures.waiting = braze_collect_round_waiting(&origin, &figures.oldest);
	next_count = braze_now_ms() + Max(COUNT_MS, (braze_now_ms() - began) * COUNT_SHARE);
}

/* the error, when there was one; as a round of the worker */
static ErrorData *
attempt_transaction(void (*body) (void *arg), void *arg)
{
	ErrorData  *volatile error = NULL;

	pgstat_report_activity(STATE_RUNNING, "collecting calls");
	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		bool		timed_out = braze_collect_remote_failed();

		MemoryContextSwitchTo(loop_context);
		error = CopyErrorData();
		FlushErrorState();
		error->message = braze_message_clean(error->message);
		if (error->detail != NULL)
			error->detail = braze_message_clean(error->detail);
		if (timed_out)
		{
			error->message = psprintf("the origin did not answer in time: %s", error->message);
			error->sqlerrcode = ERRCODE_CONNECTION_FAILURE;
		}

		/* the error is copied by now: the abort frees the memory it was in */
		AbortCurrentTransaction();
		is_more_careful = braze_collect_round_reset(error->sqlerrcode);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(loop_context);
	pgstat_report_activity(STATE_IDLE, NULL);
	braze_report_stat();
	return error;
}

/* returns how long to wait for the next one */
static long
collect_once(void)
{
	static long idle = MIN_IDLE_MS;
	static long retry = MIN_RETRY_MS;
	static int	conflicts = 0;
	BrazeCollectRound round = {0};
	ErrorData  *error = attempt_transaction(run_round, &round);

	if (error == NULL && round.stopped)
		proc_exit(0);
	if (error == NULL)
		round_succeeded(&round);

	/*
	 * a round that found all of it, and left nothing there, knows the number
	 */
	if (error == NULL && (!round.all || round.staying[0] != '\0') && braze_now_ms() >= next_count)
		error = attempt_transaction(count_at_origin, NULL);
	if (error == NULL)
	{
		braze_collector_slot_publish(slot, &figures);
		conflicts = 0;
		retry = MIN_RETRY_MS;
		idle = round.collected > 0 ? MIN_IDLE_MS : Min(idle * 2, MAX_IDLE_MS);
		return round.more ? 0 : idle;
	}

	/* an end cuts the connection, and the error of that is not an outage */
	if (must_end())
		proc_exit(0);

	/*
	 * a conflict at the origin is over at once, and nobody needs to know of
	 * it
	 */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK && ++conflicts <= MAX_CONFLICTS)
		return MIN_IDLE_MS;
	if (is_more_careful)
	{
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: calls are read more carefully: %s", error->message)));
		return 0;
	}
	round_failed(error);
	retry = Min(retry * 2, MAX_RETRY_MS);
	return retry / 2;
}

static void
collect_until_end(void)
{
	for (;;)
	{
		long		wait;

		if (must_end())
			proc_exit(0);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			braze_collect_memory_bound();
		}
		MemoryContextReset(loop_context);
		wait = collect_once();
		if (wait == 0)
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, braze_wait_event(BRAZE_WAIT_COLLECTOR_NAP));
		ResetLatch(MyLatch);
	}
}

void
braze_collect_worker_main(Datum arg)
{
	BrazeCollectorStart start;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, end_by_signal);
	BackgroundWorkerUnblockSignals();

	memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
	slot = braze_collector_slot_attach(DatumGetInt32(arg), &start);
	if (slot == NULL)
		proc_exit(0);

	/* while we are in it nobody changes what it is about */
	origin.server = slot->server;
	strlcpy(origin.table, slot->table, sizeof(origin.table));
	origin.role = start.role;
	figures = slot->figures;
	rate_since = braze_now_ms();

	BackgroundWorkerInitializeConnectionByOid(start.database, start.role, BRAZE_BACKGROUND_FLAGS);
	fix_collector_settings();
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_OVERRIDE);
	StartTransactionCommand();
	braze_database_name_read();
	CommitTransactionCommand();
	loop_context = AllocSetContextCreate(TopMemoryContext, "segment_braze collector", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(loop_context);
	braze_collect_memory_bound();
	braze_collect_remote_init();
	(void) braze_collect_round_reset(0);
	collect_until_end();
}

bool
braze_collect_worker_register(int index, const char *server, const BrazeCollectorStart *start,
							  BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	StaticAssertStmt(sizeof(BrazeCollectorStart) <= BGW_EXTRALEN, "no room for what it is told");
	braze_background_worker_prepare(&worker, "braze_collect_worker_main", "segment_braze collector");
	snprintf(worker.bgw_name, BGW_MAXLEN, "segment_braze collector from \"%s\"", server);
	worker.bgw_main_arg = Int32GetDatum(index);
	memcpy(worker.bgw_extra, start, sizeof(*start));
	return RegisterDynamicBackgroundWorker(&worker, handle);
}
