/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  Requests under way: who is in them, and those that wait.
 *
 * A suspended connection is not watched, so whether its client is still there
 * is asked of the socket.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <poll.h>

#include "standin.h"

static bool
client_is_there(const Request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd poll_fd = {0};

	if (info == NULL)
		return false;
	poll_fd.fd = info->connect_fd;
	poll_fd.events = POLLRDHUP;
	return poll(&poll_fd, 1, 0) <= 0;
}

/* its answer is decided, or it has none any more */
static void
resume(Standin *standin, Request *request)
{
	request->state = REQUEST_READY;
	if (request->due != 0)
		standin->ndelayed--;
	else
		standin->nheld--;
	request->due = 0;
	if (request->suspended)
	{
		request->suspended = false;
		standin->resumed = true;
		MHD_resume_connection(request->connection);
	}
}

static void
give_up(Standin *standin, Request *request)
{
	request->judged = true;
	request->answer.manner = MANNER_CLOSE;
	standin_unmark(request);
	resume(standin, request);
}

/* requests that wait for nobody: what they held is not applied */
void
standin_drop_dead(Standin *standin)
{
	Request    *next;

	if (standin->nheld + standin->ndelayed == 0)
		return;
	for (Request *request = standin->requests; request != NULL; request = next)
	{
		next = request->next;
		if (request->state == REQUEST_HELD && !client_is_there(request))
		{
			if (!request->judged)
				standin_lose(standin, request);
			give_up(standin, request);
		}
	}
}

static bool
is_busy(const Request *request)
{
	for (int i = 0; i < request->nitems; i++)
	{
		const Item *item = &request->items[i];

		if ((item->who != NULL && item->who->under_way > 0) ||
			(item->also != NULL && item->also->under_way > 0))
			return true;
	}
	return false;
}

/*
 * Counts each user of the request as under way, and the request as an overlap
 * when another one already has one of them.  An item's own mark must not be
 * taken for that of another request, so all are looked at first.
 */
void
standin_mark(Standin *standin, Request *request)
{
	if (is_busy(request))
	{
		standin_drop_dead(standin);
		if (is_busy(request))
			standin->stats.overlaps++;
	}
	for (int i = 0; i < request->nitems; i++)
	{
		if (request->items[i].who != NULL)
			request->items[i].who->under_way++;
		if (request->items[i].also != NULL)
			request->items[i].also->under_way++;
	}
	request->marked = true;
}

void
standin_unmark(Request *request)
{
	if (!request->marked)
		return;
	for (int i = 0; i < request->nitems; i++)
	{
		if (request->items[i].who != NULL)
			request->items[i].who->under_way--;
		if (request->items[i].also != NULL)
			request->items[i].also->under_way--;
	}
	request->marked = false;
}

/* due 0: until it is released */
void
standin_hold(Standin *standin, Request *request, int64_t due)
{
	request->state = REQUEST_HELD;
	request->due = due;
	if (due != 0)
		standin->ndelayed++;
	else
		standin->nheld++;
}

void
standin_release(Standin *standin, Request *request)
{
	if (!request->judged)
		standin_judge(standin, request);
	resume(standin, request);
}

static Request *
oldest_held(const Standin *standin, bool never_too)
{
	Request    *oldest = NULL;

	for (Request *request = standin->requests; request != NULL; request = request->next)
	{
		if (request->state == REQUEST_HELD && request->due == 0 &&
			(never_too || !request->never) &&
			(oldest == NULL || request->number < oldest->number))
			oldest = request;
	}
	return oldest;
}

/*
 * Lets held requests go, the oldest first; count -1: all.  With a status they
 * are answered so, with close not at all, and in both cases not applied.
 */
int
standin_release_many(Standin *standin, int count, int status, bool close)
{
	Request    *request;
	int			released = 0;

	standin_drop_dead(standin);
	while (released != count && (request = oldest_held(standin, close)) != NULL)
	{
		if ((status != 0 || close) && !request->judged)
			standin_lose(standin, request);
		if (close)
			give_up(standin, request);
		else
		{
			if (status != 0)
				standin_http_answer(request, status, "{\"message\":\"released\"}");
			standin_release(standin, request);
		}
		released++;
	}
	if (close && count < 0)
	{
		/* delayed ones as well: this is the end, or a fresh start */
		for (request = standin->requests; request != NULL; request = request->next)
		{
			if (request->state == REQUEST_HELD)
				give_up(standin, request);
		}
	}
	return released;
}

void
standin_release_due(Standin *standin, int64_t *next_due)
{
	int64_t		now = standin_now();

	*next_due = 0;
	if (standin->ndelayed == 0)
		return;
	for (Request *request = standin->requests; request != NULL; request = request->next)
	{
		if (request->state != REQUEST_HELD || request->due == 0)
			continue;
		if (request->due <= now)
			standin_release(standin, request);
		else if (*next_due == 0 || request->due < *next_due)
			*next_due = request->due;
	}
}
