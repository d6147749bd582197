/*-------------------------------------------------------------------------
 *
 * http_transfer.c
 *	  One transfer: its options, what curl calls for it, and how it ended.
 *
 *-------------------------------------------------------------------------
 */
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "braze/http_internal.h"

/*
 * curl keeps all headers of an answer in memory, each with about so much beside
 * its text, and older ones without limit.  Of all answers together they are few
 * as well; who answers with little is not refused for it.
 */
#define HEADER_OVERHEAD		128
#define MAX_HEADER_BYTES	(128 * 1024)
#define MAX_ALL_HEADERS		(8 * 1024 * 1024)
#define SMALL_HEADERS		(16 * 1024)

/* transfers kept for reuse: each holds up to 100 kB, and few are under way */
#define MAX_SPARE_TRANSFERS	32

/*
 * curl gives up a request that it has sent again so often (CONN_MAX_RETRIES)
 */
#define CURL_REPEATS		5

/*
 * What curl calls.  No callback may raise an error: it notes what is wrong and
 * returns short.
 */

/* a line of the headers */
static size_t
on_header(char *line, size_t size, size_t count, void *data)
{
	HttpTransfer *transfer = data;
	size_t		length = size * count;

	transfer->header_bytes += length + HEADER_OVERHEAD;
	transfer->http->header_bytes += length + HEADER_OVERHEAD;
	if (transfer->header_bytes > MAX_HEADER_BYTES ||
		(transfer->header_bytes > SMALL_HEADERS && transfer->http->header_bytes > MAX_ALL_HEADERS))
	{
		transfer->refusal = "the answer's headers are too long";
		return 0;
	}

	/* what an interim answer (1xx) said is not about this request's end */
	if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
	{
		transfer->headers_complete = false;
		braze_rate_headers_reset(&transfer->request->rate);

		/*
		 * Not HTTP/2: the next requests take connections of another pool, and
		 * nobody would ever use this one again.
		 */
		if (length >= 7 && memcmp(line, "HTTP/1.", 7) == 0 &&
			transfer->pool == &transfer->http->pools[HTTP_POOL_SHARED])
			(void) curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
	}
	else if (line[0] == '\r' || line[0] == '\n')
		transfer->headers_complete = true;
	else
		braze_rate_headers_read(&transfer->request->rate, line, (int) length,
								braze_http_now(CLOCK_REALTIME));
	return length;
}

/* how many bytes more of it may be kept; its buffer is doubled as it grows */
static size_t
room_for_answer(const BrazeHttp *http, const BrazeHttpRequest *request)
{
	size_t		others = http->answer_bytes - request->answer_size;
	size_t		limit = BRAZE_HTTP_SMALL_ANSWER;

	while (limit < BRAZE_HTTP_MAX_ANSWER && others + limit * 2 <= BRAZE_HTTP_MAX_ANSWERS)
		limit *= 2;
	return limit > request->answer_length ? limit - request->answer_length : 0;
}

/*
 * A part of the answer; what is returned other than its length ends the
 * transfer.
 */
static size_t
on_body(char *chunk, size_t size, size_t count, void *data)
{
	HttpTransfer *transfer = data;
	BrazeHttpRequest *request = transfer->request;
	size_t		length = size * count;
	size_t		room = room_for_answer(transfer->http, request);
	size_t		take = length < room ? length : room;

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
		transfer->http->answer_bytes += new_size - request->answer_size;
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

/* every socket counts against the files that the process may open */
static curl_socket_t
on_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	HttpTransfer *transfer = data;
	BrazeHttp  *http = transfer->http;
	curl_socket_t fd;

	(void) purpose;
	if (!http->acquire())
	{
		transfer->refusal = "too many files are open in this process, see max_files_per_process";
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		http->release();
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* the connection may outlive the transfer that opened it */
static int
on_close(void *data, curl_socket_t fd)
{
	BrazeHttp  *http = data;

	http->release();
	return close(fd);
}

bool
braze_http_transfer_unsent(const HttpTransfer *transfer)
{
	long		bytes = 0;

	return curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &bytes) == CURLE_OK &&
		bytes == 0;
}

bool
braze_http_transfer_is_written(const HttpTransfer *transfer)
{
	curl_off_t	bytes = 0;

	return curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &bytes) == CURLE_OK &&
		bytes >= (curl_off_t) transfer->request->body_length;
}

#if LIBCURL_VERSION_NUM >= 0x075000
/*
 * curl looks whether a kept connection has ended before it takes it, but the
 * newer ones (8.22) do not where it was used a moment ago.
 */
static bool
has_ended(CURL *easy)
{
	struct pollfd peer = {.fd = -1, .events = POLLRDHUP};
	curl_socket_t fd;

	if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
		fd == CURL_SOCKET_BAD)
		return false;
	peer.fd = fd;
	return poll(&peer, 1, 0) > 0;
}

/*
 * curl sends a request again, on a new connection, when a kept one was closed
 * before the first byte of an answer.  The server may have read it by then.
 * It does the same with what HTTP/2 refused, before it was read, because the
 * server takes fewer streams at a time than curl supposes until it is told;
 * curl does not say which it was.
 */
