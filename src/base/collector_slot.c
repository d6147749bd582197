/*-------------------------------------------------------------------------
 *
 * collector_slot.c
 *	  The processes that collect calls from tables elsewhere, in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/shmem.h"

/* of this process */
static BrazeCollectorSlot *own_slot = NULL;

/*
 * nobody will look at it any more: its database has no worker, and no extension
 */
static bool
is_orphan(const BrazeCollectorSlot *slot)
{
	return slot->pid == 0 && braze_shmem_database(slot->database, false) == NULL;
}

BrazeCollectorSlot *
braze_collector_slot_find(Oid database, const char *server, const char *table, bool create)
{
	BrazeCollectorSlot *free_slot = NULL;

	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		BrazeCollectorSlot *slot = &braze_shared->collectors[i];

		if (slot->database == database && strcmp(NameStr(slot->server), server) == 0 &&
			strcmp(slot->table, table) == 0)
			return slot;
		if (free_slot == NULL && (!OidIsValid(slot->database) || is_orphan(slot)))
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->database = database;
	namestrcpy(&free_slot->server, server);
	strlcpy(free_slot->table, table, sizeof(free_slot->table));
	free_slot->made_at = GetCurrentTimestamp();
	free_slot->figures.waiting = -1;
	return free_slot;
}

static void
stop_slot(BrazeCollectorSlot *slot)
{
	slot->stop = true;
	if (slot->latch != NULL && slot->pid != 0)
		SetLatch(slot->latch);
}

void
braze_collector_slot_stop_all(Oid database)
{
	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		if (braze_shared->collectors[i].database == database)
			stop_slot(&braze_shared->collectors[i]);
	}
}

bool
braze_collector_slot_any(Oid database, bool by_signal)
{
	bool		any = false;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		BrazeCollectorSlot *slot = &braze_shared->collectors[i];

		if (slot->database != database || slot->pid == 0)
			continue;
		any = true;
		stop_slot(slot);
		if (by_signal)
			kill(slot->pid, SIGTERM);
	}
	LWLockRelease(braze_shared->lock);
	return any;
}

/*
 * after the process has left the process
 * array: nothing of it is in the database
 */
static void
leave_slot(int code, Datum arg)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	own_slot->pid = 0;
	own_slot->latch = NULL;
	LWLockRelease(braze_shared->lock);
}

/*
 * A process may come late: its worker has ended meanwhile, or DROP DATABASE
 * waits until nobody is there.
 */
BrazeCollectorSlot *
braze_collector_slot_attach(int index, const BrazeCollectorStart *start)
{
	BrazeCollectorSlot *slot = &braze_shared->collectors[index];

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	if (slot->database == start->database && slot->number == start->number &&
		slot->pid == 0 && !braze_collector_slot_must_end(slot))
	{
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		own_slot = slot;
	}
	LWLockRelease(braze_shared->lock);
	if (own_slot != NULL)
		on_shmem_exit(leave_slot, (Datum) 0);
	return own_slot;
}

/*
 * Without the lock, too: the slot of a database that has a worker, or had one,
 * is freed by the launcher alone, and what is read here is one word each.
 */
bool
braze_collector_slot_must_end(const BrazeCollectorSlot *slot)
{
	const BrazeDatabaseSlot *database = braze_shmem_database(slot->database, false);

	return slot->stop || database == NULL || database->held > 0 ||
		database->pid != slot->worker;
}

/*
 * Of which database a slot has its table is as old as its last connection.
 * When the origin was started again, the one that was denied may be there
 * first: it waits until the other one has looked.
 */
static bool
has_table(const BrazeCollectorSlot *slot, const char *origin)
{
	return slot != own_slot && OidIsValid(slot->database) && !is_orphan(slot) &&
		slot->origin[0] != '\0' && strcmp(slot->table, own_slot->table) == 0 &&
		(strcmp(slot->origin, origin) == 0 || strcmp(slot->origin, own_slot->denied) == 0);
}

bool
braze_collector_slot_claim(const char *origin, BrazeCollectorSlot *holder)
{
	bool		is_ours = true;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_shared->ndatabases && is_ours; i++)
	{
		const BrazeCollectorSlot *slot = &braze_shared->collectors[i];

		if (!has_table(slot, origin))
			continue;
		*holder = *slot;
		is_ours = false;
	}
	strlcpy(own_slot->origin, is_ours ? origin : "", BRAZE_ORIGIN_SIZE);
	strlcpy(own_slot->denied, is_ours ? "" : holder->origin, BRAZE_ORIGIN_SIZE);
	LWLockRelease(braze_shared->lock);
	return is_ours;
}

void
braze_collector_slot_publish(BrazeCollectorSlot *slot, const BrazeCollectorFigures *figures)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot->figures = *figures;
	LWLockRelease(braze_shared->lock);
}
