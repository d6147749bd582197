/*-------------------------------------------------------------------------
 *
 * http_url.c
 *	  Where requests go: the endpoint is checked, the key kept and wiped.
 *
 *-------------------------------------------------------------------------
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/ascii.h"
#include "braze/http_internal.h"

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
	return (length == 9 && braze_ascii_begins(host, length, "localhost")) ||
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

	if (braze_ascii_begins(endpoint, strlen(endpoint), "https://"))
	{
		*plain = false;
		host = endpoint + 8;
	}
	else if (braze_ascii_begins(endpoint, strlen(endpoint), "http://"))
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
