/*-------------------------------------------------------------------------
 *
 * activity_rollup.c
 *	  Making one row of many in the tables of the activity, and removing old
 *	  ones.
 *
 * A row is never updated: those that are about the same are deleted, and their
 * sum is inserted, with a new number.  So whatever was looked at once lies
 * behind, with the dead rows that a held snapshot keeps: each pass begins
 * where the last one began to write.  What more may come to is taken along each
 * time: a row of the hour, or day, that is not over gets a new number even
 * where there is no other to add to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/statement.h"
#include "base/steady_time.h"
#include "store/activity_rollup.h"
#include "store/retention.h"

/* some milliseconds each, and a pause for the others of the worker's rounds */
#define ROWS_PER_SLICE	5000
#define PAUSE_MS		100

/*
 * a pass each minute, and for the users,
 * whose rows are longer, each ten of them
 */
#define NAPS_PER_PASS		12
#define NAPS_PER_USER_PASS	120

/* a pass over the rows of one table */
typedef struct Rollup
{
	int64		next_pass;		/* of the monotonic clock, in milliseconds */
	int64		done;			/* rows up to this number were looked at */
	int64		end;			/* of the pass under way, 0: none is */
	int64		last;			/* row that the last pass left */
} Rollup;

/* what differs between the tables */
typedef struct RolledTable
{
	Oid			table;
	Oid			pkey;
	const char *statement;
	Oid			time_type;
	Datum		time;			/* of the hour or day that is not over */
	int			naps;			/* from one pass to the next */
} RolledTable;

/*
 * Both take the ends of the slice and the time from which on there may be more,
 * and in their text the table's name and the schema's.
 */
static const char sums_statement[] =
"WITH slice AS MATERIALIZED ("
"SELECT id, hour, count(*) OVER (PARTITION BY destination, hour, kind, name, currency) AS alike "
"FROM %1$s WHERE id > $1 AND id <= $2), "
"locked AS MATERIALIZED ("
"SELECT id FROM %1$s WHERE id IN (SELECT id FROM slice WHERE alike > 1 OR hour >= $3) FOR UPDATE SKIP LOCKED), "
"gone AS ("
"DELETE FROM %1$s s USING locked l WHERE s.id = l.id RETURNING s.*) "
"INSERT INTO %1$s (destination, hour, kind, name, currency, calls, objects, quantity, revenue, "
"requests, data_points, data_points_saved, first_time, last_time) "
"SELECT destination, hour, kind, name, currency, sum(calls), sum(objects), sum(quantity), sum(revenue), "
"sum(requests), sum(data_points), sum(data_points_saved), min(first_time), max(last_time) "
"FROM gone GROUP BY destination, hour, kind, name, currency";

static const char users_statement[] =
"WITH slice AS MATERIALIZED ("
"SELECT id, day, count(*) OVER (PARTITION BY destination, day, kind, name) AS alike "
"FROM %1$s WHERE id > $1 AND id <= $2), "
"locked AS MATERIALIZED ("
"SELECT id FROM %1$s WHERE id IN (SELECT id FROM slice WHERE alike > 1 OR day >= $3) FOR UPDATE SKIP LOCKED), "
"gone AS ("
"DELETE FROM %1$s s USING locked l WHERE s.id = l.id RETURNING s.*) "
"INSERT INTO %1$s (destination, day, kind, name, sketch) "
"SELECT destination, day, kind, name, %2$s.braze_merge_users(sketch) "
"FROM gone GROUP BY destination, day, kind, name";

/*
 * the number of the row that is the n-th after this one, or the last; 0: none
 */
