/*-------------------------------------------------------------------------
 *
 * queue_count.h
 *	  Is it exact what is counted of a database's queue?
 *
 * What waits for a destination is counted in its size_counter: whoever inserts
 * a row adds it once the transaction has committed, and the worker takes off
 * what it settles.  That is exact from the first count of the table on, until
 * rows are changed otherwise: a DELETE, a TRUNCATE, a prepared transaction.
 * The count is disturbed then, and the worker counts anew, see queue_recount.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_COUNT_H
#define BRAZE_QUEUE_COUNT_H

#include "port/atomics.h"

/*
 * of a database; disturbed is changed without a lock, the others by its worker
 */
typedef struct BrazeQueueCount
{
	pg_atomic_uint32 disturbed; /* how often rows were changed otherwise */
	uint64		bound;			/* of the count under way, or of the last one */
	bool		waiting;		/* rows up to bound may still be inserted */
	bool		known;			/* a count has ended since the server started, */
	uint32		ended;			/* and is exact while disturbed is this */
} BrazeQueueCount;

/*
 * Rows of this database's queue were changed in a way that nobody counts, in a
 * transaction that has committed.
 */
extern void braze_queue_count_disturb(void);

/* was there a count at all; and is what is counted now exact? */
extern bool braze_queue_count_is_known(bool *exact);

/*
 * for who has inserted a row that the count under way is to find in the table
 */
extern bool braze_queue_count_is_waiting(void);

/* of all destinations; moved: how many calls came and went so far */
extern int64 braze_queue_count_calls(int64 *moved);

/*
 * For the worker.  Begin: from now on each row with an id above bound is
 * counted by who inserts it.  Found: so are all those that are inserted with
 * ids up to bound.  End: what is counted is exact, if it was not disturbed
 * since; in doubt: it is not, until the next count ends.
 */
extern uint32 braze_queue_count_disturbed(void);
extern void braze_queue_count_begin(uint64 bound);
extern void braze_queue_count_all_inserted(void);
extern void braze_queue_count_end(uint32 disturbed);
extern void braze_queue_count_doubt(void);

#endif							/* BRAZE_QUEUE_COUNT_H */
