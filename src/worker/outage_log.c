/*-------------------------------------------------------------------------
 *
 * outage_log.c
 *	  What the log says while a destination cannot be reached, and of pauses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "base/database_name.h"
#include "worker/deliveries.h"
#include "worker/outage_log.h"

/* -1: none of its services fails, but by rate limits perhaps */
static int64
failing_since(const BrazeDelivery *delivery)
{
	int64		since = -1;

	for (int i = 0; i < BRAZE_SERVICES; i++)
	{
		int64		of_service = delivery->pace[i].failing_since;

		if (of_service >= 0 && (since < 0 || of_service < since))
			since = of_service;
	}
	return since;
}

/* the calls in memory; those that it has not read yet nobody has counted */
static int
say_waiting(const BrazeDelivery *delivery, const char *last_error)
{
	int			calls = braze_pack_calls(delivery->pack);
	const char *more = delivery->behind ? "More than " : "";

	return last_error == NULL ?
		errdetail_plural("%s%d call waits.", "%s%d calls wait.", calls, more, calls) :
		errdetail_plural("%s%d call waits. The last error was: %s", "%s%d calls wait. The last error was: %s",
						 calls, more, calls, last_error);
}

void
braze_outage_log_look(void)
{
	int64		now = braze_now_ms();
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);
		int64		since = failing_since(delivery);

		if (since < 0 || delivery->destination == NULL || delivery->paused != NULL ||
			!braze_outage_begins(&delivery->outage, since, now))
			continue;
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: destination \"%s\" in database \"%s\" has been retrying for %lld s",
						NameStr(delivery->name), braze_database_name(),
						(long long) (now - since) / 1000),
				 say_waiting(delivery, delivery->last_error),
				 errhint("The calls stay in the queue, and are sent when Braze can be reached again.")));
	}
}

void
braze_outage_log_answered(BrazeDelivery *delivery)
{
	/* one service is back, but the other may still be away */
	if (failing_since(delivery) >= 0 || !braze_outage_ends(&delivery->outage))
		return;
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: destination \"%s\" in database \"%s\" is back after %lld s",
					NameStr(delivery->name), braze_database_name(),
					(long long) (braze_now_ms() - delivery->outage.since) / 1000),
			 say_waiting(delivery, NULL)));
}

void
braze_outage_log_cancel(BrazeDelivery *delivery)
{
	braze_outage_cancel(&delivery->outage);
}

void
braze_outage_log_pause(const BrazeDelivery *delivery, const char *reason)
{
	if (reason == NULL)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: destination \"%s\" in database \"%s\" is not paused any more",
						NameStr(delivery->name), braze_database_name())));
	else
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: destination \"%s\" in database \"%s\" is paused",
						NameStr(delivery->name), braze_database_name()),
				 errdetail("%s", reason)));
}
