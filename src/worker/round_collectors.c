/*-------------------------------------------------------------------------
 *
 * round_collectors.c
 *	  The worker's look at the processes that collect calls from elsewhere.
 *
 * The worker only starts and ends them: what they wait for does not hold up
 * anything here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/database_name.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "feed/collect_table.h"
#include "feed/collect_worker.h"
#include "worker/round.h"
#include "worker/round_collectors.h"

/*
 * one that ends at once is started again
 * after so long, and twice as long each time
 */
#define MIN_RESTART_MS	1000
#define MAX_RESTART_MS	300000

/* one that has lasted for so long has not ended at once */
#define LASTING_MS		60000

/* while one of another time has yet to go */
#define LOOK_AGAIN_MS	100

/* a process that was registered here, by the index of its slot */
typedef struct Started
{
	BackgroundWorkerHandle *handle; /* NULL: none was */
	int64		at;
	int64		delay;			/* until the next may be started */
} Started;

static Started *started = NULL;
static bool no_room_logged = false;

static bool
has_stopped(int index)
{
	pid_t		pid;

	return started[index].handle == NULL ||
		GetBackgroundWorkerPid(started[index].handle, &pid) == BGWH_STOPPED;
}

static bool
is_wanted(const BrazeCollectorSlot *slot, List *origins)
{
	ListCell   *cell;

	foreach(cell, origins)
	{
		const BrazeOrigin *origin = lfirst(cell);

		if (strcmp(NameStr(origin->server), NameStr(slot->server)) == 0 &&
			strcmp(origin->table, slot->table) == 0 && origin->role == slot->role)
			return true;
	}
	return false;
}

/* tells those to end that are not wanted any more, and frees their slots */
static void
end_unwanted(List *origins)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < braze_shared->ndatabases; i++)
	{
		BrazeCollectorSlot *slot = &braze_shared->collectors[i];

		if (slot->database != MyDatabaseId || is_wanted(slot, origins))
			continue;
		slot->stop = true;
		if (slot->pid != 0)
			kill(slot->pid, SIGTERM);
		else if (has_stopped(i))
		{
			slot->database = InvalidOid;
			if (started[i].handle != NULL)
				pfree(started[i].handle);
			memset(&started[i], 0, sizeof(Started));
		}
	}
	LWLockRelease(braze_shared->lock);
}

/* NULL: nothing keeps it from connecting */
static const char *
why_not_connect(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	const char *reason = NULL;

	if (!HeapTupleIsValid(tuple))
		return "stopped: the role that collects was dropped; call braze_collect again as another";
	if (BRAZE_BACKGROUND_FLAGS == 0 && !((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin)
		reason = "stopped: the role that collects may not log in; ALTER ROLE ... LOGIN allows it";
	ReleaseSysCache(tuple);
	return reason;
}

static void
set_slot_text(BrazeCollectorSlot *slot, const char *state)
{
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	strlcpy(slot->figures.state, state, sizeof(slot->figures.state));
	LWLockRelease(braze_shared->lock);
}

static void
note_collector_room(bool has_room)
{
	if (!has_room && !no_room_logged)
		ereport(LOG,
				(errmsg("segment_braze: no background worker is free to collect calls into database \"%s\"",
						braze_database_name()),
				 errhint("Increase max_worker_processes, and restart the server.")));
	else if (has_room && no_room_logged)
		ereport(LOG,
				(errmsg("segment_braze: there is a background worker again to collect calls into database \"%s\"",
						braze_database_name())));
	no_room_logged = !has_room;
}

/*
 * Its slot, when a process is to be started for it now.  One that is registered
 * and not there yet sees by the number whether it is still the one.
 */
static BrazeCollectorSlot *
slot_to_start(const BrazeOrigin *origin, BrazeCollectorStart *start, bool *look_again)
{
	BrazeCollectorSlot *slot;
	bool		due = false;
	int			index;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_collector_slot_find(MyDatabaseId, NameStr(origin->server), origin->table, true);
	index = slot != NULL ? slot - braze_shared->collectors : 0;
	if (slot != NULL && slot->pid != 0 && slot->worker != MyProcPid)
	{
		/* the last worker has told it to end */
		kill(slot->pid, SIGTERM);
		*look_again = true;
	}
	else if (slot != NULL && slot->pid == 0 && slot->worker == MyProcPid && !has_stopped(index))
		*look_again = slot->stop;
	else if (slot != NULL && slot->pid == 0)
	{
		if (slot->worker != MyProcPid)
			memset(&started[index], 0, sizeof(Started));
		due = braze_now_ms() >= started[index].at + started[index].delay;
		if (due)
		{
			slot->role = origin->role;
			slot->worker = MyProcPid;
			slot->number = ++braze_shared->collectors_numbered;
			slot->stop = false;
			start->number = slot->number;
		}
	}
	LWLockRelease(braze_shared->lock);
	start->database = MyDatabaseId;
	start->role = origin->role;
	return due ? slot : NULL;
}

static void
start_collector(const BrazeOrigin *origin, bool *look_again)
{
	BrazeCollectorStart start;
	BrazeCollectorSlot *slot = slot_to_start(origin, &start, look_again);
	const char *reason = why_not_connect(origin->role);
	MemoryContext old;
	Started    *mine;
	bool		registered;

	if (slot == NULL)
		return;
	mine = &started[slot - braze_shared->collectors];
	mine->delay = mine->delay == 0 || braze_now_ms() - mine->at >= LASTING_MS ? MIN_RESTART_MS :
		Min(mine->delay * 2, MAX_RESTART_MS);
	mine->at = braze_now_ms();
	if (mine->handle != NULL)
		pfree(mine->handle);
	mine->handle = NULL;
	if (reason != NULL)
	{
		set_slot_text(slot, reason);
		return;
	}
	old = MemoryContextSwitchTo(braze_round_context);
	registered = braze_collect_worker_register(slot - braze_shared->collectors,
											   NameStr(origin->server), &start, &mine->handle);
	MemoryContextSwitchTo(old);
	note_collector_room(registered);
	if (!registered)
		set_slot_text(slot, "stopped: no background worker is free, increase max_worker_processes and restart the server");
}

static void
tend_collectors(void *arg)
{
	bool	   *look_again = arg;
	List	   *origins = NIL;
	ListCell   *cell;

	/* whoever has locked the table has changed nothing yet */
	if (!braze_collect_table_try_read())
		return;
	if (braze_deliver)
		origins = braze_collect_table_here();
	end_unwanted(origins);
	foreach(cell, origins)
		start_collector(lfirst(cell), look_again);
}

int
braze_round_collectors(void)
{
	bool		look_again = false;

	if (started == NULL)
		started = MemoryContextAllocZero(TopMemoryContext, sizeof(Started) * braze_shared->ndatabases);
	(void) braze_round_succeeds("looking at the collectors", tend_collectors, &look_again);
	return look_again ? LOOK_AGAIN_MS : braze_nap;
}
