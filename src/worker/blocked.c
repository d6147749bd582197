/*-------------------------------------------------------------------------
 *
 * blocked.c
 *	  What the log and the status say while nothing can be read or settled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/database_name.h"
#include "base/message.h"
#include "base/shmem.h"
#include "worker/blocked.h"

/* the log has a line of its begin, and none yet of its end */
static bool reported[BRAZE_BLOCKED_SETTLE + 1] = {false};

static void
log_begin(BrazeBlocked what, const char *problem)
{
	ereport(LOG,
			(errhidecontext(true),
			 what == BRAZE_BLOCKED_READ ?
			 errmsg("segment_braze: the queue of database \"%s\" cannot be read",
					braze_database_name()) :
			 errmsg("segment_braze: what was answered cannot be settled, and no more is sent from database \"%s\"",
					braze_database_name()),
			 errdetail("%s", problem),
			 errhint("It is tried again each second.")));
}

static void
log_end(BrazeBlocked what)
{
	ereport(LOG,
			(errhidecontext(true),
			 what == BRAZE_BLOCKED_READ ?
			 errmsg("segment_braze: the queue of database \"%s\" is read again",
					braze_database_name()) :
			 errmsg("segment_braze: answers are settled again in database \"%s\"",
					braze_database_name())));
}

void
braze_blocked_report(BrazeBlocked what, const char *problem)
{
	BrazeDatabaseSlot *slot;

	if (problem[0] == '\0' && !reported[what])
		return;
	if (!reported[what])
		log_begin(what, problem);
	else if (problem[0] == '\0')
		log_end(what);
	reported[what] = (problem[0] != '\0');
	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL)
		braze_message_copy(what == BRAZE_BLOCKED_READ ? slot->read_blocked : slot->settle_blocked,
						   problem, BRAZE_MESSAGE_SIZE);
	LWLockRelease(braze_shared->lock);
}
