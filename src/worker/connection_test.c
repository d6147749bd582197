/*-------------------------------------------------------------------------
 *
 * connection_test.c
 *	  The worker's part of braze_test: what only this process can find out.
 *
 * It sends an empty request to each endpoint that the destination's settings
 * need.  Braze refuses such a request with 400 once it has accepted the key and
 * found the permission, and changes nothing.  So a test has no part in the
 * delivery: neither a pause nor Braze's limit keeps it, and no answer to it
 * pauses anything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/guc.h"
#include "base/message.h"
#include "braze/answer.h"
#include "destination/api_key.h"
#include "destination/destination.h"
#include "worker/connection_test.h"
#include "worker/delivery_utf8.h"
#include "worker/round.h"

/*
 * braze_test promises an end within 30 s, and may wait for another test before
 */
#define REQUEST_TIMEOUT_MS	10000

#define EMPTY_BODY			"{}"

StaticAssertDecl(BRAZE_ENDPOINTS <= BRAZE_TEST_ENDPOINTS,
				 "a test has no room for each endpoint");

/* the one that is under way, or was last */
static struct
{
	BrazeDatabaseSlot *slot;
	uint32		number;
	NameData	destination;
	uint32		endpoints;
	BrazeHttpTarget *target;	/* NULL: nothing can be sent */
	BrazeHttpRequest requests[BRAZE_ENDPOINTS];
	bool		sent[BRAZE_ENDPOINTS];	/* and no answer is there */
	BrazeHttpDetails details;	/* of the first request */
	BrazeTestFindings findings;
}			test;

void
braze_connection_test_init(BrazeDatabaseSlot *slot)
{
	test.slot = slot;
}

/* in a transaction: the destination as it is committed, and its key */
static void
read_target(void *arg)
{
	BrazeDestination *destination = braze_destination_load(NameStr(test.destination));
	BrazeTestFindings *findings = &test.findings;
	char	   *problem = NULL;
	char	   *key;

	if (destination == NULL)
	{
		findings->unknown = true;
		return;
	}
	key = braze_api_key_read(destination, &problem);
	if (key == NULL)
	{
		braze_message_copy(findings->key_problem, problem, sizeof(findings->key_problem));
		return;
	}

	if (destination->settings.endpoint == NULL)
	{
		strlcpy(findings->problem,
				"no datacenter and no custom_api_endpoint among the options of the server",
				sizeof(findings->problem));
		return;
	}
	(void) braze_http_url_check(destination->settings.endpoint, &findings->plain);
	test.target = braze_http_url_create(destination->settings.endpoint, key,
										destination->settings.ca_file,
										REQUEST_TIMEOUT_MS);
	if (test.target == NULL)
		strlcpy(findings->key_problem,
				"the endpoint or the REST API key holds characters that cannot be sent",
				sizeof(findings->key_problem));
}

/* the session that asked may have left, and another have come since */
static void
finish_test(void)
{
	BrazeConnectionTestPlace *place = &test.slot->test;

	if (test.target != NULL)
		braze_http_url_free(test.target);
	test.target = NULL;
	test.findings.done = true;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	if (place->number == test.number)
		place->findings = test.findings;
	LWLockRelease(braze_shared->lock);
}

static void
cancel_test(BrazeHttp *http)
{
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (test.sent[i])
			braze_http_cancel(http, &test.requests[i]);
		test.sent[i] = false;
	}
	if (test.target != NULL)
		braze_http_url_free(test.target);
	test.target = NULL;
}

static void
finish_if_answered(void)
{
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (test.sent[i])
			return;
	}
	finish_test();
}

/* the connection, and what every answer of Braze's says */
static void
note_details(const BrazeHttpRequest *done)
{
	BrazeTestFindings *findings = &test.findings;
	int64		now = (GetCurrentTimestamp() / 1000) +
	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000);

	findings->resolved = test.details.resolved;
	findings->connected = test.details.connected;
	findings->secured = test.details.secured;
	if (test.details.certificate_ends > 0)
		findings->certificate_ends = time_t_to_timestamptz(test.details.certificate_ends);
	findings->answer_ms = test.details.answer_ms;
	findings->remaining = done->rate.remaining;
	findings->has_date = (done->status != 0 && done->rate.date_ms >= 0);
	if (findings->has_date)
		findings->clock_ahead_ms = done->rate.date_ms - now;
}

static void
note_answer_of(BrazeEndpoint endpoint)
{
	const BrazeHttpRequest *done = &test.requests[endpoint];
	BrazeTestAnswer *noted = &test.findings.answers[endpoint];
	BrazeSent	sent = {.endpoint = endpoint};
	BrazeAnswer answer;

	test.sent[endpoint] = false;
	noted->asked = true;
	noted->http_status = (int) done->status;
	if (done->status == 0)
		strlcpy(noted->reason, done->error, sizeof(noted->reason));
	else if (braze_answer_read(&answer, &sent, done->status, done->answer,
							   done->answer_length, done->truncated, done->error,
							   done->unsent))
	{
		strlcpy(noted->reason, answer.reason, sizeof(noted->reason));
		braze_answer_free(&answer);
	}
	braze_delivery_utf8_from_braze(noted->reason);
	if (endpoint == BRAZE_USERS_TRACK)
		note_details(done);
}

bool
braze_connection_test_take(BrazeHttp *http, BrazeHttpRequest *done)
{
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (done != &test.requests[i])
			continue;
		note_answer_of(i);
		braze_http_release(http, done);
		finish_if_answered();
		return true;
	}
	return false;
}

static void
send_empty(BrazeHttp *http, BrazeEndpoint endpoint)
{
	BrazeHttpRequest *request = &test.requests[endpoint];

	memset(request, 0, sizeof(*request));
	request->target = test.target;
	request->path = braze_endpoints[endpoint].path;
	request->body = EMPTY_BODY;
	request->body_length = strlen(EMPTY_BODY);
	if (endpoint == BRAZE_USERS_TRACK)
		request->details = &test.details;
	test.sent[endpoint] = true;
	if (!braze_http_send(http, request))
		note_answer_of(endpoint);
}

void
braze_connection_test_begin(BrazeHttp *http)
{
	BrazeConnectionTestPlace *place = &test.slot->test;
	ErrorData  *error;

	if (!place->wanted)
		return;

	/* of a session that has left */
	cancel_test(http);
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	test.number = place->number;
	test.destination = place->destination;
	test.endpoints = place->endpoints;
	place->wanted = false;
	LWLockRelease(braze_shared->lock);

	memset(&test.findings, 0, sizeof(test.findings));
	memset(&test.details, 0, sizeof(test.details));
	test.findings.remaining = -1;
	test.findings.deliver = braze_deliver;
	error = braze_round_run("reading a destination to test it", read_target, NULL);
	if (error != NULL)
	{
		braze_message_copy(test.findings.problem, error->message, sizeof(test.findings.problem));
		FreeErrorData(error);
	}
	for (int i = 0; i < BRAZE_ENDPOINTS && test.target != NULL && braze_deliver; i++)
	{
		if (test.endpoints & (1 << i))
			send_empty(http, i);
	}
	finish_if_answered();
}
