/*-------------------------------------------------------------------------
 *
 * attributes.c
 *	  Would Braze accept this attribute?
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "validate_int.h"

#define MIN_DEVICE_ID	8
#define MAX_DEVICE_ID	255
#define MAX_NESTED_YEAR	3000

typedef bool (*FieldCheck) (const char *name, json_object *value, Why *why);

static bool check_nested(const char *name, json_object *value, Why *why);

static const char *
string_of(json_object *value)
{
	return json_object_is_type(value, json_type_string) ?
		json_object_get_string(value) : NULL;
}

static bool
one_of(const char *name, json_object *value, const char *const *words, Why *why)
{
	const char *string = string_of(value);

	for (; string != NULL && *words != NULL; words++)
	{
		if (strcmp(*words, string) == 0)
			return true;
	}
	return standin_refuse(why, "'%s' is not valid", name);
}

static bool
check_string(const char *name, json_object *value, Why *why)
{
	if (string_of(value) == NULL)
		return standin_refuse(why, "'%s' must be a string", name);
	return true;
}

static bool
check_flag(const char *name, json_object *value, Why *why)
{
	if (!json_object_is_type(value, json_type_boolean))
		return standin_refuse(why, "'%s' must be a boolean", name);
	return true;
}

static bool
check_object(const char *name, json_object *value, Why *why)
{
	if (!json_object_is_type(value, json_type_object))
		return standin_refuse(why, "'%s' must be an object", name);
	return true;
}

static bool
check_email(const char *name, json_object *value, Why *why)
{
	const char *email = string_of(value);

	if (email == NULL || !standin_is_email(email))
		return standin_refuse(why, "The value provided for the '%s' field is not a "
							  "valid email.", name);
	return true;
}

static bool
check_dob(const char *name, json_object *value, Why *why)
{
	const char *date = string_of(value);

	if (date == NULL || !standin_is_date(date))
		return standin_refuse(why, "'%s' must be a date, YYYY-MM-DD", name);
	return true;
}

static bool
check_date(const char *name, json_object *value, Why *why)
{
	const char *date = string_of(value);

	if (date == NULL || (!standin_is_date(date) && !standin_is_time(date)))
		return standin_refuse(why, "'%s' must be an ISO 8601 date", name);
	return true;
}

/* Braze drops an attribute whose date is before the year 0 or beyond 3000 */
static bool
check_nested_date(const char *name, json_object *value, Why *why)
{
	if (!check_date(name, value, why))
		return false;
	if (atoi(string_of(value)) > MAX_NESTED_YEAR)
		return standin_refuse(why, "'%s' must be a date of the years 0 to 3000", name);
	return true;
}

static bool
check_gender(const char *name, json_object *value, Why *why)
{
	static const char *const words[] = {"M", "F", "O", "N", "P", NULL};

	return one_of(name, value, words, why);
}

static bool
check_subscribe(const char *name, json_object *value, Why *why)
{
	static const char *const words[] = {
		"opted_in", "subscribed", "unsubscribed", NULL
	};

	return one_of(name, value, words, why);
}

static bool
check_image_url(const char *name, json_object *value, Why *why)
{
	if (!check_string(name, value, why))
		return false;
	if (standin_characters(json_object_get_string(value)) > MAX_IMAGE_URL)
		return standin_refuse(why, "'%s' must be at most 1024 characters", name);
	return true;
}

static bool
is_within(json_object *value, double limit)
{
	double		number = json_object_get_double(value);

	if (!json_object_is_type(value, json_type_int) &&
		!json_object_is_type(value, json_type_double))
		return false;
	return number >= -limit && number <= limit;
}

static bool
check_location(const char *name, json_object *value, Why *why)
{
	if (!json_object_is_type(value, json_type_object) ||
		json_object_object_length(value) != 2 ||
		!is_within(json_object_object_get(value, "longitude"), 180) ||
		!is_within(json_object_object_get(value, "latitude"), 90))
		return standin_refuse(why, "'%s' is not valid", name);
	return true;
}

