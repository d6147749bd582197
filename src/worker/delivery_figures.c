/*-------------------------------------------------------------------------
 *
 * delivery_figures.c
 *	  What the worker publishes of a destination, for braze_metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/clock.h"
#include "worker/deliveries.h"
#include "worker/delivery_figures.h"

/*
 * The oldest call is found by a look at each that is held.  That is done once
 * in this time, or so seldom that it takes a hundredth of it.
 */
#define LOOK_INTERVAL_MS	1000
#define LOOK_SHARE			100

StaticAssertDecl(BRAZE_FIGURE_ENDPOINTS == BRAZE_ENDPOINTS, "each endpoint has its figures");
StaticAssertDecl(BRAZE_FIGURE_KINDS == BRAZE_KINDS, "each kind has its figures");
StaticAssertDecl(BRAZE_FIGURE_SERVICES == BRAZE_SERVICES, "each service has its figures");

/* ----- what is added up ----- */

void
braze_delivery_figures_reset_limits(BrazeDelivery *delivery)
{
	for (int i = 0; i < BRAZE_SERVICES; i++)
		delivery->gauges.remaining[i] = -1;
}

static BrazeStatusClass
status_class(long status)
{
	if (status == 429)
		return BRAZE_STATUS_429;
	if (status < 100 || status > 599)
		return BRAZE_STATUS_NONE;
	switch (status / 100)
	{
		case 1:
			return BRAZE_STATUS_1XX;
		case 2:
			return BRAZE_STATUS_2XX;
		case 3:
			return BRAZE_STATUS_3XX;
		case 4:
			return BRAZE_STATUS_4XX;
		default:
			return BRAZE_STATUS_5XX;
	}
}

void
braze_delivery_figures_add_request(BrazeDelivery *delivery, BrazeEndpoint endpoint,
								   long status, int64 ms, int64 remaining)
{
	BrazeService service = (endpoint == BRAZE_USERS_TRACK ? BRAZE_TRACK_SERVICE
							: BRAZE_IDENTITY_SERVICE);

	delivery->sums.requests[endpoint][status_class(status)]++;
	braze_histogram_add(&delivery->sums.request_time, ms);
	if (remaining >= 0)
		delivery->gauges.remaining[service] = remaining;
	delivery->changed = true;
}

void
braze_delivery_figures_add_call(BrazeDelivery *delivery, const BrazeCall *call,
								int64 settled_at, TimestampTz settled_wall)
{
	/* of a call that was refused in part, what was accepted counts */
	int			accepted = braze_packed_call_count_accepted(call, delivery->sums.objects);

	/* a row that somebody inserted may have any time, or none */
	if (accepted == 0 || call->nrefused > 0 || TIMESTAMP_NOT_FINITE(call->row.queued_at))
		return;

	/* settling may have waited, and what counts is when Braze has answered */
	braze_histogram_add(&delivery->sums.delivery_time,
						(settled_wall - call->row.queued_at) / 1000 -
						braze_packed_call_done_since(call, settled_at));
}

/* ----- the oldest that waits ----- */

void
braze_delivery_figures_passed(BrazeDelivery *delivery, int64 id, TimestampTz queued_at)
{
	if (delivery->passed_id != 0 && delivery->passed_id <= id)
		return;
	delivery->passed_id = id;
	delivery->passed_at = queued_at;
	delivery->changed = true;
}

void
braze_delivery_figures_clear_passed(BrazeDelivery *delivery)
{
	if (delivery->passed_id == 0)
		return;
	delivery->passed_id = 0;
	delivery->changed = true;
}

void
braze_delivery_figures_caught_up(BrazeDelivery *delivery, int64 id)
{
	if (delivery->passed_id <= id)
		braze_delivery_figures_clear_passed(delivery);
}

static bool
is_looked_at(const BrazeDelivery *delivery)
{
	return braze_pack_calls(delivery->pack) > 0 || delivery->gauges.held_calls > 0;
}

int64
braze_delivery_figures_wait(int64 now)
{
	int64		wait = -1;
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		const BrazeDelivery *delivery = lfirst(cell);
		int64		until = Max(delivery->next_look - now, 0);

		if (is_looked_at(delivery) && (wait < 0 || until < wait))
			wait = until;
	}
	return wait;
}

void
braze_delivery_figures_look(int64 now)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (is_looked_at(delivery) && delivery->next_look <= now)
			delivery->changed = true;
	}
}

/* ----- publishing ----- */

void
braze_delivery_figures_prepare(BrazeDelivery *delivery)
{
	BrazeGauges *gauges = &delivery->gauges;
	int64		now = braze_now_ms();

	gauges->held_calls = braze_pack_calls(delivery->pack);
	gauges->held_bytes = (int64) braze_pack_memory(delivery->pack);
	gauges->claimed_calls = delivery->claimed;
	gauges->behind = delivery->behind;

	/* what was found at the last look may be delivered, so it is looked anew */
	if (gauges->held_calls == 0)
		delivery->held_id = 0;
	else if (delivery->next_look <= now)
	{
		int64_t		queued_at = 0;

		delivery->held_id = braze_packed_call_oldest(delivery->pack, &queued_at);
		delivery->held_at = queued_at;
		delivery->next_look = now + Max(LOOK_INTERVAL_MS, (braze_now_ms() - now) * LOOK_SHARE);
	}
	if (delivery->held_id != 0 &&
		(delivery->passed_id == 0 || delivery->held_id <= delivery->passed_id))
	{
		gauges->oldest_id = delivery->held_id;
		gauges->oldest_at = delivery->held_at;
	}
	else
	{
		gauges->oldest_id = delivery->passed_id;
		gauges->oldest_at = delivery->passed_at;
	}
}

void
braze_delivery_figures_publish(BrazeDelivery *delivery, BrazeDestinationSlot *slot)
{
	BrazeSums  *sums = &slot->sums;
	const BrazeSums *added = &delivery->sums;

	slot->gauges = delivery->gauges;
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		for (int j = 0; j < BRAZE_STATUS_CLASSES; j++)
			sums->requests[i][j] += added->requests[i][j];
	}
	for (int i = 0; i < BRAZE_KINDS; i++)
		sums->objects[i] += added->objects[i];
	sums->bytes += added->bytes;
	braze_histogram_merge(&sums->request_time, &added->request_time);
	braze_histogram_merge(&sums->delivery_time, &added->delivery_time);
}

void
braze_delivery_figures_published(BrazeDelivery *delivery)
{
	memset(&delivery->sums, 0, sizeof(delivery->sums));
}
