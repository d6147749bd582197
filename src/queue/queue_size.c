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
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "queue/queue.h"
#include "queue/queue_size.h"
#include "queue/queued_in_transaction.h"

/* a queue that is full is read again this late, */
#define READ_AGAIN_MS	10000
/* or after so many times what the last reading took: it costs 2 % at most */
#define READ_SHARE		50

/* without a place nobody tells what others queue: for so long it counts */
#define LOCAL_MS		1000

/* which of the advisory locks' fields keeps ours apart from the users' */
#define READ_LOCK_FIELD	78

/* without shared memory, or a place in it */
typedef struct LocalSize
{
	struct LocalSize *next;
	NameData	destination;
	BrazeQueueSize size;
} LocalSize;

void
braze_queue_size_init(BrazeQueueSize *size)
{
	memset(size, 0, sizeof(BrazeQueueSize));
	pg_atomic_init_u64(&size->committed, 0);
	pg_atomic_init_u64(&size->open, 0);
	pg_atomic_init_u32(&size->users, 0);
	SpinLockInit(&size->mutex);
}

static BrazeQueueSize *
local_size(const char *destination)
{
	static LocalSize *sizes = NULL;
	LocalSize  *local;

	for (local = sizes; local != NULL; local = local->next)
	{
		if (strcmp(NameStr(local->destination), destination) == 0)
			return &local->size;
	}
	local = MemoryContextAllocZero(TopMemoryContext, sizeof(LocalSize));
	namestrcpy(&local->destination, destination);
	braze_queue_size_init(&local->size);
	local->size.local = true;
	local->next = sizes;
	sizes = local;
	return &local->size;
}

/* used: counted before the lock is given back, since it may be freed then */
static BrazeQueueSize *
find_size(const char *destination, bool used)
{
	BrazeDestinationSlot *slot = NULL;
	BrazeQueueSize *size;
	bool		has_place;

	if (braze_shared == NULL)
		return local_size(destination);
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = braze_shmem_destination(MyDatabaseId, destination, false);
	has_place = (slot != NULL || braze_shmem_has_place());
	if (slot == NULL && has_place)
	{
		LWLockRelease(braze_shared->lock);
		LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
		slot = braze_shmem_destination(MyDatabaseId, destination, true);
	}
	size = (slot != NULL ? &slot->size : NULL);
	if (size != NULL && used)
		pg_atomic_fetch_add_u32(&size->users, 1);
	LWLockRelease(braze_shared->lock);
	return size != NULL ? size : local_size(destination);
}

BrazeQueueSize *
braze_queue_size_of(const char *destination)
{
	return find_size(destination, false);
}

BrazeQueueSize *
braze_queue_size_use(const char *destination)
{
	return find_size(destination, true);
}

void
braze_queue_size_release(BrazeQueueSize *size)
{
	if (!size->local)
		pg_atomic_fetch_sub_u32(&size->users, 1);
}

/* ----- counting ----- */

static int64
committed_bytes(BrazeQueueSize *size)
{
	return (int64) pg_atomic_read_u64(&size->committed);
}

static int64
open_bytes(BrazeQueueSize *size)
{
	return (int64) pg_atomic_read_u64(&size->open);
}

void
braze_queue_size_add(const char *destination, int64 bytes)
{
	BrazeTally *tally = braze_queued_in_transaction(destination);

	tally->bytes += bytes;
	pg_atomic_fetch_add_u64(&tally->size->open, (uint64) bytes);
}

void
braze_queue_size_end(BrazeQueueSize *size, int64 bytes, bool committed)
{
	if (bytes == 0)
		return;
	if (committed)
		pg_atomic_fetch_add_u64(&size->committed, (uint64) bytes);
	pg_atomic_fetch_sub_u64(&size->open, bytes);
}

void
braze_queue_size_settled(BrazeQueueSize *size, int64 bytes)
{
	if (bytes != 0)
		pg_atomic_fetch_sub_u64(&size->committed, bytes);
}

void
braze_queue_size_unknown(BrazeQueueSize *size)
{
	size->known = false;
}

void
braze_queue_size_all_unknown(void)
{
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	for (int i = 0; i < braze_max_destinations; i++)
	{
		if (braze_shared->destinations[i].database == MyDatabaseId)
			braze_queue_size_unknown(&braze_shared->destinations[i].size);
	}
	LWLockRelease(braze_shared->lock);
}

