/*-------------------------------------------------------------------------
 *
 * queued_in_transaction.c
 *	  What a transaction did to a destination, which counts when it commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/queue_count.h"
#include "base/shmem.h"
#include "queue/queued_in_transaction.h"

/* plain SQL may name any number of destinations, each in a row of its own */
#define BUCKETS		4096

/*
 * In TopTransactionContext.  Those of a subtransaction, which has a higher id
 * than the ones around it, come first: a new tally is put at the head, and the
 * innermost subtransaction is the first to end.  A bucket has them in the same
 * order.
 */
static BrazeTally *tallies = NULL;
static BrazeTally *buckets[BUCKETS];
static bool has_dropped = false;

static BrazeTally **
tally_bucket(const char *destination)
{
	return &buckets[hash_bytes((const unsigned char *) destination, strlen(destination)) % BUCKETS];
}

static BrazeTally *
find_tally(SubTransactionId subtransaction, const char *destination)
{
	for (BrazeTally *tally = *tally_bucket(destination);
		 tally != NULL && tally->subtransaction >= subtransaction;
		 tally = tally->next_in_bucket)
	{
		if (tally->subtransaction == subtransaction &&
			strcmp(NameStr(tally->destination), destination) == 0)
			return tally;
	}
	return NULL;
}

/*
 * A row that was inserted before the bound changed is found in the table by the
 * count that began then, unless its id is one that nobody drew.
 */
static void
add_change(BrazeTally *tally, const BrazeSizeChange *change, int64 highest)
{
	if (tally->change.bound != change->bound && tally->highest > (int64) change->bound)
		tally->uncounted = true;
	braze_size_counter_join(&tally->change, change);
	tally->highest = Max(tally->highest, highest);
}

/*
 * the same at the end, and when the count
 * has come by the place of a row already
 */
static bool
is_uncounted(const BrazeTally *tally)
{
	uint64		bound = pg_atomic_read_u64(&tally->size->bound);

	return tally->uncounted ||
		(tally->change.bound != bound && tally->highest > (int64) bound) ||
		(tally->below && !braze_queue_count_is_waiting());
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

/*
 * letters count at once, whoever has read them meanwhile has found them as well
 */
static void
take_letters_back(BrazeTally *tally)
{
	pg_atomic_fetch_sub_u64(&tally->size->letters, tally->letters);
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
		 * is rolled back the count is too high, until the one that begins now
		 * has waited for it.
		 */
		if (event != XACT_EVENT_ABORT)
			braze_size_counter_commit(tally->size, &tally->change);
		braze_size_counter_close(tally->size, tally->change.all.bytes);
		if (event == XACT_EVENT_PREPARE ||
			(event == XACT_EVENT_COMMIT && is_uncounted(tally)))
			braze_queue_count_disturb();
		if (event == XACT_EVENT_ABORT)
			take_letters_back(tally);
		if (event == XACT_EVENT_COMMIT)
		{
			pg_atomic_fetch_add_u64(&tally->size->queued, tally->queued);
			publish_counts(tally);
		}
		/* last, since the place may be given to another destination then */
		braze_size_counter_release(tally->size);
		*tally_bucket(NameStr(tally->destination)) = NULL;
	}
	tallies = NULL;
	has_dropped = false;
}

static void
leave_bucket(const BrazeTally *tally)
{
	BrazeTally **link = tally_bucket(NameStr(tally->destination));

	while (*link != tally)
		link = &(*link)->next_in_bucket;
	*link = tally->next_in_bucket;
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
		{
			braze_size_counter_close(tally->size, tally->change.all.bytes);
			take_letters_back(tally);
		}
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
			of_parent->letters += tally->letters;
			add_change(of_parent, &tally->change, tally->highest);
			of_parent->below = of_parent->below || tally->below;
			of_parent->uncounted = of_parent->uncounted || tally->uncounted;
		}
		*link = tally->next;
		leave_bucket(tally);
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
	BrazeTally **bucket;

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
	bucket = tally_bucket(NameStr(tally->destination));
	tally->next_in_bucket = *bucket;
	*bucket = tally;
	return tally;
}

/*
 * The bound is read after the id was drawn.  A count that begins later has a
 * bound that is not below the id, so that it finds the row in the table.
 */
void
braze_queued_in_transaction_add(const char *destination, int64 id, int64 bytes)
{
	BrazeTally *tally = braze_queued_in_transaction(destination);
	BrazeSizeChange change = {{1, bytes}};

	change.bound = pg_atomic_read_u64(&tally->size->bound);
	if (id > (int64) change.bound)
		change.anew = change.all;
	else
		tally->below = true;
	add_change(tally, &change, id);
	pg_atomic_fetch_add_u64(&tally->size->open, (uint64) bytes);
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
