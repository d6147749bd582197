/*-------------------------------------------------------------------------
 *
 * collect_notes.c
 *	  Which calls were collected: braze_collected.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "base/steady_time.h"
#include "feed/collect_notes.h"

/* ----- the hash ----- */

static uint64
hash_more(uint64 hash, const void *data, Size length)
{
	return hash_combine64(hash, hash_bytes_extended(data, (int) length, hash));
}

/* equal strings, one after the other, are told apart by their lengths */
static uint64
hash_text(uint64 hash, const char *text)
{
	return text == NULL ? hash_combine64(hash, 0) : hash_more(hash, text, strlen(text) + 1);
}

/* jsonb has one form for equal values, so its bytes say what it is */
int64
braze_collect_notes_hash(const BrazeCollectedRow *row)
{
	uint64		hash = hash_text(0, row->destination);

	hash = hash_text(hash, row->call_kind);
	hash = hash_more(hash, &row->queued_at, sizeof(row->queued_at));
	if (row->call != NULL)
		hash = hash_more(hash, VARDATA(row->call), VARSIZE(row->call) - VARHDRSZ);
	if (row->has_objects)
	{
		ArrayType  *objects = DatumGetArrayTypeP(row->objects);

		hash = hash_more(hash, VARDATA(objects), VARSIZE(objects) - VARHDRSZ);
	}
	return (int64) hash;
}

/* ----- reading ----- */

/*
 * text[]: under which names of servers the origin may have been noted.  Besides
 * its own these are the ones of servers that there are not any more: this one
 * may have been renamed, and a note has the hash of its call.
 */
static ArrayType *server_names = NULL;

static void
take_highest(SPITupleTable *rows, uint64 count, void *arg)
{
	int64	   *highest = arg;
	bool		isnull;
	Datum		value = SPI_getbinval(rows->vals[0], rows->tupdesc, 1, &isnull);
	ArrayType  *names = server_names;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	*highest = isnull ? PG_INT64_MIN : DatumGetInt64(value);
	server_names = DatumGetArrayTypePCopy(SPI_getbinval(rows->vals[0], rows->tupdesc, 2, &isnull));
	MemoryContextSwitchTo(old);
	if (names != NULL)
		pfree(names);
}

int64
braze_collect_notes_highest(const BrazeOrigin *origin)
{
	static const Oid types[2] = {TEXTOID, TEXTOID};
	Relation	rel = braze_catalog_open(braze_catalog_required()->collected, AccessShareLock);
	Datum		values[2];
	BrazeStatement statement = {rel, CMD_SELECT, NULL, lengthof(types), types, values};
	const char *table;
	int64		highest;

	values[0] = CStringGetTextDatum(NameStr(origin->server));
	values[1] = CStringGetTextDatum(origin->table);

	/* names one after the other, by the index: there may be a million notes */
	table = braze_statement_table(rel);
	statement.text = psprintf("WITH RECURSIVE names(server) AS (SELECT min(server) FROM %s UNION ALL "
							  "SELECT (SELECT min(n.server) FROM %s n WHERE n.server > names.server) FROM names "
							  "WHERE names.server IS NOT NULL) "
							  "SELECT max((SELECT max(n.last_id) FROM %s n WHERE n.server = s.server AND n.origin_table = $2)), "
							  "pg_catalog.array_append(pg_catalog.array_agg(s.server), $1) "
							  "FROM names s WHERE s.server = $1 OR (s.server IS NOT NULL AND NOT EXISTS "
							  "(SELECT FROM pg_catalog.pg_foreign_server f WHERE f.srvname = s.server))",
							  table, table, table);
	braze_statement_read(&statement, take_highest, &highest);
	table_close(rel, AccessShareLock);
	return highest;
}

typedef struct Search
{
	BrazeCollectedRow *rows;
	int			count;
} Search;

/* of the ids in ascending order, the first that is not below id */
static int
lower_bound(const int64 *ids, int count, int64 id)
{
	int			low = 0;

	while (count > 0)
	{
		int			half = count / 2;

		if (ids[low + half] < id)
		{
			low += half + 1;
			count -= half + 1;
		}
		else
			count = half;
	}
	return low;
}

