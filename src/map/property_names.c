/*-------------------------------------------------------------------------
 *
 * property_names.c
 *	  Which names traits and properties may have, and which are reserved.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"

const char *const braze_event_reserved[] = {"time", "event_name", NULL};

const char *const braze_purchase_reserved[] = {
	"time", "product_id", "quantity", "event_name", "price", "currency", NULL
};

const char *const braze_no_reserved[] = {NULL};

void
braze_property_names_add(BrazeNames *names, BrazeString name)
{
	if (names->count < BRAZE_NAMES)
		names->names[names->count++] = name;
}

bool
braze_property_names_has(const BrazeNames *names, BrazeString name)
{
	for (int i = 0; i < names->count; i++)
	{
		if (names->names[i].length == name.length &&
			memcmp(names->names[i].data, name.data, name.length) == 0)
			return true;
	}
	return false;
}

void
braze_property_names_note_second(BrazeMap *map, const char *what, BrazeString name)
{
	braze_mapping_note(map, "A second %s %s was left out: its name is the same without the white space around it.",
					   what, braze_mapping_note_quote(name));
}

bool
braze_property_names_read(BrazeMap *map, const char *what, JsonbContainer *object,
						  BrazeString key, BrazeString *name)
{
	JsonbValue	other;

	*name = braze_trim(key);

	if (name->length == 0)
	{
		braze_mapping_note(map, "A %s without a name was left out; give it one.", what);
		return false;
	}
	if (name->data[0] == '$')
	{
		braze_mapping_note(map, "The %s %s was left out: Braze refuses names that begin with \"$\"; rename it.",
						   what, braze_mapping_note_quote(*name));
		return false;
	}
	if (braze_longer_than(*name, BRAZE_MAX_NAME))
	{
		braze_mapping_note(map, "The %s %s was left out: its name is longer than %d characters; shorten it.",
						   what, braze_mapping_note_quote(*name), BRAZE_MAX_NAME);
		return false;
	}

	/*
	 * jsonb has a key once, so that it can only meet one that was trimmed,
	 * and that one gives way to it below.
	 */
	if (likely(name->length == key.length))
		return true;

	/*
	 * Trimmed, it may meet another.  The list of such names is short, so that
	 * an object of nothing else costs no more than its size.
	 */
	if (braze_lookup_key(object, name->data, name->length, &other) ||
		braze_property_names_has(&map->padded, *name))
	{
		braze_property_names_note_second(map, what, *name);
		return false;
	}
	if (map->padded.count == BRAZE_NAMES)
	{
		braze_mapping_note(map, "The %s %s was left out: more than %d names have white space around them.",
						   what, braze_mapping_note_quote(*name), BRAZE_NAMES);
		return false;
	}
	braze_property_names_add(&map->padded, *name);
	return true;
}
