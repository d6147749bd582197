/*-------------------------------------------------------------------------
 *
 * holes.c
 *	  The ids that a read passed over, and who can still fill them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/grow.h"
#include "store/holes.h"

/* so many generations are looked through for some that are the same by now */
#define MANY_GENERATIONS	64

BrazeHoles *
braze_holes_create(void)
{
	BrazeHoles *holes = palloc0(sizeof(BrazeHoles));

	holes->context = CurrentMemoryContext;
	holes->maxranges = 64;
	holes->ranges = palloc(sizeof(BrazeHole) * holes->maxranges);
	return holes;
}

static bool
is_owner(const BrazeHoles *holes, VirtualTransactionId transaction)
{
	for (int i = 0; i < holes->nowners; i++)
	{
		if (VirtualTransactionIdEquals(holes->owners[i], transaction))
			return true;
	}
	return false;
}

/* what became of its owners since the read before */
static void
update_generation(const BrazeHoles *holes, BrazeHoleGeneration *generation)
{
	int			kept = 0;

	/* seen without owners in an earlier read, so before this snapshot */
	generation->final = (generation->nowners == 0);
	if (generation->due_again)
		generation->due = true;
	generation->due_again = false;
	for (int i = 0; i < generation->nowners; i++)
	{
		if (is_owner(holes, generation->owners[i]))
			generation->owners[kept++] = generation->owners[i];
	}

	/* the owner may have ended before this snapshot was taken, or after */
	if (kept < generation->nowners)
		generation->due = generation->due_again = true;
	generation->nowners = kept;
}

/* gives the ranges of generations that are to go to those that take them */
static void
move_ranges(BrazeHoles *holes)
{
	BrazeHoleGeneration **link = &holes->generations;

	/* first the ranges: a generation may go once nothing points to it */
	for (int i = 0; i < holes->nranges; i++)
	{
		BrazeHole  *range = &holes->ranges[i];

		if (range->generation->into != NULL)
		{
			range->generation = range->generation->into;
			range->generation->nholes++;
		}
	}
	while (*link != NULL)
	{
		BrazeHoleGeneration *generation = *link;

		if (generation->into != NULL)
		{
			*link = generation->next;
			holes->ngenerations--;
			pfree(generation);
		}
		else
			link = &generation->next;
	}
}

/*
 * While a transaction stays open, each read that finds a hole leaves a
 * generation.  Who owns an older one and has not ended owns each later one,
 * too; so two with as many owners have the same ones.
 */
static void
join_generations(BrazeHoles *holes)
{
	BrazeHoleGeneration *later = holes->generations;
	bool		found = false;

	if (holes->ngenerations <= MANY_GENERATIONS)
		return;
	for (BrazeHoleGeneration *older = later->next; older != NULL; older = older->next)
	{
		if (older->nowners != later->nowners)
		{
			later = older;
			continue;
		}
		later->due = later->due || older->due;
		later->due_again = later->due_again || older->due_again;
		later->final = later->final && older->final;
		older->into = later;
		found = true;
	}
	if (found)
		move_ranges(holes);
}

void
braze_holes_begin(BrazeHoles *holes, Oid table)
{
	LOCKTAG		tag;
	VirtualTransactionId *owners;
	int			nowners;
	BrazeHoleGeneration *generation;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);

	/*
	 * ShareLock conflicts with RowExclusiveLock; prepared transactions count.
	 * It conflicts with the lock of a VACUUM as well, which may take hours.
	 * Who holds that lock otherwise may have inserted before.
	 */
	owners = GetLockConflicts(&tag, ShareLock, &nowners);
	if (holes->owners != NULL)
		pfree(holes->owners);
	holes->owners = MemoryContextAlloc(holes->context,
									   sizeof(*owners) * Max(nowners, 1));
	holes->nowners = 0;
	for (int i = 0; i < nowners; i++)
	{
		if (!braze_is_vacuum(owners[i]))
			holes->owners[holes->nowners++] = owners[i];
	}
	pfree(owners);

	/* what this read passes over has these owners: a generation of its own */
	holes->current = NULL;
	for (generation = holes->generations; generation != NULL;
		 generation = generation->next)
		update_generation(holes, generation);
	join_generations(holes);
}

void
braze_holes_reserve(BrazeHoles *holes)
{
	if (holes->nranges >= holes->maxranges)
		holes->ranges = braze_grow(holes->ranges, &holes->maxranges, sizeof(BrazeHole));
	if (holes->current == NULL)
	{
		BrazeHoleGeneration *generation;
		Size		owners = sizeof(VirtualTransactionId) * holes->nowners;

		generation = MemoryContextAllocZero(holes->context,
											offsetof(BrazeHoleGeneration, owners) + owners);
		generation->nowners = holes->nowners;
		memcpy(generation->owners, holes->owners, owners);

		/* one more may have ended since the snapshot, and is not among them */
		generation->due_again = true;
		generation->number = holes->next_number++;
		generation->next = holes->generations;
		holes->generations = generation;
		holes->ngenerations++;
		holes->current = generation;
	}
}

