/*-------------------------------------------------------------------------
 *
 * paused_table.c
 *	  Destinations that are paused, and why: braze_paused.
 *
 * A table, so that a pause survives a restart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table_write.h"
#include "braze/endpoint.h"
#include "store/paused_table.h"

/* what endpoint is, when it is not one of ours */
#define UNKNOWN_ENDPOINT	(-2)

/* the table is asked for so often, with so long in between */
#define LOCK_TRIES			50
#define LOCK_WAIT_MS		2

/* by the first column alone: a destination has few endpoints */
static SysScanDesc
scan_paused(Relation rel, Oid pkey, const char *destination)
{
	ScanKeyData key;

	ScanKeyInit(&key, BRAZE_PAUSED_DESTINATION, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(destination));
	return systable_beginscan(rel, pkey, true, NULL, 1, &key);
}

static const char *
endpoint_path(int endpoint)
{
	return endpoint == BRAZE_WHOLE_DESTINATION ? "" : braze_endpoints[endpoint].path;
}

static int
endpoint_by_path(const char *path)
{
	for (int i = BRAZE_WHOLE_DESTINATION; i < BRAZE_ENDPOINTS; i++)
	{
		if (strcmp(path, endpoint_path(i)) == 0)
			return i;
	}
	return UNKNOWN_ENDPOINT;
}

static BrazePause *
read_pause(HeapTuple tuple, TupleDesc desc)
{
	BrazePause *pause = palloc(sizeof(BrazePause));
	bool		isnull;

	pause->reason = TextDatumGetCString(heap_getattr(tuple, BRAZE_PAUSED_REASON, desc, &isnull));
	pause->by_worker = DatumGetBool(heap_getattr(tuple, BRAZE_PAUSED_BY_WORKER, desc, &isnull));
	pause->endpoint = endpoint_by_path(TextDatumGetCString(heap_getattr(tuple, BRAZE_PAUSED_ENDPOINT,
																		desc, &isnull)));
	return pause;
}

bool
braze_paused_table_try_read(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	return braze_table_write_try_read(catalog->paused, catalog->paused_pkey);
}

List	   *
braze_paused_table_read(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = braze_catalog_open(catalog->paused, AccessShareLock);
	SysScanDesc scan = scan_paused(rel, catalog->paused_pkey, destination);
	HeapTuple	tuple;
	List	   *pauses = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		BrazePause *pause = read_pause(tuple, RelationGetDescr(rel));

		if (pause->endpoint != UNKNOWN_ENDPOINT)
			pauses = lappend(pauses, pause);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return pauses;
}

bool
braze_paused_table_has(const char *destination, int endpoint)
{
	ListCell   *cell;

	foreach(cell, braze_paused_table_read(destination))
	{
		if (((BrazePause *) lfirst(cell))->endpoint == endpoint)
			return true;
	}
	return false;
}

/*
 * braze_start wakes the worker at its commit, and lets go of the table a moment
 * later.  A pause that comes in between must not have to wait for the next
 * refresh: whoever sees it in the status may end it at once.  A transaction
 * that keeps its lock for longer is waited for once, and not by each
 * destination at each refresh: nothing is sent meanwhile.
 */
static bool
lock_for_writing(Oid table)
{
	static bool was_locked = false;

	for (int i = 0; !braze_catalog_try_lock(table, ShareRowExclusiveLock); i++)
	{
		if (was_locked || i == LOCK_TRIES)
		{
			was_locked = true;
			return false;
		}
		if (i == 0)
			ereport(DEBUG1,
					(errmsg_internal("segment_braze: waiting a moment for whoever has locked braze_paused")));
		pg_usleep(LOCK_WAIT_MS * 1000L);
	}
	was_locked = false;
	return true;
}

void
braze_paused_table_put(const char *destination, const BrazePause *pause)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel;
	Datum		values[BRAZE_PAUSED_COLUMNS];
	bool		nulls[BRAZE_PAUSED_COLUMNS] = {false};
	ItemPointerData tid;

	/*
	 * This lock keeps out everybody else who writes here, so that what
	 * follows waits for nobody: neither for a table that is locked nor for a
	 * pause that somebody has not committed.
	 */
	if (!lock_for_writing(catalog->paused))
		return;
	rel = table_open(catalog->paused, NoLock);
	if (!braze_paused_table_has(destination, pause->endpoint))
	{
		values[BRAZE_PAUSED_DESTINATION - 1] = CStringGetTextDatum(destination);
		values[BRAZE_PAUSED_REASON - 1] = CStringGetTextDatum(pause->reason);
		values[BRAZE_PAUSED_PAUSED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[BRAZE_PAUSED_BY_WORKER - 1] = BoolGetDatum(pause->by_worker);
		values[BRAZE_PAUSED_ENDPOINT - 1] = CStringGetTextDatum(endpoint_path(pause->endpoint));
		braze_table_write_insert(rel, BRAZE_PAUSED_COLUMNS, values, nulls, &tid);
	}
	table_close(rel, NoLock);
}

bool
braze_paused_table_lift(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		lifted = true;

	if (!lock_for_writing(catalog->paused))
		return false;
	rel = table_open(catalog->paused, NoLock);
	scan = scan_paused(rel, catalog->paused_pkey, destination);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (read_pause(tuple, RelationGetDescr(rel))->by_worker &&
			braze_table_write_delete(rel, &tuple->t_self, GetActiveSnapshot()) != TM_Ok)
			lifted = false;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	return lifted;
}
