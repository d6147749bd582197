/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Requests under way: libcurl's multi interface behind one descriptor.
 *
 * Every call into libcurl is made with signals blocked.  curl's resolver runs
 * in a thread that inherits the mask of its creator, and a thread that took
 * one of the server's signals would run the server's handler.
 *
 *-------------------------------------------------------------------------
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "braze/http_internal.h"

/* idle connections over TLS that are kept, in connections per host */
#define IDLE_HOSTS			4

/*
 * Connections to a host that requests share.  HTTP/2 needs one or two; but when
 * a server ends one, as nginx does after a thousand requests, curl opens
 * another for each request that was under way on it.
 */
#define MAX_SHARED_CONNECTIONS	16

/* events taken from the epoll set at once */
#define MAX_EVENTS			64

/*
 * curl's state machine often asks to be called again at once.  Doing so here
 * saves a trip through the caller's wait; the bound keeps it in the caller's
 * hands how long it is away from its latch.
 */
#define MAX_PASSES			4

/* when a transfer has had its time: enough to read any answer that is there */
#define MAX_LATE_PASSES		64

/*
 * Blocks what may be blocked.  A fault of the program itself is left alone:
 * blocked, it would kill the process without a word.
 */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

static void
restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/* curl says for what it waits at a socket: that is kept in the epoll set */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	HttpPool   *pool = data;
	BrazeHttp  *http = pool->http;
	struct epoll_event event = {.data.u64 = (uint64_t) fd * HTTP_POOLS + (pool - http->pools)};

	(void) easy;

	if (what == CURL_POLL_REMOVE)
	{
		if (known != NULL)
		{
			epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
			http->nsockets--;
		}
		return 0;
	}

	if (what != CURL_POLL_OUT)
		event.events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		event.events |= EPOLLOUT;

	/*
	 * If the kernel has no memory for another entry, the socket stays out of
	 * the set and its transfer ends by its timeout.  Returning an error would
	 * end all other transfers for good.
	 */
	if (known != NULL)
		epoll_ctl(http->epoll_fd, EPOLL_CTL_MOD, fd, &event);
	else if (epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
	{
		http->nsockets++;
		curl_multi_assign(pool->multi, fd, pool);
	}
	return 0;
}

/* curl says when it wants to be called next, -1: not at all */
static int
on_timer(CURLM *multi, long timeout_ms, void *data)
{
	HttpPool   *pool = data;

	(void) multi;
	pool->deadline = timeout_ms < 0 ? -1 : braze_http_now(CLOCK_MONOTONIC) + timeout_ms;
	return 0;
}

/*
 * curl's time for a request runs while it waits for a connection.  So where
 * requests do not share connections, the pool has one for each.
 */
static HttpPool *
choose_pool(BrazeHttp *http, const BrazeHttpTarget *target, const BrazeHttpRequest *request)
{
	if (target->plain)
		return &http->pools[HTTP_POOL_PLAIN];
	if (target->sharing == HTTP_NOT_SHARING || braze_http_options_is_alone(target, request))
		return &http->pools[HTTP_POOL_SEPARATE];
	return &http->pools[HTTP_POOL_SHARED];
}

/* takes a transfer off the wire and off the list of active ones */
static void
detach_transfer(BrazeHttp *http, HttpTransfer *transfer)
{
	curl_multi_remove_handle(transfer->pool->multi, transfer->easy);
	if (transfer->previous != NULL)
		transfer->previous->next = transfer->next;
	else
		http->active = transfer->next;
	if (transfer->next != NULL)
		transfer->next->previous = transfer->previous;
	transfer->request->handle = NULL;
	braze_http_transfer_give_back(http, transfer);
}

/*
 * A fresh connection replaces one that the server had closed meanwhile, or
 * over which curl has sent the request in vain too often.  False: the transfer
 * is over with this result.
 */
static bool
send_once_more(HttpTransfer *transfer, CURLcode result)
{
	CURLM	   *multi = transfer->pool->multi;

	if (!braze_http_transfer_may_start_again(transfer, result))
		return false;
	transfer->fresh = true;
	curl_multi_remove_handle(multi, transfer->easy);
	return curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
		curl_multi_add_handle(multi, transfer->easy) == CURLM_OK;
}

