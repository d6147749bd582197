/*-------------------------------------------------------------------------
 *
 * collect_cursor.c
 *	  How far an origin was read, and which ids below that may still come.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "feed/collect_cursor.h"

/* the nearest ranges of a watch become one beyond this, see join_nearest() */
#define MAX_RANGES	64

/* with more of them it is cheaper to read all from the lowest id again */
#define MAX_WATCHES	200

/* no sequence passes over so many ids because transactions fail */
#define FAR_IDS		INT64CONST(0x100000000)

typedef struct IdRange
{
	int64		first;
	int64		last;
} IdRange;

/*
 * Ids that were passed over, in ascending order, and who may still insert them.
 * due: to be looked at, since somebody has ended who may have inserted them.
 * is_late: the snapshot of this round is from after that, so it has all that
 * they inserted.  Otherwise this look is for the order alone, since other rows
 * of the same transaction may be read in this round, and another look follows.
 */
typedef struct Watch
{
	struct Watch *next;
	List	   *holders;		/* of char *, sorted */
	bool		due;
	bool		is_late;
	int			nranges;
	IdRange		ranges[MAX_RANGES + 1];
} Watch;

static MemoryContext cursor_context = NULL;
static int64 position = PG_INT64_MIN;
static bool is_far = false;
static Watch *watches = NULL;
static Watch *passed_over = NULL;	/* in this round; NULL: nothing */
static List *round_holders = NIL;	/* when it began, sorted */

void
braze_collect_cursor_reset(void)
{
	if (cursor_context == NULL)
		cursor_context = AllocSetContextCreate(TopMemoryContext, "segment_braze collect cursor",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cursor_context);
	position = PG_INT64_MIN;
	is_far = false;
	watches = NULL;
	passed_over = NULL;
	round_holders = NIL;
}

/* what is watched is passed over again */
void
braze_collect_cursor_rewind(void)
{
	while (watches != NULL)
	{
		Watch	   *watch = watches;

		watches = watch->next;
		list_free_deep(watch->holders);
		pfree(watch);
	}
	position = PG_INT64_MIN;
	is_far = false;
}

int64
braze_collect_cursor_position(void)
{
	return position;
}

bool
braze_collect_cursor_is_far(void)
{
	return is_far;
}

/* ----- ranges ----- */

/*
 * joins the two ranges with the fewest ids
 * between them: what was read is walked again
 */
static void
join_nearest(Watch *watch)
{
	int			nearest = 1;

	for (int i = 2; i < watch->nranges; i++)
	{
		if (watch->ranges[i].first - watch->ranges[i - 1].last <
			watch->ranges[nearest].first - watch->ranges[nearest - 1].last)
			nearest = i;
	}
	watch->ranges[nearest - 1].last = watch->ranges[nearest].last;
	watch->nranges--;
	memmove(&watch->ranges[nearest], &watch->ranges[nearest + 1],
			sizeof(IdRange) * (watch->nranges - nearest));
}

/* in ascending order */
static void
append_ids(Watch *watch, int64 first, int64 last)
{
	Assert(watch->nranges == 0 || watch->ranges[watch->nranges - 1].last < first);
	watch->ranges[watch->nranges].first = first;
	watch->ranges[watch->nranges].last = last;
	if (++watch->nranges > MAX_RANGES)
		join_nearest(watch);
}

/* the ranges of both; they may overlap where one is coarse */
static void
merge_ranges(Watch *into, const Watch *from)
{
	Watch		old = *into;
	int			a = 0;
	int			b = 0;

	into->nranges = 0;
	while (a < old.nranges || b < from->nranges)
	{
		IdRange		next;

		if (b == from->nranges ||
			(a < old.nranges && old.ranges[a].first <= from->ranges[b].first))
			next = old.ranges[a++];
		else
			next = from->ranges[b++];
		if (into->nranges > 0 && next.first <= into->ranges[into->nranges - 1].last)
			into->ranges[into->nranges - 1].last = Max(into->ranges[into->nranges - 1].last, next.last);
		else
			append_ids(into, next.first, next.last);
	}
}

/* those up to last were read */
static void
trim_ranges(Watch *watch, int64 last)
{
	int			n = 0;

	for (int i = 0; i < watch->nranges; i++)
	{
		/* a range that was read in part begins after what was read */
		if (watch->ranges[i].last <= last)
			continue;
		watch->ranges[n] = watch->ranges[i];
		watch->ranges[n].first = Max(watch->ranges[n].first, last + 1);
		n++;
	}
	watch->nranges = n;
}

/* ----- reading ----- */

char	   *
braze_collect_cursor_condition(void)
{
	StringInfoData text;

	initStringInfo(&text);
	for (Watch *watch = watches; watch != NULL; watch = watch->next)
	{
		for (int i = 0; watch->due && i < watch->nranges; i++)
			appendStringInfo(&text, "%sid BETWEEN " INT64_FORMAT " AND " INT64_FORMAT,
							 text.len > 0 ? " OR " : "",
							 watch->ranges[i].first, watch->ranges[i].last);
	}
	return text.len > 0 ? text.data : NULL;
}

