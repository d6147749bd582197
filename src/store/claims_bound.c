/*-------------------------------------------------------------------------
 *
 * claims_bound.c
 *	  Which dead letters the worker has under way right now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
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
	int64		lowest;			/* letter, PG_INT64_MAX: none */
	int64		highest;		/* id in the queue, 0: none */
	int64		letters;
} Generation;

#define NO_LETTERS	{PG_INT64_MAX, 0, 0}

static Generation older = NO_LETTERS;
static Generation younger = NO_LETTERS;
static int	generation = 0;		/* the number of the younger one */
static Generation published = NO_LETTERS;

static void
publish_bounds(int64 lowest, int64 highest)
{
	BrazeDatabaseSlot *slot;

	/* the lock is everybody's: it is not taken for what they know already */
	if (lowest == published.lowest && highest == published.highest)
		return;
	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL)
	{
		slot->lowest_in_flight = lowest;
		slot->highest_in_flight = highest;
	}
	LWLockRelease(braze_shared->lock);
	published.lowest = lowest;
	published.highest = highest;
}

void
braze_claims_bound_announce(int64 letter, int64 id)
{
	/* only wider: others may see the letter from the commit on */
	publish_bounds(Min(published.lowest, letter), Max(published.highest, id));
}

int
braze_claims_bound_enter(int64 letter, int64 id)
{
	younger.lowest = Min(younger.lowest, letter);
	younger.highest = Max(younger.highest, id);
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
		younger = (Generation) NO_LETTERS;
		generation++;
		if (older.letters == 0)
			older = younger;
	}
	publish_bounds(Min(older.lowest, younger.lowest), Max(older.highest, younger.highest));
}

void
braze_claims_bound_count_release(void)
{
	BrazeDatabaseSlot *slot;

	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL)
		slot->released_claims++;
	LWLockRelease(braze_shared->lock);
}

BrazeClaimsBound
braze_claims_bound_now(void)
{
	BrazeDatabaseSlot *slot;
	BrazeClaimsBound bound = {PG_INT64_MAX, 0, 0};

	if (braze_shared == NULL)
		return bound;
	slot = braze_shmem_lock_own_database(LW_SHARED);

	/* without a worker nothing is under way, whatever was published */
	if (slot != NULL && slot->pid != 0)
	{
		bound.lowest_letter = slot->lowest_in_flight;
		bound.highest_id = slot->highest_in_flight;
	}
	if (slot != NULL)
		bound.releases = slot->released_claims;
	LWLockRelease(braze_shared->lock);
	return bound;
}

bool
braze_claims_bound_holds(int64 letter)
{
	return letter >= braze_claims_bound_now().lowest_letter;
}

BRAZE_SQL_FUNCTION(braze_in_flight);
Datum
braze_in_flight(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(braze_claims_bound_holds(PG_GETARG_INT64(0)));
}
