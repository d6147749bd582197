/*-------------------------------------------------------------------------
 *
 * event.c
 *	  One of Braze's events, and which of them the settings let pass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"

void
braze_event_map(BrazeMap *map, BrazeString name)
{
	BrazeProperties properties;

	braze_object_writer_begin(map, BRAZE_EVENTS);
	braze_object_writer_app_id(map);
	braze_object_writer_name(map, BRAZE_NAME_KEY, name);
	braze_object_writer_time(map);
	if (map->call.properties != NULL)
	{
		braze_properties_begin(&properties, map, braze_event_reserved,
							   BRAZE_LIMIT_EVENT_PROPERTIES);
		braze_properties_add(&properties, map->call.properties, NULL);
		braze_properties_end(&properties);
		braze_properties_write(&properties, "properties");
	}
	braze_object_writer_end(map);
}

bool
braze_event_passes(BrazeMap *map, BrazeString name)
{
	const BrazeSettings *settings = map->settings;

	if (settings->events_only.count > 0 && !braze_user_identifier_list_has(&settings->events_only, name))
	{
		braze_mapping_note_skip(map, "The event %s was skipped: it is not among the destination's events_only.",
								braze_mapping_note_quote(name));
		return false;
	}
	if (settings->events_except.count > 0 && braze_user_identifier_list_has(&settings->events_except, name))
	{
		braze_mapping_note_skip(map, "The event %s was skipped: it is among the destination's events_except.",
								braze_mapping_note_quote(name));
		return false;
	}
	return true;
}
