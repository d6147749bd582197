/*-------------------------------------------------------------------------
 *
 * call_time.c
 *	  When a call happened: which of its times counts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "json/time.h"
#include "map/map_internal.h"

/* a time of the call; false where there is none, with a note where it is bad */
static bool
read_time(BrazeMap *map, BrazeCallField field, const char *name, int64 *ms)
{
	const JsonbValue *value = &map->call.fields[field];

	if (value->type == jbvNull)
		return false;
	if (braze_time(value, ms))
		return true;
	braze_mapping_note(map, "The call's %s was not used: it is not a time from 1970-01-02 to 2100-12-31; write it as YYYY-MM-DDTHH:MM:SSZ.",
					   name);
	return false;
}

/* since 1970 */
static int64
unix_milliseconds(TimestampTz time)
{
	return time / 1000 + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000);
}

/*
 * The first of the call's times that can be read; the page on the mapping has
 * their order.
 */
static int64
find_time(BrazeMap *map)
{
	int64		original;
	int64		received;
	int64		sent;
	int64		corrected;
	bool		has_original;
	bool		has_received;
	bool		has_sent;
	int64		queued;

	if (read_time(map, BRAZE_CALL_TIMESTAMP, "timestamp", &original))
		return original;

	has_original = read_time(map, BRAZE_CALL_ORIGINAL_TIMESTAMP, "originalTimestamp", &original);
	has_received = read_time(map, BRAZE_CALL_RECEIVED_AT, "receivedAt", &received);
	has_sent = read_time(map, BRAZE_CALL_SENT_AT, "sentAt", &sent);

	/*
	 * the sender's clock may be wrong, the time between two of its readings
	 * is not
	 */
	if (has_original && has_received && has_sent)
	{
		corrected = received - (sent - original);
		if (braze_time_in_range(corrected))
			return corrected;
		braze_mapping_note(map, "The call's sentAt was not used: it is too far from its originalTimestamp.");
	}

	/*
	 * Of one clock alone it is not known whether it is right.  The sender's
	 * is closest to what happened; the others are later by the time that the
	 * call was under way.
	 */
	if (has_original)
		return original;
	if (has_received)
		return received;
	if (has_sent)
		return sent;

	/* a plain INSERT may have given it any time, even an infinite one */
	queued = unix_milliseconds(map->queued_at);
	return braze_time_in_range(queued) ? queued : unix_milliseconds(map->now);
}

int64
braze_call_time(BrazeMap *map)
{
	if (!map->have_time)
	{
		map->time = find_time(map);
		map->have_time = true;
	}
	return map->time;
}

bool
braze_call_time_is_too_old(BrazeMap *map)
{
	int			age = map->settings->max_attribute_age;

	return age > 0 &&
		braze_call_time(map) < unix_milliseconds(map->now) - age * INT64CONST(1000);
}
