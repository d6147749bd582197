/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  Numbers for machines, from shared memory alone: however much is queued,
 *	  they cost the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/queue_count.h"
#include "base/shmem.h"
#include "braze/endpoint.h"
#include "functions/srf.h"

enum
{
	METRIC_DESTINATION,
	METRIC_NAME,
	METRIC_LABELS,
	METRIC_VALUE,
	METRIC_COLUMNS
};

/* where the rows go, and what those of one destination have in common */
typedef struct Output
{
	ReturnSetInfo *result;
	BrazeDestinationSlot *slot; /* NULL: they are the database's */
} Output;

/* labels is the inside of a JSON object */
static void
put_metric(const Output *output, const char *name, const char *labels, double value)
{
	Datum		values[METRIC_COLUMNS];
	bool		nulls[METRIC_COLUMNS] = {false};

	values[METRIC_DESTINATION] = NameGetDatum(output->slot ? &output->slot->name : NULL);
	nulls[METRIC_DESTINATION] = (output->slot == NULL);
	values[METRIC_NAME] = CStringGetTextDatum(psprintf("segment_braze_%s", name));
	values[METRIC_LABELS] = DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("{%s}", labels)));
	values[METRIC_VALUE] = Float8GetDatum(value);
	tuplestore_putvalues(output->result->setResult, output->result->setDesc, values, nulls);
}

/* ----- of a destination ----- */

/* what the database's worker is doing for all of its destinations */
typedef enum WorkerState
{
	WORKER_MISSING,
	WORKER_OFF,					/* it runs, and segment_braze.deliver is off */
	WORKER_RUNNING
} WorkerState;

/* each state has a row, and the one that it is in the value 1 */
static void
put_state(const Output *output, WorkerState worker, int64 now)
{
	static const char *const states[] = {
		"running", "retrying", "waiting", "rate_limited", "paused", "not_started", "off", "no_worker"
	};
	const BrazeDestinationSlot *slot = output->slot;
	const char *state = "running";

	if (worker == WORKER_MISSING)
		state = "no_worker";
	else if (slot->state == BRAZE_DESTINATION_PAUSED)
		state = "paused";
	else if (worker == WORKER_OFF)
		state = "off";
	else if (slot->state == BRAZE_DESTINATION_NOT_STARTED)
		state = "not_started";
	else if (slot->state == BRAZE_DESTINATION_WAITING)
		state = "waiting";
	else if (slot->limit_ends > now)
		state = "rate_limited";
	else if (slot->state == BRAZE_DESTINATION_RETRYING)
		state = "retrying";
	for (int i = 0; i < lengthof(states); i++)
		put_metric(output, "destination_state", psprintf("\"state\":\"%s\"", states[i]),
				   strcmp(state, states[i]) == 0);
}

/* by wall clocks, of which one may be behind the other */
static double
seconds_since(TimestampTz moment, TimestampTz now)
{
	return moment >= now ? 0 : (double) (now - moment) / USECS_PER_SEC;
}

static void
put_gauges(const Output *output, WorkerState worker, TimestampTz wall)
{
	const BrazeDestinationSlot *slot = output->slot;
	const BrazeGauges *gauges = &slot->gauges;
	bool		has_worker = (worker != WORKER_MISSING);

	/* a worker that is gone holds nothing */
	put_metric(output, "requests_under_way", "", has_worker ? slot->in_flight : 0);
	put_metric(output, "held_calls", "", has_worker ? gauges->held_calls : 0);
	put_metric(output, "claimed_calls", "", has_worker ? gauges->claimed_calls : 0);
	put_metric(output, "held_bytes", "", has_worker ? gauges->held_bytes : 0);
	put_metric(output, "behind", "", has_worker && gauges->behind);
	if (gauges->oldest_id != 0)
	{
		put_metric(output, "oldest_call_id", "", gauges->oldest_id);
		if (!TIMESTAMP_NOT_FINITE(gauges->oldest_at))
			put_metric(output, "oldest_call_age_seconds", "", seconds_since(gauges->oldest_at, wall));
	}
	if (slot->last_success != 0)
		put_metric(output, "last_success_age_seconds", "", seconds_since(slot->last_success, wall));
}

