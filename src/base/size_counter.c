/*-------------------------------------------------------------------------
 *
 * size_counter.c
 *	  How many bytes are queued for a destination, counted in shared memory.
 *
 * Sessions add what they queue, and the worker takes off what it settles.  What
 * is counted can be wrong, after a crash or when rows are changed by hand;
 * queue_size.c looks at the table then, and corrects it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "base/size_counter.h"

/* without shared memory, or a place in it */
typedef struct LocalSize
{
	struct LocalSize *next;
	NameData	destination;
	BrazeSizeCounter size;
} LocalSize;

static BrazeSizeCounter *
local_size(const char *destination)
{
	static LocalSize *sizes = NULL;
	LocalSize  *local;

	for (local = sizes; local != NULL; local = local->next)
	{
		if (strcmp(NameStr(local->destination), destination) == 0)
			return &local->size;
	}
	local = MemoryContextAllocZero(TopMemoryContext, sizeof(LocalSize));
	namestrcpy(&local->destination, destination);
	braze_size_counter_init(&local->size);
	local->size.local = true;
	local->next = sizes;
	sizes = local;
	return &local->size;
}

/* used: counted before the lock is given back, since it may be freed then */
static BrazeSizeCounter *
find_size(const char *destination, bool used)
{
	BrazeDestinationSlot *slot = NULL;
	BrazeSizeCounter *size;
	bool		has_place;

	if (braze_shared == NULL)
		return local_size(destination);

	/*
	 * Almost always it is there, and a shared lock is enough.  Between the
	 * two locks another session may make it, so the second look asks again.
	 */
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = braze_shmem_destination(MyDatabaseId, destination, false);
	has_place = (slot != NULL || braze_shmem_has_place());
	if (slot == NULL && has_place)
	{
		LWLockRelease(braze_shared->lock);
		LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
		slot = braze_shmem_destination(MyDatabaseId, destination, true);
	}
	size = (slot != NULL ? &slot->size : NULL);
	if (size != NULL && used)
		pg_atomic_fetch_add_u32(&size->users, 1);
	LWLockRelease(braze_shared->lock);
	return size != NULL ? size : local_size(destination);
}

BrazeSizeCounter *
braze_size_counter_of(const char *destination)
{
	return find_size(destination, false);
}

BrazeSizeCounter *
braze_size_counter_use(const char *destination)
{
	return find_size(destination, true);
}

void
braze_size_counter_release(BrazeSizeCounter *size)
{
	if (!size->local)
		pg_atomic_fetch_sub_u32(&size->users, 1);
}

int64
braze_size_counter_committed(BrazeSizeCounter *size)
{
	return (int64) pg_atomic_read_u64(&size->committed);
}

int64
braze_size_counter_open(BrazeSizeCounter *size)
{
	return (int64) pg_atomic_read_u64(&size->open);
}

void
braze_size_counter_end(BrazeSizeCounter *size, int64 bytes, bool committed)
{
	if (bytes == 0)
		return;

	/* added first: too much for a moment is better than too little */
	if (committed)
		pg_atomic_fetch_add_u64(&size->committed, (uint64) bytes);
	pg_atomic_fetch_sub_u64(&size->open, bytes);
}

void
braze_size_counter_settled(BrazeSizeCounter *size, int64 bytes)
{
	if (bytes != 0)
		pg_atomic_fetch_sub_u64(&size->committed, bytes);
}

void
braze_size_counter_unknown(BrazeSizeCounter *size)
{
	size->known = false;
}

void
braze_size_counter_all_unknown(void)
{
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	for (int i = 0; i < braze_max_destinations; i++)
	{
		if (braze_shared->destinations[i].database == MyDatabaseId)
			braze_size_counter_unknown(&braze_shared->destinations[i].size);
	}
	LWLockRelease(braze_shared->lock);
}

BrazeSizeLook
braze_size_counter_look(BrazeSizeCounter *size)
{
	BrazeSizeLook look;

	SpinLockAcquire(&size->mutex);
	look.corrections = size->corrections;
	look.counted = braze_size_counter_committed(size);
	SpinLockRelease(&size->mutex);
	return look;
}

bool
braze_size_counter_correct(BrazeSizeCounter *size, const BrazeSizeLook *look, int64 bytes)
{
	bool		latest;

	SpinLockAcquire(&size->mutex);

	/*
	 * the difference and not the value: others have gone on counting
	 * meanwhile
	 */
	latest = (look->corrections == size->corrections);
	if (latest && bytes != look->counted)
	{
		size->corrections++;
		pg_atomic_fetch_add_u64(&size->committed, (uint64) (bytes - look->counted));
	}
	SpinLockRelease(&size->mutex);
	return latest;
}
