/*-------------------------------------------------------------------------
 *
 * start.c
 *	  What braze_start and braze_pause do besides writing their tables.
 *
 * These functions are PUBLIC's, as the rights on the tables decide who may
 * start and pause.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "base/statement.h"
#include "destination/destination.h"
#include "store/started_table.h"

/* which of the advisory locks' fields keep ours apart from the users' */
#define DESTINATION_LOCK_FIELD	79
#define SEQUENCE_LOCK_FIELD		80

/* a longer gap in the ids is not drawn one by one: so many take some seconds */
#define MAX_DRAWN	INT64CONST(10000000)

/* so many ids must be left for those who queue */
#define IDS_LEFT			INT64CONST(1000000000000)

/* rows that a publisher adds to what it has delivered before it was paused */
#define ACTIVITY_ROOM			INT64CONST(10000)

BRAZE_SQL_FUNCTION(braze_here);
Datum
braze_here(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(braze_started_table_system());
	values[1] = ObjectIdGetDatum(MyDatabaseId);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

static void
require_right(Oid table, AclMode mode)
{
	AclResult	result = pg_class_aclcheck(table, GetUserId(), mode);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, get_rel_name(table));
}

/*
 * Starting and pausing touch two tables.  Whoever comes second waits until
 * the first has committed, and then sees what that wrote in both.
 */
BRAZE_SQL_FUNCTION(braze_lock_destination);
Datum
braze_lock_destination(PG_FUNCTION_ARGS)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	const char *name = PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0));
	LOCKTAG		tag;

	/* one by one: of several in a mask, any would be enough */
	require_right(catalog->paused, ACL_INSERT);
	require_right(catalog->paused, ACL_DELETE);
	if (name == NULL || braze_destination_load(name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 name == NULL ? errmsg("destination must not be null") :
				 errmsg("destination \"%s\" does not exist", name),
				 errhint("Name a server of the foreign-data wrapper segment_braze.")));
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, catalog->extension,
						 DatumGetUInt32(hash_any((const unsigned char *) name, strlen(name))),
						 DESTINATION_LOCK_FIELD);

	/*
	 * Until the transaction ends, unlike the lock on the sequence: what the
	 * two tables say of the destination is one decision.
	 */
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	PG_RETURN_VOID();
}

/* ----- sequences that are behind the ids of their tables ----- */

/*
 * What is in the table or on its way there counts; 0: nothing.  Rows that are
 * gone do not, but the worker may have read on to them.
 */
static int64
highest_id(Oid table, Oid pkey)
{
	Relation	rel = braze_catalog_open(table, AccessShareLock);
	Relation	index = index_open(pkey, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	SnapshotData dirty;
	IndexScanDesc scan;
	int64		id = 0;
	bool		isnull;

	/*
	 * Rows of transactions that are still open count as well: they commit
	 * after the sequence has been moved.
	 */
	InitDirtySnapshot(dirty);
	scan = braze_index_beginscan(rel, index, &dirty, 0);
	index_rescan(scan, NULL, 0, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slot))
		id = DatumGetInt64(slot_getattr(slot, 1, &isnull));
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return id;
}

/* what is queued with an id below this comes late */
static int64
highest_id_read(void)
{
	BrazeDatabaseSlot *slot;
	int64		id = 0;

	if (braze_shared == NULL)
		return 0;
	slot = braze_shmem_lock_own_database(LW_SHARED);
	if (slot != NULL)
		id = slot->highest_read;
	LWLockRelease(braze_shared->lock);
	return id;
}

/*
 * setval could set the sequence back, below an id that somebody draws
 * meanwhile, so nobody may.  Whoever has drawn one in an open transaction has
 * a lock on the sequence; to wait for them would have all others wait as well.
 */
