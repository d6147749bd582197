/*-------------------------------------------------------------------------
 *
 * sql_test.c
 *	  braze_test: does a destination work, and what to do if it does not?
 *
 * What the session knows it finds out itself: the worker's state, the start,
 * the pauses, the options.  The rest it asks the worker, which alone has the
 * key and the network (worker/connection_test.c), by the place that is in
 * shared memory for that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "base/wait_event.h"
#include "braze/endpoint.h"
#include "destination/destination.h"
#include "functions/srf.h"
#include "functions/status.h"
#include "store/paused_table.h"
#include "store/started_table.h"

/* everything together takes this long at most */
#define WHOLE_MS			30000

/* after CREATE EXTENSION a worker takes a moment to come */
#define START_MS			5000

#define LOOK_INTERVAL_MS	20

/* the Date of an answer has whole seconds, and is as old as the way here */
#define CLOCK_TOLERANCE_MS	5000

/* Braze's own certificates are renewed long before */
#define CERTIFICATE_DAYS	7

enum
{
	TEST_WHAT,
	TEST_OK,
	TEST_FOUND,
	TEST_TO_DO,
	TEST_COLUMNS
};

typedef enum Finding
{
	FINDING_BAD,
	FINDING_GOOD,
	FINDING_OPEN				/* not tested, or a matter of choice */
} Finding;

/* found and to_do may be NULL */
static void
put_finding(ReturnSetInfo *result, const char *what, Finding ok, const char *found, const char *to_do)
{
	Datum		values[TEST_COLUMNS] = {0};
	bool		nulls[TEST_COLUMNS] = {false};

	values[TEST_WHAT] = CStringGetTextDatum(what);
	values[TEST_OK] = BoolGetDatum(ok == FINDING_GOOD);
	nulls[TEST_OK] = (ok == FINDING_OPEN);
	nulls[TEST_FOUND] = (found == NULL);
	if (found != NULL)
		values[TEST_FOUND] = CStringGetTextDatum(found);
	nulls[TEST_TO_DO] = (to_do == NULL);
	if (to_do != NULL)
		values[TEST_TO_DO] = CStringGetTextDatum(to_do);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static const char *
server_options(const BrazeDestination *destination, const char *option)
{
	return psprintf("run ALTER SERVER %s OPTIONS (%s)",
					quote_identifier(NameStr(destination->name)), option);
}

/* ----- asking the worker ----- */

/* what this session has asked, to be given back however it ends */
typedef struct Asked
{
	uint32		number;
	pid_t		worker;
} Asked;

static BrazeDatabaseSlot *
own_slot(void)
{
	return braze_shmem_database(MyDatabaseId, false);
}

static void
give_place_back(int code, Datum arg)
{
	BrazeDatabaseSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = own_slot();
	if (slot != NULL && slot->test.by == MyProcPid)
	{
		slot->test.by = 0;
		slot->test.wanted = false;
	}
	LWLockRelease(braze_shared->lock);
}

/* false: another session has it */
static bool
take_place(const BrazeDestination *destination, uint32 endpoints, Asked *asked)
{
	BrazeDatabaseSlot *slot;
	Latch	   *latch = NULL;
	bool		taken = false;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = own_slot();
	if (slot == NULL || slot->pid == 0)
	{
		/* its worker has just ended: there is nobody to wait for */
		asked->worker = 0;
		taken = true;
	}
	else if (slot->test.by == 0)
	{
		slot->test.by = MyProcPid;
		slot->test.destination = destination->name;
		slot->test.endpoints = endpoints;
		slot->test.findings.done = false;
		slot->test.wanted = true;
		asked->number = ++slot->test.number;
		asked->worker = slot->pid;
		latch = slot->latch;
		taken = true;
	}
	LWLockRelease(braze_shared->lock);
	if (latch != NULL)
		SetLatch(latch);
	return taken;
}

/* false: the worker that was asked has ended */
static bool
look_at_findings(const Asked *asked, BrazeTestFindings *findings)
{
	BrazeDatabaseSlot *slot;
	bool		there;

	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = own_slot();
	there = (slot != NULL && slot->pid == asked->worker && asked->worker != 0 &&
			 slot->test.by == MyProcPid && slot->test.number == asked->number);
	if (there)
		*findings = slot->test.findings;
	LWLockRelease(braze_shared->lock);
	return there;
}

static void
wait_a_moment(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 LOOK_INTERVAL_MS, braze_wait_event(BRAZE_WAIT_TEST));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* NULL: the findings are complete; else why there are none */
static const char *
ask_worker(const BrazeDestination *destination, uint32 endpoints, BrazeTestFindings *findings)
{
	int64		deadline = braze_now_ms() + WHOLE_MS;
	const char *volatile problem = NULL;
	Asked		asked;

	while (!take_place(destination, endpoints, &asked))
	{
		if (braze_now_ms() >= deadline)
			return "another session is testing a destination of this database";
		wait_a_moment();
	}

	/* an error ends it, and so does the end of this session */
	PG_ENSURE_ERROR_CLEANUP(give_place_back, (Datum) 0);
	{
		for (;;)
		{
			if (!look_at_findings(&asked, findings))
				problem = "the worker has ended during the test";
			else if (!findings->done && braze_now_ms() >= deadline)
				problem = "the worker has not answered in time, it is busy or waits for a lock";
			if (problem != NULL || findings->done)
				break;
			wait_a_moment();
		}
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_place_back, (Datum) 0);
	give_place_back(0, (Datum) 0);
	return problem;
}

/* ----- what the settings need ----- */

static bool
takes_identifier(const BrazeSettings *settings, BrazeIdSource source)
{
	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (settings->identifiers[i] == source)
			return true;
	}
	return false;
}

