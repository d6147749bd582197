/*-------------------------------------------------------------------------
 *
 * sync_table.c
 *	  The tables of syncs: braze_syncs and braze_sync_runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/role.h"
#include "base/statement.h"
#include "feed/sync_table.h"

/* rows of a query that are in memory at the same time */
#define FETCH_ROWS	10000

/* ----- statements ----- */

void
braze_sync_table_add(BrazeSyncArguments *arguments, Oid type, Datum value)
{
	Assert(arguments->count < BRAZE_SYNC_ARGUMENTS);
	arguments->types[arguments->count] = type;
	arguments->values[arguments->count] = value;
	arguments->nulls[arguments->count++] = ' ';
	arguments->nulls[arguments->count] = '\0';
}

void
braze_sync_table_add_null(BrazeSyncArguments *arguments, Oid type)
{
	braze_sync_table_add(arguments, type, (Datum) 0);
	arguments->nulls[arguments->count - 1] = 'n';
}

void
braze_sync_table_add_text(BrazeSyncArguments *arguments, const char *text)
{
	if (text == NULL)
		braze_sync_table_add_null(arguments, TEXTOID);
	else
		braze_sync_table_add(arguments, TEXTOID, CStringGetTextDatum(text));
}

uint64
braze_sync_table_write(Oid table, CmdType operation, const char *text,
					   BrazeSyncArguments *arguments)
{
	Relation	rel = braze_catalog_open(table, RowExclusiveLock);
	BrazeStatement statement = {rel, operation, text, arguments->count, arguments->types,
	arguments->values, arguments->nulls};
	uint64		rows = braze_statement_run(&statement);

	table_close(rel, NoLock);
	return rows;
}

typedef struct OwnQuery
{
	const char *text;
	BrazeSyncArguments *arguments;
	EphemeralNamedRelation found;
	BrazeSyncEach each;
	void	   *arg;
} OwnQuery;

static void
run_query(void *arg)
{
	const OwnQuery *query = arg;
	BrazeSyncArguments *arguments = query->arguments;
	SPIPlanPtr	plan;
	Portal		portal;
	MemoryContext row_context;
	MemoryContext old;

	SPI_connect();
	if (query->found != NULL && SPI_register_relation(query->found) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not show the rows of a sync to a query");
	plan = SPI_prepare(query->text, arguments->count, arguments->types);
	if (plan == NULL)
		elog(ERROR, "could not prepare to read the tables of syncs: %s",
			 SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, arguments->values, arguments->nulls, false);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze sync row",
										ALLOCSET_SMALL_SIZES);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		old = MemoryContextSwitchTo(row_context);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			query->each(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, query->arg);
			MemoryContextReset(row_context);
		}
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

void
braze_sync_table_read(const char *text, BrazeSyncArguments *arguments,
					  EphemeralNamedRelation found, BrazeSyncEach each, void *arg)
{
	OwnQuery	query = {text, arguments, found, each, arg};
	Relation	rel = braze_catalog_open(braze_catalog_required()->syncs, AccessShareLock);

	braze_statement_run_as(rel->rd_rel->relowner, BRAZE_OWN_PATH, run_query, &query);
	table_close(rel, AccessShareLock);
}

static char *
name_of_table(Oid table)
{
	Relation	rel = braze_catalog_open(table, AccessShareLock);
	char	   *name = braze_statement_table(rel);

	table_close(rel, AccessShareLock);
	return name;
}

char	   *
braze_sync_table_syncs(void)
{
	return name_of_table(braze_catalog_required()->syncs);
}

char	   *
braze_sync_table_runs(void)
{
	return name_of_table(braze_catalog_required()->sync_runs);
}

char	   *
braze_sync_table_state(void)
{
	return name_of_table(braze_catalog_required()->sync_state);
}

/* ----- a sync ----- */

#define SYNC_COLUMNS \
	"id, name, query, user_id, names, destination, on_remove, max_removed, type, event, key, " \
	"cursor_column, late, owner, owner_oid, system_identifier, search_path, seed, cursor_at, forgotten_before"

typedef struct Found
{
	BrazeSync  *sync;
	MemoryContext context;
} Found;

typedef struct Columns
{
	HeapTuple	row;
	TupleDesc	desc;
	int			next;
} Columns;

static Datum
next_value(Columns *columns, bool *isnull)
{
	return SPI_getbinval(columns->row, columns->desc, ++columns->next, isnull);
}

