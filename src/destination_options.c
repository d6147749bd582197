/*-------------------------------------------------------------------------
 *
 * destination_options.c
 *	  The options of servers and user mappings, as data.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>

#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "compat.h"
#include "destination_options.h"

/* names and values further away than this are no typing errors */
#define MAX_EDIT_DISTANCE	4

/* varstr_levenshtein refuses anything longer */
#define MAX_EDIT_LENGTH		255

typedef enum OptionType
{
	OPTION_BOOLEAN,
	OPTION_INTEGER,
	OPTION_DURATION,			/* stored as milliseconds */
	OPTION_ENUM,				/* one of choices */
	OPTION_SET,					/* any number of choices, a bit each */
	OPTION_IDENTIFIERS,			/* choices in an order that matters */
	OPTION_TEXT,
	OPTION_NAMES,
	OPTION_CURRENCY,
	OPTION_DATACENTER,
	OPTION_ENDPOINT,
	OPTION_PATH,
	OPTION_SECRET				/* never shown, not even in an error */
} OptionType;

typedef struct Choice
{
	const char *name;
	int			value;
} Choice;

typedef struct Option
{
	const char *name;
	Oid			catalog;
	OptionType	type;
	size_t		offset;			/* in BrazeSettings; NOT_A_SETTING: elsewhere */
	const char *initial;		/* the default as a user would write it, or NULL */
	int			min;			/* of numbers; of the length of texts */
	int			max;
	const char *unit;
	const Choice *choices;		/* ends with a NULL name */
	bool		superuser;		/* may only a superuser give it? */
	const char *description;
} Option;

#define NOT_A_SETTING	((size_t) -1)
#define SETTING(field)	offsetof(BrazeSettings, field)

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

static const Choice identifier_choices[] = {
	{"user_id", BRAZE_ID_USER_ID},
	{"braze_id", BRAZE_ID_BRAZE_ID},
	{"user_alias", BRAZE_ID_USER_ALIAS},
	{"anonymous_id", BRAZE_ID_ANONYMOUS_ID},
	{"email", BRAZE_ID_EMAIL},
	{"phone", BRAZE_ID_PHONE},
	{NULL}
};

static const Choice profile_choices[] = {
	{"country", BRAZE_PROFILE_COUNTRY},
	{"current_location", BRAZE_PROFILE_CURRENT_LOCATION},
	{"language", BRAZE_PROFILE_LANGUAGE},
	{"time_zone", BRAZE_PROFILE_TIME_ZONE},
	{NULL}
};

static const Choice orders_choices[] = {
	{"purchases", BRAZE_ORDERS_PURCHASES},
	{"ecommerce", BRAZE_ORDERS_ECOMMERCE},
	{"both", BRAZE_ORDERS_BOTH},
	{NULL}
};

static const Choice group_choices[] = {
	{"attribute", BRAZE_GROUP_ATTRIBUTE},
	{"subscription", BRAZE_GROUP_SUBSCRIPTION},
	{NULL}
};

static const Choice alias_choices[] = {
	{"skip", BRAZE_ALIAS_SKIP},
	{"merge", BRAZE_ALIAS_MERGE},
	{"identify", BRAZE_ALIAS_IDENTIFY},
	{NULL}
};

static const Choice delete_choices[] = {
	{"skip", BRAZE_DELETE_SKIP},
	{"delete", BRAZE_DELETE_SEND},
	{NULL}
};

/*
 * In the order in which they are documented.  custom_api_endpoint comes after
 * datacenter because the loader takes the later one of the two.
 */
