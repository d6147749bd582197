/*-------------------------------------------------------------------------
 *
 * fetch_row.c
 *	  Finding one row of our tables: by its id, or where it was.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "store/fetch_row.h"

bool
braze_fetch_row_by_id(Relation rel, Relation pkey, Snapshot snapshot, int64 id,
					  TupleTableSlot *slot)
{
	ScanKeyData key;
	IndexScanDesc scan;
	bool		found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
	scan = braze_index_beginscan(rel, pkey, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);

	/* the slot must not lose its buffer with the scan */
	if (found)
		ExecMaterializeSlot(slot);
	index_endscan(scan);
	return found;
}

bool
braze_fetch_row_at(Relation rel, Oid storage, BlockNumber nblocks,
				   const ItemPointerData *place, TupleTableSlot *slot)
{
	ItemPointerData tid = *place;

	/* VACUUM FULL and TRUNCATE give it another file, a VACUUM may shorten it */
	if (storage != rel->rd_rel->relfilenode || !ItemPointerIsValid(&tid) ||
		ItemPointerGetBlockNumber(&tid) >= nblocks)
		return false;
	return table_tuple_fetch_row_version(rel, &tid, GetActiveSnapshot(), slot);
}