static void
jump_to(Oid table, Oid sequence, int64 drawn, int64 highest)
{
	if (!braze_catalog_try_lock(sequence, ShareRowExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the sequence of table \"%s\" cannot be set from %lld to %lld now",
						get_rel_name(table), (long long) drawn, (long long) highest),
				 errdetail("It is far behind the ids of the rows, and a transaction that has drawn an id from it is still open."),
				 errhint("Call braze_start again when that transaction has ended.")));

	/* somebody may have drawn ids before the lock was granted */
	if (nextval_internal(sequence, false) < highest)
		braze_statement_set_sequence(sequence, highest);
	UnlockRelationOid(sequence, ShareRowExclusiveLock);
}

/*
 * Ids are drawn until they are past the highest: that takes no lock, and can
 * never go back.  ALTER SEQUENCE would have everybody who queues wait until
 * this transaction ends.  An id at the very end of bigint leaves none to go on
 * with: nothing could be queued any more, so that one is left alone.  "room" is
 * for rows that are still to come from elsewhere.
 */
static void
pass_highest(Oid table, Oid sequence, int64 highest, int64 room)
{
	int64		first;
	int64		drawn;

	if (highest == 0 || !OidIsValid(sequence))
		return;

	/* to follow somebody's mistake would soon end all queueing */
	if (highest > PG_INT64_MAX - IDS_LEFT)
	{
		ereport(WARNING,
				(errmsg("the sequence of table \"%s\" was not moved past id %lld",
						get_rel_name(table), (long long) highest),
				 errdetail("Hardly any ids would be left above it."),
				 errhint("Give the row with this id another one, and call braze_start again.")));
		return;
	}
	first = drawn = nextval_internal(sequence, false);
	if (drawn >= highest)
		return;
	highest += room;
	if (highest - drawn > MAX_DRAWN)
		jump_to(table, sequence, drawn, highest);
	else
	{
		while (drawn < highest)
		{
			int64		next = nextval_internal(sequence, false);

			/* one that counts down or cycles would never get there */
			if (next <= drawn)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("the sequence of table \"%s\" does not count upwards",
								get_rel_name(table)),
						 errhint("Run ALTER SEQUENCE %s INCREMENT BY 1 NO CYCLE, and call braze_start again.",
								 quote_qualified_identifier(get_namespace_name(get_rel_namespace(sequence)),
															get_rel_name(sequence)))));
			drawn = next;
			CHECK_FOR_INTERRUPTS();
		}
	}
	ereport(LOG,
			(errmsg("segment_braze: the sequence of table \"%s\" was moved from %lld to %lld",
					get_rel_name(table), (long long) first, (long long) highest),
			 errdetail("Rows with such ids come from elsewhere, for instance by replication.")));
}

/*
 * A subscriber has the rows of the publisher, and not its sequences.  Ids that
 * are drawn twice would be errors, and what has an id below what the worker
 * has read is sent late.
 */
BRAZE_SQL_FUNCTION(braze_pass_ids);
Datum
braze_pass_ids(PG_FUNCTION_ARGS)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	LOCKTAG		tag;

	require_right(catalog->started, ACL_INSERT);

	/* two at once would both see the same gap */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, catalog->extension, 0, SEQUENCE_LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	pass_highest(catalog->queue, catalog->queue_sequence,
				 Max(highest_id(catalog->queue, catalog->queue_pkey), highest_id_read()), 0);
	pass_highest(catalog->dead_letters, catalog->dead_letters_sequence,
				 highest_id(catalog->dead_letters, catalog->dead_letters_pkey), 0);

	/*
	 * A publisher writes its last sums a moment after it was paused, and goes
	 * on as long as another destination is started there.
	 */
	pass_highest(catalog->activity_sums, catalog->activity_sums_sequence,
				 highest_id(catalog->activity_sums, catalog->activity_sums_pkey), ACTIVITY_ROOM);
	pass_highest(catalog->activity_users, catalog->activity_users_sequence,
				 highest_id(catalog->activity_users, catalog->activity_users_pkey), ACTIVITY_ROOM);
	(void) LockRelease(&tag, ExclusiveLock, false);
	PG_RETURN_VOID();
}