static const Option options[] = {
	{
		.name = "datacenter", .catalog = ForeignServerRelationId,
		.type = OPTION_DATACENTER, .offset = SETTING(endpoint),
		.description = "Braze instance of the workspace, which decides the REST endpoint."
	},
	{
		.name = "custom_api_endpoint", .catalog = ForeignServerRelationId,
		.type = OPTION_ENDPOINT, .offset = SETTING(endpoint), .superuser = true,
		.description = "REST endpoint to use instead of the datacenter's: a host or a URL."
	},
	{
		.name = "app_identifier", .catalog = ForeignServerRelationId,
		.type = OPTION_TEXT, .offset = SETTING(app_identifier), .min = 1, .max = 255,
		.description = "Braze's identifier of the app, sent as app_id with events and purchases."
	},
	{
		.name = "update_existing_only", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(update_existing_only), .initial = "false",
		.description = "Never create a profile, only update existing ones."
	},
	{
		.name = "track_all_pages", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(track_all_pages), .initial = "false",
		.description = "Send every page and screen call as an event."
	},
	{
		.name = "track_named_pages", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(track_named_pages), .initial = "false",
		.description = "Send page and screen calls that have a name as events."
	},
	{
		.name = "identifiers", .catalog = ForeignServerRelationId,
		.type = OPTION_IDENTIFIERS, .offset = SETTING(identifiers),
		.initial = "user_id, braze_id, user_alias", .choices = identifier_choices,
		.description = "Where the identifier of a user comes from: the first that a call has."
	},
	{
		.name = "anonymous_alias_label", .catalog = ForeignServerRelationId,
		.type = OPTION_TEXT, .offset = SETTING(anonymous_alias_label),
		.initial = "segment_anonymous_id", .min = 1, .max = 236, .unit = "bytes",
		.description = "Alias label of users that are identified by anonymous_id."
	},
	{
		.name = "ignored_ids", .catalog = ForeignServerRelationId,
		.type = OPTION_NAMES, .offset = SETTING(ignored_ids),
		.initial = "null, undefined, None, nil, NaN, [object Object], "
		"00000000-0000-0000-0000-000000000000",
		.description = "Values that are no identifier of anybody."
	},
	{
		.name = "address_attribute", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(address_attribute), .initial = "false",
		.description = "Send what is left of the trait address as a custom attribute."
	},
	{
		.name = "profile_from_context", .catalog = ForeignServerRelationId,
		.type = OPTION_SET, .offset = SETTING(profile_from_context), .initial = "",
		.choices = profile_choices,
		.description = "Profile fields that identify takes from the context where the traits have none."
	},
	{
		.name = "events_only", .catalog = ForeignServerRelationId,
		.type = OPTION_NAMES, .offset = SETTING(events_only), .initial = "",
		.description = "Names of the only events to send; empty: all."
	},
	{
		.name = "events_except", .catalog = ForeignServerRelationId,
		.type = OPTION_NAMES, .offset = SETTING(events_except), .initial = "",
		.description = "Names of events not to send."
	},
	{
		.name = "default_currency", .catalog = ForeignServerRelationId,
		.type = OPTION_CURRENCY, .offset = SETTING(default_currency), .initial = "USD",
		.description = "Currency of orders that name none."
	},
	{
		.name = "purchase_properties", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(purchase_properties), .initial = "true",
		.description = "Send the other fields of product and order as properties of a purchase."
	},
	{
		.name = "log_purchase_when_revenue_present", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(log_purchase_when_revenue_present),
		.initial = "false",
		.description = "Turn a track call with a revenue into a purchase."
	},
	{
		.name = "orders_as", .catalog = ForeignServerRelationId,
		.type = OPTION_ENUM, .offset = SETTING(orders_as), .initial = "purchases",
		.choices = orders_choices,
		.description = "Send orders as purchases, as Braze's recommended eCommerce events, or as both."
	},
	{
		.name = "ecommerce_source", .catalog = ForeignServerRelationId,
		.type = OPTION_TEXT, .offset = SETTING(ecommerce_source), .initial = "segment",
		.min = 1, .max = 255,
		.description = "Property source of eCommerce events that name none."
	},
	{
		.name = "group_calls", .catalog = ForeignServerRelationId,
		.type = OPTION_ENUM, .offset = SETTING(group_calls), .initial = "attribute",
		.choices = group_choices,
		.description = "Send group calls as an attribute, or as a subscription state where they name one."
	},
	{
		.name = "alias_calls", .catalog = ForeignServerRelationId,
		.type = OPTION_ENUM, .offset = SETTING(alias_calls), .initial = "skip",
		.choices = alias_choices,
		.description = "Skip alias calls, merge the two users, or identify an anonymous one."
	},
	{
		.name = "delete_calls", .catalog = ForeignServerRelationId,
		.type = OPTION_ENUM, .offset = SETTING(delete_calls), .initial = "skip",
		.choices = delete_choices,
		.description = "Skip delete calls, or delete the user at Braze; braze_delete_user always deletes."
	},
	{
		.name = "push_tokens_from_context", .catalog = ForeignServerRelationId,
		.type = OPTION_BOOLEAN, .offset = SETTING(push_tokens_from_context), .initial = "false",
		.description = "Take push tokens from context.device; needs app_identifier."
	},
	{
		.name = "ca_file", .catalog = ForeignServerRelationId,
		.type = OPTION_PATH, .offset = SETTING(ca_file), .superuser = true,
		.description = "File of the certificate authorities to trust instead of the system's."
	},
	{
		.name = "max_objects_per_request", .catalog = ForeignServerRelationId,
		.type = OPTION_INTEGER, .offset = SETTING(max_objects_per_request),
		.initial = "75", .min = 1, .max = 225, .unit = "objects",
		.description = "Objects in one request to /users/track at most, over its three lists."
	},
	{
		.name = "max_requests_in_flight", .catalog = ForeignServerRelationId,
		.type = OPTION_INTEGER, .offset = SETTING(max_requests_in_flight),
		.initial = "128", .min = 1, .max = 1000, .unit = "requests",
		.description = "Requests under way at the same time at most."
	},
	{
		.name = "request_timeout", .catalog = ForeignServerRelationId,
		.type = OPTION_DURATION, .offset = SETTING(request_timeout),
		.initial = "30 s", .min = 100, .max = 3600 * 1000, .unit = "s",
		.description = "Time after which a request without an answer is given up and sent again."
	},
	{
		.name = "max_batch_delay", .catalog = ForeignServerRelationId,
		.type = OPTION_DURATION, .offset = SETTING(max_batch_delay),
		.initial = "20 ms", .min = 0, .max = 3600 * 1000, .unit = "s",
		.description = "Time that a call waits at most for others to share its request."
	},
	{
		.name = "rest_api_key", .catalog = UserMappingRelationId,
		.type = OPTION_SECRET, .offset = NOT_A_SETTING, .max = BRAZE_MAX_KEY_LENGTH,
		.description = "REST API key of the workspace."
	},
	{
		.name = "rest_api_key_file", .catalog = UserMappingRelationId,
		.type = OPTION_PATH, .offset = NOT_A_SETTING, .superuser = true,
		.description = "File on the server that holds the REST API key."
	},
};

