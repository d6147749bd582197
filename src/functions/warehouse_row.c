/*-------------------------------------------------------------------------
 *
 * warehouse_row.c
 *	  braze_call_from_row: a row of a warehouse becomes the call it was.
 *
 * Segment and RudderStack load calls into PostgreSQL in the same shape: one
 * table per type of call and one per event, the call's own fields and its
 * context as columns of known names, traits or properties as all the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "json/jsonb_walk.h"
#include "map/call_type.h"
#include "queue/column.h"
#include "queue/enqueue.h"

/* sets of types, in whose tables a column has its meaning */
#define IDENTIFY	BRAZE_TYPE_BIT(BRAZE_TYPE_IDENTIFY)
#define TRACK		BRAZE_TYPE_BIT(BRAZE_TYPE_TRACK)
#define PAGES		(BRAZE_TYPE_BIT(BRAZE_TYPE_PAGE) | BRAZE_TYPE_BIT(BRAZE_TYPE_SCREEN))
#define GROUPS		BRAZE_TYPE_BIT(BRAZE_TYPE_GROUP)
#define ALIAS		BRAZE_TYPE_BIT(BRAZE_TYPE_ALIAS)
#define ANY			(BRAZE_TYPE_BIT(BRAZE_CALL_TYPES) - 1)

/* the warehouse's tables of calls; deletions have none */
static const struct
{
	const char *table;
	const char *needs;			/* the column without which the row is not of
								 * this type */
}			warehouse[BRAZE_CALL_TYPES] = {
	[BRAZE_TYPE_IDENTIFY] = {"identifies"},
	[BRAZE_TYPE_TRACK] = {"tracks", "event"},
	[BRAZE_TYPE_PAGE] = {"pages"},
	[BRAZE_TYPE_SCREEN] = {"screens"},
	[BRAZE_TYPE_GROUP] = {"groups", "group_id"},
	[BRAZE_TYPE_ALIAS] = {"aliases", "previous_id"},
};

/* where in the call a value goes */
typedef enum Place
{
	IN_CALL,
	IN_OBJECT,					/* traits or properties */
	IN_ADDRESS,
	IN_CONTEXT,
	IN_CONTEXT_LOCATION,
	IN_CONTEXT_TRAITS,
	NOWHERE
} Place;

#define PLACES	NOWHERE

/* the objects of a call; those inside come after what they are in */
static const struct
{
	Place		inside;
	const char *key;			/* NULL: the call type's object */
}			places[PLACES] = {
	[IN_CALL] = {NOWHERE},
	[IN_OBJECT] = {IN_CALL, NULL},
	[IN_ADDRESS] = {IN_OBJECT, "address"},
	[IN_CONTEXT] = {IN_CALL, "context"},
	[IN_CONTEXT_LOCATION] = {IN_CONTEXT, "location"},
	[IN_CONTEXT_TRAITS] = {IN_CONTEXT, "traits"},
};

typedef struct KnownColumn
{
	const char *name;
	int			types;			/* in whose tables it has this meaning */
	Place		place;
	const char *key;
} KnownColumn;

/*
 * Of the context, what the mapping reads of a call of old.  The device is not
 * among it: a push token of back then may be somebody else's by now.
 */
