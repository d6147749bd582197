/*-------------------------------------------------------------------------
 *
 * oldest_search.c
 *	  The oldest calls of destinations that take none.
 *
 * While nobody reads what is new, nobody comes by the calls of a destination
 * that was paused before this worker started, or of which what it had passed
 * over is gone.  How old the oldest is matters most then.  One search looks for
 * those of all of them: there may be a thousand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "base/guc.h"
#include "worker/deliveries.h"
#include "worker/delivery_cursor.h"
#include "worker/delivery_figures.h"
#include "worker/oldest_search.h"

/*
 * Rows that are looked at once in a nap.  Not at once for one more whose oldest
 * call is sought: each DELETE of calls makes all of them sought anew.
 */
#define SEARCH_BATCH	50000

/* or after so many times what the last search took */
#define SEARCH_SHARE	100

/* destinations whose oldest call is looked for */
static int	sought = 0;

static bool
is_sought(const BrazeDelivery *delivery)
{
	return delivery->passed_id == 0 && !braze_delivery_can_take(delivery);
}

static bool
note_oldest(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = braze_deliveries_find(row->destination);

	if (delivery != NULL && is_sought(delivery) && row->id > delivery->cursor &&
		!braze_delivery_cursor_holds(delivery, row->id, row->queued_at))
	{
		braze_delivery_figures_passed(delivery, row->id, row->queued_at);
		sought--;
	}
	return sought > 0;
}

void
braze_oldest_search_look(BrazeReader *reader)
{
	static int64 searched = 0;	/* up to here */
	static int64 next_search = 0;
	static int	left = 0;		/* by the last search */
	int64		now = braze_now_ms();
	int64		from = PG_INT64_MAX;
	ListCell   *cell;

	sought = 0;
	foreach(cell, braze_deliveries)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		if (!is_sought(delivery))
			continue;
		sought++;
		from = Min(from, delivery->cursor);
	}
	if (sought == 0 || now < next_search)
		return;

	/* a further one may have calls where the others have none */
	if (sought > left)
		searched = 0;
	searched = braze_reader_range(reader, Max(searched, from), PG_INT64_MAX,
								  SEARCH_BATCH, note_oldest, NULL);
	left = sought;
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: looked for the oldest calls, those of %d destinations are still to be found",
							 left)));

	/* there may be any number of dead rows on the way, which are not counted */
	next_search = now + Max(braze_nap, (braze_now_ms() - now) * SEARCH_SHARE);

	/* all of it: what commits late may have any id */
	if (searched == PG_INT64_MAX || sought == 0)
		searched = 0;
}
