/*-------------------------------------------------------------------------
 *
 * option_parse.c
 *	  From the text of an option to a setting, or to what is wrong with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"

#include "base/closest_name.h"
#include "destination/option.h"
#include "destination/option_number.h"
#include "destination/option_validator.h"
#include "json/jsonb_walk.h"

/*
 * Parsers.  Each returns NULL when the value is fine, else a sentence that
 * says which values are.  Results go into settings.
 */

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

/*
 * Splits a list at its commas.  An element that holds a comma, or begins or
 * ends with white space, is written in double quotes, a double quote in it
 * twice.  Returns a list of char *; false for what is no list.
 */
static bool
split_list(const char *text, List **elements)
{
	*elements = NIL;
	while (braze_is_space(*text))
		text++;
	if (*text == '\0')
		return true;

	for (;;)
	{
		StringInfoData element;

		initStringInfo(&element);
		while (braze_is_space(*text))
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
			while (braze_is_space(*text))
				text++;
			if (*text != ',' && *text != '\0')
				return false;
		}
		else
		{
			for (; *text != ',' && *text != '\0'; text++)
				appendStringInfoChar(&element, *text);
			while (element.len > 0 && braze_is_space(element.data[element.len - 1]))
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
choice_names(const BrazeChoice *choices)
{
	StringInfoData names;

	initStringInfo(&names);
	for (; choices->name; choices++)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", choices->name);
	return names.data;
}

char *
braze_datacenter_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < braze_datacenter_count; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", braze_datacenters[i].name);
	return names.data;
}

static const char *
next_choice(void *state)
{
	const BrazeChoice **choice = state;

	return (*choice)->name ? (*choice)++->name : NULL;
}

static const BrazeChoice *
find_choice(const BrazeChoice *choices, const char *name)
{
	for (; choices->name; choices++)
	{
		if (pg_strcasecmp(choices->name, name) == 0)
			return choices;
	}
	return NULL;
}

static char *
choice_hint(const BrazeChoice *choices, const char *name, const char *verb)
{
	const BrazeChoice *state = choices;
	const char *closest = braze_closest_name(name, next_choice, &state);

	if (closest)
		return psprintf("Perhaps you meant \"%s\".  Valid values are %s.",
						closest, choice_names(choices));
	return psprintf("Valid values are %s%s.", verb, choice_names(choices));
}

static const char *
parse_boolean(const BrazeOption *option, const char *value, bool *result)
{
	return parse_bool(value, result) ? NULL : "Valid values are true and false.";
}

static const char *
parse_enum(const BrazeOption *option, const char *value, int *result)
{
	char	   *name = braze_trimmed(value);
	const BrazeChoice *choice = find_choice(option->choices, name);

	if (choice == NULL)
		return choice_hint(option->choices, name, "");
	*result = choice->value;
	return NULL;
}

/* finds the choices that a list names, each at most once */
static const char *
parse_choices(const BrazeOption *option, const char *value, List **found)
{
	List	   *elements;
	ListCell   *cell;

	*found = NIL;
	if (!split_list(value, &elements))
		return psprintf("Valid values are a list, separated by commas, of %s.",
						choice_names(option->choices));
	foreach(cell, elements)
	{
		const BrazeChoice *choice = find_choice(option->choices, lfirst(cell));

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
parse_set(const BrazeOption *option, const char *value, int *result)
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
parse_identifiers(const BrazeOption *option, const char *value, BrazeSettings *settings)
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
parse_text(const BrazeOption *option, const char *value, char **result)
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
parse_names(const BrazeOption *option, const char *value, BrazeNameList *result)
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
parse_currency(const BrazeOption *option, const char *value, char **result)
{
	char	   *currency = braze_trimmed(value);

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

	return *i < braze_datacenter_count ? braze_datacenters[(*i)++].name : NULL;
}

static const char *
parse_datacenter(const BrazeOption *option, const char *value, char **result)
{
	char	   *name = braze_trimmed(value);
	const char *closest;
	int			state = 0;

	for (int i = 0; i < braze_datacenter_count; i++)
	{
		if (pg_strcasecmp(name, braze_datacenters[i].name) == 0)
		{
			*result = pstrdup(braze_datacenters[i].endpoint);
			return NULL;
		}
	}
	if (pg_strcasecmp(name, "US-09") == 0)
		return psprintf("Braze has no instance US-09.  Valid values are %s.",
						braze_datacenter_names());
	closest = braze_closest_name(name, next_datacenter, &state);
	if (closest)
		return psprintf("Perhaps you meant \"%s\".  Valid values are %s.",
						closest, braze_datacenter_names());
	return psprintf("Valid values are %s.", braze_datacenter_names());
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
parse_endpoint(const BrazeOption *option, const char *value, char **result)
{
	char	   *rest = braze_trimmed(value);
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
parse_path(const BrazeOption *option, const char *value, char **result)
{
	if (!is_absolute_path(value) || strlen(value) >= MAXPGPATH ||
		has_control_characters(value))
		return "Valid values are absolute paths on the database server.";
	*result = pstrdup(value);
	return NULL;
}

const char *
braze_option_parse(const BrazeOption *option, const char *value, BrazeSettings *settings)
{
	BrazeSettings scratch;
	char	   *unused;
	void	   *field;

	if (settings == NULL)
		settings = &scratch;
	if (option->offset == BRAZE_NOT_A_SETTING)
		field = &unused;
	else
		field = (char *) settings + option->offset;

	switch (option->type)
	{
		case BRAZE_OPTION_BOOLEAN:
			return parse_boolean(option, value, field);
		case BRAZE_OPTION_INTEGER:
			return braze_parse_integer(option, value, field);
		case BRAZE_OPTION_DURATION:
			return braze_parse_duration(option, value, field);
		case BRAZE_OPTION_INTERVAL:
			return braze_parse_interval(option, value, field);
		case BRAZE_OPTION_RATE:
			return braze_parse_rate(option, value, field);
		case BRAZE_OPTION_SIZE:
			return braze_parse_size(option, value, field);
		case BRAZE_OPTION_ENUM:
			return parse_enum(option, value, field);
		case BRAZE_OPTION_SET:
			return parse_set(option, value, field);
		case BRAZE_OPTION_IDENTIFIERS:
			return parse_identifiers(option, value, settings);
		case BRAZE_OPTION_TEXT:
			return parse_text(option, value, field);
		case BRAZE_OPTION_NAMES:
			return parse_names(option, value, field);
		case BRAZE_OPTION_CURRENCY:
			return parse_currency(option, value, field);
		case BRAZE_OPTION_DATACENTER:
			return parse_datacenter(option, value, field);
		case BRAZE_OPTION_ENDPOINT:
			return parse_endpoint(option, value, field);
		case BRAZE_OPTION_PATH:
			return parse_path(option, value, field);
		case BRAZE_OPTION_SECRET:
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
braze_option_type_name(const BrazeOption *option)
{
	switch (option->type)
	{
		case BRAZE_OPTION_BOOLEAN:
			return "boolean";
		case BRAZE_OPTION_INTEGER:
			return "integer";
		case BRAZE_OPTION_DURATION:
			return "duration";
		case BRAZE_OPTION_INTERVAL:
			return "interval";
		case BRAZE_OPTION_SIZE:
			return "size";
		case BRAZE_OPTION_RATE:
			return "number";
		case BRAZE_OPTION_ENUM:
		case BRAZE_OPTION_DATACENTER:
			return "enum";
		case BRAZE_OPTION_SET:
		case BRAZE_OPTION_IDENTIFIERS:
		case BRAZE_OPTION_NAMES:
			return "list";
		case BRAZE_OPTION_TEXT:
		case BRAZE_OPTION_CURRENCY:
		case BRAZE_OPTION_SECRET:
			return "text";
		case BRAZE_OPTION_ENDPOINT:
			return "URL";
		case BRAZE_OPTION_PATH:
			return "path";
	}
	pg_unreachable();
}

const char *
braze_option_valid_values(const BrazeOption *option)
{
	switch (option->type)
	{
		case BRAZE_OPTION_BOOLEAN:
			return "true, false";
		case BRAZE_OPTION_INTEGER:
			return psprintf("%d to %d", option->min, option->max);
		case BRAZE_OPTION_DURATION:
			return psprintf("%s to %s", braze_duration_text(option->min),
							braze_duration_text(option->max));
		case BRAZE_OPTION_INTERVAL:
			return psprintf("off, %s to %s", braze_interval_text(option->min),
							braze_interval_text(option->max));
		case BRAZE_OPTION_SIZE:
			return psprintf("off, %s to %s", braze_size_text(option->min),
							braze_size_text(option->max));
		case BRAZE_OPTION_RATE:
			return psprintf("off, %s to %s", braze_rate_text(option->min),
							braze_rate_text(option->max));
		case BRAZE_OPTION_ENUM:
		case BRAZE_OPTION_SET:
		case BRAZE_OPTION_IDENTIFIERS:
			return choice_names(option->choices);
		case BRAZE_OPTION_NAMES:
			return "names separated by commas";
		case BRAZE_OPTION_TEXT:
			return psprintf("%d to %d bytes", option->min, option->max);
		case BRAZE_OPTION_CURRENCY:
			return "ISO 4217 code";
		case BRAZE_OPTION_DATACENTER:
			return braze_datacenter_names();
		case BRAZE_OPTION_ENDPOINT:
			return "host or https URL; http for loopback hosts";
		case BRAZE_OPTION_PATH:
			return "absolute path";
		case BRAZE_OPTION_SECRET:
			return psprintf("1 to %d ASCII characters", option->max);
	}
	pg_unreachable();
}