static const KnownColumn known_columns[] = {
	{"id", ANY, IN_CALL, "messageId"},
	{"user_id", ANY, IN_CALL, "userId"},
	{"anonymous_id", ANY, IN_CALL, "anonymousId"},
	{"event", TRACK, IN_CALL, "event"},
	{"event_text", TRACK, IN_CALL, "event"},
	{"name", PAGES, IN_CALL, "name"},
	{"category", PAGES, IN_CALL, "category"},
	{"group_id", GROUPS, IN_CALL, "groupId"},
	{"previous_id", ALIAS, IN_CALL, "previousId"},
	{"timestamp", ANY, IN_CALL, "timestamp"},
	{"original_timestamp", ANY, IN_CALL, "originalTimestamp"},
	{"sent_at", ANY, IN_CALL, "sentAt"},
	{"received_at", ANY, IN_CALL, "receivedAt"},
	{"loaded_at", ANY, NOWHERE},
	{"uuid", ANY, NOWHERE},
	{"uuid_ts", ANY, NOWHERE},
	{"address_street", IDENTIFY, IN_ADDRESS, "street"},
	{"address_city", IDENTIFY, IN_ADDRESS, "city"},
	{"address_state", IDENTIFY, IN_ADDRESS, "state"},
	{"address_postal_code", IDENTIFY, IN_ADDRESS, "postalCode"},
	{"address_country", IDENTIFY, IN_ADDRESS, "country"},
	{"context_locale", ANY, IN_CONTEXT, "locale"},
	{"context_timezone", ANY, IN_CONTEXT, "timezone"},
	{"context_location_country", ANY, IN_CONTEXT_LOCATION, "country"},
	{"context_location_latitude", ANY, IN_CONTEXT_LOCATION, "latitude"},
	{"context_location_longitude", ANY, IN_CONTEXT_LOCATION, "longitude"},
	{"context_traits_email", ANY, IN_CONTEXT_TRAITS, "email"},
	{"context_traits_phone", ANY, IN_CONTEXT_TRAITS, "phone"},
};

#define CONTEXT_PREFIX	"context_"
/* where an SDK that writes the traits into the context alone has them */
#define TRAITS_PREFIX	"context_traits_"

typedef struct PlacedColumn
{
	BrazeColumn column;
	Place		place;
} PlacedColumn;

/*
 * How rows of one type become calls; kept from row to row of a query.  It has a
 * memory context of its own, since a query may have another one for each row.
 */
typedef struct RowPlan
{
	MemoryContext context;
	Oid			row_type;
	int32		row_typmod;
	uint64		shape;			/* which columns the type had */
	BrazeCallType type;
	text	   *type_name;		/* the arguments that it was made of */
	Jsonb	   *names;			/* NULL: none */
	TupleDesc	desc;
	int			ncolumns;
	PlacedColumn *columns;
} RowPlan;

BRAZE_SQL_FUNCTION(braze_call_from_row);

static BrazeCallType
find_call_type(const char *name)
{
	int			type = braze_call_type_find(name, strlen(name));
	int			state = 0;
	const char *closest;

	if (type >= 0 && warehouse[type].table != NULL)
		return type;
	closest = braze_closest_name(name, braze_call_type_next, &state);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("braze_call_from_row does not know the type \"%s\"", name),
			 closest && type < 0 ? errhint("Perhaps you meant \"%s\".", closest) :
			 errhint("Valid types are identify, track, page, screen, group and alias; "
					 "a row of the table users is an identify.")));
}

static bool
has_column(TupleDesc desc, const char *name)
{
	BrazeColumnNames names = {desc, 0};
	const char *column;

	while ((column = braze_column_next(&names)) != NULL)
	{
		if (strcmp(column, name) == 0)
			return true;
	}
	return false;
}

static bool
starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

/* raises an error for rows that cannot be of this type at all */
static void
check_columns(BrazeCallType type, TupleDesc desc, bool is_users)
{
	if (warehouse[type].needs && !has_column(desc, warehouse[type].needs) &&
		!(type == BRAZE_TYPE_TRACK && has_column(desc, "event_text")))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("a row for type \"%s\" has no column \"%s\"",
						braze_call_types[type].name, warehouse[type].needs),
				 type == BRAZE_TYPE_TRACK ?
				 errhint("Take the rows of an event's own table, or of tracks joined with it.") :
				 errhint("Take the rows of the table that the warehouse has for this type of call.")));

	/* better now than a dead letter for each row of the table */
	if (!is_users && !has_column(desc, "user_id") && !has_column(desc, "anonymous_id"))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the row has neither a column \"user_id\" nor \"anonymous_id\""),
				 errhint("Pass the whole row of the warehouse's table, as in "
						 "braze_call_from_row(t, '%s') FROM %s t.",
						 braze_call_types[type].name, warehouse[type].table)));
}

static const KnownColumn *
find_known_column(BrazeCallType type, const char *name)
{
	for (int i = 0; i < lengthof(known_columns); i++)
	{
		if ((known_columns[i].types & BRAZE_TYPE_BIT(type)) && strcmp(known_columns[i].name, name) == 0)
			return &known_columns[i];
	}
	return NULL;
}