void
braze_collect_cursor_looked(bool all, int64 last)
{
	Watch	  **link = &watches;

	while (*link != NULL)
	{
		Watch	   *watch = *link;

		if (!watch->due || !watch->is_late)
		{
			link = &watch->next;
			continue;
		}

		/* as long as somebody may insert more, what was read may not be all */
		if (!all && watch->holders == NIL)
			trim_ranges(watch, last);
		if ((all || watch->nranges == 0) && watch->holders == NIL)
		{
			*link = watch->next;
			pfree(watch);
			continue;
		}
		if (all)
			watch->due = false;
		link = &watch->next;
	}
}

void
braze_collect_cursor_read(int64 id)
{
	/* what a table has below 1 is not drawn from our sequence */
	int64		first = Max(position, 0) + 1;

	Assert(id >= position);

	/* the ids in between are drawn by now, and may come with a later commit */
	if (id > first)
	{
		if (passed_over == NULL)
			passed_over = MemoryContextAllocZero(cursor_context, sizeof(Watch));
		append_ids(passed_over, first, id - 1);

		/* that of the first row says nothing: a table may begin anywhere */
		is_far = is_far || (position > 0 && id - first > FAR_IDS);
	}
	position = id;
}

/* ----- who may still insert ----- */

static int
compare_holders(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static List *
copy_holders(const List *holders)
{
	MemoryContext old = MemoryContextSwitchTo(cursor_context);
	List	   *copy = NIL;
	ListCell   *cell;

	foreach(cell, holders)
		copy = lappend(copy, pstrdup(lfirst(cell)));
	MemoryContextSwitchTo(old);
	return copy;
}

/* true when one of them holds no more; both lists are sorted */
static bool
remove_ended(Watch *watch, const List *holders)
{
	int			kept = 0;
	int			k = 0;
	bool		removed;

	for (int i = 0; i < list_length(watch->holders); i++)
	{
		char	   *name = list_nth(watch->holders, i);

		while (k < list_length(holders) && strcmp(list_nth(holders, k), name) < 0)
			k++;
		if (k < list_length(holders) && strcmp(list_nth(holders, k), name) == 0)
			lfirst(list_nth_cell(watch->holders, kept++)) = name;
		else
			pfree(name);
	}
	removed = (kept < list_length(watch->holders));
	if (kept == 0)
		list_free(watch->holders);
	watch->holders = kept > 0 ? list_truncate(watch->holders, kept) : NIL;
	return removed;
}

static bool
have_same_holders(const Watch *a, const Watch *b)
{
	if (list_length(a->holders) != list_length(b->holders))
		return false;
	for (int i = 0; i < list_length(a->holders); i++)
	{
		if (strcmp(list_nth(a->holders, i), list_nth(b->holders, i)) != 0)
			return false;
	}
	return true;
}

/*
 * Those that wait for the same transactions become one.  So there are never
 * more of them than transactions that last, and what waits for a long one is
 * not looked at whenever a short one ends.
 */
static void
merge_watches(void)
{
	for (Watch *watch = watches; watch != NULL; watch = watch->next)
	{
		Watch	  **link = &watch->next;

		while (*link != NULL)
		{
			Watch	   *other = *link;

			if (watch->due != other->due || !have_same_holders(watch, other))
			{
				link = &other->next;
				continue;
			}
			merge_ranges(watch, other);
			*link = other->next;
			list_free_deep(other->holders);
			pfree(other);
		}
	}
}

static int
count_watches(void)
{
	int			count = 0;

	for (Watch *watch = watches; watch != NULL; watch = watch->next)
		count++;
	return count;
}

void
braze_collect_cursor_begin(List *holders)
{
	list_sort(holders, compare_holders);
	for (Watch *watch = watches; watch != NULL; watch = watch->next)
	{
		/*
		 * The snapshot was taken before the holders were asked for.  Who has
		 * ended in between may have committed after it, so only the next
		 * round sees for certain what they inserted.
		 */
		watch->is_late = !remove_ended(watch, holders);
		if (!watch->is_late)
			watch->due = true;
	}
	list_free_deep(round_holders);
	round_holders = copy_holders(holders);
}

void
braze_collect_cursor_end(void)
{
	/*
	 * Also when nobody holds it: who did when the snapshot was taken may have
	 * committed before they were asked for, so the next round has to look.
	 */
	if (passed_over != NULL)
	{
		passed_over->holders = copy_holders(round_holders);
		passed_over->due = true;
		passed_over->next = watches;
		watches = passed_over;
		passed_over = NULL;
	}
	merge_watches();

	/* what was read is walked again, which costs time and misses nothing */
	if (count_watches() > MAX_WATCHES)
		braze_collect_cursor_rewind();
}
