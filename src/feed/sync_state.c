/*-------------------------------------------------------------------------
 *
 * sync_state.c
 *	  How far a sync is, for people and for its next run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/catalog.h"
#include "feed/sync_state.h"
#include "feed/sync_table.h"

/* runs are kept for so long */
#define RUNS_KEPT	"30 days"

/* the next run of one that ended since its destination took nothing */
#define RETRY_AFTER "5 min"

/* the state of events is trimmed when so much of the window has passed */
#define TRIM_SHARE	8

/*
 * "late" is at most 100 years, and moments begin in 4714 BC: this is in 2000 BC
 */
#define OLD_EVENT	(-INT64CONST(4000) * 366 * USECS_PER_DAY)

BrazeSync  *
braze_sync_state_load(int64 id)
{
	BrazeSync  *sync = braze_sync_table_find_id(id);

	if (sync == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the sync was dropped meanwhile")));
	return sync;
}

static void
read_pid(HeapTuple row, TupleDesc desc, void *arg)
{
	bool		isnull;
	Datum		pid = SPI_getbinval(row, desc, 1, &isnull);

	*(int *) arg = isnull ? 0 : DatumGetInt32(pid);
}

int
braze_sync_state_pid(int64 id)
{
	BrazeSyncArguments arguments = {0};
	int			pid = 0;

	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(id));
	braze_sync_table_read(psprintf("SELECT pid FROM %s WHERE id = $1", braze_sync_table_syncs()),
						  &arguments, NULL, read_pid, &pid);
	return pid;
}

/* ----- a run, from its begin to its end ----- */

static void
make_seed(BrazeSync *sync)
{
	if (sync->has_seed)
		return;
	if (!pg_strong_random(&sync->seed, sizeof(sync->seed)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	sync->has_seed = true;
}

static Datum
seed_bytes(const BrazeSync *sync)
{
	bytea	   *bytes = palloc(VARHDRSZ + sizeof(sync->seed));

	SET_VARSIZE(bytes, VARHDRSZ + sizeof(sync->seed));
	memcpy(VARDATA(bytes), &sync->seed, sizeof(sync->seed));
	return PointerGetDatum(bytes);
}

/*
 * Of a run that ended without a word, and of those that are old.  Only the run
 * that began last may be unfinished; all the others need not be read.
 */
static void
close_earlier_runs(const BrazeSync *sync)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments arguments = {0};

	braze_sync_table_add_text(&arguments, sync->name);
	(void) braze_sync_table_write(catalog->sync_runs, CMD_UPDATE,
								  psprintf("UPDATE %s SET finished = clock_timestamp(), "
										   "error = 'its process ended before it had finished' "
										   "WHERE sync = $1 AND finished IS NULL "
										   "AND started = (SELECT s.started FROM %s s WHERE s.name = $1)",
										   braze_sync_table_runs(), braze_sync_table_syncs()), &arguments);
	(void) braze_sync_table_write(catalog->sync_runs, CMD_DELETE,
								  psprintf("DELETE FROM %s WHERE sync = $1 AND started < now() - interval '" RUNS_KEPT "'",
										   braze_sync_table_runs()), &arguments);
}

void
braze_sync_state_begin(BrazeSync *sync, BrazeSyncProgress *progress)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments of_run = {0};
	BrazeSyncArguments of_sync = {0};

	progress->status = "reading";
	progress->started = GetCurrentTimestamp();
	make_seed(sync);
	close_earlier_runs(sync);
	braze_sync_table_add_text(&of_run, sync->name);
	braze_sync_table_add(&of_run, TIMESTAMPTZOID, TimestampTzGetDatum(progress->started));
	(void) braze_sync_table_write(catalog->sync_runs, CMD_INSERT,
								  psprintf("INSERT INTO %s (sync, started) VALUES ($1, $2)",
										   braze_sync_table_runs()), &of_run);
	braze_sync_table_add(&of_sync, INT8OID, Int64GetDatum(sync->id));
	braze_sync_table_add(&of_sync, TIMESTAMPTZOID, TimestampTzGetDatum(progress->started));
	braze_sync_table_add(&of_sync, INT4OID, Int32GetDatum(MyProcPid));
	braze_sync_table_add(&of_sync, BYTEAOID, seed_bytes(sync));
	braze_sync_table_add(&of_sync, OIDOID, ObjectIdGetDatum(braze_sync_table_owner(sync)));
	braze_sync_table_add(&of_sync, INT8OID, Int64GetDatum((int64) GetSystemIdentifier()));
	braze_sync_table_add_text(&of_sync, sync->owner);
	(void) braze_sync_table_write(catalog->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET status = 'reading', started = $2, pid = $3, seed = $4, "
										   "owner_oid = $5, system_identifier = $6, owner = $7, "
										   "next_run = $2 + every, rows_read = NULL, rows_to_queue = NULL, rows_queued = NULL "
										   "WHERE id = $1", braze_sync_table_syncs()), &of_sync);
}

bool
braze_sync_state_progress(int64 id, const BrazeSyncProgress *progress)
{
	BrazeSyncArguments arguments = {0};

	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(id));
	braze_sync_table_add_text(&arguments, progress->status);
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(progress->read));
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(progress->to_queue));
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(progress->queued));
	return braze_sync_table_write(braze_catalog_required()->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET status = $2, rows_read = $3, rows_to_queue = $4, rows_queued = $5 "
										   "WHERE id = $1", braze_sync_table_syncs()), &arguments) > 0;
}

