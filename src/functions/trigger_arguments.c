/*-------------------------------------------------------------------------
 *
 * trigger_arguments.c
 *	  What the arguments of a trigger say, once they are understood.
 *
 * The server makes a trigger's function state anew for every statement, so
 * plans are kept per session instead, until the table changes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "base/name_list.h"
#include "functions/trigger_arguments.h"
#include "map/call_type.h"

/* sets of types, for which an argument is */
#define IDENTIFY	BRAZE_TYPE_BIT(BRAZE_TYPE_IDENTIFY)
#define TRACK		BRAZE_TYPE_BIT(BRAZE_TYPE_TRACK)
#define PAGES		(BRAZE_TYPE_BIT(BRAZE_TYPE_PAGE) | BRAZE_TYPE_BIT(BRAZE_TYPE_SCREEN))
#define GROUPS		BRAZE_TYPE_BIT(BRAZE_TYPE_GROUP)
#define ALIAS		BRAZE_TYPE_BIT(BRAZE_TYPE_ALIAS)
#define WITH_OBJECT	(IDENTIFY | TRACK | PAGES | GROUPS)
#define ANY			(BRAZE_TYPE_BIT(BRAZE_CALL_TYPES) - 1)

/* the arguments without which a call of a type cannot be */
static const struct
{
	const char *required;
	const char *alternative;	/* does as well */
}			needs[BRAZE_CALL_TYPES] = {
	[BRAZE_TYPE_TRACK] = {"event", "event_column"},
	[BRAZE_TYPE_GROUP] = {"group_id"},
	[BRAZE_TYPE_ALIAS] = {"previous_id"},
};

typedef enum ArgumentKind
{
	TYPE_OF_CALL,
	LITERAL,
	COLUMN,
	JSON_COLUMN,
	OBJECT,						/* a json column, or a list of columns */
	EXCEPT,
	NAMES,
	ONLY_CHANGED,
	DESTINATION
} ArgumentKind;

typedef struct Argument
{
	const char *name;
	ArgumentKind kind;
	int			types;			/* that it is for */
	const char *key;			/* in the call */
	bool		incidental;		/* says nothing of whether the row changed */
} Argument;

static const Argument arguments[] = {
	{"type", TYPE_OF_CALL, ANY},
	{"event", LITERAL, TRACK, "event"},
	{"event_column", COLUMN, TRACK, "event"},
	{"user_id", COLUMN, ANY, "userId"},
	{"anonymous_id", COLUMN, ANY, "anonymousId"},
	{"message_id", COLUMN, ANY, "messageId", true},
	{"at", COLUMN, ANY, "timestamp", true},
	{"name", LITERAL, PAGES, "name"},
	{"name_column", COLUMN, PAGES, "name"},
	{"category", LITERAL, PAGES, "category"},
	{"category_column", COLUMN, PAGES, "category"},
	{"group_id", COLUMN, GROUPS, "groupId"},
	{"previous_id", COLUMN, ALIAS, "previousId"},
	{"properties", OBJECT, TRACK | PAGES, "properties"},
	{"traits", OBJECT, IDENTIFY | GROUPS, "traits"},
	{"except", EXCEPT, WITH_OBJECT},
	{"names", NAMES, WITH_OBJECT},
	{"context", JSON_COLUMN, ANY, "context"},
	{"integrations", JSON_COLUMN, ANY, "integrations"},
	{"only_changed", ONLY_CHANGED, ANY},
	{"destination", DESTINATION, ANY},
};

/* the work of making one plan */
typedef struct Planner
{
	const Trigger *trigger;
	Relation	rel;
	BrazeTriggerPlan *plan;
	BrazeCallType type;
	const char *values[lengthof(arguments)];	/* NULL: not given */
	bool	   *taken;			/* columns that are not members by default */
	bool	   *compared;
} Planner;

/* sentences for the user; hint may be NULL */
pg_noreturn static void
refuse_arguments(Planner *planner, int sqlstate, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("%s", message),
			 hint ? errhint("%s", hint) : 0,
			 errcontext("arguments of trigger \"%s\" on table \"%s\"",
						planner->trigger->tgname,
						RelationGetRelationName(planner->rel))));
}

static const char *
next_argument(void *state)
{
	int		   *i = state;

	return *i < lengthof(arguments) ? arguments[(*i)++].name : NULL;
}

/* "a, b, c" of what next returns */
static char *
list_names(BrazeNextName next, void *state)
{
	StringInfoData names;
	const char *name;

	initStringInfo(&names);
	while ((name = next(state)) != NULL)
		braze_name_list_add(&names, name);
	return names.data;
}

