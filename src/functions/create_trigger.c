/*-------------------------------------------------------------------------
 *
 * create_trigger.c
 *	  CREATE TRIGGER is checked at once: one of ours, and one on our tables.
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
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/trigger_trust.h"
#include "destination/destination.h"
#include "functions/create_trigger.h"
#include "functions/trigger_plan.h"

/* the function's name in the library */
#define TRIGGER_SYMBOL	"braze_trigger"

static object_access_hook_type prev_object_access = NULL;

/*
 * By the catalog: asking the function manager would load the libraries of
 * others, and would not know ours when the function has settings of its own.
 */
bool
braze_create_trigger_is_ours(Oid function)
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
 * The table of a new trigger, and its function.  False for what a partition
 * gets along with its parent's trigger: that was not asked for.
 */
static bool
find_new(Oid triggerid, Oid *table, Oid *function)
{
	Relation	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	/* the row is not visible to the command that has made it */
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(triggerid));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		*table = form->tgrelid;
		*function = form->tgfoid;
		found = !OidIsValid(form->tgparentid);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

static const Trigger *
find_trigger(const TriggerDesc * triggers, Oid triggerid)
{
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (triggers->triggers[i].tgoid == triggerid)
			return &triggers->triggers[i];
	}
	return NULL;
}

/* ----- a trigger on one of our tables ----- */

static bool
is_our_table(Oid table)
{
	Oid			extension = getExtensionOfObject(RelationRelationId, table);

	return OidIsValid(extension) && extension == get_extension_oid(BRAZE_EXTENSION, true);
}

/*
 * It will run with the rights of the table's owner.  Each write checks whose
 * code it runs, and cannot tell who has chosen the arguments.
 */
static void
check_on_our_table(const Trigger *trigger, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;

	braze_trigger_trust_check(rel, trigger);
	if (trigger->tgnargs > 0 && !has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("trigger \"%s\" on table \"%s\" cannot have arguments",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("Its function would run with the rights of the table's owner \"%s\", which role \"%s\" does not have.",
						   GetUserNameFromId(owner, true), GetUserNameFromId(GetUserId(), true))));
}

/* ----- a trigger of ours ----- */

pg_noreturn static void
refuse_creator(const BrazeDestinationProblem *problem, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;

	ereport(ERROR,
			(errcode(problem->sqlstate),
			 errmsg("%s", problem->message),
			 owner == GetUserId() ? (problem->detail ? errdetail("%s", problem->detail) : 0) :
			 errdetail("%s%sThe trigger would queue calls with the rights of \"%s\", who owns table \"%s\".",
					   problem->detail ? problem->detail : "", problem->detail ? "  " : "",
					   GetUserNameFromId(owner, false), RelationGetRelationName(rel)),
			 problem->hint ? errhint("%s", problem->hint) : 0));
}

/*
 * raises an error when the current user lacks the right to use the destination
 */
static void
check_named_destination(const char *destination, Relation rel)
{
	BrazeDestinationProblem problem;

	if (braze_destination_find(destination, GetUserId(), &problem) == NULL &&
		problem.sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		refuse_creator(&problem, rel);
}

/*
 * Without a name, the destination is chosen when the trigger fires: any that
 * the owner may use by then.  What the session has set at its creation says
 * nothing about that.
 */
static void
check_any_destination(Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;
	List	   *names;
	ListCell   *cell;

	if (has_privs_of_role(GetUserId(), owner))
		return;
	names = braze_destination_usable_names(owner);
	if (names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("trigger on table \"%s\" must name its destination",
						RelationGetRelationName(rel)),
				 errdetail("It would queue calls for any destination that \"%s\", who owns the table, is granted later.",
						   GetUserNameFromId(owner, false)),
				 errhint("Use the argument destination of braze_trigger.")));
	foreach(cell, names)
		check_named_destination(lfirst(cell), rel);
}

/*
 * The trigger will queue with the rights of the table's owner.  Without this
 * check, a role with TRIGGER on somebody's table would have that owner's USAGE.
 * A named destination that does not exist yet is nobody's, and no reason to
 * refuse the trigger: a restored dump may create it later.
 */
static void
check_creator(const char *destination, Relation rel)
{
	if (destination != NULL)
		check_named_destination(destination, rel);
	else
		check_any_destination(rel);
}

/*
 * Raises an error when the arguments of a new trigger of ours make no sense,
 * when the current user may not use the destination, or when a trigger on one
 * of our tables could not run: the command fails then, not the application's
 * first INSERT.
 */
static void
check_created(Oid triggerid)
{
	Oid			table;
	Oid			function;
	bool		is_ours;
	bool		is_on_ours;
	Relation	rel;
	TriggerDesc *triggers;
	const Trigger *trigger;

	if (!find_new(triggerid, &table, &function))
		return;
	is_ours = braze_create_trigger_is_ours(function);
	is_on_ours = is_our_table(table);
	if (!is_ours && !is_on_ours)
		return;

	/* the table's triggers are read anew; the command has locked the table */
	CommandCounterIncrement();
	rel = table_open(table, NoLock);

	/* copied: the look-ups may have the table's own list built anew */
	triggers = CopyTriggerDesc(rel->trigdesc);
	trigger = find_trigger(triggers, triggerid);
	if (trigger != NULL && is_on_ours)
		check_on_our_table(trigger, rel);
	if (trigger != NULL && is_ours)
		check_creator(braze_trigger_plan(trigger, rel)->destination, rel);
	FreeTriggerDesc(triggers);
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
