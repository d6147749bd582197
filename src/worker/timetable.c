/*-------------------------------------------------------------------------
 *
 * timetable.c
 *	  What the worker does at which moment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_foreign_server.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/table_write.h"
#include "store/queue_recount.h"
#include "worker/claim.h"
#include "worker/connection_test.h"
#include "worker/deliveries.h"
#include "worker/delivery_figures.h"
#include "worker/delivery_pause.h"
#include "worker/exchange.h"
#include "worker/outage_log.h"
#include "worker/round.h"
#include "worker/round_collectors.h"
#include "worker/round_gone.h"
#include "worker/round_read.h"
#include "worker/round_refresh.h"
#include "worker/round_settle.h"
#include "worker/round_tally.h"
#include "worker/round_upkeep.h"
#include "worker/standstill.h"
#include "worker/sync_schedule.h"
#include "worker/timetable.h"

/* while requests are under way, new rows are looked for this often */
#define READ_INTERVAL_MS	2

/* holes whose owners do not wake us when they end are looked at this often */
#define HOLE_INTERVAL_MS	50

/* a step that failed is tried again this much later */
#define RETRY_MS			1000

/* what is answered waits this long at most for company before it is settled */
#define SETTLE_DELAY_MS		10

/*
 * a request that goes alone may hold up those of other destinations this long
 */
#define ALONE_MS			1000

/* figures that nothing else brings up to date are published this often */
#define FIGURES_MS			1000

/* no moment is known: something has to happen first */
#define NEVER				PG_INT64_MAX

/* what the worker remembers from one turn to the next; moments of our clock */
static struct
{
	BrazeDatabaseSlot *slot;	/* see shmem.h for what needs the lock */
	bool		options_changed;	/* a server or a user mapping has */
	bool		options_unread; /* they had when a refresh failed */
	bool		refreshed;		/* destinations were read in this turn */
	bool		look;			/* something may have been queued */
	bool		collectors;		/* what is collected here may have changed */
	int64		next_unread;	/* when what was locked is read again, */
	int64		next_hole;		/* when holes are looked at, */
	int64		next_prepared;	/* and what prepared transactions may have
								 * purged */
	int64		answered_since; /* oldest answer to settle, 0: there is none */
	int64		last_start;		/* of a request */
}			state = {.options_changed = true, .look = true, .next_unread = NEVER};

/*
 * One step.  It runs when it is due, but not before the moment that it named
 * when it ran last; what is urgent does not wait for that.
 */
typedef struct Step
{
	bool		(*urgent) (void);	/* NULL: it never is */
	int64		(*due) (int64 now); /* the moment, past or to come; NULL: past */
	int64		(*run) (int64 now); /* returns not_before */
	int64		not_before;
} Step;

/* ----- destinations, their options, keys and pauses ----- */

/* a server or a user mapping; it may come in the middle of a round */
static void
server_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	state.options_changed = true;
}

static bool
refresh_is_urgent(void)
{
	return state.options_changed || state.slot->refresh || braze_new_pauses;
}

static int64
refresh_destinations(int64 now)
{
	bool		changed = state.options_changed || state.options_unread;
	uint64		unread = braze_table_write_unread;

	/* before the reading: what is changed during it is read again */
	state.slot->refresh = braze_new_pauses = state.options_changed = false;
	state.refreshed = braze_round_refresh(changed);

	/* what failed would fail again at once, so this makes nothing urgent */
	state.options_unread = changed && !state.refreshed;
	state.look = state.collectors = true;

	/* of a start that could not be read nobody tells a second time */
	if (!state.refreshed || unread != braze_table_write_unread)
		return now + Min(RETRY_MS, braze_nap);
	return now + braze_nap;
}

/* ----- what was taken out of the queue ----- */

static bool
gone_is_urgent(void)
{
	/* before the look: what is purged during it is looked for again */
	if (!state.slot->purged)
		return false;
	state.slot->purged = false;
	braze_gone_due = true;
	return true;
}

/* a prepared transaction may have done it: that is looked at once in a nap */
static int64
gone_due(int64 now)
{
	return braze_gone_due ? now : state.slot->purged_perhaps ? state.next_prepared : NEVER;
}

static int64
remove_gone(int64 now)
{
	int			retry;

	if (!braze_gone_due)
		state.next_prepared = now + braze_nap;
	braze_gone_due = true;
	state.slot->purged_perhaps = false;
	retry = braze_round_gone();
	return retry == 0 ? now : braze_now_ms() + retry;
}

/* ----- what is answered ----- */

/* may a destination send nothing until its answers are settled? */
static bool
settle_is_wanted(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		if (braze_exchange_wants_settle(lfirst(cell)))
			return true;
	}
	return false;
}

