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

static SysScanDesc
scan_paused(Relation rel, Oid pkey, const char *destination, NameData *name)
{
	ScanKeyData key;

	namestrcpy(name, destination);
	ScanKeyInit(&key, BRAZE_PAUSED_DESTINATION, BTEqualStrategyNumber, F_NAMEEQ,
				NameGetDatum(name));
	return systable_beginscan(rel, pkey, true, NULL, 1, &key);
}

char *
braze_pause_reason(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = table_open(catalog->paused, AccessShareLock);
	NameData	name;
	SysScanDesc scan = scan_paused(rel, catalog->paused_pkey, destination, &name);
	HeapTuple	tuple = systable_getnext(scan);
	char	   *reason = NULL;

	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, BRAZE_PAUSED_REASON,
										 RelationGetDescr(rel), &isnull);

		reason = isnull ? pstrdup("no reason given") : TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return reason;
}

void
braze_pause_put(const char *destination, const char *reason)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel;
	Datum		values[BRAZE_PAUSED_COLUMNS];
	bool		nulls[BRAZE_PAUSED_COLUMNS] = {false};
	NameData	name;

	if (braze_pause_reason(destination) != NULL)
		return;
	namestrcpy(&name, destination);
	values[BRAZE_PAUSED_DESTINATION - 1] = NameGetDatum(&name);
	values[BRAZE_PAUSED_REASON - 1] = CStringGetTextDatum(reason);
	values[BRAZE_PAUSED_PAUSED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	rel = table_open(catalog->paused, RowExclusiveLock);
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, NoLock);
}
