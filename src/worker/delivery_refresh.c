/*-------------------------------------------------------------------------
 *
 * delivery_refresh.c
 *	  What the catalogs, the options and the key files say of a destination.
 *
 * A server that is new gets a BrazeDelivery here, and one that is gone loses it
 * once nothing of it is under way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/size_counter.h"
#include "base/steady_time.h"
#include "braze/limits.h"
#include "destination/api_key.h"
#include "store/attribute_period.h"
#include "store/profiles_table.h"
#include "worker/activity.h"
#include "worker/deliveries.h"
#include "worker/delivery.h"
#include "worker/delivery_cursor.h"
#include "worker/delivery_figures.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_refresh.h"
#include "worker/delivery_stuck.h"
#include "worker/outage_log.h"
#include "worker/round_tally.h"

/* over all identity endpoints */
#define IDENTITY_REQUESTS_PER_SECOND	(BRAZE_LIMIT_IDENTITY_PER_MINUTE / 60.0)

/*
 * What is held of one user: as they get one request at a time, this much is
 * there while more of their calls are read again.
 */
#define REQUESTS_AHEAD	8

/* the destinations were read since the worker started */
static bool refreshed = false;

/* since 1970 */
static uint32_t
current_hour(void)
{
	return (uint32_t) (timestamptz_to_time_t(braze_steady_time()) / SECS_PER_HOUR);
}

static BrazePackLimits
limits_of(BrazeDelivery *delivery, const BrazeSettings *settings)
{
	BrazePackLimits limits;

	limits.max_objects = settings->max_objects_per_request;
	limits.max_body = BRAZE_PACK_MAX_BODY;
	limits.max_open_requests = settings->max_requests_in_flight;
	limits.max_waiting = REQUESTS_AHEAD * settings->max_objects_per_request;
	limits.max_delay = settings->max_batch_delay;
	limits.max_retry_age = (int64_t) settings->max_retry_age * 1000;
	limits.identity_delay = settings->identity_delay;
	limits.at_most_once = (settings->delivery == BRAZE_AT_MOST_ONCE);
	limits.changed_only = settings->changed_attributes_only;
	limits.resend_after = settings->resend_unchanged_after / SECS_PER_HOUR;
	limits.release = braze_profiles_table_release;
	limits.end_flight = braze_delivery_end_flight;
	limits.owner = delivery;
	limits.hour = current_hour;
	return limits;
}

static void
reset_pace(BrazeDelivery *delivery)
{
	for (int i = 0; i < BRAZE_SERVICES; i++)
		braze_pace_reset(&delivery->pace[i]);
	braze_delivery_figures_reset_limits(delivery);
}

/*
 * For a server that is met for the first time.  It begins behind the reader, at
 * the start of the queue: its calls may be older than the server.
 */
static BrazeDelivery *
create_delivery(const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(braze_deliveries_context);
	BrazeDelivery *delivery = palloc0(sizeof(BrazeDelivery));
	BrazePackLimits limits = limits_of(delivery, braze_destination_default_settings());

	namestrcpy(&delivery->name, name);
	delivery->pack = braze_pack_create(&limits);
	if (delivery->pack == NULL)
		braze_deliveries_out_of_memory();
	reset_pace(delivery);
	braze_bucket_set(&delivery->identity_requests, IDENTITY_REQUESTS_PER_SECOND);
	delivery->size = braze_size_counter_of(name);
	delivery->period = braze_attribute_period_find(name);
	delivery->behind = true;
	delivery->cursor = 0;

	/* nothing is sent while it cannot be read */
	delivery->paused = pstrdup("whether it is started and paused has yet to be read");
	delivery->changed = true;
	braze_delivery_stuck_begin(delivery);
	braze_deliveries_add(delivery);
	MemoryContextSwitchTo(old);
	return delivery;
}

/* the key is wiped, so that no core dump and no reused memory shows it */
static void
free_target(BrazeDelivery *delivery)
{
	if (delivery->target != NULL)
		braze_http_url_free(delivery->target);
	delivery->target = NULL;
	delivery->target_number++;
	if (delivery->key != NULL)
	{
		explicit_bzero(delivery->key, strlen(delivery->key));
		pfree(delivery->key);
	}
	delivery->key = NULL;
}

