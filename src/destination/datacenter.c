/*-------------------------------------------------------------------------
 *
 * datacenter.c
 *	  Braze's instances, and the endpoints of each.
 *
 * People have the name of their instance, or one of its addresses at hand.
 * What names a cluster is read as the instance; what cannot be the endpoint of
 * the REST API is refused with the one that can.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "base/closest_name.h"
#include "base/name_list.h"
#include "braze/ascii.h"
#include "braze/http.h"
#include "destination/datacenter.h"
#include "destination/option_text.h"

typedef struct Datacenter
{
	const char *name;
	const char *endpoint;
} Datacenter;

/* there is no US-09 */
static const Datacenter datacenters[] = {
	{"US-01", "https://rest.iad-01.braze.com"},
	{"US-02", "https://rest.iad-02.braze.com"},
	{"US-03", "https://rest.iad-03.braze.com"},
	{"US-04", "https://rest.iad-04.braze.com"},
	{"US-05", "https://rest.iad-05.braze.com"},
	{"US-06", "https://rest.iad-06.braze.com"},
	{"US-07", "https://rest.iad-07.braze.com"},
	{"US-08", "https://rest.iad-08.braze.com"},
	{"US-10", "https://rest.us-10.braze.com"},
	{"EU-01", "https://rest.fra-01.braze.eu"},
	{"EU-02", "https://rest.fra-02.braze.eu"},
	{"AU-01", "https://rest.au-01.braze.com"},
	{"ID-01", "https://rest.id-01.braze.com"},
	{"JP-01", "https://rest.jp-01.braze.com"},
	{"KR-01", "https://rest.kr-01.braze.com"},
	/* what Segment's own setting called them when there was one of each */
	{"US", "https://rest.iad-01.braze.com"},
	{"EU", "https://rest.fra-01.braze.eu"},
};

char	   *
braze_datacenter_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(datacenters); i++)
		braze_name_list_add(&names, datacenters[i].name);
	return names.data;
}

#define SCHEME		"https://"

/* an instance's cluster is what its endpoint has between these */
#define REST_PREFIX	SCHEME "rest."
#define DOMAIN		".braze."

static bool
address_begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *
endpoint_host(const Datacenter *datacenter)
{
	return datacenter->endpoint + strlen(SCHEME);
}

/*
 * the instance whose cluster, such as "iad-01", stands at the start of the text
 */
static const Datacenter *
find_cluster(const char *text, const char **rest)
{
	for (int i = 0; i < lengthof(datacenters); i++)
	{
		const char *cluster = datacenters[i].endpoint + strlen(REST_PREFIX);
		size_t		length = strstr(cluster, DOMAIN) - cluster;

		if (strncmp(text, cluster, length) == 0 &&
			(text[length] == '\0' || text[length] == '.'))
		{
			*rest = text + length;
			return &datacenters[i];
		}
	}
	return NULL;
}

/*
 * The instance that an address at Braze belongs to: of its REST API, its SDKs
 * or its dashboard, or of the cluster alone.  NULL: it is not known.
 */
static const Datacenter *
find_address(const char *host)
{
	static const char *const prefixes[] = {"rest.", "sdk.", "dashboard.", ""};
	const Datacenter *found;
	const char *rest;

	/* the dashboards of the first instances have names of their own */
	if (address_begins_with(host, "dashboard-"))
	{
		const char *number = host + strlen("dashboard-");

		for (int i = 0; i < lengthof(datacenters); i++)
		{
			const char *own = strchr(datacenters[i].name, '-');
			bool		europe = address_begins_with(datacenters[i].name, "EU");

			if (own != NULL && address_begins_with(number, own + 1) &&
				strcmp(number + strlen(own + 1), europe ? DOMAIN "eu" : DOMAIN "com") == 0)
				return &datacenters[i];
		}
		return NULL;
	}
	for (int i = 0; i < lengthof(prefixes); i++)
	{
		if (!address_begins_with(host, prefixes[i]))
			continue;
		found = find_cluster(host + strlen(prefixes[i]), &rest);
		/* the cluster is clear also where its domain is the wrong one */
		if (found != NULL &&
			(*rest == '\0' || strcmp(rest, DOMAIN "com") == 0 || strcmp(rest, DOMAIN "eu") == 0))
			return found;
	}
	return NULL;
}

