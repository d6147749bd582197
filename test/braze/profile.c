/*-------------------------------------------------------------------------
 *
 * profile.c
 *	  What an attributes object does to a profile's attributes: null removes,
 *	  operators change, everything else replaces.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <string.h>

#include "profile.h"

#define MAX_ARRAY	500

static json_object *
copy_of(json_object *value)
{
	json_object *copy = NULL;

	if (value != NULL)
		json_object_deep_copy(value, &copy, NULL);
	return copy;
}

static bool
is_array(json_object *value)
{
	return json_object_is_type(value, json_type_array);
}

static bool
is_object(json_object *value)
{
	return json_object_is_type(value, json_type_object);
}

static int
position(json_object *array, json_object *value)
{
	for (size_t i = 0; i < json_object_array_length(array); i++)
	{
		if (json_object_equal(json_object_array_get_idx(array, i), value))
			return (int) i;
	}
	return -1;
}

/* the newest stay */
static void
cut_array(json_object *array)
{
	size_t		length = json_object_array_length(array);

	if (length > MAX_ARRAY)
		json_object_array_del_idx(array, 0, length - MAX_ARRAY);
}

/* the value as an array that may be changed: empty when there is none */
static json_object *
array_of(json_object *attributes, const char *name)
{
	json_object *array = json_object_object_get(attributes, name);

	if (!is_array(array))
	{
		array = json_object_new_array();
		json_object_object_add(attributes, name, array);
	}
	return array;
}

static void
add_values(json_object *array, json_object *values, bool unique)
{
	for (size_t i = 0; i < json_object_array_length(values); i++)
	{
		json_object *value = json_object_array_get_idx(values, i);

		if (!unique || position(array, value) < 0)
			json_object_array_add(array, copy_of(value));
	}
	cut_array(array);
}

static void
remove_values(json_object *array, json_object *values)
{
	for (size_t i = 0; i < json_object_array_length(values); i++)
	{
		int			found;

		while ((found = position(array, json_object_array_get_idx(values, i))) >= 0)
			json_object_array_del_idx(array, (size_t) found, 1);
	}
}

static void
merge_object(json_object *into, json_object *changes)
{
	json_object_object_foreach(changes, key, value)
	{
		json_object *old = json_object_object_get(into, key);

		if (is_object(old) && is_object(value))
			merge_object(old, value);
		else
			json_object_object_add(into, key, copy_of(value));
	}
}

/* the element of an array of objects that a $update or $remove entry names */
static int
entry_position(json_object *array, json_object *entry)
{
	json_object *key = json_object_object_get(entry, "$identifier_key");
	json_object *value = json_object_object_get(entry, "$identifier_value");

	if (!json_object_is_type(key, json_type_string))
		return -1;
	for (size_t i = 0; i < json_object_array_length(array); i++)
	{
		json_object *element = json_object_array_get_idx(array, i);
		json_object *member;

		if (is_object(element) &&
			json_object_object_get_ex(element, json_object_get_string(key), &member) &&
			json_object_equal(member, value))
			return (int) i;
	}
	return -1;
}

static void
update_entries(json_object *array, json_object *entries, bool merge)
{
	for (size_t i = 0; i < json_object_array_length(entries); i++)
	{
		json_object *entry = json_object_array_get_idx(entries, i);
		json_object *change = json_object_object_get(entry, "$new_object");
		int			found = entry_position(array, entry);

		if (found < 0 || !is_object(change))
			continue;
		if (merge)
			merge_object(json_object_array_get_idx(array, (size_t) found), change);
		else
			json_object_array_put_idx(array, (size_t) found, copy_of(change));
	}
}

static void
remove_entries(json_object *array, json_object *entries)
{
	for (size_t i = 0; i < json_object_array_length(entries); i++)
	{
		int			found;

		while ((found = entry_position(array, json_object_array_get_idx(entries, i))) >= 0)
			json_object_array_del_idx(array, (size_t) found, 1);
	}
}