/* which endpoints may calls go to, as the mapping sends them? */
static uint32
needed_endpoints(const BrazeSettings *settings)
{
	bool		joins_visitors = takes_identifier(settings, BRAZE_ID_ANONYMOUS_ID);
	bool		joins_addresses = takes_identifier(settings, BRAZE_ID_EMAIL) ||
	takes_identifier(settings, BRAZE_ID_PHONE);
	uint32		needed = 1 << BRAZE_USERS_TRACK;

	if (settings->alias_calls == BRAZE_ALIAS_IDENTIFY || joins_visitors || joins_addresses)
		needed |= 1 << BRAZE_USERS_IDENTIFY;

	/* a visitor's second alias cannot be added, so it is merged */
	if (settings->alias_calls == BRAZE_ALIAS_MERGE || joins_visitors)
		needed |= 1 << BRAZE_USERS_MERGE;
	if (settings->delete_calls == BRAZE_DELETE_SEND)
		needed |= 1 << BRAZE_USERS_DELETE;
	return needed;
}

/* ----- the rows, in the order in which things have to be put right ----- */

static const char *
why_paused(const BrazeDestination *destination, const char **what)
{
	ListCell   *cell;

	foreach(cell, braze_paused_table_read(NameStr(destination->name)))
	{
		BrazePause *pause = lfirst(cell);

		*what = pause->endpoint == BRAZE_WHOLE_DESTINATION ? "everything" :
			braze_endpoints[pause->endpoint].path;
		return pause->reason;
	}
	return NULL;
}

static void
put_start(ReturnSetInfo *result, const BrazeDestination *destination)
{
	const char *what = NULL;
	const char *reason = why_paused(destination, &what);
	const char *start = psprintf("run SELECT braze_start(%s)",
								 quote_literal_cstr(NameStr(destination->name)));

	if (reason != NULL)
		put_finding(result, "delivery is started here", FINDING_BAD,
					psprintf("%s is paused: %s", what, reason),
					psprintf("fix the cause, then %s", start));
	else if (!braze_started_table_has(NameStr(destination->name)))
		put_finding(result, "delivery is started here", FINDING_BAD,
					"not started: calls stay in the queue",
					psprintf("if this is the database to deliver from, %s", start));
	else
		put_finding(result, "delivery is started here", FINDING_GOOD, "started", NULL);
}

static void
put_connection(ReturnSetInfo *result, const BrazeTestFindings *findings, const char *error)
{
	static const char *const same = "see above";

	if (findings->resolved)
		put_finding(result, "the host's name has an address", FINDING_GOOD, NULL, NULL);
	else
		put_finding(result, "the host's name has an address", FINDING_BAD, error,
					"check datacenter or custom_api_endpoint of the server, and the name servers of this machine");
	if (findings->connected)
		put_finding(result, "a connection is made", FINDING_GOOD, NULL, NULL);
	else
		put_finding(result, "a connection is made", findings->resolved ? FINDING_BAD : FINDING_OPEN,
					findings->resolved ? error : same,
					findings->resolved ? "let this machine connect to that host and port, a firewall may forbid it" : NULL);
	if (findings->plain)
		put_finding(result, "the connection is encrypted", FINDING_OPEN,
					"plain http to this machine, which is for tests", NULL);
	else if (!findings->secured)
		put_finding(result, "the connection is encrypted", findings->connected ? FINDING_BAD : FINDING_OPEN,
					findings->connected ? error : same,
					findings->connected ? "if a proxy of your own is between, name its authority by the option ca_file; else install ca-certificates" : NULL);
	else if (findings->certificate_ends == 0)
		put_finding(result, "the connection is encrypted", FINDING_GOOD, "TLS, certificate accepted", NULL);
	else
		put_finding(result, "the connection is encrypted", FINDING_GOOD,
					psprintf("TLS, certificate accepted, which ends at %s",
							 timestamptz_to_str(findings->certificate_ends)),
					findings->certificate_ends < GetCurrentTimestamp() + CERTIFICATE_DAYS * USECS_PER_DAY ?
					"see that the certificate is renewed" : NULL);
}

