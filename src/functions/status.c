/*-------------------------------------------------------------------------
 *
 * status.c
 *	  What shared memory knows, for the view braze_status.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/preload.h"
#include "base/queue_count.h"
#include "base/shmem.h"
#include "base/worker_wake.h"
#include "functions/srf.h"
#include "functions/status.h"
#include "worker/worker.h"

/* 2 MB, which take about 3 ms to read */
#define SMALL_BLOCKS	256

/* such a database is given no worker, and one that it had may still be there */
static const char *
why_not_served(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	const char *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (((Form_pg_database) GETSTRUCT(tuple))->datistemplate)
		reason = "no worker: this database is a template, which ALTER DATABASE ... IS_TEMPLATE false ends";
	else if (!((Form_pg_database) GETSTRUCT(tuple))->datallowconn)
		reason = "no worker: this database does not allow connections, which ALTER DATABASE ... ALLOW_CONNECTIONS true ends";
	ReleaseSysCache(tuple);
	return reason;
}

/* for people: a moment of braze_now_ms()'s clock, or now if it is past */
static const char *
moment_text(int64 moment)
{
	int64		left = moment - braze_now_ms();
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Max(left, 0));

	/* whole seconds: two looks say the same */
	until += USECS_PER_SEC - 1;
	return timestamptz_to_str(until - until % USECS_PER_SEC);
}

/*
 * the launcher waits after a crash; since is when that began, on our own clock
 */
static const char *
crash_wait_text(int64 since)
{
	return psprintf("starting: the server has crashed, nothing is sent before %s; to begin sooner, lower segment_braze.restart_delay and reload",
					moment_text(since + braze_restart_delay * INT64CONST(1000)));
}

const char *
braze_status_why_no_worker(bool *starting)
{
	BrazeDatabaseSlot *slot;
	BrazeDatabaseState state = BRAZE_DATABASE_WANTED;
	char		settle_blocked[BRAZE_MESSAGE_SIZE] = "";
	char		read_blocked[BRAZE_MESSAGE_SIZE] = "";
	bool		running = false;
	bool		waits_for_proof = false;
	bool		launcher;
	bool		launcher_started;
	int64		crash_wait_from;
	const char *not_served;

	*starting = false;
	if (!braze_preload_is_done())
		return BRAZE_NOT_PRELOADED;
	if (RecoveryInProgress())
		return "no worker: this server is a standby, calls are sent after its promotion";

	/*
	 * Whoever asks wants calls to be sent: a database that the launcher does
	 * not know of becomes known by this.
	 */
	braze_worker_wake_mark_database();
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	launcher = (braze_shared->launcher_pid != 0);
	launcher_started = braze_shared->launcher_started;
	crash_wait_from = braze_shared->crash_wait_from;
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
	{
		state = slot->state;
		running = (slot->pid != 0 && state == BRAZE_DATABASE_RUNNING);
		waits_for_proof = slot->waits_for_proof;

		/*
		 * Copied, not formatted: an error for lack of memory must not come
		 * while the lock is held.
		 */
		strlcpy(settle_blocked, slot->settle_blocked, BRAZE_MESSAGE_SIZE);
		strlcpy(read_blocked, slot->read_blocked, BRAZE_MESSAGE_SIZE);
	}
	else if (braze_shmem_database(InvalidOid, false) == NULL)
		state = BRAZE_DATABASE_NO_SLOT; /* there are no more of them than
										 * workers */
	LWLockRelease(braze_shared->lock);

	/*
	 * In the order of what keeps calls from being sent: what is said first is
	 * what has to be put right first.
	 */
	if (running && settle_blocked[0] != '\0')
		return psprintf("waiting: what was answered cannot be settled, and is tried again each second: %s",
						settle_blocked);
	if (running && read_blocked[0] != '\0')
		return psprintf("waiting: the queue cannot be read, and is tried again each second: %s",
						read_blocked);
	if (running && waits_for_proof && braze_deliver)
		return "waiting: the worker stood still, and no synchronous standby has confirmed a commit since; if this server is the primary, start the standby, or empty synchronous_standby_names and reload, otherwise stop this server";
	if (running)
		return braze_deliver ? NULL :
			"off: segment_braze.deliver is off, set it on and reload to send";
	if (state == BRAZE_DATABASE_OUTDATED && braze_catalog() == NULL &&
		braze_catalog_problem() != NULL)
		return psprintf("no worker: %s; run %s", braze_catalog_problem()->message,
						braze_catalog_problem()->command);

	/* after the states of a worker that is there: it may be about to end */
	not_served = why_not_served();
	if (not_served != NULL)
		return not_served;
	if (launcher && crash_wait_from != 0)
		return crash_wait_text(crash_wait_from);
	if (state == BRAZE_DATABASE_NO_SLOT)
		return "no worker: no background worker is free, increase max_worker_processes and restart the server";
	if (!launcher_started)
		return "no worker: the launcher was not started; unless the server is just starting, increase max_worker_processes and restart the server";
	if (!launcher)
		return "no worker: the launcher is not running; it is started again within a second, and if this state stays, the server log says why";
	*starting = true;
	return "starting: the worker is on its way; if this state stays, the server log says why";
}

