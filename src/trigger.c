/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  braze_trigger: a row that changes becomes a call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "column.h"
#include "compat.h"
#include "destination.h"
#include "enqueue.h"
#include "trigger.h"
#include "trigger_plan.h"

BRAZE_SQL_FUNCTION(braze_trigger);

/*
 * Is a value by itself too large for a call?  It is not even looked at then:
 * building the call could fail on it, which this function may not.
 */
static bool
is_too_large(const BrazeColumn *column, Datum datum)
{
	return column->varlena &&
		toast_raw_datum_size(datum) > (Size) braze_max_call_size * 1024;
}

static void
note_too_large(StringInfo reason, const BrazeColumn *column, Datum datum,
			   TupleDesc desc)
{
	appendStringInfo(reason, "%sColumn \"%s\" has %zu bytes, and segment_braze.max_call_size "
					 "is %d kB.", reason->len > 0 ? " " : "",
					 NameStr(TupleDescAttr(desc, column->index)->attname),
					 (Size) toast_raw_datum_size(datum), braze_max_call_size);
}

/*
 * The call that a row becomes.  old is the row before an update, else NULL.
 * reason gets a sentence for each value that is too large to be in it.
 */
static BrazeNewCall
build_call(const BrazeTriggerPlan *plan, TupleDesc desc, const BrazeRow *row,
		   const BrazeRow *old, StringInfo reason)
{
	BrazeCallBuilder call;

	braze_call_begin(&call, plan->type);
	for (int i = 0; i < plan->nliterals; i++)
		braze_call_add_text(&call, plan->literals[i].key, plan->literals[i].text,
							strlen(plan->literals[i].text));

	for (int i = 0; i < plan->nfields; i++)
	{
		const BrazeColumn *column = &plan->fields[i];
		Datum		datum = row->values[column->index];

		if (row->nulls[column->index])
			continue;
		if (is_too_large(column, datum))
		{
			note_too_large(reason, column, datum, desc);
			continue;
		}
		braze_call_add_key(&call, column->key);
		braze_column_push(&call.state, column, datum);
	}

	if (plan->whole)
	{
		const BrazeColumn *column = &plan->members[0];
		Datum		datum = row->values[column->index];

		if (row->nulls[column->index])
			 /* the call has none then */ ;
		else if (is_too_large(column, datum))
			note_too_large(reason, column, datum, desc);
		else
		{
			braze_call_add_key(&call, plan->object);
			braze_column_push(&call.state, column, datum);
		}
	}
	else if (plan->object)
	{
		braze_call_add_key(&call, plan->object);
		braze_jsonb_add(&call.state, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < plan->nmembers; i++)
		{
			const BrazeColumn *column = &plan->members[i];
			Datum		datum = row->values[column->index];
			bool		isnull = row->nulls[column->index];
			JsonbValue	value;

			if (isnull && !(plan->send_removed && old && !old->nulls[column->index]))
				continue;
			if (!isnull && is_too_large(column, datum))
			{
				note_too_large(reason, column, datum, desc);
				continue;
			}
			value.type = jbvString;
			value.val.string.val = unconstify(char *, column->key);
			value.val.string.len = strlen(column->key);
			braze_jsonb_add(&call.state, WJB_KEY, &value);
			if (isnull)
			{
				value.type = jbvNull;
				braze_jsonb_add(&call.state, WJB_VALUE, &value);
			}
			else
				braze_column_push(&call.state, column, datum);
		}
		braze_jsonb_add(&call.state, WJB_END_OBJECT, NULL);
	}
	return braze_call_finish(&call);
}

static bool
has_changed(const BrazeTriggerPlan *plan, TupleDesc desc, const BrazeRow *row, const BrazeRow *old)
{
	for (int i = 0; i < plan->ncompared; i++)
	{
		int			index = plan->compared[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, index);

		if (row->nulls[index] != old->nulls[index])
			return true;
		if (!row->nulls[index] &&
			!datum_image_eq(row->values[index], old->values[index],
							attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

/* whose right to the destination counts */
static Oid
owner_of(const BrazeTriggerPlan *plan, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;

	if (plan->origin != RelationGetRelid(rel))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(plan->origin));

		if (HeapTupleIsValid(tuple))
		{
			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
			ReleaseSysCache(tuple);
		}
	}
	return owner;
}

static void
check_level(const Trigger *trigger)
{
	if (!TRIGGER_FOR_ROW(trigger->tgtype))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must be fired for each row", trigger->tgname),
				 errhint("Create it with FOR EACH ROW.")));
}

Datum
braze_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	const BrazeTriggerPlan *plan;
	TupleDesc	desc;
	HeapTuple	tuple;
	BrazeRow			row;
	BrazeRow			before;
	const BrazeRow  *old = NULL;
	StringInfoData reason;
	BrazeNewCall call;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("braze_trigger is a trigger function"),
				 errhint("Call it from a trigger: CREATE TRIGGER ... FOR EACH ROW "
						 "EXECUTE FUNCTION braze_trigger(...).")));
	check_level(data->tg_trigger);
	plan = braze_trigger_plan(data->tg_trigger, data->tg_relation);
	desc = RelationGetDescr(data->tg_relation);
	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
		data->tg_newtuple : data->tg_trigtuple;
	row = braze_row_deform(tuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) &&
		(plan->send_removed || plan->only_changed))
	{
		before = braze_row_deform(data->tg_trigtuple, desc);
		old = &before;
	}

	/* in both rows: a column without a value is not one that was removed */
	for (int i = 0; i < plan->nabsent && !TRIGGER_FIRED_BY_DELETE(data->tg_event); i++)
	{
		row.nulls[plan->absent[i]] = true;
		if (old != NULL)
			before.nulls[plan->absent[i]] = true;
	}

	if (old == NULL || !plan->only_changed || has_changed(plan, desc, &row, old))
	{
		initStringInfo(&reason);
		call = build_call(plan, desc, &row, old, &reason);
		(void) braze_enqueue_call(call, plan->destination,
								  owner_of(plan, data->tg_relation), true,
								  reason.len > 0 ? reason.data : NULL);
	}

	return PointerGetDatum(tuple);
}

/* ----- a trigger that was just created ----- */

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
				 owner == GetUserId() ? 0 :
				 errdetail("The trigger would queue calls with the rights of \"%s\", who owns table \"%s\".",
						   GetUserNameFromId(owner, false), RelationGetRelationName(rel)),
				 problem.hint ? errhint("%s", problem.hint) : 0));
}

void
braze_trigger_created(Oid relid, const char *name)
{
	Relation	rel;
	const Trigger *trigger;

	/* the command's own lock on the table is still held */
	CommandCounterIncrement();
	rel = table_open(relid, NoLock);
	trigger = find_trigger(rel, name);
	if (trigger != NULL && is_ours(trigger))
	{
		check_level(trigger);
		check_creator(braze_trigger_plan(trigger, rel)->destination, rel);
	}
	table_close(rel, NoLock);
}
