/*-------------------------------------------------------------------------
 *
 * table_shape.c
 *	  Are the extension's tables as the install script has made them?
 *
 * Their owner may alter them.  A column may be renamed, columns, indexes and
 * triggers may be added, and defaults and storage changed: all of that is dealt
 * with where it matters.  What is compared here nobody deals with: a value of
 * another type, a null or another key would crash the server.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/name_list.h"
#include "base/table_shape.h"

/* what else is asked of a column */
#define NOT_NULL	0x01
#define PART_OF_KEY	0x02
#define IDENTITY	0x04
#define GENERATED	0x08
#define BYTEWISE	0x10		/* has the collation "C" */

#define KEY			(PART_OF_KEY | NOT_NULL)
#define TEXT_KEY	TEXTOID, KEY | BYTEWISE
#define NAME		TEXTOID, NOT_NULL | BYTEWISE

typedef struct ColumnShape
{
	const char *name;
	Oid			type;
	int			rules;
} ColumnShape;

/* the columns of the primary key are in the order of the table's */
static const ColumnShape queue[] = {
	{"id", INT8OID, KEY | IDENTITY},
	{"destination", NAME},
	{"call", JSONBOID, NOT_NULL},
	{"queued_at", TIMESTAMPTZOID, NOT_NULL},
	{"objects", INT4ARRAYOID},
	{"dead_letter", INT8OID},
	{"call_kind", TEXTOID, NOT_NULL},
};

static const ColumnShape dead_letters[] = {
	{"id", INT8OID, KEY | IDENTITY},
	{"destination", TEXTOID, BYTEWISE},
	{"call", JSONBOID},
	{"call_text", TEXTOID},
	{"call_kind", TEXTOID, NOT_NULL},
	{"objects", INT4ARRAYOID},
	{"state", TEXTOID, NOT_NULL},
	{"reason", TEXTOID, NOT_NULL},
	{"http_status", INT4OID},
	{"queued_at", TIMESTAMPTZOID, NOT_NULL},
	{"failed_at", TIMESTAMPTZOID, NOT_NULL},
	{"attempts", INT4OID, NOT_NULL},
	{"retried_at", TIMESTAMPTZOID},
	{"retry_id", INT8OID},
	{"user_hash", INT8OID, GENERATED},
};

static const ColumnShape paused[] = {
	{"destination", TEXT_KEY},
	{"reason", TEXTOID, NOT_NULL},
	{"paused_at", TIMESTAMPTZOID, NOT_NULL},
	{"by_worker", BOOLOID, NOT_NULL},
	{"endpoint", TEXT_KEY},
};

static const ColumnShape started[] = {
	{"destination", TEXT_KEY},
	{"system_identifier", INT8OID, KEY},
	{"database", OIDOID, KEY},
	{"started_at", TIMESTAMPTZOID, NOT_NULL},
};

static const ColumnShape collecting[] = {
	{"server", TEXT_KEY},
	{"origin_table", TEXT_KEY},
	{"system_identifier", INT8OID, KEY},
	{"database", OIDOID, KEY},
	{"role", OIDOID, NOT_NULL},
	{"started_at", TIMESTAMPTZOID, NOT_NULL},
	{"stopping", BOOLOID, NOT_NULL},
};

static const ColumnShape collected[] = {
	{"server", TEXT_KEY},
	{"origin_table", TEXT_KEY},
	{"last_id", INT8OID, KEY},
	{"collected_at", TIMESTAMPTZOID, KEY},
	{"first_id", INT8OID, NOT_NULL},
	{"ids", INT8ARRAYOID, NOT_NULL},
	{"hashes", INT8ARRAYOID, NOT_NULL},
};

static const ColumnShape messages[] = {
	{"destination", TEXT_KEY},
	{"message_id", TEXT_KEY},
	{"queued_at", TIMESTAMPTZOID, NOT_NULL},
	{"received", BOOLOID, NOT_NULL},
};

static const ColumnShape profiles[] = {
	{"destination", TEXT_KEY},
	{"user", TEXT_KEY},
	{"sent", BOOLOID, NOT_NULL},
	{"has_alias", BOOLOID, NOT_NULL},
	{"owner", TEXTOID, BYTEWISE},
	{"attributes", BYTEAOID},
	{"changed_at", TIMESTAMPTZOID, NOT_NULL},
};