BRAZE_SQL_FUNCTION(braze_worker_state);
Datum
braze_worker_state(PG_FUNCTION_ARGS)
{
	bool		starting;
	const char *reason = braze_status_why_no_worker(&starting);

	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

/* NULL: a destination that is not counted yet can have a place */
BRAZE_SQL_FUNCTION(braze_not_counted);
Datum
braze_not_counted(PG_FUNCTION_ARGS)
{
	bool		has_place = true;

	if (braze_shared != NULL)
	{
		LWLockAcquire(braze_shared->lock, LW_SHARED);
		has_place = braze_shmem_has_place();
		LWLockRelease(braze_shared->lock);
	}
	if (has_place)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text("not counted: its calls are sent, and nothing is known of them here; "
									 "increase segment_braze.max_destinations and restart the server"));
}

/* NULL: none */
static const char *
reason_text(const BrazeDestinationSlot *slot)
{
	if (slot->paused[0] != '\0')
		return slot->paused;
	if (slot->state == BRAZE_DESTINATION_RUNNING && slot->limit_ends <= braze_now_ms() &&
		slot->identity_limit_ends > braze_now_ms())
		return psprintf("calls that join, merge or delete users wait for Braze's limit until %s",
						moment_text(slot->identity_limit_ends));
	return NULL;
}

static const char *
state_name(const BrazeDestinationSlot *slot)
{
	/* whatever was tried before: nothing is sent before that moment */
	if ((slot->state == BRAZE_DESTINATION_RUNNING || slot->state == BRAZE_DESTINATION_RETRYING) &&
		slot->limit_ends > braze_now_ms())
		return psprintf("waiting for Braze's limit until %s", moment_text(slot->limit_ends));
	switch (slot->state)
	{
		case BRAZE_DESTINATION_RUNNING:
			return "running";
		case BRAZE_DESTINATION_RETRYING:
			return "retrying";
		case BRAZE_DESTINATION_WAITING:
			return "waiting";
		case BRAZE_DESTINATION_PAUSED:
			return "paused";
		case BRAZE_DESTINATION_NOT_STARTED:
			return "not started here";
	}
	return "unknown";
}

enum
{
	COUNTER_DESTINATION,
	COUNTER_STATE,
	COUNTER_REASON,
	COUNTER_IN_FLIGHT,
	COUNTER_FIRST_COUNT,		/* those of BrazeCounter, in its order */
	COUNTER_LAST_ERROR = COUNTER_FIRST_COUNT + BRAZE_COUNTERS,
	COUNTER_LAST_ERROR_AT,
	COUNTER_LAST_SUCCESS,
	COUNTER_PENDING,
	COUNTER_PENDING_BYTES,
	COUNTER_OLDEST,
	COUNTER_EXACT,
	COUNTER_CLAIMED,
	COUNTER_DEAD_LETTERS,
	COUNTER_COLUMNS
};

