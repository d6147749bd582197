/*-------------------------------------------------------------------------
 *
 * round_upkeep.c
 *	  The worker's transactions that look after our tables: what has expired is
 *	  removed, and what was postponed is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/guc.h"
#include "feed/collect_table.h"
#include "store/activity_rollup.h"
#include "store/collected_retention.h"
#include "store/dead_letters_table.h"
#include "store/deduplicate_retention.h"
#include "store/notes_table.h"
#include "store/profiles_retention.h"
#include "store/profiles_table.h"
#include "store/replica_trigger.h"
#include "worker/deliveries.h"
#include "worker/round.h"
#include "worker/round_refresh.h"
#include "worker/round_upkeep.h"

/* notes of what is not collected any more are looked for so often */
#define COLLECTED_PAUSE_MS	3600000

static bool
destinations_are_known(void)
{
	return braze_round_refreshed;
}

static int
deduplicates_for(const char *destination)
{
	const BrazeDelivery *delivery = braze_deliveries_find(destination);

	if (delivery == NULL || delivery->destination == NULL)
		return 0;
	return delivery->destination->settings.deduplicate;
}

static int
expire_messages(void)
{
	return braze_deduplicate_retention_expire(deduplicates_for);
}

/*
 * Of a destination that is not there, now or as far as the worker knows,
 * attributes are kept for as long as the option's default says.
 */
static void
profile_retention(const char *destination, int *attributes, int *visitors)
{
	const BrazeDelivery *delivery = braze_deliveries_find(destination);
	const BrazeSettings *settings = braze_destination_default_settings();

	*attributes = settings->resend_unchanged_after;
	if (delivery != NULL && delivery->destination != NULL)
	{
		settings = &delivery->destination->settings;

		/* what is sent without looking is remembered no longer */
		*attributes = settings->changed_attributes_only ? settings->resend_unchanged_after : BRAZE_FORGET_NOW;
	}
	*visitors = settings->forget_visitors_after;
}

static int
expire_profiles(void)
{
	return braze_profiles_retention_expire(profile_retention);
}

static bool
is_collected_from(const char *server, const char *table)
{
	ListCell   *cell;

	foreach(cell, braze_collect_table_anywhere())
	{
		const BrazeOrigin *origin = lfirst(cell);

		if (strcmp(NameStr(origin->server), server) == 0 && strcmp(origin->table, table) == 0)
			return true;
	}
	return false;
}

static int
expire_collected(void)
{
	int			pause = braze_collect_table_try_read() ? braze_collected_retention_expire(is_collected_from) : -1;

	return pause >= 0 ? pause : COLLECTED_PAUSE_MS;
}

static bool
letters_expire(void)
{
	return braze_dead_letter_retention > 0;
}

static int
expire_dead_letters(void)
{
	return braze_dead_letters_table_expire(braze_dead_letter_retention);
}

static bool
activity_expires(void)
{
	return braze_activity_retention > 0;
}

static int
expire_activity(void)
{
	return braze_activity_rollup_expire_sums(braze_activity_retention);
}

static int
expire_activity_users(void)
{
	return braze_activity_rollup_expire_users(braze_activity_retention);
}

/*
 * Where nothing is started, the sums are those of another database, and are
 * perhaps replicated from there.  That one adds them up: what this one made of
 * them would count twice, and take ids that the other draws, too.
 */
static bool
has_sums_of_its_own(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		if (((const BrazeDelivery *) lfirst(cell))->started)
			return true;
	}
	return false;
}

static void
notes_ended(bool done)
{
	if (done)
		braze_notes_table_stored();
}

/*
 * Each has a transaction of its own, and a back-off: a table that somebody has
 * locked, or whose trigger fails, keeps none of the others waiting.
 */
typedef struct Upkeep
{
	const char *activity;
	bool		(*is_wanted) (void);	/* NULL: it always is */
	int			(*step) (void); /* returns in how many milliseconds to go on,
								 * -1: at the next nap */
	void		(*ended) (bool done);	/* after the transaction; or NULL */
	int64		not_before;
	BrazeBackoff backoff;
} Upkeep;

#define UPKEEP_PROFILES	0

static Upkeep upkeeps[] = {
	[UPKEEP_PROFILES] = {"remembering users", braze_profiles_table_has_postponed, braze_profiles_table_store_postponed, braze_profiles_table_stored},
	{"forgetting old messages", destinations_are_known, expire_messages},
	{"counting notes", braze_notes_table_are_due, braze_notes_table_store, notes_ended},
	{"removing old dead letters", letters_expire, expire_dead_letters},
	{"forgetting old profiles", destinations_are_known, expire_profiles},
	{"forgetting what was collected", NULL, expire_collected},
	{"looking after the triggers of braze_queue", NULL, braze_replica_trigger_restore},
	{"counting dead letters", NULL, braze_dead_letters_table_count},
	{"adding up what was delivered", has_sums_of_its_own, braze_activity_rollup_sums},
	{"adding up users", has_sums_of_its_own, braze_activity_rollup_users},
	{"removing old activity", activity_expires, expire_activity},
	{"removing old activity", activity_expires, expire_activity_users}
};

typedef struct Attempt
{
	Upkeep	   *upkeep;
	bool		done;
	int			pause;
} Attempt;

static void
run_step(void *arg)
{
	Attempt    *attempt = arg;

	attempt->pause = attempt->upkeep->step();
}

static void
attempt_step(void *arg)
{
	Attempt    *attempt = arg;

	attempt->done = braze_attempt_when_due(&attempt->upkeep->backoff, NULL, run_step, attempt);
}

/* returns in how many milliseconds to go on */
static int
run_upkeep(Upkeep *upkeep)
{
	Attempt		attempt = {upkeep, false, -1};
	bool		done;

	if (upkeep->is_wanted != NULL && !upkeep->is_wanted())
		return braze_nap;

	/* what was done is done only once it has committed */
	done = braze_round_succeeds(upkeep->activity, attempt_step, &attempt) && attempt.done;
	if (upkeep->ended != NULL)
		upkeep->ended(done);
	return done && attempt.pause >= 0 ? attempt.pause : braze_nap;
}

int64
braze_round_upkeep(void)
{
	int64		next = PG_INT64_MAX;

	for (int i = 0; i < lengthof(upkeeps); i++)
	{
		Upkeep	   *upkeep = &upkeeps[i];
		int64		now = braze_now_ms();

		if (upkeep->not_before <= now)
			upkeep->not_before = now + run_upkeep(upkeep);
		next = Min(next, upkeep->not_before);
	}
	return next;
}

void
braze_round_upkeep_profiles(void)
{
	(void) run_upkeep(&upkeeps[UPKEEP_PROFILES]);
}
