/*-------------------------------------------------------------------------
 *
 * queue_size.c
 *	  What the queued calls of a destination take up, for max_queue_size.
 *
 * Bytes of the calls as they are stored.  The size of the files would not do:
 * dead rows and free space are in it, so a queue that was full once would stay
 * so.  But no call takes up more than the files, which makes their size a
 * cheap bound: while it is well below the limit, nothing has to be read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/queue_count.h"
#include "base/size_counter.h"
#include "queue/column_values.h"
#include "queue/insert_buffer.h"
#include "queue/queue_size.h"
#include "queue/queued_in_transaction.h"

/* a queue that is full is read again this late, */
#define READ_AGAIN_MS	10000
/* or after so many times what the last reading took: it costs 2 % at most */
#define READ_SHARE		50

/* which of the advisory locks' fields keeps ours apart from the users' */
#define READ_LOCK_FIELD	78

/* without a place nobody tells what others queue: for so long it counts */
#define LOCAL_MS		1000

/* ----- measuring ----- */

/*
 * The locks are not kept: whoever queues takes that on the sequence before
 * that on the table, as DROP EXTENSION does.
 */
int64
braze_queue_size_files(Oid table)
{
	Relation	rel = table_open(table, AccessShareLock);
	int64		blocks = RelationGetNumberOfBlocks(rel);
	Oid			toast = rel->rd_rel->reltoastrelid;

	table_close(rel, AccessShareLock);
	if (OidIsValid(toast))
	{
		rel = table_open(toast, AccessShareLock);
		blocks += RelationGetNumberOfBlocks(rel);
		table_close(rel, AccessShareLock);
	}
	return blocks * BLCKSZ;
}

/* committed calls of the destination; what this transaction queued is open */
static int64
read_queue_bytes(const char *destination)
{
	Relation	queue = braze_catalog_open(braze_catalog_required()->queue, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(queue, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan_strat(queue, snapshot, 0, NULL, true, false);
	int64		bytes = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull);
		NameData	name;

		CHECK_FOR_INTERRUPTS();
		slot_getsomeattrs(slot, BRAZE_QUEUE_CALL);
		braze_column_values_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &name);
		/* only rows are read: toast_datum_size does not fetch the value */
		if (strcmp(NameStr(name), destination) == 0 &&
			!TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)))
			bytes += toast_datum_size(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(queue, AccessShareLock);
	return bytes;
}

static bool
correct_size(BrazeSizeCounter *size, const BrazeSizeLook *look, int64 bytes)
{
	if (!braze_size_counter_correct(size, look, bytes))
		return false;
	size->looked_at = braze_now_ms();
	size->read_at = 0;
	size->known = true;
	return true;
}

/* false when another session is at it */
static bool
read_anew(BrazeSizeCounter *size, const char *destination)
{
	LOCKTAG		tag;
	int64		start;
	BrazeSizeLook look;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, braze_catalog_required()->queue, 0,
						 READ_LOCK_FIELD);

	/*
	 * A queue that is full is found so by all who write to it at once.  One
	 * of them reads it; the others go by what they know.
	 */
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	start = braze_now_ms();

	/*
	 * Looked at before the read: sessions and the worker go on counting
	 * meanwhile, and only the difference to this count is corrected.
	 */
	look = braze_size_counter_look(size);
	if (correct_size(size, &look, read_queue_bytes(destination)))
	{
		size->read_ms = (int) Min(braze_now_ms() - start, 3600 * 1000);
		size->read_at = size->looked_at;
	}
	LockRelease(&tag, ExclusiveLock, false);
	return true;
}

static bool
look_is_older(int64 time, int64 ms)
{
	return braze_now_ms() >= time + ms;
}

static bool
size_is_known(const BrazeSizeCounter *size, int64 committed)
{
	/* more was settled than was counted: rows that we did not put */
	return size->known && committed >= 0 &&
		(!size->local || !look_is_older(size->looked_at, LOCAL_MS));
}

static bool
fits_limit(BrazeSizeCounter *size, int64 limit, int64 bytes)
{
	return braze_size_counter_committed(size) + braze_size_counter_open(size) + bytes <= limit;
}

bool
braze_queue_size_has_room(const char *destination, int64 limit, int64 bytes)
{
	BrazeSizeCounter *size = braze_queued_in_transaction(destination)->size;
	BrazeSizeLook look = braze_size_counter_look(size);
	bool		known = size_is_known(size, look.counted);
	bool		exact;
	int64		files;

	/*
	 * From what is cheap to what is dear: the count, which nearly every call
	 * stops at; the size of the files; and the table itself, seldom.
	 */
	if (known && fits_limit(size, limit, bytes))
		return true;
	(void) braze_queue_count_is_known(&exact);
	if (exact && !size->local)
		return fits_limit(size, limit, bytes);

	/* what this transaction queued counts as open, and is in the files */
	braze_insert_buffer_flush();
	files = braze_queue_size_files(braze_catalog_required()->queue);

	/*
	 * The files are never smaller than the calls in them, so they serve as
	 * the first value, and as a correction where the count is above them.
	 * Near the limit they do not: they contain dead rows and free space, for
	 * which calls would be refused.
	 */
	if (files <= limit - limit / 8 && (!known || files - braze_size_counter_open(size) < look.counted))
	{
		(void) correct_size(size, &look, files - braze_size_counter_open(size));
		if (fits_limit(size, limit, bytes))
			return true;
	}
	if ((!known || look_is_older(size->read_at, Max(READ_AGAIN_MS, size->read_ms * READ_SHARE))) &&
		!read_anew(size, destination) && !known)
		return true;			/* as long as nobody knows, nobody is refused */

	/* however wrong the count is, the calls are not larger than the files */
	return fits_limit(size, limit, bytes) || files + bytes <= limit;
}
