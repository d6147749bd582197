/*-------------------------------------------------------------------------
 *
 * delivery_pause.c
 *	  What a destination is not sent, or one of its endpoints, and why.
 *
 * By an operator, by an answer of Braze, for want of a key, or because nobody
 * has started it in this database.  An answer of
 * /users/track pauses the destination.  One of another endpoint pauses that
 * endpoint only: calls that need it wait, with the later ones of their users.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/database_name.h"
#include "base/table_write.h"
#include "store/paused_table.h"
#include "store/started_table.h"
#include "worker/deliveries.h"
#include "worker/delivery_cursor.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_stuck.h"
#include "worker/outage_log.h"

bool		braze_new_pauses = false;

/* replaces a reason by a copy that lives as long as the worker */
static char *
keep_reason(char *old, const char *reason)
{
	if (old != NULL)
		pfree(old);
	return reason ? MemoryContextStrdup(braze_deliveries_context, reason) : NULL;
}

void
braze_delivery_pause_set(BrazeDelivery *delivery, const char *reason)
{
	if (reason == NULL ? delivery->paused != NULL :
		delivery->paused == NULL || strcmp(delivery->paused, reason) != 0)
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: destination \"%s\" is %s",
								 NameStr(delivery->name), reason ? "paused" : "not paused any more"),
				 reason ? errdetail_internal("%s", reason) : 0));
	delivery->paused = keep_reason(delivery->paused, reason);
	delivery->changed = true;

	/* what was judged of a request that cannot go on is to be settled */
	for (int i = 0; i < BRAZE_ENDPOINTS && reason != NULL; i++)
		braze_request_progress_cancel_postponed(delivery->pack, i, braze_now_ms());
}

/* as braze_delivery_pause_set() for one endpoint */
static void
set_closed(BrazeDelivery *delivery, BrazeEndpoint endpoint, const char *reason)
{
	bool		was_closed = (delivery->closed[endpoint] != NULL);

	if ((reason != NULL) != was_closed)
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: destination \"%s\" is %s for calls that need %s",
								 NameStr(delivery->name), reason ? "paused" : "not paused any more",
								 braze_endpoints[endpoint].path),
				 reason ? errdetail_internal("%s", reason) : 0));
	delivery->closed[endpoint] = keep_reason(delivery->closed[endpoint], reason);
	delivery->changed = true;
	if (reason != NULL && !was_closed)
		braze_request_progress_cancel_postponed(delivery->pack, endpoint, braze_now_ms());
	else if (reason == NULL && was_closed)
	{
		/* what waited may have been deleted meanwhile */
		braze_delivery_cursor_drop_waiting(delivery);
		delivery->resumed = true;
	}
}

/* Braze does not want this destination's requests: keep all, and say so */
void
braze_delivery_pause(BrazeDelivery *delivery, const char *reason)
{
	if (delivery->paused != NULL)
		return;
	braze_delivery_pause_set(delivery, reason);
	delivery->unwritten.pause = braze_new_pauses = true;
	braze_delivery_cursor_drop_waiting(delivery);
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: destination \"%s\" in database \"%s\" is paused",
					NameStr(delivery->name), braze_database_name()),
			 errdetail("%s", reason),
			 errhint("Fix the cause, then call braze_start(%s), or change the server's options or key, to send the queued calls.",
					 quote_literal_cstr(NameStr(delivery->name)))));
}

/* the same of one endpoint, which needs a permission of its own */
void
braze_delivery_pause_close(BrazeDelivery *delivery, BrazeEndpoint endpoint, const char *reason)
{
	char	   *complete;

	if (delivery->closed[endpoint] != NULL)
		return;
	complete = psprintf("%s; the REST API key needs the permission %s",
						reason, braze_endpoints[endpoint].permission);
	set_closed(delivery, endpoint, complete);
	pfree(complete);
	delivery->unwritten.closed[endpoint] = braze_new_pauses = true;
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: destination \"%s\" in database \"%s\" is paused for calls that need %s",
					NameStr(delivery->name), braze_database_name(),
					braze_endpoints[endpoint].path),
			 errdetail("%s", delivery->closed[endpoint]),
			 errhint("Fix the cause, then call braze_start(%s), or change the server's options or key, to send these calls and the later ones of their users.",
					 quote_literal_cstr(NameStr(delivery->name)))));
}

