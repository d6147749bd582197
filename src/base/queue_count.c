/*-------------------------------------------------------------------------
 *
 * queue_count.c
 *	  Is it exact what is counted of a database's queue?
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/guc.h"
#include "base/queue_count.h"
#include "base/shmem.h"

/*
 * Without the lock, as commits come here: a slot that is another database's by
 * now is only disturbed once too often.
 */
static BrazeQueueCount *
own_count(void)
{
	static BrazeDatabaseSlot *slot = NULL;

	if (braze_shared == NULL)
		return NULL;
	if (slot == NULL || slot->database != MyDatabaseId)
		slot = braze_shmem_database(MyDatabaseId, false);
	return slot == NULL ? NULL : &slot->count;
}

void
braze_queue_count_disturb(void)
{
	BrazeQueueCount *count = own_count();

	if (count != NULL)
		pg_atomic_fetch_add_u32(&count->disturbed, 1);
}

bool
braze_queue_count_is_known(bool *exact)
{
	const BrazeQueueCount *count = own_count();

	*exact = (count != NULL && count->known && count->ended == braze_queue_count_disturbed());
	return count != NULL && count->known;
}

bool
braze_queue_count_is_waiting(void)
{
	const BrazeQueueCount *count = own_count();

	return count != NULL && count->waiting;
}

uint32
braze_queue_count_disturbed(void)
{
	BrazeQueueCount *count = own_count();

	return count == NULL ? 0 : pg_atomic_read_u32(&count->disturbed);
}

int64
braze_queue_count_calls(int64 *moved)
{
	int64		calls = 0;

	*moved = 0;
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	for (int i = 0; i < braze_max_destinations; i++)
	{
		BrazeDestinationSlot *place = &braze_shared->destinations[i];

		if (place->database != MyDatabaseId)
			continue;
		calls += braze_size_counter_calls(&place->size);
		*moved += (int64) pg_atomic_read_u64(&place->size.moved);
	}
	LWLockRelease(braze_shared->lock);
	return calls;
}

void
braze_queue_count_begin(uint64 bound)
{
	BrazeQueueCount *count;

	/* the lock: a place that is made meanwhile gets the new bound */
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	count = own_count();
	count->waiting = true;
	count->bound = bound;
	for (int i = 0; i < braze_max_destinations; i++)
	{
		if (braze_shared->destinations[i].database == MyDatabaseId)
			braze_size_counter_begin_anew(&braze_shared->destinations[i].size, bound);
	}
	LWLockRelease(braze_shared->lock);
}

void
braze_queue_count_all_inserted(void)
{
	own_count()->waiting = false;
}

void
braze_queue_count_end(uint32 disturbed)
{
	BrazeQueueCount *count;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	count = own_count();
	for (int i = 0; i < braze_max_destinations; i++)
	{
		if (braze_shared->destinations[i].database == MyDatabaseId)
			braze_size_counter_end_anew(&braze_shared->destinations[i].size);
	}
	count->ended = disturbed;
	count->known = true;
	LWLockRelease(braze_shared->lock);
}

void
braze_queue_count_doubt(void)
{
	own_count()->ended = braze_queue_count_disturbed() - 1;
}
