/*-------------------------------------------------------------------------
 *
 * retention.c
 *	  Deleting what has expired from a table, a small part at a time.
 *
 * Goes through the table block by block, and begins again at its end.  An
 * index by time would cost each row that is put, and would have to be read
 * from its dead head while a long transaction is open.
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

#include "base/catalog.h"
#include "base/clock.h"
#include "base/table_write.h"
#include "store/retention.h"

/* half a megabyte: a few thousand rows, some milliseconds */
#define BLOCKS_PER_SLICE	64

/*
 * Deleting may fire triggers that others added, and nothing is sent meanwhile:
 * after so long the rest of a slice is the next one.
 */
#define MAX_SLICE_MS		50

/* at this pace 50,000 messages a second can be forgotten */
#define PAUSE_MS			100
/* and where nothing had expired there is no haste */
#define IDLE_PAUSE_MS		500

/*
 * Returns how many rows were deleted.  The pass goes on behind the last row
 * that was tried: if it cannot be deleted, it is passed over all the same.
 */
static int
expire_slice(Relation rel, BrazeExpiry *expiry, BlockNumber blocks,
			 BrazeExpired expired, void *arg)
{
	int64		deadline = braze_now_ms() + MAX_SLICE_MS;
	BlockNumber start = expiry->next_block;
	OffsetNumber done = expiry->done;
	Snapshot	snapshot = GetActiveSnapshot();
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, NULL, true, false);
	int			deleted = 0;

	heap_setscanlimits(scan, start, blocks);
	expiry->next_block += blocks;
	expiry->done = 0;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		ItemPointerData tid = slot->tts_tid;
		BlockNumber block = ItemPointerGetBlockNumber(&tid);
		OffsetNumber offset = ItemPointerGetOffsetNumber(&tid);

		CHECK_FOR_INTERRUPTS();
		if (block == start && offset <= done)
			continue;

		/* a row that a session is changing is not there to be deleted */
		if (expired(slot, arg) && braze_table_write_delete(rel, &tid, snapshot) == TM_Ok)
			deleted++;

		/* whether or not it was deleted: the question may have changed it */
		if (braze_now_ms() >= deadline)
		{
			expiry->next_block = block;
			expiry->done = offset;
			break;
		}
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return deleted;
}

int
braze_retention_expire(BrazeExpiry *expiry, Oid table, BrazeExpired expired, void *arg)
{
	Relation	rel;
	BlockNumber blocks;
	int			deleted = 0;

	/*
	 * whoever has it locked, by VACUUM FULL for instance, need not be waited
	 * for
	 */
	if (!braze_catalog_try_lock(table, RowExclusiveLock))
		return -1;
	rel = table_open(table, NoLock);
	blocks = RelationGetNumberOfBlocks(rel);
	if (expiry->next_block >= expiry->end_block)
	{
		expiry->next_block = 0;
		expiry->done = 0;
		expiry->end_block = blocks;
	}
	/* VACUUM may have cut the file meanwhile */
	expiry->end_block = Min(expiry->end_block, blocks);
	if (expiry->next_block < expiry->end_block)
	{
		BlockNumber slice = Min(BLOCKS_PER_SLICE, expiry->end_block - expiry->next_block);

		deleted = expire_slice(rel, expiry, slice, expired, arg);
	}
	table_close(rel, NoLock);

	if (expiry->next_block >= expiry->end_block)
		return -1;
	return deleted > 0 ? PAUSE_MS : IDLE_PAUSE_MS;
}
