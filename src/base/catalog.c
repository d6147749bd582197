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
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/compat.h"

static BrazeCatalog catalog;
static bool catalog_valid = false;
static bool callback_registered = false;

static bool outdated = false;

/* the tables, and how many columns the install script gives them at least */
static const struct
{
	const char *name;
	size_t		table;
	size_t		pkey;
	size_t		sequence;		/* 0: it has none */
	int			columns;
}			tables[] = {
#define TABLE(table) offsetof(BrazeCatalog, table), offsetof(BrazeCatalog, table##_pkey)
	{"braze_queue", TABLE(queue), offsetof(BrazeCatalog, queue_sequence), BRAZE_QUEUE_COLUMNS},
	{"braze_dead_letters", TABLE(dead_letters), offsetof(BrazeCatalog, dead_letters_sequence), BRAZE_DEAD_COLUMNS},
	{"braze_paused", TABLE(paused), 0, BRAZE_PAUSED_COLUMNS},
	{"braze_started", TABLE(started), 0, BRAZE_STARTED_COLUMNS},
	{"braze_messages", TABLE(messages), 0, BRAZE_MESSAGES_COLUMNS},
	{"braze_profiles", TABLE(profiles), 0, BRAZE_PROFILE_COLUMNS},
	{"braze_notes", TABLE(notes), 0, BRAZE_NOTES_COLUMNS},
	{"braze_activity_sums", TABLE(activity_sums), offsetof(BrazeCatalog, activity_sums_sequence), BRAZE_ACTIVITY_SUMS_COLUMNS},
	{"braze_activity_users", TABLE(activity_users), offsetof(BrazeCatalog, activity_users_sequence), BRAZE_ACTIVITY_USERS_COLUMNS},
#undef TABLE
};

static Oid *
oid_at(size_t offset)
{
	return (Oid *) ((char *) &catalog + offset);
}

/*
 * Dropping the extension invalidates its tables, so one look at their OIDs
 * tells whether what we remember still holds.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < lengthof(tables); i++)
	{
		if (!OidIsValid(relid) || relid == *oid_at(tables[i].table))
			catalog_valid = false;
	}
}

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
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return schema;
}

static bool
look_up_table(Oid schema, int i)
{
	Oid			table = get_relname_relid(tables[i].name, schema);
	Oid			pkey;
	bool		complete;
	Relation	rel;

	if (!OidIsValid(table))
		return false;

	/*
	 * Without a lock: who queues a call must not wait for somebody who has
	 * locked the dead letters, say.  The catalogs tell all that is asked
	 * here.
	 */
	rel = RelationIdGetRelation(table);
	if (rel == NULL)
		return false;
	pkey = braze_primary_key_index(rel);
	complete = OidIsValid(pkey) && RelationGetDescr(rel)->natts >= tables[i].columns;
	if (complete)
	{
		*oid_at(tables[i].table) = table;
		*oid_at(tables[i].pkey) = pkey;
		if (tables[i].sequence != 0)
			*oid_at(tables[i].sequence) = braze_identity_sequence(rel, 1);
	}
	RelationClose(rel);
	return complete;
}

const BrazeCatalog *
braze_catalog(void)
{
	Oid			schema;

	if (catalog_valid)
		return &catalog;

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callback_registered = true;
	}

	outdated = false;
	catalog.extension = get_extension_oid(BRAZE_EXTENSION, true);
	if (!OidIsValid(catalog.extension))
		return NULL;
	schema = extension_schema(catalog.extension);
	if (!OidIsValid(schema))
		return NULL;

	/* set first: an invalidation that arrives during the look-ups unsets it */
	catalog_valid = true;
	for (int i = 0; i < lengthof(tables); i++)
	{
		if (!look_up_table(schema, i))
		{
			catalog_valid = false;
			outdated = true;
			return NULL;
		}
	}
	return &catalog;
}

bool
braze_catalog_is_outdated(void)
{
	return outdated;
}

void
braze_catalog_report_outdated(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" is older than its library", BRAZE_EXTENSION),
			 errhint("Run ALTER EXTENSION %s UPDATE.", BRAZE_EXTENSION)));
}

const BrazeCatalog *
braze_catalog_required(void)
{
	const BrazeCatalog *found = braze_catalog();

	if (found == NULL && outdated)
		braze_catalog_report_outdated();
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database",
						BRAZE_EXTENSION),
				 errhint("Run CREATE EXTENSION %s.", BRAZE_EXTENSION)));
	return found;
}