/*
 * the trait that a column of the context is;
 * NULL: it is none, or another column has it
 */
static const char *
trait_in_context(BrazeCallType type, TupleDesc desc, const char *name)
{
	const char *trait = name + strlen(TRAITS_PREFIX);

	/* SDKs repeat the call's own ids among the traits */
	if (type != BRAZE_TYPE_IDENTIFY || !starts_with(name, TRAITS_PREFIX) || *trait == '\0' ||
		strcmp(trait, "user_id") == 0 || strcmp(trait, "anonymous_id") == 0 ||
		has_column(desc, trait))
		return NULL;
	return trait;
}

/* where in the call a column goes, and under which key */
static Place
place_column(BrazeCallType type, TupleDesc desc, const char *name, bool is_users,
			 const char **key)
{
	const char *trait = trait_in_context(type, desc, name);
	const KnownColumn *known = find_known_column(type, trait ? trait : name);

	/*
	 * A trait of the context is what the column without the prefix would be,
	 * so the names that are known apply to it.
	 */
	if (trait)
	{
		bool		is_part = known && known->place == IN_ADDRESS;

		*key = is_part ? known->key : trait;
		return is_part ? IN_ADDRESS : IN_OBJECT;
	}
	/* in users, which has a row per user and not per call */
	if (is_users && strcmp(name, "id") == 0)
	{
		*key = "userId";
		return IN_CALL;
	}
	if (known)
	{
		*key = known->key;
		return known->place;
	}

	/*
	 * What else the warehouse has of the context describes the device and the
	 * library, and not a property of what was done.
	 */
	if (braze_call_types[type].object == NULL || starts_with(name, CONTEXT_PREFIX))
		return NOWHERE;
	*key = name;
	return IN_OBJECT;
}

/* is it the column of this name, or the trait of this name in the context? */
static bool
is_column_named(const RowPlan *plan, const char *column, const char *name)
{
	const char *trait = trait_in_context(plan->type, plan->desc, column);

	return strcmp(column, name) == 0 || (trait && strcmp(trait, name) == 0);
}

/*
 * the columns of this name among the traits
 * or properties get another, or go (NULL)
 */
static void
rename_column(RowPlan *plan, const char *name, const char *key)
{
	BrazeColumnNames columns = {plan->desc, 0};
	const char *closest;
	bool		found = false;

	for (int i = 0; i < plan->ncolumns; i++)
	{
		PlacedColumn *placed = &plan->columns[i];
		Form_pg_attribute attribute = TupleDescAttr(plan->desc, placed->column.index);

		if (!is_column_named(plan, NameStr(attribute->attname), name))
			continue;
		found = true;

		/*
		 * The call's own fields have the names that Segment's specification
		 * gives them.
		 */
		if (placed->place != IN_OBJECT && placed->place != IN_ADDRESS)
			continue;
		placed->place = key ? IN_OBJECT : NOWHERE;
		placed->column.key = key;
	}
	if (found || has_column(plan->desc, name))
		return;
	closest = braze_closest_name(name, braze_column_next, &columns);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" in argument \"names\" of braze_call_from_row does not exist in the row", name),
			 closest ? errhint("Perhaps you meant \"%s\".", closest) : 0));
}

static void
rename_columns(RowPlan *plan)
{
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(plan->names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"names\" of braze_call_from_row is not a JSON object"),
				 errhint("Write names as {\"column\": \"name\"}, with null to leave a column out.")));
	braze_walk_object(&walk, &plan->names->root);
	while (braze_walk_pair(&walk, &key, &value))
	{
		const char *column = pnstrdup(key.data, key.length);

		if (value.type == jbvString)
			rename_column(plan, column,
						  pnstrdup(value.val.string.val, value.val.string.len));
		else if (value.type == jbvNull)
			rename_column(plan, column, NULL);
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the name of column \"%s\" in argument \"names\" of braze_call_from_row is not a string", column),
					 errhint("Write names as {\"column\": \"name\"}, with null to leave a column out.")));
	}

	/*
	 * a join has columns of one name twice, with the same values: the later
	 * counts
	 */
	for (int i = 0; i < plan->ncolumns; i++)
	{
		for (int j = 0; j < i; j++)
		{
			const BrazeColumn *a = &plan->columns[i].column;
			const BrazeColumn *b = &plan->columns[j].column;

			if (plan->columns[i].place == IN_OBJECT && plan->columns[j].place == IN_OBJECT &&
				strcmp(a->key, b->key) == 0 &&
				strcmp(NameStr(TupleDescAttr(plan->desc, a->index)->attname),
					   NameStr(TupleDescAttr(plan->desc, b->index)->attname)) != 0)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("two columns are named \"%s\" by argument \"names\" of braze_call_from_row", a->key)));
		}
	}
}

