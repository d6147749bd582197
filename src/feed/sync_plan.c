/*-------------------------------------------------------------------------
 *
 * sync_plan.c
 *	  Which column of a sync's query is what.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/closest_name.h"
#include "feed/sync_plan.h"
#include "json/jsonb_walk.h"

typedef struct Planner
{
	const BrazeSync *sync;
	BrazeSyncPlan *plan;
	bool	   *taken;			/* by column: it is not a member */
} Planner;

static int
column_of_argument(const Planner *planner, const char *argument, const char *name)
{
	TupleDesc	desc = planner->plan->desc;
	BrazeColumnNames names = {desc, 0};
	const char *closest;

	for (int i = 0; i < desc->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i;
	}
	closest = braze_closest_name(name, braze_column_next, &names);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the query of sync \"%s\" has no column \"%s\", which argument \"%s\" names",
					planner->sync->name, name, argument),
			 closest ? errhint("Perhaps you meant \"%s\".", closest) : 0));
}

/* of two columns of one name, one would be lost without a word */
static void
check_names(const Planner *planner)
{
	TupleDesc	desc = planner->plan->desc;

	for (int i = 0; i < desc->natts; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (strcmp(NameStr(TupleDescAttr(desc, i)->attname),
					   NameStr(TupleDescAttr(desc, j)->attname)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("the query of sync \"%s\" has two columns named \"%s\"",
								planner->sync->name, NameStr(TupleDescAttr(desc, i)->attname)),
						 errhint("Give one of them another name with AS.")));
		}
	}
}

static int
take_column(Planner *planner, const char *argument, const char *name)
{
	int			index = column_of_argument(planner, argument, name);

	planner->taken[index] = true;
	return index;
}

static Oid
type_of_column(const Planner *planner, int index)
{
	return getBaseType(TupleDescAttr(planner->plan->desc, index)->atttypid);
}

static void
refuse_type(const Planner *planner, const char *argument, int index, const char *hint)
{
	Form_pg_attribute attribute = TupleDescAttr(planner->plan->desc, index);

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of sync \"%s\" cannot be its %s: its type is %s",
					NameStr(attribute->attname), planner->sync->name, argument,
					format_type_be(attribute->atttypid)),
			 errhint("%s", hint)));
}

static void
find_output(Oid type, FmgrInfo *function)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info(output, function);
}

/* the columns that say whose event it is, which one, and when */
static void
plan_event(Planner *planner)
{
	BrazeSyncPlan *plan = planner->plan;
	const BrazeSync *sync = planner->sync;

	plan->event = plan->key = plan->cursor = -1;
	if (!sync->is_track)
		return;
	plan->event = take_column(planner, "event", sync->event);
	if (type_of_column(planner, plan->event) != TEXTOID &&
		type_of_column(planner, plan->event) != VARCHAROID)
		refuse_type(planner, "event", plan->event, "Cast it to text, or write the name as 'Order Placed'::text AS event.");

	/* the key is a property as well: it may be the order's number */
	plan->key = column_of_argument(planner, "key", sync->key);
	find_output(TupleDescAttr(plan->desc, plan->key)->atttypid, &plan->key_output);
	plan->cursor = take_column(planner, "cursor_column", sync->cursor_column);
	plan->cursor_type = type_of_column(planner, plan->cursor);
	if (plan->cursor_type != TIMESTAMPTZOID && plan->cursor_type != TIMESTAMPOID)
		refuse_type(planner, "cursor_column", plan->cursor,
					"Name a column of type timestamp with time zone or timestamp, the moment of the event.");
}

