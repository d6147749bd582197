/*-------------------------------------------------------------------------
 *
 * claims_bound.c
 *	  Which dead letters the worker has under way right now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lwlock.h"

#include "base/compat.h"
#include "base/shmem.h"
#include "store/claims_bound.h"

/*
 * A letter keeps its state when the worker is killed, so the state alone does
 * not tell whether it is under way.  What is, has an id from a bound on
 * that the worker publishes before the letter can be seen.
 *
 * The bound follows two generations of letters: when nothing is left of the
 * older one, the younger takes its place.  The exact minimum would take an
 * ordered set of all of them; this rises as long as each letter ends some time.
 *
 * A retry goes into the letter that it had, so its id, and the bound, may be
 * low.  Then letters that a killed worker left count as under way, too, until
 * that retry is settled.  They wait the longer, and nothing is sent twice.
 *
 * braze_flush asks for the bound before and after it takes a snapshot, and
 * takes the lower one.  A letter that the snapshot shows was announced before
 * it was committed, and the bound passes it only after it was settled.
 * Only a call that goes back to the queue could pass from one table to the
 * other unseen: that is what is counted.
 */
typedef struct Generation
{
	int64		lowest;			/* PG_INT64_MAX: none */
	int64		letters;
} Generation;

static Generation older = {PG_INT64_MAX, 0};
static Generation younger = {PG_INT64_MAX, 0};
static int	generation = 0;		/* the number of the younger one */
static int64 published = PG_INT64_MAX;

static void
publish_lowest(int64 lowest)
{
	BrazeDatabaseSlot *slot;

	/* the lock is everybody's: it is not taken for what they know already */
	if (lowest == published)
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		slot->lowest_in_flight = lowest;
	LWLockRelease(braze_shared->lock);
	published = lowest;
}

void
braze_claims_bound_announce(int64 letter)
{
	/* only down: others may see the letter from the commit on */
	publish_lowest(Min(published, letter));
}

int
braze_claims_bound_enter(int64 letter)
{
	younger.lowest = Min(younger.lowest, letter);
	younger.letters++;
	return generation;
}

void
braze_claims_bound_leave(int of_generation)
{
	/*
	 * the younger one moves up when the older one is empty: there are two at
	 * most
	 */
	Assert(of_generation == generation || of_generation == generation - 1);
	Assert((of_generation == generation ? younger : older).letters > 0);
	if (of_generation == generation)
		younger.letters--;
	else
		older.letters--;
}

void
braze_claims_bound_publish(void)
{
	if (older.letters == 0)
	{
		/* its letters keep their number, which is now that of the older one */
		older = younger;
		younger.lowest = PG_INT64_MAX;
		younger.letters = 0;
		generation++;
		if (older.letters == 0)
			older.lowest = PG_INT64_MAX;
	}
	publish_lowest(Min(older.lowest, younger.lowest));
}

void
braze_claims_bound_count_release(void)
{
	BrazeDatabaseSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		slot->released_claims++;
	LWLockRelease(braze_shared->lock);
}

int64
braze_claims_bound_lowest(int64 *releases)
{
	BrazeDatabaseSlot *slot;
	int64		lowest = PG_INT64_MAX;

	*releases = 0;
	if (braze_shared == NULL)
		return lowest;
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = braze_shmem_database(MyDatabaseId, false);

	/* without a worker nothing is under way, whatever was published */
	if (slot != NULL && slot->pid != 0)
		lowest = slot->lowest_in_flight;
	if (slot != NULL)
		*releases = slot->released_claims;
	LWLockRelease(braze_shared->lock);
	return lowest;
}

bool
braze_claims_bound_holds(int64 letter)
{
	int64		releases;

	return letter >= braze_claims_bound_lowest(&releases);
}

BRAZE_SQL_FUNCTION(braze_in_flight);
Datum
braze_in_flight(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(braze_claims_bound_holds(PG_GETARG_INT64(0)));
}
