/*-------------------------------------------------------------------------
 *
 * round_refresh.c
 *	  The worker's transaction that reads the destinations and their pauses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/snapmgr.h"

#include "worker/deliveries.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_refresh.h"
#include "worker/round.h"
#include "worker/round_refresh.h"

bool		braze_round_refreshed = false;

static void
store_pauses(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		braze_delivery_pause_store(lfirst(cell));
}

/* during a pause its calls may have been taken out of the queue */
static void
look_at_resumed(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->resumed)
			braze_gone_due = true;
		delivery->resumed = false;
	}
}

static void
refresh_all(void *options_changed)
{
	/*
	 * before they are read: a pause that the table does not have counts as
	 * over
	 */
	store_pauses();

	/*
	 * what was stored just now is read below, with what others have committed
	 */
	CommandCounterIncrement();
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	braze_delivery_refresh(*(bool *) options_changed);
}

bool
braze_round_refresh(bool options_changed)
{
	bool		ok = braze_round_succeeds("reading the destinations", refresh_all, &options_changed);

	braze_deliveries_put_all_to_work();
	if (!ok)
		return false;
	braze_round_refreshed = true;
	braze_delivery_refresh_committed();
	look_at_resumed();
	if (options_changed)
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: read the options, keys and pauses of %d destinations",
								 list_length(braze_deliveries))));
	return true;
}