/*
 * Braze says 401 of a wrong key, and 401 or 403 of one that lacks a permission.
 * So a key is wrong when no endpoint has accepted it.
 */
static void
put_key_accepted(ReturnSetInfo *result, const BrazeTestFindings *findings)
{
	const BrazeTestAnswer *track = &findings->answers[BRAZE_USERS_TRACK];
	bool		accepted = false;
	bool		refused = false;

	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		int			status = findings->answers[i].http_status;

		accepted = accepted || status == 403 || status == 400 || (status >= 200 && status < 300);
		refused = refused || status == 401;
	}
	if (accepted)
		put_finding(result, "Braze accepts the key", FINDING_GOOD, NULL, NULL);
	else if (refused)
		put_finding(result, "Braze accepts the key", FINDING_BAD, track->reason,
					"check the REST API key, and that datacenter is the workspace's, at Braze under Settings, APIs and Identifiers");
	else
		put_finding(result, "Braze accepts the key", FINDING_OPEN, track->reason, "run the test again later");
}

static void
put_permission(ReturnSetInfo *result, BrazeEndpoint endpoint, const BrazeTestAnswer *answer)
{
	const char *permission = braze_endpoints[endpoint].permission;
	const char *what = psprintf("permission %s", permission);
	int			status = answer->http_status;

	if (status == 400 || (status >= 200 && status < 300))
		put_finding(result, what, FINDING_GOOD, NULL, NULL);
	else if (status == 401 || status == 403)
		put_finding(result, what, FINDING_BAD, answer->reason,
					psprintf("give the REST API key the permission %s at Braze", permission));
	else if (status == 429)
		put_finding(result, what, FINDING_OPEN, answer->reason, "Braze's rate limit is used up, run the test again later");
	else if (status == 0 || status >= 500)
		put_finding(result, what, FINDING_OPEN, answer->reason, "run the test again later");
	else
		put_finding(result, what, FINDING_BAD, answer->reason,
					"check datacenter or custom_api_endpoint of the server: Braze does not answer like this");
}

static void
put_answer(ReturnSetInfo *result, const BrazeTestFindings *findings)
{
	int64		ahead = findings->clock_ahead_ms;

	put_finding(result, "time to an answer", FINDING_GOOD,
				psprintf(INT64_FORMAT " ms", findings->answer_ms), NULL);
	if (!findings->has_date)
		put_finding(result, "clock of this machine", FINDING_OPEN, "the answer has no Date", NULL);
	else if (labs((long) ahead) <= CLOCK_TOLERANCE_MS)
		put_finding(result, "clock of this machine", FINDING_GOOD, "as Braze's, within 5 s", NULL);
	else
		put_finding(result, "clock of this machine", FINDING_BAD,
					psprintf("%ld s %s Braze's", labs((long) ahead) / 1000, ahead > 0 ? "behind" : "ahead of"),
					"set the clock: Braze takes what is in its future for now, and old calls get wrong times");
	if (findings->remaining < 0)
		put_finding(result, "room in Braze's rate limit", FINDING_OPEN, "the answer does not say", NULL);
	else
		put_finding(result, "room in Braze's rate limit", findings->remaining > 0 ? FINDING_GOOD : FINDING_BAD,
					psprintf(INT64_FORMAT " requests left", findings->remaining),
					findings->remaining > 0 ? NULL : "calls wait until Braze allows more; max_requests_per_second of the server leaves room for others");
}

/* such as they are, calls may not arrive as somebody who is new expects it */
static void
put_settings(ReturnSetInfo *result, const BrazeDestination *destination)
{
	const BrazeSettings *settings = &destination->settings;

	if (settings->track_all_pages)
		put_finding(result, "page and screen calls", FINDING_OPEN, "all are sent as events", NULL);
	else if (settings->track_named_pages)
		put_finding(result, "page and screen calls", FINDING_OPEN, "those with a name are sent as events, others are skipped", NULL);
	else
		put_finding(result, "page and screen calls", FINDING_OPEN, "they are skipped",
					psprintf("to send them as events, %s", server_options(destination, "ADD track_named_pages 'true'")));

	if (!takes_identifier(settings, BRAZE_ID_ANONYMOUS_ID))
		put_finding(result, "calls of anonymous users", FINDING_OPEN,
					"they are rejected, unless they have another identifier",
					"to send them, add anonymous_id to the option identifiers of the server");
	else
		put_finding(result, "calls of anonymous users", FINDING_OPEN,
					"they are sent, and joined to the user by an identify call that has userId and anonymousId", NULL);

	if (settings->alias_calls == BRAZE_ALIAS_SKIP)
		put_finding(result, "alias calls", FINDING_OPEN, "they are skipped",
					"to send them, set the option alias_calls of the server to merge or identify");
	else
		put_finding(result, "alias calls", FINDING_OPEN, "they are sent", NULL);

	if (settings->delete_calls == BRAZE_DELETE_SKIP)
		put_finding(result, "calls that delete users", FINDING_OPEN, "they are skipped",
					psprintf("to send them, %s", server_options(destination, "ADD delete_calls 'delete'")));
	else
		put_finding(result, "calls that delete users", FINDING_OPEN, "they are sent", NULL);
}

