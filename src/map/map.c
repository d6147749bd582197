/*-------------------------------------------------------------------------
 *
 * map.c
 *	  What a Segment call becomes at Braze: the entry, and objects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
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
braze_map_create(void)
{
	BrazeMap   *map = palloc0(sizeof(BrazeMap));
	BrazeMapped *mapped = &map->mapped;

	mapped->context = CurrentMemoryContext;
	mapped->maxobjects = 8;
	mapped->objects = palloc(sizeof(BrazeObject) * mapped->maxobjects);
	mapped->maxnotes = BRAZE_MAX_CALL_NOTES + 1;
	mapped->notes = palloc(sizeof(BrazeNote) * mapped->maxnotes);
	braze_properties_init(&map->own);
	braze_properties_init(&map->shared);
	initStringInfo(&mapped->text);
	enlargeStringInfo(&mapped->text, TEXT_SIZE);
	initStringInfo(&map->notes);
	map->text.out = &mapped->text;
	map->text.foreign = map->own.text.foreign = map->shared.text.foreign =
		GetDatabaseEncoding() != PG_UTF8;
	return mapped;
}

static void
reset_map(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;

	if (unlikely(mapped->text.maxlen > TEXT_KEPT))
	{
		pfree(mapped->text.data);
		mapped->text.data = MemoryContextAlloc(mapped->context, TEXT_SIZE);
		mapped->text.maxlen = TEXT_SIZE;
	}
	resetStringInfo(&mapped->text);

	/*
	 * A call is sent unless something ends it: see braze_mapping_note_skip
	 * and braze_mapping_note_reject.
	 */
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
		braze_mapping_note(map, "The call's %s were left out: they are not an object.", name);
}

/* what keeps a call from being mapped, and then the mapping of its type */
static void
map_call(BrazeMap *map, Jsonb *jsonb, BrazeCallKind kind)
{
	const BrazeSegmentCall *call = &map->call;
	MapCall		map_function;

	if (!JB_ROOT_IS_OBJECT(jsonb))
	{
		braze_mapping_note_reject(map, "The call is not a JSON object; a call has at least a type and a userId.");
		return;
	}
	braze_segment_call_read(&map->call, &jsonb->root);

	/*
	 * A type that nobody knows is an error of the sender, wherever the call
	 * was to go, so it is judged before the integrations: they would hide it
	 * as a call that was skipped on purpose.
	 */
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

	/*
	 * All speaks for every destination, and what names Braze is the exception
	 * to it.
	 */
	if (call->integration.all_refused && !call->integration.asked_for)
	{
		braze_mapping_note_skip(map, "The call was skipped: its integrations switch all destinations off, and do not name Braze.");
		return;
	}

	if (braze_segment_call_is_bundled(call))
	{
		braze_mapping_note_skip(map, "The call was skipped: Braze's SDK in the browser or app has sent it, as _metadata.bundled says.");
		return;
	}

	/* only of a call that is mapped: about others one reason is enough */
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
	reset_map(map);
	map_call(map, call, kind);
	braze_mapping_note_finish(map);
}

int
braze_map_find_object(const BrazeMapped *mapped, int number)
{
	int			first = mapped->nobjects > 0 ? braze_map_number(mapped, 0) : 0;

	return number >= first && number - first < mapped->nobjects ? number - first : -1;
}

bool
braze_map_has_objects(const BrazeMapped *mapped, const int *numbers, int nnumbers)
{
	for (int i = 0; i < nnumbers; i++)
	{
		if (braze_map_find_object(mapped, numbers[i]) < 0)
			return false;
	}
	return true;
}
