/*-------------------------------------------------------------------------
 *
 * deduplicate.c
 *	  The messageIds that were queued lately.
 *
 * What this costs is paid by destinations that deduplicate, and by calls that
 * braze_receive takes: nothing here is reached by others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "base/steady_time.h"
#include "json/jsonb_walk.h"
#include "json/value.h"
#include "queue/deduplicate.h"
#include "queue/queued_in_transaction.h"

/* longer ids are not remembered: an index entry has to fit on a page */
#define MAX_MESSAGE_ID	512

/* the messageId of a call; false where it has none that can be remembered */
static bool
message_id(Jsonb *call, BrazeString *id)
{
	JsonbValue	value;

	return JB_ROOT_IS_OBJECT(call) &&
		((braze_lookup(&call->root, "messageId", &value) && braze_solid_text(&value, id)) ||
		 (braze_lookup(&call->root, "message_id", &value) && braze_solid_text(&value, id))) &&
		id->length <= MAX_MESSAGE_ID;
}

/*
 * No row was written: is the id there, or has a trigger left the row out?  What
 * ON CONFLICT has found stays locked, so nobody removes it meanwhile.
 */
static void
check_is_there(BrazeStatement statement)
{
	statement.operation = CMD_SELECT;
	statement.text = psprintf("SELECT FROM %s WHERE destination = $1 AND message_id = $2 "
							  "AND queued_at OPERATOR(pg_catalog.>) $4",
							  braze_statement_table(statement.rel));
	if (braze_statement_run(&statement) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the messageId of a call was not remembered"),
				 errdetail("A trigger on table \"%s\" has left its row out.",
						   RelationGetRelationName(statement.rel)),
				 errhint("Have the trigger return the row, or drop it.")));
}

/*
 * An id that is there is taken over when it has expired, and else left alone,
 * in one statement: of two transactions with the same id, the unique index
 * lets the second one wait for what becomes of the first.  True when the id was
 * put, or taken over.
 */
static bool
upsert_message(Relation rel, const char *destination, BrazeString id, int seconds, bool received)
{
	static const Oid types[5] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Datum		values[5];
	BrazeStatement statement = {rel, CMD_INSERT, NULL, lengthof(types), types, values};

	values[0] = CStringGetTextDatum(destination);
	values[1] = PointerGetDatum(cstring_to_text_with_len(id.data, id.length));
	values[2] = TimestampTzGetDatum(now);

	/*
	 * After a jump of the clock ahead, the time that is steady lets nothing
	 * expire for a while: an id that is forgotten by mistake is a call that
	 * is sent twice.
	 */
	values[3] = TimestampTzGetDatum(Min(now, braze_steady_time()) - seconds * USECS_PER_SEC);
	values[4] = BoolGetDatum(received);
	statement.text = psprintf("INSERT INTO %s AS m (destination, message_id, queued_at, received) "
							  "VALUES ($1, $2, $3, $5) "
							  "ON CONFLICT (destination, message_id) DO UPDATE "
							  "SET queued_at = excluded.queued_at, "
							  "received = m.received OR excluded.received "
							  "WHERE m.queued_at OPERATOR(pg_catalog.<=) $4",
							  braze_statement_table(rel));
	if (braze_statement_run(&statement) > 0)
		return true;
	if (braze_statement_is_needed(rel, CMD_INSERT) || braze_statement_is_needed(rel, CMD_UPDATE))
		check_is_there(statement);
	return false;
}

bool
braze_deduplicate_remember(const char *destination, Jsonb *call, int seconds, bool received)
{
	Relation	rel;
	BrazeString id;
	bool		is_new;

	if (!message_id(call, &id))
		return true;

	/*
	 * Before the table is opened: the error is to name what was asked for,
	 * and not the INSERT that it takes.
	 */
	PreventCommandIfReadOnly("queueing a Segment call");

	rel = braze_catalog_open(braze_catalog_required()->messages, RowExclusiveLock);
	is_new = upsert_message(rel, destination, id, seconds, received);

	/* the lock stays, as after any INSERT, until the transaction ends */
	table_close(rel, NoLock);

	if (!is_new)
		braze_queued_in_transaction(destination)->duplicates++;
	return is_new;
}

void
braze_deduplicate_delete(const char *destination, Jsonb *call)
{
	static const Oid types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	BrazeStatement statement = {NULL, CMD_DELETE, NULL, lengthof(types), types, values};
	Relation	rel;
	BrazeString id;

	if (!message_id(call, &id))
		return;
	values[0] = CStringGetTextDatum(destination);
	values[1] = PointerGetDatum(cstring_to_text_with_len(id.data, id.length));
	rel = braze_catalog_open(braze_catalog_required()->messages, RowExclusiveLock);
	statement.rel = rel;
	statement.text = psprintf("DELETE FROM %s WHERE destination = $1 AND message_id = $2",
							  braze_statement_table(rel));
	(void) braze_statement_run(&statement);
	table_close(rel, NoLock);
}
