/*-------------------------------------------------------------------------
 *
 * deliveries.c
 *	  All destinations of the database that the worker knows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/database_name.h"
#include "worker/deliveries.h"

List	   *braze_deliveries = NIL;
List	   *braze_deliveries_at_work = NIL;

MemoryContext braze_deliveries_context;

/* the same by name: every row that is read asks for its destination */
typedef struct NamedDelivery
{
	NameData	name;			/* the key */
	BrazeDelivery *delivery;	/* NULL: it was not added after all */
} NamedDelivery;

static HTAB *by_name;

/* the one that was found last: rows of a destination often come together */
static BrazeDelivery *last_found = NULL;

void
braze_deliveries_init(void)
{
	HASHCTL		control;

	braze_deliveries_context = AllocSetContextCreate(TopMemoryContext,
													 "segment_braze deliveries",
													 ALLOCSET_DEFAULT_SIZES);
	control.keysize = NAMEDATALEN;
	control.entrysize = sizeof(NamedDelivery);
	control.hcxt = braze_deliveries_context;
	by_name = hash_create("segment_braze deliveries", 64, &control,
						  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* memory may run out at either step: it is found only once it is in the list */
void
braze_deliveries_add(BrazeDelivery *delivery)
{
	NamedDelivery *named;

	named = hash_search(by_name, NameStr(delivery->name), HASH_ENTER, NULL);
	named->delivery = NULL;
	braze_deliveries = lappend(braze_deliveries, delivery);
	named->delivery = delivery;
}

void
braze_deliveries_not_found_again(const BrazeDelivery *delivery)
{
	(void) hash_search(by_name, NameStr(delivery->name), HASH_REMOVE, NULL);
	if (last_found == delivery)
		last_found = NULL;
	braze_deliveries_at_work = list_delete_ptr(braze_deliveries_at_work, unconstify(BrazeDelivery *, delivery));
}

/*
 * Is there anything that a step of the worker might do for it?  What a step
 * sets back to nothing counts too, or it would stay as it is.
 */
static bool
has_work(const BrazeDelivery *delivery)
{
	return delivery->behind || delivery->changed ||
		braze_pack_memory(delivery->pack) > 0 || !braze_pack_is_idle(delivery->pack) ||
		delivery->transfers > 0 || delivery->unanswered > 0 || delivery->unsettled > 0 ||
		delivery->counted_memory > 0 || delivery->read_ms > 0 || delivery->unreadable != NULL ||
		delivery->gauges.held_calls > 0 || delivery->stuck_problem[0] != '\0';
}

void
braze_deliveries_put_to_work(BrazeDelivery *delivery)
{
	MemoryContext old;

	if (delivery->at_work)
		return;
	old = MemoryContextSwitchTo(braze_deliveries_context);
	braze_deliveries_at_work = lappend(braze_deliveries_at_work, delivery);
	MemoryContextSwitchTo(old);
	delivery->at_work = true;
}

void
braze_deliveries_put_all_to_work(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		braze_deliveries_put_to_work(lfirst(cell));
}

void
braze_deliveries_let_rest(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (has_work(delivery))
			continue;
		delivery->at_work = false;
		braze_deliveries_at_work = foreach_delete_current(braze_deliveries_at_work, cell);
	}
}

BrazeDelivery *
braze_deliveries_find(const char *name)
{
	const NamedDelivery *named;

	if (last_found != NULL && strcmp(NameStr(last_found->name), name) == 0)
		return last_found;
	named = hash_search(by_name, name, HASH_FIND, NULL);

	/* a hash of strings compares no more of them than a key has */
	if (named == NULL || named->delivery == NULL ||
		strcmp(NameStr(named->delivery->name), name) != 0)
		return NULL;
	last_found = named->delivery;
	return last_found;
}

void
braze_deliveries_out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory in the segment_braze worker of database \"%s\"",
					braze_database_name()),
			 errdetail("The worker is started again, and reads the queue again.")));
}
