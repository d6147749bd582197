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

#include "store/holes.h"

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

void
braze_holes_begin(BrazeHoles *holes, Oid table)
{
	LOCKTAG		tag;
	VirtualTransactionId *owners;
	BrazeHoleGeneration *generation;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);

	/* ShareLock conflicts with RowExclusiveLock; prepared transactions count */
	owners = GetLockConflicts(&tag, ShareLock, &holes->nowners);
	if (holes->owners != NULL)
		pfree(holes->owners);
	holes->owners = MemoryContextAlloc(holes->context,
									   sizeof(*owners) * Max(holes->nowners, 1));
	memcpy(holes->owners, owners, sizeof(*owners) * holes->nowners);
	holes->current = NULL;
	for (generation = holes->generations; generation != NULL;
		 generation = generation->next)
		update_generation(holes, generation);
}

bool
braze_holes_full(const BrazeHoles *holes)
{
	return holes->nranges >= BRAZE_MAX_HOLES;
}

void
braze_holes_reserve(BrazeHoles *holes)
{
	if (holes->nranges >= holes->maxranges)
	{
		holes->ranges = repalloc(holes->ranges,
								 sizeof(BrazeHole) * holes->maxranges * 2);
		holes->maxranges *= 2;
	}
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
		generation->next = holes->generations;
		holes->generations = generation;
		holes->current = generation;
	}
}

void
braze_holes_add(BrazeHoles *holes, int64 low, int64 high)
{
	BrazeHole  *range = &holes->ranges[holes->nranges++];

	Assert(low <= high);
	range->low = low;
	range->high = high;
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

		generation->due = false;
		if (generation->nholes == 0)
		{
			*link = generation->next;
			if (holes->current == generation)
				holes->current = NULL;
			pfree(generation);
		}
		else
			link = &generation->next;
	}
}

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
	holes->current = NULL;
	holes->nranges = 0;
}