static int
on_begin(void *data, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	HttpTransfer *transfer = data;

	(void) remote_ip;
	(void) local_ip;
	(void) remote_port;
	(void) local_port;
	if (transfer->begun && !braze_http_transfer_unsent(transfer))
	{
		if (transfer->request->once)
		{
			transfer->refusal = "the connection was closed before an answer came";
			return CURL_PREREQFUNC_ABORT;
		}
		transfer->request->repeated = true;
		transfer->repeats++;
	}
	if (!transfer->begun && !transfer->fresh && has_ended(transfer->easy))
	{
		transfer->stale = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (transfer->request->asks_before && transfer->http->may_begin != NULL &&
		!transfer->http->may_begin())
	{
		transfer->request->held_back = true;
		transfer->refusal = "the request was held back";
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->begun = true;

	/* sent again, many would wait for one connection to refuse them again */
	(void) curl_easy_setopt(transfer->easy, CURLOPT_PIPEWAIT, 0L);
	return CURL_PREREQFUNC_OK;
}
#else
/* an older curl does not ask, but shows what it has written */
static int
on_written(CURL *easy, curl_infotype type, char *chunk, size_t length, void *data)
{
	HttpTransfer *transfer = data;

	(void) easy;
	if (type == CURLINFO_HEADER_OUT && length >= 5 && memcmp(chunk, "POST ", 5) == 0)
	{
		if (transfer->begun)
		{
			transfer->request->repeated = true;
			transfer->repeats++;
		}
		transfer->begun = true;
	}
	return 0;
}
#endif

bool
braze_http_transfer_may_start_again(const HttpTransfer *transfer, CURLcode result)
{
	if (transfer->fresh)
		return false;
	return transfer->stale ||
		(result == CURLE_SEND_ERROR && transfer->repeats >= CURL_REPEATS);
}

HttpTransfer *
braze_http_transfer_take(BrazeHttp *http)
{
	HttpTransfer *transfer = http->spare;

	if (transfer != NULL)
	{
		http->spare = transfer->next;
		http->nspare--;
	}
	else
	{
		transfer = calloc(1, sizeof(HttpTransfer));
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
void
braze_http_transfer_give_back(BrazeHttp *http, HttpTransfer *transfer)
{
	/* before the target and its headers go: the handle points to them */
	curl_easy_reset(transfer->easy);
	if (transfer->pool == &http->pools[HTTP_POOL_SHARED])
		transfer->target->nshared--;
	transfer->pool = NULL;
	if (transfer->target != NULL)
		braze_http_url_drop(transfer->target);
	transfer->target = NULL;
	transfer->request = NULL;
	http->header_bytes -= transfer->header_bytes;
	transfer->header_bytes = 0;

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

void
braze_http_transfer_answer_free(BrazeHttp *http, BrazeHttpRequest *request)
{
	http->answer_bytes -= request->answer_size;
	free(request->answer);
	request->answer = NULL;
	request->answer_length = request->answer_size = 0;
}

CURLcode
braze_http_transfer_configure(HttpTransfer *transfer)
{
	CURL	   *easy = transfer->easy;
	CURLcode	result = braze_http_options_set(easy, transfer->target, transfer->request);

	HTTP_SET(CURLOPT_PRIVATE, transfer);
	HTTP_SET(CURLOPT_ERRORBUFFER, transfer->curl_error);
	HTTP_SET(CURLOPT_HEADERFUNCTION, on_header);
	HTTP_SET(CURLOPT_HEADERDATA, transfer);
	HTTP_SET(CURLOPT_WRITEFUNCTION, on_body);
	HTTP_SET(CURLOPT_WRITEDATA, transfer);

	if (transfer->http->acquire != NULL)
	{
		HTTP_SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
		HTTP_SET(CURLOPT_OPENSOCKETDATA, transfer);
		HTTP_SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
		HTTP_SET(CURLOPT_CLOSESOCKETDATA, transfer->http);
	}

#if LIBCURL_VERSION_NUM >= 0x075000
	HTTP_SET(CURLOPT_PREREQFUNCTION, on_begin);
	HTTP_SET(CURLOPT_PREREQDATA, transfer);
#else
	HTTP_SET(CURLOPT_DEBUGFUNCTION, on_written);
	HTTP_SET(CURLOPT_DEBUGDATA, transfer);
	HTTP_SET(CURLOPT_VERBOSE, 1L);
#endif
	return result;
}


void
braze_http_transfer_report(BrazeHttpRequest *request, const char *text)
{
	snprintf(request->error, sizeof(request->error), "%s", text);
}

/*
 * what curl's and its TLS library's words are about, for who looks after
 * delivery
 */
static const char *
subject_of(CURLcode result)
{
	switch (result)
	{
		case CURLE_PEER_FAILED_VERIFICATION:
			return "the server's certificate is not accepted: ";
		case CURLE_SSL_CACERT_BADFILE:
			return "the certificate authorities cannot be read: ";
		case CURLE_SSL_CONNECT_ERROR:
			return "no connection over TLS 1.2 or later: ";
		default:
			return "";
	}
}

/*
 * When the server's own certificate ends, 0: not known.  OpenSSL writes "Nov 29
 * 07:38:16 2026 GMT", other libraries and newer versions of curl write
 * "2026-11-29 07:38:16 GMT", which curl itself reads without the hyphens only.
 */
static int64_t
certificate_end(CURL *easy)
{
	static const char label[] = "Expire date:";
	struct curl_certinfo *chain = NULL;
	time_t		moment;

	if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK ||
		chain == NULL || chain->num_of_certs == 0)
		return 0;
	for (struct curl_slist *line = chain->certinfo[0]; line != NULL; line = line->next)
	{
		char		text[64];
		size_t		length = 0;

		if (strncmp(line->data, label, sizeof(label) - 1) != 0)
			continue;
		for (const char *p = line->data + sizeof(label) - 1;
			 *p != '\0' && length < sizeof(text) - 1; p++)
		{
			if (*p != '-')
				text[length++] = *p;
		}
		text[length] = '\0';
		moment = curl_getdate(text, NULL);
		return moment > 0 ? (int64_t) moment : 0;
	}
	return 0;
}

/* TLS could not be agreed on, which curl does not count as connected */
static bool
is_tls_fault(CURLcode result)
{
	switch (result)
	{
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_SSL_CIPHER:
			return true;
		default:
			return false;
	}
}

/* before the handle is used again */
static void
fill_details(HttpTransfer *transfer, CURLcode result)
{
	BrazeHttpDetails *details = transfer->request->details;
	CURL	   *easy = transfer->easy;
	curl_off_t	resolved = 0;
	curl_off_t	connected = 0;
	curl_off_t	secured = 0;
	curl_off_t	sending = 0;
	curl_off_t	answering = 0;

	curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &sending);
	curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &answering);

	/* an address that is written as such takes no time */
	details->connected = (connected > 0 && result != CURLE_COULDNT_CONNECT) ||
		is_tls_fault(result);
	details->resolved = result != CURLE_COULDNT_RESOLVE_HOST &&
		(resolved > 0 || details->connected || result == CURLE_COULDNT_CONNECT);
	details->secured = secured > 0 && !transfer->target->plain;
	details->certificate_ends = details->secured ? certificate_end(easy) : 0;
	details->answer_ms = answering > sending ? (int64_t) (answering - sending) / 1000 : 0;
}

/* what the next requests to the same server go by */
static void
note_server(HttpTransfer *transfer, CURLcode result, long status)
{
	BrazeHttpTarget *target = transfer->target;
	long		version = 0;

	if (status > 0)
	{
		target->silent = false;
		if (curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK)
			target->sharing = version >= CURL_HTTP_VERSION_2_0 ? HTTP_SHARING : HTTP_NOT_SHARING;
	}
	else if (result == CURLE_OPERATION_TIMEDOUT && transfer->begun)
		target->silent = true;
}

/* as curl would say it */
void
braze_http_transfer_time_out(HttpTransfer *transfer)
{
	curl_off_t	received = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
	snprintf(transfer->curl_error, sizeof(transfer->curl_error),
			 "Operation timed out after %ld milliseconds with %lld bytes received",
			 transfer->target->timeout_ms, (long long) received);
}

/* fills the request's answer or error from how its transfer ended */
void
braze_http_transfer_judge(HttpTransfer *transfer, CURLcode result)
{
	BrazeHttpRequest *request = transfer->request;
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	note_server(transfer, result, status);

	/*
	 * curl is content with a connection that ends in the middle of the
	 * headers
	 */
	if (!transfer->headers_complete)
		status = 0;

	/*
	 * An answer that we cut off ourselves is one.  Of one that broke off,
	 * only a refusal counts: a success that is not complete says nothing of
	 * the objects.
	 */
	if (result == CURLE_OK || request->truncated)
		request->status = status;
	else if (transfer->refusal == NULL && status >= 300)
	{
		request->status = status;
		request->truncated = true;
	}

	request->unsent = braze_http_transfer_unsent(transfer);
	if (request->details != NULL)
		fill_details(transfer, result);

	/* an answer may end up in logs and tables, where a key must not be */
	if (request->status != 0)
		braze_http_url_mask_key(transfer->target, request);
	else
	{
		if (transfer->refusal != NULL)
			braze_http_transfer_report(request, transfer->refusal);
		else if (result != CURLE_OK)
		{
			char		text[CURL_ERROR_SIZE + 64];

			snprintf(text, sizeof(text), "%s%s", subject_of(result),
					 transfer->curl_error[0] != '\0' ?
					 transfer->curl_error : curl_easy_strerror(result));
			braze_http_transfer_report(request, text);
		}
		else
			braze_http_transfer_report(request, "the answer ended in its headers");
		request->truncated = false;
		braze_http_transfer_answer_free(transfer->http, request);
	}
}
