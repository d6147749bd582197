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

void
braze_call_track_map(BrazeMap *map)
{
	BrazeString name;

	/*
	 * A name that Braze refuses is an error whoever the call is about, and an
	 * event that the settings leave out is skipped whoever it is about: so
	 * the user is asked for last.
	 */
	if (!braze_event_name_read(map, &name) || !braze_event_name_passes(map, name) ||
		!braze_user_identifier_map(map))
		return;
	braze_mapping_note_traits(map);
	braze_object_writer_find_app_id(map);
	if (!braze_commerce_map(map, name))
		braze_event_map(map, name);
}
