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
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define USER_AGENT			"segment_braze/0.1.0"

/* a host that takes no connection in this time will not take one at all */
#define CONNECT_TIMEOUT_MS	10000

/* curl keeps all headers of an answer in memory, and older ones without limit */
#define MAX_HEADER_BYTES	(128 * 1024)

/* transfers kept for reuse: each holds up to 100 kB, and few are under way */
#define MAX_SPARE_TRANSFERS	32

/* idle connections kept, in connections per host: room for several hosts */
#define IDLE_HOSTS			4

/*
 * A server in front of Braze may repeat the request's headers in its error
 * page.  Shorter keys than this are none, and could be words of the answer.
 */
#define MIN_MASKED_KEY		16

/* events taken from the epoll set at once */
#define MAX_EVENTS			64

/*
 * curl's state machine often asks to be called again at once.  Doing so here
 * saves a trip through the caller's wait; the bound keeps it in the caller's
 * hands how long it is away from its latch.
 */
#define MAX_PASSES			4

struct BrazeHttpTarget
{
	int			references;		/* the owner's, and one per transfer */
	char	   *url;			/* "https://host[:port]" */
	bool		plain;			/* http, to this machine */
	char	   *ca_file;
	char	   *api_key;
	struct curl_slist *headers; /* holds the key too */
	long		timeout_ms;
};

/* a handle of curl and what belongs to it while it is in use */
typedef struct Transfer
{
	CURL	   *easy;
	struct BrazeHttp *http;
	BrazeHttpRequest *request;
	BrazeHttpTarget *target;
	size_t		header_bytes;
	bool		headers_complete;	/* of the final answer, not of a 1xx */
	const char *refusal;		/* why a callback of ours broke it off */
	char		curl_error[CURL_ERROR_SIZE];
	struct Transfer *previous;
	struct Transfer *next;
} Transfer;

struct BrazeHttp
{
	CURLM	   *multi;
	int			epoll_fd;
	int			nsockets;		/* in the epoll set */
	int64_t		deadline;		/* when curl wants to be called, -1: no need */
	Transfer   *active;			/* a list in both directions */
	Transfer   *spare;			/* a list by next */
	int			nspare;
	BrazeHttpRequest *first_done;
	BrazeHttpRequest *last_done;
};

static int64_t
now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

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

/*-------------------------------------------------------------------------
 * Targets
 *-------------------------------------------------------------------------
 */

/* "127." and three more numbers, each written out: no "127.1", no octal */
static bool
is_loopback_ipv4(const char *host, size_t length)
{
	int			parts = 0;
	size_t		i = 0;

	while (i < length)
	{
		size_t		start = i;
		int			number = 0;

		while (i < length && host[i] >= '0' && host[i] <= '9' && i - start < 3)
			number = number * 10 + (host[i++] - '0');
		if (i == start || number > 255 || (host[start] == '0' && i - start > 1))
			return false;
		if (parts == 0 && number != 127)
			return false;
		parts++;
		if (i == length)
			break;
		if (host[i++] != '.')
			return false;
	}
	return parts == 4 && host[length - 1] != '.';
}

static bool
is_loopback(const char *host, size_t length)
{
	return (length == 9 && strncasecmp(host, "localhost", 9) == 0) ||
		(length == 5 && memcmp(host, "[::1]", 5) == 0) ||
		is_loopback_ipv4(host, length);
}

/*
 * Takes an endpoint apart.  The text is checked here once more, by a grammar
 * so narrow that no reader of URLs can see another host in it: where the key
 * goes depends on it.
 */
static bool
check_endpoint(const char *endpoint, bool *plain)
{
	const char *host;
	const char *p;
	size_t		length;

	if (strncasecmp(endpoint, "https://", 8) == 0)
	{
		*plain = false;
		host = endpoint + 8;
	}
	else if (strncasecmp(endpoint, "http://", 7) == 0)
	{
		*plain = true;
		host = endpoint + 7;
	}
	else
		return false;

	p = host;
	if (*p == '[')
	{
		p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
		if (*p != ']' || p == host + 1)
			return false;
		p++;
	}
	else
		p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	length = p - host;
	if (length == 0)
		return false;

	if (*p == ':')
	{
		size_t		digits = strspn(p + 1, "0123456789");

		if (digits < 1 || digits > 5)
			return false;
		p += 1 + digits;
	}
	if (*p != '\0')
		return false;
	return !*plain || is_loopback(host, length);
}

