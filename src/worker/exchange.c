/*-------------------------------------------------------------------------
 *
 * exchange.c
 *	  Requests of one destination going out, and what their answers mean for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/message.h"
#include "base/steady_time.h"
#include "worker/claim.h"
#include "worker/connection_test.h"
#include "worker/deliveries.h"
#include "worker/delivery_figures.h"
#include "worker/delivery_pause.h"
#include "worker/delivery_stuck.h"
#include "worker/delivery_utf8.h"
#include "worker/exchange.h"
#include "worker/memory_budget.h"
#include "worker/outage_log.h"
#include "worker/round.h"
#include "worker/round_settle.h"
#include "worker/round_tally.h"
#include "worker/standstill.h"

static int	transfers = 0;		/* over all destinations */
static uint64 requests = 0;		/* since the worker started */
static dlist_head all_transfers = DLIST_STATIC_INIT(all_transfers);

static void fail_transfer(BrazeHttp *http, BrazeTransfer *transfer);

int
braze_exchange_transfers(void)
{
	return transfers;
}

static double
random_fraction(void)
{
	return (double) random() / ((double) RAND_MAX + 1);
}

/* for the status, which shows the last one */
static void
note_error(BrazeDelivery *delivery, const char *reason)
{
	braze_message_copy(delivery->last_error, reason, sizeof(delivery->last_error));
	delivery->last_error_at = GetCurrentTimestamp();
	delivery->changed = true;
}

/* Braze limits the endpoints of one service together */
static BrazePace *
pace_of(BrazeDelivery *delivery, BrazeEndpoint endpoint)
{
	return &delivery->pace[endpoint == BRAZE_USERS_TRACK ? BRAZE_TRACK_SERVICE
						   : BRAZE_IDENTITY_SERVICE];
}

/* may a request start now?  If not, wait is made no longer than until it may */
static bool
may_send(BrazeDelivery *delivery, BrazeEndpoint endpoint, bool fresh, int64_t now,
		 int64_t *wait)
{
	int64_t		until = -1;

	if (delivery->closed[endpoint] == NULL &&
		braze_pace_ready(pace_of(delivery, endpoint), fresh, now, &until) &&
		braze_bucket_ready(&delivery->requests, now, &until) &&
		(endpoint == BRAZE_USERS_TRACK ||
		 braze_bucket_ready(&delivery->identity_requests, now, &until)))
		return true;
	if (until >= 0 && (*wait < 0 || until < *wait))
		*wait = until;
	return false;
}

/* from here on the clocks count it as started */
static void
reserve_transfer(BrazeTransfer *transfer)
{
	BrazeDelivery *delivery = transfer->delivery;
	BrazeEndpoint endpoint = braze_request_state_endpoint(transfer->request);
	int64_t		now = braze_now_ms();

	braze_pace_started(pace_of(delivery, endpoint));
	braze_bucket_take(&delivery->requests, now);
	if (endpoint != BRAZE_USERS_TRACK)
		braze_bucket_take(&delivery->identity_requests, now);
}

/* hands it to curl; what curl does not take has failed like any other */
static void
send_reserved(BrazeHttp *http, BrazeTransfer *transfer)
{
	BrazeDelivery *delivery = transfer->delivery;

	transfer->http.target = delivery->target;
	transfer->target_number = delivery->target_number;
	transfer->http.path = braze_endpoints[braze_request_state_endpoint(transfer->request)].path;
	transfer->http.body = braze_request_state_body(transfer->request,
												   &transfer->http.body_length);
	transfer->http.owner = transfer;
	transfer->http.asks_before = true;
	braze_claim_begin(transfer);
	transfer->started_at = braze_now_ms();
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: destination \"%s\": request " UINT64_FORMAT " has %d calls in %zu bytes for %s",
							 NameStr(delivery->name), transfer->number,
							 braze_request_state_sent_calls(transfer->request),
							 transfer->http.body_length, transfer->http.path)));
	delivery->counts[BRAZE_COUNT_REQUESTS]++;
	delivery->sums.bytes += transfer->http.body_length;
	delivery->changed = true;
	if (!braze_http_send(http, &transfer->http))
		fail_transfer(http, transfer);
}