static void
compare_with_note(Search *search, ArrayType *id_array, ArrayType *hash_array)
{
	int			count = ArrayGetNItems(ARR_NDIM(id_array), ARR_DIMS(id_array));
	const int64 *ids = (const int64 *) ARR_DATA_PTR(id_array);
	const int64 *hashes = (const int64 *) ARR_DATA_PTR(hash_array);

	/* a note that somebody has changed is none */
	if (ARR_HASNULL(id_array) || ARR_HASNULL(hash_array) ||
		count != ArrayGetNItems(ARR_NDIM(hash_array), ARR_DIMS(hash_array)))
		return;
	for (int i = 0; i < search->count; i++)
	{
		BrazeCollectedRow *row = &search->rows[i];

		for (int k = lower_bound(ids, count, row->id); k < count && ids[k] == row->id; k++)
		{
			if (hashes[k] == row->hash)
				row->noted = true;
		}
	}
}

static void
take_notes(SPITupleTable *rows, uint64 count, void *arg)
{
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull[2];
		Datum		ids = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull[0]);
		Datum		hashes = SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull[1]);

		if (!isnull[0] && !isnull[1])
			compare_with_note(arg, DatumGetArrayTypeP(ids), DatumGetArrayTypeP(hashes));
	}
}

static Datum
id_array_of(const int64 *numbers, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * Ids of one late transaction may lie far apart, and the notes between them may
 * be many: those that have none of them are not read.
 */
void
braze_collect_notes_find(const BrazeOrigin *origin, BrazeCollectedRow *rows, int count)
{
	static const Oid types[5] = {TEXTARRAYOID, TEXTOID, INT8OID, INT8OID, INT8ARRAYOID};
	Relation	rel = braze_catalog_open(braze_catalog_required()->collected, AccessShareLock);
	int64	   *ids = palloc(sizeof(int64) * Max(count, 1));
	Datum		values[5];
	BrazeStatement statement = {rel, CMD_SELECT, NULL, lengthof(types), types, values};
	Search		search = {rows, count};

	for (int i = 0; i < count; i++)
		ids[i] = rows[i].id;
	values[0] = PointerGetDatum(server_names);
	values[1] = CStringGetTextDatum(origin->table);
	values[2] = Int64GetDatum(ids[0]);
	values[3] = Int64GetDatum(ids[count - 1]);
	values[4] = id_array_of(ids, count);
	statement.text = psprintf("SELECT ids, hashes FROM %s WHERE server = ANY ($1) AND origin_table = $2 "
							  "AND last_id >= $3 AND first_id <= $4 "
							  "AND EXISTS (SELECT FROM pg_catalog.unnest($5) i WHERE i BETWEEN first_id AND last_id)",
							  braze_statement_table(rel));
	braze_statement_read(&statement, take_notes, &search);
	table_close(rel, AccessShareLock);
}

/* ----- writing ----- */

void
braze_collect_notes_put(const BrazeOrigin *origin, const int64 *ids, const int64 *hashes, int count)
{
	static const Oid types[6] = {TEXTOID, TEXTOID, INT8OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID};
	Relation	rel = braze_catalog_open(braze_catalog_required()->collected, RowExclusiveLock);
	Datum		values[6];
	BrazeStatement statement = {rel, CMD_INSERT, NULL, lengthof(types), types, values};

	values[0] = CStringGetTextDatum(NameStr(origin->server));
	values[1] = CStringGetTextDatum(origin->table);
	values[2] = Int64GetDatum(ids[0]);
	values[3] = Int64GetDatum(ids[count - 1]);
	values[4] = id_array_of(ids, count);
	values[5] = id_array_of(hashes, count);
	statement.text = psprintf("INSERT INTO %s (server, origin_table, first_id, last_id, ids, hashes) "
							  "VALUES ($1, $2, $3, $4, $5, $6)", braze_statement_table(rel));

	/* without its note a call would be queued twice */
	if (braze_statement_run(&statement) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger or a rule keeps the table \"%s\" from being written",
						RelationGetRelationName(rel))));
	table_close(rel, NoLock);
}

void
braze_collect_notes_expire(const BrazeOrigin *origin)
{
	static const Oid types[3] = {TEXTOID, TEXTOID, TIMESTAMPTZOID};
	Relation	rel = braze_catalog_open(braze_catalog_required()->collected, RowExclusiveLock);
	Datum		values[3];
	BrazeStatement statement = {rel, CMD_DELETE, NULL, lengthof(types), types, values};

	values[0] = CStringGetTextDatum(NameStr(origin->server));
	values[1] = CStringGetTextDatum(origin->table);
	values[2] = TimestampTzGetDatum(braze_steady_time() - BRAZE_COLLECTED_SECONDS * USECS_PER_SEC);
	statement.text = psprintf("DELETE FROM %s WHERE server = $1 AND origin_table = $2 AND collected_at < $3",
							  braze_statement_table(rel));
	(void) braze_statement_run(&statement);
	table_close(rel, NoLock);
}
