/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Where this database keeps the extension's tables.
 *
 * Names are resolved in the extension's own schema, never by search_path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/message.h"
#include "base/table_shape.h"

static BrazeCatalog catalog;
static bool catalog_valid = false;
static bool callback_registered = false;

/*
 * an invalidation that arrived during the look-ups: set by the callback alone
 */
static bool changed_meanwhile;

/*
 * the extension is of the library's version: what it lacks somebody took away
 */
static bool is_this_version;

/* of the last look; message is NULL when there was none */
static BrazeCatalogProblem problem;

static const struct
{
	const char *name;
	size_t		table;
	size_t		pkey;
	size_t		sequence;		/* 0: it has none */
}			tables[] = {
#define TABLE(table) "braze_" #table, offsetof(BrazeCatalog, table), offsetof(BrazeCatalog, table##_pkey)
	{TABLE(queue), offsetof(BrazeCatalog, queue_sequence)},
	{TABLE(dead_letters), offsetof(BrazeCatalog, dead_letters_sequence)},
	{TABLE(paused)},
	{TABLE(started)},
	{TABLE(collecting)},
	{TABLE(collected)},
	{TABLE(messages)},
	{TABLE(profiles)},
	{TABLE(notes)},
	{TABLE(activity_sums), offsetof(BrazeCatalog, activity_sums_sequence)},
	{TABLE(activity_users), offsetof(BrazeCatalog, activity_users_sequence)},
	{TABLE(syncs)},
	{TABLE(sync_runs)},
	{TABLE(sync_state)},
	{TABLE(backfills)},
#undef TABLE
};

static Oid *
oid_at(BrazeCatalog *of, size_t offset)
{
	return (Oid *) ((char *) of + offset);
}

/*
 * Dropping the extension invalidates its tables, so one look at their OIDs
 * tells whether what we remember still holds.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	changed_meanwhile = true;
	for (int i = 0; i < lengthof(tables); i++)
	{
		if (!OidIsValid(relid) || relid == *oid_at(&catalog, tables[i].table))
			catalog_valid = false;
	}
}

/* also sets is_this_version */
static Oid
extension_schema(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(rel), &isnull);

		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
		is_this_version = !isnull &&
			strcmp(TextDatumGetCString(version), BRAZE_VERSION) == 0;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return schema;
}

static void
note_problem(const char *message, const char *command)
{
	braze_message_copy(problem.message, message, sizeof(problem.message));
	strlcpy(problem.command, command, sizeof(problem.command));
}

static void
set_outdated(void)
{
	note_problem("extension \"" BRAZE_EXTENSION "\" is older than its library",
				 "ALTER EXTENSION " BRAZE_EXTENSION " UPDATE");
}

/* whether it has, or has had, this name: a new one does not rename the key */
static bool
table_was_named(Oid table, const char *name)
{
	char	   *now = get_rel_name(table);
	Oid			key;

	if (now == NULL)
		return false;
	if (strcmp(now, name) == 0)
		return true;
	key = get_relname_relid(psprintf("%s_pkey", name), get_rel_namespace(table));
	return OidIsValid(key) && IndexGetRelation(key, true) == table;
}

/* a table of the extension with this name, or that had it, wherever it is */
static Oid
find_own_table(Oid extension, const char *name)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, lengthof(keys), keys);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid != RelationRelationId || depend->deptype != DEPENDENCY_EXTENSION)
			continue;
		if (table_was_named(depend->objid, name))
			found = depend->objid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * A table that is not where it was: an older version did not have it, or it was
 * renamed, moved or dropped.
 */