bool
braze_exchange_is_stopped(void)
{
	return !braze_deliver || braze_settle_blocked || braze_gone_due ||
		braze_round_is_ending() || !braze_standstill_may_send();
}

static void
end_transfer(BrazeTransfer *transfer)
{
	Assert(transfers > 0 && transfer->delivery->transfers > 0);
	transfer->delivery->transfers--;
	transfers--;
	dlist_delete(&transfer->node);
	pfree(transfer);
}

/*
 * one that was reserved is not sent after all; its request may be freed already
 */
static void
abandon_transfer(BrazeTransfer *transfer, BrazeEndpoint endpoint)
{
	braze_pace_ended(pace_of(transfer->delivery, endpoint));
	end_transfer(transfer);
}

/* nothing of it was sent: it goes on where it was, before any new request */
static void
postpone_transfer(BrazeTransfer *transfer)
{
	BrazeEndpoint endpoint = braze_request_state_endpoint(transfer->request);

	ereport(DEBUG1,
			(errmsg_internal("segment_braze: destination \"%s\": request " UINT64_FORMAT " is postponed",
							 NameStr(transfer->delivery->name), transfer->number)));
	transfer->delivery->changed = true;
	braze_request_state_postpone(transfer->delivery->pack, transfer->request);
	abandon_transfer(transfer, endpoint);
}

/*
 * Does the answer say anything of the key and the endpoint in use?  Of the one
 * that they have replaced nothing is held against them.
 */
static bool
is_of_current_target(const BrazeTransfer *transfer)
{
	return transfer->target_number == transfer->delivery->target_number;
}

static void
count_retry(const BrazeTransfer *transfer, const BrazeAnswer *answer)
{
	if (answer->verdict == BRAZE_SLOW_DOWN ||
		(answer->verdict == BRAZE_FAILED && (!answer->in_doubt || !transfer->http.once)))
		transfer->delivery->counts[BRAZE_COUNT_RETRIES]++;
}

/* what the answer says of when to send the next request */
static void
pace_by_answer(BrazeTransfer *transfer, const BrazeAnswer *answer, int64_t now)
{
	BrazeDelivery *delivery = transfer->delivery;
	BrazePace  *pace = pace_of(delivery, braze_request_state_endpoint(transfer->request));

	switch (answer->verdict)
	{
		case BRAZE_ACCEPTED:
		case BRAZE_SOME_REFUSED:
		case BRAZE_REFUSED_WHOLE:
		case BRAZE_STOPPED:
			braze_pace_succeeded(pace, &transfer->http.rate, now);
			braze_outage_log_answered(delivery);
			break;
		case BRAZE_SLOW_DOWN:
			braze_pace_slow_down(pace, &transfer->http.rate, now, random_fraction());
			break;
		case BRAZE_FAILED:
			/* its own doing: no reason to keep others waiting */
			if (braze_isolate_is_suspect(delivery->pack, transfer->request))
				braze_pace_ended(pace);
			else
				braze_pace_failed(pace, !braze_request_state_is_again(transfer->request),
								  now, random_fraction());
			break;
	}
}

static void
note_answer(BrazeDelivery *delivery, const BrazeAnswer *answer)
{
	if (answer->verdict == BRAZE_ACCEPTED)
		delivery->last_success = GetCurrentTimestamp();
	if (answer->verdict != BRAZE_ACCEPTED)
		note_error(delivery, answer->reason);
	else if (answer->nerrors > 0)
		note_error(delivery, answer->errors[0].reason);
	else if (answer->reason[0] != '\0')
		note_error(delivery, answer->reason);	/* of no object that we know */
}

/*
 * Nothing has succeeded for max_retry_age: what is older than that is given
 * up.  Looked at when an attempt has failed, so never in a pause.
 */
