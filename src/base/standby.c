/*-------------------------------------------------------------------------
 *
 * standby.c
 *	  What synchronous standbys have confirmed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"

#include "base/standby.h"

bool
braze_standby_is_wanted(void)
{
	return max_wal_senders > 0 && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/* WAL senders write this down whether or not anybody waits for it */
bool
braze_standby_has(XLogRecPtr position, int mode)
{
	bool		result;

	LWLockAcquire(SyncRepLock, LW_SHARED);
	result = (position <= WalSndCtl->lsn[mode]);
	LWLockRelease(SyncRepLock);
	return result;
}
