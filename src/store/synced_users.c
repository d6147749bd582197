/*-------------------------------------------------------------------------
 *
 * synced_users.c
 *	  What syncs know of users whom a call has deleted is deleted, too.
 *
 * A sync whose query still returns such a user sends all of their attributes by
 * its next run: the user is wanted at Braze, where nothing is left of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "queue/user_id.h"
#include "store/synced_users.h"

bool
braze_synced_users_try_lock(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	if (braze_catalog_try_lock(catalog->sync_state, RowExclusiveLock) &&
		braze_catalog_try_lock(catalog->sync_state_pkey, RowExclusiveLock) &&
		braze_catalog_try_lock(catalog->syncs, AccessShareLock))
		return true;
	braze_table_write_locked = BRAZE_LOCKED_TABLE("braze_sync_state");
	return false;
}

/*
 * A row that is locked is being written by a run of the sync, with a call that
 * is behind the deletion in the queue: it stays.  One sync after the other, so
 * that each row is found by the primary key, whatever is known of the table.
 */
void
braze_synced_users_delete(text * destination, BrazeString user)
{
	static const Oid types[2] = {TEXTOID, TEXTOID};
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	state = table_open(catalog->sync_state, NoLock);
	Relation	syncs = table_open(catalog->syncs, NoLock);
	BrazeString key = braze_user_id_to_key(user);
	Datum		values[2] = {PointerGetDatum(destination),
	PointerGetDatum(cstring_to_text_with_len(key.data, key.length))};
	BrazeStatement statement = {state, CMD_DELETE, NULL, lengthof(types), types, values};

	statement.text =
		psprintf("DELETE FROM %s d USING ("
				 "SELECT s.sync, s.key FROM (VALUES ($1, $2)) u (destination, key) "
				 "JOIN %s y ON y.destination = u.destination AND y.type = 'identify', "
				 "LATERAL (SELECT t.sync, t.key FROM %s t WHERE t.sync = y.id AND t.key = u.key "
				 "FOR UPDATE SKIP LOCKED) s OFFSET 0) g "
				 "WHERE d.sync = g.sync AND d.key = g.key",
				 braze_statement_table(state), braze_statement_table(syncs), braze_statement_table(state));
	(void) braze_statement_run(&statement);
	table_close(syncs, NoLock);
	table_close(state, NoLock);
}
