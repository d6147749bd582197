/*-------------------------------------------------------------------------
 *
 * read_blocked.c
 *	  What the log and the status say while the queue cannot be read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/database_name.h"
#include "base/shmem.h"
#include "worker/read_blocked.h"

void
braze_read_blocked_report(const char *problem)
{
	static bool reported = false;
	BrazeDatabaseSlot *slot;

	if (problem[0] == '\0' && !reported)
		return;
	if (!reported)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: the queue of database \"%s\" cannot be read",
						braze_database_name()),
				 errdetail("%s", problem),
				 errhint("It is tried again each second.")));
	else if (problem[0] == '\0')
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: the queue of database \"%s\" is read again",
						braze_database_name())));
	reported = (problem[0] != '\0');
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		strlcpy(slot->read_blocked, problem, BRAZE_MESSAGE_SIZE);
	LWLockRelease(braze_shared->lock);
}