/* what waits; unknown until a worker has counted it */
static void
put_pending(const Output *output)
{
	BrazeSizeCounter *size = &output->slot->size;
	bool		exact;

	if (braze_queue_count_is_known(&exact))
	{
		put_metric(output, "pending_calls", "", (double) braze_size_counter_calls(size));
		put_metric(output, "pending_bytes", "", (double) braze_size_counter_committed(size));
	}
	put_metric(output, "pending_exact", "", exact);
	if (output->slot->dead_letters >= 0)
		put_metric(output, "dead_letters", "", (double) output->slot->dead_letters);
}

static void
put_limits(const Output *output, int64 now)
{
	static const char *const services[BRAZE_FIGURE_SERVICES] = {"track", "identity"};
	const BrazeDestinationSlot *slot = output->slot;
	const int64 ends[BRAZE_FIGURE_SERVICES] = {slot->limit_ends, slot->identity_limit_ends};

	for (int i = 0; i < BRAZE_FIGURE_SERVICES; i++)
	{
		const char *labels = psprintf("\"service\":\"%s\"", services[i]);

		put_metric(output, "rate_limit_wait_seconds", labels, Max(ends[i] - now, 0) / 1000.0);
		if (slot->gauges.remaining[i] >= 0)
			put_metric(output, "rate_limit_remaining_requests", labels, slot->gauges.remaining[i]);
	}
}

static void
put_counts(const Output *output)
{
	static const struct
	{
		BrazeCounter counter;
		const char *name;
	}			counters[] = {
		{BRAZE_COUNT_DELIVERED, "delivered_calls_total"},
		{BRAZE_COUNT_SKIPPED, "skipped_calls_total"},
		{BRAZE_COUNT_REJECTED, "rejected_calls_total"},
		{BRAZE_COUNT_DUPLICATES, "duplicate_calls_total"},
		{BRAZE_COUNT_DROPPED, "dropped_calls_total"},
		{BRAZE_COUNT_RETRIES, "retried_requests_total"},
		{BRAZE_COUNT_AMBIGUOUS_RESENDS, "ambiguous_resent_requests_total"},
		{BRAZE_COUNT_AMBIGUOUS_CALLS, "ambiguous_calls_total"},
		{BRAZE_COUNT_UNCHANGED, "unchanged_attributes_total"}
	};
	BrazeDestinationSlot *slot = output->slot;

	put_metric(output, "queued_calls_total", "", (double) pg_atomic_read_u64(&slot->size.queued));
	for (int i = 0; i < lengthof(counters); i++)
		put_metric(output, counters[i].name, "", (double) slot->counts[counters[i].counter]);
	for (int i = 0; i < BRAZE_KINDS; i++)
		put_metric(output, "accepted_objects_total", psprintf("\"kind\":\"%s\"", braze_kinds[i].array),
				   (double) slot->sums.objects[i]);
}

static void
put_requests(const Output *output)
{
	static const char *const classes[BRAZE_STATUS_CLASSES] = {
		[BRAZE_STATUS_NONE] = "none",
		[BRAZE_STATUS_1XX] = "1xx",
		[BRAZE_STATUS_2XX] = "2xx",
		[BRAZE_STATUS_3XX] = "3xx",
		[BRAZE_STATUS_4XX] = "4xx",
		[BRAZE_STATUS_429] = "429",
		[BRAZE_STATUS_5XX] = "5xx"
	};

	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		for (int j = 0; j < BRAZE_STATUS_CLASSES; j++)
			put_metric(output, "requests_total",
					   psprintf("\"endpoint\":\"%s\",\"status\":\"%s\"", braze_endpoints[i].path, classes[j]),
					   (double) output->slot->sums.requests[i][j]);
	}
	put_metric(output, "request_body_bytes_total", "", (double) output->slot->sums.bytes);
}

/* cumulative, as Prometheus has it */
static void
put_histogram(const Output *output, const char *name, const BrazeHistogram *histogram)
{
	const char *bucket = psprintf("%s_bucket", name);
	double		count = (double) braze_histogram_up_to(histogram, BRAZE_HISTOGRAM_BOUNDS);

	for (int i = 0; i < BRAZE_HISTOGRAM_BOUNDS; i++)
		put_metric(output, bucket, psprintf("\"le\":\"%g\"", braze_histogram_bounds_ms[i] / 1000.0),
				   (double) braze_histogram_up_to(histogram, i));
	put_metric(output, bucket, "\"le\":\"+Inf\"", count);
	put_metric(output, psprintf("%s_sum", name), "", histogram->seconds);
	put_metric(output, psprintf("%s_count", name), "", count);
}