static int64
find_end(Relation rel, Oid pkey, int64 after, int n)
{
	Relation	index = index_open(pkey, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	IndexScanDesc scan = braze_index_beginscan(rel, index, GetActiveSnapshot(), 1);
	ScanKeyData key;
	int64		id = 0;
	bool		isnull;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	index_rescan(scan, &key, 1, NULL, 0);
	while (n-- > 0 && index_getnext_slot(scan, ForwardScanDirection, slot))
		id = DatumGetInt64(slot_getattr(slot, 1, &isnull));
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	return id;
}

static int64
find_last(Relation rel, Oid pkey)
{
	Relation	index = index_open(pkey, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	IndexScanDesc scan = braze_index_beginscan(rel, index, GetActiveSnapshot(), 0);
	int64		id = 0;
	bool		isnull;

	index_rescan(scan, NULL, 0, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slot))
		id = DatumGetInt64(slot_getattr(slot, 1, &isnull));
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	return id;
}

static void
roll_slice(Relation rel, const RolledTable *rolled, int64 after, int64 end)
{
	Oid			types[3] = {INT8OID, INT8OID, rolled->time_type};
	Datum		values[3] = {Int64GetDatum(after), Int64GetDatum(end), rolled->time};
	BrazeStatement statement = {rel, CMD_INSERT, NULL, lengthof(types), types, values};

	statement.text = psprintf(rolled->statement, braze_statement_table(rel),
							  quote_identifier(get_namespace_name(RelationGetNamespace(rel))));
	(void) braze_statement_run(&statement);
}

/* what was written meanwhile, and what this pass wrote, is the next one's */
static int
end_pass(Rollup *rollup, Relation rel, const RolledTable *rolled)
{
	int			pause = rolled->naps * braze_nap;

	PushActiveSnapshot(GetLatestSnapshot());
	rollup->last = find_last(rel, rolled->pkey);
	PopActiveSnapshot();
	rollup->done = rollup->end;
	rollup->end = 0;
	rollup->next_pass = braze_now_ms() + pause;
	return pause;
}

/*
 * One slice of the pass; begins a pass when the next is due, and ends it after
 * its last slice.  Returns in how many milliseconds to go on, or -1: at the
 * next nap, since somebody has locked the table.
 */
static int
go_on(Rollup *rollup, const RolledTable *rolled)
{
	int64		now = braze_now_ms();
	int			pause = PAUSE_MS;
	int64		end;
	Relation	rel;

	if (rollup->end == 0 && now < rollup->next_pass)
		return (int) (rollup->next_pass - now);

	/* whoever rewrites it need not be waited for */
	if (!braze_catalog_try_lock(rolled->table, RowExclusiveLock))
		return -1;
	rel = table_open(rolled->table, NoLock);
	if (rollup->end == 0)
	{
		rollup->end = find_last(rel, rolled->pkey);
		if (rollup->end == rollup->last)
			rollup->end = 0;
	}

	/*
	 * a slice that fails, or whose commit does, is not tried again in this
	 * pass
	 */
	end = rollup->end == 0 ? 0 : Min(find_end(rel, rolled->pkey, rollup->done, ROWS_PER_SLICE), rollup->end);
	if (end > rollup->done)
	{
		int64		after = rollup->done;

		rollup->done = end;
		roll_slice(rel, rolled, after, end);
	}
	if (rollup->end == 0)
	{
		/* nothing was written since the last pass */
		pause = rolled->naps * braze_nap;
		rollup->next_pass = now + pause;
	}
	else if (end == 0 || end >= rollup->end)
		pause = end_pass(rollup, rel, rolled);
	table_close(rel, NoLock);
	return pause;
}

int
braze_activity_rollup_sums(void)
{
	static Rollup rollup;
	const BrazeCatalog *catalog = braze_catalog_required();
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	RolledTable rolled = {
		catalog->activity_sums, catalog->activity_sums_pkey, sums_statement,
		TIMESTAMPTZOID, TimestampTzGetDatum(now - now % USECS_PER_HOUR), NAPS_PER_PASS
	};

	return go_on(&rollup, &rolled);
}

int
braze_activity_rollup_users(void)
{
	static Rollup rollup;
	const BrazeCatalog *catalog = braze_catalog_required();
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	RolledTable rolled = {
		catalog->activity_users, catalog->activity_users_pkey, users_statement,
		DATEOID, DateADTGetDatum((DateADT) (now / USECS_PER_DAY)), NAPS_PER_USER_PASS
	};

	return go_on(&rollup, &rolled);
}

/* ----- what has expired ----- */

static bool
sums_have_expired(TupleTableSlot *slot, void *arg)
{
	TimestampTz oldest = braze_steady_time() - *(int *) arg * USECS_PER_SEC;
	bool		isnull;

	return DatumGetTimestampTz(slot_getattr(slot, BRAZE_ACTIVITY_TIME, &isnull)) < oldest - USECS_PER_HOUR;
}

static bool
users_have_expired(TupleTableSlot *slot, void *arg)
{
	TimestampTz oldest = braze_steady_time() - *(int *) arg * USECS_PER_SEC;
	bool		isnull;

	return DatumGetDateADT(slot_getattr(slot, BRAZE_ACTIVITY_TIME, &isnull)) < oldest / USECS_PER_DAY - 1;
}

int
braze_activity_rollup_expire_sums(int seconds)
{
	static BrazeExpiry expiry;

	return braze_retention_expire(&expiry, braze_catalog_required()->activity_sums,
								  sums_have_expired, &seconds);
}

int
braze_activity_rollup_expire_users(int seconds)
{
	static BrazeExpiry expiry;

	return braze_retention_expire(&expiry, braze_catalog_required()->activity_users,
								  users_have_expired, &seconds);
}
