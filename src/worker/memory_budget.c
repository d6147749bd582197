/*-------------------------------------------------------------------------
 *
 * memory_budget.c
 *	  How max_memory is shared by the destinations.
 *
 * Each destination may hold SHARE_OF_FREE times of what is then still free.
 * So those that hold something share max_memory, one alone has most of it,
 * and there is always something left for one that has held nothing: that may
 * take a call in any case.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/guc.h"
#include "store/profiles_table.h"
#include "worker/deliveries.h"
#include "worker/memory_budget.h"

#define SHARE_OF_FREE	4

/* what all packs hold, each as it was last looked at */
static Size counted_memory = 0;

void
braze_memory_budget_count(void)
{
	ListCell   *cell;

	counted_memory = 0;
	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		delivery->counted_memory = braze_pack_memory(delivery->pack);
		counted_memory += delivery->counted_memory;
	}
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
	return memory == 0 || wanted < SHARE_OF_FREE * available;
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
