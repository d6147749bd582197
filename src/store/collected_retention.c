/*-------------------------------------------------------------------------
 *
 * collected_retention.c
 *	  Forgetting which calls were collected from where nothing is collected any
 *	  more.
 *
 * A collector removes its own notes, since it alone knows what is still at its
 * origin.  When collecting was stopped there is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/steady_time.h"
#include "store/collected_retention.h"
#include "store/retention.h"

static bool
note_has_expired(TupleTableSlot *slot, void *arg)
{
	BrazeIsOrigin is_origin = *(BrazeIsOrigin *) arg;
	bool		isnull;
	TimestampTz at = DatumGetTimestampTz(slot_getattr(slot, BRAZE_COLLECTED_AT, &isnull));

	return at < braze_steady_time() - BRAZE_COLLECTED_SECONDS * USECS_PER_SEC &&
		!is_origin(TextDatumGetCString(slot_getattr(slot, BRAZE_COLLECTED_SERVER, &isnull)),
				   TextDatumGetCString(slot_getattr(slot, BRAZE_COLLECTED_TABLE, &isnull)));
}

int
braze_collected_retention_expire(BrazeIsOrigin is_origin)
{
	static BrazeExpiry expiry;

	return braze_retention_expire(&expiry, braze_catalog_required()->collected, note_has_expired, &is_origin);
}