PG_FUNCTION_INFO_V1(braze_validator);
PG_FUNCTION_INFO_V1(braze_options);

/*
 * Parsers.  Each returns NULL when the value is fine, else a sentence that
 * says which values are.  Results go into settings.
 */

/* an element of one of our lists, without the white space around it */
typedef struct Element
{
	const char *start;
	int			length;
} Element;

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
has_control_characters(const char *text)
{
	for (; *text; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

/* a copy without the white space around it */
static char *
trimmed(const char *text)
{
	int			length;

	while (is_space(*text))
		text++;
	length = strlen(text);
	while (length > 0 && is_space(text[length - 1]))
		length--;
	return pnstrdup(text, length);
}

/*
 * Splits a list at its commas.  An element that holds a comma, or begins or
 * ends with white space, is written in double quotes, a double quote in it
 * twice.  Returns a list of char *; false for what is no list.
 */
static bool
split_list(const char *text, List **elements)
{
	*elements = NIL;
	while (is_space(*text))
		text++;
	if (*text == '\0')
		return true;

	for (;;)
	{
		StringInfoData element;

		initStringInfo(&element);
		while (is_space(*text))
			text++;
		if (*text == '"')
		{
			for (text++; *text != '"' || text[1] == '"'; text++)
			{
				if (*text == '\0')
					return false;
				if (*text == '"')
					text++;
				appendStringInfoChar(&element, *text);
			}
			text++;
			while (is_space(*text))
				text++;
			if (*text != ',' && *text != '\0')
				return false;
		}
		else
		{
			for (; *text != ',' && *text != '\0'; text++)
				appendStringInfoChar(&element, *text);
			while (element.len > 0 && is_space(element.data[element.len - 1]))
				element.data[--element.len] = '\0';
		}
		if (element.len == 0)
			return false;
		*elements = lappend(*elements, element.data);
		if (*text == '\0')
			return true;
		text++;
	}
}

/* "a, b, c" */
static char *
choice_names(const Choice *choices)
{
	StringInfoData names;

	initStringInfo(&names);
	for (; choices->name; choices++)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", choices->name);
	return names.data;
}

static char *
datacenter_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(datacenters); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", datacenters[i].name);
	return names.data;
}

static const char *
next_choice(void *state)
{
	const Choice **choice = state;

	return (*choice)->name ? (*choice)++->name : NULL;
}

static const Choice *
find_choice(const Choice *choices, const char *name)
{
	for (; choices->name; choices++)
	{
		if (pg_strcasecmp(choices->name, name) == 0)
			return choices;
	}
	return NULL;
}

static char *
choice_hint(const Choice *choices, const char *name, const char *verb)
{
	const Choice *state = choices;
	const char *closest = braze_closest_name(name, next_choice, &state);

	if (closest)
		return psprintf("Perhaps you meant \"%s\".  Valid values are %s.",
						closest, choice_names(choices));
	return psprintf("Valid values are %s%s.", verb, choice_names(choices));
}

static const char *
parse_boolean(const Option *option, const char *value, bool *result)
{
	return parse_bool(value, result) ? NULL : "Valid values are true and false.";
}

static const char *
parse_integer(const Option *option, const char *value, int *result)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	while (is_space(*end))
		end++;
	if (end == value || *end != '\0' || errno != 0 ||
		number < option->min || number > option->max)
		return psprintf("Valid values are whole numbers from %d to %d (%s).",
						option->min, option->max, option->unit);
	*result = (int) number;
	return NULL;
}

