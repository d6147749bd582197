/*-------------------------------------------------------------------------
 *
 * collect_batch.c
 *	  The calls that a round of a collector reads at the origin.
 *
 * Usually a hundred rows at a time, whatever they are.  A row may have a value
 * that cannot be had here, or more text than there is memory for, and takes the
 * others along: with an error of all of them, or with the connection.  After
 * that only ids are read first, and then the rows, as many of them at once as
 * succeeds: a hundred, or each alone.  The origin is asked to leave out those
 * that are too large, since what libpq has no memory for costs the connection.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "utils/builtins.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/message.h"
#include "feed/collect_batch.h"
#include "feed/collect_cursor.h"
#include "feed/collect_held_back.h"
#include "feed/collect_memory.h"

/* of one round: calls, and bytes of them */
#define MAX_ROWS		(BRAZE_COLLECT_BATCH_ROWS - CHUNK_ROWS)
#define MAX_BYTES		INT64CONST(16777216)

/*
 * and rows that stay there: each may cost the
 * origin seconds, while the others wait
 */
#define MAX_REFUSED		20

/* rows that are looked at together: bytes are counted after them */
#define CHUNK_ROWS		BRAZE_REMOTE_FETCH

/*
 * An error while rows were read makes the next round more careful, and has all
 * be read from the lowest id again.  It stays careful until a round that began
 * where the reading had failed has succeeded, and as long as rows were found
 * that cannot be read.  Each time the end of that is further on.
 */
static bool is_reading = false;
static bool reads_carefully = false;
static bool reads_alone = false;
static bool has_unreadable = false;
static int64 looked_until = PG_INT64_MIN;	/* since it began at the lowest */
static int64 failed_behind;		/* the same when it failed */

/* false: a column there has another type, so its text cannot be measured */
static bool is_measured = true;

void
braze_collect_batch_begin(BrazeCollectBatch *batch, const BrazeOrigin *origin,
						  int64 highest_noted, bool is_stopping)
{
	memset(batch, 0, sizeof(*batch));
	batch->origin = origin;
	batch->highest_noted = highest_noted;
	batch->began_behind = braze_collect_cursor_position();
	batch->is_stopping = is_stopping;
	batch->rows = palloc(sizeof(BrazeCollectedRow) * BRAZE_COLLECT_BATCH_ROWS);
}

void
braze_collect_batch_from_start(void)
{
	has_unreadable = false;
}

void
braze_collect_batch_succeeded(const BrazeCollectBatch *batch, bool all)
{
	if (!all && batch->began_behind < failed_behind)
		return;
	reads_carefully = reads_carefully && has_unreadable;
	reads_alone = false;
}

/* ----- errors ----- */

/*
 * of a value that cannot be had here, such as a character that there is none of
 */