static const ColumnShape notes[] = {
	{"destination", TEXT_KEY},
	{"outcome", TEXT_KEY},
	{"note", TEXT_KEY},
	{"calls", INT8OID, NOT_NULL},
	{"last_id", INT8OID, NOT_NULL},
	{"last_at", TIMESTAMPTZOID, NOT_NULL},
};

static const ColumnShape activity_sums[] = {
	{"id", INT8OID, KEY | IDENTITY},
	{"destination", NAME},
	{"hour", TIMESTAMPTZOID, NOT_NULL},
	{"kind", NAME},
	{"name", TEXTOID, BYTEWISE},
	{"currency", TEXTOID, BYTEWISE},
	{"calls", INT8OID, NOT_NULL},
	{"objects", INT8OID, NOT_NULL},
	{"quantity", INT8OID},
	{"revenue", NUMERICOID},
	{"requests", INT8OID, NOT_NULL},
	{"data_points", INT8OID, NOT_NULL},
	{"data_points_saved", INT8OID, NOT_NULL},
	{"first_time", TIMESTAMPTZOID, NOT_NULL},
	{"last_time", TIMESTAMPTZOID, NOT_NULL},
};

static const ColumnShape activity_users[] = {
	{"id", INT8OID, KEY | IDENTITY},
	{"destination", NAME},
	{"day", DATEOID, NOT_NULL},
	{"kind", NAME},
	{"name", TEXTOID, BYTEWISE},
	{"sketch", BYTEAOID, NOT_NULL},
};

static const ColumnShape syncs[] = {
	{"name", TEXT_KEY},
	{"id", INT8OID, NOT_NULL | IDENTITY},
	{"query", TEXTOID, NOT_NULL},
	{"user_id", TEXTOID, NOT_NULL},
	{"names", JSONBOID},
	{"destination", NAME},
	{"every", INTERVALOID},
	{"on_remove", TEXTOID, NOT_NULL},
	{"max_removed", FLOAT8OID, NOT_NULL},
	{"type", TEXTOID, NOT_NULL},
	{"event", TEXTOID},
	{"key", TEXTOID},
	{"cursor_column", TEXTOID},
	{"late", INTERVALOID, NOT_NULL},
	{"owner", NAME},
	{"owner_oid", OIDOID},
	{"system_identifier", INT8OID},
	{"search_path", TEXTOID, NOT_NULL},
	{"seed", BYTEAOID},
	{"cursor_at", TIMESTAMPTZOID},
	{"forgotten_before", TIMESTAMPTZOID},
	{"status", TEXTOID, NOT_NULL},
	{"pid", INT4OID},
	{"started", TIMESTAMPTZOID},
	{"next_run", TIMESTAMPTZOID},
	{"rows_read", INT8OID},
	{"rows_to_queue", INT8OID},
	{"rows_queued", INT8OID},
};

static const ColumnShape sync_runs[] = {
	{"sync", TEXT_KEY},
	{"started", TIMESTAMPTZOID, KEY},
	{"finished", TIMESTAMPTZOID},
	{"added", INT8OID},
	{"changed", INT8OID},
	{"removed", INT8OID},
	{"unchanged", INT8OID},
	{"rejected", INT8OID},
	{"error", TEXTOID},
};

static const ColumnShape sync_state[] = {
	{"sync", INT8OID, KEY},
	{"key", TEXT_KEY},
	{"hash", INT8OID, NOT_NULL},
};

static const ColumnShape backfills[] = {
	{"trigger", OIDOID, KEY},
	{"table", NAME},
	{"trigger_name", NAME},
	{"key", TEXTARRAYOID, NOT_NULL},
	{"up_to", TEXTARRAYOID, NOT_NULL},
	{"after", TEXTARRAYOID},
	{"skipped", TEXTARRAYOID},
	{"skipped_done", INT8OID, NOT_NULL},
	{"queued", INT8OID, NOT_NULL},
	{"lowest_id", INT8OID, NOT_NULL},
	{"highest_id", INT8OID, NOT_NULL},
	{"started_at", TIMESTAMPTZOID, NOT_NULL},
	{"updated_at", TIMESTAMPTZOID, NOT_NULL},
	{"finished_at", TIMESTAMPTZOID},
};

