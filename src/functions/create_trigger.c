/*-------------------------------------------------------------------------
 *
 * create_trigger.c
 *	  CREATE TRIGGER ... EXECUTE FUNCTION braze_trigger(...) is checked at once.
 *
 * By the hook for new objects, which has the trigger's OID: a name that is
 * looked up after the command may be another table's by then.  Where the
 * library is not preloaded, a session has no hook before it calls one of our
 * functions, and CREATE TRIGGER calls none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "destination/destination.h"
#include "functions/create_trigger.h"
#include "functions/trigger_arguments.h"

/* the function's name in the library */
#define TRIGGER_SYMBOL	"braze_trigger"

static object_access_hook_type prev_object_access = NULL;

/*
 * By the catalog: asking the function manager would load the libraries of
 * others, and would not know ours when the function has settings of its own.
 */
static bool
calls_braze_trigger(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		found = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool		isnull;
		Datum		symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);

		found = !isnull && strcmp(TextDatumGetCString(symbol), TRIGGER_SYMBOL) == 0;
	}
	ReleaseSysCache(tuple);
	return found;
}

/*
 * The table of a trigger of ours that a command has asked for, else InvalidOid.
 * What a partition gets along with its parent's trigger was not asked for.
 */
static Oid
table_of_new(Oid triggerid)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			table = InvalidOid;

	/* the row is not visible to the command that has made it */
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(triggerid));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (!OidIsValid(form->tgparentid) && calls_braze_trigger(form->tgfoid))
			table = form->tgrelid;
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return table;
}

static const Trigger *
find_trigger(Relation rel, Oid triggerid)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgoid == triggerid)
			return trigger;
	}
	return NULL;
}

/*
 * The trigger will queue with the rights of the table's owner.  Without this
 * check, a role with TRIGGER on somebody's table would have that owner's USAGE.
 * A destination that does not exist yet is nobody's, and no reason to refuse
 * the trigger: a restored dump may create it later.
 */
static void
check_creator(const char *destination, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;
	BrazeDestinationProblem problem;

	if (destination == NULL)
	{
		const BrazeDestination *chosen = braze_destination_find(NULL, owner, &problem);

		/* the trigger decides when it fires, since servers may come and go */
		if (chosen == NULL)
			return;
		destination = pstrdup(NameStr(chosen->name));
	}
	if (braze_destination_find(destination, GetUserId(), &problem) == NULL &&
		problem.sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		ereport(ERROR,
				(errcode(problem.sqlstate),
				 errmsg("%s", problem.message),
				 owner == GetUserId() ? (problem.detail ? errdetail("%s", problem.detail) : 0) :
				 errdetail("%s%sThe trigger would queue calls with the rights of \"%s\", who owns table \"%s\".",
						   problem.detail ? problem.detail : "", problem.detail ? "  " : "",
						   GetUserNameFromId(owner, false), RelationGetRelationName(rel)),
				 problem.hint ? errhint("%s", problem.hint) : 0));
}

/*
 * Raises an error when the arguments of a new trigger of ours make no sense, or
 * when the current user may not use the destination: the command fails then,
 * not the application's first INSERT.
 */
static void
check_created(Oid triggerid)
{
	Oid			table = table_of_new(triggerid);
	Relation	rel;
	const Trigger *trigger;

	if (!OidIsValid(table))
		return;

	/* the table's triggers are read anew; the command has locked the table */
	CommandCounterIncrement();
	rel = table_open(table, NoLock);
	trigger = find_trigger(rel, triggerid);
	if (trigger != NULL)
		check_creator(braze_trigger_arguments_plan(trigger, rel)->destination, rel);
	table_close(rel, NoLock);
}

static void
object_accessed(ObjectAccessType access, Oid class, Oid object, int part, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, class, object, part, arg);

	/* pg_upgrade restores what was accepted once, on a server of its own */
	if (access == OAT_POST_CREATE && class == TriggerRelationId && !IsBinaryUpgrade &&
		!((ObjectAccessPostCreate *) arg)->is_internal)
		check_created(object);
}

void
braze_create_trigger_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_accessed;
}
