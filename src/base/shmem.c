/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  What the processes tell each other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#include "base/compat.h"
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
shared_size(void)
{
	return add_size(offsetof(BrazeShared, databases),
					mul_size(sizeof(BrazeDatabaseSlot), database_slots()));
}

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("segment_braze", 1);
}

static void
startup(void)
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
	}
	LWLockRelease(AddinShmemInitLock);
}

void
braze_shmem_init(void)
{
	braze_at_shmem_request(request, &prev_shmem_request_hook);
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup;
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
	free_slot->database = database;
	free_slot->state = BRAZE_DATABASE_WANTED;
	return free_slot;
}

BrazeDestinationSlot *
braze_shmem_destination(Oid database, const char *name, bool create)
{
	BrazeDestinationSlot *free_slot = NULL;

	for (int i = 0; i < BRAZE_MAX_DESTINATIONS; i++)
	{
		BrazeDestinationSlot *slot = &braze_shared->destinations[i];

		if (slot->database == database &&
			strcmp(NameStr(slot->name), name) == 0)
			return slot;
		if (!OidIsValid(slot->database) && free_slot == NULL)
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->database = database;
	namestrcpy(&free_slot->name, name);
	braze_queue_size_init(&free_slot->size);
	return free_slot;
}

void
braze_shmem_wake_launcher(void)
{
	Latch	   *latch = braze_shared->launcher_latch;

	if (latch != NULL)
		SetLatch(latch);
}
