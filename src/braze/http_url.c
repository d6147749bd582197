/*-------------------------------------------------------------------------
 *
 * http_url.c
 *	  Where requests go: the endpoint is checked, the key kept and wiped.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/ascii.h"
#include "braze/http_internal.h"

#define LETTERS		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

#define MAX_HOST	253

/*
 * A server in front of Braze may repeat the request's headers in its error
 * page.  Shorter keys than this are none, and could be words of the answer.
 */
#define MIN_MASKED_KEY		16

/* does the text hold an address of this family, and nothing else? */
static bool
read_address(int family, const char *text, size_t length, void *address)
{
	char		buffer[INET6_ADDRSTRLEN];

	if (length >= sizeof(buffer))
		return false;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	return inet_pton(family, buffer, address) == 1;
}

/* inet_pton takes neither "127.1" nor octal numbers */
static bool
is_loopback(const char *host, size_t length)
{
	struct in_addr address;

	return (length == 9 && braze_ascii_begins(host, length, "localhost")) ||
		(length == 5 && memcmp(host, "[::1]", length) == 0) ||
		(read_address(AF_INET, host, length, &address) &&
		 ntohl(address.s_addr) >> 24 == 127);
}

/* a name, an IPv4 address, or an IPv6 address in brackets */
static bool
is_host(const char *host, size_t length)
{
	struct in6_addr address;

	if (length == 0 || length > MAX_HOST)
		return false;
	if (host[0] == '[')
		return host[length - 1] == ']' && read_address(AF_INET6, host + 1, length - 2, &address);
	if (strspn(host, LETTERS ".-_") < length ||
		strspn(host, LETTERS) == 0 || strspn(host + length - 1, LETTERS) == 0)
		return false;
	for (size_t i = 1; i < length; i++)
	{
		if (host[i] == '.' && host[i - 1] == '.')
			return false;
	}
	return true;
}

BrazeEndpointFault
braze_http_url_check(const char *endpoint, bool *plain)
{
	static const char https[] = "https://";
	static const char http[] = "http://";
	const char *host;
	const char *end;

	*plain = !braze_ascii_begins(endpoint, strlen(endpoint), https);
	if (*plain && !braze_ascii_begins(endpoint, strlen(endpoint), http))
		return BRAZE_ENDPOINT_NO_URL;
	host = endpoint + (*plain ? strlen(http) : strlen(https));
	end = host + strcspn(host, host[0] == '[' ? "]" : ":");
	if (*end == ']')
		end++;
	if (!is_host(host, end - host))
		return BRAZE_ENDPOINT_NO_URL;
	if (*end == ':')
	{
		size_t		digits = strspn(end + 1, "0123456789");
		int			port = (digits <= 5) ? atoi(end + 1) : 0;

		if (end[1 + digits] != '\0' || port < 1 || port > 65535)
			return BRAZE_ENDPOINT_BAD_PORT;
	}
	else if (*end != '\0')
		return BRAZE_ENDPOINT_NO_URL;
	if (*plain && !is_loopback(host, end - host))
		return BRAZE_ENDPOINT_NOT_LOOPBACK;
	return BRAZE_ENDPOINT_FINE;
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

/* false: no memory, and the list is as it was */
static bool
append_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*headers, line);

	if (longer == NULL)
		return false;
	*headers = longer;
	return true;
}

/* so that the key does not stay in memory that is used again */
static void
wipe_and_free(char *secret)
{
	if (secret != NULL)
	{
		explicit_bzero(secret, strlen(secret));
		free(secret);
	}
}

void
braze_http_url_drop(BrazeHttpTarget *target)
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
braze_http_url_create(const char *endpoint, const char *api_key,
					  const char *ca_file, long timeout_ms)
{
	static const char bearer[] = "Authorization: Bearer ";
	BrazeHttpTarget *target;
	char	   *authorization;
	size_t		size;
	bool		plain;
	bool		ok;

	if (endpoint == NULL || api_key == NULL || timeout_ms <= 0 ||
		braze_http_url_check(endpoint, &plain) != BRAZE_ENDPOINT_FINE || !check_key(api_key))
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

		/*
		 * without Expect, curl would wait a second before it sends a large
		 * body
		 */
		ok = append_header(&target->headers, authorization) &&
			append_header(&target->headers, "Content-Type: application/json") &&
			append_header(&target->headers, "Accept: application/json") &&
			append_header(&target->headers, "Expect:");
		explicit_bzero(authorization, size);
	}
	free(authorization);
	if (!ok)
	{
		braze_http_url_drop(target);
		return NULL;
	}
	return target;
}

void
braze_http_url_free(BrazeHttpTarget *target)
{
	if (target != NULL)
		braze_http_url_drop(target);
}

void
braze_http_url_mask_key(const BrazeHttpTarget *target, BrazeHttpRequest *request)
{
	const char *key = target->api_key;
	size_t		length = strlen(key);
	char	   *p = request->answer;
	size_t		left = request->answer_length;
	char	   *found;

	if (length < MIN_MASKED_KEY)
		return;
	while (left >= length && (found = memmem(p, left, key, length)) != NULL)
	{
		memset(found, '*', length);
		left -= found + length - p;
		p = found + length;
	}

	/* what is left of p holds no whole key */
	for (size_t n = left < length ? left : length - 1; request->truncated && n > 0; n--)
	{
		if (memcmp(p + left - n, key, n) == 0)
		{
			memset(p + left - n, '*', n);
			break;
		}
	}
}