static void
put_counters(Tuplestorestate *store, TupleDesc desc, BrazeDestinationSlot *slot)
{
	Datum		values[COUNTER_COLUMNS];
	bool		nulls[COUNTER_COLUMNS] = {false};
	const char *reason = reason_text(slot);
	bool		exact;
	bool		known = braze_queue_count_is_known(&exact);

	values[COUNTER_DESTINATION] = NameGetDatum(&slot->name);
	values[COUNTER_STATE] = CStringGetTextDatum(state_name(slot));
	values[COUNTER_REASON] = CStringGetTextDatum(reason ? reason : "");
	nulls[COUNTER_REASON] = (reason == NULL);
	values[COUNTER_IN_FLIGHT] = Int32GetDatum(slot->in_flight);
	for (int i = 0; i < BRAZE_COUNTERS; i++)
		values[COUNTER_FIRST_COUNT + i] = Int64GetDatum(slot->counts[i]);
	values[COUNTER_LAST_ERROR] = CStringGetTextDatum(slot->last_error);
	nulls[COUNTER_LAST_ERROR] = (slot->last_error_at == 0);
	values[COUNTER_LAST_ERROR_AT] = TimestampTzGetDatum(slot->last_error_at);
	nulls[COUNTER_LAST_ERROR_AT] = (slot->last_error_at == 0);
	values[COUNTER_LAST_SUCCESS] = TimestampTzGetDatum(slot->last_success);
	nulls[COUNTER_LAST_SUCCESS] = (slot->last_success == 0);
	values[COUNTER_PENDING] = Int64GetDatum(braze_size_counter_calls(&slot->size));
	nulls[COUNTER_PENDING] = !known;
	values[COUNTER_PENDING_BYTES] = Int64GetDatum(braze_size_counter_committed(&slot->size));
	nulls[COUNTER_PENDING_BYTES] = !known;
	values[COUNTER_OLDEST] = TimestampTzGetDatum(slot->gauges.oldest_at);
	nulls[COUNTER_OLDEST] = (slot->gauges.oldest_id == 0 || TIMESTAMP_NOT_FINITE(slot->gauges.oldest_at));
	values[COUNTER_EXACT] = BoolGetDatum(exact);
	values[COUNTER_CLAIMED] = Int64GetDatum(slot->gauges.claimed_calls);
	values[COUNTER_DEAD_LETTERS] = Int64GetDatum(slot->dead_letters);
	nulls[COUNTER_DEAD_LETTERS] = (slot->dead_letters < 0);
	tuplestore_putvalues(store, desc, values, nulls);
}

/* is the table so small that reading it costs less than a count is worth? */
BRAZE_SQL_FUNCTION(braze_is_small);
Datum
braze_is_small(PG_FUNCTION_ARGS)
{
	const BrazeCatalog *catalog = braze_catalog();
	Relation	rel;
	BlockNumber blocks;

	/* the status is to say that the extension has to be updated */
	if (catalog == NULL)
		PG_RETURN_BOOL(false);
	rel = braze_catalog_open(PG_GETARG_BOOL(0) ? catalog->dead_letters : catalog->queue, AccessShareLock);
	blocks = RelationGetNumberOfBlocks(rel);
	table_close(rel, AccessShareLock);
	PG_RETURN_BOOL(blocks <= SMALL_BLOCKS);
}

BRAZE_SQL_FUNCTION(braze_counters);
Datum
braze_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	BrazeDestinationSlot copy;

	braze_srf_materialize(fcinfo, COUNTER_COLUMNS);
	for (int i = 0; braze_shared != NULL && i < braze_max_destinations; i++)
	{
		if (braze_shmem_copy_own_destination(i, &copy))
			put_counters(result->setResult, result->setDesc, &copy);
	}
	PG_RETURN_VOID();
}