/* ----- measuring ----- */

/*
 * The locks are not kept: whoever queues takes that on the sequence before
 * that on the table, as DROP EXTENSION does.
 */
static int64
file_bytes(void)
{
	Relation	queue = table_open(braze_catalog_required()->queue, AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(queue);
	Oid			toast = queue->rd_rel->reltoastrelid;

	if (OidIsValid(toast))
	{
		Relation	rel = table_open(toast, AccessShareLock);

		blocks += RelationGetNumberOfBlocks(rel);
		table_close(rel, AccessShareLock);
	}
	table_close(queue, AccessShareLock);
	return (int64) blocks * BLCKSZ;
}

/* committed calls of the destination; what this transaction queued is open */
static int64
read_bytes(const char *destination)
{
	Relation	queue = table_open(braze_catalog_required()->queue, AccessShareLock);
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
		braze_queue_table_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &name);
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

BrazeQueueLook
braze_queue_size_look(BrazeQueueSize *size)
{
	BrazeQueueLook look;

	SpinLockAcquire(&size->mutex);
	look.corrections = size->corrections;
	look.counted = committed_bytes(size);
	SpinLockRelease(&size->mutex);
	return look;
}

bool
braze_queue_size_correct(BrazeQueueSize *size, const BrazeQueueLook *look, int64 bytes)
{
	bool		latest;

	SpinLockAcquire(&size->mutex);
	latest = (look->corrections == size->corrections);
	if (latest && bytes != look->counted)
	{
		size->corrections++;
		pg_atomic_fetch_add_u64(&size->committed, (uint64) (bytes - look->counted));
	}
	SpinLockRelease(&size->mutex);
	return latest;
}

static bool
correct(BrazeQueueSize *size, const BrazeQueueLook *look, int64 bytes)
{
	if (!braze_queue_size_correct(size, look, bytes))
		return false;
	size->looked_at = GetCurrentTimestamp();
	size->read_at = 0;
	size->known = true;
	return true;
}

/* false when another session is at it */
static bool
read_anew(BrazeQueueSize *size, const char *destination)
{
	LOCKTAG		tag;
	instr_time	start;
	instr_time	took;
	BrazeQueueLook look;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, braze_catalog_required()->queue, 0,
						 READ_LOCK_FIELD);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	INSTR_TIME_SET_CURRENT(start);
	look = braze_queue_size_look(size);
	if (correct(size, &look, read_bytes(destination)))
	{
		INSTR_TIME_SET_CURRENT(took);
		INSTR_TIME_SUBTRACT(took, start);
		size->read_ms = (int) Min(INSTR_TIME_GET_MILLISEC(took), 3600 * 1000);
		size->read_at = size->looked_at;
	}
	LockRelease(&tag, ExclusiveLock, false);
	return true;
}

static bool
is_older(TimestampTz time, int64 ms)
{
	return GetCurrentTimestamp() >= time + ms * 1000;
}

static bool
is_known(const BrazeQueueSize *size, int64 committed)
{
	/* more was settled than was counted: rows that we did not put */
	return size->known && committed >= 0 &&
		(!size->local || !is_older(size->looked_at, LOCAL_MS));
}

static bool
fits(BrazeQueueSize *size, int64 limit, int64 bytes)
{
	return committed_bytes(size) + open_bytes(size) + bytes <= limit;
}

bool
braze_queue_size_has_room(const char *destination, int64 limit, int64 bytes)
{
	BrazeQueueSize *size = braze_queued_in_transaction(destination)->size;
	BrazeQueueLook look = braze_queue_size_look(size);
	bool		known = is_known(size, look.counted);
	int64		files;

	if (known && fits(size, limit, bytes))
		return true;

	files = file_bytes();
	if (files <= limit - limit / 8 && (!known || files - open_bytes(size) < look.counted))
	{
		(void) correct(size, &look, files - open_bytes(size));
		if (fits(size, limit, bytes))
			return true;
	}
	if ((!known || is_older(size->read_at, Max(READ_AGAIN_MS, size->read_ms * READ_SHARE))) &&
		!read_anew(size, destination) && !known)
		return true;			/* as long as nobody knows, nobody is refused */
	return fits(size, limit, bytes) || files + bytes <= limit;
}
