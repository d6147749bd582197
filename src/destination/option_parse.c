/*-------------------------------------------------------------------------
 *
 * option_parse.c
 *	  From the text of an option to a setting, or to what is wrong with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/builtins.h"

#include "base/closest_name.h"
#include "braze/ascii.h"
#include "braze/currency.h"
#include "destination/api_key.h"
#include "destination/datacenter.h"
#include "destination/option_number.h"
#include "destination/option_parse.h"
#include "destination/option_text.h"
#include "destination/option_values.h"
#include "destination/sdk_version.h"

/*
 * Parsers.  Each returns NULL when the value is fine, else a sentence that
 * says which values are.  Results go into settings, which stay as they are when
 * the value is not fine.
 */

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
						closest, braze_option_values_choices(choices));
	return psprintf("Valid values are %s%s.", verb, braze_option_values_choices(choices));
}

static const char *
parse_boolean(const BrazeOption *option, const char *value, bool *result)
{
	bool		parsed;

	/* parse_bool() writes a value also when the text is none */
	if (!parse_bool(value, &parsed))
		return "Valid values are true and false.";
	*result = parsed;
	return NULL;
}

static const char *
parse_enum(const BrazeOption *option, const char *value, int *result)
{
	char	   *name = braze_option_text_trimmed(value);
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
	if (!braze_option_text_split(value, &elements))
		return psprintf("Valid values are a list, separated by commas, of %s.",
						braze_option_values_choices(option->choices));
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
		* result |= lfirst_int(cell);
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
	/* without any, no user would have an identity that Braze knows */
	if (found == NIL)
		return psprintf("The list needs at least one of %s.",
						braze_option_values_choices(option->choices));
	settings->nidentifiers = 0;
	foreach(cell, found)
		settings->identifiers[settings->nidentifiers++] = lfirst_int(cell);
	return NULL;
}

static const char *
parse_text(const BrazeOption *option, const char *value, char **result)
{
	size_t		length = strlen(value);

	if (length < option->min || length > option->max || braze_option_text_has_controls(value))
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

	if (!braze_option_text_split(value, &elements))
		return "Valid values are names separated by commas; a name that holds a comma "
			"is written in double quotes.";
	/* sorted, since each call is looked up there by a binary search */
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
	char	   *text = braze_option_text_trimmed(value);
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
		braze_option_text_has_controls(value))
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

	/*
	 * Each parser writes its result, also when the value is only checked, so
	 * there is always something to write to.  What is in no setting is a
	 * text.
	 */
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
			if (braze_api_key_is_valid(value))
				return NULL;
			return psprintf("A key has 1 to %d ASCII characters, none of them white space or a quotation mark.",
							option->max);
	}
	pg_unreachable();
}
