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

void
braze_delivery_cursor_fall_behind(BrazeDelivery *delivery, int64 cursor)
{
	if (delivery->behind && delivery->cursor <= cursor)
		return;
	delivery->behind = true;
	delivery->cursor = cursor;
}

/*
 * What is not in the list would be read again and sent twice, so a process
 * that has no memory for it begins anew.
 */
static void
list_held(BrazeDelivery *delivery)
{
	free(delivery->held);
	delivery->held = braze_discard_ids(delivery->pack, &delivery->nheld);
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

void
braze_delivery_cursor_caught_up(BrazeDelivery *delivery)
{
	delivery->behind = false;
	free(delivery->held);
	delivery->held = NULL;
	delivery->nheld = 0;
}

bool
braze_delivery_cursor_holds(const BrazeDelivery *delivery, int64 id)
{
	return braze_discard_ids_contain(delivery->held, delivery->nheld, id);
}

void
braze_delivery_cursor_list_calls(BrazeDelivery *delivery)
{
	free(delivery->listed);
	delivery->listed = braze_discard_ids(delivery->pack, &delivery->nlisted);
	if (delivery->listed == NULL)
		braze_deliveries_out_of_memory();
}

bool
braze_delivery_cursor_has_call(const BrazeDelivery *delivery, int64 id)
{
	return braze_discard_ids_contain(delivery->listed, delivery->nlisted, id);
}

void
braze_delivery_cursor_free_list(BrazeDelivery *delivery)
{
	free(delivery->listed);
	delivery->listed = NULL;
	delivery->nlisted = 0;
}

void
braze_delivery_cursor_drop_waiting(BrazeDelivery *delivery)
{
	int64		lowest = braze_discard_drop_waiting(delivery->pack);

	if (lowest == 0)
		return;
	braze_delivery_cursor_step_back(delivery, lowest - 1);
}

void
braze_delivery_cursor_start_over(BrazeDelivery *delivery)
{
	braze_delivery_cursor_drop_waiting(delivery);
	list_held(delivery);
	delivery->behind = false;
}
