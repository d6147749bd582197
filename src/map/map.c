/*-------------------------------------------------------------------------
 *
 * map.c
 *	  What a Segment call becomes at Braze: the entry, and objects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "json/time.h"
#include "map/call_type.h"
#include "map/map_internal.h"

/* kept from call to call; a buffer that one large call grew is not */
#define TEXT_SIZE			8192
#define TEXT_KEPT			(1024 * 1024)

typedef void (*MapCall) (BrazeMap *map);

static const MapCall map_functions[BRAZE_CALL_TYPES] = {
	[BRAZE_TYPE_TRACK] = braze_call_track_map,
	[BRAZE_TYPE_IDENTIFY] = braze_call_identify_map,
	[BRAZE_TYPE_PAGE] = braze_call_page_map,
	[BRAZE_TYPE_SCREEN] = braze_call_page_map_screen,
	[BRAZE_TYPE_GROUP] = braze_call_group_map,
	[BRAZE_TYPE_ALIAS] = braze_call_alias_map,
	[BRAZE_TYPE_DELETE] = braze_call_alias_map_delete,
};

BrazeMapped *
braze_mapped_create(void)
{
	BrazeMap   *map = palloc0(sizeof(BrazeMap));
	BrazeMapped *mapped = &map->mapped;

	mapped->context = CurrentMemoryContext;
	mapped->maxobjects = 8;
	mapped->objects = palloc(sizeof(BrazeObject) * mapped->maxobjects);
	mapped->maxnotes = BRAZE_MAX_NOTES + 1;
	mapped->notes = palloc(sizeof(BrazeNote) * mapped->maxnotes);
	braze_properties_init(&map->own);
	braze_properties_init(&map->shared);
	initStringInfo(&mapped->text);
	enlargeStringInfo(&mapped->text, TEXT_SIZE);
	initStringInfo(&map->notes);
	map->text.out = &mapped->text;
	return mapped;
}

static void
reset(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;

	if (unlikely(mapped->text.maxlen > TEXT_KEPT))
	{
		pfree(mapped->text.data);
		mapped->text.data = MemoryContextAlloc(mapped->context, TEXT_SIZE);
		mapped->text.maxlen = TEXT_SIZE;
	}
	resetStringInfo(&mapped->text);
	mapped->outcome = BRAZE_SEND;
	mapped->nobjects = 0;
	mapped->nusers = 0;
	map->text.limit = BRAZE_MAX_CALL_TEXT;
	map->text.full = false;
	map->have_time = false;
	map->user_traits = NULL;
	map->is_identify = false;
	map->padded.count = 0;
	map->shared_of = NULL;
	braze_mapping_note_reset(map);
}

/* NULL: its type is not known */
static MapCall
find_map_function(const BrazeMap *map, BrazeCallKind kind)
{
	const JsonbValue *name = &map->call.fields[BRAZE_CALL_TYPE];
	int			type;

	/* asked for by name in SQL, so it does not obey delete_calls */
	if (kind == BRAZE_DELETE_USER_CALL)
		return braze_call_alias_map_delete_user;
	if (name->type != jbvString)
		return NULL;
	type = braze_call_type_find(name->val.string.val, name->val.string.len);
	return type < 0 ? NULL : map_functions[type];
}

/* an empty list is what PHP makes of an empty object */
static void
note_no_object(BrazeMap *map, BrazeCallField field, const char *name)
{
	const JsonbValue *value = &map->call.fields[field];

	if (value->type == jbvNull || braze_is_object(value) ||
		(braze_is_array(value) && JsonContainerSize(value->val.binary.data) == 0))
		return;
	if (braze_is_json_text(value))
		braze_mapping_note(map, "The call's %s were left out: they are a text that holds JSON; send the object itself.",
				   name);
	else
		braze_mapping_note(map, "The call's %s were left out: they are no object.", name);
}

static void
map_call(BrazeMap *map, Jsonb *jsonb, BrazeCallKind kind)
{
	const BrazeCall *call = &map->call;
	MapCall		map_function;

	if (!JB_ROOT_IS_OBJECT(jsonb))
	{
		braze_mapping_note_reject(map, "The call is no JSON object; a call has at least a type and a userId.");
		return;
	}
	braze_segment_call_read(&map->call, &jsonb->root);

	map_function = find_map_function(map, kind);
	if (map_function == NULL)
	{
		if (call->fields[BRAZE_CALL_TYPE].type == jbvString)
		{
			BrazeString name = {call->fields[BRAZE_CALL_TYPE].val.string.val,
			call->fields[BRAZE_CALL_TYPE].val.string.len};

			braze_mapping_note_reject(map, "The call's type %s is unknown; it must be track, identify, page, screen, group, alias or delete.",
						 braze_mapping_note_quote(name));
		}
		else
			braze_mapping_note_reject(map, "The call has no type; it must be track, identify, page, screen, group, alias or delete.");
		return;
	}

	if (call->integration.refused)
	{
		braze_mapping_note_skip(map, "The call was skipped: its integrations switch Braze off.");
		return;
	}
	if (call->integration.all_refused && !call->integration.asked_for)
	{
		braze_mapping_note_skip(map, "The call was skipped: its integrations switch all destinations off, and do not name Braze.");
		return;
	}

	if (braze_segment_call_is_bundled(call))
	{
		braze_mapping_note_skip(map, "The call was skipped: Braze's SDK in the browser has sent it, as _metadata.bundled says.");
		return;
	}

	note_no_object(map, BRAZE_CALL_TRAITS, "traits");
	note_no_object(map, BRAZE_CALL_PROPERTIES, "properties");
	map_function(map);

	/* what did not fit into the call's total was left out with a note */
	if (map->mapped.outcome == BRAZE_SEND && map->mapped.nobjects == 0)
		braze_mapping_note_reject(map, "Nothing of the call is left to be sent.");
}