static void
set_target(BrazeDelivery *delivery, const char *key)
{
	const BrazeSettings *settings = &delivery->destination->settings;

	delivery->key = MemoryContextStrdup(braze_deliveries_context, key);
	delivery->target = braze_http_url_create(settings->endpoint, key,
											 settings->ca_file,
											 settings->request_timeout);
}

static bool
same_key(const BrazeDelivery *delivery, const char *key)
{
	if (delivery->key == NULL || key == NULL)
		return delivery->key == key;
	return strcmp(delivery->key, key) == 0;
}

static void
set_period(void *arg)
{
	BrazeDelivery *delivery = arg;

	delivery->period_set = braze_profiles_table_remember(NameStr(delivery->name),
														 delivery->destination->settings.changed_attributes_only);
}

/*
 * Begins or ends what is remembered of attributes, as the option says.  Until
 * that has committed nothing is left out, and nothing is read that would make
 * what the table has untrue.  A destination that sends nothing leaves the table
 * alone: its rows may be about to be restored.
 */
static void
refresh_attributes(BrazeDelivery *delivery)
{
	const BrazeSettings *settings = &delivery->destination->settings;
	BrazePackLimits limits;

	delivery->period_set = false;
	if (braze_attribute_period_is(NameStr(delivery->name), settings->changed_attributes_only))
		return;
	if (delivery->paused == NULL && braze_delivery_stuck_until(delivery) == 0 &&
		!braze_attempt_when_due(&delivery->period_backoff, NameStr(delivery->name),
								set_period, delivery))
		delivery->period_set = false;	/* whatever it had come to */
	limits = limits_of(delivery, settings);
	limits.changed_only = false;
	braze_pack_set_limits(delivery->pack, &limits);
}

/* destination: the one to take over from now on, NULL: it is as before */
static void
refresh_one(BrazeDelivery *delivery, BrazeDestination *destination)
{
	char	   *problem = NULL;
	char	   *key;
	bool		options_changed = (destination != NULL);
	bool		changed;
	bool		was_paused = (delivery->known && delivery->paused != NULL);

	braze_activity_about(NameStr(delivery->name));

	/*
	 * Three things may have changed, and each undoes something else. Options:
	 * what waits was mapped and packed by the old ones.  Key or endpoint:
	 * what was learned of Braze was learned through the old ones, such as how
	 * fast it may be sent to.  A pause: what waits may be taken out of the
	 * queue while it lasts.  What is under way is left alone in each case.
	 */
	if (destination != NULL)
	{
		BrazePackLimits limits = limits_of(delivery, &destination->settings);

		/* until the commit, or an error below would leave half of it undone */
		delivery->taking_over = true;
		if (delivery->destination != NULL)
			MemoryContextDelete(delivery->destination->context);
		delivery->destination = destination;
		if (delivery->size == NULL)
			delivery->size = braze_size_counter_of(NameStr(delivery->name));
		braze_pack_set_limits(delivery->pack, &limits);
		delivery->at_most_once = limits.at_most_once;
		braze_bucket_set(&delivery->requests,
						 destination->settings.max_requests_per_second / 1000.0);
	}
	else
		destination = delivery->destination;

	/* at every refresh: no invalidation tells of a new key file */
	key = braze_api_key_read(destination, &problem);
	if (key != NULL && destination->settings.endpoint == NULL)
	{
		key = NULL;
		problem = "no datacenter and no custom_api_endpoint among the options of the server";
	}
	changed = options_changed || !same_key(delivery, key);
	if (changed)
	{
		delivery->taking_over = true;
		free_target(delivery);
		if (key != NULL)
			set_target(delivery, key);
		if (key != NULL && delivery->target == NULL)
			problem = "the endpoint or the REST API key holds characters that cannot be sent";
		reset_pace(delivery);
		braze_object_limit_reset(delivery->pack);
	}

	/*
	 * A start of the worker changes nothing: a pause survives it.  A server
	 * that is created later is another than what was paused under its name.
	 */
	braze_delivery_pause_refresh(delivery, changed && refreshed, problem);

	/* it sets the limits once more, until the table says the same */
	refresh_attributes(delivery);
	if (options_changed || (delivery->paused != NULL && !was_paused))
		braze_delivery_cursor_drop_waiting(delivery);

	if (delivery->paused != NULL)
		braze_outage_log_cancel(delivery);

	/*
	 * nothing was sent meanwhile, so how Braze failed before says nothing now
	 */
	for (int i = 0; i < BRAZE_SERVICES; i++)
	{
		if (was_paused || delivery->paused != NULL || !braze_deliver)
			braze_pace_rested(&delivery->pace[i]);
	}
	if (was_paused && delivery->paused == NULL)
	{
		/* somebody has looked into it, so it is judged anew */
		delivery->resumed = true;
		braze_refusal_rate_reset(&delivery->refusals);
	}
	if (options_changed)
		braze_profiles_table_drop_cache();
	braze_activity_about(NULL);
}