/* in an attempt: others may have added triggers to the table */
static void
put_pauses(void *arg)
{
	BrazeDelivery *delivery = arg;
	BrazePause	pause;

	pause.by_worker = true;
	if (delivery->unwritten.pause && delivery->paused != NULL)
	{
		pause.endpoint = BRAZE_WHOLE_DESTINATION;
		pause.reason = delivery->paused;
		braze_paused_table_put(NameStr(delivery->name), &pause);
	}
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (!delivery->unwritten.closed[i] || delivery->closed[i] == NULL)
			continue;
		pause.endpoint = i;
		pause.reason = delivery->closed[i];
		braze_paused_table_put(NameStr(delivery->name), &pause);
	}
}

void
braze_delivery_pause_store(BrazeDelivery *delivery)
{
	bool		wanted = delivery->unwritten.pause;

	delivery->unwritten_after = delivery->unwritten;
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
		wanted = wanted || delivery->unwritten.closed[i];
	if (wanted && braze_delivery_stuck_until(delivery) == 0)
		(void) braze_attempt_when_due(&delivery->pause_backoff, NameStr(delivery->name),
									  put_pauses, delivery);
}

static void
lift_pauses(void *arg)
{
	BrazeDelivery *delivery = arg;

	delivery->unwritten_after.lift = !braze_paused_table_lift(NameStr(delivery->name));
}

static bool
has_pause_by_worker(const List *pauses)
{
	ListCell   *cell;

	foreach(cell, pauses)
	{
		if (((BrazePause *) lfirst(cell))->by_worker)
			return true;
	}
	return false;
}

/* what the table says, once those that are over have left it */
static List *
read_pauses(BrazeDelivery *delivery, bool changed)
{
	List	   *pauses = braze_paused_table_read(NameStr(delivery->name));
	BrazeUnwritten *after = &delivery->unwritten_after;

	after->lift = (after->lift || changed) && has_pause_by_worker(pauses);
	if (!after->lift)
		return pauses;
	if (braze_delivery_stuck_until(delivery) == 0 &&
		!braze_attempt_when_due(&delivery->pause_backoff, NameStr(delivery->name),
								lift_pauses, delivery))
		after->lift = true;		/* whatever it had come to */
	return braze_paused_table_read(NameStr(delivery->name));
}

/* a pause ends that is not in the table, unless it has yet to get there */
static bool
is_over(bool *unwritten, bool changed)
{
	if (*unwritten && !changed)
		return false;
	*unwritten = false;
	return true;
}

/*
 * the log says it when it begins; a pause that somebody wrote down goes before
 */
static void
set_not_started(BrazeDelivery *delivery, bool not_started)
{
	if (not_started && !delivery->not_started)
		ereport(LOG,
				(errhidecontext(true),
				 errmsg("segment_braze: destination \"%s\" is not started in database \"%s\", its calls stay in the queue",
						NameStr(delivery->name), braze_database_name()),
				 errhint("If this is the database to deliver from, run SELECT braze_start(%s).",
						 quote_literal_cstr(NameStr(delivery->name)))));
	delivery->not_started = not_started;
}

/* not being started is not a pause: set_not_started() tells of it */
static void
log_change(const BrazeDelivery *delivery, const char *before, const char *reason)
{
	if (delivery->not_started || (before == NULL && reason == NULL) ||
		(before != NULL && reason != NULL && strcmp(before, reason) == 0))
		return;
	braze_outage_log_pause(delivery, reason);
}

/*
 * Somebody has locked braze_paused, so what it said last counts: nothing that
 * was paused goes on.  A change that ends pauses does so when they can be read.
 */