/* the names, then the clusters */
static const char *
next_datacenter(void *state)
{
	int		   *i = state;
	const char *cluster;

	if (*i < lengthof(datacenters))
		return datacenters[(*i)++].name;
	if (*i == 2 * lengthof(datacenters))
		return NULL;
	cluster = datacenters[(*i)++ - lengthof(datacenters)].endpoint + strlen(REST_PREFIX);
	return pnstrdup(cluster, strstr(cluster, DOMAIN) - cluster);
}

/* in lower case, without the scheme and a slash at the end */
static char *
bare_address(const char *value)
{
	char	   *address = braze_option_text_trimmed(value);
	size_t		length;

	for (char *c = address; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	if (address_begins_with(address, SCHEME))
		address += strlen(SCHEME);
	length = strlen(address);
	if (length > 0 && address[length - 1] == '/')
		address[length - 1] = '\0';
	return address;
}

const char *
braze_datacenter_parse(const char *value, char **result)
{
	char	   *name = braze_option_text_trimmed(value);
	const Datacenter *found;
	const char *closest;
	int			state = 0;

	for (int i = 0; i < lengthof(datacenters); i++)
	{
		if (braze_ascii_equal(name, datacenters[i].name))
		{
			*result = pstrdup(datacenters[i].endpoint);
			return NULL;
		}
	}

	/*
	 * people copy what they see: the address of their dashboard, or the
	 * cluster
	 */
	found = find_address(bare_address(value));
	if (found != NULL)
	{
		*result = pstrdup(found->endpoint);
		return NULL;
	}

	/* the list has a gap there, which looks like our mistake */
	if (braze_ascii_equal(name, "US-09"))
		return psprintf("Braze has no instance US-09.  Valid values are %s.",
						braze_datacenter_names());
	/* an address that is not known is near to none of the names */
	closest = strchr(name, '.') ? NULL : braze_closest_name(name, next_datacenter, &state);
	if (closest)
		return psprintf("Perhaps you meant \"%s\".  Valid values are %s.",
						closest, braze_datacenter_names());
	return psprintf("Valid values are %s.", braze_datacenter_names());
}

static bool
is_in_domain(const char *host, const char *domain)
{
	size_t		length = strlen(host);
	size_t		end = strlen(domain);

	return length >= end && strcmp(host + length - end, domain) == 0 &&
		(length == end || host[length - end - 1] == '.');
}

/* what is wrong with a host of Braze's own; NULL: it may be a REST endpoint */
static const char *
check_own_host(const char *host)
{
	const Datacenter *found = find_address(host);

	if (!is_in_domain(host, "braze.com") && !is_in_domain(host, "braze.eu"))
		return NULL;
	if (address_begins_with(host, "sdk."))
		return psprintf("This is an SDK endpoint.  Its REST endpoint is \"%s\".",
						found ? endpoint_host(found) : psprintf("rest%s", host + 3));
	if (address_begins_with(host, "dashboard"))
		return found ? psprintf("This is the address of a dashboard.  The REST endpoint of %s is \"%s\".",
								found->name, endpoint_host(found)) :
			"This is the address of a dashboard.  A REST endpoint begins with \"rest.\".";
	if (found && strcmp(host, endpoint_host(found)) != 0)
		return psprintf("The REST endpoint of %s is \"%s\".", found->name, endpoint_host(found));
	if (!address_begins_with(host, "rest."))
		return "Braze's REST endpoints begin with \"rest.\", such as \"rest.iad-01.braze.com\".";
	return NULL;
}

/* what is wrong with a host of Braze's own; NULL: it may be an SDK endpoint */
static const char *
check_own_sdk_host(const char *host)
{
	const Datacenter *found = find_address(host);
	const char *own;

	if (!is_in_domain(host, "braze.com") && !is_in_domain(host, "braze.eu"))
		return NULL;
	own = found ? psprintf("sdk.%s", endpoint_host(found) + strlen("rest.")) : NULL;
	if (own && strcmp(host, own) != 0)
		return psprintf("The SDK endpoint of %s is \"%s\".", found->name, own);
	if (!address_begins_with(host, "sdk."))
		return "Braze's SDK endpoints begin with \"sdk.\", such as \"sdk.iad-01.braze.com\".";
	return NULL;
}

/*
 * Reads a host, perhaps with a scheme and a port.  check says what is wrong
 * with a host of Braze's own.
 */
static const char *
parse_address(const char *value, const char *(*check) (const char *host), char **result)
{
	char	   *endpoint = braze_option_text_trimmed(value);
	char	   *host;
	size_t		length;
	bool		plain;
	BrazeEndpointFault fault;
	const char *wrong;

	for (char *c = endpoint; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	if (strstr(endpoint, "://") == NULL)
		endpoint = psprintf("%s%s", SCHEME, endpoint);
	host = strstr(endpoint, "://") + 3;
	length = strlen(host);
	if (length > 0 && host[length - 1] == '/')
		host[length - 1] = '\0';

	/*
	 * What is most likely meant decides which sentence it is: a user name
	 * makes the rest look wrong as well, and a host of Braze's own that is
	 * misspelled matters more than the scheme before it.
	 */
	fault = braze_http_url_check(endpoint, &plain);
	if (fault != BRAZE_ENDPOINT_FINE && strchr(host, '@'))
		return "An endpoint has no user name or password; the key belongs in the user mapping.";
	if (fault == BRAZE_ENDPOINT_NO_URL && host[0] != '\0' && strpbrk(host, "/?#"))
		return "An endpoint is a host, perhaps with a port, without path or query.";
	if (fault == BRAZE_ENDPOINT_NO_URL)
		return "Valid values are a host, or a URL that begins with https://.";
	if (fault == BRAZE_ENDPOINT_BAD_PORT)
		return "A port is a number from 1 to 65535.";
	wrong = check(host[0] == '[' ? host : pnstrdup(host, strcspn(host, ":")));
	if (wrong)
		return wrong;
	if (fault == BRAZE_ENDPOINT_NOT_LOOPBACK)
		return "Plain http is for this machine itself (127.0.0.0/8, [::1], localhost); "
			"use https.";
	*result = endpoint;
	return NULL;
}

const char *
braze_datacenter_parse_endpoint(const char *value, char **result)
{
	return parse_address(value, check_own_host, result);
}

#define SDK_PATH	"/api/v3"

/* people copy what older versions of the Web SDK want, which has a path */
const char *
braze_datacenter_parse_sdk_endpoint(const char *value, char **result)
{
	char	   *address = braze_option_text_trimmed(value);
	size_t		length = strlen(address);

	if (length > 0 && address[length - 1] == '/')
		address[--length] = '\0';
	if (length > strlen(SDK_PATH) && strcmp(address + length - strlen(SDK_PATH), SDK_PATH) == 0)
		address[length - strlen(SDK_PATH)] = '\0';
	return parse_address(address, check_own_sdk_host, result);
}

char	   *
braze_datacenter_sdk_endpoint(const char *endpoint)
{
	if (!address_begins_with(endpoint, REST_PREFIX) ||
		check_own_host(endpoint + strlen(SCHEME)) != NULL ||
		(!is_in_domain(endpoint, "braze.com") && !is_in_domain(endpoint, "braze.eu")))
		return NULL;
	return psprintf(SCHEME "sdk.%s", endpoint + strlen(REST_PREFIX));
}