static bool
is_of_a_value(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

/* libpq reports all that it has no memory for as errors of the connection */
static bool
is_of_the_connection(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_CONNECTION_EXCEPTION;
}

/* perhaps for what was read earlier in the round, which then was too much */
static bool
is_of_memory(int sqlstate)
{
	return sqlstate == ERRCODE_OUT_OF_MEMORY;
}

bool
braze_collect_batch_failed(int sqlstate)
{
	/* any other error may come again at once, however rows are read */
	bool		helps = !reads_alone &&
	(is_of_memory(sqlstate) ||
	 (is_reading && (is_of_a_value(sqlstate) || is_of_the_connection(sqlstate))));

	if (helps)
	{
		reads_alone = reads_carefully;
		reads_carefully = true;
		failed_behind = looked_until;
	}
	looked_until = PG_INT64_MIN;
	is_reading = false;
	has_unreadable = false;
	is_measured = true;
	return helps;
}

/* ----- rows ----- */

static Datum
value_at(SPITupleTable *rows, uint64 i, int column, bool *isnull)
{
	return SPI_getbinval(rows->vals[i], rows->tupdesc, column, isnull);
}

static char *
text_at(SPITupleTable *rows, uint64 i, int column, int64 *bytes)
{
	bool		isnull;
	Datum		value = value_at(rows, i, column, &isnull);
	char	   *string = isnull ? NULL : TextDatumGetCString(value);

	*bytes += string != NULL ? strlen(string) : 0;
	return string;
}

static void
take_remote_row(SPITupleTable *rows, uint64 i, BrazeCollectedRow *row, int64 *bytes)
{
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(*row));
	row->id = DatumGetInt64(value_at(rows, i, BRAZE_REMOTE_ID, &isnull));
	row->destination = text_at(rows, i, BRAZE_REMOTE_DESTINATION, bytes);
	value = value_at(rows, i, BRAZE_REMOTE_CALL, &isnull);
	row->call = isnull ? NULL : DatumGetJsonbP(value);
	*bytes += row->call != NULL ? VARSIZE(row->call) : 0;
	value = value_at(rows, i, BRAZE_REMOTE_QUEUED_AT, &isnull);
	row->queued_at = isnull ? 0 : DatumGetTimestampTz(value);
	row->has_time = !isnull;
	row->objects = value_at(rows, i, BRAZE_REMOTE_OBJECTS, &isnull);
	row->has_objects = !isnull;
	*bytes += row->has_objects ? toast_raw_datum_size(row->objects) : 0;
	row->call_kind = text_at(rows, i, BRAZE_REMOTE_CALL_KIND, bytes);
	row->hash = braze_collect_notes_hash(row);

	/* after the hash, which has to be the same whenever the row is read */
	if (!row->has_time)
		row->queued_at = GetCurrentTransactionStartTimestamp();
}

static void
keep_chunk(BrazeCollectBatch *batch, SPITupleTable *table, uint64 count)
{
	BrazeCollectedRow *rows = &batch->rows[batch->count];

	if (count == 0)
		return;
	for (uint64 i = 0; i < count; i++)
		take_remote_row(table, i, &rows[i], &batch->bytes);

	/* in the order of ids, so a chunk above all notes has none */
	if (rows[0].id <= batch->highest_noted)
		braze_collect_notes_find(batch->origin, rows, (int) count);
	batch->count += count;
	batch->last_id = rows[count - 1].id;
}

/* ----- reading carefully ----- */

typedef struct Fetch
{
	const int64 *ids;
	int			count;
	SPITupleTable *table;
	uint64		rows;
}			Fetch;

static void
fetch_rows(void *arg)
{
	Fetch	   *fetch = arg;

	fetch->rows = braze_collect_remote_rows(fetch->ids, fetch->count,
											is_measured ? braze_collect_memory_of_row() : -1);
	fetch->table = SPI_tuptable;
}

/* NULL: none, or only that of measuring */
static ErrorData *
try_to_fetch(Fetch * fetch)
{
	int64		not_before;
	ErrorData  *error = braze_attempt(NULL, fetch_rows, fetch, &not_before);

	if (error == NULL || error->sqlerrcode != ERRCODE_UNDEFINED_FUNCTION || !is_measured)
		return error;
	is_measured = false;
	return braze_attempt(NULL, fetch_rows, fetch, &not_before);
}

static const char *
why_not(const ErrorData *error)
{
	char	   *message = braze_message_clean(error->message);

	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
		return message;
	return psprintf("it is too large to be read, delete it there (%s)", message);
}

/* those that the origin has left out */
static void
refuse_large(BrazeCollectBatch *batch, const int64 *ids, int count, const Fetch * fetch)
{
	uint64		next = 0;
	bool		isnull;

	for (int i = 0; i < count; i++)
	{
		if (next < fetch->rows && DatumGetInt64(value_at(fetch->table, next, BRAZE_REMOTE_ID, &isnull)) == ids[i])
		{
			next++;
			continue;
		}
		batch->refused++;
		braze_collect_held_back_add_row(batch->origin, ids[i],
										psprintf("it has more than %d kB as text, delete it there, or raise segment_braze.max_call_size here",
												 braze_collect_memory_of_row() / 1024));
	}
}