typedef struct TableShape
{
	const char *name;
	const ColumnShape *columns;
	int			ncolumns;
} TableShape;

static const TableShape shapes[] = {
#define SHAPE(table) {"braze_" #table, table, lengthof(table)}
	SHAPE(queue),
	SHAPE(dead_letters),
	SHAPE(paused),
	SHAPE(started),
	SHAPE(collecting),
	SHAPE(collected),
	SHAPE(messages),
	SHAPE(profiles),
	SHAPE(notes),
	SHAPE(activity_sums),
	SHAPE(activity_users),
	SHAPE(syncs),
	SHAPE(sync_runs),
	SHAPE(sync_state),
	SHAPE(backfills),
#undef SHAPE
};

/* whoever writes a row has a value for each column */
#define ASSERT_COLUMNS(table, columns) \
	StaticAssertDecl(lengthof(table) == (columns), "braze_" #table " has other columns in catalog.h")

ASSERT_COLUMNS(queue, BRAZE_QUEUE_COLUMNS);
ASSERT_COLUMNS(dead_letters, BRAZE_DEAD_COLUMNS);
ASSERT_COLUMNS(paused, BRAZE_PAUSED_COLUMNS);
ASSERT_COLUMNS(profiles, BRAZE_PROFILE_COLUMNS);
ASSERT_COLUMNS(activity_sums, BRAZE_ACTIVITY_SUMS_COLUMNS);
ASSERT_COLUMNS(activity_users, BRAZE_ACTIVITY_USERS_COLUMNS);

static const TableShape *
find_shape(const char *name)
{
	for (int i = 0; i < lengthof(shapes); i++)
	{
		if (strcmp(shapes[i].name, name) == 0)
			return &shapes[i];
	}
	elog(ERROR, "there is no table \"%s\"", name);
}

static const char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}

/* no other command gives a column its place back */
static const char *
make_again(Relation rel)
{
	return psprintf("ALTER EXTENSION " BRAZE_EXTENSION " ADD TABLE %s, once it is created again as in "
					BRAZE_EXTENSION "--" BRAZE_VERSION ".sql", qualified_name(rel));
}

/* ----- columns ----- */

static bool
is_there(Relation rel, const TableShape *shape, int i)
{
	return i < RelationGetDescr(rel)->natts &&
		!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped;
}

static bool
has_type(Form_pg_attribute attribute, const ColumnShape *shape)
{
	return attribute->atttypid == shape->type &&
		(!(shape->rules & BYTEWISE) || attribute->attcollation == C_COLLATION_OID);
}

static const char *
type_name(Oid type, Oid collation)
{
	const char *name = format_type_be(type);

	return collation == C_COLLATION_OID ? psprintf("%s COLLATE \"C\"", name) : name;
}

/* with the id's sequence behind all the ids that are there */
static const char *
make_identity(Relation rel, const char *column)
{
	const char *table = qualified_name(rel);

	return psprintf("ALTER TABLE %s ALTER %s ADD GENERATED BY DEFAULT AS IDENTITY; "
					"SELECT setval(pg_get_serial_sequence(%s, %s), max(%s)) FROM %s",
					table, quote_identifier(column), quote_literal_cstr(table),
					quote_literal_cstr(column), quote_identifier(column), table);
}