/* walks an array of objects whose members are known by name */
static bool
check_entries(const char *name, json_object *value, const char *const *known,
			  bool (*check) (json_object *entry, Why *why), Why *why)
{
	if (!json_object_is_type(value, json_type_array))
		return standin_refuse(why, "'%s' must be an array", name);
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		json_object *entry = json_object_array_get_idx(value, i);

		if (!json_object_is_type(entry, json_type_object))
			return standin_refuse(why, "'%s' must hold objects", name);
		{
			json_object_object_foreach(entry, key, member)
			{
				const char *const *word = known;

				(void) member;
				while (*word != NULL && strcmp(*word, key) != 0)
					word++;
				if (*word == NULL)
					return standin_refuse(why, "'%.100s' is not known in '%s'",
										  key, name);
			}
		}
		if (!check(entry, why))
			return false;
	}
	return true;
}

static bool
check_subscription_group(json_object *entry, Why *why)
{
	static const char *const states[] = {"subscribed", "unsubscribed", NULL};
	json_object *opt_in;
	const char *id = string_of(json_object_object_get(entry, "subscription_group_id"));

	if (id == NULL || !standin_is_uuid(id))
		return standin_refuse(why, "'subscription_group_id' must be a UUID");
	if (standin_member(entry, "use_double_opt_in_logic", &opt_in) &&
		!check_flag("use_double_opt_in_logic", opt_in, why))
		return false;
	return one_of("subscription_state",
				  json_object_object_get(entry, "subscription_state"), states, why);
}

static bool
check_subscription_groups(const char *name, json_object *value, Why *why)
{
	static const char *const known[] = {
		"subscription_group_id", "subscription_state", "use_double_opt_in_logic", NULL
	};

	return check_entries(name, value, known, check_subscription_group, why);
}

static bool
check_push_token(json_object *entry, Why *why)
{
	const char *app_id = string_of(json_object_object_get(entry, "app_id"));
	const char *token = string_of(json_object_object_get(entry, "token"));
	json_object *device;

	if (app_id == NULL || app_id[0] == '\0' || token == NULL || token[0] == '\0')
		return standin_refuse(why, "a push token needs 'app_id' and 'token'");
	if (standin_member(entry, "device_id", &device) &&
		(string_of(device) == NULL ||
		 json_object_get_string_len(device) < MIN_DEVICE_ID ||
		 json_object_get_string_len(device) > MAX_DEVICE_ID))
		return standin_refuse(why, "'device_id' must be 8 to 255 bytes");
	return true;
}

static bool
check_push_tokens(const char *name, json_object *value, Why *why)
{
	static const char *const known[] = {"app_id", "token", "device_id", NULL};

	return check_entries(name, value, known, check_push_token, why);
}

/* the fields that Braze knows; every other name is a custom attribute */
static const struct
{
	const char *name;
	FieldCheck	check;
	bool		nullable;		/* null removes it */
}			standard_fields[] = {
	{"email", check_email, true},
	{"phone", check_string, true},
	{"first_name", check_string, true},
	{"last_name", check_string, true},
	{"home_city", check_string, true},
	{"country", check_string, true},
	{"language", check_string, true},
	{"time_zone", check_string, true},
	{"dob", check_dob, true},
	{"gender", check_gender, true},
	{"image_url", check_image_url, true},
	{"current_location", check_location, false},
	{"date_of_first_session", check_date, false},
	{"date_of_last_session", check_date, false},
	{"marked_email_as_spam_at", check_date, false},
	{"email_subscribe", check_subscribe, false},
	{"push_subscribe", check_subscribe, false},
	{"email_open_tracking_disabled", check_flag, false},
	{"email_click_tracking_disabled", check_flag, false},
	{"subscription_groups", check_subscription_groups, false},
	{"push_tokens", check_push_tokens, false},
	{"push_token_import", check_flag, false},
	{"_merge_objects", check_flag, false},
	{"facebook", check_object, false},
	{"twitter", check_object, false},
};