/* what a wrong name was meant to be, or all valid ones */
static char *
name_hint(const char *name, BrazeNextName next, void *state, void *again, const char *what)
{
	const char *closest = braze_closest_name(name, next, state);

	if (closest)
		return psprintf("Perhaps you meant \"%s\".", closest);
	return psprintf("Valid %s are %s.", what, list_names(next, again));
}

static int
argument_number(const char *name)
{
	for (int i = 0; i < lengthof(arguments); i++)
	{
		if (strcmp(arguments[i].name, name) == 0)
			return i;
	}
	return -1;
}

static const char *
argument_value(Planner *planner, const char *name)
{
	return planner->values[argument_number(name)];
}

/* the index of a column; argument says where its name was given */
static int
find_column(Planner *planner, const char *name, const char *argument)
{
	TupleDesc	desc = RelationGetDescr(planner->rel);
	BrazeColumnNames state = {desc, 0};
	BrazeColumnNames again = {desc, 0};

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return i;
	}
	refuse_arguments(planner, ERRCODE_UNDEFINED_COLUMN,
					 psprintf("column \"%s\" in argument \"%s\" of braze_trigger does not exist",
							  name, argument),
					 name_hint(name, braze_column_next, &state, &again, "columns"));
}

static bool
is_json(Planner *planner, int index)
{
	Oid			type = getBaseType(TupleDescAttr(RelationGetDescr(planner->rel),
												 index)->atttypid);

	return type == JSONOID || type == JSONBOID;
}

/* the columns of a list "a, b, c"; names with commas are not provided for */
static List *
parse_columns(Planner *planner, const char *argument, const char *value)
{
	List	   *indexes = NIL;
	const char *start = value;

	while (*start == ' ')
		start++;
	if (*start == '\0')
		return NIL;

	for (;;)
	{
		int			length = strcspn(start, ",");
		const char *next = start + length;
		int			index;

		while (length > 0 && start[length - 1] == ' ')
			length--;
		index = find_column(planner, pnstrdup(start, length), argument);
		if (list_member_int(indexes, index))
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("column \"%s\" is in argument \"%s\" of braze_trigger twice",
									  pnstrdup(start, length), argument), NULL);
		indexes = lappend_int(indexes, index);
		if (*next == '\0')
			return indexes;
		start = next + 1;
		while (*start == ' ')
			start++;
	}
}

/*
 * reads the pairs and checks that each is known, given once, and fits the type
 */
static void
read_pairs(Planner *planner)
{
	const Trigger *trigger = planner->trigger;
	const char *type;
	int			found;
	int			state = 0;
	int			again = 0;

	if (trigger->tgnargs % 2 != 0)
		refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
						 psprintf("braze_trigger requires name/value pairs, but has %d arguments", trigger->tgnargs),
						 "Each argument is followed by its value: braze_trigger('type', 'track', "
						 "'event', 'Order Placed', 'user_id', 'customer_id').");

	for (int i = 0; i < trigger->tgnargs; i += 2)
	{
		const char *name = trigger->tgargs[i];
		int			number = argument_number(name);

		if (number < 0)
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("braze_trigger has no argument \"%s\"", name),
							 name_hint(name, next_argument, &state, &again, "arguments"));
		if (planner->values[number])
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("argument \"%s\" of braze_trigger is given twice", name), NULL);
		planner->values[number] = trigger->tgargs[i + 1];
	}

	/* an event is what track calls have */
	type = argument_value(planner, "type");
	if (type == NULL && (argument_value(planner, "event") ||
						 argument_value(planner, "event_column")))
		type = "track";
	if (type == NULL)
		refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
						 "braze_trigger needs the argument \"type\"",
						 psprintf("Valid types are %s.", list_names(braze_call_type_next, &state)));
	found = braze_call_type_find(type, strlen(type));
	if (found < 0)
		refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
						 psprintf("braze_trigger does not know the type \"%s\"", type),
						 name_hint(type, braze_call_type_next, &state, &again, "types"));
	planner->type = found;

	for (int i = 0; i < lengthof(arguments); i++)
	{
		/*
		 * Not passed over: whoever wrote the argument expects something of
		 * it.
		 */
		if (planner->values[i] && !(arguments[i].types & BRAZE_TYPE_BIT(planner->type)))
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("argument \"%s\" of braze_trigger is not for calls of type \"%s\"",
									  arguments[i].name, braze_call_types[planner->type].name),
							 strcmp(arguments[i].name, "properties") == 0 ?
							 "Calls of this type have traits." :
							 strcmp(arguments[i].name, "traits") == 0 ?
							 "Calls of this type have properties." : NULL);
	}

	if (needs[planner->type].required &&
		argument_value(planner, needs[planner->type].required) == NULL &&
		(needs[planner->type].alternative == NULL ||
		 argument_value(planner, needs[planner->type].alternative) == NULL))
		refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
						 psprintf("braze_trigger needs the argument \"%s\" for calls of type \"%s\"",
								  needs[planner->type].required, braze_call_types[planner->type].name),
						 needs[planner->type].alternative ?
						 psprintf("Give \"%s\" a text, or \"%s\" the name of a column.",
								  needs[planner->type].required, needs[planner->type].alternative) :
						 psprintf("Give \"%s\" the name of a column.", needs[planner->type].required));
}

