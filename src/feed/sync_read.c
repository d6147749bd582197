/*-------------------------------------------------------------------------
 *
 * sync_read.c
 *	  The rows of a sync's query, read once.
 *
 * They go into two stores: the rows as they are, for the few of them that are
 * to be queued, and for the comparison what is small.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/statement.h"
#include "feed/sync_read.h"
#include "feed/sync_row.h"

/* where the executor sends the rows */
typedef struct Receiver
{
	DestReceiver pub;
	const BrazeSync *sync;
	BrazeSyncRows *rows;
	MemoryContext row_context;
	StringInfoData buffer;
} Receiver;

typedef struct Reading
{
	const BrazeSync *sync;
	BrazeSyncRows *rows;		/* NULL: only the columns are asked for */
	MemoryContext context;
	BrazeSyncPlan *plan;
	const TimestampTz *since;
	int64		limit;
} Reading;

/*
 * DateStyle and its like decide how a value is written, TimeZone what a query
 * means by today, and some settings even what its text says; a run by hand and
 * one by the timetable must not differ.  A call that cannot be sent becomes a
 * dead letter, whoever runs it.
 */
int
braze_sync_read_fix_settings(void)
{
	static const char *const settings[][2] = {
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"TimeZone", "UTC"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"lc_monetary", "C"},
		{"lc_numeric", "C"},
		{"lc_time", "C"},
		{"default_text_search_config", "pg_catalog.simple"},
		{"quote_all_identifiers", "off"},
		{"row_security", "on"},
		{"timezone_abbreviations", "Default"},
		{"xmlbinary", "base64"},
		{"xmloption", "content"},
		{"standard_conforming_strings", "on"},
		{"backslash_quote", "safe_encoding"},
		{"transform_null_equals", "off"},
		{"array_nulls", "on"},
		{"gin_fuzzy_search_limit", "0"},
		{"segment_braze.on_invalid_call", "dead_letter"}
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
braze_sync_read_restore_settings(int level)
{
	AtEOXact_GUC(false, level);
}

/* ----- the stores ----- */

BrazeSyncRows *
braze_sync_read_begin(void)
{
	BrazeSyncRows *rows = palloc0(sizeof(BrazeSyncRows));
	TupleDesc	desc = CreateTemplateTupleDesc(BRAZE_SYNC_FOUND_COLUMNS);

	/* keys are compared with those of the state, which are compared by bytes */
	TupleDescInitEntry(desc, BRAZE_SYNC_FOUND_KEY, "key", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(desc, BRAZE_SYNC_FOUND_KEY, C_COLLATION_OID);
	TupleDescInitEntry(desc, BRAZE_SYNC_FOUND_HASH, "hash", INT8OID, -1, 0);
	TupleDescInitEntry(desc, BRAZE_SYNC_FOUND_PLACE, "place", INT8OID, -1, 0);
	braze_tuple_desc_finish(desc);
	rows->context = CurrentMemoryContext;
	rows->keys_desc = desc;
	rows->keys = tuplestore_begin_heap(true, true, work_mem);
	rows->rows = tuplestore_begin_heap(false, true, work_mem);
	return rows;
}

void
braze_sync_read_end(BrazeSyncRows *rows)
{
	tuplestore_end(rows->keys);
	tuplestore_end(rows->rows);
}

/* a value that is stored elsewhere may be gone when its part is queued */
static void
keep_row(BrazeSyncRows *rows, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);

	for (int i = 0; i < desc->natts; i++)
	{
		values[i] = slot->tts_values[i];
		if (!slot->tts_isnull[i] && TupleDescAttr(desc, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			values[i] = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(values[i])));
	}
	tuplestore_putvalues(rows->rows, desc, values, slot->tts_isnull);
}

static void
keep_key(Receiver *receiver, const BrazeRow *row)
{
	BrazeSyncRows *rows = receiver->rows;
	BrazeString key = braze_sync_row_key(rows->plan, row);
	Datum		values[BRAZE_SYNC_FOUND_COLUMNS];
	bool		nulls[BRAZE_SYNC_FOUND_COLUMNS] = {false};

	values[BRAZE_SYNC_FOUND_KEY - 1] = PointerGetDatum(cstring_to_text_with_len(key.data, key.length));
	if (receiver->sync->is_track)
	{
		rows->last_time = braze_sync_row_time(rows->plan, row);
		values[BRAZE_SYNC_FOUND_HASH - 1] = Int64GetDatum(rows->last_time);
	}
	else
		values[BRAZE_SYNC_FOUND_HASH - 1] =
			Int64GetDatum(braze_sync_row_hash(rows->plan, row, &receiver->buffer));
	values[BRAZE_SYNC_FOUND_PLACE - 1] = Int64GetDatum(rows->count);
	tuplestore_putvalues(rows->keys, rows->keys_desc, values, nulls);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Receiver   *receiver = (Receiver *) self;
	MemoryContext old;
	BrazeRow	row;

	slot_getallattrs(slot);
	row.values = slot->tts_values;
	row.nulls = slot->tts_isnull;
	MemoryContextReset(receiver->row_context);
	old = MemoryContextSwitchTo(receiver->row_context);
	keep_key(receiver, &row);
	keep_row(receiver->rows, slot);
	MemoryContextSwitchTo(old);
	receiver->rows->count++;
	return true;
}

static void
begin_rows(DestReceiver *self, int operation, TupleDesc desc)
{
	Receiver   *receiver = (Receiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->rows->context);

	/* rows that are stored by one descriptor must not be read by another */
	if (receiver->rows->plan != NULL)
		elog(ERROR, "the query of a sync has more than one result");
	receiver->rows->plan = braze_sync_plan(receiver->sync, desc);
	MemoryContextSwitchTo(old);
}

static void
end_rows(DestReceiver *self)
{
}

/* ----- the query ----- */

/* a comment at its end ends with its line */
static char *
query_text(const Reading *reading)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "SELECT * FROM (%s\n) AS rows", reading->sync->query);
	if (reading->sync->is_track)
	{
		const char *cursor = quote_identifier(reading->sync->cursor_column);

		if (reading->since != NULL)
			appendStringInfo(&text, " WHERE rows.%s OPERATOR(pg_catalog.>=) %s::pg_catalog.timestamptz", cursor,
							 quote_literal_cstr(timestamptz_to_str(*reading->since)));
		else
			appendStringInfo(&text, " WHERE rows.%s IS NOT NULL", cursor);
		appendStringInfo(&text, " ORDER BY rows.%s", cursor);
	}
	if (reading->limit >= 0)
		appendStringInfo(&text, " LIMIT " INT64_FORMAT, reading->limit);
	return text.data;
}

