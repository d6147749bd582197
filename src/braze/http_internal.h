/*-------------------------------------------------------------------------
 *
 * http_internal.h
 *	  What http.c (the multi loop), http_url.c and http_transfer.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HTTP_INTERNAL_H
#define BRAZE_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <time.h>

#include "braze/http.h"

/* over TLS it is the server that says whether requests share a connection */
typedef enum HttpSharing
{
	HTTP_SHARING_UNKNOWN,
	HTTP_SHARING,				/* HTTP/2 */
	HTTP_NOT_SHARING
} HttpSharing;

struct BrazeHttpTarget
{
	int			references;		/* the owner's, and one per transfer */
	char	   *url;			/* "https://host[:port]" */
	bool		plain;			/* http, to this machine */
	char	   *ca_file;
	char	   *api_key;
	struct curl_slist *headers; /* holds the key too */
	long		timeout_ms;
	HttpSharing sharing;		/* as the last answer had it */
	int			nshared;		/* transfers in the pool of shared connections */
	bool		silent;			/* no answer came in time, nor any since */
};

/* a handle of curl and what belongs to it while it is in use */
typedef struct HttpTransfer
{
	CURL	   *easy;
	struct BrazeHttp *http;
	struct HttpPool *pool;
	BrazeHttpRequest *request;
	BrazeHttpTarget *target;
	int64_t		ends;			/* when it is over, answered or not */
	size_t		header_bytes;
	bool		headers_complete;	/* of the final answer, not of a 1xx */
	bool		begun;			/* curl was about to write the request, */
	int			repeats;		/* and how often curl sent it again */
	bool		stale;			/* but on a kept connection that has ended */
	bool		fresh;			/* only a new connection will do */
	const char *refusal;		/* why a callback of ours broke it off */
	char		curl_error[CURL_ERROR_SIZE];
	struct HttpTransfer *previous;
	struct HttpTransfer *next;
} HttpTransfer;

/* connections that have a limit in common */
typedef struct HttpPool
{
	struct BrazeHttp *http;
	CURLM	   *multi;
	int64_t		deadline;		/* when curl wants to be called, -1: no need */
} HttpPool;

/* the last one is for TLS where each request needs a connection of its own */
#define HTTP_POOL_PLAIN		0
#define HTTP_POOL_SHARED	1
#define HTTP_POOL_SEPARATE	2
#define HTTP_POOLS			3

struct BrazeHttp
{
	HttpPool	pools[HTTP_POOLS];
	int			epoll_fd;
	int			nsockets;		/* in the epoll set */
	bool		(*acquire) (void);	/* NULL: sockets are not announced */
	void		(*release) (void);
	bool		(*may_begin) (void);	/* NULL: it always may */
	HttpTransfer *active;		/* a list in both directions */
	int64_t		next_end;		/* none of them ends before, -1: there is none */
	HttpTransfer *spare;		/* a list by next */
	int			nspare;
	size_t		answer_bytes;	/* of all answers that are held */
	size_t		header_bytes;	/* of all transfers */
	BrazeHttpRequest *first_done;
	BrazeHttpRequest *last_done;
};

/* milliseconds of a clock */
static inline int64_t
braze_http_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* http_url.c */
extern void braze_http_url_drop(BrazeHttpTarget *target);

/* overwrites the key where the answer repeats it, or begins to and was cut */
extern void braze_http_url_mask_key(const BrazeHttpTarget *target, BrazeHttpRequest *request);

/*
 * Sets an option of "easy".  The first that is refused is in "result", and none
 * is set after it.
 */
#define HTTP_SET(option, value) \
	do { \
		if (result == CURLE_OK) \
			result = curl_easy_setopt(easy, option, value); \
	} while (0)

/*
 * http_options.c.  A request over TLS that must not be sent twice has a new
 * connection.
 */
extern bool braze_http_options_is_alone(const BrazeHttpTarget *target,
										const BrazeHttpRequest *request);
extern CURLcode braze_http_options_set(CURL *easy, const BrazeHttpTarget *target,
									   const BrazeHttpRequest *request);

/*
 * http_transfer.c.  A transfer that is given back must not be in the multi
 * any more.
 */
extern HttpTransfer *braze_http_transfer_take(BrazeHttp *http);
extern void braze_http_transfer_give_back(BrazeHttp *http, HttpTransfer *transfer);
extern CURLcode braze_http_transfer_configure(HttpTransfer *transfer);

/* false at least if any byte of the request was written */
extern bool braze_http_transfer_unsent(const HttpTransfer *transfer);

/* at least as many bytes were written as the request has */
extern bool braze_http_transfer_is_written(const HttpTransfer *transfer);

/*
 * Is another attempt worth it that has a new connection to itself?  Once: when
 * nothing was written, to a kept connection that had ended, or when curl sent
 * it again as often as it does.  The first stream of a connection is not
 * refused for being one too many.
 */
extern bool braze_http_transfer_may_start_again(const HttpTransfer *transfer, CURLcode result);

/* says that it has had its time */
extern void braze_http_transfer_time_out(HttpTransfer *transfer);

/* fills the request's answer or error from how its transfer ended */
extern void braze_http_transfer_judge(HttpTransfer *transfer, CURLcode result);
extern void braze_http_transfer_report(BrazeHttpRequest *request, const char *text);
extern void braze_http_transfer_answer_free(BrazeHttp *http, BrazeHttpRequest *request);

#endif							/* BRAZE_HTTP_INTERNAL_H */