/* writes that the run has ended; with an error it has no counts of rows */
static void
end_run(const BrazeSync *sync, const BrazeSyncProgress *progress, const char *status,
		const BrazeSyncCounts *counts, const char *error)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments of_run = {0};
	BrazeSyncArguments of_sync = {0};

	braze_sync_table_add_text(&of_run, sync->name);
	braze_sync_table_add(&of_run, TIMESTAMPTZOID, TimestampTzGetDatum(progress->started));
	braze_sync_table_add(&of_run, INT8OID, Int64GetDatum(counts->added));
	braze_sync_table_add(&of_run, INT8OID, Int64GetDatum(counts->changed));
	braze_sync_table_add(&of_run, INT8OID, Int64GetDatum(counts->removed));
	braze_sync_table_add(&of_run, INT8OID, Int64GetDatum(counts->unchanged));
	braze_sync_table_add(&of_run, INT8OID, Int64GetDatum(counts->rejected));
	braze_sync_table_add_text(&of_run, error);
	(void) braze_sync_table_write(catalog->sync_runs, CMD_UPDATE,
								  psprintf("UPDATE %s SET finished = clock_timestamp(), "
										   "added = CASE WHEN $8 IS NULL THEN $3 END, changed = CASE WHEN $8 IS NULL THEN $4 END, "
										   "removed = CASE WHEN $8 IS NULL THEN $5 END, unchanged = CASE WHEN $8 IS NULL THEN $6 END, "
										   "rejected = CASE WHEN $8 IS NULL THEN $7 END, error = $8 "
										   "WHERE sync = $1 AND started = $2", braze_sync_table_runs()), &of_run);
	braze_sync_table_add(&of_sync, INT8OID, Int64GetDatum(sync->id));
	braze_sync_table_add_text(&of_sync, status);
	braze_sync_table_add(&of_sync, INT8OID, Int64GetDatum(progress->queued));
	(void) braze_sync_table_write(catalog->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET status = $2, pid = NULL, rows_queued = $3 WHERE id = $1",
										   braze_sync_table_syncs()), &of_sync);
}

void
braze_sync_state_finish(const BrazeSync *sync, const BrazeSyncProgress *progress,
						const BrazeSyncCounts *counts)
{
	end_run(sync, progress, "finished", counts, NULL);
}

void
braze_sync_state_fail(const BrazeSync *sync, const BrazeSyncProgress *progress, const ErrorData *error)
{
	BrazeSyncCounts none = {0};
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, error->message);
	if (error->detail != NULL)
		appendStringInfo(&text, ".  %s", error->detail);
	if (error->hint != NULL)
		appendStringInfo(&text, "  %s", error->hint);
	end_run(sync, progress, psprintf("failed: %s", error->message), &none, text.data);
}

void
braze_sync_state_run_soon(const BrazeSync *sync)
{
	BrazeSyncArguments arguments = {0};

	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(sync->id));
	(void) braze_sync_table_write(braze_catalog_required()->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET next_run = least(next_run, clock_timestamp() + interval '" RETRY_AFTER "') "
										   "WHERE id = $1", braze_sync_table_syncs()), &arguments);
}

/* ----- events ----- */

TimestampTz
braze_sync_state_window(const BrazeSync *sync, TimestampTz at)
{
	/* nothing is earlier than what has no room for "late" before it */
	if (at < OLD_EVENT)
		return MIN_TIMESTAMP;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(at),
												   IntervalPGetDatum(sync->late)));
}

/*
 * An event that lies in the future is one that somebody mistyped: it must not
 * keep those of the years until then from being found.  The run may have lasted
 * for days, and has seen none of what came after its begin.
 */
void
braze_sync_state_advance(const BrazeSync *sync, TimestampTz last_time, TimestampTz started)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments of_sync = {0};
	BrazeSyncArguments of_state = {0};
	TimestampTz at = Min(last_time, started);
	TimestampTz window;
	bool		trims;

	if (sync->has_cursor)
		at = Max(at, sync->cursor_at);
	window = braze_sync_state_window(sync, at);

	/*
	 * A month before the 31st is the last of a month that has no 31st, so a
	 * later moment may have a window that begins up to a day earlier.
	 */
	if (sync->late->month != 0)
		window = Max(window - USECS_PER_DAY, MIN_TIMESTAMP);
	trims = !sync->has_forgotten ||
		window - sync->forgotten_before >= (at - window) / TRIM_SHARE;
	braze_sync_table_add(&of_sync, INT8OID, Int64GetDatum(sync->id));
	braze_sync_table_add(&of_sync, TIMESTAMPTZOID, TimestampTzGetDatum(at));
	braze_sync_table_add(&of_sync, TIMESTAMPTZOID, TimestampTzGetDatum(window));
	(void) braze_sync_table_write(catalog->syncs, CMD_UPDATE,
								  psprintf("UPDATE %s SET cursor_at = $2, forgotten_before = %s WHERE id = $1",
										   braze_sync_table_syncs(), trims ? "$3" : "coalesce(forgotten_before, $3)"),
								  &of_sync);
	if (!trims)
		return;
	braze_sync_table_add(&of_state, INT8OID, Int64GetDatum(sync->id));
	braze_sync_table_add(&of_state, INT8OID, Int64GetDatum(window));
	(void) braze_sync_table_write(catalog->sync_state, CMD_DELETE,
								  psprintf("DELETE FROM %s WHERE sync = $1 AND hash < $2",
										   braze_sync_table_state()), &of_state);
}
