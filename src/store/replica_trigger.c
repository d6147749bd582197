/*-------------------------------------------------------------------------
 *
 * replica_trigger.c
 *	  The trigger that has replicated rows wake the worker.
 *
 * ALTER TABLE ... ENABLE TRIGGER ALL makes an ordinary trigger of it, which is
 * what pg_restore --disable-triggers ends with: it then fires for each row
 * that is queued here, and for none that is replicated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/database_name.h"
#include "store/replica_trigger.h"

#define REPLICA_TRIGGER		"braze_notify_replicated"

static bool
is_ordinary(Oid queue)
{
	Relation	rel = RelationIdGetRelation(queue);
	bool		found = false;

	if (rel == NULL)
		return false;
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, REPLICA_TRIGGER) == 0 &&
			trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN)
			found = true;
	}
	RelationClose(rel);
	return found;
}

/* as ALTER TABLE ... ENABLE REPLICA TRIGGER does */
static void
enable_for_replica(Oid queue)
{
	Relation	catalog = table_open(TriggerRelationId, RowExclusiveLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(queue));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(REPLICA_TRIGGER));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled = TRIGGER_FIRES_ON_REPLICA;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		CacheInvalidateRelcacheByRelid(queue);
		heap_freetuple(tuple);
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
}

int
braze_replica_trigger_restore(void)
{
	Oid			queue = braze_catalog_required()->queue;

	/*
	 * ALTER TABLE would have everybody who queues wait for an open
	 * transaction that has queued.  This lock keeps out ALTER TABLE itself,
	 * and is enough: a statement under way goes on with its own copy of the
	 * triggers.
	 */
	if (!is_ordinary(queue) || !braze_catalog_try_lock(queue, ShareUpdateExclusiveLock))
		return -1;
	if (is_ordinary(queue))
	{
		enable_for_replica(queue);
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: trigger \"%s\" fires for replicated rows again in database \"%s\"",
						REPLICA_TRIGGER, braze_database_name()),
				 errdetail("It had become an ordinary trigger, as pg_restore --disable-triggers leaves it.")));
	}
	return -1;
}
