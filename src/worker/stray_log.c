/*-------------------------------------------------------------------------
 *
 * stray_log.c
 *	  What the log says of calls whose ids the reader had passed.
 *
 * There may be a million of them: a table that was restored, a sequence that
 * was set back.  So it has one line for all that one look has found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/database_name.h"
#include "worker/stray_log.h"

static int	found = 0;
static int64 first_id;
static NameData first_destination;

void
braze_stray_log_note(const BrazeDelivery *delivery, int64 id)
{
	if (found++ > 0)
		return;
	first_id = id;
	first_destination = delivery->name;
}

void
braze_stray_log_report(int64 read)
{
	if (found == 0)
		return;
	ereport(LOG,
			(errhidecontext(true),
			 errmsg_plural("segment_braze: %d call in database \"%s\" was queued with an id far below the last one",
						   "segment_braze: %d calls in database \"%s\" were queued with ids far below the last one",
						   found, found, braze_database_name()),
			 errdetail("The first is call %lld for destination \"%s\". The last id read was %lld.",
					   (long long) first_id, NameStr(first_destination), (long long) read),
			 errhint("Was the sequence of braze_queue set back, or given a CACHE?  Such calls are sent, but late.")));
	found = 0;
}