static void
keep_pauses(BrazeDelivery *delivery, const char *before, bool changed, const char *key_problem)
{
	BrazeUnwritten *after = &delivery->unwritten_after;
	const char *reason = NULL;

	after->lift = after->lift || changed;
	(void) is_over(&after->pause, changed);
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
		(void) is_over(&after->closed[i], changed);
	if (!delivery->pauses_known)
		reason = "whether it is paused cannot be read: " BRAZE_LOCKED_TABLE("braze_paused");
	else if (delivery->paused == NULL)
		reason = key_problem;
	if (reason == NULL)
		return;
	log_change(delivery, before, reason);
	braze_delivery_pause_set(delivery, reason);
}

/*
 * Why a destination that nobody has paused does not deliver from here, NULL: it
 * does.  If somebody has locked braze_started, what it said last counts, and a
 * start that was never read is none.
 */
static const char *
why_not_started(BrazeDelivery *delivery)
{
	bool		readable = braze_started_table_try_read();

	if (readable)
		delivery->started = braze_started_table_has(NameStr(delivery->name));
	set_not_started(delivery, readable && !delivery->started);
	if (delivery->started)
		return NULL;
	return readable ? braze_started_table_advice(NameStr(delivery->name))
		: "whether it is started cannot be read: " BRAZE_LOCKED_TABLE("braze_started");
}

/*
 * A pause by the user stays until it is lifted; one by Braze's answer also
 * ends when what Braze complained of, the key or the options, has changed.
 */
void
braze_delivery_pause_refresh(BrazeDelivery *delivery, bool changed, const char *key_problem)
{
	const char *before = delivery->known && !delivery->not_started ? delivery->paused : NULL;
	const char *paused = NULL;
	const char *closed[BRAZE_ENDPOINTS] = {NULL};
	BrazeUnwritten *after = &delivery->unwritten_after;
	ListCell   *cell;

	if (!braze_paused_table_try_read())
	{
		keep_pauses(delivery, before, changed, key_problem);
		return;
	}
	delivery->pauses_known = true;
	foreach(cell, read_pauses(delivery, changed))
	{
		BrazePause *pause = lfirst(cell);

		if (pause->endpoint == BRAZE_WHOLE_DESTINATION)
			paused = pause->reason;
		else
			closed[pause->endpoint] = pause->reason;
	}

	/*
	 * A pause that somebody wrote down comes before the want of a start, and
	 * both before a key that cannot be used: only one reason is shown, and
	 * this is the order in which the operator has to act.
	 */
	if (paused != NULL)
	{
		/* braze_pause deletes the note of the start as well */
		delivery->started = false;
		set_not_started(delivery, false);
	}
	else
		paused = why_not_started(delivery);
	if (paused == NULL)
		paused = key_problem;

	/*
	 * What the table has need not be written any more.  A pause that the
	 * table does not have was lifted, unless it is still on its way there.
	 */
	if (paused != NULL)
		after->pause = false;
	if (paused != NULL || is_over(&after->pause, changed))
	{
		log_change(delivery, before, paused);
		braze_delivery_pause_set(delivery, paused);
	}

	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (closed[i] != NULL)
			after->closed[i] = false;
		if (closed[i] != NULL || is_over(&after->closed[i], changed))
			set_closed(delivery, i, closed[i]);
	}
}

void
braze_delivery_pause_committed(BrazeDelivery *delivery)
{
	delivery->unwritten = delivery->unwritten_after;
}

const char *
braze_delivery_pause_text(const BrazeDelivery *delivery)
{
	static char text[BRAZE_REASON_SIZE * 2];

	if (delivery->paused != NULL)
		return delivery->paused;
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (delivery->closed[i] == NULL)
			continue;
		snprintf(text, sizeof(text), "calls that need %s wait: %s",
				 braze_endpoints[i].path, delivery->closed[i]);
		return text;
	}
	return NULL;
}