static void
give_up_old_calls(BrazeTransfer *transfer, BrazeEndpoint endpoint, const BrazeAnswer *answer,
				  int64_t now)
{
	BrazeDelivery *delivery = transfer->delivery;
	const BrazePace *pace = pace_of(delivery, endpoint);
	int			max_age = delivery->destination ? delivery->destination->settings.max_retry_age : 0;
	char		reason[BRAZE_REASON_SIZE + 120];
	BrazeGivingUp why;

	if (max_age == 0 || pace->failing_since < 0 ||
		now - pace->failing_since < (int64_t) max_age * 1000)
		return;
	snprintf(reason, sizeof(reason), "for %lld s all attempts have failed, the last with %s: max_retry_age is over",
			 (long long) (now - pace->failing_since) / 1000, answer->reason);
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
		why.endpoints[i] = (pace_of(delivery, i) == pace);
	why.wall_clock = braze_steady_time();
	why.queued_before = why.wall_clock - (int64_t) max_age * USECS_PER_SEC;
	why.reason = reason;
	why.http_status = (int) transfer->http.status;
	if (!braze_discard_give_up(delivery->pack, &why, now))
		braze_deliveries_out_of_memory();
}

/*
 * Single calls that Braze refuses as a whole are judged one by one.  When most
 * are, the fault is likely not theirs, and going on would turn the queue into
 * dead letters: the destination pauses.
 */
static void
guard_against_refusals(BrazeTransfer *transfer, const BrazeAnswer *answer)
{
	BrazeRefusalRate *rate = &transfer->delivery->refusals;
	const BrazeSent *sent = braze_request_state_sent(transfer->request);
	int			calls = 0;

	if (answer->verdict == BRAZE_REFUSED_WHOLE && braze_request_state_is_lone(transfer->request))
	{
		char		reason[BRAZE_REASON_SIZE + 100];

		braze_refusal_rate_judged(rate, 1, true);
		if (!braze_refusal_rate_is_high(rate))
			return;
		snprintf(reason, sizeof(reason), "over half of the last %d calls were refused as malformed, which is hardly their fault; %s",
				 BRAZE_REFUSAL_RATE_CALLS, answer->reason);
		braze_delivery_pause(transfer->delivery, reason);
	}
	else if (answer->verdict == BRAZE_SOME_REFUSED)
		braze_refusal_rate_judged(rate, answer->nerrors, false);
	else if (answer->verdict == BRAZE_ACCEPTED)
	{
		for (int i = 0; i < BRAZE_KINDS; i++)
			calls += sent->counts[i];
		braze_refusal_rate_judged(rate, calls, false);
	}
}

static const char *
verdict_name(BrazeVerdict verdict)
{
	static const char *const names[] = {
		[BRAZE_ACCEPTED] = "accepted",
		[BRAZE_SOME_REFUSED] = "some refused",
		[BRAZE_REFUSED_WHOLE] = "refused",
		[BRAZE_FAILED] = "failed",
		[BRAZE_STOPPED] = "not permitted",
		[BRAZE_SLOW_DOWN] = "too many requests"
	};

	return names[verdict];
}