void
braze_map_call(Jsonb *call, BrazeCallKind kind, const BrazeSettings *settings,
			   TimestampTz queued_at, TimestampTz now, BrazeMapped *mapped)
{
	BrazeMap   *map = (BrazeMap *) mapped;

	map->settings = settings;
	map->queued_at = queued_at;
	map->now = now;
	reset(map);
	map_call(map, call, kind);
	braze_mapping_note_finish(map);
}

static void
record_object(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeObject *object;

	if (mapped->nobjects == mapped->maxobjects)
	{
		mapped->maxobjects *= 2;
		mapped->objects = repalloc_huge(mapped->objects,
										sizeof(BrazeObject) * mapped->maxobjects);
	}
	object = &mapped->objects[mapped->nobjects++];
	object->kind = map->kind;
	object->json.offset = map->object_start;
	object->json.length = mapped->text.len - map->object_start;
}

void
braze_plain_object_begin(BrazeMap *map, BrazeKind kind)
{
	map->kind = kind;
	map->object_start = braze_text_mark(&map->text);
	map->note_object = map->mapped.nobjects;
	map->limit_before = braze_text_narrow(&map->text, BRAZE_MAX_OBJECT);
}

/* the notes on an object that is not sent are on the call */
void
braze_object_cancel(BrazeMap *map)
{
	map->text.limit = map->limit_before;
	braze_text_rewind(&map->text, map->object_start);
	braze_mapping_note_to_call(map);
}

bool
braze_plain_object_end(BrazeMap *map)
{
	if (map->text.full)
	{
		braze_object_cancel(map);
		braze_mapping_note(map, "What follows in the call was left out: it is too large for Braze; split it.");
		return false;
	}
	map->text.limit = map->limit_before;
	record_object(map);
	map->note_object = 0;
	return true;
}

void
braze_object_begin(BrazeMap *map, BrazeKind kind)
{
	BrazeSpan	user = map->mapped.users[0].json;
	char	   *p;

	braze_plain_object_begin(map, kind);
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
braze_object_end(BrazeMap *map)
{
	if (!map->text.full)
		braze_text_close(&map->text, '}');
	return braze_plain_object_end(map);
}

void
braze_write_app_id(BrazeMap *map)
{
	const BrazeCallIntegration *integration = &map->call.integration;
	BrazeString app_id = {NULL, 0};

	for (int i = 0; i < integration->nobjects && app_id.data == NULL; i++)
	{
		JsonbValue	value;
		BrazeString text;

		if ((braze_lookup(integration->objects[i], "app_id", &value) ||
			 braze_lookup(integration->objects[i], "appId", &value)) &&
			braze_user_identifier_text(map, "app_id of the integrations", &value,
						  BRAZE_MAX_EXTERNAL_ID, &text))
			app_id = braze_trim(text);
	}
	if (app_id.data == NULL && map->settings->app_identifier != NULL)
	{
		app_id.data = map->settings->app_identifier;
		app_id.length = strlen(app_id.data);
	}
	if (app_id.data != NULL)
	{
		braze_text_literal(&map->text, ",\"app_id\":");
		braze_json_write_string(&map->text, app_id.data, app_id.length);
	}
}

/* a time of the call; false where there is none, with a note where it is bad */
static bool
read_time(BrazeMap *map, BrazeCallField field, const char *name, int64 *ms)
{
	const JsonbValue *value = &map->call.fields[field];

	if (value->type == jbvNull)
		return false;
	if (braze_time(value, ms))
		return true;
	braze_mapping_note(map, "The call's %s was passed over: it is not a time from 1970-01-02 to 2100-12-31; write it as YYYY-MM-DDTHH:MM:SSZ.",
			   name);
	return false;
}

/* since 1970 */
static int64
milliseconds(TimestampTz time)
{
	return time / 1000 + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000);
}

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

	/* the sender's clock may be wrong, the time between two of its readings is not */
	if (has_original && has_received && has_sent)
	{
		corrected = received - (sent - original);
		if (braze_time_in_range(corrected))
			return corrected;
		braze_mapping_note(map, "The call's sentAt was passed over: it is too far from its originalTimestamp.");
	}
	if (has_original)
		return original;
	if (has_received)
		return received;
	if (has_sent)
		return sent;

	/* a plain INSERT may have given it any time, even an infinite one */
	queued = milliseconds(map->queued_at);
	return braze_time_in_range(queued) ? queued : milliseconds(map->now);
}

int64
braze_map_time(BrazeMap *map)
{
	if (!map->have_time)
	{
		map->time = find_time(map);
		map->have_time = true;
	}
	return map->time;
}

bool
braze_map_is_too_old(BrazeMap *map)
{
	int			age = map->settings->max_attribute_age;

	return age > 0 &&
		braze_map_time(map) < milliseconds(map->now) - age * INT64CONST(1000);
}

void
braze_write_time(BrazeMap *map)
{
	char		time[BRAZE_TIME_LENGTH];

	braze_time_print(braze_map_time(map), time);
	braze_text_literal(&map->text, ",\"time\":\"");
	braze_text_bytes(&map->text, time, BRAZE_TIME_LENGTH);
	braze_text_char(&map->text, '"');
}

bool
braze_mapped_has(const BrazeMapped *mapped, const int *numbers, int nnumbers)
{
	for (int i = 0; i < nnumbers; i++)
	{
		if (numbers[i] < 0 || numbers[i] >= mapped->nobjects)
			return false;
	}
	return true;
}