/* a control character in the key would begin another header */
static bool
check_key(const char *api_key)
{
	if (*api_key == '\0')
		return false;
	for (const unsigned char *p = (const unsigned char *) api_key; *p != '\0'; p++)
	{
		if (*p < 0x20 || *p == 0x7F)
			return false;
	}
	return true;
}

static bool
append_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*headers, line);

	if (longer == NULL)
		return false;
	*headers = longer;
	return true;
}

static void
wipe_and_free(char *secret)
{
	if (secret != NULL)
	{
		explicit_bzero(secret, strlen(secret));
		free(secret);
	}
}

static void
drop_target(BrazeHttpTarget *target)
{
	if (--target->references > 0)
		return;
	for (struct curl_slist *header = target->headers; header != NULL; header = header->next)
		explicit_bzero(header->data, strlen(header->data));
	curl_slist_free_all(target->headers);
	wipe_and_free(target->api_key);
	free(target->ca_file);
	free(target->url);
	free(target);
}

BrazeHttpTarget *
braze_http_target_create(const char *endpoint, const char *api_key,
						 const char *ca_file, long timeout_ms)
{
	static const char bearer[] = "Authorization: Bearer ";
	BrazeHttpTarget *target;
	char	   *authorization;
	size_t		size;
	bool		plain;
	bool		ok;

	if (endpoint == NULL || api_key == NULL || timeout_ms <= 0 ||
		!check_endpoint(endpoint, &plain) || !check_key(api_key))
		return NULL;

	target = calloc(1, sizeof(BrazeHttpTarget));
	if (target == NULL)
		return NULL;
	target->references = 1;
	target->plain = plain;
	target->timeout_ms = timeout_ms;
	target->url = strdup(endpoint);
	target->api_key = strdup(api_key);
	target->ca_file = ca_file != NULL ? strdup(ca_file) : NULL;
	size = sizeof(bearer) + strlen(api_key);
	authorization = malloc(size);

	ok = target->url != NULL && target->api_key != NULL && authorization != NULL &&
		(ca_file == NULL || target->ca_file != NULL);
	if (ok)
	{
		snprintf(authorization, size, "%s%s", bearer, api_key);

		/* without Expect, curl would wait a second before it sends a large body */
		ok = append_header(&target->headers, authorization) &&
			append_header(&target->headers, "Content-Type: application/json") &&
			append_header(&target->headers, "Accept: application/json") &&
			append_header(&target->headers, "Expect:");
		explicit_bzero(authorization, size);
	}
	free(authorization);
	if (!ok)
	{
		drop_target(target);
		return NULL;
	}
	return target;
}

void
braze_http_target_free(BrazeHttpTarget *target)
{
	if (target != NULL)
		drop_target(target);
}

/*-------------------------------------------------------------------------
 * What curl calls.  No callback may raise an error: it notes what is wrong and
 * returns short.
 *-------------------------------------------------------------------------
 */

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	BrazeHttp  *http = data;
	struct epoll_event event = {.data.fd = fd};

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
		curl_multi_assign(http->multi, fd, http);
	}
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *data)
{
	BrazeHttp  *http = data;

	(void) multi;
	http->deadline = timeout_ms < 0 ? -1 : now_ms(CLOCK_MONOTONIC) + timeout_ms;
	return 0;
}

static size_t
on_header(char *line, size_t size, size_t count, void *data)
{
	Transfer   *transfer = data;
	size_t		length = size * count;

	transfer->header_bytes += length;
	if (transfer->header_bytes > MAX_HEADER_BYTES)
	{
		transfer->refusal = "the answer's headers are too long";
		return 0;
	}

	/* what an interim answer (1xx) said is not about this request's end */
	if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
	{
		transfer->headers_complete = false;
		braze_rate_headers_reset(&transfer->request->rate);
	}
	else if (line[0] == '\r' || line[0] == '\n')
		transfer->headers_complete = true;
	else
		braze_rate_headers_read(&transfer->request->rate, line, (int) length,
								now_ms(CLOCK_REALTIME));
	return length;
}

