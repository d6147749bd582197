/*-------------------------------------------------------------------------
 *
 * http_options.c
 *	  What curl is told of a request: where it goes, by which connection, and
 *	  what is not to happen to it.
 *
 *-------------------------------------------------------------------------
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/http_internal.h"

#define USER_AGENT			"segment_braze/0.1.0"

/* a host that takes no connection in this time will not take one at all */
#define CONNECT_TIMEOUT_MS	10000

/*
 * curl closes connections that are older,
 * and have no request, before it takes one
 */
#define SILENT_LIFETIME_S	1L

/*
 * Only what went over a kept connection is sent again by curl.  Whether one has
 * ended cannot always be seen through TLS, and one of HTTP/2 ends with other
 * requests under way on it.  Who tests the connection wants a new one as well.
 */
bool
braze_http_options_is_alone(const BrazeHttpTarget *target, const BrazeHttpRequest *request)
{
	return request->details != NULL ||
		(request->once && (!target->plain || LIBCURL_VERSION_NUM < 0x075000));
}

static CURLcode
set_what_is_sent(CURL *easy, const BrazeHttpTarget *target, const BrazeHttpRequest *request)
{
	CURLcode	result = CURLE_OK;
	size_t		size = strlen(target->url) + strlen(request->path) + 1;
	char	   *url = malloc(size);

	if (url == NULL)
		return CURLE_OUT_OF_MEMORY;
	snprintf(url, size, "%s%s", target->url, request->path);
	HTTP_SET(CURLOPT_URL, url);
	free(url);

	HTTP_SET(CURLOPT_HTTPHEADER, target->headers);
	HTTP_SET(CURLOPT_USERAGENT, USER_AGENT);
	HTTP_SET(CURLOPT_POST, 1L);
	HTTP_SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_length);

	/*
	 * not copied, so that curl can rewind it when a kept connection was dead
	 */
	HTTP_SET(CURLOPT_POSTFIELDS, request->body);
	return result;
}

/* which connection it takes, and how long it waits for one */
static CURLcode
set_connection(CURL *easy, const BrazeHttpTarget *target, const BrazeHttpRequest *request)
{
	CURLcode	result = CURLE_OK;

	if ((request->once && braze_http_options_is_alone(target, request)) ||
		(target->silent && LIBCURL_VERSION_NUM < 0x075000))
	{
		HTTP_SET(CURLOPT_FRESH_CONNECT, 1L);
		HTTP_SET(CURLOPT_FORBID_REUSE, 1L);
	}
	if (request->details != NULL)
	{
		HTTP_SET(CURLOPT_FRESH_CONNECT, 1L);

		/* not every TLS library tells of certificates */
		(void) curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
	}

#if LIBCURL_VERSION_NUM >= 0x075000

	/*
	 * A connection whose other end is silent looks as one that is idle, and
	 * curl would use it for each request, for ever.
	 */
	if (target->silent)
		HTTP_SET(CURLOPT_MAXLIFETIME_CONN, SILENT_LIFETIME_S);
#endif

	HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS,
			 target->timeout_ms < CONNECT_TIMEOUT_MS ? target->timeout_ms : CONNECT_TIMEOUT_MS);
	HTTP_SET(CURLOPT_TCP_KEEPALIVE, 1L);
	return result;
}

/* what curl is not to do of itself */
static CURLcode
set_limits(CURL *easy, const BrazeHttpTarget *target)
{
	CURLcode	result = CURLE_OK;

	HTTP_SET(CURLOPT_NOSIGNAL, 1L);

	/* the key goes to the endpoint and nowhere else */
	HTTP_SET(CURLOPT_FOLLOWLOCATION, 0L);
	HTTP_SET(CURLOPT_PROXY, "");
	HTTP_SET(CURLOPT_NOPROXY, "*");
	HTTP_SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
#if LIBCURL_VERSION_NUM >= 0x075500
	HTTP_SET(CURLOPT_PROTOCOLS_STR, target->plain ? "http" : "https");
#else
	HTTP_SET(CURLOPT_PROTOCOLS, target->plain ? (long) CURLPROTO_HTTP : (long) CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x074000
	HTTP_SET(CURLOPT_HTTP09_ALLOWED, 0L);
#endif

#if LIBCURL_VERSION_NUM >= 0x075700
	/* else a name server that hangs holds up removing the handle */
	HTTP_SET(CURLOPT_QUICK_EXIT, 1L);
#endif
	return result;
}

static CURLcode
set_tls(CURL *easy, const BrazeHttpTarget *target)
{
	CURLcode	result = CURLE_OK;

	HTTP_SET(CURLOPT_SSL_VERIFYPEER, 1L);
	HTTP_SET(CURLOPT_SSL_VERIFYHOST, 2L);
	HTTP_SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (target->ca_file != NULL)
	{
		HTTP_SET(CURLOPT_CAINFO, target->ca_file);

		/*
		 * instead of the system's; only some TLS libraries have a directory
		 */
		(void) curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
#if LIBCURL_VERSION_NUM >= 0x075700
	/* a bundle that is replaced counts within minutes, not in a day */
	HTTP_SET(CURLOPT_CA_CACHE_TIMEOUT, 300L);
#endif

	/* a curl without HTTP/2 refuses the first, and HTTP/1.1 will do */
	(void) curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);

	/*
	 * Some versions of curl let requests that wait for another's connection
	 * wait for its answer, too, when the server turns out to share none.
	 */
	HTTP_SET(CURLOPT_PIPEWAIT, target->sharing == HTTP_SHARING ? 1L : 0L);
	return result;
}

/*
 * Returns CURLE_OK or the first option's error.  An option is left out only
 * where a curl without it behaves as wanted.
 */
CURLcode
braze_http_options_set(CURL *easy, const BrazeHttpTarget *target, const BrazeHttpRequest *request)
{
	CURLcode	result = set_what_is_sent(easy, target, request);

	if (result == CURLE_OK)
		result = set_connection(easy, target, request);
	if (result == CURLE_OK)
		result = set_limits(easy, target);
	if (result == CURLE_OK && !target->plain)
		return set_tls(easy, target);
	HTTP_SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	return result;
}