/* the shortest way to write a number of milliseconds */
static char *
duration_text(int ms)
{
	if (ms == 0)
		return "0 s";
	if (ms % (3600 * 1000) == 0)
		return psprintf("%d h", ms / (3600 * 1000));
	if (ms % 1000 == 0)
		return psprintf("%d s", ms / 1000);
	return psprintf("%d ms", ms);
}

static const char *
parse_duration(const Option *option, const char *value, int *result)
{
	static const struct
	{
		const char *name;
		double		ms;
	}			units[] = {
		{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"", 1000}, {"min", 60 * 1000.0},
		{"h", 3600 * 1000.0}, {"d", 24 * 3600 * 1000.0}
	};
	char	   *end;
	double		number;
	char	   *unit;

	while (is_space(*value))
		value++;
	/* strtod also takes what is no plain number, such as inf and 0x10 */
	number = strtod(value, &end);
	if (isdigit((unsigned char) *value) && strspn(value, "0123456789.") == end - value)
	{
		unit = trimmed(end);
		for (int i = 0; i < lengthof(units); i++)
		{
			if (pg_strcasecmp(unit, units[i].name) == 0)
			{
				number = rint(number * units[i].ms);
				if (number < option->min || number > option->max)
					break;
				*result = (int) number;
				return NULL;
			}
		}
	}
	return psprintf("Valid values are durations from %s to %s, with one of the units "
					"us, ms, s, min, h, d; a bare number is seconds.",
					duration_text(option->min), duration_text(option->max));
}

static const char *
parse_enum(const Option *option, const char *value, int *result)
{
	char	   *name = trimmed(value);
	const Choice *choice = find_choice(option->choices, name);

	if (choice == NULL)
		return choice_hint(option->choices, name, "");
	*result = choice->value;
	return NULL;
}

/* finds the choices that a list names, each at most once */
static const char *
parse_choices(const Option *option, const char *value, List **found)
{
	List	   *elements;
	ListCell   *cell;

	*found = NIL;
	if (!split_list(value, &elements))
		return psprintf("Valid values are a list, separated by commas, of %s.",
						choice_names(option->choices));
	foreach(cell, elements)
	{
		const Choice *choice = find_choice(option->choices, lfirst(cell));

		if (choice == NULL)
			return choice_hint(option->choices, lfirst(cell),
							   "a list, separated by commas, of ");
		if (list_member_int(*found, choice->value))
			return psprintf("\"%s\" is in the list more than once.", choice->name);
		*found = lappend_int(*found, choice->value);
	}
	return NULL;
}

