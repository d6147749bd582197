/*-------------------------------------------------------------------------
 *
 * started_table.c
 *	  From which databases a destination delivers: braze_started.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/table_write.h"
#include "store/started_table.h"

/* as pg_control_system() shows it, which knows no unsigned numbers either */
int64
braze_started_table_system(void)
{
	return (int64) GetSystemIdentifier();
}

bool
braze_started_table_try_read(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	return braze_table_write_try_read(catalog->started, catalog->started_pkey);
}

bool
braze_started_table_has(const char *destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = braze_catalog_open(catalog->started, AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&keys[0], BRAZE_STARTED_DESTINATION, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(destination));
	ScanKeyInit(&keys[1], BRAZE_STARTED_SYSTEM, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(braze_started_table_system()));
	ScanKeyInit(&keys[2], BRAZE_STARTED_DATABASE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(MyDatabaseId));
	scan = systable_beginscan(rel, catalog->started_pkey, true, NULL, lengthof(keys), keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

char	   *
braze_started_table_advice(const char *destination)
{
	return psprintf("to deliver from this database, run SELECT braze_start(%s)",
					quote_literal_cstr(destination));
}
