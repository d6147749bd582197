/*-------------------------------------------------------------------------
 *
 * request_progress.c
 *	  The next part of a request, or its end.
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
			braze_ready_return_to_lane(call);
			if (call->pub.letter != 0 && !call->pub.judged)
				pack->stranded = true;
		}
		if (request->endpoint != BRAZE_USERS_TRACK && pack->limits.identity_delay > 0 &&
			call->next_object > first)
		{
			for (int j = 0; j < call->nlanes; j++)
				braze_lane_delay(pack, call->lanes[j], now + pack->limits.identity_delay);
		}
	}
	pack->finished++;
	braze_ready_release_lanes(pack, request->calls, request->ncalls, now);
	braze_request_state_free(pack, request);
}

/*
 * Prepares the next part that has something to send; when all of it is
 * settled, the request is over.
 */
BrazeNext
braze_request_progress_next(BrazePack *pack, BrazeRequest *request, int64_t now)
{
	braze_gone_exclude_all(request);
	for (;;)
	{
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
		if (request->norder > 0)
			return BRAZE_NEXT_SEND;
	}
}

void
braze_request_progress_cancel_postponed(BrazePack *pack, BrazeEndpoint endpoint, int64_t now)
{
	BrazeRequest *request = pack->postponed_head;

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