static const char *
parse_set(const Option *option, const char *value, int *result)
{
	List	   *found;
	ListCell   *cell;
	const char *hint = parse_choices(option, value, &found);

	if (hint)
		return hint;
	*result = 0;
	foreach(cell, found)
		*result |= lfirst_int(cell);
	return NULL;
}

static const char *
parse_identifiers(const Option *option, const char *value, BrazeSettings *settings)
{
	List	   *found;
	ListCell   *cell;
	const char *hint = parse_choices(option, value, &found);

	if (hint)
		return hint;
	if (found == NIL)
		return psprintf("The list needs at least one of %s.",
						choice_names(option->choices));
	settings->nidentifiers = 0;
	foreach(cell, found)
		settings->identifiers[settings->nidentifiers++] = lfirst_int(cell);
	return NULL;
}

static const char *
parse_text(const Option *option, const char *value, char **result)
{
	size_t		length = strlen(value);

	if (length < option->min || length > option->max || has_control_characters(value))
		return psprintf("Valid values have %d to %d bytes and no control characters.",
						option->min, option->max);
	*result = pstrdup(value);
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static const char *
parse_names(const Option *option, const char *value, BrazeNameList *result)
{
	List	   *elements;
	ListCell   *cell;

	if (!split_list(value, &elements))
		return "Valid values are names separated by commas; a name that holds a comma "
			"is written in double quotes.";
	result->count = 0;
	result->names = palloc(sizeof(char *) * Max(list_length(elements), 1));
	foreach(cell, elements)
		result->names[result->count++] = lfirst(cell);
	qsort(result->names, result->count, sizeof(char *), compare_names);
	return NULL;
}

static const char *
parse_currency(const Option *option, const char *value, char **result)
{
	char	   *currency = trimmed(value);

	for (char *c = currency; *c; c++)
		*c = pg_ascii_toupper((unsigned char) *c);
	if (strlen(currency) != 3 || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return "Valid values are the three letters of an ISO 4217 currency, such as EUR.";
	*result = currency;
	return NULL;
}

static const char *
next_datacenter(void *state)
{
	int		   *i = state;

	return *i < lengthof(datacenters) ? datacenters[(*i)++].name : NULL;
}

static const char *
parse_datacenter(const Option *option, const char *value, char **result)
{
	char	   *name = trimmed(value);
	const char *closest;
	int			state = 0;

	for (int i = 0; i < lengthof(datacenters); i++)
	{
		if (pg_strcasecmp(name, datacenters[i].name) == 0)
		{
			*result = pstrdup(datacenters[i].endpoint);
			return NULL;
		}
	}
	if (pg_strcasecmp(name, "US-09") == 0)
		return psprintf("Braze has no instance US-09.  Valid values are %s.",
						datacenter_names());
	closest = braze_closest_name(name, next_datacenter, &state);
	if (closest)
		return psprintf("Perhaps you meant \"%s\".  Valid values are %s.",
						closest, datacenter_names());
	return psprintf("Valid values are %s.", datacenter_names());
}

static bool
is_loopback(const char *host)
{
	struct in_addr address;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &address) == 1 &&
		(ntohl(address.s_addr) >> 24) == 127;
}

/* a name, an IPv4 address, or an IPv6 address in brackets */
static bool
is_host(const char *host)
{
	size_t		length = strlen(host);

	if (host[0] == '[')
	{
		struct in6_addr address;
		char	   *inner;

		if (host[length - 1] != ']')
			return false;
		inner = pnstrdup(host + 1, length - 2);
		return inet_pton(AF_INET6, inner, &address) == 1;
	}
	/* no label of a host name is empty or begins with a hyphen */
	return length > 0 && length <= 253 &&
		strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == length &&
		isalnum((unsigned char) host[0]) && isalnum((unsigned char) host[length - 1]) &&
		strstr(host, "..") == NULL;
}

static const char *
parse_endpoint(const Option *option, const char *value, char **result)
{
	char	   *rest = trimmed(value);
	const char *scheme = "https://";
	char	   *host;
	char	   *port;
	char	   *separator;
	size_t		length;

	for (char *c = rest; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);

	separator = strstr(rest, "://");
	if (separator)
	{
		if (strncmp(rest, "http://", 7) == 0)
			scheme = "http://";
		else if (strncmp(rest, "https://", 8) != 0)
			return "Valid values are a host, or a URL that begins with https://.";
		rest = separator + 3;
	}
	length = strlen(rest);
	if (length > 0 && rest[length - 1] == '/')
		rest[length - 1] = '\0';

	if (strchr(rest, '@'))
		return "An endpoint has no user name or password; the key belongs in the user mapping.";
	if (strpbrk(rest, "/?#"))
		return "An endpoint is a host, perhaps with a port, without path or query.";

	host = pstrdup(rest);
	separator = strrchr(host, ':');
	if (separator && strchr(separator, ']') == NULL)
	{
		port = separator + 1;
		if (*port == '\0' || strlen(port) > 5 || strspn(port, "0123456789") != strlen(port) ||
			atoi(port) < 1 || atoi(port) > 65535)
			return "A port is a number from 1 to 65535.";
		*separator = '\0';
	}
	if (!is_host(host))
		return "Valid values are a host, or a URL that begins with https://.";
	if (strncmp(host, "sdk.", 4) == 0 && strstr(host, ".braze.") != NULL)
		return psprintf("This is an SDK endpoint.  Its REST endpoint is \"rest%s\".", host + 3);
	if (strcmp(scheme, "http://") == 0 && !is_loopback(host))
		return "Plain http is for this machine itself (127.0.0.0/8, [::1], localhost); "
			"use https.";
	*result = psprintf("%s%s", scheme, rest);
	return NULL;
}

static const char *
parse_path(const Option *option, const char *value, char **result)
{
	if (!is_absolute_path(value) || strlen(value) >= MAXPGPATH ||
		has_control_characters(value))
		return "Valid values are absolute paths on the database server.";
	*result = pstrdup(value);
	return NULL;
}

/*
 * Parses one option into settings, for which NULL stands when it is only to
 * be checked.  Returns NULL, or the hint that says what is valid.
 */
static const char *
parse_option(const Option *option, const char *value, BrazeSettings *settings)
{
	BrazeSettings scratch;
	char	   *unused;
	void	   *field;

	if (settings == NULL)
		settings = &scratch;
	if (option->offset == NOT_A_SETTING)
		field = &unused;
	else
		field = (char *) settings + option->offset;

	switch (option->type)
	{
		case OPTION_BOOLEAN:
			return parse_boolean(option, value, field);
		case OPTION_INTEGER:
			return parse_integer(option, value, field);
		case OPTION_DURATION:
			return parse_duration(option, value, field);
		case OPTION_ENUM:
			return parse_enum(option, value, field);
		case OPTION_SET:
			return parse_set(option, value, field);
		case OPTION_IDENTIFIERS:
			return parse_identifiers(option, value, settings);
		case OPTION_TEXT:
			return parse_text(option, value, field);
		case OPTION_NAMES:
			return parse_names(option, value, field);
		case OPTION_CURRENCY:
			return parse_currency(option, value, field);
		case OPTION_DATACENTER:
			return parse_datacenter(option, value, field);
		case OPTION_ENDPOINT:
			return parse_endpoint(option, value, field);
		case OPTION_PATH:
			return parse_path(option, value, field);
		case OPTION_SECRET:
			if (braze_key_is_valid(value))
				return NULL;
			return psprintf("A key has 1 to %d ASCII characters, none of them white space.",
							option->max);
	}
	pg_unreachable();
}

bool
braze_key_is_valid(const char *key)
{
	size_t		length = strlen(key);

	if (length == 0 || length > BRAZE_MAX_KEY_LENGTH)
		return false;
	for (; *key; key++)
	{
		if (*key <= ' ' || *key >= 0x7f)
			return false;
	}
	return true;
}

const char *
braze_closest_name(const char *name, BrazeNextName next, void *state)
{
	const char *closest = NULL;
	const char *candidate;
	int			length = strlen(name);
	int			best = Min(MAX_EDIT_DISTANCE, length / 2);
	char	   *lower;

	if (length == 0 || length > MAX_EDIT_LENGTH)
		return NULL;
	lower = pstrdup(name);
	for (char *c = lower; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);

	while ((candidate = next(state)) != NULL)
	{
		int			candidate_length = strlen(candidate);
		char	   *candidate_lower;
		int			distance;

		if (candidate_length > MAX_EDIT_LENGTH)
			continue;
		candidate_lower = pstrdup(candidate);
		for (char *c = candidate_lower; *c; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		distance = varstr_levenshtein_less_equal(lower, length, candidate_lower,
												 candidate_length, 1, 1, 1, best, true);
		if (distance <= best)
		{
			closest = candidate;
			/* of several equally near ones the first stays */
			best = distance - 1;
			if (best < 0)
				break;
		}
	}
	return closest;
}

void
braze_options_load(List *given, BrazeSettings *settings)
{
	memset(settings, 0, sizeof(BrazeSettings));
	for (int i = 0; i < lengthof(options); i++)
	{
		const Option *option = &options[i];
		const char *value = NULL;
		ListCell   *cell;

		if (option->offset == NOT_A_SETTING)
			continue;
		if (option->initial &&
			parse_option(option, option->initial, settings) != NULL)
			elog(ERROR, "default of option \"%s\" is not valid", option->name);
		foreach(cell, given)
		{
			DefElem    *def = lfirst(cell);

			if (strcmp(def->defname, option->name) == 0)
				value = defGetString(def);
		}
		if (value && parse_option(option, value, settings) != NULL &&
			option->type == OPTION_ENDPOINT)
		{
			/* whatever was meant, it was not the datacenter */
			settings->endpoint = NULL;
		}
	}
}

static const Option *
find_option(const char *name, Oid catalog)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].catalog == catalog && strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

typedef struct OptionState
{
	int			i;
	Oid			catalog;
} OptionState;

static const char *
next_option(void *state)
{
	OptionState *options_left = state;

	while (options_left->i < lengthof(options))
	{
		const Option *option = &options[options_left->i++];

		if (option->catalog == options_left->catalog)
			return option->name;
	}
	return NULL;
}

static const char *
catalog_name(Oid catalog)
{
	return catalog == ForeignServerRelationId ? "server" : "user mapping";
}

pg_noreturn static void
refuse_name(const char *name, Oid catalog)
{
	Oid			other = catalog == ForeignServerRelationId ?
	UserMappingRelationId : ForeignServerRelationId;
	OptionState state = {0, catalog};
	const char *closest = braze_closest_name(name, next_option, &state);
	const char *valid;
	char	   *hint;

	if (find_option(name, other))
		hint = psprintf("Option \"%s\" belongs to the %s.", name, catalog_name(other));
	else if (closest)
		hint = psprintf("Perhaps you meant the option \"%s\".", closest);
	else
	{
		StringInfoData names;

		state.i = 0;
		initStringInfo(&names);
		while ((valid = next_option(&state)) != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", valid);
		hint = psprintf("Valid options of a %s are %s.", catalog_name(catalog), names.data);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\" of a %s", name, catalog_name(catalog)),
			 errhint("%s", hint)));
}

