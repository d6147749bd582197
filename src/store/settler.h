/*-------------------------------------------------------------------------
 *
 * settler.h
 *	  The worker's hold on both tables while it settles calls that are done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SETTLER_H
#define BRAZE_SETTLER_H

#include "access/tableam.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "queue/column_values.h"
#include "store/dead_letters_table.h"

typedef struct BrazeSettleTable
{
	Relation	rel;			/* NULL: not opened */
	Relation	pkey;
	TupleTableSlot *slot;
	BlockNumber nblocks;		/* of its file: a hint beyond is stale */
	AttrNumber	queued_at;		/* 0: its ids are not used again */
} BrazeSettleTable;

typedef struct BrazeSettler
{
	BrazeSettleTable queue;
	BrazeSettleTable letters;	/* opened when it is needed */
	MemoryContext context;		/* as long as the settler, calls come and go */
} BrazeSettler;

typedef enum BrazeSettled
{
	BRAZE_SETTLED,				/* deleted now, or gone already */
	BRAZE_SETTLE_LATER			/* another transaction holds a lock on it, or
								 * on what else it needs */
} BrazeSettled;

/* false when somebody holds a lock on the table */
extern bool braze_settler_begin(BrazeSettler *settler);
extern void braze_settler_end(BrazeSettler *settler);

/*
 * What is deleted counts once the transaction has committed; a subtransaction
 * that has ended says whether what it did is to count.
 */
extern void braze_settler_attempted(bool done);

/*
 * Where a call's row was when it was read, or moved to; queued_at tells it
 * from a later one of its id.
 */
typedef struct BrazeSettleRow
{
	int64		id;				/* in the queue */
	int64		letter;			/* 0: it is in the queue, else in this dead
								 * letter */
	bool		is_retry;		/* and it was one before, */
	BrazeLetterState before;	/* in this state */
	Oid			storage;
	ItemPointerData tid;
	TimestampTz queued_at;
} BrazeSettleRow;

/*
 * the table that has the row, and *id in it; NULL: it cannot be looked at now
 */
extern BrazeSettleTable *braze_settler_table_of(BrazeSettler *settler, const BrazeSettleRow *row,
												int64 *id);

/*
 * of one of the settler's tables; false:
 * somebody deleted it, a purge for instance
 */
extern bool braze_settler_fetch(BrazeSettleTable *table, int64 id, const BrazeSettleRow *row);
extern TM_Result braze_settler_delete_fetched(BrazeSettler *settler, BrazeSettleTable *table);

/* what is fetched has left the queue, or is back in it */
extern void braze_settler_note_queued(TupleTableSlot *slot, int64 id, bool back);

/*
 * for whatever may put a letter; false when somebody holds a lock on the table
 */
extern bool braze_settler_open_letters(BrazeSettler *settler);

/* locks the letter that the row fetched from the queue is a retry of */
extern BrazeRetriedState braze_settler_lock_retried(BrazeSettler *settler,
													const BrazeSettleRow *row,
													BrazeRetried *retried);

#endif							/* BRAZE_SETTLER_H */
