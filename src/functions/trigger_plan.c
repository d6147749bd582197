/*-------------------------------------------------------------------------
 *
 * trigger_plan.c
 *	  What a trigger does with a row, worked out once and kept for the session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "fmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "functions/trigger_arguments.h"
#include "functions/trigger_plan.h"

static HTAB *plans = NULL;

typedef struct PlanEntry
{
	Oid			trigger;
	BrazeTriggerPlan *plan;
} PlanEntry;

/*
 * The table on which the trigger was created.  That of a partitioned table is
 * cloned for each partition, which may have another owner.
 */
static Oid
find_origin(const Trigger *trigger, Relation rel)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	Oid			origin = RelationGetRelid(rel);
	Oid			parent = trigger->tgoid;

	while (OidIsValid(parent))
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(parent));
		scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
		tuple = systable_getnext(scan);
		parent = InvalidOid;
		if (HeapTupleIsValid(tuple))
		{
			origin = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
			parent = ((Form_pg_trigger) GETSTRUCT(tuple))->tgparentid;
		}
		systable_endscan(scan);
	}
	table_close(triggers, AccessShareLock);
	return origin;
}

static void
check_row_level(const Trigger *trigger)
{
	if (!TRIGGER_FOR_ROW(trigger->tgtype))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must be fired for each row", trigger->tgname),
				 errhint("Create it with FOR EACH ROW.")));
}

/* a session's own schema of temporary tables has a number in its name */
static char *
where_text(const Trigger *trigger, Relation rel)
{
	const char *schema = rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ? "pg_temp" :
	get_namespace_name(RelationGetNamespace(rel));

	return psprintf("trigger \"%s\" on table \"%s.%s\"",
					trigger->tgname, schema, RelationGetRelationName(rel));
}

/* in a context of its own, which only outlives an error if there is none */
static BrazeTriggerPlan *
make_trigger_plan(const Trigger *trigger, Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "segment_braze trigger",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	BrazeTriggerPlan *plan = palloc0(sizeof(BrazeTriggerPlan));

	plan->trigger = trigger->tgoid;
	plan->relid = RelationGetRelid(rel);

	/*
	 * The owner of this table is asked for USAGE at each call, and not the
	 * owner of a partition, who may be another.
	 */
	plan->origin = find_origin(trigger, rel);
	plan->context = context;
	check_row_level(trigger);
	plan->where = where_text(trigger, rel);
	braze_trigger_arguments_read(plan, trigger, rel);
	plan->valid = true;
	MemoryContextSwitchTo(old);
	return plan;
}

static void
invalidate_plans(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	PlanEntry  *entry;

	hash_seq_init(&seq, plans);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->plan && (relid == InvalidOid || entry->plan->relid == relid))
			/* only marked: this runs anywhere, also while a plan is in use */
			entry->plan->valid = false;
	}
}

/*
 * Forgets the plans that have become invalid, among them those of triggers
 * that no longer exist.  One of them may be in use further up in this very
 * call, when a value's conversion queries a table: so the transaction gets
 * them, and frees them at its end.
 */
static void
sweep_plans(void)
{
	HASH_SEQ_STATUS seq;
	PlanEntry  *entry;

	hash_seq_init(&seq, plans);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->plan == NULL || !entry->plan->valid)
		{
			if (entry->plan)
				MemoryContextSetParent(entry->plan->context, TopTransactionContext);
			(void) hash_search(plans, &entry->trigger, HASH_REMOVE, NULL);
		}
	}
}

const BrazeTriggerPlan *
braze_trigger_plan(const Trigger *trigger, Relation rel)
{
	PlanEntry  *entry;
	BrazeTriggerPlan *plan;

	if (plans == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(Oid),
			.entrysize = sizeof(PlanEntry)
		};

		plans = hash_create("segment_braze triggers", 32, &control, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(invalidate_plans, (Datum) 0);
	}

	entry = hash_search(plans, &trigger->tgoid, HASH_FIND, NULL);
	if (entry && entry->plan && entry->plan->valid)
		return entry->plan;

	sweep_plans();
	plan = make_trigger_plan(trigger, rel);

	/*
	 * Entered when it is whole: an error in the arguments leaves no plan, and
	 * the next row raises it again.
	 */
	entry = hash_search(plans, &trigger->tgoid, HASH_ENTER, NULL);
	entry->plan = plan;
	MemoryContextSetParent(plan->context, TopMemoryContext);
	return plan;
}
