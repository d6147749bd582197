/*-------------------------------------------------------------------------
 *
 * call_track.c
 *	  A track call: one event, or what the order rooms make of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"
#include "map/purchase.h"

void
braze_call_track_map_event(BrazeMap *map, BrazeString name)
{
	BrazeProperties properties;

	braze_object_begin(map, BRAZE_EVENTS);
	braze_write_app_id(map);
	braze_text_literal(&map->text, ",\"name\":");
	braze_json_write_string(&map->text, name.data, name.length);
	braze_write_time(map);
	if (map->call.properties != NULL)
	{
		braze_properties_begin(&properties, map, braze_event_reserved,
							   BRAZE_MAX_EVENT_PROPERTIES);
		braze_properties_add(&properties, map->call.properties, NULL, NULL);
		braze_properties_end(&properties);
		braze_properties_write(&properties, "properties");
	}
	braze_object_end(map);
}

bool
braze_call_track_passes(BrazeMap *map, BrazeString name)
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

/* false, with the call rejected, when Braze would refuse the name */
static bool
read_event_name(BrazeMap *map, BrazeString *name)
{
	const JsonbValue *event = &map->call.fields[BRAZE_CALL_EVENT];

	if (event->type == jbvNull)
	{
		braze_mapping_note_reject(map, "The track call has no event; give it the name of one.");
		return false;
	}
	if (event->type != jbvString && event->type != jbvNumeric)
	{
		braze_mapping_note_reject(map, "The track call's event is neither a string nor a number.");
		return false;
	}
	if (!braze_scalar_text(event, name) || braze_longer_than(*name, BRAZE_MAX_NAME))
	{
		braze_mapping_note_reject(map, "The track call's event has a name of more than %d characters, which Braze refuses; shorten it.",
					 BRAZE_MAX_NAME);
		return false;
	}
	if (braze_trim(*name).length == 0)
	{
		braze_mapping_note_reject(map, "The track call's event is empty; give it a name.");
		return false;
	}
	if (name->data[0] == '$')
	{
		braze_mapping_note_reject(map, "The track call's event begins with \"$\", which Braze refuses; rename it.");
		return false;
	}
	return true;
}

void
braze_call_track_map(BrazeMap *map)
{
	BrazeString name;

	if (!read_event_name(map, &name) || !braze_call_track_passes(map, name) ||
		!braze_user_identifier_map(map))
		return;
	braze_mapping_note_traits(map);
	if (!braze_commerce_map(map, name))
		braze_call_track_map_event(map, name);
}
