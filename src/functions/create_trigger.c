/*-------------------------------------------------------------------------
 *
 * create_trigger.c
 *	  CREATE TRIGGER ... EXECUTE FUNCTION braze_trigger(...) is checked at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "destination/destination.h"
#include "functions/create_trigger.h"
#include "functions/trigger.h"
#include "functions/trigger_arguments.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static bool
is_ours(const Trigger *trigger)
{
	FmgrInfo	function;

	fmgr_info(trigger->tgfoid, &function);
	return function.fn_addr == braze_trigger;
}

static const Trigger *
find_trigger(Relation rel, const char *name)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, name) == 0)
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
 * CREATE TRIGGER has made this trigger, perhaps one of ours.  Raises an error
 * when its arguments make no sense, or when the current user may not use the
 * destination: the command fails then, not the application's first INSERT.
 */
static void
check_created(Oid relid, const char *name)
{
	Relation	rel;
	const Trigger *trigger;

	/* the command's own lock on the table is still held */
	CommandCounterIncrement();
	rel = table_open(relid, NoLock);
	trigger = find_trigger(rel, name);
	if (trigger != NULL && is_ours(trigger))
		check_creator(braze_trigger_arguments_plan(trigger, rel)->destination, rel);
	table_close(rel, NoLock);
}

static void
create_trigger_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *queryEnv, DestReceiver *dest,
					   QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;

	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context,
							params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);

	/* pg_upgrade restores what was accepted once, on a server of its own */
	if (IsA(statement, CreateTrigStmt) && !IsBinaryUpgrade)
	{
		CreateTrigStmt *create = (CreateTrigStmt *) statement;
		Oid			relid = RangeVarGetRelid(create->relation, NoLock, true);

		if (OidIsValid(relid))
			check_created(relid, create->trigname);
	}
}

void
braze_create_trigger_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = create_trigger_utility;
}