static bool
check_nested_array(const char *name, json_object *value, Why *why)
{
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		if (!check_nested(name, json_object_array_get_idx(value, i), why))
			return false;
	}
	return true;
}

/* the keys with which Braze itself speaks inside a nested attribute */
static bool
check_operator(const char *key, json_object *value, Why *why)
{
	if (strcmp(key, "$time") == 0)
		return check_nested_date(key, value, why);
	if (strcmp(key, "$add") == 0 || strcmp(key, "$remove") == 0 ||
		strcmp(key, "$update") == 0)
	{
		if (!json_object_is_type(value, json_type_array))
			return standin_refuse(why, "'%s' must be an array", key);
		return check_nested_array(key, value, why);
	}
	if (strcmp(key, "$identifier_key") == 0)
		return check_string(key, value, why);
	if (strcmp(key, "$identifier_value") == 0)
		return check_nested(key, value, why);
	if (strcmp(key, "$new_object") == 0)
		return check_object(key, value, why) && check_nested(key, value, why);
	return standin_refuse(why, "a nested key '%.100s' must not begin with '$'", key);
}

static bool
check_nested_member(const char *key, json_object *value, Why *why)
{
	if (key[0] == '$' && key[1] != '\0')
		return check_operator(key, value, why);
	if (!standin_check_name("a nested key", key, why))
		return false;
	if (strpbrk(key, " .") != NULL)
		return standin_refuse(why, "a nested key '%.100s' must not contain a space or "
							  "a dot", key);
	return check_nested(key, value, why);
}

static bool
check_nested(const char *name, json_object *value, Why *why)
{
	if (value == NULL)
		return standin_refuse(why, "'%.100s' has a null inside", name);
	if (json_object_is_type(value, json_type_array))
		return check_nested_array(name, value, why);
	if (json_object_is_type(value, json_type_object))
	{
		json_object_object_foreach(value, key, member)
		{
			if (!check_nested_member(key, member, why))
				return false;
		}
	}
	return standin_check_finite(name, value, why);
}

static bool
check_custom(const char *name, json_object *value, Why *why)
{
	if (!standin_check_name("an attribute name", name, why))
		return false;
	if (value == NULL)
		return true;
	if (!check_nested(name, value, why))
		return false;
	if (json_object_is_type(value, json_type_object) ||
		json_object_is_type(value, json_type_array))
		return standin_check_size(name, value, MAX_NESTED_ATTRIBUTE, why);
	return true;
}

static bool
check_token_import(json_object *value, json_object *object, Why *why)
{
	if (json_object_get_boolean(value) &&
		(json_object_object_get_ex(object, "external_id", NULL) ||
		 json_object_object_get_ex(object, "braze_id", NULL) ||
		 !json_object_object_get_ex(object, "push_tokens", NULL)))
		return standin_refuse(why, "'push_token_import' goes with 'push_tokens', "
							  "without 'external_id' and 'braze_id'");
	return true;
}

bool
standin_check_attribute(const char *name, json_object *value, bool has_primary,
						json_object *object, Why *why)
{
	for (size_t i = 0; i < sizeof(standard_fields) / sizeof(standard_fields[0]); i++)
	{
		if (strcmp(standard_fields[i].name, name) != 0)
			continue;
		if (value == NULL)
		{
			bool		identifies = !has_primary &&
				(strcmp(name, "email") == 0 ||
				 (strcmp(name, "phone") == 0 &&
				  !json_object_object_get_ex(object, "email", NULL)));

			if (standard_fields[i].nullable && !identifies)
				return true;
			return standin_refuse(why, "'%s' must not be null", name);
		}
		if (!standard_fields[i].check(name, value, why))
			return false;
		if (strcmp(name, "push_token_import") == 0)
			return check_token_import(value, object, why);
		return true;
	}
	return check_custom(name, value, why);
}
