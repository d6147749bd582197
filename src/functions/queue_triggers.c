/*-------------------------------------------------------------------------
 *
 * queue_triggers.c
 *	  The triggers of our tables, and functions, that wake the processes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/statement.h"
#include "base/worker_wake.h"
#include "queue/column_values.h"
#include "queue/queued_ids.h"
#include "queue/queued_in_transaction.h"

#define REPLICA_TRIGGER		"braze_notify_replicated"

/*
 * What the worker itself does to our tables it knows.  A statement in
 * somebody's trigger that the worker fires is not the worker's.
 */
static bool
is_of_worker(FunctionCallInfo fcinfo)
{
	return braze_statement_is_worker() && DatumGetInt32(pg_trigger_depth(fcinfo)) <= 1;
}

/*
 * One trigger is for rows that logical replication applies, the other for those
 * of plain INSERT and COPY.  Whoever enables both for all must not have them
 * count twice.
 */
static void
count_row(const TriggerData *data)
{
	bool		replicated = (strcmp(data->tg_trigger->tgname, REPLICA_TRIGGER) == 0);
	const Datum *values;
	NameData	destination;

	if (RelationGetRelid(data->tg_relation) != braze_catalog_required()->queue ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BY_INSERT(data->tg_event) ||
		replicated != (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA))
		return;
	slot_getsomeattrs(data->tg_trigslot, BRAZE_QUEUE_CALL);
	values = data->tg_trigslot->tts_values;
	braze_column_values_destination(values[BRAZE_QUEUE_DESTINATION - 1], &destination);

	/* the size as stored: nothing is fetched for it */
	braze_queued_in_transaction_add(NameStr(destination),
									DatumGetInt64(values[BRAZE_QUEUE_ID - 1]),
									toast_datum_size(values[BRAZE_QUEUE_CALL - 1]));
}

/*
 * The functions that queue wake the worker themselves, and count; this does it
 * for plain INSERT and COPY, and for what logical replication applies.
 */
BRAZE_SQL_FUNCTION(braze_notify_queued);
Datum
braze_notify_queued(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("braze_notify_queued is a trigger function"),
				 errhint("It is for the triggers of braze_queue.")));
	braze_worker_wake_at_commit();

	/* what the worker puts back it counts itself */
	if (!is_of_worker(fcinfo))
		count_row((TriggerData *) fcinfo->context);

	/*
	 * Ids of a plain INSERT are this transaction's, too, and no role's: a
	 * range of braze_queued's must not go on over them.
	 */
	braze_queued_ids_interrupt();
	return PointerGetDatum(NULL);
}

/* the same for pauses and starts, and for calls that are deleted */
BRAZE_SQL_FUNCTION(braze_notify_changed);
Datum
braze_notify_changed(PG_FUNCTION_ARGS)
{
	const BrazeCatalog *catalog;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("braze_notify_changed is a trigger function"),
				 errhint("It is for the triggers of braze_queue, braze_paused and braze_started.")));

	if (is_of_worker(fcinfo))
		return PointerGetDatum(NULL);

	/*
	 * Where a table was altered, deleting rows may be what repairs it, and no
	 * worker runs that would have to know.
	 */
	catalog = braze_catalog();
	if (catalog != NULL &&
		RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation) == catalog->queue)
		braze_worker_wake_purged_at_commit();
	else
		braze_worker_wake_refresh_at_commit();
	return PointerGetDatum(NULL);
}

/*
 * After a change of braze_paused or of the queue by plain SQL; the argument
 * says that calls were taken out of the queue.
 */
BRAZE_SQL_FUNCTION(braze_notify_worker);
Datum
braze_notify_worker(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
		braze_worker_wake_purged_at_commit();
	else
		braze_worker_wake_refresh_at_commit();
	PG_RETURN_VOID();
}

/* the last words of CREATE EXTENSION */
BRAZE_SQL_FUNCTION(braze_request_worker);
Datum
braze_request_worker(PG_FUNCTION_ARGS)
{
	braze_worker_wake_launcher_at_commit();
	PG_RETURN_VOID();
}
