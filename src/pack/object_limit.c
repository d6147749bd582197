/*-------------------------------------------------------------------------
 *
 * object_limit.c
 *	  How many objects of a request this workspace takes, learned from answers.
 *
 * Braze's contracts differ, and its answer to a request with too many objects
 * is a refusal like any other.  So the text is not read: a request that is
 * refused as a whole, all of whose parts are then accepted, was too large.
 * Three of them in a row are believed.  Until then they go one by one: of many
 * at once each would be halved for itself.  Larger requests are tried now and
 * then, since a contract can change and other causes look alike.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack_internal.h"

#define REQUESTS_NEEDED		3
#define LARGER_EVERY_MS		((int64_t) 60 * 60 * 1000)
#define HOLD_MS				10000

/* of a body that was too long, which says nothing of the number of objects */
#define TOO_LARGE			413

/* how many objects a request to this endpoint may have now */
int
braze_object_limit_max(const BrazePack *pack, BrazeEndpoint endpoint)
{
	const ObjectLimit *limit = &pack->object_limit;

	if (endpoint != BRAZE_USERS_TRACK)
		return braze_endpoints[endpoint].max_objects;
	return limit->size > 0 && !limit->trying && limit->size < pack->limits.max_objects
		? limit->size : pack->limits.max_objects;
}

void
braze_object_limit_reset(BrazePack *pack)
{
	pack->object_limit = (ObjectLimit)
	{
		0
	};
}

/*
 * Do further requests wait for what is found out about one that was refused?
 * Not if the last such one was refused for something else: that tells nothing,
 * and would hold up the others again and again.
 */
bool
braze_object_limit_holds(const BrazePack *pack, int64_t now, int64_t *wait)
{
	const ObjectLimit *limit = &pack->object_limit;
	int64_t		left;

	if (pack->open_requests == 0 || limit->size > 0 || limit->other_cause)
		return false;
	if (limit->examined != NULL)
		return true;
	if (limit->requests == 0)
		return false;

	/* where little is sent, the next large request may be far away */
	left = limit->judged_at + HOLD_MS - now;
	if (left > 0 && (*wait < 0 || left < *wait))
		*wait = left;
	return left > 0;
}

/* before a request is filled: may it be a larger one? */
void
braze_object_limit_begin(BrazePack *pack, const ReadyList *list, int64_t now)
{
	ObjectLimit *limit = &pack->object_limit;

	limit->trying = limit->size > 0 && now >= limit->larger_at &&
		list->objects > limit->size && list->calls.head->suspicion.group == 0;
}

/* after a request that was larger, no other such one is tried for a while */
void
braze_object_limit_filled(BrazePack *pack, const BrazeRequest *request, int64_t now)
{
	ObjectLimit *limit = &pack->object_limit;

	if (limit->trying && request->nobjects > limit->size)
		limit->larger_at = now + LARGER_EVERY_MS;
	limit->trying = false;
}

/* so many objects were looked at one by one: there are not too many of them */
static void
object_count_passed(BrazePack *pack, int nobjects)
{
	ObjectLimit *limit = &pack->object_limit;

	if (limit->size > 0 && nobjects > limit->size)
		limit->size = nobjects < pack->limits.max_objects ? nobjects : 0;
}

/*
 * true: it is not halved, but its calls go back, to be sent when more is known
 */
bool
braze_object_limit_answered(BrazePack *pack, BrazeRequest *request,
							const BrazeAnswer *answer, int http_status)
{
	ObjectLimit *limit = &pack->object_limit;
	int			sent = request->norder;

	if (request->endpoint != BRAZE_USERS_TRACK)
		return false;
	switch (answer->verdict)
	{
		case BRAZE_ACCEPTED:
		case BRAZE_SOME_REFUSED:
			object_count_passed(pack, sent);
			if (answer->verdict == BRAZE_SOME_REFUSED || answer->nerrors > 0)
				request->has_refusal = true;
			if (sent > request->largest_part)
				request->largest_part = sent;
			/* the row ends with one that passed though it was larger */
			if (!request->is_divided && sent > limit->largest_part)
				limit->requests = 0;
			break;

		case BRAZE_REFUSED_WHOLE:
			if (!request->is_divided && limit->examined != NULL &&
				limit->size == 0 && !limit->other_cause)
				return true;
			if (!request->is_divided && sent > 1 && limit->examined == NULL)
				limit->examined = request;
			request->is_divided = true;
			if (http_status == TOO_LARGE || sent == 1)
				request->has_refusal = true;
			break;

		default:
			break;
	}
	return false;
}

/* each object of the request was accepted or refused */
void
braze_object_limit_judged(BrazePack *pack, const BrazeRequest *request, int64_t now)
{
	ObjectLimit *limit = &pack->object_limit;

	if (!request->is_divided)
		return;
	limit->other_cause = request->has_refusal;
	if (request->has_refusal)
	{
		limit->requests = 0;
		return;
	}
	limit->judged_at = now;
	if (limit->requests == 0 || request->largest_part > limit->largest_part)
		limit->largest_part = request->largest_part;
	if (++limit->requests < REQUESTS_NEEDED)
		return;
	limit->requests = 0;
	limit->size = limit->largest_part;
	if (limit->larger_at <= now)
		limit->larger_at = now + LARGER_EVERY_MS;
}
