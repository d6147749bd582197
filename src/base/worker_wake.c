/*-------------------------------------------------------------------------
 *
 * worker_wake.c
 *	  What a transaction tells the worker and the launcher when it ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/queue_count.h"
#include "base/shmem.h"
#include "base/size_counter.h"
#include "base/worker_wake.h"

/* where no place is free, a session looks for one this often at most */
#define MARK_INTERVAL_MS	5000

/* a worker whose database is held may finish its round, if that is soon */
#define LEAVE_MS	2000

static bool callback_registered = false;
static bool wake_worker = false;
static bool refresh_worker = false;
static bool purged = false;
static bool wake_launcher = false;
static List *held_databases = NIL;	/* of Oid: a transaction may rename
									 * several */

void
braze_worker_wake_mark_database(void)
{
	static int64 next = 0;
	BrazeDatabaseSlot *slot;
	bool		news = false;

	if (braze_shared == NULL || braze_now_ms() < next)
		return;
	next = braze_now_ms() + MARK_INTERVAL_MS;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, true);
	if (slot != NULL && !slot->has_extension)
	{
		news = true;
		slot->has_extension = true;

		/* its worker looked before CREATE EXTENSION had committed */
		if (slot->state == BRAZE_DATABASE_NO_EXTENSION)
			slot->state = BRAZE_DATABASE_WANTED;
	}
	LWLockRelease(braze_shared->lock);
	if (news)
		braze_shmem_wake_launcher();
}

/*
 * Commits of calls come here, so it takes no lock once the database is known to
 * have the extension: a slot that is not found or a latch that is another
 * process's by now costs a nap, nothing more.
 */
static void
wake_own_worker(bool refresh)
{
	static BrazeDatabaseSlot *slot = NULL;
	Latch	   *latch;			/* read once: a worker that ends clears it */

	if (slot == NULL || slot->database != MyDatabaseId)
		slot = braze_shmem_database(MyDatabaseId, false);
	if (slot == NULL || !slot->has_extension)
		braze_worker_wake_mark_database();
	latch = slot == NULL ? NULL : *(Latch *volatile *) &slot->latch;
	if (latch != NULL && slot->pid != 0)
	{
		/* a wait for a lock may take the latch for its own, but not these */
		slot->queued = true;
		if (purged)
			slot->purged = true;
		if (refresh)
			slot->refresh = true;
		SetLatch(latch);
	}
}

static void
want_worker(void)
{
	BrazeDatabaseSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, true);
	if (slot == NULL)
		braze_shared->probe_all = true;
	else
	{
		if (slot->state == BRAZE_DATABASE_NO_EXTENSION)
			slot->state = BRAZE_DATABASE_WANTED;
		slot->wanted_at_once = true;
	}
	LWLockRelease(braze_shared->lock);
	braze_shmem_wake_launcher();
}

static void
release_holds(void)
{
	ListCell   *cell;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	foreach(cell, held_databases)
	{
		BrazeDatabaseSlot *slot = braze_shmem_database(lfirst_oid(cell), false);

		if (slot != NULL && slot->held > 0)
		{
			slot->held--;
			slot->wanted_at_once = true;
		}
	}
	braze_shared->releases++;
	LWLockRelease(braze_shared->lock);
	list_free(held_databases);
	held_databases = NIL;
	braze_shmem_wake_launcher();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	bool		committed = (event == XACT_EVENT_COMMIT);

	if (!committed && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;

	/* who commits a prepared transaction will know nothing of it */
	if (purged && event != XACT_EVENT_ABORT)
	{
		braze_size_counter_all_unknown();
		braze_queue_count_disturb();
	}
	if (wake_worker && committed)
		wake_own_worker(refresh_worker);
	if (wake_launcher && committed)
		want_worker();
	wake_worker = refresh_worker = purged = wake_launcher = false;
	if (held_databases != NIL)
		release_holds();
}

static void
register_callback(void)
{
	/* once per process: a registration per transaction adds up in a session */
	if (!callback_registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		callback_registered = true;
	}
}

void
braze_worker_wake_at_commit(void)
{
	if (braze_shared == NULL)
		return;
	register_callback();
	wake_worker = true;
}

void
braze_worker_wake_refresh_at_commit(void)
{
	braze_worker_wake_at_commit();
	refresh_worker = true;
}

void
braze_worker_wake_purged_at_commit(void)
{
	braze_worker_wake_refresh_at_commit();
	purged = true;
}

void
braze_worker_wake(void)
{
	if (braze_shared != NULL)
		wake_own_worker(false);
}

/*
 * What a prepared transaction has done the session that commits it does not
 * know.  To look for it takes time, and sessions may do this all the time.
 */
void
braze_worker_wake_prepared_committed(void)
{
	BrazeDatabaseSlot *slot;

	if (braze_shared == NULL)
		return;
	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL && slot->pid != 0)
		slot->purged_perhaps = true;
	LWLockRelease(braze_shared->lock);
}

void
braze_worker_wake_launcher_at_commit(void)
{
	if (braze_shared == NULL)
		return;
	register_callback();
	wake_launcher = true;
}

void
braze_worker_wake_hold_database(Oid database)
{
	BrazeDatabaseSlot *slot;
	MemoryContext old;
	Latch	   *latch;
	pid_t		told = 0;
	int64		began;

	if (braze_shared == NULL || list_member_oid(held_databases, database))
		return;
	register_callback();

	/* before it is held: nothing may fail between that and the list */
	old = MemoryContextSwitchTo(TopMemoryContext);
	held_databases = lappend_oid(held_databases, database);
	MemoryContextSwitchTo(old);

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(database, true);
	if (slot != NULL)
		slot->held++;
	LWLockRelease(braze_shared->lock);
	if (slot == NULL)
	{
		held_databases = list_delete_oid(held_databases, database);
		return;
	}

	/*
	 * A worker that was registered before we came may still be on its way up,
	 * so look until there is none.  The slot is cleared once the worker has
	 * left the process array, see worker.c.  A worker that waits sees that
	 * its database is held, and ends by itself; one that is in the middle of
	 * a round, behind a lock perhaps, is told by a signal after a while. Each
	 * is told once: a second SIGTERM would end it before it has settled what
	 * is answered.
	 */
	began = braze_now_ms();
	for (;;)
	{
		pid_t		pid;
		bool		starting;

		LWLockAcquire(braze_shared->lock, LW_SHARED);
		pid = slot->pid;
		latch = slot->latch;
		starting = (slot->state == BRAZE_DATABASE_STARTING);
		LWLockRelease(braze_shared->lock);
		if (pid == 0 && !starting &&
			!braze_collector_slot_any(database, braze_now_ms() - began >= LEAVE_MS))
			break;
		if (pid != 0 && latch != NULL)
			SetLatch(latch);
		if (pid != 0 && pid != told && braze_now_ms() - began >= LEAVE_MS)
		{
			kill(pid, SIGTERM);
			told = pid;
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10L, WAIT_EVENT_BGWORKER_SHUTDOWN);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