/*
 * Of the two generations the later one has all owners of the other that have
 * not ended, see join_generations.
 */
static void
join_neighbours(BrazeHoles *holes)
{
	int			kept = 0;

	for (int i = 0; i < holes->nranges; i += 2)
	{
		BrazeHole	range = holes->ranges[i];

		if (i + 1 < holes->nranges)
		{
			BrazeHole  *next = &holes->ranges[i + 1];

			range.high = next->high;
			range.mixed = true;

			/*
			 * The range goes to the later generation: whoever can still fill
			 * a hole of the older one is among its owners, too.
			 */
			if (next->generation->number > range.generation->number)
			{
				next->generation->due_again |= range.generation->due_again;
				range.generation->nholes--;
				range.generation = next->generation;
			}
			else
			{
				range.generation->due_again |= next->generation->due_again;
				next->generation->nholes--;
			}
		}
		holes->ranges[kept++] = range;
	}
	holes->nranges = kept;
}

void
braze_holes_add(BrazeHoles *holes, int64 low, int64 high)
{
	BrazeHole  *range;

	Assert(low <= high);

	/* this halves their number, so it is done seldom */
	if (holes->nranges >= BRAZE_MAX_HOLES)
		join_neighbours(holes);
	range = &holes->ranges[holes->nranges++];
	range->low = low;
	range->high = high;

	/* braze_holes_reserve has made it */
	Assert(holes->current != NULL);
	range->mixed = false;
	range->generation = holes->current;
	range->generation->nholes++;
}

static void
remove_range(BrazeHoles *holes, int place)
{
	holes->ranges[place].generation->nholes--;
	holes->nranges--;
	memmove(&holes->ranges[place], &holes->ranges[place + 1],
			sizeof(BrazeHole) * (holes->nranges - place));
}

bool
braze_holes_fill(BrazeHoles *holes, int place, int64 id)
{
	BrazeHole  *range = &holes->ranges[place];
	bool		below = (range->low < id);
	bool		above = (id < range->high);

	Assert(range->low <= id && id <= range->high);

	/*
	 * An id in the middle would take one more range, and there is no place:
	 * so it stays in this one, which is looked into as a whole the next time.
	 */
	if (below && above && holes->nranges >= BRAZE_MAX_HOLES)
		range->mixed = true;
	if (range->mixed)
		return false;
	if (below && above)
	{
		memmove(range + 1, range, sizeof(BrazeHole) * (holes->nranges - place));
		holes->nranges++;
		range->generation->nholes++;
		range[0].high = id - 1;
		range[1].low = id + 1;
	}
	else if (below)
		range->high = id - 1;
	else if (above)
		range->low = id + 1;
	else
		remove_range(holes, place);
	return below;
}

void
braze_holes_end_look(BrazeHoles *holes)
{
	BrazeHoleGeneration **link = &holes->generations;
	int			kept = 0;

	/*
	 * This look was under a snapshot from after the end of all owners: what
	 * it did not find never comes, since they rolled back.
	 */
	for (int i = 0; i < holes->nranges; i++)
	{
		if (holes->ranges[i].generation->final)
			holes->ranges[i].generation->nholes--;
		else
			holes->ranges[kept++] = holes->ranges[i];
	}
	holes->nranges = kept;

	while (*link != NULL)
	{
		BrazeHoleGeneration *generation = *link;

		/* due_again stays, and makes it due in the next read */
		generation->due = false;
		if (generation->nholes == 0)
		{
			*link = generation->next;
			holes->ngenerations--;
			if (holes->current == generation)
				holes->current = NULL;
			pfree(generation);
		}
		else
			link = &generation->next;
	}
}

/* the ranges are ascending and apart from each other */
bool
braze_holes_contain(const BrazeHoles *holes, int64 id)
{
	int			low = 0;
	int			high = holes->nranges;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (holes->ranges[middle].high < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < holes->nranges && holes->ranges[low].low <= id;
}

void
braze_holes_clear(BrazeHoles *holes)
{
	while (holes->generations != NULL)
	{
		BrazeHoleGeneration *next = holes->generations->next;

		pfree(holes->generations);
		holes->generations = next;
	}
	holes->ngenerations = 0;
	holes->current = NULL;
	holes->nranges = 0;
}
