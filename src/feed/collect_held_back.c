/*-------------------------------------------------------------------------
 *
 * collect_held_back.c
 *	  Destinations whose calls stay at their origin for now, and why.
 *
 * The origin has judged the calls already.  What is asked here is what it
 * cannot know: whether there is such a destination, whether the role that
 * collects may use it, and whether its queue has room.  While one of them is
 * not so, all calls of that destination stay, in their order, and those of
 * others go on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "destination/destination.h"
#include "feed/collect_held_back.h"
#include "queue/queue_size.h"

/* each is looked at so often, to find that it can be collected now */
#define LOOK_MS		1000

/*
 * a row that stays for a reason of its own is
 * tried again so often, and takes so little of the time
 */
#define ROW_MS		60000
#define ROW_SHARE	20

/*
 * more names than these are not left out
 * of what is read: somebody makes them up
 */
#define MAX_HELD	1000

typedef struct HeldBack
{
	struct HeldBack *next;
	NameData	name;
	char	   *reason;
} HeldBack;

static MemoryContext held_context = NULL;
static HeldBack *held = NULL;
static int	nheld = 0;
static char *row_reason = NULL; /* the first */
static int64 row_since;
static int64 row_cost;			/* ms that such rows took */
static int64 looked_at;

void
braze_collect_held_back_reset(void)
{
	if (held_context == NULL)
		held_context = AllocSetContextCreate(TopMemoryContext, "segment_braze held back",
											 ALLOCSET_SMALL_SIZES);
	MemoryContextReset(held_context);
	held = NULL;
	nheld = 0;
	row_reason = NULL;
	row_cost = 0;
	looked_at = braze_now_ms();
}

static const HeldBack *
find_held(const char *name)
{
	for (const HeldBack *entry = held; entry != NULL; entry = entry->next)
	{
		if (strcmp(NameStr(entry->name), name) == 0)
			return entry;
	}
	return NULL;
}

/* NULL: nothing; share: for more than one call */
static char *
what_is_against(const char *name, Oid role, int64 bytes, int share)
{
	BrazeDestinationProblem problem;
	const BrazeDestination *destination = braze_destination_find(name, role, &problem);
	int64		limit;

	if (destination == NULL)
		return problem.message;
	limit = destination->settings.max_queue_size * INT64CONST(1024);
	if (limit > 0 && !braze_queue_size_has_room(name, limit, Max(bytes, share > 0 ? limit / share : 0)))
		return psprintf("the queue of destination \"%s\" is full", name);
	return NULL;
}

void
braze_collect_held_back_add_row(const BrazeOrigin *origin, int64 id, const char *reason)
{
	static int64 logged = PG_INT64_MIN;

	if (row_reason != NULL)
		return;
	row_reason = MemoryContextStrdup(held_context, psprintf("the call with id %lld: %s", (long long) id, reason));
	row_since = braze_now_ms();
	if (id != logged)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: the call with id %lld in table %s of server \"%s\" is not collected: %s",
						(long long) id, origin->table, NameStr(origin->server), reason)));
	logged = id;
}

void
braze_collect_held_back_add_cost(int64 ms)
{
	row_cost += ms;
}

static void
hold_destination(const char *name, const char *reason)
{
	HeldBack   *entry;

	if (nheld >= MAX_HELD)
		return;
	entry = MemoryContextAllocZero(held_context, sizeof(HeldBack));
	namestrcpy(&entry->name, name);
	entry->reason = MemoryContextStrdup(held_context, reason);
	entry->next = held;
	held = entry;
	nheld++;
}

bool
braze_collect_held_back_admits(const BrazeOrigin *origin, const BrazeCollectedRow *row)
{
	char	   *reason;

	if (row->destination == NULL || row->call == NULL || row->call_kind == NULL)
	{
		braze_collect_held_back_add_row(origin, row->id, "its destination, call or call_kind is null");
		return false;
	}
	if (row->destination[0] == '\0' || strlen(row->destination) >= NAMEDATALEN)
	{
		braze_collect_held_back_add_row(origin, row->id, "no destination can have this name");
		return false;
	}
	if (strcmp(row->call_kind, "segment") != 0 && strcmp(row->call_kind, "delete_user") != 0)
	{
		braze_collect_held_back_add_row(origin, row->id, "its call_kind is unknown");
		return false;
	}
	if (find_held(row->destination) != NULL)
		return false;
	reason = what_is_against(row->destination, origin->role, VARSIZE(row->call), 0);
	if (reason == NULL)
		return true;
	hold_destination(row->destination, reason);
	return false;
}

bool
braze_collect_held_back_is_over(Oid role)
{
	int64		now = braze_now_ms();

	if (now - looked_at < LOOK_MS || (held == NULL && row_reason == NULL))
		return false;
	looked_at = now;
	if (row_reason != NULL && now - row_since >= Max(ROW_MS, row_cost * ROW_SHARE))
		return true;

	/*
	 * a tenth of the queue is to be free: each time, all is read from the
	 * start
	 */
	for (HeldBack *entry = held; entry != NULL; entry = entry->next)
	{
		char	   *reason = what_is_against(NameStr(entry->name), role, 0, 10);

		if (reason == NULL)
			return true;
		if (strcmp(reason, entry->reason) != 0)
		{
			pfree(entry->reason);
			entry->reason = MemoryContextStrdup(held_context, reason);
		}
	}
	return false;
}

Datum
braze_collect_held_back_names(void)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(nheld, 1));
	int			n = 0;

	for (const HeldBack *entry = held; entry != NULL; entry = entry->next)
		names[n++] = CStringGetTextDatum(NameStr(entry->name));
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

const char *
braze_collect_held_back_reason(void)
{
	/* the oldest is the last of the list */
	const HeldBack *first = held;

	while (first != NULL && first->next != NULL)
		first = first->next;
	if (nheld > 1)
		return psprintf("%s; %d destinations in all", first->reason, nheld);
	return first != NULL ? first->reason : row_reason;
}
