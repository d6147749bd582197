/*-------------------------------------------------------------------------
 *
 * delivery.c
 *	  The worker's side of one destination.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery.h"
#include "memory.h"
#include "notes.h"
#include "shmem.h"
#include "worker.h"

typedef struct Transfer
{
	BrazeHttpRequest http;		/* first: curl's side knows this address */
	BrazeDelivery *delivery;
	BrazeRequest *request;
} Transfer;

List	   *braze_deliveries = NIL;

static MemoryContext delivery_context;
static MemoryContext row_context;	/* reset after each row */
static BrazeMapped *mapped;
static int	transfers = 0;

void
braze_delivery_init(void)
{
	MemoryContext old;

	delivery_context = AllocSetContextCreate(TopMemoryContext,
											 "segment_braze deliveries",
											 ALLOCSET_DEFAULT_SIZES);
	row_context = AllocSetContextCreate(delivery_context, "segment_braze row",
										ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(delivery_context);
	mapped = braze_mapped_create();
	MemoryContextSwitchTo(old);
}

int64
braze_now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("The worker of segment_braze starts again with what is in the queue.")));
}

/* ----- what the catalogs say ----- */

BrazeDelivery *
braze_delivery_by_name(const char *name)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (strcmp(NameStr(delivery->name), name) == 0)
			return delivery;
	}
	return NULL;
}

static BrazePackLimits
limits_of(const BrazeSettings *settings)
{
	BrazePackLimits limits;

	limits.max_objects = settings->max_objects_per_request;
	limits.max_body = BRAZE_PACK_MAX_BODY;
	limits.max_in_flight = settings->max_requests_in_flight;
	limits.max_delay = settings->max_batch_delay;
	limits.identity_delay = settings->identity_delay;
	limits.changed_only = settings->changed_attributes_only;
	limits.resend_after = settings->resend_unchanged_after / SECS_PER_HOUR;
	limits.release = braze_memory_release;
	return limits;
}

static BrazeDelivery *
create_delivery(const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(delivery_context);
	BrazeDelivery *delivery = palloc0(sizeof(BrazeDelivery));
	BrazePackLimits limits = limits_of(braze_default_settings());

	namestrcpy(&delivery->name, name);
	delivery->pack = braze_pack_create(&limits);
	if (delivery->pack == NULL)
		out_of_memory();
	braze_pace_reset(&delivery->pace);
	delivery->behind = true;
	delivery->cursor = 0;
	delivery->changed = true;
	braze_deliveries = lappend(braze_deliveries, delivery);
	MemoryContextSwitchTo(old);
	return delivery;
}

static void
set_paused(BrazeDelivery *delivery, const char *reason)
{
	if (delivery->paused != NULL)
		pfree(delivery->paused);
	delivery->paused = reason ? MemoryContextStrdup(delivery_context, reason) : NULL;
	delivery->changed = true;
}

void
braze_delivery_fall_behind(BrazeDelivery *delivery, int64 cursor)
{
	if (delivery->behind && delivery->cursor <= cursor)
		return;
	delivery->behind = true;
	delivery->cursor = cursor;
}

void
braze_delivery_caught_up(BrazeDelivery *delivery)
{
	delivery->behind = false;
	free(delivery->held);
	delivery->held = NULL;
	delivery->nheld = 0;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return (left > right) - (left < right);
}

bool
braze_delivery_holds(const BrazeDelivery *delivery, int64 id)
{
	return delivery->nheld > 0 &&
		bsearch(&id, delivery->held, delivery->nheld, sizeof(int64_t),
				compare_ids) != NULL;
}

/* what waits is read again, by other settings or when it may be sent */
static void
drop_waiting(BrazeDelivery *delivery)
{
	int64		lowest = braze_pack_drop_waiting(delivery->pack);

	if (lowest == 0)
		return;
	free(delivery->held);
	delivery->held = braze_pack_ids(delivery->pack, &delivery->nheld);
	if (delivery->held == NULL)
		out_of_memory();
	braze_delivery_fall_behind(delivery, lowest - 1);
}