/* the arguments that go to the top level of the call */
static void
plan_fields(Planner *planner)
{
	BrazeTriggerPlan *plan = planner->plan;

	plan->literals = palloc(sizeof(BrazeTriggerLiteral) * lengthof(arguments));
	plan->fields = palloc(sizeof(BrazeColumn) * lengthof(arguments));
	for (int i = 0; i < lengthof(arguments); i++)
	{
		const Argument *argument = &arguments[i];
		const char *value = planner->values[i];
		int			index;

		if (value == NULL)
			continue;

		/*
		 * A field of the call comes from a text or from a column.  Both would
		 * be one key twice, and nobody could say which of them counts.
		 */
		for (int j = 0; j < i; j++)
		{
			if (argument->key && planner->values[j] && arguments[j].key &&
				strcmp(arguments[j].key, argument->key) == 0)
				refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
								 psprintf("arguments \"%s\" and \"%s\" of braze_trigger exclude each other",
										  arguments[j].name, argument->name), NULL);
		}
		switch (argument->kind)
		{
			case LITERAL:
				plan->literals[plan->nliterals].key = argument->key;
				plan->literals[plan->nliterals++].text = pstrdup(value);
				break;
			case COLUMN:
			case JSON_COLUMN:
				index = find_column(planner, value, argument->name);
				if (argument->kind == JSON_COLUMN && !is_json(planner, index))
					refuse_arguments(planner, ERRCODE_DATATYPE_MISMATCH,
									 psprintf("column \"%s\" in argument \"%s\" of braze_trigger is not "
											  "of type json or jsonb", value, argument->name), NULL);
				braze_column_set(&plan->fields[plan->nfields++], RelationGetDescr(planner->rel), index, argument->key);

				/*
				 * A column with a place of its own is not a property, unless
				 * it is listed.
				 */
				planner->taken[index] = true;

				/*
				 * The id of a message and a time differ with each UPDATE:
				 * they do not say that anything has changed.
				 */
				if (!argument->incidental)
					planner->compared[index] = true;
				break;
			case ONLY_CHANGED:
				if (!parse_bool(value, &plan->only_changed))
					refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
									 psprintf("invalid value of argument \"only_changed\" of "
											  "braze_trigger: \"%s\"", value),
									 "Valid values are true and false.");
				break;
			case DESTINATION:
				plan->destination = pstrdup(value);
				break;
			case TYPE_OF_CALL:
			case OBJECT:
			case EXCEPT:
			case NAMES:
				break;
		}
	}
}

/* gives members the names that the argument "names" has for their columns */
static void
rename_members(Planner *planner, const char *value)
{
	BrazeTriggerPlan *plan = planner->plan;
	Jsonb	   *names = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(value)));
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	name;

	if (!JB_ROOT_IS_OBJECT(names))
		refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
						 "argument \"names\" of braze_trigger is not a JSON object",
						 "It gives columns other names: '{\"plan_type\": \"plan\"}'.");
	it = JsonbIteratorInit(&names->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *column = pnstrdup(key.val.string.val, key.val.string.len);
		int			index = find_column(planner, column, "names");

		(void) JsonbIteratorNext(&it, &name, true);
		if (name.type != jbvString)
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("the name of column \"%s\" in argument \"names\" of braze_trigger "
									  "is not a string", column), NULL);
		/* a column that is not a member may be named: the list may change */
		for (int i = 0; i < plan->nmembers; i++)
		{
			if (plan->members[i].index == index)
				plan->members[i].key = pnstrdup(name.val.string.val, name.val.string.len);
		}
	}
}

