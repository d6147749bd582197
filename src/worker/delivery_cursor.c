/*-------------------------------------------------------------------------
 *
 * delivery_cursor.c
 *	  How far a destination has read the queue, and which calls it holds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "worker/deliveries.h"
#include "worker/delivery_cursor.h"
#include "worker/delivery_figures.h"

void
braze_delivery_cursor_fall_behind(BrazeDelivery *delivery, int64 cursor)
{
	if (delivery->behind && delivery->cursor <= cursor)
		return;
	delivery->behind = true;
	delivery->cursor = cursor;
	delivery->pass = 0;
}

/*
 * What is not in the list would be read again and sent twice, so a process
 * that has no memory for it begins anew.
 */
static void
list_held(BrazeDelivery *delivery)
{
	free(delivery->held);
	delivery->held = braze_discard_held(delivery->pack, &delivery->nheld);
	if (delivery->held == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

void
braze_delivery_cursor_step_back(BrazeDelivery *delivery, int64 cursor)
{
	list_held(delivery);
	braze_delivery_cursor_fall_behind(delivery, cursor);
}

bool
braze_delivery_cursor_has_call(BrazeDelivery *delivery, int64 id, TimestampTz queued_at)
{
	if (delivery->listed == NULL)
	{
		delivery->listed = braze_discard_held(delivery->pack, &delivery->nlisted);
		if (delivery->listed == NULL)
			braze_deliveries_out_of_memory();
	}
	return braze_discard_held_contain(delivery->listed, delivery->nlisted, id, queued_at);
}

void
braze_delivery_cursor_free_list(BrazeDelivery *delivery)
{
	free(delivery->listed);
	delivery->listed = NULL;
	delivery->nlisted = 0;
}

/*
 * The list of what was held ahead spares most rows the other one, which has to
 * be made anew for each read.  A call that it has may have been settled since,
 * and its row be there again, for instance as a released claim.
 */
bool
braze_delivery_cursor_holds(BrazeDelivery *delivery, int64 id, TimestampTz queued_at)
{
	return braze_discard_held_contain(delivery->held, delivery->nheld, id, queued_at) &&
		braze_delivery_cursor_has_call(delivery, id, queued_at);
}

void
braze_delivery_cursor_trim_held(BrazeDelivery *delivery)
{
	int			kept = 0;

	for (int i = 0; i < delivery->nheld; i++)
	{
		const BrazeHeld *held = &delivery->held[i];

		if (braze_delivery_cursor_has_call(delivery, held->id, held->queued_at))
			delivery->held[kept++] = *held;
	}
	delivery->nheld = kept;
	if (kept > 0)
		return;
	free(delivery->held);
	delivery->held = NULL;
}

void
braze_delivery_cursor_drop_waiting(BrazeDelivery *delivery)
{
	int64_t		queued_at = 0;
	int64		lowest = braze_discard_drop_waiting(delivery->pack, &queued_at);

	if (lowest == 0)
		return;
	if (queued_at != 0)
		braze_delivery_figures_passed(delivery, lowest, queued_at);
	braze_delivery_cursor_step_back(delivery, lowest - 1);
}

void
braze_delivery_cursor_start_over(BrazeDelivery *delivery)
{
	braze_delivery_cursor_drop_waiting(delivery);
	list_held(delivery);
	delivery->behind = false;
	braze_delivery_figures_clear_passed(delivery);
}
