/*-------------------------------------------------------------------------
 *
 * queued_in_transaction.c
 *	  What a transaction did to a destination, which counts when it commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/shmem.h"
#include "queue/queued_in_transaction.h"

/*
 * In TopTransactionContext.  Those of a subtransaction, which has a higher id
 * than the ones around it, come first: a new tally is put at the head, and the
 * innermost subtransaction is the first to end.
 */
static BrazeTally *tallies = NULL;
static bool has_dropped = false;

static BrazeTally *
find_tally(SubTransactionId subtransaction, const char *destination)
{
	for (BrazeTally *tally = tallies; tally != NULL && tally->subtransaction >= subtransaction;
		 tally = tally->next)
	{
		if (tally->subtransaction == subtransaction &&
			strcmp(NameStr(tally->destination), destination) == 0)
			return tally;
	}
	return NULL;
}

static void
publish_counts(const BrazeTally *tally)
{
	BrazeDestinationSlot *slot;

	if (braze_shared == NULL || (tally->duplicates == 0 && tally->dropped == 0))
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_destination(MyDatabaseId, NameStr(tally->destination), true);
	if (slot != NULL)
	{
		slot->counts[BRAZE_COUNT_DUPLICATES] += tally->duplicates;
		slot->counts[BRAZE_COUNT_DROPPED] += tally->dropped;
	}
	LWLockRelease(braze_shared->lock);
}

/* what a transaction that is prepared left out is not counted */
static void
counts_at_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	for (BrazeTally *tally = tallies; tally != NULL; tally = tally->next)
	{
		/*
		 * The rows of a prepared transaction count as committed: whoever
		 * commits it later, in another session, knows nothing of them.  If it
		 * is rolled back the count is too high, and is corrected when it says
		 * that the queue is full.
		 */
		braze_size_counter_end(tally->size, tally->bytes, event != XACT_EVENT_ABORT);
		if (event == XACT_EVENT_COMMIT)
		{
			pg_atomic_fetch_add_u64(&tally->size->queued, tally->queued);
			publish_counts(tally);
		}
		/* last, since the place may be given to another destination then */
		braze_size_counter_release(tally->size);
	}
	tallies = NULL;
	has_dropped = false;
}

/*
 * A subtransaction that commits leaves its counts to its parent, one that is
 * rolled back leaves nothing.
 */
static void
counts_at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
							 void *arg)
{
	BrazeTally **link = &tallies;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL && (*link)->subtransaction == mine)
	{
		BrazeTally *tally = *link;
		BrazeTally *of_parent;

		/*
		 * What was dropped or a duplicate in it goes as well: the application
		 * may do it again.
		 */
		if (event == SUBXACT_EVENT_ABORT_SUB)
			braze_size_counter_end(tally->size, tally->bytes, false);
		else
		{
			of_parent = find_tally(parent, NameStr(tally->destination));

			/*
			 * The parent has queued nothing for this destination: it takes
			 * the tally.
			 */
			if (of_parent == NULL)
			{
				tally->subtransaction = parent;
				link = &tally->next;
				continue;
			}
			of_parent->queued += tally->queued;
			of_parent->duplicates += tally->duplicates;
			of_parent->dropped += tally->dropped;
			of_parent->bytes += tally->bytes;
		}
		*link = tally->next;
		braze_size_counter_release(tally->size);
		pfree(tally);
	}
}

BrazeTally *
braze_queued_in_transaction(const char *destination)
{
	static bool callbacks_registered = false;
	SubTransactionId subtransaction = GetCurrentSubTransactionId();
	BrazeTally *tally = find_tally(subtransaction, destination);

	if (tally != NULL)
		return tally;
	if (!callbacks_registered)
	{
		RegisterXactCallback(counts_at_transaction_end, NULL);
		RegisterSubXactCallback(counts_at_subtransaction_end, NULL);
		callbacks_registered = true;
	}
	tally = MemoryContextAllocZero(TopTransactionContext, sizeof(BrazeTally));
	tally->subtransaction = subtransaction;
	namestrcpy(&tally->destination, destination);

	/*
	 * In use until the transaction ends, so that the place stays this
	 * destination's.  Before it is linked: an error here must leave nothing
	 * to give back.
	 */
	tally->size = braze_size_counter_use(destination);
	tally->next = tallies;
	tallies = tally;
	return tally;
}

void
braze_queued_in_transaction_queued(const char *destination)
{
	braze_queued_in_transaction(destination)->queued++;
}

bool
braze_queued_in_transaction_dropped(const char *destination)
{
	bool		first = !has_dropped;

	braze_queued_in_transaction(destination)->dropped++;
	has_dropped = true;
	return first;
}
