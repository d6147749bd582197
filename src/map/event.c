/*-------------------------------------------------------------------------
 *
 * event.c
 *	  One of Braze's events.
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