/* curl is done with it: it goes to the end of the list of those to take */
static void
finish_transfer(BrazeHttp *http, HttpTransfer *transfer, CURLcode result)
{
	BrazeHttpRequest *request = transfer->request;

	if (send_once_more(transfer, result))
		return;
	braze_http_transfer_judge(transfer, result);
	detach_transfer(http, transfer);
	request->next_done = NULL;
	if (http->last_done != NULL)
		http->last_done->next_done = request;
	else
		http->first_done = request;
	http->last_done = request;
}

/* the soonest of the pools' and the transfers', -1: none */
static int64_t
next_deadline(const BrazeHttp *http)
{
	int64_t		deadline = http->next_end;

	for (int i = 0; i < HTTP_POOLS; i++)
	{
		int64_t		other = http->pools[i].deadline;

		if (other >= 0 && (deadline < 0 || other < deadline))
			deadline = other;
	}
	return deadline;
}

/*
 * Ends what has had no complete answer within its time.  curl itself would do
 * so before it reads from the socket: an answer that has come would be taken
 * for a timeout because the caller was late.
 */
static void
end_overdue(BrazeHttp *http, int64_t now)
{
	HttpTransfer *next;

	if (http->next_end < 0 || http->next_end > now)
		return;
	http->next_end = -1;
	for (HttpTransfer *transfer = http->active; transfer != NULL; transfer = next)
	{
		next = transfer->next;
		if (transfer->ends <= now)
		{
			braze_http_transfer_time_out(transfer);
			finish_transfer(http, transfer, CURLE_OPERATION_TIMEDOUT);
		}
		else if (http->next_end < 0 || transfer->ends < http->next_end)
			http->next_end = transfer->ends;
	}
}

/* lets curl see to its timers when the next of them is over */
static bool
call_if_due(HttpPool *pool)
{
	int			running;

	if (pool->deadline < 0 || pool->deadline > braze_http_now(CLOCK_MONOTONIC))
		return false;

	/* curl sets it again if it still needs it */
	pool->deadline = -1;
	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	return true;
}

/* looks which transfers have ended */
static void
take_messages(HttpPool *pool)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(pool->multi, &left)) != NULL)
	{
		/* a copy, since removing the handle frees the message */
		CURLcode	result = message->data.result;
		char	   *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		finish_transfer(pool->http, (HttpTransfer *) private, result);
	}
}

/*
 * Lets curl do what it can without blocking.  Its errors are those of single
 * transfers, which are reported as messages, or passing ones of memory, after
 * which the transfers' timeouts still end them.
 */
static void
run_transfers(BrazeHttp *http)
{
	sigset_t	saved;
	int64_t		now = braze_http_now(CLOCK_MONOTONIC);
	bool		overdue = http->next_end >= 0 && http->next_end <= now;

	if (http->active == NULL && http->nsockets == 0 && next_deadline(http) < 0)
		return;

	block_signals(&saved);
	for (int pass = 0; pass < (overdue ? MAX_LATE_PASSES : MAX_PASSES); pass++)
	{
		struct epoll_event events[MAX_EVENTS];
		int			nevents = 0;
		bool		called = false;

		if (http->nsockets > 0)
			nevents = epoll_wait(http->epoll_fd, events, MAX_EVENTS, 0);
		for (int i = 0; i < nevents; i++)
		{
			HttpPool   *pool = &http->pools[events[i].data.u64 % HTTP_POOLS];
			int			bits = 0;
			int			running;

			if (events[i].events & EPOLLIN)
				bits |= CURL_CSELECT_IN;
			if (events[i].events & EPOLLOUT)
				bits |= CURL_CSELECT_OUT;
			if (events[i].events & (EPOLLERR | EPOLLHUP))
				bits |= CURL_CSELECT_ERR;
			curl_multi_socket_action(pool->multi,
									 (curl_socket_t) (events[i].data.u64 / HTTP_POOLS),
									 bits, &running);
			called = true;
		}

		for (int i = 0; i < HTTP_POOLS; i++)
		{
			if (call_if_due(&http->pools[i]))
				called = true;
		}
		/* nothing has happened since the last pass */
		if (!called)
			break;
		for (int i = 0; i < HTTP_POOLS; i++)
			take_messages(&http->pools[i]);
	}

	/*
	 * Last: what there was to read has been read.  What is overdue only since
	 * the passes began had too few of them, and is left to the next time.
	 */
	end_overdue(http, now);
	restore_signals(&saved);
}