static size_t
on_body(char *chunk, size_t size, size_t count, void *data)
{
	Transfer   *transfer = data;
	BrazeHttpRequest *request = transfer->request;
	size_t		length = size * count;
	size_t		take = length;

	if (take > BRAZE_HTTP_MAX_ANSWER - request->answer_length)
		take = BRAZE_HTTP_MAX_ANSWER - request->answer_length;

	if (request->answer_length + take > request->answer_size)
	{
		size_t		new_size = request->answer_size == 0 ? 512 : request->answer_size;
		char	   *grown;

		while (new_size < request->answer_length + take)
			new_size *= 2;
		grown = realloc(request->answer, new_size);
		if (grown == NULL)
		{
			transfer->refusal = "out of memory for the answer";
			return 0;
		}
		request->answer = grown;
		request->answer_size = new_size;
	}
	if (take > 0)
	{
		memcpy(request->answer + request->answer_length, chunk, take);
		request->answer_length += take;
	}

	/* no need to hear the rest, which may never end */
	if (take < length)
	{
		request->truncated = true;
		return 0;
	}
	return length;
}

/*-------------------------------------------------------------------------
 * Transfers
 *-------------------------------------------------------------------------
 */

static Transfer *
take_transfer(BrazeHttp *http)
{
	Transfer   *transfer = http->spare;

	if (transfer != NULL)
	{
		http->spare = transfer->next;
		http->nspare--;
	}
	else
	{
		transfer = calloc(1, sizeof(Transfer));
		if (transfer == NULL)
			return NULL;
		transfer->easy = curl_easy_init();
		if (transfer->easy == NULL)
		{
			free(transfer);
			return NULL;
		}
		transfer->http = http;
	}
	transfer->previous = transfer->next = NULL;
	return transfer;
}

/* the handle must not be in the multi any more */
static void
give_back_transfer(BrazeHttp *http, Transfer *transfer)
{
	/* before the target and its headers go: the handle points to them */
	curl_easy_reset(transfer->easy);
	if (transfer->target != NULL)
		drop_target(transfer->target);
	transfer->target = NULL;
	transfer->request = NULL;

	if (http->nspare < MAX_SPARE_TRANSFERS)
	{
		transfer->next = http->spare;
		http->spare = transfer;
		http->nspare++;
	}
	else
	{
		curl_easy_cleanup(transfer->easy);
		free(transfer);
	}
}

/* takes a transfer off the wire and off the list of active ones */
static void
detach_transfer(BrazeHttp *http, Transfer *transfer)
{
	curl_multi_remove_handle(http->multi, transfer->easy);
	if (transfer->previous != NULL)
		transfer->previous->next = transfer->next;
	else
		http->active = transfer->next;
	if (transfer->next != NULL)
		transfer->next->previous = transfer->previous;
	transfer->request->handle = NULL;
	give_back_transfer(http, transfer);
}

static void
free_answer(BrazeHttpRequest *request)
{
	free(request->answer);
	request->answer = NULL;
	request->answer_length = request->answer_size = 0;
}

/*
 * Returns CURLE_OK or the first option's error.  An option is left out only
 * where a curl without it behaves as wanted.
 */
static CURLcode
configure(Transfer *transfer)
{
	BrazeHttpTarget *target = transfer->target;
	BrazeHttpRequest *request = transfer->request;
	CURL	   *easy = transfer->easy;
	CURLcode	result = CURLE_OK;
	size_t		size = strlen(target->url) + strlen(request->path) + 1;
	char	   *url = malloc(size);

#define SET(option, value) \
	do { \
		if (result == CURLE_OK) \
			result = curl_easy_setopt(easy, option, value); \
	} while (0)

	if (url == NULL)
		return CURLE_OUT_OF_MEMORY;
	snprintf(url, size, "%s%s", target->url, request->path);
	SET(CURLOPT_URL, url);
	free(url);

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->curl_error);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, transfer);

	SET(CURLOPT_HTTPHEADER, target->headers);
	SET(CURLOPT_USERAGENT, USER_AGENT);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_length);

	/* not copied, so that curl can rewind it when a kept connection was dead */
	SET(CURLOPT_POSTFIELDS, request->body);

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TIMEOUT_MS, target->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
		target->timeout_ms < CONNECT_TIMEOUT_MS ? target->timeout_ms : CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);

	/* the key goes to the endpoint and nowhere else */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, target->plain ? "http" : "https");
