/*-------------------------------------------------------------------------
 *
 * queued_ids.c
 *	  Which calls this transaction has queued, and for whom.
 *
 * A row of the queue does not say for whom it was queued.  A transaction may
 * queue for several roles: a trigger queues for the owner of its table, and a
 * function may be SECURITY DEFINER.  Ranges of ids say so in little memory: one
 * is enough for any number of calls of the same role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/compat.h"
#include "base/grow.h"
#include "queue/queued_ids.h"

#define INITIAL_RANGES	8

typedef struct QueuedIds
{
	LocalTransactionId transaction;
	BrazeQueuedIds *ranges;		/* in its memory context */
	int			count;
	int			size;
	bool		interrupted;	/* the last range takes no more ids */
} QueuedIds;

static QueuedIds queued_ids;

/* what is left of an earlier transaction has lost its memory */
static bool
is_of_this_transaction(void)
{
	return queued_ids.count > 0 && queued_ids.transaction == braze_local_transaction_id();
}

static void
add_range(int64 id, Oid roleid)
{
	BrazeQueuedIds *range;

	if (queued_ids.count == 0)
	{
		queued_ids.size = INITIAL_RANGES;
		queued_ids.ranges = MemoryContextAlloc(TopTransactionContext,
											   sizeof(BrazeQueuedIds) * queued_ids.size);
	}
	else if (queued_ids.count == queued_ids.size)
		queued_ids.ranges = braze_grow(queued_ids.ranges, &queued_ids.size, sizeof(BrazeQueuedIds));
	range = &queued_ids.ranges[queued_ids.count++];
	range->roleid = roleid;
	range->first = id;
	range->last = id;
}

void
braze_queued_ids_add(int64 id, Oid roleid)
{
	BrazeQueuedIds *last;

	if (!is_of_this_transaction())
	{
		queued_ids.count = 0;
		queued_ids.transaction = braze_local_transaction_id();
	}
	last = queued_ids.count > 0 ? &queued_ids.ranges[queued_ids.count - 1] : NULL;

	/*
	 * Somebody has set the sequence back.  An id may now be that of another
	 * role's range, so those before are no longer known.
	 */
	if (last != NULL && id <= last->last)
	{
		pfree(queued_ids.ranges);
		queued_ids.count = 0;
		last = NULL;
	}

	/*
	 * Ids between two of ours may be other sessions' rows, which are told
	 * apart by their transaction.  So a range may span them, and a loop that
	 * queues a million calls needs one.
	 */
	if (last != NULL && last->roleid == roleid && !queued_ids.interrupted)
		last->last = id;
	else
		add_range(id, roleid);
	queued_ids.interrupted = false;
}

void
braze_queued_ids_interrupt(void)
{
	queued_ids.interrupted = true;
}

const BrazeQueuedIds *
braze_queued_ids(int *count)
{
	*count = is_of_this_transaction() ? queued_ids.count : 0;
	return queued_ids.ranges;
}
