/*-------------------------------------------------------------------------
 *
 * memory_budget.c
 *	  How max_memory is shared by the destinations, and how far each reads
 *	  ahead.
 *
 * Each destination may hold SHARE_OF_FREE times of what is then still free.
 * So those that hold something share max_memory, one alone has most of it,
 * and there is always something left for one that has held nothing: that may
 * take a call in any case.
 *
 * A destination reads ahead no further than it can use.  Calls that wait are
 * in no processor's cache when their turn comes, and neither are the rows that
 * they came from.  And of a user with several calls among them these go in one
 * request, so that calls leave the queue in an order that has nothing to do
 * with its pages.  What it can use shows in the requests that are not answered
 * yet when it looks: where answers come at once, a few requests are enough to
 * keep the worker busy, and where they take long, it is as many as may be open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/guc.h"
#include "store/profiles_table.h"
#include "worker/deliveries.h"
#include "worker/memory_budget.h"

#define SHARE_OF_FREE	4

/* a read of fewer calls than this is not worth its transaction */
#define FEW_CALLS		10000

/* requests that are started between two looks at the answers, at least */
#define FEW_REQUESTS	16

/* one that had more unanswered some looks ago may soon have them again */
#define LOOKS_REMEMBERED	16

/* what all packs hold, each as it was last looked at */
static Size counted_memory = 0;

void
braze_memory_budget_count(void)
{
	ListCell   *cell;

	counted_memory = 0;
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		delivery->counted_memory = braze_pack_memory(delivery->pack);
		counted_memory += delivery->counted_memory;
	}
}

void
braze_memory_budget_answers_taken(BrazeDelivery *delivery)
{
	int			before = delivery->unanswered;

	before -= (before + LOOKS_REMEMBERED - 1) / LOOKS_REMEMBERED;
	delivery->unanswered = Max(delivery->transfers, before);
}

/* objects of the requests that it may soon have under way */
static int64
useful_objects(const BrazeDelivery *delivery)
{
	const BrazeSettings *settings = &delivery->destination->settings;
	int			requests = Min(2 * delivery->unanswered + FEW_REQUESTS, settings->max_requests_in_flight);

	return (int64) requests * settings->max_objects_per_request;
}

/*
 * Could it send nothing more for now, even if there were more?  It has enough
 * when it holds what its requests can take, and as much again, or so many
 * quarters of that.  As long as it may start requests, and what it holds is
 * not enough for them because it is about users who have to wait, or for an
 * endpoint that is closed, it reads on: no user waits for another.
 */
static bool
has_enough(const BrazeDelivery *delivery, int quarters)
{
	const BrazeSettings *settings;
	int64		capacity;

	if (delivery->destination == NULL)
		return false;
	settings = &delivery->destination->settings;
	capacity = useful_objects(delivery);
	if ((int64) braze_pack_calls(delivery->pack) * quarters < 4 * Max(2 * capacity, FEW_CALLS))
		return false;
	if (delivery->transfers >= settings->max_requests_in_flight)
		return true;

	/* identity requests are few: what counts is whether events can go */
	return delivery->closed[BRAZE_USERS_TRACK] == NULL &&
		delivery->pace[BRAZE_TRACK_SERVICE].not_before <= braze_now_ms() &&
		braze_pack_ready_objects(delivery->pack, BRAZE_USERS_TRACK) >= capacity;
}

/*
 * Would there be memory if it held so many quarters of what it holds?  Of the
 * packs only the one that is asked about changes while rows are taken in, so
 * the others are as they were counted.
 */
static bool
has_room_for(BrazeDelivery *delivery, int quarters)
{
	Size		memory = braze_pack_memory(delivery->pack);
	int64		wanted = (int64) memory / 4 * quarters;
	int64		others;
	int64		available;

	counted_memory += memory - delivery->counted_memory;
	delivery->counted_memory = memory;
	others = (int64) (counted_memory - memory) + (int64) braze_profiles_table_memory();
	available = (int64) braze_max_memory * 1024 * 1024 - others - wanted;
	return memory == 0 ||
		(wanted < SHARE_OF_FREE * available && !has_enough(delivery, quarters));
}

bool
braze_memory_budget_has_room(BrazeDelivery *delivery)
{
	return has_room_for(delivery, 4);
}

bool
braze_memory_budget_has_much_room(BrazeDelivery *delivery)
{
	return has_room_for(delivery, 5);
}

bool
braze_memory_budget_has_reserve(BrazeDelivery *delivery)
{
	return has_room_for(delivery, 3);
}