#else
	SET(CURLOPT_PROTOCOLS, target->plain ? (long) CURLPROTO_HTTP : (long) CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x074000
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
#endif

#if LIBCURL_VERSION_NUM >= 0x075700
	/* else a name server that hangs holds up removing the handle */
	SET(CURLOPT_QUICK_EXIT, 1L);
#endif

	if (target->plain)
		SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	else
	{
		SET(CURLOPT_SSL_VERIFYPEER, 1L);
		SET(CURLOPT_SSL_VERIFYHOST, 2L);
		SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
		if (target->ca_file != NULL)
			SET(CURLOPT_CAINFO, target->ca_file);
#if LIBCURL_VERSION_NUM >= 0x075700
		/* a bundle that is replaced counts within minutes, not in a day */
		SET(CURLOPT_CA_CACHE_TIMEOUT, 300L);
#endif

		/* a curl without HTTP/2 refuses the first, and HTTP/1.1 will do */
		(void) curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
		SET(CURLOPT_PIPEWAIT, 1L);
	}
#undef SET

	return result;
}

static void
report_error(BrazeHttpRequest *request, const char *text)
{
	snprintf(request->error, sizeof(request->error), "%s", text);
}

/* overwrites the key where the answer repeats it */
static void
mask_key(BrazeHttpRequest *request, const char *api_key)
{
	size_t		length = strlen(api_key);
	char	   *p = request->answer;
	size_t		left = request->answer_length;
	char	   *found;

	if (length < MIN_MASKED_KEY)
		return;
	while (left >= length && (found = memmem(p, left, api_key, length)) != NULL)
	{
		memset(found, '*', length);
		left -= found + length - p;
		p = found + length;
	}
}

static void
finish(BrazeHttp *http, Transfer *transfer, CURLcode result)
{
	BrazeHttpRequest *request = transfer->request;
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);

	if (result == CURLE_OK || request->truncated)
		request->status = status;
	else if (transfer->refusal == NULL && transfer->headers_complete && status >= 300)
	{
		request->status = status;
		request->truncated = true;
	}

	if (request->status != 0)
		mask_key(request, transfer->target->api_key);
	else
	{
		if (transfer->refusal != NULL)
			report_error(request, transfer->refusal);
		else if (transfer->curl_error[0] != '\0')
			report_error(request, transfer->curl_error);
		else if (result != CURLE_OK)
			report_error(request, curl_easy_strerror(result));
		else
			report_error(request, "the answer has no status");
		request->truncated = false;
		free_answer(request);
	}

	detach_transfer(http, transfer);
	request->next_done = NULL;
	if (http->last_done != NULL)
		http->last_done->next_done = request;
	else
		http->first_done = request;
	http->last_done = request;
}

/*
 * Lets curl do what it can without blocking.  Its errors are those of single
 * transfers, which are reported as messages, or passing ones of memory, after
 * which the transfers' timeouts still end them.
 */