/* judges a transfer that is over, and sends the next part of its request */
static void
conclude_transfer(BrazeHttp *http, BrazeTransfer *transfer, const BrazeAnswer *answer)
{
	BrazeDelivery *delivery = transfer->delivery;
	BrazeEndpoint endpoint = braze_request_state_endpoint(transfer->request);
	int			calls = braze_request_state_sent_calls(transfer->request);
	bool		is_current = is_of_current_target(transfer);
	int64_t		now = braze_now_ms();
	int64_t		wait = -1;
	BrazeNext	next;

	ereport(DEBUG1,
			(errmsg_internal("segment_braze: destination \"%s\": request " UINT64_FORMAT " of %d calls: %s with status %d after " INT64_FORMAT " ms",
							 NameStr(delivery->name), transfer->number, calls,
							 verdict_name(answer->verdict), (int) transfer->http.status,
							 now - transfer->started_at),
			 answer->reason[0] != '\0' ? errdetail_internal("%s", answer->reason) : 0));

	/*
	 * These ask what the request was when it was sent: part of one that was
	 * refused, a suspect, a single call.  Applying the answer changes that,
	 * and may free the request, so they come first.
	 */
	if (transfer->http.status > 0)
		braze_round_tally_add_request(delivery, transfer->request);
	braze_delivery_figures_add_request(delivery, endpoint, transfer->http.status,
									   now - transfer->started_at, transfer->http.rate.remaining);
	count_retry(transfer, answer);
	note_answer(delivery, answer);
	if (is_current)
	{
		pace_by_answer(transfer, answer, now);
		guard_against_refusals(transfer, answer);
	}

	/*
	 * Now the calls that failed are back in their lanes.  Giving up looks for
	 * old calls there, and a pause drops what waits there to read it again,
	 * so both come after it, or they would miss the calls of this request.
	 */
	next = braze_request_outcome_apply(delivery->pack, transfer->request, answer,
									   (int) transfer->http.status, now);
	if (answer->verdict == BRAZE_FAILED)
		give_up_old_calls(transfer, endpoint, answer, now);
	if (answer->verdict == BRAZE_STOPPED && is_current && endpoint != BRAZE_USERS_TRACK)
		braze_delivery_pause_close(delivery, endpoint, answer->reason);
	else if (answer->verdict == BRAZE_STOPPED && is_current)
		braze_delivery_pause(delivery, answer->reason);

	/*
	 * A request that curl sent again by itself, on a new connection, counts
	 * as one that Braze may have had before.  So does one that is in doubt
	 * and goes again; with at_most_once it does not, and its calls alone
	 * count.
	 */
	if (transfer->http.repeated)
	{
		delivery->counts[BRAZE_COUNT_AMBIGUOUS_RESENDS]++;
		delivery->counts[BRAZE_COUNT_AMBIGUOUS_CALLS] += calls;
	}
	if (answer->in_doubt && (transfer->http.once || next == BRAZE_NEXT_LATER))
	{
		delivery->counts[BRAZE_COUNT_AMBIGUOUS_RESENDS] += !transfer->http.once;
		delivery->counts[BRAZE_COUNT_AMBIGUOUS_CALLS] += calls;
	}

	/*
	 * the same transfer may carry the next part, so curl must be done with it
	 */
	braze_http_release(http, &transfer->http);
	delivery->changed = true;
	switch (next)
	{
		case BRAZE_NEXT_SEND:
			if (!braze_exchange_is_stopped() && braze_delivery_stuck_until(delivery) == 0 &&
				braze_delivery_open(delivery) &&
				!braze_claim_is_missing(transfer) &&
				may_send(delivery, endpoint, !braze_request_state_is_again(transfer->request), now, &wait))
			{
				reserve_transfer(transfer);
				send_reserved(http, transfer);
				return;
			}

			/*
			 * It waits with what is known of its parts, and goes on before
			 * any new request.  In a pause, or with delivery off, nothing
			 * goes on: it is taken apart, so that what is judged can be
			 * settled and the rest be read again.
			 */
			braze_request_state_postpone(delivery->pack, transfer->request);
			if (!braze_deliver || !braze_delivery_open(delivery) || delivery->closed[endpoint] != NULL)
				braze_request_progress_cancel_postponed(delivery->pack, endpoint, now);
			break;
		case BRAZE_NEXT_NO_MEMORY:
			braze_deliveries_out_of_memory();
			break;
		case BRAZE_NEXT_DONE:
		case BRAZE_NEXT_LATER:
			break;
	}

	/*
	 * a request with a part to come is not over, and has nothing to settle
	 * yet
	 */
	delivery->unsettled++;
	end_transfer(transfer);
}

/*
 * without an answer: curl did not take it,
 * or it was given up before all was sent
 */
