/*-------------------------------------------------------------------------
 *
 * messages_sweep.c
 *	  Forgetting the messageIds that have expired.
 *
 * Goes through the table block by block, a few at a time, and begins again at
 * its end.  An index by time would cost each call that is queued, and would
 * have to be read from its dead head while a long transaction is open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "messages.h"

/* half a megabyte: a few thousand rows, some milliseconds */
#define BLOCKS_PER_SLICE	64

/* at this pace 50,000 ids a second can be forgotten */
#define PAUSE_MS			100
/* and where nothing had expired there is no haste */
#define IDLE_PAUSE_MS		500

/*
 * Ids of a destination that does not deduplicate, now or as far as the worker
 * knows, are kept this long: the option may be back, or new to us.
 */
#define KEPT_ANYWAY			(24 * 3600)

/* where the sweep is, and where it ends; both 0 between two sweeps */
static BlockNumber next_block = 0;
static BlockNumber end_block = 0;

static bool
has_expired(TupleTableSlot *slot, BrazeRemembers seconds, TimestampTz now)
{
	bool		isnull;
	Name		destination;
	TimestampTz queued_at;
	int			kept;

	destination = DatumGetName(slot_getattr(slot, BRAZE_MESSAGES_DESTINATION, &isnull));
	queued_at = DatumGetTimestampTz(slot_getattr(slot, BRAZE_MESSAGES_QUEUED_AT, &isnull));
	kept = seconds(NameStr(*destination));
	return queued_at <= now - (kept > 0 ? kept : KEPT_ANYWAY) * USECS_PER_SEC;
}

/* returns how many rows were deleted */
static int
sweep_slice(Relation rel, BlockNumber start, BlockNumber blocks, BrazeRemembers seconds)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	Snapshot	snapshot = GetActiveSnapshot();
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	int			deleted = 0;

	heap_setscanlimits(scan, start, blocks);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		ItemPointerData tid = slot->tts_tid;
		TM_FailureData failure;

		CHECK_FOR_INTERRUPTS();
		if (!has_expired(slot, seconds, now))
			continue;

		/* a row that a session is taking over is not there to be deleted */
		if (table_tuple_delete(rel, &tid, GetCurrentCommandId(true), snapshot,
							   InvalidSnapshot, false, &failure, false) == TM_Ok)
			deleted++;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return deleted;
}

int
braze_messages_sweep(BrazeRemembers seconds)
{
	Oid			table = braze_catalog_required()->messages;
	Relation	rel;
	BlockNumber blocks;
	int			deleted = 0;

	/* whoever has it locked, by VACUUM FULL for instance, need not be waited for */
	if (!ConditionalLockRelationOid(table, RowExclusiveLock))
		return -1;
	rel = table_open(table, NoLock);
	blocks = RelationGetNumberOfBlocks(rel);
	if (next_block >= end_block)
	{
		next_block = 0;
		end_block = blocks;
	}
	/* VACUUM may have cut the file meanwhile */
	end_block = Min(end_block, blocks);
	if (next_block < end_block)
	{
		BlockNumber slice = Min(BLOCKS_PER_SLICE, end_block - next_block);

		deleted = sweep_slice(rel, next_block, slice, seconds);
		next_block += slice;
	}
	table_close(rel, NoLock);

	if (next_block >= end_block)
		return -1;
	return deleted > 0 ? PAUSE_MS : IDLE_PAUSE_MS;
}
