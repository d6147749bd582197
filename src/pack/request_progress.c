/*-------------------------------------------------------------------------
 *
 * request_progress.c
 *	  The next part of a request, or its end.
 *
 * A request ends in one place, whatever ended it: its calls go on to what is
 * left of them, and the lanes of their users are idle again.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * The request is over.  What is still pending goes back, each call in front of
 * what its lane holds: hence backwards.
 */
void
braze_request_progress_end(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	/*
	 * The objects' states are made final first, since they say below how far
	 * each call has come: what is gone counts as accepted, and what was
	 * excluded from this request only is pending again.
	 */
	braze_gone_exclude_all(request);
	braze_gone_include_again(pack, request, now);
	for (int i = request->ncalls - 1; i >= 0; i--)
	{
		PackedCall *call = request->calls[i];
		int			first = call->next_object;

		while (call->next_object < call->pub.nobjects &&
			   call->objects[call->next_object].state >= OBJECT_ACCEPTED)
			call->next_object++;
		if (call->next_object < call->pub.nobjects)
		{
			braze_ready_list_return_to_lane(call);

			/*
			 * Its row is no longer in the queue.  Nothing of it was judged,
			 * so that the worker may put it back there.
			 */
			if (call->pub.letter != 0 && !call->pub.judged)
				pack->stranded = true;
		}
		if (request->endpoint != BRAZE_USERS_TRACK && pack->limits.identity_delay > 0 &&
			call->next_object > first)
		{
			/*
			 * Braze answers an identity endpoint before it applies the
			 * change. This delays the lane before it is released below, or
			 * the user's next call would be ready at once.
			 */
			for (int j = 0; j < call->nlanes; j++)
				braze_lane_delay(pack, call->users[j].lane, now + pack->limits.identity_delay);
		}
	}
	pack->finished++;

	/* last, since a lane that is idle lets its next call start */
	braze_ready_list_release_lanes(pack, request->calls, request->ncalls, now);
	braze_request_state_free(pack, request);
}

/*
 * Prepares the next part that has something to send; when all of it is
 * settled, the request is over.
 */
BrazeNext
braze_request_progress_next(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	/* a call may have left the queue while an earlier part was under way */
	braze_gone_exclude_all(request);
	for (;;)
	{
		/* ranges that the answers have settled, or that exclusions emptied */
		while (request->nranges > 0 &&
			   braze_request_state_pending(request, request->ranges[request->nranges - 1]) == 0)
			request->nranges--;
		if (request->nranges == 0)
		{
			braze_object_limit_judged(pack, request, now);
			braze_request_progress_end(pack, request, now);
			return BRAZE_NEXT_DONE;
		}
		if (!braze_request_body_write(pack, request))
			return BRAZE_NEXT_NO_MEMORY;

		/*
		 * Nothing was written if Braze has all of it already.  Writing has
		 * then marked the objects as accepted, so that this range is empty
		 * now.
		 */
		if (request->norder > 0)
			return BRAZE_NEXT_SEND;
	}
}

/*
 * Requests to this endpoint are over; the others are postponed again, in the
 * same order.
 */
void
braze_request_progress_cancel_postponed(BrazePack *pack, BrazeEndpoint endpoint, int64_t now)
{
	BrazeRequest *request = pack->postponed_head;

	/* the list is built anew: ending a request frees it */
	pack->postponed_head = pack->postponed_tail = NULL;
	while (request != NULL)
	{
		BrazeRequest *next = request->next_postponed;

		if (request->endpoint == endpoint)
			braze_request_progress_end(pack, request, now);
		else
			braze_request_state_postpone(pack, request);
		request = next;
	}
}