/* its calls stay in the queue, for a server of the same name */
static void
server_is_gone(BrazeDelivery *delivery)
{
	braze_delivery_cursor_drop_waiting(delivery);
	MemoryContextDelete(delivery->destination->context);
	delivery->destination = NULL;
	free_target(delivery);
	delivery->pauses_known = delivery->started = delivery->not_started = false;
	braze_outage_log_cancel(delivery);
	braze_delivery_pause_set(delivery, "no such server");
}

/*
 * Is its server gone, with all that was held for it?  The status says so then.
 * What is queued for it is read from the start when there is such a server.
 */
static bool
nothing_is_left(const BrazeDelivery *delivery)
{
	return delivery->destination == NULL && !delivery->changed &&
		(delivery->tally == NULL || !braze_tally_has_unsaved(delivery->tally)) &&
		delivery->transfers == 0 && braze_pack_calls(delivery->pack) == 0;
}

static void
free_delivery(BrazeDelivery *delivery)
{
	braze_pack_destroy(delivery->pack);
	if (delivery->tally != NULL)
		braze_tally_destroy(delivery->tally);
	if (delivery->paused != NULL)
		pfree(delivery->paused);
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (delivery->closed[i] != NULL)
			pfree(delivery->closed[i]);
	}
	if (delivery->failing_reason != NULL)
		pfree(delivery->failing_reason);
	free(delivery->held);
	free(delivery->listed);
	pfree(delivery);
}

static bool
name_in_list(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * The destination if it is another than we know, else NULL.  An invalidation
 * names no server, or tells only that some were lost: it says to look, and not
 * that anything has changed.
 */
static BrazeDestination *
load_changed(const BrazeDelivery *delivery)
{
	MemoryContext old = MemoryContextSwitchTo(braze_deliveries_context);
	BrazeDestination *destination = braze_destination_load(NameStr(delivery->name));

	MemoryContextSwitchTo(old);
	if (destination != NULL && delivery->destination != NULL && !delivery->taking_over &&
		braze_destination_is_same(destination, delivery->destination))
	{
		MemoryContextDelete(destination->context);
		return NULL;
	}
	return destination;
}

void
braze_delivery_refresh(bool options_changed)
{
	List	   *names = braze_destination_names();
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->destination != NULL &&
			!name_in_list(names, NameStr(delivery->name)))
			server_is_gone(delivery);
	}
	foreach(cell, names)
	{
		BrazeDelivery *delivery = braze_deliveries_find(lfirst(cell));
		BrazeDestination *destination = NULL;

		if (delivery == NULL)
			delivery = create_delivery(lfirst(cell));
		if (options_changed || delivery->taking_over || delivery->destination == NULL)
		{
			destination = load_changed(delivery);
			if (destination == NULL && delivery->destination == NULL)
				continue;		/* dropped since the names were read */
		}
		refresh_one(delivery, destination);
	}
}

void
braze_delivery_refresh_committed(void)
{
	ListCell   *cell;

	refreshed = true;
	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		delivery->taking_over = false;
		braze_delivery_pause_committed(delivery);
		if (nothing_is_left(delivery))
		{
			braze_deliveries = foreach_delete_current(braze_deliveries, cell);
			braze_deliveries_not_found_again(delivery);
			free_delivery(delivery);
			continue;
		}
		if (delivery->destination == NULL)
			continue;
		delivery->known = true;
		if (delivery->period_set)
		{
			BrazePackLimits limits = limits_of(delivery, &delivery->destination->settings);

			braze_attribute_period_committed(NameStr(delivery->name));
			braze_pack_set_limits(delivery->pack, &limits);
			delivery->period_set = false;
		}
	}
}
