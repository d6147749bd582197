/*-------------------------------------------------------------------------
 *
 * replica_trigger.c
 *	  The triggers that tell the worker of what is done as a replica.
 *
 * ALTER TABLE ... ENABLE TRIGGER ALL makes ordinary triggers of them, which is
 * what pg_restore --disable-triggers ends with: that for replicated rows then
 * fires for each row that is queued here, and for none that is replicated, and
 * calls that are deleted with session_replication_role = replica are sent.
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

typedef struct ReplicaTrigger
{
	const char *name;
	char		enabled;
}			ReplicaTrigger;

static const ReplicaTrigger replica_triggers[] = {
	{"braze_notify_replicated", TRIGGER_FIRES_ON_REPLICA},
	{"braze_notify_deleted", TRIGGER_FIRES_ALWAYS}
};

static bool
is_ordinary(Oid queue, const char *name)
{
	Relation	rel = RelationIdGetRelation(queue);
	bool		found = false;

	if (rel == NULL)
		return false;
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, name) == 0 &&
			trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN)
			found = true;
	}
	RelationClose(rel);
	return found;
}

/* as ALTER TABLE ... ENABLE REPLICA TRIGGER, or ENABLE ALWAYS TRIGGER, does */
static void
enable_for_replica(Oid queue, const ReplicaTrigger * trigger)
{
	Relation	catalog = table_open(TriggerRelationId, RowExclusiveLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(queue));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(trigger->name));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled = trigger->enabled;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		CacheInvalidateRelcacheByRelid(queue);
		heap_freetuple(tuple);
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
}

static void
restore_one_trigger(Oid queue, const ReplicaTrigger * trigger)
{
	/*
	 * ALTER TABLE would have everybody who queues wait for an open
	 * transaction that has queued.  This lock keeps out ALTER TABLE itself,
	 * and is enough: a statement under way goes on with its own copy of the
	 * triggers.
	 */
	if (!is_ordinary(queue, trigger->name) || !braze_catalog_try_lock(queue, ShareUpdateExclusiveLock))
		return;
	if (is_ordinary(queue, trigger->name))
	{
		enable_for_replica(queue, trigger);
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: trigger \"%s\" fires for replicated rows again in database \"%s\"",
						trigger->name, braze_database_name()),
				 errdetail("It had become an ordinary trigger, as pg_restore --disable-triggers leaves it.")));
	}
}

int
braze_replica_trigger_restore(void)
{
	Oid			queue = braze_catalog_required()->queue;

	for (int i = 0; i < lengthof(replica_triggers); i++)
		restore_one_trigger(queue, &replica_triggers[i]);
	return -1;
}
