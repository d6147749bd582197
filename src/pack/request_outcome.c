/*-------------------------------------------------------------------------
 *
 * request_outcome.c
 *	  What an answer does to the calls of its request.
 *
 * A request keeps its objects until each was accepted or refused.  What Braze
 * refuses as a whole is sent again in halves, one after the other so that a
 * user in both stays in order, until the guilty object stands alone.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * What was refused folded is sent again object by object, so that only the
 * guilty one is refused; all others of the request are judged as usual.
 */
static bool
mark_unfolded(BrazeRequest *request, int position)
{
	if (braze_object_at(request, position)->fold_next < 0)
		return false;
	for (; position >= 0; position = braze_object_at(request, position)->fold_next)
		braze_object_at(request, position)->state = OBJECT_UNFOLD;
	return true;
}

/* makes a range of each of them, the first on top */
static void
send_unfolded(BrazeRequest *request, Range range)
{
	for (int i = range.high - 1; i >= range.low; i--)
	{
		PackedObject *object = braze_object_at(request, i);

		if (object->state != OBJECT_UNFOLD)
			continue;
		object->state = OBJECT_PENDING;
		object->unfolded = true;
		BRAZE_ASSERT(request->nranges < MAX_RANGES);
		request->ranges[request->nranges].low = i;
		request->ranges[request->nranges].high = i + 1;
		request->nranges++;
	}
}

/*
 * in the order in which the objects stand in their calls, whatever Braze's is
 */
static bool
refuse_named(BrazePack *pack, BrazeRequest *request, const BrazeAnswer *answer,
			 int http_status)
{
	const BrazeObjectError *errors[BRAZE_PACK_MAX_OBJECTS] = {NULL};

	for (int i = 0; i < answer->nerrors; i++)
	{
		const BrazeObjectError *error = &answer->errors[i];
		int			position;

		/* an answer is not trusted to name only what was sent */
		if (error->index < 0 || error->index >= request->sent.counts[error->kind])
			continue;
		position = request->order[request->first_of_kind[error->kind] + error->index];
		if (errors[position] == NULL)
			errors[position] = error;
	}
	for (int i = 0; i < request->nobjects; i++)
	{
		if (errors[i] != NULL && !mark_unfolded(request, i) &&
			!braze_request_state_refuse(pack, request, i, http_status, errors[i]->reason))
			return false;
	}
	return true;
}

/* what was sent and is not refused was accepted */
static bool
accept_pending(BrazePack *pack, BrazeRequest *request, Range range)
{
	for (int i = range.low; i < range.high; i++)
	{
		PackedObject *object = braze_object_at(request, i);

		if (i + CALLS_AHEAD < range.high)
			braze_packed_call_prefetch(request->objects[i + CALLS_AHEAD].call);
		if (object->state != OBJECT_PENDING)
			continue;
		if (!braze_identity_link_accepted(pack, request->objects[i].call,
										  request->objects[i].object))
			return false;
		object->state = OBJECT_ACCEPTED;
		object->delivered = true;
		request->objects[i].call->pub.judged = true;
	}
	return true;
}

/*
 * Replaces the range under way by its two halves, the first on top: a user
 * whose objects are in both gets them in order.  The halves are equal by what
 * is pending, not by position, since that bounds how often a range is divided.
 */
static void
halve_range(BrazeRequest *request, Range range, int pending)
{
	int			middle = range.low;
	int			seen = 0;

	while (seen < (pending + 1) / 2)
	{
		if (braze_object_at(request, middle++)->state == OBJECT_PENDING)
			seen++;
	}
	BRAZE_ASSERT(request->nranges < MAX_RANGES);
	request->ranges[request->nranges - 1].low = middle;
	request->ranges[request->nranges - 1].high = range.high;
	request->ranges[request->nranges].low = range.low;
	request->ranges[request->nranges].high = middle;
	request->nranges++;
}

BrazeNext
braze_request_outcome_apply(BrazePack *pack, BrazeRequest *request,
							const BrazeAnswer *answer, int http_status, int64_t now)
{
	Range		range = request->ranges[request->nranges - 1];
	Range		whole = {.low = 0, .high = request->nobjects};
	int			pending;

	BRAZE_ASSERT(request->nranges > 0 && request->nranges <= MAX_RANGES);

	/*
	 * Any judgement, a refusal too, shows that the endpoint works.  This is
	 * what makes a later failure the request's own: see isolate.c.
	 */
	if (answer->verdict <= BRAZE_REFUSED_WHOLE)
	{
		pack->successes[request->endpoint]++;
		pack->down[request->endpoint] = false;
	}

	/* before anything is halved, since this request may go back as a whole */
	if (braze_object_limit_answered(pack, request, answer, http_status))
	{
		braze_request_progress_end(pack, request, now);
		return BRAZE_NEXT_LATER;
	}
	switch (answer->verdict)
	{
		case BRAZE_ACCEPTED:
			/* what Braze names first, or it would be accepted with the rest */
			if (!refuse_named(pack, request, answer, http_status))
				return BRAZE_NEXT_NO_MEMORY;
			if (!accept_pending(pack, request, range))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_SOME_REFUSED:

			/*
			 * nothing was taken: what is not named stays pending, to be sent
			 */
			if (!refuse_named(pack, request, answer, http_status))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_REFUSED_WHOLE:

			/*
			 * Only the range that was sent: the others were not judged.  A
			 * single object that is refused is the guilty one.
			 */
			pending = braze_request_state_pending(request, range);
			if (pending > 1)
				halve_range(request, range, pending);
			else if (!braze_request_state_refuse(pack, request, request->order[0], http_status,
												 answer->reason))
				return BRAZE_NEXT_NO_MEMORY;
			break;

		case BRAZE_FAILED:
		case BRAZE_STOPPED:
		case BRAZE_SLOW_DOWN:

			/*
			 * A pause and the rate limit are nobody's fault.  After a failure
			 * each call gets a suspicion, or is refused as in doubt.  That is
			 * before the request ends, which makes the calls ready by it.
			 */
			if (answer->verdict == BRAZE_FAILED &&
				(answer->in_doubt && pack->limits.at_most_once ?
				 !braze_gone_doubt(pack, request, answer, http_status) :
				 !braze_isolate_fail(pack, request, answer, http_status, now)))
				return BRAZE_NEXT_NO_MEMORY;
			pending = braze_request_state_pending(request, whole);
			braze_request_progress_end(pack, request, now);
			return pending > 0 ? BRAZE_NEXT_LATER : BRAZE_NEXT_DONE;
	}

	/*
	 * on top, so that they are sent before the ranges that come after this
	 * one
	 */
	send_unfolded(request, range);
	return braze_request_progress_next(pack, request, now);
}
