/*-------------------------------------------------------------------------
 *
 * event_name.c
 *	  Which names an event may have, and which of them the settings let pass.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"

bool
braze_event_name_read(BrazeMap *map, BrazeString *name)
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
	if (braze_trim(*name).data[0] == '$')
	{
		braze_mapping_note_reject(map, "The track call's event begins with \"$\", which Braze refuses; rename it.");
		return false;
	}
	return true;
}

bool
braze_event_name_passes(BrazeMap *map, BrazeString name)
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