static void
free_target(BrazeDelivery *delivery)
{
	if (delivery->target != NULL)
		braze_http_target_free(delivery->target);
	delivery->target = NULL;
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

	delivery->key = MemoryContextStrdup(delivery_context, key);
	delivery->target = braze_http_target_create(settings->endpoint, key,
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

/*
 * A pause by the user stays until it is lifted; one by Braze's answer also
 * ends when what Braze complained of, the key or the options, has changed.
 */
static void
refresh_pause(BrazeDelivery *delivery, bool changed, const char *key_problem)
{
	BrazePause *pause = braze_pause_get(NameStr(delivery->name));

	if (pause != NULL && pause->by_worker && changed)
	{
		braze_pause_delete(NameStr(delivery->name));
		delivery->pause_to_store = false;
		pause = NULL;
	}
	if (pause != NULL)
	{
		set_paused(delivery, pause->reason);
		delivery->pause_to_store = false;
	}
	else if (key_problem != NULL)
		set_paused(delivery, key_problem);
	else if (!delivery->pause_to_store || changed)
	{
		delivery->pause_to_store = false;
		set_paused(delivery, NULL);
	}
}

static void
refresh_one(BrazeDelivery *delivery, BrazeDestination *destination)
{
	char	   *problem = NULL;
	char	   *key;
	bool		options_changed = (destination != NULL);
	bool		changed;
	bool		was_paused = (delivery->paused != NULL);

	if (destination != NULL)
	{
		BrazePackLimits limits = limits_of(&destination->settings);

		if (delivery->destination != NULL)
			MemoryContextDelete(delivery->destination->context);
		delivery->destination = destination;
		braze_pack_set_limits(delivery->pack, &limits);
	}
	else
		destination = delivery->destination;

	key = braze_destination_key(destination, &problem);
	if (key != NULL && destination->settings.endpoint == NULL)
	{
		key = NULL;
		problem = "no datacenter and no custom_api_endpoint among the options of the server";
	}
	changed = options_changed || !same_key(delivery, key);
	if (changed)
	{
		free_target(delivery);
		if (key != NULL)
			set_target(delivery, key);
		if (key != NULL && delivery->target == NULL)
			problem = "the endpoint or the REST API key holds characters that cannot be sent";
		braze_pace_reset(&delivery->pace);
	}
	refresh_pause(delivery, changed, problem);
	if (options_changed || (delivery->paused != NULL && !was_paused))
		drop_waiting(delivery);
	if (options_changed)
		braze_memory_drop_cache();
}

static void
server_is_gone(BrazeDelivery *delivery)
{
	drop_waiting(delivery);
	MemoryContextDelete(delivery->destination->context);
	delivery->destination = NULL;
	free_target(delivery);
	set_paused(delivery, "no such server");
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
		BrazeDelivery *delivery = braze_delivery_by_name(lfirst(cell));
		BrazeDestination *destination = NULL;

		if (delivery == NULL)
			delivery = create_delivery(lfirst(cell));
		if (options_changed || delivery->destination == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(delivery_context);

			destination = braze_destination_load(lfirst(cell));
			MemoryContextSwitchTo(old);
			if (destination == NULL)
				continue;		/* dropped since the names were read */
		}
		refresh_one(delivery, destination);
	}
}

/* ----- from a row to the pack ----- */

bool
braze_delivery_open(const BrazeDelivery *delivery)
{
	return delivery->destination != NULL && delivery->paused == NULL;
}

bool
braze_delivery_has_room(const BrazeDelivery *delivery)
{
	Size		share = (Size) braze_max_memory * 1024 *
		1024 / Max(list_length(braze_deliveries), 1);

	return braze_pack_memory(delivery->pack) < share;
}

static BrazeRowAddress
address_of(const BrazeQueueRow *row)
{
	BrazeRowAddress address;

	address.storage = row->storage;
	address.block = ItemPointerGetBlockNumberNoCheck(&row->tid);
	address.offset = ItemPointerGetOffsetNumberNoCheck(&row->tid);
	return address;
}

static bool
is_wanted(const BrazeQueueRow *row, int number)
{
	if (row->nobjects < 0)
		return true;
	for (int i = 0; i < row->nobjects; i++)
	{
		if (row->objects[i] == number)
			return true;
	}
	return false;
}

static char *
joined_notes(void)
{
	StringInfoData reason;

	initStringInfo(&reason);
	for (int i = 0; i < mapped->nnotes; i++)
	{
		BrazeSpan	note = mapped->notes[i].sentence;

		if (i > 0)
			appendStringInfoChar(&reason, ' ');
		appendBinaryStringInfo(&reason, mapped->text.data + note.offset,
							   note.length);
	}
	return reason.data;
}

static bool
pack_mapped(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	BrazePackObject *objects = palloc(sizeof(BrazePackObject) *
									  Max(mapped->nobjects, 1));
	BrazePackUser users[BRAZE_USERS_PER_CALL];
	int			n = 0;

	for (int i = 0; i < mapped->nobjects; i++)
	{
		const BrazeObject *object = &mapped->objects[i];

		if (!is_wanted(row, i))
			continue;
		objects[n].kind = object->kind;
		objects[n].number = i;
		objects[n].json = mapped->text.data + object->json.offset;
		objects[n].length = object->json.length;
		n++;
	}
	if (n == 0)
		return braze_pack_add_done(delivery->pack, row->id, address_of(row), NULL);
	for (int i = 0; i < mapped->nusers; i++)
	{
		const char *key = mapped->text.data + mapped->users[i].json.offset;

		users[i].key = key;
		users[i].length = mapped->users[i].json.length;
		users[i].link = mapped->users[i].link;
		users[i].profile = NULL;
		if (braze_memory_needed(&delivery->destination->settings))
			users[i].profile = braze_memory_get(NameStr(delivery->name), key,
												users[i].length);
	}
	return braze_pack_add(delivery->pack, row->id, address_of(row), n, objects,
						  mapped->nusers, users, braze_now_ms());
}

void
braze_delivery_take(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(row_context);
	bool		packed = true;

	braze_map_call(DatumGetJsonbP(row->call), &delivery->destination->settings,
				   row->queued_at, GetCurrentTransactionStartTimestamp(), mapped);
	braze_notes_count(NameStr(delivery->name), row->id, mapped);
	switch (mapped->outcome)
	{
		case BRAZE_SEND:
			packed = pack_mapped(delivery, row);
			break;
		case BRAZE_SKIP:
			packed = braze_pack_add_done(delivery->pack, row->id,
										 address_of(row), NULL);
			break;
		case BRAZE_REJECT:
			packed = braze_pack_add_done(delivery->pack, row->id,
										 address_of(row), joined_notes());
			break;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(row_context);
	if (!packed)
		out_of_memory();
}

void
braze_delivery_reject(BrazeDelivery *delivery, const BrazeQueueRow *row,
					  const char *reason)
{
	if (!braze_pack_add_done(delivery->pack, row->id, address_of(row), reason))
		out_of_memory();
}

/* ----- requests and answers ----- */

int
braze_delivery_transfers(void)
{
	return transfers;
}

static double
random_fraction(void)
{
	return (double) random() / ((double) RAND_MAX + 1);
}

static void
note_error(BrazeDelivery *delivery, const char *reason)
{
	strlcpy(delivery->last_error, reason, sizeof(delivery->last_error));
	delivery->last_error_at = GetCurrentTimestamp();
	delivery->changed = true;
}

/* Braze does not want this destination's requests: keep all, and say so */
static void
pause_by_answer(BrazeDelivery *delivery, const char *reason)
{
	if (delivery->paused != NULL)
		return;
	set_paused(delivery, reason);
	delivery->pause_to_store = true;
	drop_waiting(delivery);
	ereport(LOG,
			(errmsg("segment_braze: destination \"%s\" is paused",
					NameStr(delivery->name)),
			 errdetail("%s", reason),
			 errhint("Mend what it says; then braze_resume('%s'), or changing the server's options or key, sends what is queued.",
					 NameStr(delivery->name))));
}

static void transfer_failed(BrazeHttp *http, Transfer *transfer);

static void
start_transfer(BrazeHttp *http, Transfer *transfer)
{
	BrazeDelivery *delivery = transfer->delivery;

	transfer->http.target = delivery->target;
	transfer->http.path = braze_endpoints[braze_request_endpoint(transfer->request)].path;
	transfer->http.body = braze_request_body(transfer->request,
											 &transfer->http.body_length);
	transfer->http.owner = transfer;
	braze_pace_started(&delivery->pace);
	delivery->counts.requests++;
	delivery->changed = true;
	if (!braze_http_send(http, &transfer->http))
		transfer_failed(http, transfer);
}

/*
 * The identity endpoints need permissions of their own.  Without one, its
 * calls become dead letters that say so, and /users/track goes on.
 */
static BrazeNext
refuse_for_permission(Transfer *transfer, const BrazeAnswer *answer, int64_t now)
{
	BrazeEndpoint endpoint = braze_request_endpoint(transfer->request);
	char		reason[BRAZE_REASON_SIZE * 2];

	snprintf(reason, sizeof(reason),
			 "%s; the REST API key needs the permission %s",
			 answer->reason, braze_endpoints[endpoint].permission);
	return braze_request_refused(transfer->delivery->pack, transfer->request,
								 reason, (int) transfer->http.status, now);
}

/* judges a transfer that is over, and sends the next part of its request */
static void
conclude(BrazeHttp *http, Transfer *transfer, const BrazeAnswer *answer)
{
	BrazeDelivery *delivery = transfer->delivery;
	int64_t		now = braze_now_ms();
	int64_t		wait;
	BrazeNext	next;

	switch (answer->verdict)
	{
		case BRAZE_ACCEPTED:
			delivery->last_success = GetCurrentTimestamp();
			/* FALLTHROUGH */
		case BRAZE_SOME_REFUSED:
		case BRAZE_REFUSED_WHOLE:
			braze_pace_succeeded(&delivery->pace, &transfer->http.rate, now);
			break;
		case BRAZE_STOPPED:
			braze_pace_succeeded(&delivery->pace, &transfer->http.rate, now);
			if (braze_request_endpoint(transfer->request) == BRAZE_USERS_TRACK)
				pause_by_answer(delivery, answer->reason);
			break;
		case BRAZE_SLOW_DOWN:
			braze_pace_slow_down(&delivery->pace, &transfer->http.rate, now,
								 random_fraction());
			delivery->counts.retries++;
			break;
		case BRAZE_FAILED:
			braze_pace_failed(&delivery->pace, now, random_fraction());
			delivery->counts.retries++;
			break;
	}
	if (answer->verdict != BRAZE_ACCEPTED)
		note_error(delivery, answer->reason);
	else if (answer->nerrors > 0)
		note_error(delivery, answer->errors[0].reason);

	if (answer->verdict == BRAZE_STOPPED &&
		braze_request_endpoint(transfer->request) != BRAZE_USERS_TRACK)
		next = refuse_for_permission(transfer, answer, now);
	else
		next = braze_request_answered(delivery->pack, transfer->request, answer,
									  (int) transfer->http.status, now);
	braze_http_release(http, &transfer->http);
	delivery->changed = true;
	switch (next)
	{
		case BRAZE_NEXT_SEND:
			if (delivery->target != NULL &&
				braze_pace_ready(&delivery->pace, now, &wait))
			{
				start_transfer(http, transfer);
				return;
			}
			braze_request_put_off(delivery->pack, transfer->request);
			break;
		case BRAZE_NEXT_NO_MEMORY:
			out_of_memory();
			break;
		case BRAZE_NEXT_DONE:
		case BRAZE_NEXT_LATER:
			break;
	}
	delivery->transfers--;
	transfers--;
	pfree(transfer);
}

static void
transfer_failed(BrazeHttp *http, Transfer *transfer)
{
	BrazeAnswer answer;

	memset(&answer, 0, sizeof(answer));
	answer.verdict = BRAZE_FAILED;
	strlcpy(answer.reason, transfer->http.error, sizeof(answer.reason));
	transfer->http.status = 0;
	braze_rate_headers_reset(&transfer->http.rate);
	conclude(http, transfer, &answer);
}

void
braze_delivery_answered(BrazeHttp *http, BrazeHttpRequest *done)
{
	Transfer   *transfer = done->owner;
	BrazeAnswer answer;

	if (!braze_answer_read(&answer, braze_request_sent(transfer->request),
						   done->status, done->answer, done->answer_length,
						   done->truncated, done->error))
		out_of_memory();
	conclude(http, transfer, &answer);
	braze_answer_free(&answer);
}

int64
braze_delivery_send(BrazeDelivery *delivery, BrazeHttp *http, int max_transfers)
{
	while (braze_delivery_open(delivery) && transfers < max_transfers)
	{
		int64_t		wait = -1;
		Transfer   *transfer;
		BrazeRequest *request;
		int64		now = braze_now_ms();

		if (!braze_pace_ready(&delivery->pace, now, &wait))
			return wait;
		request = braze_pack_next_request(delivery->pack, now, &wait);
		if (request == NULL)
			return wait;
		transfer = MemoryContextAllocZero(delivery_context, sizeof(Transfer));
		transfer->delivery = delivery;
		transfer->request = request;
		transfers++;
		delivery->transfers++;
		start_transfer(http, transfer);
	}
	return -1;
}

/* ----- what becomes of it ----- */

void
braze_delivery_settled(BrazeDelivery *delivery, const BrazeCall *call)
{
	if (call->nrefused > 0)
		delivery->counts.rejected++;
	else if (call->nobjects == 0)
		delivery->counts.skipped++;
	else
		delivery->counts.delivered++;
	delivery->changed = true;
	braze_pack_forget(delivery->pack, call);
}

void
braze_delivery_report(BrazeDelivery *delivery)
{
	BrazeDestinationSlot *slot;

	if (!delivery->changed)
		return;
	delivery->changed = false;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_destination_slot(MyDatabaseId, NameStr(delivery->name), true);
	if (slot != NULL)
	{
		slot->state = delivery->paused != NULL ? BRAZE_DESTINATION_PAUSED
			: delivery->pace.failures > 0 ? BRAZE_DESTINATION_RETRYING
			: BRAZE_DESTINATION_RUNNING;
		slot->in_flight = delivery->transfers;
		slot->requests += delivery->counts.requests;
		slot->delivered += delivery->counts.delivered;
		slot->skipped += delivery->counts.skipped;
		slot->rejected += delivery->counts.rejected;
		slot->retries += delivery->counts.retries;
		slot->unchanged += braze_pack_take_unchanged(delivery->pack);
		slot->last_success = Max(slot->last_success, delivery->last_success);
		if (delivery->last_error_at > slot->last_error_at)
		{
			slot->last_error_at = delivery->last_error_at;
			strlcpy(slot->last_error, delivery->last_error, BRAZE_MESSAGE_SIZE);
		}
		strlcpy(slot->paused, delivery->paused ? delivery->paused : "",
				BRAZE_MESSAGE_SIZE);
	}
	LWLockRelease(braze_shared->lock);
	memset(&delivery->counts, 0, sizeof(delivery->counts));
}
