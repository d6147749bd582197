/*-------------------------------------------------------------------------
 *
 * sync_read.h
 *	  The rows of a sync's query, read once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_READ_H
#define BRAZE_SYNC_READ_H

#include "utils/tuplestore.h"

#include "feed/sync_plan.h"

/* columns of keys, which the comparison sees as a table of the name below */
#define BRAZE_SYNC_FOUND		"braze_sync_found"
#define BRAZE_SYNC_FOUND_KEY	1
#define BRAZE_SYNC_FOUND_HASH	2
#define BRAZE_SYNC_FOUND_PLACE	3
#define BRAZE_SYNC_FOUND_COLUMNS	3

/*
 * What a query returned.  It outlives the transaction that read it: its parts
 * are queued in later ones.  Whoever made it ends it, after an error as well.
 */
typedef struct BrazeSyncRows
{
	MemoryContext context;
	BrazeSyncPlan *plan;
	TupleDesc	keys_desc;
	Tuplestorestate *keys;		/* key, hash or moment, place of each row */
	Tuplestorestate *rows;		/* the rows themselves, in that order */
	int64		count;
	TimestampTz last_time;		/* of an event; valid if count > 0 */
} BrazeSyncRows;

/* in the current memory context, which has to last */
extern BrazeSyncRows *braze_sync_read_begin(void);

/*
 * Runs the query, with the rights of its owner and no others.  Of an event
 * those from since on, where that is not NULL.  limit: no more rows, or -1.
 */
extern void braze_sync_read(BrazeSyncRows *rows, const BrazeSync *sync, Oid owner,
							const TimestampTz *since, int64 limit);

extern void braze_sync_read_end(BrazeSyncRows *rows);

/* the columns that the query has, without running it; in the current context */
extern BrazeSyncPlan *braze_sync_read_plan(const BrazeSync *sync, Oid owner);

/*
 * Settings that decide what a query returns, and how its values are written,
 * until they are given back, or an error ends the transaction.
 */
extern int	braze_sync_read_fix_settings(void);
extern void braze_sync_read_restore_settings(int level);

#endif							/* BRAZE_SYNC_READ_H */
