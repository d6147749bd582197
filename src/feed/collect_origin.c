/*-------------------------------------------------------------------------
 *
 * collect_origin.c
 *	  What an origin must be like, so that its calls can be collected.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/collector_slot.h"
#include "base/compat.h"
#include "feed/collect_origin.h"
#include "feed/collect_remote.h"

/*
 * A call of our own queue would come back under another id, again and again.
 * The view at an origin says of its database what is said of this one here.
 */
static void
require_other_queue(const BrazeOrigin *origin, const char *database)
{
	Oid			queue = braze_catalog_required()->queue;
	int64		started = PgStartTime +
	(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	char	   *own = psprintf(INT64_FORMAT ".%06d %u", started / USECS_PER_SEC,
							   (int) (started % USECS_PER_SEC), MyDatabaseId);

	if (strcmp(database, own) != 0 ||
		strcmp(origin->table, quote_qualified_identifier(get_namespace_name(get_rel_namespace(queue)),
														 get_rel_name(queue))) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("server \"%s\" leads to this very database, and table %s is its own queue; correct its options, or end this with braze_stop_collecting",
					NameStr(origin->server), origin->table)));
}

/*
 * Through two servers, or into two databases, each of its calls would be queued
 * twice.
 */
static void
require_own_table(const BrazeOrigin *origin, const char *database)
{
	BrazeCollectorSlot holder;
	char	   *into = "";

	if (braze_collector_slot_claim(database, &holder))
		return;
	if (holder.database != MyDatabaseId && get_database_name(holder.database) != NULL)
		into = psprintf(" into database \"%s\"", get_database_name(holder.database));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("this table is collected already, through server \"%s\"%s; end one of the two with braze_stop_collecting",
					NameStr(holder.server), into)));
}

void
braze_collect_origin_require_ours(const BrazeOrigin *origin, const char *database)
{
	require_other_queue(origin, database);
	require_own_table(origin, database);
}

void
braze_collect_origin_require_all_rows(const BrazeOrigin *origin)
{
	if (braze_collect_remote_hides_rows())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security may hide calls from the role that collects; there it needs a policy with USING (true) on %s",
						origin->table)));
}
