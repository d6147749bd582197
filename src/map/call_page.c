/*-------------------------------------------------------------------------
 *
 * call_page.c
 *	  Page and screen calls: one event, if the settings ask for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"

/*
 * The call's own name or category wins, those in the properties serve where it
 * has none.  data is NULL when there is neither.
 */
static BrazeString
find_text(BrazeMap *map, BrazeCallField field, const char *key, bool *own)
{
	BrazeString text = {NULL, 0};
	JsonbValue	value;

	*own = braze_scalar_text(&map->call.fields[field], &text) &&
		braze_trim(text).length > 0;
	if (*own)
		return text;
	if (map->call.fields[field].type != jbvNull &&
		map->call.fields[field].type != jbvString)
		braze_mapping_note(map, "The call's %s was left out: it is neither a string nor a number.", key);
	if (map->call.properties != NULL && braze_lookup(map->call.properties, key, &value) &&
		braze_scalar_text(&value, &text) && braze_trim(text).length > 0)
		return text;
	text.data = NULL;
	return text;
}

/* a page or a screen, which differ in their words only */
static void
map_view(BrazeMap *map, const char *call, const char *noun)
{
	const BrazeSettings *settings = map->settings;
	bool		own_title;
	bool		own_category;
	BrazeString title = find_text(map, BRAZE_CALL_NAME, "name", &own_title);
	BrazeString category = find_text(map, BRAZE_CALL_CATEGORY, "category", &own_category);
	BrazeProperties properties;
	StringInfoData buffer;
	BrazeString name;

	if (!settings->track_all_pages && !(settings->track_named_pages && title.data != NULL))
	{
		if (settings->track_named_pages)
			braze_mapping_note_skip(map, "The %s call was skipped: it has no name, and the destination sends only named ones; track_all_pages sends all.",
									call);
		else
			braze_mapping_note_skip(map, "The %s call was skipped: the destination's track_all_pages and track_named_pages are both off.",
									call);
		return;
	}

	/*
	 * The name comes first: events_only and events_except list page events by
	 * the name that they get here.
	 */
	initStringInfo(&buffer);
	if (title.data == NULL)
		appendStringInfo(&buffer, "Loaded a %s", noun);
	else
	{
		/* longer than any name may be: not even copied */
		if (title.length > BRAZE_MAX_NAME * 4 || category.length > BRAZE_MAX_NAME * 4)
			appendStringInfoSpaces(&buffer, BRAZE_MAX_NAME);
		else
		{
			appendStringInfoString(&buffer, "Viewed ");
			if (category.data != NULL)
			{
				appendBinaryStringInfo(&buffer, category.data, category.length);
				appendStringInfoChar(&buffer, ' ');
			}
			appendBinaryStringInfo(&buffer, title.data, title.length);
		}
		appendStringInfo(&buffer, " %s", noun);
	}
	name.data = buffer.data;
	name.length = buffer.len;
	if (braze_longer_than(name, BRAZE_MAX_NAME))
	{
		braze_mapping_note_reject(map, "The event that the %s call becomes has a name of more than %d characters, which Braze refuses; shorten the call's name or category.",
								  call, BRAZE_MAX_NAME);
		return;
	}
	if (!braze_event_name_passes(map, name) || !braze_user_identifier_map(map))
		return;
	braze_mapping_note_traits(map);
	braze_object_writer_find_app_id(map);

	braze_object_writer_begin(map, BRAZE_EVENTS);
	braze_object_writer_app_id(map);
	braze_object_writer_name(map, BRAZE_NAME_KEY, name);
	braze_object_writer_time(map);
	braze_properties_begin(&properties, map, braze_event_reserved,
						   BRAZE_LIMIT_EVENT_PROPERTIES);

	/*
	 * The name and category that the event is called by are among its
	 * properties as well, before those of the same names.
	 */
	if (own_title)
		braze_properties_add_text(&properties, "name", title);
	if (own_category)
		braze_properties_add_text(&properties, "category", category);
	braze_properties_add(&properties, map->call.properties, NULL);
	braze_properties_end(&properties);
	braze_properties_write(&properties, "properties");
	braze_object_writer_end(map);
}

void
braze_call_page_map(BrazeMap *map)
{
	map_view(map, "page", "Page");
}

void
braze_call_page_map_screen(BrazeMap *map)
{
	map_view(map, "screen", "Screen");
}