static void
put_destination(ReturnSetInfo *result, BrazeDestinationSlot *slot, WorkerState worker)
{
	Output		output = {result, slot};
	int64		now = braze_now_ms();
	TimestampTz wall = GetCurrentTimestamp();

	put_state(&output, worker, now);
	put_pending(&output);
	put_gauges(&output, worker, wall);
	put_limits(&output, now);
	put_counts(&output);
	put_requests(&output);
	put_histogram(&output, "request_duration_seconds", &slot->sums.request_time);
	put_histogram(&output, "delivery_duration_seconds", &slot->sums.delivery_time);
}

/* ----- of the database ----- */

static WorkerState
worker_state(void)
{
	const BrazeDatabaseSlot *slot;
	bool		running;

	slot = braze_shmem_lock_own_database(LW_SHARED);
	running = (slot != NULL && slot->pid != 0 && slot->state == BRAZE_DATABASE_RUNNING);
	LWLockRelease(braze_shared->lock);
	return !running ? WORKER_MISSING : braze_deliver ? WORKER_RUNNING : WORKER_OFF;
}

/* what the server's own statistics say of a table: no row is read for it */
static void
put_table(const Output *output, const char *name, Oid table)
{
	int64		rows = DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples,
														 ObjectIdGetDatum(table)));

	put_metric(output, name, "\"exact\":\"false\"", (double) Max(rows, 0));
}

/* names are the user's, with any characters */
static char *
origin_labels(const BrazeCollectorSlot *slot)
{
	StringInfoData labels;

	initStringInfo(&labels);
	appendStringInfoString(&labels, "\"origin_server\":");
	escape_json(&labels, NameStr(slot->server));
	appendStringInfoString(&labels, ",\"origin_table\":");
	escape_json(&labels, slot->table);
	return labels.data;
}

static void
put_origin(const Output *output, const BrazeCollectorSlot *slot)
{
	const BrazeCollectorFigures *figures = &slot->figures;
	const char *labels = origin_labels(slot);
	TimestampTz wall = GetCurrentTimestamp();

	/* one that has never answered must be seen as well */
	put_metric(output, "origin_last_success_age_seconds", labels,
			   seconds_since(figures->last_success != 0 ? figures->last_success : slot->made_at, wall));
	if (figures->waiting >= 0)
		put_metric(output, "origin_waiting_calls", labels, (double) figures->waiting);
	if (figures->waiting > 0 && figures->oldest != 0)
		put_metric(output, "origin_oldest_call_age_seconds", labels, seconds_since(figures->oldest, wall));
}

static void
put_origins(const Output *output)
{
	BrazeCollectorSlot copy;

	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		LWLockAcquire(braze_shared->lock, LW_SHARED);
		copy.database = braze_shared->collectors[i].database;
		if (copy.database == MyDatabaseId)
			copy = braze_shared->collectors[i];
		LWLockRelease(braze_shared->lock);
		if (copy.database == MyDatabaseId)
			put_origin(output, &copy);
	}
}

BRAZE_SQL_FUNCTION(braze_metrics);
Datum
braze_metrics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Output		output = {result, NULL};
	const BrazeCatalog *catalog = braze_catalog_required();
	WorkerState worker = WORKER_MISSING;
	BrazeDestinationSlot copy;
	MemoryContext context;		/* there may be many destinations */
	MemoryContext old;

	braze_srf_materialize(fcinfo, METRIC_COLUMNS);
	context = AllocSetContextCreate(CurrentMemoryContext, "braze_metrics", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	if (braze_shared != NULL)
		worker = worker_state();
	put_metric(&output, "worker_running", "", worker != WORKER_MISSING);
	put_table(&output, "queue_rows", catalog->queue);
	put_table(&output, "dead_letter_rows", catalog->dead_letters);
	if (braze_shared != NULL)
		put_origins(&output);
	for (int i = 0; braze_shared != NULL && i < braze_max_destinations; i++)
	{
		if (braze_shmem_copy_own_destination(i, &copy))
			put_destination(result, &copy, worker);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