static void
increment(json_object *attributes, const char *name, json_object *by)
{
	json_object *old = json_object_object_get(attributes, name);

	if (json_object_is_type(by, json_type_int) &&
		!json_object_is_type(old, json_type_double))
		json_object_object_add(attributes, name,
							   json_object_new_int64(json_object_get_int64(old) +
													 json_object_get_int64(by)));
	else
		json_object_object_add(attributes, name,
							   json_object_new_double(json_object_get_double(old) +
													  json_object_get_double(by)));
}

static bool
is_number(json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
		json_object_is_type(value, json_type_double);
}

/*
 * Is the object nothing but operators, each with a value of the right type?
 * Anything else is a nested attribute that happens to use their names.
 */
static bool
is_operator(json_object *value)
{
	int			operators = 0;

	if (!is_object(value))
		return false;
	{
		json_object_object_foreach(value, key, member)
		{
			bool		array = strcmp(key, "add") == 0 || strcmp(key, "remove") == 0 ||
				strcmp(key, "$add") == 0 || strcmp(key, "$remove") == 0 ||
				strcmp(key, "$update") == 0;

			if (!(array && is_array(member)) &&
				!(strcmp(key, "inc") == 0 && is_number(member)))
				return false;
			operators++;
		}
	}
	return operators > 0;
}

/* what is added can be removed by the same object: adding comes first */
static void
operate(json_object *attributes, const char *name, json_object *value, bool merge)
{
	json_object *member;

	if (json_object_object_get_ex(value, "inc", &member))
		increment(attributes, name, member);
	if (json_object_object_get_ex(value, "add", &member))
		add_values(array_of(attributes, name), member, true);
	if (json_object_object_get_ex(value, "$add", &member))
		add_values(array_of(attributes, name), member, false);
	if (json_object_object_get_ex(value, "$update", &member))
		update_entries(array_of(attributes, name), member, merge);
	if (json_object_object_get_ex(value, "remove", &member))
		remove_values(array_of(attributes, name), member);
	if (json_object_object_get_ex(value, "$remove", &member))
		remove_entries(array_of(attributes, name), member);
}

/* one state per group: the later one wins */
static void
subscribe(json_object *attributes, json_object *groups)
{
	json_object *known = array_of(attributes, "subscription_groups");

	for (size_t i = 0; i < json_object_array_length(groups); i++)
	{
		json_object *group = json_object_array_get_idx(groups, i);
		json_object *id = json_object_object_get(group, "subscription_group_id");
		size_t		j;

		for (j = 0; j < json_object_array_length(known); j++)
		{
			json_object *old = json_object_array_get_idx(known, j);

			if (json_object_equal(json_object_object_get(old, "subscription_group_id"), id))
				break;
		}
		json_object_array_put_idx(known, j, copy_of(group));
	}
}

static bool
is_control(const char *name)
{
	static const char *const control[] = {
		"external_id", "user_alias", "braze_id", "_update_existing_only",
		"_merge_objects", "push_token_import", NULL
	};

	for (const char *const *word = control; *word != NULL; word++)
	{
		if (strcmp(*word, name) == 0)
			return true;
	}
	return false;
}

void
standin_profile_update(json_object *attributes, json_object *object)
{
	bool		merge = json_object_get_boolean(json_object_object_get(object,
																	   "_merge_objects"));

	json_object_object_foreach(object, name, value)
	{
		json_object *old = json_object_object_get(attributes, name);

		if (is_control(name))
			continue;
		if (value == NULL)
			json_object_object_del(attributes, name);
		else if (strcmp(name, "subscription_groups") == 0)
			subscribe(attributes, value);
		else if (strcmp(name, "push_tokens") == 0)
			add_values(array_of(attributes, name), value, true);
		else if (is_operator(value))
			operate(attributes, name, value, merge);
		else if (merge && is_object(old) && is_object(value))
			merge_object(old, value);
		else
		{
			json_object *copy = copy_of(value);

			if (is_array(copy))
				cut_array(copy);
			json_object_object_add(attributes, name, copy);
		}
	}
}