static void
run(BrazeHttp *http)
{
	sigset_t	saved;

	if (http->active == NULL && http->nsockets == 0 && http->deadline < 0)
		return;

	block_signals(&saved);
	for (int pass = 0; pass < MAX_PASSES; pass++)
	{
		struct epoll_event events[MAX_EVENTS];
		int			nevents = 0;
		int			running;
		CURLMsg    *message;

		if (http->nsockets > 0)
			nevents = epoll_wait(http->epoll_fd, events, MAX_EVENTS, 0);
		for (int i = 0; i < nevents; i++)
		{
			int			bits = 0;

			if (events[i].events & EPOLLIN)
				bits |= CURL_CSELECT_IN;
			if (events[i].events & EPOLLOUT)
				bits |= CURL_CSELECT_OUT;
			if (events[i].events & (EPOLLERR | EPOLLHUP))
				bits |= CURL_CSELECT_ERR;
			curl_multi_socket_action(http->multi, events[i].data.fd, bits, &running);
		}

		if (http->deadline >= 0 && http->deadline <= now_ms(CLOCK_MONOTONIC))
		{
			/* curl sets it again if it still needs it */
			http->deadline = -1;
			curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		else if (nevents <= 0)
			break;

		while ((message = curl_multi_info_read(http->multi, &running)) != NULL)
		{
			CURLcode	result = message->data.result;
			char	   *private = NULL;

			if (message->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
			finish(http, (Transfer *) private, result);
		}
	}
	restore_signals(&saved);
}

/*-------------------------------------------------------------------------
 * What the worker calls
 *-------------------------------------------------------------------------
 */

BrazeHttp *
braze_http_create(int max_connections, char *error, size_t error_size)
{
	BrazeHttp  *http = calloc(1, sizeof(BrazeHttp));
	sigset_t	saved;
	CURLcode	result;

	if (http == NULL)
	{
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	http->deadline = -1;
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
	if (result == CURLE_OK)
		http->multi = curl_multi_init();
	if (http->multi == NULL ||
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) max_connections) != CURLM_OK ||
		curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) max_connections * IDLE_HOSTS) != CURLM_OK)
	{
		snprintf(error, error_size, "could not initialize libcurl: %s",
				 curl_easy_strerror(result != CURLE_OK ? result : CURLE_OUT_OF_MEMORY));
		if (http->multi != NULL)
			curl_multi_cleanup(http->multi);
		close(http->epoll_fd);
		free(http);
		http = NULL;
	}
	restore_signals(&saved);
	return http;
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
		free_answer(request);
	}
	while (http->first_done != NULL)
	{
		free_answer(http->first_done);
		http->first_done = http->first_done->next_done;
	}
	while (http->spare != NULL)
	{
		Transfer   *transfer = http->spare;

		http->spare = transfer->next;
		curl_easy_cleanup(transfer->easy);
		free(transfer);
	}
	curl_multi_cleanup(http->multi);
	restore_signals(&saved);

	close(http->epoll_fd);
	free(http);
}

bool
braze_http_send(BrazeHttp *http, BrazeHttpRequest *request)
{
	sigset_t	saved;
	Transfer   *transfer;
	CURLcode	result;
	CURLMcode	added = CURLM_OK;

	request->status = 0;
	request->error[0] = '\0';
	request->answer = NULL;
	request->answer_length = request->answer_size = 0;
	request->truncated = false;
	request->handle = NULL;
	request->next_done = NULL;
	braze_rate_headers_reset(&request->rate);

	block_signals(&saved);
	transfer = take_transfer(http);
	if (transfer == NULL)
	{
		restore_signals(&saved);
		report_error(request, "out of memory");
		return false;
	}
	transfer->request = request;
	transfer->target = request->target;
	transfer->target->references++;
	transfer->header_bytes = 0;
	transfer->headers_complete = false;
	transfer->refusal = NULL;
	transfer->curl_error[0] = '\0';

	result = configure(transfer);
	if (result == CURLE_OK)
		added = curl_multi_add_handle(http->multi, transfer->easy);
	if (result != CURLE_OK || added != CURLM_OK)
	{
		report_error(request, result != CURLE_OK ?
					 curl_easy_strerror(result) : curl_multi_strerror(added));
		give_back_transfer(http, transfer);
		restore_signals(&saved);
		return false;
	}

	request->handle = transfer;
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
		detach_transfer(http, request->handle);
		restore_signals(&saved);
	}
	else
	{
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
	free_answer(request);
}

int
braze_http_fd(const BrazeHttp *http)
{
	return http->epoll_fd;
}

long
braze_http_timeout(const BrazeHttp *http)
{
	int64_t		left;

	if (http->first_done != NULL)
		return 0;
	if (http->deadline < 0)
		return -1;
	left = http->deadline - now_ms(CLOCK_MONOTONIC);
	return left > 0 ? (long) left : 0;
}

BrazeHttpRequest *
braze_http_next_done(BrazeHttp *http)
{
	BrazeHttpRequest *request;

	if (http->first_done == NULL)
		run(http);
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
	(void) http;
	free_answer(request);
}
