/*-------------------------------------------------------------------------
 *
 * isolate.c
 *	  Calls that make Braze fail, found among those that fail with it.
 *
 * Calls that failed in one request are tried again in one, apart from all
 * others.  If that fails too, each half is tried by itself, until the guilty
 * call stands alone.  In an outage that does little harm, since there are few
 * attempts; but only when others succeed is a call to blame.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * A call that stands alone gets this many answers of 5xx, other calls having
 * succeeded before each; with the waits between them that takes a minute.
 */
#define LONE_ATTEMPTS		8

/* before the halves are tried, and before a lone call is tried again */
#define RETRY_BASE_MS		500
#define RETRY_CAP_MS		(60 * 1000)

bool
braze_isolate_is_suspect(const BrazePack *pack, const BrazeRequest *request)
{
	const Suspicion *suspicion = &request->calls[0]->suspicion;

	return suspicion->group != 0 && !pack->down[request->endpoint] &&
		pack->successes[request->endpoint] > suspicion->successes;
}

/* these calls are tried again in one request, apart from all others */
static void
suspect_calls(BrazePack *pack, PackedCall **calls, int ncalls, Suspicion suspicion)
{
	suspicion.group = ++pack->groups;
	for (int i = 0; i < ncalls; i++)
		calls[i]->suspicion = suspicion;
}

/*
 * the calls that were sent just now, and of which something was not answered
 */
static int
failed_calls(const BrazeRequest *request, Range range, PackedCall **calls)
{
	int			n = 0;

	for (int i = range.low; i < range.high; i++)
	{
		PackedCall *call = request->objects[i].call;

		if (braze_object_at(request, i)->state < OBJECT_ACCEPTED &&
			(n == 0 || calls[n - 1] != call))
			calls[n++] = call;
	}
	return n;
}

/* how long a call that has failed so often alone waits before it is tried */
static int64_t
retry_delay(int failures)
{
	int64_t		delay = RETRY_BASE_MS;

	for (int i = 1; i < failures && delay < RETRY_CAP_MS; i++)
		delay *= 2;
	return delay < RETRY_CAP_MS ? delay : RETRY_CAP_MS;
}

/* refuses what is left of this range */
static bool
give_up(BrazePack *pack, BrazeRequest *request, Range range, const char *reason,
		int http_status)
{
	for (int i = range.low; i < range.high; i++)
	{
		if (braze_object_at(request, i)->state < OBJECT_ACCEPTED &&
			!braze_request_state_refuse(pack, request, i, http_status, reason))
			return false;
	}
	return true;
}

/* is it enough for a call that fails alone, while others succeed?  Why? */
static bool
is_hopeless(const BrazePack *pack, const Suspicion *suspicion, const BrazeAnswer *answer,
			int64_t now, char *reason, size_t size)
{
	if (suspicion->faults >= LONE_ATTEMPTS)
		snprintf(reason, size, "%s; %d attempts to send this call alone ended so, while others succeeded",
				 answer->reason, LONE_ATTEMPTS);
	else if (pack->limits.max_retry_age > 0 &&
			 now - suspicion->since >= pack->limits.max_retry_age)
		snprintf(reason, size, "%s; this call alone has failed for %lld s, while others succeeded: max_retry_age is over",
				 answer->reason, (long long) (now - suspicion->since) / 1000);
	else
		return false;
	return true;
}

/*
 * The request has failed; the caller returns what is pending of it after
 * this.  False when memory is out.
 */
bool
braze_isolate_fail(BrazePack *pack, BrazeRequest *request, const BrazeAnswer *answer,
				   int http_status, int64_t now)
{
	Range		range = request->ranges[request->nranges - 1];
	PackedCall *calls[BRAZE_PACK_MAX_OBJECTS];
	int			n = failed_calls(request, range, calls);
	bool		guilty = braze_isolate_is_suspect(pack, request);
	Suspicion	next = {0};
	int			first = braze_request_state_is_again(request) ? (n + 1) / 2 : n;
	int64_t		delay = 0;

	/*
	 * Only a call that stands alone keeps its count of failures.  Those of a
	 * group say nothing of any one of its calls.
	 */
	if (n == 1)
		next = calls[0]->suspicion;
	next.successes = pack->successes[request->endpoint];

	/*
	 * Either the endpoint is down or the request is to blame.  In the first
	 * case there is no delay here: the endpoint's own backoff holds up
	 * everybody.
	 */
	if (!guilty)
		pack->down[request->endpoint] = true;
	else if (n > 1)
		delay = RETRY_BASE_MS;
	else
	{
		char		reason[BRAZE_REASON_SIZE + 120];

		if (next.failures++ == 0)
			next.since = now;
		next.faults += (http_status >= 500);
		if (is_hopeless(pack, &next, answer, now, reason, sizeof(reason)))
			return give_up(pack, request, range, reason, http_status);
		delay = retry_delay(next.failures);
	}

	/*
	 * What has failed for the first time stays one group, since one failure
	 * may be Braze's.  What fails again is divided: each half gets a group of
	 * its own.
	 */
	suspect_calls(pack, calls, first, next);
	suspect_calls(pack, calls + first, n - first, next);

	/*
	 * All their lanes wait, so that no later call of these users passes them
	 * when the request ends.
	 */
	for (int i = 0; i < n && delay > 0; i++)
	{
		for (int j = 0; j < calls[i]->nlanes; j++)
			braze_lane_delay(pack, calls[i]->users[j].lane, now + delay);
	}
	return true;
}