static BrazeTableFault
check_column(Relation rel, const TableShape *table, int i)
{
	const ColumnShape *shape = &table->columns[i];
	BrazeTableFault fault = {NULL};
	Form_pg_attribute attribute;
	const char *name;
	const char *alter;

	if (!is_there(rel, table, i))
	{
		/* ADD COLUMN appends, and we find columns by their places */
		fault.message = psprintf("table \"%s\" lacks column \"%s\"", table->name, shape->name);
		fault.command = i < RelationGetDescr(rel)->natts ? make_again(rel) :
			psprintf("ALTER TABLE %s ADD COLUMN %s as in " BRAZE_EXTENSION "--" BRAZE_VERSION ".sql",
					 qualified_name(rel), quote_identifier(shape->name));
		return fault;
	}
	attribute = TupleDescAttr(RelationGetDescr(rel), i);
	name = NameStr(attribute->attname);
	alter = psprintf("ALTER TABLE %s ALTER %s", qualified_name(rel), quote_identifier(name));

	/*
	 * One fault at a time, in the order in which they can be repaired: an
	 * identity column has to be of an integer type, and NOT NULL before.
	 */
	if (!has_type(attribute, shape))
	{
		const char *type = type_name(shape->type, shape->rules & BYTEWISE ? C_COLLATION_OID : InvalidOid);

		fault.message = psprintf("column \"%s\" of table \"%s\" has type %s instead of %s", name, table->name,
								 type_name(attribute->atttypid, attribute->attcollation), type);

		/* by way of text, which any two types have in common */
		fault.command = psprintf("%s TYPE %s USING %s::text%s%s", alter, type, quote_identifier(name),
								 shape->type != TEXTOID ? "::" : "",
								 shape->type != TEXTOID ? format_type_be(shape->type) : "");
	}
	else if ((shape->rules & NOT_NULL) && !braze_column_is_not_null(RelationGetDescr(rel), i))
	{
		fault.message = psprintf("column \"%s\" of table \"%s\" may be null", name, table->name);
		fault.command = psprintf("%s SET NOT NULL", alter);
	}
	else if ((shape->rules & IDENTITY) && attribute->attidentity == '\0')
	{
		fault.message = psprintf("column \"%s\" of table \"%s\" is not an identity column", name, table->name);
		fault.command = make_identity(rel, name);
	}
	else if ((shape->rules & GENERATED) && attribute->attgenerated == '\0')
	{
		fault.message = psprintf("column \"%s\" of table \"%s\" is not generated", name, table->name);
		fault.command = make_again(rel);
	}
	return fault;
}

/* ----- the primary key ----- */

/* also one that is deferrable, which does not count elsewhere */
static Oid
find_primary_index(Relation rel)
{
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_index) GETSTRUCT(tuple))->indisprimary)
			found = lfirst_oid(cell);
		ReleaseSysCache(tuple);
	}
	return found;
}

/* its columns and no others, and each row is compared with it at once */
static bool
has_key(Oid primary, const TableShape *table)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(primary));
	Form_pg_index index;
	int			column = 0;
	bool		same;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	same = index->indimmediate;
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!(table->columns[i].rules & PART_OF_KEY))
			continue;
		same = same && column < index->indnatts && index->indkey.values[column] == i + 1;
		column++;
	}
	same = same && column == index->indnatts;
	ReleaseSysCache(tuple);
	return same;
}

static const char *
list_key(Relation rel, const TableShape *table)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < table->ncolumns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		if (table->columns[i].rules & PART_OF_KEY)
			braze_name_list_add(&list, quote_identifier(NameStr(attribute->attname)));
	}
	return list.data;
}

static BrazeTableFault
check_primary_key(Relation rel, const TableShape *table)
{
	BrazeTableFault fault = {NULL};
	Oid			primary;
	const char *key;

	if (has_key(braze_primary_key_index(rel), table))
		return fault;
	primary = find_primary_index(rel);
	key = list_key(rel, table);
	if (!OidIsValid(primary))
	{
		fault.message = psprintf("table \"%s\" has no primary key", table->name);
		fault.command = psprintf("ALTER TABLE %s ADD PRIMARY KEY (%s)", qualified_name(rel), key);
	}
	else
	{
		/* the constraint has the name of its index */
		fault.message = psprintf("table \"%s\" has another primary key than (%s)", table->name, key);
		fault.command = psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD PRIMARY KEY (%s)", qualified_name(rel),
								 quote_identifier(get_rel_name(primary)), key);
	}
	return fault;
}

/* ----- the table ----- */

BrazeTableFault
braze_table_shape_check(Relation rel, const char *name)
{
	const TableShape *table = find_shape(name);
	BrazeTableFault fault = {NULL};

	if (rel->rd_rel->relkind != RELKIND_RELATION)
	{
		fault.message = psprintf("\"%s\" is not an ordinary table", name);
		fault.command = make_again(rel);
	}
	else if (rel->rd_rel->relam != HEAP_TABLE_AM_OID)
	{
		fault.message = psprintf("table \"%s\" does not have the access method \"heap\"", name);
		fault.command = psprintf("ALTER TABLE %s SET ACCESS METHOD heap", qualified_name(rel));
	}
	for (int i = 0; fault.message == NULL && i < table->ncolumns; i++)
		fault = check_column(rel, table, i);
	return fault.message != NULL ? fault : check_primary_key(rel, table);
}