/* members in the order of the columns, with the names that they are to have */
static void
plan_members(Planner *planner)
{
	BrazeSyncPlan *plan = planner->plan;
	TupleDesc	desc = plan->desc;
	const char **keys = palloc0(sizeof(char *) * Max(desc->natts, 1));
	bool	   *renamed = palloc0(sizeof(bool) * Max(desc->natts, 1));
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value = {.type = jbvNull};

	if (planner->sync->names != NULL)
	{
		braze_walk_object(&walk, &planner->sync->names->root);
		while (braze_walk_pair(&walk, &key, &value))
		{
			int			index = column_of_argument(planner, "names", pnstrdup(key.data, key.length));

			if (value.type == jbvString)
			{
				keys[index] = pnstrdup(value.val.string.val, value.val.string.len);
				renamed[index] = true;
			}
			else
				planner->taken[index] = true;
		}
	}
	plan->members = palloc0(sizeof(BrazeColumn) * Max(desc->natts, 1));
	plan->outputs = palloc0(sizeof(BrazeSyncOutput) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		BrazeSyncOutput *output = &plan->outputs[plan->nmembers];

		if (planner->taken[i] || TupleDescAttr(desc, i)->attisdropped)
			continue;
		if (keys[i] == NULL)
			keys[i] = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
		for (int j = 0; j < plan->nmembers; j++)
		{
			if (strcmp(plan->members[j].key, keys[i]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("two columns of sync \"%s\" are named \"%s\" by argument \"names\"",
								planner->sync->name, keys[i])));
		}
		braze_column_set(&plan->members[plan->nmembers], desc, i, keys[i]);
		output->type = plan->members[plan->nmembers].base_type;
		find_output(TupleDescAttr(desc, i)->atttypid, &output->function);
		plan->nmembers++;
	}

	/*
	 * as for braze_trigger: one json column is the object, and not a member
	 * of it
	 */
	plan->whole = plan->nmembers == 1 && !renamed[plan->members[0].index] &&
		(plan->outputs[0].type == JSONBOID || plan->outputs[0].type == JSONOID);
	if (plan->whole && planner->sync->on_remove == BRAZE_SYNC_CLEAR)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sync \"%s\" cannot clear attributes: their names are in the values of column \"%s\"",
						planner->sync->name, NameStr(TupleDescAttr(desc, plan->members[0].index)->attname)),
				 errhint("Have the query return a column for each attribute, or pass on_remove => 'keep'.")));
}

/* types of which the same text is the same value of a call have one name */
static const char *
type_of_member(const BrazeColumn *member)
{
	switch (member->base_type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
			return "number";
		case TEXTOID:
		case VARCHAROID:
			return "text";
		default:
			return format_type_be_qualified(member->base_type);
	}
}

/*
 * A column that has another name, type or place makes other calls of the same
 * text, so that is in the key of the hash.
 */
static BrazeHashKey
make_hash_key(const BrazeSyncPlan *plan)
{
	BrazeHashKey key = {plan->sync->seed, 0};
	StringInfoData columns;

	initStringInfo(&columns);
	appendStringInfoChar(&columns, plan->whole ? 'w' : 'm');
	for (int i = 0; i < plan->nmembers; i++)
		appendStringInfo(&columns, "%s%c%s%c", plan->members[i].key, '\0',
						 type_of_member(&plan->members[i]), '\0');
	key.k1 = braze_hash_keyed(key, columns.data, columns.len);
	pfree(columns.data);
	return key;
}

BrazeSyncPlan *
braze_sync_plan(const BrazeSync *sync, TupleDesc desc)
{
	BrazeSyncPlan *plan = palloc0(sizeof(BrazeSyncPlan));
	Planner		planner = {sync, plan, palloc0(sizeof(bool) * Max(desc->natts, 1))};

	plan->sync = sync;
	plan->desc = CreateTupleDescCopy(desc);
	check_names(&planner);
	plan->user = take_column(&planner, "user_id", sync->user_id);
	plan->user_type = braze_user_id_type_of(TupleDescAttr(desc, plan->user)->atttypid);
	plan_event(&planner);
	plan_members(&planner);
	plan->hash_key = make_hash_key(plan);
	return plan;
}
