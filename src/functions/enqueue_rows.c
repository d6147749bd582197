/*-------------------------------------------------------------------------
 *
 * enqueue_rows.c
 *	  braze_enqueue_rows: the calls of a query, in parts.
 *
 * The query is run once, under one snapshot.  Its result is kept as that of a
 * cursor WITH HOLD is, in a temporary file where it is large, so that no
 * snapshot is held while the parts wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "destination/destination.h"
#include "feed/parts.h"
#include "queue/call_builder.h"
#include "queue/enqueue.h"
#include "queue/queued_in_transaction.h"

/* rows that are fetched at a time */
#define FETCHED_CALLS	100

static Portal
open_query(const char *query)
{
	/* one that can scroll would begin anew when it is kept beyond a commit */
	SPIPlanPtr	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_NO_SCROLL);
	Portal		portal;

	if (plan == NULL || !SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"query\" of braze_enqueue_rows must be one query"),
				 errhint("It is a SELECT with one column, of type jsonb: a call in each row.")));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, false);
	if (portal->tupDesc == NULL || portal->tupDesc->natts != 1 ||
		TupleDescAttr(portal->tupDesc, 0)->atttypid != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("argument \"query\" of braze_enqueue_rows must have one column, of type jsonb"),
				 errhint("braze_call_from_row makes a call of a warehouse's row.")));

	/*
	 * As a loop of PL/pgSQL over a query: a commit keeps its rows, and an
	 * error forgets them.  All are kept before the first is queued, so that
	 * the query does not run while ids and locks of the queue are held.
	 */
	PinPortal(portal);
	SPI_commit();
	return portal;
}

/* queues the next calls, at most so many; returns how many rows there were */
static int
queue_next(Portal portal, const char *destination, int limit, int64 *ids, int *nids)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze queued row",
												  ALLOCSET_DEFAULT_SIZES);
	int			rows = 0;

	while (rows < limit)
	{
		SPITupleTable *table;
		uint64		count;

		SPI_cursor_fetch(portal, true, Min(FETCHED_CALLS, limit - rows));
		table = SPI_tuptable;
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(context);
			bool		isnull;
			Datum		value = SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull);

			CHECK_FOR_INTERRUPTS();
			if (!isnull)
				ids[(*nids)++] = braze_enqueue_call(braze_call_builder_complete(DatumGetJsonbP(value)),
													destination, GetUserId(), BRAZE_ENQUEUE_CALLER);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
		SPI_freetuptable(table);
		rows += count;
		if (count == 0)
			break;
	}
	MemoryContextDelete(context);
	return rows;
}

static void
check_none_dropped(const char *destination)
{
	if (braze_queued_in_transaction(destination)->dropped > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the queue of destination \"%s\" is full", destination),
				 errdetail("on_full says to drop calls, which would leave rows out."),
				 errhint("Choose fewer rows_per_part, or a larger max_queue_size.")));
}

BRAZE_SQL_FUNCTION(braze_enqueue_rows);
Datum
braze_enqueue_rows(PG_FUNCTION_ARGS)
{
	BrazeParts *parts;
	Portal		portal;
	int64	   *ids;
	int64		queued = 0;
	const char *destination;
	int			rows_per_part;
	int			rows;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("arguments \"query\" and \"rows_per_part\" of braze_enqueue_rows must not be null")));
	braze_parts_check_procedure(fcinfo->context, "braze_enqueue_rows");
	rows_per_part = PG_GETARG_INT32(2);
	braze_parts_check_rows(rows_per_part);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	parts = braze_parts_create();
	ids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * rows_per_part);
	destination = pstrdup(NameStr(braze_destination_for(PG_ARGISNULL(1) ? NULL :
														NameStr(*PG_GETARG_NAME(1)), GetUserId())->name));
	portal = open_query(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	for (;;)
	{
		int			nids = 0;

		/*
		 * Each part is a transaction of its own: only what is committed is
		 * sent, and is waited for before the next part is queued.  The portal
		 * outlives the commit, since it is held.
		 */
		PushActiveSnapshot(GetTransactionSnapshot());
		rows = queue_next(portal, destination, rows_per_part, ids, &nids);
		check_none_dropped(destination);
		PopActiveSnapshot();
		SPI_commit();
		for (int i = 0; i < nids; i++)
			queued += ids[i] > 0;
		if (rows < rows_per_part)
			break;
		braze_parts_note(parts, ids, nids);
		braze_parts_wait(parts, destination, NOTICE);
	}
	UnpinPortal(portal);
	SPI_cursor_close(portal);
	ereport(NOTICE, (errmsg("%lld calls were queued", (long long) queued)));
	SPI_finish();
	PG_RETURN_VOID();
}