/* in the current context */
static RowPlan *
make_row_plan(Oid row_type, int32 row_typmod, uint64 shape, text * type_name, Jsonb *names)
{
	RowPlan    *plan = palloc0(sizeof(RowPlan));
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(row_type, row_typmod);
	bool		is_users;

	plan->row_type = row_type;
	plan->row_typmod = row_typmod;
	plan->shape = shape;
	plan->type = find_call_type(text_to_cstring(type_name));
	plan->type_name = DatumGetTextPCopy(PointerGetDatum(type_name));
	plan->names = names ? DatumGetJsonbPCopy(JsonbPGetDatum(names)) : NULL;
	plan->desc = desc;

	/* the table users has a row for each user, with all traits together */
	is_users = plan->type == BRAZE_TYPE_IDENTIFY && has_column(desc, "id") &&
		!has_column(desc, "user_id") && !has_column(desc, "anonymous_id");
	check_columns(plan->type, desc, is_users);

	plan->columns = palloc(sizeof(PlacedColumn) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		PlacedColumn *placed = &plan->columns[plan->ncolumns];
		const char *key = NULL;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		placed->place = place_column(plan->type, desc,
									 NameStr(TupleDescAttr(desc, i)->attname),
									 is_users, &key);
		if (placed->place == NOWHERE)
			continue;
		braze_column_set(&placed->column, desc, i, key);
		plan->ncolumns++;
	}
	if (plan->names)
		rename_columns(plan);
	return plan;
}