/*
 * Checks the options of a server or a user mapping.  PostgreSQL passes all
 * options that the object will have, not only those that the command changes.
 */
Datum
braze_validator(PG_FUNCTION_ARGS)
{
	List	   *given = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	bool		has_endpoint = false;
	bool		has_key = false;
	ListCell   *cell;

	if (catalog == ForeignTableRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a destination has no foreign tables"),
				 errhint("Queue calls with braze_enqueue, braze_track and the other "
						 "functions, or with the trigger function braze_trigger.")));

	if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
	{
		if (given != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", ((DefElem *) linitial(given))->defname),
					 errhint("Options belong to servers and user mappings.")));
		PG_RETURN_VOID();
	}

	foreach(cell, given)
	{
		DefElem    *def = lfirst(cell);
		const Option *option = find_option(def->defname, catalog);
		const char *value;
		const char *hint;

		if (option == NULL)
			refuse_name(def->defname, catalog);

		value = defGetString(def);
		hint = parse_option(option, value, NULL);
		if (hint)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 option->type == OPTION_SECRET ?
					 errmsg("invalid value of option \"%s\"", option->name) :
					 errmsg("invalid value of option \"%s\": \"%s\"", option->name, value),
					 errhint("%s", hint)));

		if (option->superuser && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"", option->name),
					 errdetail("Only a superuser can set it, or change another option "
							   "of a %s that has it.", catalog_name(catalog))));

		if (option->offset == SETTING(endpoint))
			has_endpoint = true;
		if (catalog == UserMappingRelationId)
		{
			if (has_key)
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						 errmsg("options \"rest_api_key\" and \"rest_api_key_file\" exclude each other"),
						 errhint("Give only one of them.")));
			has_key = true;
		}
	}

	/* in such a database nobody knows what a byte means; Braze takes UTF-8 */
	if (catalog == ForeignServerRelationId && GetDatabaseEncoding() == PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a database with encoding SQL_ASCII cannot have destinations"),
				 errhint("Use a database with encoding UTF8.")));
	if (catalog == ForeignServerRelationId && !has_endpoint)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("the server has no datacenter"),
				 errhint("Add the option datacenter with the Braze instance of your "
						 "workspace, one of %s.", datacenter_names())));
	PG_RETURN_VOID();
}

