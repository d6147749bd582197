/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  What the processes tell each other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/shmem.h"

BrazeShared *braze_shared = NULL;

static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;

/* a worker needs one of these anyway, so more databases cannot be served */
static int
database_slots(void)
{
	return max_worker_processes;
}

static Size
destinations_offset(void)
{
	return MAXALIGN(add_size(offsetof(BrazeShared, databases),
							 mul_size(sizeof(BrazeDatabaseSlot), database_slots())));
}

static Size
buckets_offset(void)
{
	return add_size(destinations_offset(),
					mul_size(sizeof(BrazeDestinationSlot), braze_max_destinations));
}

static Size
collectors_offset(void)
{
	return MAXALIGN(add_size(buckets_offset(), mul_size(sizeof(int), braze_max_destinations)));
}

/* each of them is a background worker as well */
static Size
shared_size(void)
{
	return add_size(collectors_offset(), mul_size(sizeof(BrazeCollectorSlot), database_slots()));
}

static void
request_memory(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("segment_braze", 1);
}

static void
init_destinations(void)
{
	char	   *start = (char *) braze_shared;

	braze_shared->destinations = (BrazeDestinationSlot *) (start + destinations_offset());
	braze_shared->buckets = (int *) (start + buckets_offset());
	braze_shared->free_destination = 0;
	for (int i = 0; i < braze_max_destinations; i++)
	{
		braze_shared->destinations[i].next = (i + 1 < braze_max_destinations) ? i + 1 : -1;
		braze_shared->buckets[i] = -1;
	}
}

static void
start_memory(void)
{
	/*
	 * The postmaster runs this at its start and again after a crash, and only
	 * its own memory remembers how often.
	 */
	static int	startups = 0;
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	braze_shared = ShmemInitStruct("segment_braze", shared_size(), &found);
	if (!found)
	{
		memset(braze_shared, 0, shared_size());
		braze_shared->lock = &GetNamedLWLockTranche("segment_braze")->lock;
		braze_shared->ndatabases = database_slots();
		braze_shared->startups = ++startups;
		pg_atomic_init_u64(&braze_shared->wall_offset, 0);
		braze_shared->collectors = (BrazeCollectorSlot *) ((char *) braze_shared + collectors_offset());
		init_destinations();
	}
	LWLockRelease(AddinShmemInitLock);
}

void
braze_shmem_init(void)
{
	braze_at_shmem_request(request_memory, &prev_shmem_request_hook);
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_memory;
}

BrazeDatabaseSlot *
braze_shmem_database(Oid database, bool create)
{
	BrazeDatabaseSlot *free_slot = NULL;

	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		BrazeDatabaseSlot *slot = &braze_shared->databases[i];

		if (slot->database == database)
			return slot;
		if (!OidIsValid(slot->database) && free_slot == NULL)
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	pg_atomic_init_u32(&free_slot->count.disturbed, 0);
	free_slot->database = database;
	free_slot->state = BRAZE_DATABASE_WANTED;
	return free_slot;
}

BrazeDatabaseSlot *
braze_shmem_lock_own_database(LWLockMode mode)
{
	LWLockAcquire(braze_shared->lock, mode);
	return braze_shmem_database(MyDatabaseId, false);
}

/* ----- destinations ----- */

static int *
bucket_of(Oid database, const char *name)
{
	uint32		hash = hash_combine(murmurhash32(database),
									hash_bytes((const unsigned char *) name, strlen(name)));

	return &braze_shared->buckets[hash % braze_max_destinations];
}

/* one database with many must not leave nothing for the others */
static bool
has_its_half(Oid database)
{
	int			n = 0;

	for (int i = 0; i < braze_max_destinations; i++)
		n += (braze_shared->destinations[i].database == database);
	return n >= braze_max_destinations / 2;
}

bool
braze_shmem_copy_own_destination(int i, BrazeDestinationSlot *copy)
{
	const BrazeDestinationSlot *slot = &braze_shared->destinations[i];
	bool		is_ours;

	LWLockAcquire(braze_shared->lock, LW_SHARED);
	is_ours = (slot->database == MyDatabaseId);
	if (is_ours)
		*copy = *slot;
	LWLockRelease(braze_shared->lock);
	return is_ours;
}

bool
braze_shmem_has_place(void)
{
	/* until one is freed, who got none once need not count again */
	static bool refused = false;
	static uint32 refused_at;

	if (refused && refused_at == braze_shared->freed_destinations)
		return false;
	refused = (braze_shared->free_destination < 0 || has_its_half(MyDatabaseId));
	refused_at = braze_shared->freed_destinations;
	return !refused;
}

BrazeDestinationSlot *
braze_shmem_destination(Oid database, const char *name, bool create)
{
	int		   *bucket = bucket_of(database, name);
	BrazeDestinationSlot *slot;
	const BrazeDatabaseSlot *of;
	int			place;

	for (place = *bucket; place >= 0; place = slot->next)
	{
		slot = &braze_shared->destinations[place];
		if (slot->database == database && strcmp(NameStr(slot->name), name) == 0)
			return slot;
	}
	if (!create || !braze_shmem_has_place())
		return NULL;
	place = braze_shared->free_destination;
	slot = &braze_shared->destinations[place];
	braze_shared->free_destination = slot->next;
	memset(slot, 0, sizeof(*slot));
	slot->database = database;
	namestrcpy(&slot->name, name);
	for (int i = 0; i < BRAZE_FIGURE_SERVICES; i++)
		slot->gauges.remaining[i] = -1;
	slot->dead_letters = -1;
	of = braze_shmem_database(database, false);
	braze_size_counter_init(&slot->size, of == NULL ? 0 : of->count.bound);
	slot->next = *bucket;
	*bucket = place;
	return slot;
}

void
braze_shmem_free_destination(BrazeDestinationSlot *slot)
{
	int			place = slot - braze_shared->destinations;
	int		   *link = bucket_of(slot->database, NameStr(slot->name));

	while (*link != place)
		link = &braze_shared->destinations[*link].next;
	*link = slot->next;
	slot->database = InvalidOid;
	slot->next = braze_shared->free_destination;
	braze_shared->free_destination = place;
	braze_shared->freed_destinations++;
}

void
braze_shmem_wake_launcher(void)
{
	Latch	   *latch = braze_shared->launcher_latch;

	if (latch != NULL)
		SetLatch(latch);
}