static bool
same_names(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

static bool
same_text(const text * a, const text * b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* the plan of the row before, if this one is like it */
static const RowPlan *
find_plan(FmgrInfo *flinfo, HeapTupleHeader row, text * type_name, Jsonb *names)
{
	RowPlan    *plan = flinfo->fn_extra;
	Oid			row_type = HeapTupleHeaderGetTypeId(row);
	int32		row_typmod = HeapTupleHeaderGetTypMod(row);
	uint64		shape = assign_record_type_identifier(row_type, row_typmod);
	MemoryContext context;
	MemoryContext old;

	/*
	 * The plan takes longer than a row.  All rows of a query have one, unless
	 * it is a union or the type comes from a column.  A loop of PL/pgSQL may
	 * alter the table meanwhile.
	 */
	if (plan && plan->row_type == row_type && plan->row_typmod == row_typmod && plan->shape == shape &&
		same_text(plan->type_name, type_name) && same_names(plan->names, names))
		return plan;

	/* at worst a plan per row, in a query whose type or names differ by row */
	flinfo->fn_extra = NULL;
	if (plan)
		MemoryContextDelete(plan->context);
	context = AllocSetContextCreate(flinfo->fn_mcxt, "segment_braze warehouse row",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	plan = make_row_plan(row_type, row_typmod, shape, type_name, names);
	plan->context = context;
	flinfo->fn_extra = plan;
	MemoryContextSwitchTo(old);
	return plan;
}

/* the array or object that a text holds, or NULL */
static Jsonb *
parse_json(text * string)
{
	const char *data = VARDATA_ANY(string);
	int			length = VARSIZE_ANY_EXHDR(string);
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *volatile result = NULL;

	while (length > 0 && strchr(" \t\n\r", *data) != NULL)
	{
		data++;
		length--;
	}
	if (length == 0 || (*data != '[' && *data != '{'))
		return NULL;

	/*
	 * jsonb_in reads text and allocates memory, nothing else, so that there
	 * is nothing to roll back when it fails.
	 */
	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													CStringGetDatum(pnstrdup(data, length))));
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		/* what is no JSON after all, too deep or with numbers out of range */
		if (category != ERRCODE_DATA_EXCEPTION &&
			category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return result;
}

static void
add_column(BrazeCallBuilder *call, const PlacedColumn *placed, Datum datum)
{
	const BrazeColumn *column = &placed->column;

	/* in UTC, so that the calendar date of a birthday is not the session's */
	if (column->base_type == TIMESTAMPTZOID)
	{
		braze_call_builder_add_timestamp(call, column->key, DatumGetTimestampTz(datum));
		return;
	}

	/* both products load what is nested in a trait or property as its text */
	if (placed->place == IN_OBJECT &&
		(column->base_type == TEXTOID || column->base_type == VARCHAROID))
	{
		Jsonb	   *parsed = parse_json(DatumGetTextPP(datum));

		if (parsed)
		{
			braze_call_builder_add_jsonb(call, column->key, parsed);
			return;
		}
	}
	braze_call_builder_add_key(call, column->key);
	braze_column_add(call, column, datum);
}

/* is there anything for this place, or for one inside it? */
static bool
has_values(const RowPlan *plan, const BrazeRow *row, Place place)
{
	for (int i = 0; i < plan->ncolumns; i++)
	{
		Place		at = plan->columns[i].place;

		if (at == NOWHERE || row->nulls[plan->columns[i].column.index])
			continue;
		while (at != NOWHERE)
		{
			if (at == place)
				return true;
			at = places[at].inside;
		}
	}
	return false;
}

/* a column that is NULL is absent: a null would remove an attribute at Braze */
static void
add_place(BrazeCallBuilder *call, const RowPlan *plan, const BrazeRow *row, Place place)
{
	for (int i = 0; i < plan->ncolumns; i++)
	{
		const PlacedColumn *placed = &plan->columns[i];
		int			index = placed->column.index;

		if (placed->place != place || row->nulls[index])
			continue;
		add_column(call, placed, row->values[index]);
	}
	for (int i = 0; i < PLACES; i++)
	{
		if (places[i].inside != place || !has_values(plan, row, i))
			continue;
		braze_call_builder_add_key(call, places[i].key ? places[i].key : braze_call_types[plan->type].object);
		braze_call_builder_begin_object(call);
		add_place(call, plan, row, i);
		braze_call_builder_end_object(call);
	}
}

/* event is the name of the event's table, event_text what was tracked */
static void
prefer_event_text(const RowPlan *plan, BrazeRow *row)
{
	bool		has_text = false;

	for (int i = 0; i < plan->ncolumns; i++)
	{
		const BrazeColumn *column = &plan->columns[i].column;

		if (strcmp(NameStr(TupleDescAttr(plan->desc, column->index)->attname), "event_text") == 0)
			has_text = has_text || !row->nulls[column->index];
	}
	for (int i = 0; has_text && i < plan->ncolumns; i++)
	{
		const BrazeColumn *column = &plan->columns[i].column;

		if (strcmp(NameStr(TupleDescAttr(plan->desc, column->index)->attname), "event") == 0)
			row->nulls[column->index] = true;
	}
}

Datum
braze_call_from_row(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header;
	HeapTupleData tuple;
	const RowPlan *plan;
	BrazeRow	row;
	BrazeCallBuilder call;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(0) ? "row" : "type"),
				 errhint("Pass a row and what it is, as in "
						 "braze_call_from_row(t, 'identify') FROM identifies t.")));

	header = PG_GETARG_HEAPTUPLEHEADER(0);
	plan = find_plan(fcinfo->flinfo, header, PG_GETARG_TEXT_PP(1),
					 PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	row = braze_column_deform_row(&tuple, plan->desc);
	if (plan->type == BRAZE_TYPE_TRACK)
		prefer_event_text(plan, &row);

	braze_call_builder_begin(&call, braze_call_types[plan->type].name);
	add_place(&call, plan, &row, IN_CALL);
	braze_call_builder_end_object(&call);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(call.state.result));
}