static const char *
type_name(const Option *option)
{
	switch (option->type)
	{
		case OPTION_BOOLEAN:
			return "boolean";
		case OPTION_INTEGER:
			return "integer";
		case OPTION_DURATION:
			return "duration";
		case OPTION_ENUM:
		case OPTION_DATACENTER:
			return "enum";
		case OPTION_SET:
		case OPTION_IDENTIFIERS:
		case OPTION_NAMES:
			return "list";
		case OPTION_TEXT:
		case OPTION_CURRENCY:
		case OPTION_SECRET:
			return "text";
		case OPTION_ENDPOINT:
			return "URL";
		case OPTION_PATH:
			return "path";
	}
	pg_unreachable();
}

static const char *
valid_values(const Option *option)
{
	switch (option->type)
	{
		case OPTION_BOOLEAN:
			return "true, false";
		case OPTION_INTEGER:
			return psprintf("%d to %d", option->min, option->max);
		case OPTION_DURATION:
			return psprintf("%s to %s", duration_text(option->min),
							duration_text(option->max));
		case OPTION_ENUM:
		case OPTION_SET:
		case OPTION_IDENTIFIERS:
			return choice_names(option->choices);
		case OPTION_NAMES:
			return "names separated by commas";
		case OPTION_TEXT:
			return psprintf("%d to %d bytes", option->min, option->max);
		case OPTION_CURRENCY:
			return "ISO 4217 code";
		case OPTION_DATACENTER:
			return datacenter_names();
		case OPTION_ENDPOINT:
			return "host or https URL; http for loopback hosts";
		case OPTION_PATH:
			return "absolute path";
		case OPTION_SECRET:
			return psprintf("1 to %d ASCII characters", option->max);
	}
	pg_unreachable();
}

/* the table, for people and for the documentation */
Datum
braze_options(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	const Option *option;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc	desc;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		context->tuple_desc = BlessTupleDesc(desc);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	if (context->call_cntr >= lengthof(options))
		SRF_RETURN_DONE(context);

	option = &options[context->call_cntr];
	values[0] = CStringGetTextDatum(option->name);
	values[1] = CStringGetTextDatum(catalog_name(option->catalog));
	values[2] = CStringGetTextDatum(type_name(option));
	nulls[3] = option->initial == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(option->initial);
	nulls[4] = option->unit == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(option->unit);
	values[5] = CStringGetTextDatum(valid_values(option));
	values[6] = BoolGetDatum(option->superuser);
	values[7] = CStringGetTextDatum(option->description);
	SRF_RETURN_NEXT(context, HeapTupleGetDatum(heap_form_tuple(context->tuple_desc,
															   values, nulls)));
}
