/*-------------------------------------------------------------------------
 *
 * http.h
 *	  Requests under way: libcurl's multi interface behind one descriptor.
 *
 * curl's sockets live in a private epoll set; braze_http_fd() is that set's
 * descriptor, readable when curl has something to do, so the worker waits for
 * its latch and for the network at once.  Nothing here allocates with palloc
 * or raises an error: this folder knows nothing of the server but its signals.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HTTP_H
#define BRAZE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braze/rate_headers.h"

/* an answer longer than this is cut, and said to be so */
#define BRAZE_HTTP_MAX_ANSWER	(256 * 1024)

/*
 * So is one for which there is no room beside the others that are held.  Who
 * answers with little is not cut for the sake of who answers with much.
 */
#define BRAZE_HTTP_MAX_ANSWERS	(16 * 1024 * 1024)
#define BRAZE_HTTP_SMALL_ANSWER	(4 * 1024)

typedef struct BrazeHttp BrazeHttp;

/*
 * Where requests go and how.  The header list holds the key, so a target is
 * built once per destination and freed when its options change, which may be
 * while requests that use it are under way: it goes with the last of them.
 */
typedef struct BrazeHttpTarget BrazeHttpTarget;

/*
 * How far a request came, and how it went: for who tests the connection.  Such
 * a request has a new connection of its own.
 */
typedef struct BrazeHttpDetails
{
	bool		resolved;		/* the host's name has an address */
	bool		connected;
	bool		secured;		/* TLS holds; of plain http false */
	int64_t		certificate_ends;	/* seconds since 1970, 0: not known */
	int64_t		answer_ms;		/* from the request to the answer's begin */
} BrazeHttpDetails;

/* one request; the caller owns it and keeps body alive until it is done */
typedef struct BrazeHttpRequest
{
	/* set by the caller before braze_http_send */
	BrazeHttpTarget *target;
	const char *path;			/* "/users/track" */
	const char *body;
	size_t		body_length;
	void	   *owner;			/* the caller's own */
	bool		once;			/* must not reach the server a second time */
	bool		asks_before;	/* see braze_http_ask_before */
	BrazeHttpDetails *details;	/* NULL: nobody asks; filled when it is done */

	/*
	 * Set when it is done.  A status of 300 and above is reported even if the
	 * connection broke in its body, which is then truncated: a server may
	 * well close on a body that is too large for it, and the status says
	 * enough.
	 */
	long		status;			/* 0: no complete answer */
	char		error[256];		/* if status is 0: why */
	bool		unsent;			/* and nothing of it was written to anybody */
	bool		held_back;		/* since it was not to begin */
	bool		repeated;		/* curl has sent it again, on a new connection */
	char	   *answer;			/* NULL if empty; freed by braze_http_release */
	size_t		answer_length;
	bool		truncated;
	BrazeRateHeaders rate;

	/* private */
	void	   *handle;
	size_t		answer_size;
	struct BrazeHttpRequest *next_done;
} BrazeHttpRequest;

/*
 * max_connections is for one host.  Over TLS a few are enough where requests
 * share them, which HTTP/2 can.  A host that hangs takes none from another.
 * NULL with a reason in error when it cannot be set up.  SIGPIPE must be
 * ignored, as it is in every process of the server.
 */
extern BrazeHttp *braze_http_create(int max_connections, char *error, size_t error_size);

/*
 * From here on each socket of curl's is announced before it is opened and when
 * it was closed.  Where that is refused the request fails, and says so.
 */
extern void braze_http_announce_sockets(BrazeHttp *http, bool (*acquire) (void),
										void (*release) (void));

/*
 * From here on this is asked when the first byte of a request is about to be
 * written, if the request wants that; where it is refused the request fails.
 * Not with curl before 7.80.
 */
extern void braze_http_ask_before(BrazeHttp *http, bool (*may_begin) (void));

/*
 * cancels all requests; those not yet returned by next_done lose their answer
 */
extern void braze_http_destroy(BrazeHttp *http);

typedef enum BrazeEndpointFault
{
	BRAZE_ENDPOINT_FINE,
	BRAZE_ENDPOINT_NO_URL,
	BRAZE_ENDPOINT_BAD_PORT,
	BRAZE_ENDPOINT_NOT_LOOPBACK /* and it is plain http */
} BrazeEndpointFault;

/*
 * The grammar is so narrow that no reader of URLs can see another host in it:
 * where the key goes depends on it.  So it is checked when an option is
 * written, and once more when it is used.  plain: no TLS.
 */
extern BrazeEndpointFault braze_http_url_check(const char *endpoint, bool *plain);

/*
 * endpoint is "https://host[:port]"; http only where no network is involved
 * (127.0.0.0/8, [::1], localhost).  ca_file may be NULL.  NULL when out of
 * memory, or if the endpoint or the key is not fit to be sent.
 */
extern BrazeHttpTarget *braze_http_url_create(const char *endpoint,
											  const char *api_key,
											  const char *ca_file,
											  long timeout_ms);
extern void braze_http_url_free(BrazeHttpTarget *target);

/*
 * May another request begin at once?  One that has to wait for a connection
 * could run out of time before it is sent.
 */
extern bool braze_http_has_room(const BrazeHttpTarget *target);

/* starts a transfer; false (with request->error) when it cannot even start */
extern bool braze_http_send(BrazeHttp *http, BrazeHttpRequest *request);

/*
 * Ends a transfer; the request is not reported as done, and need not be
 * released.  Its unsent is set.
 */
extern void braze_http_cancel(BrazeHttp *http, BrazeHttpRequest *request);

/* has all of it been written, perhaps even answered? */
extern bool braze_http_is_written(const BrazeHttpRequest *request);

/* for the wait: the descriptor, and how long to wait at most (-1: for ever) */
extern int	braze_http_fd(const BrazeHttp *http);
extern long braze_http_timeout(const BrazeHttp *http);

/*
 * Lets curl do what it can without blocking, then returns a request that is
 * done, one per call, NULL when there is no further one.
 */
extern BrazeHttpRequest *braze_http_next_done(BrazeHttp *http);

/* forgets the answer of a request that is done; it may then be sent again */
extern void braze_http_release(BrazeHttp *http, BrazeHttpRequest *request);

#endif							/* BRAZE_HTTP_H */