/* what the worker found, as far as it came */
static void
put_findings(ReturnSetInfo *result, const BrazeDestination *destination, uint32 endpoints,
			 const BrazeTestFindings *findings)
{
	static const char *const key = "the REST API key can be read";

	if (findings->problem[0] != '\0' || findings->unknown)
	{
		put_finding(result, key, FINDING_OPEN,
					findings->unknown ? "the worker sees no such server: it was created by a transaction that is open" :
					findings->problem,
					findings->unknown ? "commit, then run the test again" : "look for the reason in the server log");
		return;
	}
	if (findings->key_problem[0] != '\0')
	{
		put_finding(result, key, FINDING_BAD, findings->key_problem,
					"write the key to a file of mode 0600 that the server's user owns, and name it by rest_api_key_file of the user mapping");
		return;
	}
	put_finding(result, key, FINDING_GOOD, NULL, NULL);
	if (!findings->deliver)
	{
		put_finding(result, "Braze answers", FINDING_OPEN,
					"not asked: segment_braze.deliver is off", "set segment_braze.deliver on and reload");
		return;
	}
	put_connection(result, findings, findings->answers[BRAZE_USERS_TRACK].reason);
	if (findings->answers[BRAZE_USERS_TRACK].http_status == 0)
	{
		put_finding(result, "Braze answers", FINDING_BAD, findings->answers[BRAZE_USERS_TRACK].reason,
					"fix what the rows above report; if they report nothing, run the test again later");
		return;
	}
	put_key_accepted(result, findings);
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		if (endpoints & (1 << i))
			put_permission(result, i, &findings->answers[i]);
	}
	put_answer(result, findings);
}

/* can it be asked, whatever keeps it from delivering? */
static bool
worker_is_there(void)
{
	BrazeDatabaseSlot *slot;
	bool		there = false;

	if (braze_shared == NULL)
		return false;
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = own_slot();
	if (slot != NULL)
		there = (slot->pid != 0 && slot->state == BRAZE_DATABASE_RUNNING);
	LWLockRelease(braze_shared->lock);
	return there;
}

static void
wait_for_worker(void)
{
	int64		deadline = braze_now_ms() + START_MS;
	bool		starting;

	while (braze_now_ms() < deadline && braze_status_why_no_worker(&starting) != NULL && starting)
		wait_a_moment();
}

BRAZE_SQL_FUNCTION(braze_test);
Datum
braze_test(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *name = PG_ARGISNULL(0) ? NULL : NameStr(*PG_GETARG_NAME(0));
	const BrazeDestination *destination;
	NameData	found;
	BrazeTestFindings findings;
	uint32		endpoints;
	bool		there;
	bool		starting;
	const char *problem;

	/*
	 * Loaded anew: the one of the session's cache does not outlive the wait,
	 * in which others may change it.
	 */
	found = braze_destination_for(name, GetUserId())->name;
	destination = braze_destination_load(NameStr(found));
	if (destination == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("destination \"%s\" does not exist any more", NameStr(found))));
	braze_srf_materialize(fcinfo, TEST_COLUMNS);
	endpoints = needed_endpoints(&destination->settings);

	/* before the state is asked, which knows of a worker that comes later */
	wait_for_worker();
	there = worker_is_there();
	problem = braze_status_why_no_worker(&starting);
	put_finding(result, "the worker serves this database", problem == NULL ? FINDING_GOOD : FINDING_BAD,
				problem ? problem : "running", NULL);
	put_start(result, destination);
	if (there)
	{
		problem = ask_worker(destination, endpoints, &findings);
		if (problem == NULL)
			put_findings(result, destination, endpoints, &findings);
		else
			put_finding(result, "Braze answers", FINDING_OPEN, problem, "run the test again");
	}
	else
		put_finding(result, "Braze answers", FINDING_OPEN, "not asked: there is no worker that could",
					"start the worker first, as the first row says");
	put_settings(result, destination);
	return (Datum) 0;
}