static void
fail_transfer(BrazeHttp *http, BrazeTransfer *transfer)
{
	BrazeAnswer answer;

	memset(&answer, 0, sizeof(answer));
	answer.verdict = BRAZE_FAILED;
	answer.in_doubt = !transfer->http.unsent;
	strlcpy(answer.reason, transfer->http.error, sizeof(answer.reason));
	transfer->http.status = 0;
	braze_rate_headers_reset(&transfer->http.rate);
	conclude_transfer(http, transfer, &answer);
}

/* a transfer ended: what Braze said, and what becomes of the objects */
static void
take_answer(BrazeHttp *http, BrazeHttpRequest *done)
{
	BrazeTransfer *transfer = done->owner;
	BrazeAnswer answer;

	if (done->held_back && done->unsent)
	{
		braze_http_release(http, done);
		postpone_transfer(transfer);
		return;
	}
	if (!braze_answer_read(&answer, braze_request_state_sent(transfer->request),
						   done->status, done->answer, done->answer_length,
						   done->truncated, done->error, done->unsent))
		braze_deliveries_out_of_memory();
	braze_delivery_utf8_from_braze(answer.reason);
	for (int i = 0; i < answer.nerrors; i++)
		braze_delivery_utf8_from_braze(answer.errors[i].reason);
	conclude_transfer(http, transfer, &answer);
	braze_answer_free(&answer);
}

/*
 * After a standstill: of what is on its way curl would send the rest.  What was
 * written in full before it may be answered.
 */
static void
break_off_unwritten(BrazeHttp *http)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &all_transfers)
	{
		BrazeTransfer *transfer = dlist_container(BrazeTransfer, node, iter.cur);

		if (braze_http_is_written(&transfer->http))
			continue;
		braze_http_cancel(http, &transfer->http);

		/* no server applies a part of one, but that is not for us to say */
		if (transfer->http.once && !transfer->http.unsent)
		{
			strlcpy(transfer->http.error, "the server stood still while the request was being sent",
					sizeof(transfer->http.error));
			fail_transfer(http, transfer);
		}
		else
			postpone_transfer(transfer);
	}
}

static BrazeHttpRequest *
next_done(BrazeHttp *http)
{
	if (!braze_standstill_may_send())
		break_off_unwritten(http);
	return braze_http_next_done(http);
}

void
braze_exchange_take_answers(BrazeHttp *http)
{
	BrazeHttpRequest *done;
	ListCell   *cell;

	while ((done = next_done(http)) != NULL)
	{
		if (!braze_connection_test_take(http, done))
			take_answer(http, done);
	}
	foreach(cell, braze_deliveries_at_work)
		braze_memory_budget_answers_taken(lfirst(cell));
}

bool
braze_exchange_wants_settle(const BrazeDelivery *delivery)
{
	return delivery->destination != NULL &&
		delivery->unsettled >= delivery->destination->settings.max_requests_in_flight;
}

/*
 * What cannot be settled would be sent again after a kill, as what is under way
 * would: both together are bounded.
 */
static bool
is_clogged(const BrazeDelivery *delivery)
{
	const BrazeSettings *settings = &delivery->destination->settings;

	return delivery->stuck_objects > 0 &&
		delivery->transfers + delivery->stuck_objects / settings->max_objects_per_request >=
		settings->max_requests_in_flight;
}

