/*-------------------------------------------------------------------------
 *
 * pause.c
 *	  Destinations that are paused, and why: braze_paused.
 *
 * A table, so that a pause survives a restart and a dump.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "catalog.h"
#include "queue.h"
#include "table.h"

static SysScanDesc
scan_paused(Relation rel, Oid pkey, const char *destination, NameData *name)
{
	ScanKeyData key;

	namestrcpy(name, destination);
	ScanKeyInit(&key, BRAZE_PAUSED_DESTINATION, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(name));
	return systable_beginscan(rel, pkey, true, NULL, 1, &key);
}

BrazePause *
braze_pause_get(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = table_open(catalog->paused, AccessShareLock);
	NameData	name;
	SysScanDesc scan = scan_paused(rel, catalog->paused_pkey, destination, &name);
	HeapTuple	tuple = systable_getnext(scan);
	BrazePause *pause = NULL;

	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;

		pause = palloc(sizeof(BrazePause));
		pause->reason = TextDatumGetCString(heap_getattr(tuple, BRAZE_PAUSED_REASON, desc, &isnull));
		pause->by_worker = DatumGetBool(heap_getattr(tuple, BRAZE_PAUSED_BY_WORKER, desc, &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return pause;
}

void
braze_pause_put(const char *destination, const BrazePause *pause)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel;
	Datum		values[BRAZE_PAUSED_COLUMNS];
	bool		nulls[BRAZE_PAUSED_COLUMNS] = {false};
	NameData	name;
	ItemPointerData tid;

	/* two at once: the second waits here, and finds the pause of the first */
	rel = table_open(catalog->paused, ShareRowExclusiveLock);
	if (braze_pause_get(destination) == NULL)
	{
		namestrcpy(&name, destination);
		values[BRAZE_PAUSED_DESTINATION - 1] = NameGetDatum(&name);
		values[BRAZE_PAUSED_REASON - 1] = CStringGetTextDatum(pause->reason);
		values[BRAZE_PAUSED_PAUSED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[BRAZE_PAUSED_BY_WORKER - 1] = BoolGetDatum(pause->by_worker);
		braze_table_insert(rel, BRAZE_PAUSED_COLUMNS, values, nulls, &tid);
	}
	table_close(rel, NoLock);
}

bool
braze_pause_delete(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = table_open(catalog->paused, ShareRowExclusiveLock);
	NameData	name;
	SysScanDesc scan = scan_paused(rel, catalog->paused_pkey, destination, &name);
	HeapTuple	tuple = systable_getnext(scan);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
		CatalogTupleDelete(rel, &tuple->t_self);
	systable_endscan(scan);
	table_close(rel, NoLock);
	return found;
}
