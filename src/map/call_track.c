/*-------------------------------------------------------------------------
 *
 * call_track.c
 *	  A track call: one event, or what an order becomes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"
#include "map/purchase.h"

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
	if (braze_trim(*name).data[0] == '$')
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

	/*
	 * A name that Braze refuses is an error whoever the call is about, and an
	 * event that the settings leave out is skipped whoever it is about: so
	 * the user is asked for last.
	 */
	if (!read_event_name(map, &name) || !braze_event_passes(map, name) ||
		!braze_user_identifier_map(map))
		return;
	braze_mapping_note_traits(map);
	braze_object_writer_find_app_id(map);
	if (!braze_commerce_map(map, name))
		braze_event_map(map, name);
}
