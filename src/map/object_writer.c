/*-------------------------------------------------------------------------
 *
 * object_writer.c
 *	  An object of Braze's is written: its beginning, its end, and what all
 *	  have.
 *
 *
 * An object that does not fit is taken back as a whole; its notes are then on
 * the call.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/grow.h"
#include "json/time.h"
#include "map/map_internal.h"

static void
record_object(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeObject *object;

	if (mapped->nobjects == mapped->maxobjects)
		mapped->objects = braze_grow(mapped->objects, &mapped->maxobjects, sizeof(BrazeObject));
	object = &mapped->objects[mapped->nobjects++];
	object->kind = map->kind;
	object->json.offset = map->object_start;
	object->json.length = mapped->text.len - map->object_start;
	object->name = map->object_name;
}

void
braze_object_writer_begin_plain(BrazeMap *map, BrazeKind kind)
{
	map->kind = kind;
	map->object_start = braze_text_mark(&map->text);
	map->object_name.offset = map->object_name.length = 0;
	map->note_object = map->mapped.nobjects;

	/* an object that is larger than a request could never be sent */
	map->limit_before = braze_text_narrow(&map->text, BRAZE_MAX_OBJECT);
}

/* the notes on an object that is not sent are on the call */
void
braze_object_writer_cancel(BrazeMap *map)
{
	map->text.limit = map->limit_before;
	braze_text_rewind(&map->text, map->object_start);
	braze_mapping_note_to_call(map);
}

bool
braze_object_writer_end_plain(BrazeMap *map)
{
	braze_text_widen(&map->text, map->limit_before, map->object_start, BRAZE_MAX_OBJECT);

	/*
	 * Some part did not fit.  An object of which the end is missing is no
	 * JSON, so all of it goes; the caller is told, since what follows is not
	 * going to fit either.
	 */
	if (map->text.full)
	{
		braze_object_writer_cancel(map);
		braze_mapping_note(map, "What follows in the call was left out: it is too large for Braze; split it.");
		return false;
	}
	record_object(map);
	map->note_object = 0;
	return true;
}

void
braze_object_writer_begin(BrazeMap *map, BrazeKind kind)
{
	BrazeSpan	user = map->mapped.users[0].json;
	char	   *p;

	/*
	 * The identifier is copied from where the text of the call's first user
	 * was written, so that it is escaped once for a thousand purchases.
	 */
	braze_object_writer_begin_plain(map, kind);
	p = braze_text_reserve(&map->text, user.length + 1);
	if (p != NULL)
	{
		/* after braze_text_reserve, which may move the text */
		*p++ = '{';
		memcpy(p, map->mapped.text.data + user.offset, user.length);
		map->mapped.text.len += user.length + 1;
	}

	/* Braze would not create a profile for an alias else */
	if (map->settings->update_existing_only)
		braze_text_literal(&map->text, ",\"_update_existing_only\":true");
	else if (map->identifier.label.data != NULL)
		braze_text_literal(&map->text, ",\"_update_existing_only\":false");
}

bool
braze_object_writer_end(BrazeMap *map)
{
	if (!map->text.full)
		braze_text_close(&map->text, '}');
	return braze_object_writer_end_plain(map);
}

void
braze_object_writer_name(BrazeMap *map, const char *key, int length, BrazeString name)
{
	int			start;

	braze_text_bytes(&map->text, key, length);
	start = map->mapped.text.len;
	braze_json_write_string(&map->text, name.data, name.length);
	if (map->text.full)
		return;					/* the object will be taken back */
	map->object_name.offset = start + 1 - map->object_start;
	map->object_name.length = map->mapped.text.len - start - 2;
}

void
braze_object_writer_find_app_id(BrazeMap *map)
{
	const BrazeCallIntegration *integration = &map->call.integration;

	/*
	 * One workspace serves several apps, and the call may know which one it
	 * came from; the option is for those that do not.
	 */
	map->app_id.data = NULL;
	for (int i = 0; i < integration->nobjects && map->app_id.data == NULL; i++)
	{
		JsonbValue	value;
		BrazeString text;

		if ((braze_lookup(integration->objects[i], "app_id", &value) ||
			 braze_lookup(integration->objects[i], "appId", &value)) &&
			braze_user_identifier_text(map, "app_id of the integrations", &value,
									   BRAZE_LIMIT_EXTERNAL_ID, &text))
			map->app_id = braze_trim(text);
	}
	if (map->app_id.data == NULL && map->settings->app_identifier != NULL)
		map->app_id = braze_string(map->settings->app_identifier);
}

void
braze_object_writer_app_id(BrazeMap *map)
{
	if (map->app_id.data == NULL)
		return;
	braze_text_literal(&map->text, ",\"app_id\":");
	braze_json_write_string(&map->text, map->app_id.data, map->app_id.length);
}

void
braze_object_writer_time(BrazeMap *map)
{
	char		time[BRAZE_TIME_LENGTH];

	braze_time_print(braze_call_time(map), time);
	braze_text_literal(&map->text, ",\"time\":\"");
	braze_text_bytes(&map->text, time, BRAZE_TIME_LENGTH);
	braze_text_char(&map->text, '"');
}