/* when it pays, or when nothing else is left to do */
static int64
settle_due(int64 now)
{
	int			pending = braze_round_settle_pending();

	if (pending == 0)
	{
		long		wait = braze_round_settle_wait();

		state.answered_since = 0;
		return wait < 0 ? NEVER : now + Max(wait, 1);
	}
	if (state.answered_since == 0)
		state.answered_since = now;

	/*
	 * A commit costs as much for one call as for hundreds, so while answers
	 * are to come it waits for some of them.  Not after a start, when the one
	 * request that goes alone holds up all others, and not when a destination
	 * may send no more until it has settled.
	 */
	if (braze_exchange_transfers() > 0 && braze_first_settle_done &&
		!settle_is_wanted() && pending < BRAZE_SETTLE_BATCH)
		return state.answered_since + SETTLE_DELAY_MS;
	return now;
}

static int64
settle_answered(int64 now)
{
	int			retry = braze_round_settle();

	state.answered_since = 0;
	return retry == 0 ? now : braze_now_ms() + retry;
}

/* the sums of what was delivered, when no settle has taken them along */
static int64
activity_due(int64 now)
{
	long		wait = braze_round_tally_wait();

	return wait < 0 ? NEVER : now + wait;
}

static int64
save_activity(int64 now)
{
	braze_round_tally_save();
	return now;
}

/* what was claimed and not sent survives this process only in the queue */
static int64
release_due(int64 now)
{
	return braze_claim_release_wanted() ? now : NEVER;
}

static int64
release_claimed(int64 now)
{
	return braze_claim_release() ? now : braze_now_ms() + RETRY_MS;
}

/* ----- what is queued ----- */

/* when somebody has queued something, and while holes may fill unannounced */
static int64
read_due(int64 now)
{
	if (!braze_deliver)
		return NEVER;
	if (state.look)
		return now;
	return braze_round_read_has_holes() ? Min(state.next_hole, state.next_unread) : state.next_unread;
}

static int64
read_queue(int64 now)
{
	BrazeReadResult result;
	uint64		unread = braze_table_write_unread;

	/* before the read: what is queued during it sets the latch again */
	state.look = false;
	result = braze_round_read_queue();
	now = braze_now_ms();
	state.next_unread = unread == braze_table_write_unread ? NEVER : now + RETRY_MS;
	state.next_hole = now + HOLE_INTERVAL_MS;
	state.look = (result != BRAZE_READ_ALL);
	if (result == BRAZE_READ_LOCKED)
		return now + BRAZE_LOCKED_RETRY_MS;
	if (result == BRAZE_READ_FAILED)
		return now + RETRY_MS;

	/* while Braze is at work, rows gather: fewer reads find as much */
	if (result != BRAZE_READ_MORE && braze_exchange_transfers() > 0)
		return now + READ_INTERVAL_MS;
	return now;
}

/* ----- what looks after our tables, and after what people are told ----- */

static int64
look_after_tables(int64 now)
{
	return braze_round_upkeep();
}

static int64
look_for_outages(int64 now)
{
	braze_outage_log_look();
	return now + braze_nap;
}

static int64
figures_due(int64 now)
{
	int64		wait = braze_delivery_figures_wait(now);

	return wait < 0 ? NEVER : now + wait;
}

/*
 * the report at the end of this turn has them, and says when they are due again
 */
static int64
look_at_figures(int64 now)
{
	braze_delivery_figures_look(now);
	return now + FIGURES_MS;
}

/* ----- what waits ----- */

static int64
count_due(int64 now)
{
	return braze_queue_recount_due();
}

static int64
count_waiting(int64 now)
{
	return braze_round_succeeds("counting what waits", braze_queue_recount_step, NULL) ? now : now + RETRY_MS;
}

static int64
look_for_syncs(int64 now)
{
	return now + braze_sync_schedule_look();
}

static bool
collectors_are_urgent(void)
{
	bool		urgent = state.collectors;

	state.collectors = false;
	return urgent;
}

static int64
look_at_collectors(int64 now)
{
	return braze_now_ms() + braze_round_collectors();
}

/* ----- the table ----- */

/*
 * In the order in which they may do harm.  What was purged is not to be sent,
 * so it is looked for first.  Answers are settled before more is read and
 * sent: what a crash would have sent twice stays little.  What was claimed and
 * not sent goes back before anything new is claimed.
 */
enum
{
	STEP_REFRESH,
	STEP_GONE,
	STEP_SETTLE,				/* from here on in the order of the table */
	STEP_ACTIVITY,
	STEP_RELEASE,
	STEP_TABLES,
	STEP_OUTAGES,
	STEP_FIGURES,
	STEP_COUNT,
	STEP_SYNCS,
	STEP_COLLECTORS,
	STEP_READ
};

static Step steps[] = {
	[STEP_REFRESH] = {refresh_is_urgent, NULL, refresh_destinations},
	[STEP_GONE] = {gone_is_urgent, gone_due, remove_gone},
	[STEP_SETTLE] = {NULL, settle_due, settle_answered},
	[STEP_ACTIVITY] = {NULL, activity_due, save_activity},
	[STEP_RELEASE] = {NULL, release_due, release_claimed},
	[STEP_TABLES] = {NULL, NULL, look_after_tables},
	[STEP_OUTAGES] = {NULL, NULL, look_for_outages},
	[STEP_FIGURES] = {NULL, figures_due, look_at_figures},
	[STEP_COUNT] = {NULL, count_due, count_waiting},
	[STEP_SYNCS] = {NULL, NULL, look_for_syncs},
	[STEP_COLLECTORS] = {collectors_are_urgent, NULL, look_at_collectors},
	[STEP_READ] = {NULL, read_due, read_queue}
};

