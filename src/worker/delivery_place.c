/*-------------------------------------------------------------------------
 *
 * delivery_place.c
 *	  Freeing the places of destinations that are gone.
 *
 * A server may be dropped while its calls are queued, and be there again
 * before they are.  A transaction that is rolled back may have used a place
 * of a server that the worker has never seen.  So it is shared memory that is
 * looked through, and not what the worker knows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "worker/deliveries.h"
#include "worker/delivery_place.h"

/* by place: it had no server when this began, and no row has been met since */
static bool *unused = NULL;

static void
mark_used(const char *destination)
{
	BrazeDestinationSlot *place = braze_shmem_destination(MyDatabaseId, destination, false);

	if (place != NULL)
		unused[place - braze_shared->destinations] = false;
}

void
braze_delivery_place_begin(void)
{
	ListCell   *cell;

	if (unused == NULL)
		unused = MemoryContextAlloc(TopMemoryContext, sizeof(bool) * braze_max_destinations);
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	for (int i = 0; i < braze_max_destinations; i++)
		unused[i] = (braze_shared->destinations[i].database == MyDatabaseId);
	foreach(cell, braze_deliveries)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		if (delivery->destination != NULL)
			mark_used(NameStr(delivery->name));
	}
	LWLockRelease(braze_shared->lock);
}

void
braze_delivery_place_row(const char *destination)
{
	if (unused == NULL)
		return;
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	mark_used(destination);
	LWLockRelease(braze_shared->lock);
}

void
braze_delivery_place_end(void)
{
	if (unused == NULL)
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_max_destinations; i++)
	{
		BrazeDestinationSlot *place = &braze_shared->destinations[i];
		BrazeDelivery *delivery;

		if (!unused[i] || pg_atomic_read_u32(&place->size.users) > 0)
			continue;
		delivery = braze_deliveries_find(NameStr(place->name));
		if (delivery != NULL)
		{
			if (delivery->destination != NULL || braze_pack_calls(delivery->pack) > 0)
				continue;
			delivery->size = NULL;
		}
		braze_shmem_free_destination(place);
	}
	LWLockRelease(braze_shared->lock);
}
