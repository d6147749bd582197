/*-------------------------------------------------------------------------
 *
 * fetch_row.h
 *	  Finding one row of our tables: by its id, or where it was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_FETCH_ROW_H
#define BRAZE_FETCH_ROW_H

#include "executor/tuptable.h"
#include "storage/block.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/*
 * pkey is the index of the id; the slot keeps
 * the row, whatever happens to its page
 */
extern bool braze_fetch_row_by_id(Relation rel, Relation pkey, Snapshot snapshot,
								  int64 id, TupleTableSlot *slot);

/*
 * The row at a place that was right once, in a file of the table: it may be
 * another one by now.  The table has nblocks, as far as is known.
 */
extern bool braze_fetch_row_at(Relation rel, Oid storage, BlockNumber nblocks,
							   const ItemPointerData *place, TupleTableSlot *slot);

#endif							/* BRAZE_FETCH_ROW_H */
