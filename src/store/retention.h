/*-------------------------------------------------------------------------
 *
 * retention.h
 *	  Deleting what has expired from a table, a small part at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_RETENTION_H
#define BRAZE_RETENTION_H

#include "executor/tuptable.h"
#include "storage/block.h"
#include "storage/off.h"

/*
 * where a pass over the table is, and where it ends; all 0 between two passes
 */
typedef struct BrazeExpiry
{
	BlockNumber next_block;
	OffsetNumber done;			/* of its rows, 0: none */
	BlockNumber end_block;
} BrazeExpiry;

/* may the row in the slot be deleted? */
typedef bool (*BrazeExpired) (TupleTableSlot *slot, void *arg);

/*
 * Goes on with the pass, in a transaction of the worker.  Returns in how many
 * milliseconds to go on, or -1 at the end of the table.
 */
extern int	braze_retention_expire(BrazeExpiry *expiry, Oid table, BrazeExpired expired, void *arg);

#endif							/* BRAZE_RETENTION_H */
