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

#include "catalog.h"
#include "compat.h"

static BrazeCatalog catalog;
static bool catalog_valid = false;
static bool callback_registered = false;

/*
 * Dropping the extension invalidates its tables, so one look at their OIDs
 * tells whether what we remember still holds.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) ||
		relid == catalog.queue ||
		relid == catalog.dead_letters ||
		relid == catalog.paused ||
		relid == catalog.messages ||
		relid == catalog.profiles)
		catalog_valid = false;
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
look_up_table(Oid schema, const char *name, Oid *table, Oid *pkey, Oid *sequence)
{
	Relation	rel;

	*table = get_relname_relid(name, schema);
	if (!OidIsValid(*table))
		return false;

	/*
	 * Without a lock: who queues a call must not wait for somebody who has
	 * locked the dead letters, say.  The catalogs tell all that is asked here.
	 */
	rel = RelationIdGetRelation(*table);
	if (rel == NULL)
		return false;
	*pkey = braze_primary_key_index(rel);
	if (sequence != NULL)
		*sequence = braze_identity_sequence(rel, 1);
	RelationClose(rel);
	return OidIsValid(*pkey);
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

	catalog.extension = get_extension_oid(BRAZE_EXTENSION, true);
	if (!OidIsValid(catalog.extension))
		return NULL;
	schema = extension_schema(catalog.extension);
	if (!OidIsValid(schema))
		return NULL;

	/* set first: an invalidation that arrives during the look-ups unsets it */
	catalog_valid = true;
	if (!look_up_table(schema, "braze_queue", &catalog.queue,
					   &catalog.queue_pkey, &catalog.queue_sequence) ||
		!look_up_table(schema, "braze_dead_letters", &catalog.dead_letters,
					   &catalog.dead_letters_pkey,
					   &catalog.dead_letters_sequence) ||
		!look_up_table(schema, "braze_paused", &catalog.paused,
					   &catalog.paused_pkey, NULL) ||
		!look_up_table(schema, "braze_messages", &catalog.messages,
					   &catalog.messages_pkey, NULL) ||
		!look_up_table(schema, "braze_profiles", &catalog.profiles,
					   &catalog.profiles_pkey, NULL))
	{
		catalog_valid = false;
		return NULL;
	}
	return &catalog;
}

const BrazeCatalog *
braze_catalog_required(void)
{
	const BrazeCatalog *found = braze_catalog();

	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database",
						BRAZE_EXTENSION),
				 errhint("Run CREATE EXTENSION %s.", BRAZE_EXTENSION)));
	return found;
}

char *
braze_table_name(const char *name)
{
	Oid			schema = get_rel_namespace(braze_catalog_required()->queue);

	return quote_qualified_identifier(get_namespace_name(schema), name);
}