/* NULL: what can be read is kept; else why nothing is */
static const char *
try_to_keep(BrazeCollectBatch *batch, const int64 *ids, int count)
{
	Fetch		fetch = {ids, count};
	ErrorData  *error = try_to_fetch(&fetch);

	if (error == NULL)
	{
		refuse_large(batch, ids, count, &fetch);
		keep_chunk(batch, fetch.table, fetch.rows);
		return NULL;
	}
	if (braze_collect_remote_failed() ||
		!(is_of_a_value(error->sqlerrcode) || is_of_memory(error->sqlerrcode) ||
		  is_of_the_connection(error->sqlerrcode)))
		ReThrowError(error);

	/* fails unless there still is one */
	if (is_of_the_connection(error->sqlerrcode))
		(void) braze_collect_remote_rows(NULL, 0, -1);
	return why_not(error);
}

/* returns how many of them were looked at */
static int
keep_readable(BrazeCollectBatch *batch, const int64 *ids, int count)
{
	int64		began = braze_now_ms();
	int			refused = batch->refused;
	int			i = 0;

	/* most chunks are good as a whole, which costs one statement there */
	if (!reads_alone && try_to_keep(batch, ids, count) == NULL)
		i = count;
	while (i < count && batch->bytes < MAX_BYTES && batch->refused < MAX_REFUSED)
	{
		const char *reason = try_to_keep(batch, &ids[i], 1);

		if (reason != NULL)
		{
			batch->refused++;
			braze_collect_held_back_add_row(batch->origin, ids[i], reason);
		}
		i++;
	}
	if (batch->refused > refused)
		braze_collect_held_back_add_cost(braze_now_ms() - began);
	batch->last_id = ids[i - 1];
	return i;
}

/* ----- reading ----- */

/* the rows, or only their ids; returns how many of them were looked at */
static int
keep_fetched(BrazeCollectBatch *batch, const char *condition, SPITupleTable *table, int count)
{
	int64	   *ids = palloc(sizeof(int64) * Max(count, 1));
	bool		isnull;

	for (int i = 0; i < count; i++)
		ids[i] = DatumGetInt64(value_at(table, i, BRAZE_REMOTE_ID, &isnull));
	if (!reads_carefully)
		keep_chunk(batch, table, count);
	else if (count > 0)
		count = keep_readable(batch, ids, count);
	for (int i = 0; condition == NULL && i < count; i++)
		braze_collect_cursor_read(ids[i]);
	looked_until = Max(looked_until, braze_collect_cursor_position());
	pfree(ids);
	return count;
}

bool
braze_collect_batch_is_behind_notes(const BrazeCollectBatch *batch)
{
	return batch->count > 0 && batch->last_id >= batch->highest_noted;
}

bool
braze_collect_batch_read(BrazeCollectBatch *batch, const char *condition)
{
	Portal		portal;
	int			looked_at = 0;
	bool		all = false;

	is_reading = true;
	portal = braze_collect_remote_read(condition != NULL ? PG_INT64_MIN : braze_collect_cursor_position(),
									   condition, braze_collect_held_back_names(), reads_carefully);

	/*
	 * Rows that cannot be read here are looked at and not kept.  They count
	 * as well: a table full of them would otherwise be read in one round.
	 */
	while (!all && Max(batch->count, looked_at) < MAX_ROWS && batch->bytes < MAX_BYTES &&
		   batch->refused < MAX_REFUSED &&
		   !(batch->is_stopping && braze_collect_batch_is_behind_notes(batch)))
	{
		/* its rows are looked at until the end of the round */
		uint64		count = braze_collect_remote_fetch(portal, CHUNK_ROWS);
		int			looked = keep_fetched(batch, condition, SPI_tuptable, (int) count);

		all = (count < CHUNK_ROWS && looked == count);
		looked_at += looked;
	}
	braze_collect_remote_close(portal);
	has_unreadable = has_unreadable || batch->refused > 0;
	is_reading = false;
	return all;
}
