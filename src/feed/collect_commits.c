/*-------------------------------------------------------------------------
 *
 * collect_commits.c
 *	  Is what was collected safe here?  Only then is it deleted there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"

#include "base/standby.h"
#include "base/wal_end.h"
#include "feed/collect_commits.h"

/*
 * of our last commit; before the first one,
 * of what other processes have committed
 */
static XLogRecPtr committed = InvalidXLogRecPtr;

/*
 * At its end a process drops its temporary tables, and would wait for a standby
 * then, without being interrupted.
 */
static void
end_without_standby(int code, Datum arg)
{
	synchronous_commit = SYNCHRONOUS_COMMIT_LOCAL_FLUSH;
}

void
braze_collect_commits_done(void)
{
	static bool is_registered = false;

	/*
	 * what was registered last is called first, and theirs was at this commit
	 */
	if (!is_registered)
		before_shmem_exit(end_without_standby, (Datum) 0);
	is_registered = true;
	if (XactLastCommitEnd > committed)
		committed = XactLastCommitEnd;
}

/*
 * SyncRepWaitForLSN does not say whether its wait was cancelled.  The answer is
 * no also while it is only about to be known that a standby is wanted, or is
 * not wanted any more: then it is asked again.
 */
static bool
is_on_standby(XLogRecPtr position)
{
	int			mode = synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? SYNC_REP_WAIT_APPLY : SYNC_REP_WAIT_FLUSH;

	return !braze_standby_is_wanted() || braze_standby_has(position, mode);
}

void
braze_collect_commits_wait(void)
{
	if (committed == InvalidXLogRecPtr)
		committed = braze_wal_end();
	XLogFlush(committed);
	if (is_on_standby(committed))
		return;

	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(committed, true);
	RESUME_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
	if (!is_on_standby(committed))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known whether a synchronous standby has the calls that were collected"),
				 errdetail("The wait for synchronous replication was canceled."),
				 errhint("They are deleted at the origin once a standby has confirmed them.")));
}
