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

static int
expire_dead_letters(void)
{
	return braze_dead_letters_table_expire(braze_dead_letter_retention);
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

typedef struct Upkeep
{
	int			(*step) (void);
	BrazeBackoff *backoff;
	bool		done;
	int			pause;
} Upkeep;

static void
run_step(void *arg)
{
	Upkeep	   *upkeep = arg;

	upkeep->pause = upkeep->step();
}

static void
attempt_step(void *arg)
{
	Upkeep	   *upkeep = arg;

	upkeep->done = braze_attempt_when_due(upkeep->backoff, NULL, run_step, upkeep);
}

/* returns in how many milliseconds to go on; *ok: did it succeed? */
static int
upkeep_round(const char *activity, int (*step) (void), BrazeBackoff *backoff, bool *ok)
{
	Upkeep		upkeep = {step, backoff, false, -1};
	bool		done = braze_round_succeeds(activity, attempt_step, &upkeep) && upkeep.done;

	if (ok != NULL)
		*ok = done;
	return done && upkeep.pause >= 0 ? upkeep.pause : braze_nap;
}

int
braze_round_upkeep_messages(void)
{
	static BrazeBackoff backoff;

	return braze_round_refreshed ? upkeep_round("forgetting old messages", expire_messages, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_notes(void)
{
	static BrazeBackoff backoff;
	bool		stored = false;

	if (braze_notes_table_are_due())
		(void) upkeep_round("counting notes", braze_notes_table_store, &backoff, &stored);
	if (stored)
		braze_notes_table_stored();
	return braze_nap;
}

int
braze_round_upkeep_old_profiles(void)
{
	static BrazeBackoff backoff;

	return braze_round_refreshed ? upkeep_round("forgetting old profiles", expire_profiles, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_profiles(void)
{
	static BrazeBackoff backoff;
	bool		stored = false;

	if (braze_profiles_table_has_postponed())
	{
		(void) upkeep_round("remembering users", braze_profiles_table_store_postponed, &backoff, &stored);
		braze_profiles_table_stored(stored);
	}
	return braze_nap;
}

int
braze_round_upkeep_dead_letters(void)
{
	static BrazeBackoff backoff;

	return braze_dead_letter_retention > 0 ?
		upkeep_round("removing old dead letters", expire_dead_letters, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_old_collected(void)
{
	static BrazeBackoff backoff;

	return upkeep_round("forgetting what was collected", expire_collected, &backoff, NULL);
}

int
braze_round_upkeep_letter_counts(void)
{
	static BrazeBackoff backoff;

	return upkeep_round("counting dead letters", braze_dead_letters_table_count, &backoff, NULL);
}

int
braze_round_upkeep_replica_trigger(void)
{
	static BrazeBackoff backoff;

	return upkeep_round("looking after the triggers of braze_queue", braze_replica_trigger_restore, &backoff, NULL);
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

int
braze_round_upkeep_activity_sums(void)
{
	static BrazeBackoff backoff;

	return has_sums_of_its_own() ?
		upkeep_round("adding up what was delivered", braze_activity_rollup_sums, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_activity_users(void)
{
	static BrazeBackoff backoff;

	return has_sums_of_its_own() ?
		upkeep_round("adding up users", braze_activity_rollup_users, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_old_sums(void)
{
	static BrazeBackoff backoff;

	return braze_activity_retention > 0 ?
		upkeep_round("removing old activity", expire_activity, &backoff, NULL) : braze_nap;
}

int
braze_round_upkeep_old_users(void)
{
	static BrazeBackoff backoff;

	return braze_activity_retention > 0 ?
		upkeep_round("removing old activity", expire_activity_users, &backoff, NULL) : braze_nap;
}
