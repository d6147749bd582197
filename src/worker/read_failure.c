/*-------------------------------------------------------------------------
 *
 * read_failure.c
 *	  Calls that raise an error when they are read or mapped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "worker/deliveries.h"
#include "worker/read_failure.h"

/* how often a call that raises an error is tried before it is given up */
#define MAX_ATTEMPTS	3

/* a fault of the server's may be over by then */
#define RETRY_MS		1000

void
braze_read_failure_note(BrazeDelivery *delivery, int64 id, const char *message)
{
	delivery->failures = (id == delivery->failing_id) ? delivery->failures + 1 : 1;
	delivery->failing_id = id;
	delivery->failing_until = braze_now_ms() + RETRY_MS;
	if (delivery->failing_reason != NULL)
		pfree(delivery->failing_reason);
	delivery->failing_reason = MemoryContextStrdup(braze_deliveries_context, message);
}

bool
braze_read_failure_waits(const BrazeDelivery *delivery)
{
	return delivery->failures > 0 && braze_now_ms() < delivery->failing_until;
}

const char *
braze_read_failure_reason(const BrazeDelivery *delivery, int64 id)
{
	return id == delivery->failing_id && delivery->failures >= MAX_ATTEMPTS ? delivery->failing_reason : NULL;
}

void
braze_read_failure_reset(BrazeDelivery *delivery)
{
	delivery->failing_id = 0;
	delivery->failures = 0;
}