static char *
next_text(Columns *columns)
{
	bool		isnull;
	Datum		value = next_value(columns, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static BrazeSyncRemoval
removal_of(const char *text)
{
	return strcmp(text, "clear") == 0 ? BRAZE_SYNC_CLEAR :
		strcmp(text, "delete") == 0 ? BRAZE_SYNC_DELETE : BRAZE_SYNC_KEEP;
}

/* in the order of SYNC_COLUMNS */
static void
read_sync(HeapTuple row, TupleDesc desc, void *arg)
{
	Found	   *found = arg;
	MemoryContext old = MemoryContextSwitchTo(found->context);
	Columns		columns = {row, desc, 0};
	BrazeSync  *sync = palloc0(sizeof(BrazeSync));
	bool		isnull;
	Datum		value;

	/*
	 * in the order of the query's select list; the row goes with the
	 * statement
	 */
	sync->id = DatumGetInt64(next_value(&columns, &isnull));
	sync->name = next_text(&columns);
	sync->query = next_text(&columns);
	sync->user_id = next_text(&columns);
	value = next_value(&columns, &isnull);
	sync->names = isnull ? NULL : DatumGetJsonbPCopy(value);
	sync->destination = next_text(&columns);
	sync->on_remove = removal_of(next_text(&columns));
	sync->max_removed = DatumGetFloat8(next_value(&columns, &isnull));
	sync->is_track = strcmp(next_text(&columns), "track") == 0;
	sync->event = next_text(&columns);
	sync->key = next_text(&columns);
	sync->cursor_column = next_text(&columns);
	sync->late = palloc(sizeof(Interval));
	*sync->late = *DatumGetIntervalP(next_value(&columns, &isnull));
	sync->owner = next_text(&columns);
	value = next_value(&columns, &isnull);
	sync->owner_oid = isnull ? InvalidOid : DatumGetObjectId(value);
	value = next_value(&columns, &isnull);
	sync->system = isnull ? 0 : (uint64) DatumGetInt64(value);
	sync->search_path = next_text(&columns);
	value = next_value(&columns, &isnull);
	if (!isnull && VARSIZE_ANY_EXHDR(DatumGetByteaPP(value)) == sizeof(sync->seed))
	{
		memcpy(&sync->seed, VARDATA_ANY(DatumGetByteaPP(value)), sizeof(sync->seed));
		sync->has_seed = true;
	}
	value = next_value(&columns, &isnull);
	sync->has_cursor = !isnull;
	sync->cursor_at = isnull ? 0 : DatumGetTimestampTz(value);
	value = next_value(&columns, &isnull);
	sync->has_forgotten = !isnull;
	sync->forgotten_before = isnull ? 0 : DatumGetTimestampTz(value);
	MemoryContextSwitchTo(old);
	found->sync = sync;
}

static BrazeSync *
find_sync(const char *condition, Oid type, Datum value)
{
	Found		found = {NULL, CurrentMemoryContext};
	BrazeSyncArguments arguments = {0};
	Oid			owner;

	braze_sync_table_add(&arguments, type, value);
	braze_sync_table_read(psprintf("SELECT " SYNC_COLUMNS " FROM %s WHERE %s",
								   braze_sync_table_syncs(), condition),
						  &arguments, NULL, read_sync, &found);
	if (found.sync == NULL)
		return NULL;

	/* as the role is called by now */
	owner = braze_sync_table_find_owner(found.sync);
	if (OidIsValid(owner))
		found.sync->owner = GetUserNameFromId(owner, false);
	return found.sync;
}

BrazeSync  *
braze_sync_table_find(const char *name)
{
	return find_sync("name = $1", TEXTOID, CStringGetTextDatum(name));
}

BrazeSync  *
braze_sync_table_find_id(int64 id)
{
	return find_sync("id = $1", INT8OID, Int64GetDatum(id));
}

Oid
braze_sync_table_find_owner(const BrazeSync *sync)
{
	return braze_role_find(sync->owner, sync->owner_oid, sync->system);
}

Oid
braze_sync_table_owner(const BrazeSync *sync)
{
	Oid			owner = braze_sync_table_find_owner(sync);

	if (OidIsValid(owner))
		return owner;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 OidIsValid(get_role_oid(sync->owner, true)) ?
			 errmsg("role \"%s\", the owner of sync \"%s\", was dropped, and another one has its name",
					sync->owner, sync->name) :
			 errmsg("role \"%s\", the owner of sync \"%s\", does not exist", sync->owner, sync->name),
			 errhint("Drop the sync, and create it again with another owner.")));
}

/* first its own row, for which a part that is being queued is waited */
void
braze_sync_table_remove(const BrazeSync *sync)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	BrazeSyncArguments id = {0};
	BrazeSyncArguments name = {0};

	braze_sync_table_add(&id, INT8OID, Int64GetDatum(sync->id));
	braze_sync_table_add_text(&name, sync->name);
	(void) braze_sync_table_write(catalog->syncs, CMD_DELETE,
								  psprintf("DELETE FROM %s WHERE id = $1", braze_sync_table_syncs()), &id);
	(void) braze_sync_table_write(catalog->sync_state, CMD_DELETE,
								  psprintf("DELETE FROM %s WHERE sync = $1", braze_sync_table_state()), &id);
	(void) braze_sync_table_write(catalog->sync_runs, CMD_DELETE,
								  psprintf("DELETE FROM %s WHERE sync = $1", braze_sync_table_runs()), &name);
}
