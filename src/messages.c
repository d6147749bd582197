/*-------------------------------------------------------------------------
 *
 * messages.c
 *	  The messageIds that were queued lately.
 *
 * What this costs is paid by destinations that deduplicate, and no others:
 * nothing here is reached without that option.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "jsonb_walk.h"
#include "messages.h"
#include "table.h"
#include "tally.h"
#include "value.h"

/* longer ids are not remembered: an index entry has to fit on a page */
#define MAX_MESSAGE_ID	512

/* the messageId of a call; false where it has none that can be remembered */
static bool
message_id(Jsonb *call, BrazeString *id)
{
	JsonbValue	value;

	return JB_ROOT_IS_OBJECT(call) &&
		(braze_lookup(&call->root, "messageId", &value) ||
		 braze_lookup(&call->root, "message_id", &value)) &&
		braze_solid_text(&value, id) && id->length <= MAX_MESSAGE_ID;
}

/*
 * An id that is there is taken over when it has expired, and else left alone,
 * in one statement: of two transactions with the same id, the unique index
 * lets the second one wait for what becomes of the first.
 */
static SPIPlanPtr
upsert_plan(void)
{
	static SPIPlanPtr plan = NULL;
	static char *planned_for = NULL;
	static Oid	types[4] = {NAMEOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	char	   *table = braze_table_name("braze_messages");
	char	   *statement;

	/* the extension may have moved to another schema */
	if (plan != NULL && strcmp(planned_for, table) == 0)
		return plan;
	if (plan != NULL)
	{
		SPI_freeplan(plan);
		plan = NULL;
		pfree(planned_for);
	}
	planned_for = MemoryContextStrdup(TopMemoryContext, table);
	statement = psprintf("INSERT INTO %s AS m (destination, message_id, queued_at) "
						 "VALUES ($1, $2, $3) "
						 "ON CONFLICT (destination, message_id) DO UPDATE "
						 "SET queued_at = excluded.queued_at "
						 "WHERE m.queued_at OPERATOR(pg_catalog.<=) $4", table);
	plan = SPI_prepare(statement, lengthof(types), types);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare to remember a message: %s",
			 SPI_result_code_string(SPI_result));
	return plan;
}

/* true when the id was put, or taken over */
static bool
upsert(const char *destination, BrazeString id, int seconds)
{
	NameData	name;
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Datum		values[4];

	namestrcpy(&name, destination);
	values[0] = NameGetDatum(&name);
	values[1] = PointerGetDatum(cstring_to_text_with_len(id.data, id.length));
	values[2] = TimestampTzGetDatum(now);
	values[3] = TimestampTzGetDatum(now - seconds * USECS_PER_SEC);
	if (SPI_execute_plan(upsert_plan(), values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not remember a message");
	return SPI_processed > 0;
}

bool
braze_message_remember(const char *destination, Jsonb *call, int seconds)
{
	Relation	rel;
	BrazeString id;
	BrazeCaller caller;
	bool		is_new;

	if (!message_id(call, &id))
		return true;
	PreventCommandIfReadOnly("queueing a Segment call");

	rel = table_open(braze_catalog_required()->messages, RowExclusiveLock);
	braze_become_owner(rel, &caller);
	SPI_connect();
	is_new = upsert(destination, id, seconds);
	SPI_finish();
	braze_become_caller(&caller);
	table_close(rel, NoLock);

	if (!is_new)
		braze_tally(destination)->duplicates++;
	return is_new;
}
