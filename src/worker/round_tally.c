/*-------------------------------------------------------------------------
 *
 * round_tally.c
 *	  What was delivered is added up, and the sums are written now and then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "store/activity_table.h"
#include "worker/deliveries.h"
#include "worker/delivery_figures.h"
#include "worker/round.h"
#include "worker/round_tally.h"

/* what was added waits this long at most, and a settle takes it along before */
#define SAVE_INTERVAL_MS	1000
#define RIDE_INTERVAL_MS	950

/* after a settle that failed with it, the sums go by themselves for a while */
#define ALONE_MS			60000

static int64 unsaved_since = -1;	/* -1: all is saved */
static int64 no_ride_before = 0;
static bool riding = false;
static bool written = false;	/* by the transaction under way */
static BrazeBackoff backoff;

/*
 * when the last settle ended, since asking
 * for each call would cost more than it
 */
static int64 settled_at = 0;
static TimestampTz settled_wall = 0;

static BrazeTally *
activity_of(BrazeDelivery *delivery)
{
	if (delivery->tally == NULL)
		delivery->tally = braze_tally_create();
	if (delivery->tally == NULL)
		braze_deliveries_out_of_memory();
	if (unsaved_since < 0)
		unsaved_since = braze_now_ms();
	return delivery->tally;
}

void
braze_round_tally_add_call(BrazeDelivery *delivery, const BrazeCall *call)
{
	if (!braze_tally_add_call(activity_of(delivery), call, settled_at, settled_wall))
		braze_deliveries_out_of_memory();
	braze_delivery_figures_add_call(delivery, call, settled_at, settled_wall);
}

void
braze_round_tally_add_request(BrazeDelivery *delivery, const BrazeRequest *request)
{
	if (!braze_tally_add_request(activity_of(delivery), braze_request_state_sent(request),
								 GetCurrentTimestamp()))
		braze_deliveries_out_of_memory();
}

/* ----- writing ----- */

static void
write_all(void *arg)
{
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;
	BrazeActivityTables tables;
	ListCell   *cell;

	/* the lock is somebody's: the sums stay in memory, which is bounded */
	if (!braze_activity_table_begin(&tables))
		return;
	foreach(cell, braze_deliveries)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		if (delivery->tally != NULL)
			braze_activity_table_write(&tables, NameStr(delivery->name), delivery->tally, deadline);
	}
	braze_activity_table_end(&tables);
	written = true;
}

static void
attempt_all(void *arg)
{
	/* what an attempt that failed has written is undone */
	if (!braze_attempt_when_due(&backoff, NULL, write_all, NULL))
		written = false;
}

/* the transaction is over; what could not be written is tried a second later */
static void
transaction_ended(bool committed)
{
	bool		all_saved = committed && written;
	ListCell   *cell;

	/* what there was no time for is written by the next transaction */
	foreach(cell, braze_deliveries)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		if (!committed || !written || delivery->tally == NULL)
			continue;
		braze_tally_saved(delivery->tally);
		all_saved = all_saved && !braze_tally_has_unsaved(delivery->tally);
	}
	unsaved_since = all_saved ? -1 : braze_now_ms();
	written = false;
}

void
braze_round_tally_ride(void)
{
	int64		now = braze_now_ms();

	/*
	 * what others added to the tables may wait for locks, and a settle may
	 * not
	 */
	riding = unsaved_since >= 0 && now - unsaved_since >= RIDE_INTERVAL_MS &&
		now >= no_ride_before && braze_activity_table_is_plain();
	if (riding)
		attempt_all(NULL);
}

void
braze_round_tally_ridden(bool committed)
{
	settled_at = braze_now_ms();
	settled_wall = GetCurrentTimestamp();
	if (!riding)
		return;
	riding = false;

	/* perhaps for their sake, so the settle is tried without them */
	if (!committed)
		no_ride_before = braze_now_ms() + ALONE_MS;
	transaction_ended(committed);
}

void
braze_round_tally_save(void)
{
	if (unsaved_since >= 0)
		transaction_ended(braze_round_succeeds("counting what was delivered", attempt_all, NULL));
}

long
braze_round_tally_wait(void)
{
	return unsaved_since < 0 ? -1 : (long) Max(unsaved_since + SAVE_INTERVAL_MS - braze_now_ms(), 0);
}
