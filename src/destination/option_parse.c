/*-------------------------------------------------------------------------
 *
 * option_parse.c
 *	  From the text of an option to a setting, or to what is wrong with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"

#include "base/closest_name.h"
#include "braze/ascii.h"
#include "braze/currency.h"
#include "destination/datacenter.h"
#include "destination/option.h"
#include "destination/option_number.h"
#include "destination/option_validator.h"
#include "destination/sdk_version.h"
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
		if (braze_ascii_equal(choices->name, name))
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
compare_list_names(const void *a, const void *b)
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
	qsort(result->names, result->count, sizeof(char *), compare_list_names);
	return NULL;
}

static const char *
parse_currency(const BrazeOption *option, const char *value, char **result)
{
	char	   *text = braze_trimmed(value);
	const char *code = braze_currency_code(text, strlen(text));

	if (code == NULL)
		return "Valid values are the codes of ISO 4217, such as EUR.";
	*result = pstrdup(code);
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
		case BRAZE_OPTION_DURATION:
		case BRAZE_OPTION_INTERVAL:
		case BRAZE_OPTION_RATE:
		case BRAZE_OPTION_SIZE:
			return braze_option_number_parse(option, value, field);
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
			return braze_datacenter_parse(value, field);
		case BRAZE_OPTION_ENDPOINT:
			return braze_datacenter_parse_endpoint(value, field);
		case BRAZE_OPTION_SDK_ENDPOINT:
			return braze_datacenter_parse_sdk_endpoint(value, field);
		case BRAZE_OPTION_SDK_VERSION:
			return braze_sdk_version_parse(value, field);
		case BRAZE_OPTION_PATH:
			return parse_path(option, value, field);
		case BRAZE_OPTION_SECRET:
			if (braze_key_is_valid(value))
				return NULL;
			return psprintf("A key has 1 to %d ASCII characters, none of them white space or a quotation mark.",
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
		if (*key <= ' ' || *key >= 0x7f || strchr("\"'`", *key) != NULL)
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
		case BRAZE_OPTION_SDK_VERSION:
			return "text";
		case BRAZE_OPTION_ENDPOINT:
		case BRAZE_OPTION_SDK_ENDPOINT:
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
		case BRAZE_OPTION_INTERVAL:
		case BRAZE_OPTION_SIZE:
		case BRAZE_OPTION_RATE:
			return psprintf("%s%s", braze_option_number_may_be_off(option) ? "off, " : "",
							braze_option_number_range(option));
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
		case BRAZE_OPTION_SDK_ENDPOINT:
			return "host or https URL; http for loopback hosts";
		case BRAZE_OPTION_SDK_VERSION:
			return "2 or higher";
		case BRAZE_OPTION_PATH:
			return "absolute path";
		case BRAZE_OPTION_SECRET:
			return psprintf("1 to %d ASCII characters", option->max);
	}
	pg_unreachable();
}
