/*
 * map_length.c
 *	  bench_map_length(jsonb, boolean): maps a call as the worker does, with the
 *	  default settings, or orders_as 'both', and returns the length of the
 *	  objects' text.
 *
 * It is linked with the extension's objects.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "destination/destination.h"
#include "map/map.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_map_length);
PGDLLEXPORT Datum bench_map_length(PG_FUNCTION_ARGS);

Datum
bench_map_length(PG_FUNCTION_ARGS)
{
	static BrazeMapped *mapped = NULL;
	static BrazeSettings settings;
	static TimestampTz now;
	int64		length = 0;

	if (mapped == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		mapped = braze_map_create();
		settings = *braze_destination_default_settings();
		now = GetCurrentTimestamp();
		MemoryContextSwitchTo(old);
	}
	settings.orders_as = PG_GETARG_BOOL(1) ? BRAZE_ORDERS_BOTH : BRAZE_ORDERS_PURCHASES;
	braze_map_call(PG_GETARG_JSONB_P(0), BRAZE_SEGMENT_CALL, &settings, now, now, mapped);
	for (int i = 0; i < mapped->nobjects; i++)
		length += mapped->objects[i].json.length;
	PG_RETURN_INT64(length);
}
