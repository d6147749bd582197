/*-------------------------------------------------------------------------
 *
 * standstill.c
 *	  A worker that stood still proves that it may still commit.
 *
 * SyncRepWaitForLSN is not called: in it no reload and no wish for the
 * database would be noticed, and what was answered could not be settled.  WAL
 * senders note how far the standbys are whether or not somebody waits, so the
 * loop goes on, and looks at that.  A wait that is not there cannot be
 * cancelled either.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "replication/syncrep.h"

#include "base/clock.h"
#include "base/database_name.h"
#include "base/standby.h"
#include "worker/round.h"
#include "worker/standstill.h"

/* for so long one turn of the loop, or one call of libcurl's, may take */
#define STILL_MS			1000

/*
 * Who stands still again and again is slow rather than frozen: for so long
 * after it has, twice as much is allowed each time.  Otherwise a server whose
 * commits take over a second would never come to an end of proving.
 */
#define SLOW_MS				60000

/* the standby is looked at this often, */
#define LOOK_MS				10
#define LONG_LOOK_MS		100

/* and a wait that lasts is in the status and in the log */
#define WAIT_UNTIL_TOLD_MS	1000

/* a commit that failed is tried again after this */
#define RETRY_MS			1000

static bool proven = true;
static int64 seen = 0;			/* up to then it did not stand still; 0: it
								 * has yet to begin */
static int64 allowed = STILL_MS;
static int64 stood_at = 0;		/* when that was noticed last */
static XLogRecPtr position = InvalidXLogRecPtr; /* of the commit, if there is
												 * one since */
static int64 waiting_since = 0; /* 0: it does not wait */
static bool told = false;

void
braze_standstill_begin(const BrazeDatabaseSlot *slot)
{
	proven = !slot->unproven;
}

void
braze_standstill_process_ends(BrazeDatabaseSlot *slot)
{
	slot->unproven = !braze_standstill_may_send();
	slot->waits_for_proof = false;
}

void
braze_standstill_wait(int64 until)
{
	(void) braze_standstill_may_send();
	seen = until;
}

/* curl calls this with signals blocked: it does nothing but look */
bool
braze_standstill_may_send(void)
{
	int64		now = braze_now_ms();

	if (now - stood_at >= SLOW_MS)
		allowed = STILL_MS;
	if (seen != 0 && now - seen > allowed)
	{
		proven = false;

		/* what was confirmed before it proves nothing now */
		position = InvalidXLogRecPtr;
		allowed *= 2;
		stood_at = now;
	}
	seen = now;
	return proven;
}

/*
 * A transaction without anything in it is not flushed, even if it has an id,
 * unless that is forced.
 */
static void
commit_nothing(void *arg)
{
	(void) GetTopTransactionId();
	ForceSyncCommit();
}

static void
tell_state(bool waits)
{
	BrazeDatabaseSlot *slot;

	if (told == waits)
		return;
	told = waits;
	if (waits)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: nothing is sent from database \"%s\" before a synchronous standby has confirmed a commit",
						braze_database_name()),
				 errdetail("The worker stood still for a while. Another server may be the primary since."),
				 errhint("If this server is still the primary, start a standby of synchronous_standby_names, or empty that setting and reload. Otherwise stop this server.")));
	else
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: calls are sent again from database \"%s\"",
						braze_database_name())));
	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL)
		slot->waits_for_proof = waits;
	LWLockRelease(braze_shared->lock);
}

/* false: it failed */
static bool
write_commit(void)
{
	if (!braze_round_succeeds("committing after a standstill", commit_nothing, NULL))
		return false;
	position = XactLastCommitEnd;

	/* it may have stood still after the commit had reached the standby */
	(void) braze_standstill_may_send();
	return true;
}

static bool
is_confirmed(void)
{
	bool		confirmed = position != InvalidXLogRecPtr &&
	braze_standby_has(position, SYNC_REP_WAIT_FLUSH);

	/* last, for the same reason */
	(void) braze_standstill_may_send();
	return confirmed && position != InvalidXLogRecPtr;
}

int64
braze_standstill_prove(bool needed)
{
	if (braze_standstill_may_send())
		return 0;
	if (!needed && waiting_since == 0)
		return -1;
	if (waiting_since == 0)
		waiting_since = braze_now_ms();
	if (braze_standby_is_wanted())
	{
		if (position == InvalidXLogRecPtr && !write_commit())
			return RETRY_MS;
		if (!is_confirmed())
		{
			if (braze_now_ms() - waiting_since >= WAIT_UNTIL_TOLD_MS)
				tell_state(true);
			return told ? LONG_LOOK_MS : LOOK_MS;
		}
	}
	proven = true;
	position = InvalidXLogRecPtr;
	waiting_since = 0;
	tell_state(false);
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: the worker stood still, and may send again")));
	return 0;
}
