/*-------------------------------------------------------------------------
 *
 * queue_triggers.c
 *	  The triggers of our tables, and functions, that wake the processes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/statement.h"
#include "base/worker_wake.h"
#include "queue/queued_ids.h"

/*
 * The functions that queue wake the worker themselves; this does it for plain
 * INSERT and COPY, and for what logical replication applies.
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
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("braze_notify_changed is a trigger function"),
				 errhint("It is for the triggers of braze_queue, braze_paused and braze_started.")));

	/* what the worker does it knows */
	if (braze_statement_is_worker())
		return PointerGetDatum(NULL);
	if (RelationGetRelid(((TriggerData *) fcinfo->context)->tg_relation) ==
		braze_catalog_required()->queue)
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