/* what goes into the properties or traits */
static void
plan_object(Planner *planner)
{
	BrazeTriggerPlan *plan = planner->plan;
	TupleDesc	desc = RelationGetDescr(planner->rel);
	const Argument *object = NULL;
	const char *value;
	const char *except = argument_value(planner, "except");
	const char *names = argument_value(planner, "names");
	List	   *indexes;
	ListCell   *cell;

	for (int i = 0; i < lengthof(arguments); i++)
	{
		if (arguments[i].kind == OBJECT && (arguments[i].types & BRAZE_TYPE_BIT(planner->type)))
			object = &arguments[i];
	}
	if (object == NULL)
		return;
	plan->object = object->key;
	value = argument_value(planner, object->name);

	/*
	 * A list says which columns go.  Without one all go that have no other
	 * place, which plan_fields has found out before.
	 */
	if (value)
	{
		if (except)
			refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
							 psprintf("arguments \"%s\" and \"except\" of braze_trigger exclude each other",
									  object->name),
							 psprintf("\"except\" leaves out columns where \"%s\" names none.",
									  object->name));
		indexes = parse_columns(planner, object->name, value);

		/*
		 * One json column is the object itself, not an object with one
		 * member.
		 */
		plan->whole = list_length(indexes) == 1 && is_json(planner, linitial_int(indexes));
	}
	else
	{
		if (except)
		{
			foreach(cell, parse_columns(planner, "except", except))
				planner->taken[lfirst_int(cell)] = true;
		}
		indexes = NIL;
		for (int i = 0; i < desc->natts; i++)
		{
			if (!TupleDescAttr(desc, i)->attisdropped && !planner->taken[i])
				indexes = lappend_int(indexes, i);
		}
	}

	plan->members = palloc(sizeof(BrazeColumn) * Max(list_length(indexes), 1));
	foreach(cell, indexes)
	{
		int			index = lfirst_int(cell);

		braze_column_set(&plan->members[plan->nmembers++], RelationGetDescr(planner->rel), index,
						 pstrdup(NameStr(TupleDescAttr(desc, index)->attname)));
		planner->compared[index] = true;
	}
	if (names)
		rename_members(planner, names);

	for (int i = 0; i < plan->nmembers; i++)
	{
		/* of two values under one name, one would be lost without a word */
		for (int j = 0; j < i; j++)
		{
			if (strcmp(plan->members[i].key, plan->members[j].key) == 0)
				refuse_arguments(planner, ERRCODE_INVALID_PARAMETER_VALUE,
								 psprintf("two columns are named \"%s\" by argument \"names\" of "
										  "braze_trigger", plan->members[i].key), NULL);
		}
	}
}

/* the columns that have no value yet when the trigger fires */
static void
plan_absent(Planner *planner)
{
	BrazeTriggerPlan *plan = planner->plan;
	TupleDesc	desc = RelationGetDescr(planner->rel);

	if (!TRIGGER_FOR_BEFORE(planner->trigger->tgtype))
		return;
	plan->absent = palloc(sizeof(int) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || attribute->attgenerated == '\0')
			continue;
		plan->absent[plan->nabsent++] = i;
		if (plan->only_changed && planner->compared[i])
			refuse_arguments(planner, ERRCODE_FEATURE_NOT_SUPPORTED,
							 psprintf("argument \"only_changed\" of braze_trigger cannot depend on generated column \"%s\" in a BEFORE trigger",
									  NameStr(attribute->attname)),
							 "The column is computed after the trigger.  Create the trigger AFTER UPDATE, or name the columns without it.");
	}
}

void
braze_trigger_arguments_read(BrazeTriggerPlan *plan, const Trigger *trigger, Relation rel)
{
	int			natts = RelationGetDescr(rel)->natts;
	Planner		planner = {
		.trigger = trigger,
		.rel = rel,
		.plan = plan,
		.taken = palloc0(sizeof(bool) * Max(natts, 1)),
		.compared = palloc0(sizeof(bool) * Max(natts, 1))
	};

	read_pairs(&planner);
	plan->type = braze_call_types[planner.type].name;
	plan->send_removed = planner.type == BRAZE_TYPE_IDENTIFY;

	/*
	 * In this order: members are the columns that no field has taken, and
	 * what has no value yet, or is to be computed, is asked of both.
	 */
	plan_fields(&planner);
	plan_object(&planner);
	plan_absent(&planner);
	braze_virtual_columns_plan(&plan->virtual_columns, rel, plan->fields, plan->nfields);
	braze_virtual_columns_plan(&plan->virtual_columns, rel, plan->members, plan->nmembers);

	plan->compared = palloc(sizeof(int) * Max(natts, 1));
	for (int i = 0; i < natts; i++)
	{
		if (planner.compared[i])
			plan->compared[plan->ncompared++] = i;
	}
}