static int64
next_run(const Step *step, int64 now)
{
	return Max(step->not_before, step->due ? step->due(now) : 0);
}

/* returns the moment of its next run, if nothing happens before */
static int64
run_if_due(Step *step)
{
	int64		now = braze_now_ms();
	int64		next;

	if (step->urgent != NULL && step->urgent())
		step->not_before = now;
	next = next_run(step, now);
	if (next > now)
		return next;
	step->not_before = step->run(now);
	return next_run(step, braze_now_ms());
}

/* a worker that stood still proves that it may send, if there is anything */
static int64
prove_if_needed(int64 now)
{
	bool		needed = false;
	int64		wait;
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		needed = needed || (braze_delivery_open(delivery) && braze_pack_calls(delivery->pack) > 0);
	}
	wait = braze_standstill_prove(needed && braze_deliver);
	return wait > 0 ? now + wait : NEVER;
}

/*
 * A call that crashes the server on its way must not take a whole batch of
 * requests with it each time, so after a start one request goes alone.  If
 * that one hangs, another destination may try.
 */
static int64
send_all(BrazeHttp *http)
{
	int64		now = braze_now_ms();
	int64		next = braze_standstill_may_send() ? NEVER : prove_if_needed(now);
	long		claimed_wait;
	ListCell   *cell;

	if (braze_exchange_is_stopped())
		return next;
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);
		int			under_way = braze_exchange_transfers();
		int			max_transfers = INT_MAX;
		int64		wait;

		/* one at a time until an answer is settled */
		if (!braze_first_settle_done)
		{
			max_transfers = under_way;
			if (under_way == 0 ||
				(delivery->transfers == 0 && now - state.last_start >= ALONE_MS))
				max_transfers++;
		}
		wait = braze_exchange_send(delivery, http, max_transfers);
		if (wait >= 0)
			next = Min(next, now + wait);
		if (braze_exchange_transfers() > under_way)
			state.last_start = now;
	}
	if (!braze_first_settle_done && now - state.last_start < ALONE_MS)
		next = Min(next, state.last_start + ALONE_MS);
	claimed_wait = braze_exchange_send_claimed(http);
	return claimed_wait < 0 ? next : Min(next, now + claimed_wait);
}

static void
report_all(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
		braze_delivery_report(lfirst(cell));
}

void
braze_timetable_init(BrazeDatabaseSlot *slot)
{
	state.slot = slot;
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, server_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, server_changed, (Datum) 0);
}

void
braze_timetable_look(void)
{
	/* before the look, as with the latch */
	state.slot->queued = false;
	state.look = true;
}

bool
braze_timetable_is_told(void)
{
	if (state.slot->queued)
	{
		braze_timetable_look();
		return true;
	}
	return state.slot->refresh || state.slot->purged;
}

void
braze_timetable_refresh(void)
{
	steps[STEP_REFRESH].not_before = 0;
}

int64
braze_timetable_turn(BrazeHttp *http)
{
	int64		next;
	bool		may_read;

	AcceptInvalidationMessages();
	next = run_if_due(&steps[STEP_REFRESH]);
	next = Min(next, run_if_due(&steps[STEP_GONE]));
	braze_deliveries_let_rest();
	braze_exchange_take_answers(http);
	for (int i = STEP_SETTLE; i < STEP_READ; i++)
		next = Min(next, run_if_due(&steps[i]));

	/* once a turn: what finds no row must not be asked for again at once */
	may_read = braze_round_read_may_go_on();
	if (may_read)
		state.look = true;
	next = Min(next, run_if_due(&steps[STEP_READ]));

	/*
	 * what was read now may have been queued after a pause or ALTER SERVER
	 */
	AcceptInvalidationMessages();
	state.refreshed = false;
	next = Min(next, run_if_due(&steps[STEP_REFRESH]));
	if (state.refreshed)
		next = 0;				/* it may have given every step something to
								 * do */

	/* the messages may have told of a TRUNCATE */
	next = Min(next, run_if_due(&steps[STEP_GONE]));
	braze_connection_test_begin(http);
	next = Min(next, send_all(http));

	/*
	 * Calls of which nothing had to be sent, as when requests were filled
	 * showed, are done now.  No answer will come that has them settled.
	 */
	next = Min(next, next_run(&steps[STEP_SETTLE], braze_now_ms()));

	/*
	 * What was ready may have been less than it seemed: only when requests
	 * were filled does it show how much of a user goes into one.
	 */
	if (!may_read && braze_round_read_may_go_on())
		next = 0;

	/* last, so that the status is never ahead of what has happened */
	report_all();
	return next;
}