int64
braze_exchange_send(BrazeDelivery *delivery, BrazeHttp *http, int max_transfers)
{
	/*
	 * What a kill would have sent again is bounded by what may be under way.
	 * Most of many destinations have nothing, and are asked at every turn.
	 */
	while (!braze_pack_is_idle(delivery->pack) &&
		   braze_delivery_open(delivery) && transfers < max_transfers &&
		   braze_http_has_room(delivery->target) && !braze_exchange_wants_settle(delivery) && !is_clogged(delivery))
	{
		int64_t		wait = -1;
		BrazeTransfer *transfer;
		BrazeRequest *request;
		int64		now = braze_now_ms();

		int64_t		pace_wait = -1;
		BrazeGates	gates;

		/* what would be answered now could not be settled */
		if (braze_delivery_stuck_until(delivery) != 0)
			return braze_delivery_stuck_until(delivery) - now;
		if (braze_claim_wait(delivery, now) > 0)
			return braze_claim_wait(delivery, now);
		braze_claim_limit(delivery, &gates);

		/*
		 * The pack chooses among all endpoints at once, since the order of a
		 * user's calls may run through several of them: it has to know which
		 * of them are open, for new requests and for those tried again.
		 */
		for (int endpoint = 0; endpoint < BRAZE_ENDPOINTS; endpoint++)
		{
			gates.fresh[endpoint] = may_send(delivery, endpoint, true, now, &pace_wait);
			gates.again[endpoint] = may_send(delivery, endpoint, false, now, &pace_wait);
		}
		request = braze_request_next(delivery->pack, &gates, now, &wait);
		if (request == NULL)
			return pace_wait >= 0 && (wait < 0 || pace_wait < wait) ? pace_wait : wait;
		transfer = MemoryContextAllocZero(braze_deliveries_context, sizeof(BrazeTransfer));
		transfer->number = ++requests;
		transfer->delivery = delivery;
		transfer->request = request;
		dlist_push_tail(&all_transfers, &transfer->node);
		transfers++;
		delivery->transfers++;

		/* a request that waits to be claimed has its turn already */
		reserve_transfer(transfer);
		if (!braze_claim_first(transfer))
			send_reserved(http, transfer);
	}
	return -1;
}

/* ----- requests whose calls are claimed first ----- */

/* its calls are out of the queue, but for those left out; false: that is all */
static bool
send_claimed(BrazeHttp *http, BrazeTransfer *transfer)
{
	BrazeEndpoint endpoint = braze_request_state_endpoint(transfer->request);

	switch (braze_request_progress_next(transfer->delivery->pack, transfer->request, braze_now_ms()))
	{
		case BRAZE_NEXT_SEND:
			send_reserved(http, transfer);
			return true;
		case BRAZE_NEXT_NO_MEMORY:
			braze_deliveries_out_of_memory();
			break;
		case BRAZE_NEXT_DONE:
		case BRAZE_NEXT_LATER:
			abandon_transfer(transfer, endpoint);
			break;
	}
	return false;
}

long
braze_exchange_send_claimed(BrazeHttp *http)
{
	BrazeTransfer *transfer;
	BrazeTransfer *next;
	bool		claimed = braze_claim_waiting(&transfer);
	long		timeout = -1;

	for (; transfer != NULL; transfer = next)
	{
		BrazeDelivery *delivery = transfer->delivery;

		/* it is freed by what follows */
		next = transfer->next_to_claim;
		if (!claimed)
		{
			postpone_transfer(transfer);
			timeout = braze_claim_wait(delivery, braze_now_ms());
		}
		else if (!send_claimed(http, transfer))
			timeout = 0;		/* others may go instead, and what was left
								 * out later */
	}
	return timeout;
}

void
braze_exchange_cancel_unsent(BrazeHttp *http)
{
	dlist_mutable_iter iter;
	ListCell   *cell;

	dlist_foreach_modify(iter, &all_transfers)
	{
		BrazeTransfer *transfer = dlist_container(BrazeTransfer, node, iter.cur);

		if (!transfer->http.once)
			continue;
		braze_http_cancel(http, &transfer->http);

		/* only the part that is under way is in doubt */
		if (!transfer->http.unsent && braze_request_state_has_rest(transfer->request))
			strlcpy(transfer->http.error, "the worker ended before there was an answer",
					sizeof(transfer->http.error));
		else if (!transfer->http.unsent)
			continue;
		fail_transfer(http, transfer);
	}

	/* parts of requests that wait for their turn */
	foreach(cell, braze_deliveries)
	{
		for (int i = 0; i < BRAZE_ENDPOINTS; i++)
			braze_request_progress_cancel_postponed(((BrazeDelivery *) lfirst(cell))->pack, i, braze_now_ms());
	}
}
