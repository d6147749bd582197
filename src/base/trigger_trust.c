/*-------------------------------------------------------------------------
 *
 * trigger_trust.c
 *	  Whether a trigger may run with the rights of its table's owner.
 *
 * A role needs no more than TRIGGER on a table to add one, or REFERENCES for
 * one that belongs to a foreign key.  What else runs with a table (rules,
 * policies, defaults, checks, indexes on expressions) only its owner can add.
 * PostgreSQL does not keep who has created a trigger, so what counts is whose
 * code it runs: that of its function, and of its WHEN condition.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/trigger_trust.h"

typedef struct Condition
{
	Relation	rel;
	const Trigger *trigger;
} Condition;

/*
 * A function that is SECURITY DEFINER is not an exception: its owner could
 * change that between this check and the call.
 */
static void
check_function_owner(Relation rel, const Trigger *trigger, Oid function)
{
	Oid			table_owner = rel->rd_rel->relowner;
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	if (has_privs_of_role(owner, table_owner))
		return;
	name = format_procedure_qualified(function);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("trigger \"%s\" on table \"%s\" runs a function of role \"%s\"",
					trigger->tgname, RelationGetRelationName(rel), GetUserNameFromId(owner, true)),
			 errdetail("Function %s would run with the rights of the table's owner \"%s\", which \"%s\" does not have.",
					   name, GetUserNameFromId(table_owner, true), GetUserNameFromId(owner, true)),
			 errhint("If you trust the function, run: ALTER FUNCTION %s OWNER TO %s.  Otherwise drop the trigger.",
					 name, quote_identifier(GetUserNameFromId(table_owner, false)))));
}

/*
 * PostgreSQL's own functions may run SQL that is in their arguments
 * (query_to_xml), or change what the session may do (set_config).  None that is
 * immutable does, nor a stable one without arguments, such as now().
 */
static bool
is_steered_by_nobody(Oid function)
{
	char		volatility = func_volatile(function);

	return volatility == PROVOLATILE_IMMUTABLE ||
		(volatility == PROVOLATILE_STABLE && get_func_nargs(function) == 0);
}

pg_noreturn static void
refuse_condition(const Condition *condition, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the WHEN condition of trigger \"%s\" on table \"%s\" is not allowed",
					condition->trigger->tgname, RelationGetRelationName(condition->rel)),
			 errdetail("It has %s, and would run with the rights of the table's owner \"%s\".",
					   what, GetUserNameFromId(condition->rel->rd_rel->relowner, true)),
			 errhint("Move the condition into the trigger's function, or drop the trigger.")));
}

static bool
check_condition_function(Oid function, void *context)
{
	const Condition *condition = context;

	check_function_owner(condition->rel, condition->trigger, function);
	if (!is_steered_by_nobody(function))
		refuse_condition(condition,
						 psprintf("a call of %s, which is not immutable", format_procedure_qualified(function)));
	return false;
}

/*
 * Nodes that run nothing but what check_functions_in_node finds.  Any other is
 * refused: a coercion to a domain, for one, runs the checks of the domain.
 */
static bool
is_plain_node(const Node *node)
{
	switch (nodeTag(node))
	{
		case T_List:
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
			return true;
		default:
			return false;
	}
}

static bool
check_condition(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!is_plain_node(node))
		refuse_condition(context, "a kind of expression that is not known to be safe");
	(void) check_functions_in_node(node, check_condition_function, context);
	return expression_tree_walker(node, check_condition, context);
}

/*
 * A foreign key of somebody's table may write there when a row of ours goes.
 * That table's triggers may run with the rights of whoever deletes ours (before
 * PostgreSQL 18 they do, if they are AFTER triggers).
 */
static void
check_referential_action(Relation rel, const Trigger *trigger)
{
	if (!OidIsValid(trigger->tgconstrrelid) ||
		RI_FKey_trigger_type(trigger->tgfoid) != RI_TRIGGER_PK ||
		trigger->tgfoid == F_RI_FKEY_NOACTION_DEL || trigger->tgfoid == F_RI_FKEY_NOACTION_UPD ||
		trigger->tgfoid == F_RI_FKEY_RESTRICT_DEL || trigger->tgfoid == F_RI_FKEY_RESTRICT_UPD)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("foreign key \"%s\" of table \"%s\" would write to that table when a row of table \"%s\" changes",
					get_constraint_name(trigger->tgconstraint), get_rel_name(trigger->tgconstrrelid),
					RelationGetRelationName(rel)),
			 errdetail("That table's triggers could run with the rights of \"%s\", the owner of \"%s\".",
					   GetUserNameFromId(rel->rd_rel->relowner, true), RelationGetRelationName(rel)),
			 errhint("Drop the foreign key, or make its actions ON DELETE and ON UPDATE either NO ACTION or RESTRICT.")));
}

void
braze_trigger_trust_check(Relation rel, const Trigger *trigger)
{
	check_referential_action(rel, trigger);
	check_function_owner(rel, trigger, trigger->tgfoid);
	if (trigger->tgqual != NULL)
	{
		Condition	condition = {rel, trigger};

		(void) check_condition(stringToNode(trigger->tgqual), &condition);
	}
}
