/*-------------------------------------------------------------------------
 *
 * size_counter.c
 *	  How many calls are queued for a destination, and how many bytes they
 *	  take up, counted in shared memory.
 *
 * Sessions add what they queue, and the worker takes off what it settles.  What
 * is counted can be wrong, after a crash or when rows are changed by hand.  The
 * worker counts anew then, see queue_count.h; where there is none, queue_size.c
 * looks at the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/size_counter.h"

/* without shared memory, or a place in it */
typedef struct LocalSize
{
	NameData	destination;	/* the key of the hash table */
	BrazeSizeCounter size;
} LocalSize;

static BrazeSizeCounter *
local_size(const char *destination)
{
	static HTAB *sizes = NULL;
	LocalSize  *local;
	NameData	name;
	bool		found;

	if (sizes == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = NAMEDATALEN;
		control.entrysize = sizeof(LocalSize);
		control.hcxt = TopMemoryContext;
		sizes = hash_create("segment_braze sizes without a place", 64, &control,
							HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	namestrcpy(&name, destination);
	local = hash_search(sizes, NameStr(name), HASH_ENTER, &found);
	if (!found)
	{
		memset(&local->size, 0, sizeof(local->size));
		braze_size_counter_init(&local->size, 0);
		local->size.local = true;
	}
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
braze_size_counter_calls(BrazeSizeCounter *size)
{
	return (int64) pg_atomic_read_u64(&size->calls);
}

int64
braze_size_counter_open(BrazeSizeCounter *size)
{
	return (int64) pg_atomic_read_u64(&size->open);
}

/* ----- what is added and taken off ----- */

static void
add_queued(BrazeQueued *queued, const BrazeQueued *more)
{
	queued->calls += more->calls;
	queued->bytes += more->bytes;
}

static bool
is_nothing(const BrazeSizeChange *change)
{
	return change->all.calls == 0 && change->all.bytes == 0 &&
		change->anew.calls == 0 && change->anew.bytes == 0;
}

/* what is above an older bound is below the one of the later change */
void
braze_size_counter_join(BrazeSizeChange *change, const BrazeSizeChange *later)
{
	if (is_nothing(later))
		return;
	add_queued(&change->all, &later->all);
	if (change->bound == later->bound)
		add_queued(&change->anew, &later->anew);
	else
		change->anew = later->anew;
	change->bound = later->bound;
}

void
braze_size_counter_commit(BrazeSizeCounter *size, const BrazeSizeChange *change)
{
	if (is_nothing(change))
		return;
	SpinLockAcquire(&size->mutex);
	pg_atomic_fetch_add_u64(&size->committed, (uint64) change->all.bytes);
	pg_atomic_fetch_add_u64(&size->calls, (uint64) change->all.calls);
	pg_atomic_fetch_add_u64(&size->moved, (uint64) llabs(change->all.calls));
	if (pg_atomic_read_u64(&size->bound) == change->bound)
		add_queued(&size->anew, &change->anew);
	SpinLockRelease(&size->mutex);
}

void
braze_size_counter_close(BrazeSizeCounter *size, int64 bytes)
{
	if (bytes != 0)
		pg_atomic_fetch_sub_u64(&size->open, bytes);
}

/* ----- counted anew ----- */

void
braze_size_counter_begin_anew(BrazeSizeCounter *size, uint64 bound)
{
	SpinLockAcquire(&size->mutex);
	pg_atomic_write_u64(&size->bound, bound);
	memset(&size->anew, 0, sizeof(size->anew));
	SpinLockRelease(&size->mutex);
}

void
braze_size_counter_add_anew(BrazeSizeCounter *size, const BrazeQueued *found)
{
	SpinLockAcquire(&size->mutex);
	add_queued(&size->anew, found);
	SpinLockRelease(&size->mutex);
}

void
braze_size_counter_end_anew(BrazeSizeCounter *size)
{
	SpinLockAcquire(&size->mutex);
	pg_atomic_write_u64(&size->calls, (uint64) size->anew.calls);
	pg_atomic_write_u64(&size->committed, (uint64) size->anew.bytes);
	size->corrections++;
	size->looked_at = size->read_at = braze_now_ms();
	size->known = true;
	SpinLockRelease(&size->mutex);
}

/* ----- compared with the table ----- */

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