/*
 * The parentheses around it do not prove that it is one SELECT: it may close
 * them itself, and begin a second statement.  A row of the table may be written
 * by hand, so this is asked of each run and not only when the sync is created.
 */
static SPIPlanPtr
prepare_query(const Reading *reading, const char *text)
{
	SPIPlanPtr	plan = SPI_prepare(text, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "could not prepare the query of a sync: %s", SPI_result_code_string(SPI_result));
	if (!SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the query of sync \"%s\" is not one SELECT", reading->sync->name),
				 errhint("Create the sync with a query that is one SELECT, without a semicolon.")));
	return plan;
}

/*
 * Not read_only: then SPI takes its snapshot once the plan has locked its
 * tables.  To one from before, a table that was rewritten or reloaded is empty.
 */
static void
execute_query(Reading *reading, const char *text)
{
	Receiver	receiver = {
		.pub = {receive_row, begin_rows, end_rows, end_rows, DestNone},
		.sync = reading->sync,
		.rows = reading->rows
	};
	SPIExecuteOptions options = {.must_return_tuples = true, .dest = &receiver.pub};
	int			result;

	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze sync row",
												 ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&receiver.buffer);
	result = SPI_execute_plan_extended(prepare_query(reading, text), &options);
	if (result < 0)
		elog(ERROR, "could not run the query of a sync: %s", SPI_result_code_string(result));
}

/* the columns, by a plan that is not run */
static void
look_at_columns(Reading *reading, const char *text)
{
	Portal		portal = SPI_cursor_open(NULL, prepare_query(reading, text), NULL, NULL, true);
	MemoryContext old = MemoryContextSwitchTo(reading->context);

	reading->plan = braze_sync_plan(reading->sync, portal->tupDesc);
	MemoryContextSwitchTo(old);
	SPI_cursor_close(portal);
}

static void
name_sync(void *arg)
{
	const Reading *reading = arg;

	errcontext("query of sync \"%s\", with the rights of its owner \"%s\"",
			   reading->sync->name, reading->sync->owner);
}

static void
run_reading(void *arg)
{
	Reading    *reading = arg;
	ErrorContextCallback context = {.previous = error_context_stack, .callback = name_sync, .arg = arg};

	error_context_stack = &context;
	SPI_connect();
	if (reading->rows != NULL)
		execute_query(reading, query_text(reading));
	else
		look_at_columns(reading, query_text(reading));
	SPI_finish();
	error_context_stack = context.previous;
}

void
braze_sync_read(BrazeSyncRows *rows, const BrazeSync *sync, Oid owner,
				const TimestampTz *since, int64 limit)
{
	Reading		reading = {sync, rows, CurrentMemoryContext, NULL, since, limit};

	braze_statement_run_as(owner, sync->search_path, run_reading, &reading);
}

BrazeSyncPlan *
braze_sync_read_plan(const BrazeSync *sync, Oid owner)
{
	Reading		reading = {sync, NULL, CurrentMemoryContext, NULL, NULL, -1};

	braze_statement_run_as(owner, sync->search_path, run_reading, &reading);
	return reading.plan;
}
