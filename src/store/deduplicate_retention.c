/*-------------------------------------------------------------------------
 *
 * deduplicate_retention.c
 *	  Forgetting the messageIds that have expired.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/steady_time.h"
#include "queue/column_values.h"
#include "queue/deduplicate.h"
#include "store/deduplicate_retention.h"
#include "store/retention.h"

/*
 * Ids of a destination that does not deduplicate, now or as far as the worker
 * knows, are kept this long: the option may be back, or new to us.
 */
#define KEPT_ANYWAY			(24 * 3600)

static bool
message_has_expired(TupleTableSlot *slot, void *arg)
{
	BrazeRemembers seconds = *(BrazeRemembers *) arg;
	bool		isnull;
	NameData	destination;
	TimestampTz queued_at;
	int			kept;

	braze_column_values_destination(slot_getattr(slot, BRAZE_MESSAGES_DESTINATION, &isnull), &destination);
	queued_at = DatumGetTimestampTz(slot_getattr(slot, BRAZE_MESSAGES_QUEUED_AT, &isnull));
	kept = seconds(NameStr(destination));
	if (DatumGetBool(slot_getattr(slot, BRAZE_MESSAGES_RECEIVED, &isnull)))
		kept = Max(kept, BRAZE_RECEIVED_SECONDS);
	return queued_at <= braze_steady_time() -
		(kept > 0 ? kept : KEPT_ANYWAY) * USECS_PER_SEC;
}

int
braze_deduplicate_retention_expire(BrazeRemembers seconds)
{
	static BrazeExpiry expiry;

	return braze_retention_expire(&expiry, braze_catalog_required()->messages, message_has_expired, &seconds);
}