/*-------------------------------------------------------------------------
 * What the worker calls
 *-------------------------------------------------------------------------
 */

/* false: no memory; destroy_pools then frees what there is */
static bool
create_pool(HttpPool *pool, BrazeHttp *http, int max_connections, int max_idle)
{
	pool->http = http;
	pool->deadline = -1;
	pool->multi = curl_multi_init();
	return pool->multi != NULL &&
		curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) max_connections) == CURLM_OK &&
		curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long) max_idle) == CURLM_OK;
}

static void
destroy_pools(BrazeHttp *http)
{
	for (int i = 0; i < HTTP_POOLS; i++)
	{
		if (http->pools[i].multi != NULL)
			curl_multi_cleanup(http->pools[i].multi);
	}
}

BrazeHttp  *
braze_http_create(int max_connections, char *error, size_t error_size)
{
	BrazeHttp  *http = calloc(1, sizeof(BrazeHttp));
	int			max_shared = max_connections < MAX_SHARED_CONNECTIONS ? max_connections : MAX_SHARED_CONNECTIONS;
	sigset_t	saved;
	CURLcode	result;

	if (http == NULL)
	{
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	http->next_end = -1;
	http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (http->epoll_fd < 0)
	{
		snprintf(error, error_size, "could not create an epoll set: %s", strerror(errno));
		free(http);
		return NULL;
	}

	block_signals(&saved);

	/*
	 * Never undone: a resolver's thread that was left to itself may outlive
	 * every handle.
	 */
	result = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (result != CURLE_OK ||
		!create_pool(&http->pools[HTTP_POOL_PLAIN], http, max_connections, max_connections) ||
		!create_pool(&http->pools[HTTP_POOL_SHARED], http, max_shared, max_shared * IDLE_HOSTS) ||
		!create_pool(&http->pools[HTTP_POOL_SEPARATE], http, max_connections, max_connections))
	{
		snprintf(error, error_size, "could not initialize libcurl: %s",
				 curl_easy_strerror(result != CURLE_OK ? result : CURLE_OUT_OF_MEMORY));
		braze_http_destroy(http);
		http = NULL;
	}
	restore_signals(&saved);
	return http;
}

void
braze_http_announce_sockets(BrazeHttp *http, bool (*acquire) (void), void (*release) (void))
{
	http->acquire = acquire;
	http->release = release;
}

void
braze_http_ask_before(BrazeHttp *http, bool (*may_begin) (void))
{
	http->may_begin = may_begin;
}

void
braze_http_destroy(BrazeHttp *http)
{
	sigset_t	saved;

	if (http == NULL)
		return;

	block_signals(&saved);
	while (http->active != NULL)
	{
		BrazeHttpRequest *request = http->active->request;

		detach_transfer(http, http->active);
		braze_http_transfer_answer_free(http, request);
	}
	while (http->first_done != NULL)
	{
		braze_http_transfer_answer_free(http, http->first_done);
		http->first_done = http->first_done->next_done;
	}
	while (http->spare != NULL)
	{
		HttpTransfer *transfer = http->spare;

		http->spare = transfer->next;
		curl_easy_cleanup(transfer->easy);
		free(transfer);
	}
	destroy_pools(http);
	restore_signals(&saved);

	close(http->epoll_fd);
	free(http);
}

/* until a server has answered, it may be one of HTTP/1.1 */
bool
braze_http_has_room(const BrazeHttpTarget *target)
{
	return target->plain || target->sharing != HTTP_SHARING_UNKNOWN ||
		target->nshared < MAX_SHARED_CONNECTIONS;
}

bool
braze_http_send(BrazeHttp *http, BrazeHttpRequest *request)
{
	sigset_t	saved;
	HttpTransfer *transfer;
	CURLcode	result;
	CURLMcode	added = CURLM_OK;

	request->status = 0;
	request->error[0] = '\0';
	request->answer = NULL;
	request->answer_length = request->answer_size = 0;
	request->truncated = false;

	/*
	 * True until something of it was written: until then even a request that
	 * must not arrive twice may start again.
	 */
	request->unsent = true;
	request->held_back = false;
	request->repeated = false;
	request->handle = NULL;
	request->next_done = NULL;
	braze_rate_headers_reset(&request->rate);

	block_signals(&saved);
	transfer = braze_http_transfer_take(http);
	if (transfer == NULL)
	{
		restore_signals(&saved);
		braze_http_transfer_report(request, "out of memory");
		return false;
	}
	transfer->request = request;
	transfer->target = request->target;

	/*
	 * A destination's endpoint may change meanwhile: the target stays while a
	 * transfer uses it.
	 */
	transfer->target->references++;
	transfer->headers_complete = false;
	transfer->begun = transfer->stale = transfer->fresh = false;
	transfer->repeats = 0;
	transfer->refusal = NULL;
	transfer->curl_error[0] = '\0';

	transfer->pool = choose_pool(http, transfer->target, request);
	if (transfer->pool == &http->pools[HTTP_POOL_SHARED])
		transfer->target->nshared++;

	result = braze_http_transfer_configure(transfer);
	if (result == CURLE_OK)
		added = curl_multi_add_handle(transfer->pool->multi, transfer->easy);

	/*
	 * A request that cannot begin has been nowhere: it is not in a list, and
	 * the caller has it back with the reason.
	 */
	if (result != CURLE_OK || added != CURLM_OK)
	{
		braze_http_transfer_report(request, result != CURLE_OK ?
								   curl_easy_strerror(result) : curl_multi_strerror(added));
		braze_http_transfer_give_back(http, transfer);
		restore_signals(&saved);
		return false;
	}

	request->handle = transfer;
	transfer->ends = braze_http_now(CLOCK_MONOTONIC) + transfer->target->timeout_ms;
	if (http->next_end < 0 || transfer->ends < http->next_end)
		http->next_end = transfer->ends;
	transfer->next = http->active;
	if (http->active != NULL)
		http->active->previous = transfer;
	http->active = transfer;
	restore_signals(&saved);
	return true;
}

void
braze_http_cancel(BrazeHttp *http, BrazeHttpRequest *request)
{
	if (request->handle != NULL)
	{
		sigset_t	saved;

		block_signals(&saved);

		/*
		 * asked before the transfer is given back, for another request to use
		 */
		request->unsent = braze_http_transfer_unsent(request->handle);
		detach_transfer(http, request->handle);
		restore_signals(&saved);
	}
	else
	{
		/* it may have ended already, and wait to be taken */
		BrazeHttpRequest *previous = NULL;
		BrazeHttpRequest *done = http->first_done;

		while (done != NULL && done != request)
		{
			previous = done;
			done = done->next_done;
		}
		if (done != NULL)
		{
			if (previous != NULL)
				previous->next_done = request->next_done;
			else
				http->first_done = request->next_done;
			if (http->last_done == request)
				http->last_done = previous;
		}
	}
	braze_http_transfer_answer_free(http, request);
}

bool
braze_http_is_written(const BrazeHttpRequest *request)
{
	return request->handle == NULL || braze_http_transfer_is_written(request->handle);
}

int
braze_http_fd(const BrazeHttp *http)
{
	return http->epoll_fd;
}

long
braze_http_timeout(const BrazeHttp *http)
{
	int64_t		deadline = next_deadline(http);
	int64_t		left;

	if (http->first_done != NULL)
		return 0;
	if (deadline < 0)
		return -1;
	left = deadline - braze_http_now(CLOCK_MONOTONIC);
	return left > 0 ? (long) left : 0;
}

BrazeHttpRequest *
braze_http_next_done(BrazeHttp *http)
{
	BrazeHttpRequest *request;

	if (http->first_done == NULL)
		run_transfers(http);
	request = http->first_done;
	if (request != NULL)
	{
		http->first_done = request->next_done;
		if (http->first_done == NULL)
			http->last_done = NULL;
		request->next_done = NULL;
	}
	return request;
}

void
braze_http_release(BrazeHttp *http, BrazeHttpRequest *request)
{
	braze_http_transfer_answer_free(http, request);
}