static void
explain_missing_table(Oid extension, Oid schema, const char *name)
{
	Oid			table = find_own_table(extension, name);
	char	   *ours = get_namespace_name(schema);
	char	   *other = OidIsValid(table) ? get_namespace_name(get_rel_namespace(table)) : NULL;
	char	   *new_name = OidIsValid(table) ? get_rel_name(table) : NULL;

	if (ours != NULL && other != NULL && new_name != NULL)
	{
		if (strcmp(new_name, name) != 0)
			note_problem(psprintf("table \"%s\" was renamed to \"%s\"", name, new_name),
						 psprintf("ALTER TABLE %s RENAME TO %s",
								  quote_qualified_identifier(other, new_name), name));
		else
			note_problem(psprintf("table \"%s\" was moved from schema \"%s\" to schema \"%s\"", name, ours, other),
						 psprintf("ALTER TABLE %s SET SCHEMA %s",
								  quote_qualified_identifier(other, name), quote_identifier(ours)));
	}
	else if (!is_this_version || ours == NULL)
		set_outdated();
	else
		note_problem(psprintf("table \"%s\" is missing", name),
					 psprintf("ALTER EXTENSION " BRAZE_EXTENSION " ADD TABLE %s, once it is created again as in "
							  BRAZE_EXTENSION "--" BRAZE_VERSION ".sql",
							  quote_qualified_identifier(ours, name)));
}

static bool
look_up_table(BrazeCatalog *found, Oid schema, int i)
{
	Oid			table = get_relname_relid(tables[i].name, schema);
	BrazeTableFault fault;
	Relation	rel;

	/*
	 * While ours has another name, anybody who may create a table in the
	 * schema could have one of this name, and get all that is written to it.
	 */
	if (!OidIsValid(table) ||
		getExtensionOfObject(RelationRelationId, table) != found->extension)
	{
		explain_missing_table(found->extension, schema, tables[i].name);
		return false;
	}

	/*
	 * Without a lock: who queues a call must not wait for somebody who has
	 * locked the dead letters, say.  The catalogs tell all that is asked
	 * here.
	 */
	rel = RelationIdGetRelation(table);
	if (rel == NULL)
	{
		explain_missing_table(found->extension, schema, tables[i].name);
		return false;
	}
	fault = braze_table_shape_check(rel, tables[i].name);
	if (fault.message == NULL)
	{
		*oid_at(found, tables[i].table) = table;
		*oid_at(found, tables[i].pkey) = braze_primary_key_index(rel);
		if (tables[i].sequence != 0)
			*oid_at(found, tables[i].sequence) = braze_identity_sequence(rel, 1);
	}
	else if (is_this_version)
		note_problem(fault.message, fault.command);
	else
		set_outdated();
	RelationClose(rel);
	return fault.message == NULL;
}

const BrazeCatalog *
braze_catalog(void)
{
	BrazeCatalog found = {0};
	Oid			schema;

	if (catalog_valid)
		return &catalog;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callback_registered = true;
	}

	problem.message[0] = '\0';
	changed_meanwhile = false;
	found.extension = get_extension_oid(BRAZE_EXTENSION, true);
	if (!OidIsValid(found.extension))
		return NULL;
	schema = extension_schema(found.extension);
	if (!OidIsValid(schema))
		return NULL;
	for (int i = 0; i < lengthof(tables); i++)
	{
		if (!look_up_table(&found, schema, i))
			return NULL;
	}

	/*
	 * Only now, since any of the look-ups may raise an error: half of them is
	 * not to be taken for all.
	 */
	catalog = found;
	catalog_valid = !changed_meanwhile;
	return &catalog;
}

const BrazeCatalogProblem *
braze_catalog_problem(void)
{
	return problem.message[0] == '\0' ? NULL : &problem;
}

static void
report_problem(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s", problem.message),
			 errhint("Run %s.", problem.command)));
}

void
braze_catalog_report_outdated(void)
{
	set_outdated();
	report_problem();
}

const BrazeCatalog *
braze_catalog_required(void)
{
	const BrazeCatalog *found = braze_catalog();

	if (found == NULL && braze_catalog_problem() != NULL)
		report_problem();
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database",
						BRAZE_EXTENSION),
				 errhint("Run CREATE EXTENSION %s.", BRAZE_EXTENSION)));
	return found;
}

Relation
braze_catalog_open(Oid table, LOCKMODE lock)
{
	Relation	rel = table_open(table, lock);

	(void) braze_catalog_required();
	return rel;
}

bool
braze_catalog_try_lock(Oid relation, LOCKMODE lock)
{
	return ConditionalLockRelationOid(relation, lock) && braze_catalog() != NULL;
}
