/*-------------------------------------------------------------------------
 *
 * sync_compare.c
 *	  What a sync's query returned, compared with what was synced before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "feed/sync_compare.h"
#include "feed/sync_table.h"

/* bytes of a key that an error shows */
#define MAX_SHOWN	100

BrazeSyncChanges *
braze_sync_compare_begin(void)
{
	BrazeSyncChanges *changes = palloc0(sizeof(BrazeSyncChanges));

	changes->rows_desc = CreateTemplateTupleDesc(2);
	TupleDescInitEntry(changes->rows_desc, 1, "place", INT8OID, -1, 0);
	TupleDescInitEntry(changes->rows_desc, 2, "known", BOOLOID, -1, 0);
	changes->removed_desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(changes->removed_desc, 1, "key", TEXTOID, -1, 0);
	braze_tuple_desc_finish(changes->rows_desc);
	braze_tuple_desc_finish(changes->removed_desc);
	changes->rows = tuplestore_begin_heap(false, true, work_mem);
	changes->removed = tuplestore_begin_heap(false, true, work_mem);
	return changes;
}

void
braze_sync_compare_end(BrazeSyncChanges *changes)
{
	tuplestore_end(changes->rows);
	tuplestore_end(changes->removed);
}

/* place, key of the state: a null stands for what is not there */
static void
note_difference(HeapTuple row, TupleDesc desc, void *arg)
{
	BrazeSyncChanges *changes = arg;
	bool		is_removed;
	bool		is_new;
	Datum		place = SPI_getbinval(row, desc, 1, &is_removed);
	Datum		key = SPI_getbinval(row, desc, 2, &is_new);
	Datum		values[2];
	bool		nulls[2] = {false};

	if (is_removed)
	{
		changes->nremoved++;
		tuplestore_putvalues(changes->removed, changes->removed_desc, &key, nulls);
		return;
	}
	if (is_new)
		changes->nadded++;
	else
		changes->nchanged++;
	values[0] = place;
	values[1] = BoolGetDatum(!is_new);
	tuplestore_putvalues(changes->rows, changes->rows_desc, values, nulls);
}

static void
refuse_key(HeapTuple row, TupleDesc desc, void *arg)
{
	const BrazeSync *sync = arg;
	char	   *key = SPI_getvalue(row, desc, 1);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("the query of sync \"%s\" returned more than one row whose column \"%s\" is \"%.*s\"",
					sync->name, sync->is_track ? sync->key : sync->user_id, MAX_SHOWN, key),
			 errdetail("Nothing was queued."),
			 sync->is_track ? errhint("Name a column that is unique, or look for a join that repeats rows.") :
			 errhint("Return one row for each user, such as with SELECT DISTINCT ON (%s) ... ORDER BY %s, and look for a join that repeats rows.",
					 quote_identifier(sync->user_id), quote_identifier(sync->user_id))));
}

static void
check_removed(const BrazeSyncChanges *changes, const BrazeSync *sync, double max_removed)
{
	int64		before = changes->nchanged + changes->nunchanged + changes->nremoved;

	if (changes->nremoved <= max_removed * before)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the query of sync \"%s\" does not return " INT64_FORMAT " of " INT64_FORMAT " users any more",
					sync->name, changes->nremoved, before),
			 errdetail("That is more than max_removed, %g of them, so nothing was queued.", max_removed),
			 errhint("Look for a join that finds nothing, or an empty table.  If these users are to be removed, run CALL braze_run_sync(%s, max_removed => 1).",
					 quote_literal_cstr(sync->name))));
}

void
braze_sync_compare(BrazeSyncChanges *changes, const BrazeSync *sync, BrazeSyncRows *rows,
				   double max_removed)
{
	EphemeralNamedRelationData found;
	BrazeSyncArguments arguments = {0};
	BrazeSyncArguments none = {0};

	memset(&found, 0, sizeof(found));
	found.md.name = BRAZE_SYNC_FOUND;
	found.md.reliddesc = InvalidOid;
	found.md.tupdesc = rows->keys_desc;
	found.md.enrtype = ENR_NAMED_TUPLESTORE;
	found.md.enrtuples = rows->count;
	found.reldata = rows->keys;

	/*
	 * before anything is queued: the state has one row for a key, and could
	 * not say which of two was sent
	 */
	braze_sync_table_read("SELECT key FROM " BRAZE_SYNC_FOUND " GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1",
						  &none, &found, refuse_key, unconstify(BrazeSync *, sync));
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum(sync->id));

	/*
	 * An event is sent once, whatever else of it changes, and one that is not
	 * returned any more cannot be taken back.  Where its moment is a later
	 * one now, the state has to follow: it would be forgotten while the row
	 * is still read.
	 */
	braze_sync_table_read(psprintf("SELECT f.place, s.key FROM " BRAZE_SYNC_FOUND " f %s JOIN "
								   "(SELECT key, hash FROM %s WHERE sync = $1) s ON s.key = f.key "
								   "WHERE %s ORDER BY f.place",
								   sync->is_track ? "LEFT" : "FULL",
								   braze_sync_table_state(),
								   sync->is_track ? "s.key IS NULL OR s.hash < f.hash" : "s.hash IS DISTINCT FROM f.hash"),
						  &arguments, &found, note_difference, changes);
	if (sync->is_track)
	{
		changes->nmoved = changes->nchanged;
		changes->nchanged = 0;
	}
	changes->nunchanged = rows->count - changes->nadded - changes->nchanged;

	/* last, since it needs the counts; still nothing is queued */
	check_removed(changes, sync, max_removed);
}
