/*-------------------------------------------------------------------------
 *
 * collect_table.c
 *	  What is collected here: braze_collecting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "base/worker_wake.h"
#include "feed/collect_table.h"

bool
braze_collect_table_try_read(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	return braze_table_write_try_read(catalog->collecting, catalog->collecting_pkey);
}

/* with those keys */
static List *
read_origins(int nkeys, ScanKeyData *keys)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = braze_catalog_open(catalog->collecting, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	List	   *origins = NIL;
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, nkeys, keys);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		BrazeOrigin *origin = palloc0(sizeof(BrazeOrigin));
		bool		isnull;

		namestrcpy(&origin->server,
				   TextDatumGetCString(heap_getattr(tuple, BRAZE_COLLECTING_SERVER, desc, &isnull)));
		strlcpy(origin->table,
				TextDatumGetCString(heap_getattr(tuple, BRAZE_COLLECTING_TABLE, desc, &isnull)),
				sizeof(origin->table));
		origin->role = DatumGetObjectId(heap_getattr(tuple, BRAZE_COLLECTING_ROLE, desc, &isnull));
		origin->stopping = DatumGetBool(heap_getattr(tuple, BRAZE_COLLECTING_STOPPING, desc, &isnull));
		origins = lappend(origins, origin);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return origins;
}

List	   *
braze_collect_table_here(void)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], BRAZE_COLLECTING_SYSTEM, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) GetSystemIdentifier()));
	ScanKeyInit(&keys[1], BRAZE_COLLECTING_DATABASE, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(MyDatabaseId));
	return read_origins(lengthof(keys), keys);
}

List	   *
braze_collect_table_anywhere(void)
{
	return read_origins(0, NULL);
}

const BrazeOrigin *
braze_collect_table_find(const char *server, const char *table)
{
	ListCell   *cell;

	foreach(cell, braze_collect_table_here())
	{
		const BrazeOrigin *origin = lfirst(cell);

		if (strcmp(NameStr(origin->server), server) == 0 && strcmp(origin->table, table) == 0)
			return origin;
	}
	return NULL;
}

static void
write_origin(const BrazeOrigin *origin, CmdType operation, const char *format)
{
	static const Oid types[5] = {TEXTOID, TEXTOID, INT8OID, OIDOID, OIDOID};
	Relation	rel = braze_catalog_open(braze_catalog_required()->collecting, RowExclusiveLock);
	Datum		values[5];
	BrazeStatement statement = {rel, operation, NULL, lengthof(types), types, values};

	values[0] = CStringGetTextDatum(NameStr(origin->server));
	values[1] = CStringGetTextDatum(origin->table);
	values[2] = Int64GetDatum((int64) GetSystemIdentifier());
	values[3] = ObjectIdGetDatum(MyDatabaseId);
	values[4] = ObjectIdGetDatum(origin->role);
	statement.text = psprintf(format, braze_statement_table(rel));
	(void) braze_statement_run(&statement);
	table_close(rel, NoLock);
	braze_worker_wake_refresh_at_commit();
}

void
braze_collect_table_put(const BrazeOrigin *origin)
{
	write_origin(origin, CMD_INSERT,
				 "INSERT INTO %s (server, origin_table, system_identifier, database, role) "
				 "VALUES ($1, $2, $3, $4, $5) "
				 "ON CONFLICT (server, origin_table, system_identifier, database) "
				 "DO UPDATE SET role = excluded.role, stopping = false");
}

/* whoever collects it: the caller has seen to that */
void
braze_collect_table_stop(const BrazeOrigin *origin)
{
	write_origin(origin, CMD_UPDATE,
				 "UPDATE %s SET stopping = true WHERE server = $1 AND origin_table = $2 "
				 "AND system_identifier = $3 AND database = $4 AND $5 IS NOT NULL");
}

/* only_stopping: unless it is to be collected again meanwhile */
void
braze_collect_table_remove(const BrazeOrigin *origin, bool only_stopping)
{
	write_origin(origin, CMD_DELETE, only_stopping ?
				 "DELETE FROM %s WHERE server = $1 AND origin_table = $2 "
				 "AND system_identifier = $3 AND database = $4 AND role = $5 AND stopping" :
				 "DELETE FROM %s WHERE server = $1 AND origin_table = $2 "
				 "AND system_identifier = $3 AND database = $4 AND $5 IS NOT NULL");
}
