/*-------------------------------------------------------------------------
 *
 * call_alias.c
 *	  Alias and delete calls: who is who, and who is no more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/map_internal.h"

void
braze_call_alias_map(BrazeMap *map)
{
	BrazeSegmentCall *call = &map->call;
	bool		identify = map->settings->alias_calls == BRAZE_ALIAS_IDENTIFY;
	BrazeIdentifier user;
	BrazeIdentifier previous;

	if (map->settings->alias_calls == BRAZE_ALIAS_SKIP)
	{
		braze_mapping_note_skip(map, "The alias call was skipped: the destination's alias_calls is skip; set it to merge or identify to send such calls.");
		return;
	}

	if (!braze_user_identifier_resolve(map, BRAZE_ID_USER_ID, &user))
	{
		braze_mapping_note_reject(map, "The alias call has no usable userId.");
		return;
	}

	/*
	 * To Segment an id that a user had before is any id.  Braze tells them
	 * apart: a merge is of two profiles that have an external_id each, while
	 * the alias of a visitor is given one.
	 */
	previous.source = identify ? BRAZE_ID_ANONYMOUS_ID : BRAZE_ID_USER_ID;
	previous.label.data = identify ? map->settings->anonymous_alias_label : NULL;
	previous.label.length = identify ? strlen(previous.label.data) : 0;
	if (!braze_user_identifier_text(map, "previousId", &call->fields[BRAZE_CALL_PREVIOUS_ID],
									identify ? BRAZE_LIMIT_ALIAS : BRAZE_LIMIT_EXTERNAL_ID, &previous.value))
	{
		braze_mapping_note_reject(map, "The alias call has no usable previousId.");
		return;
	}
	if (user.value.length == previous.value.length &&
		memcmp(user.value.data, previous.value.data, user.value.length) == 0)
	{
		braze_mapping_note_skip(map, "The alias call was skipped: its userId and previousId are the same.");
		return;
	}

	/*
	 * The call is about both: what was queued for either before has to arrive
	 * first, or it would make a second profile after the two have become one.
	 */
	braze_user_identifier_add(map, &user);
	braze_user_identifier_add(map, &previous);

	braze_object_writer_begin_plain(map, identify ? BRAZE_ALIASES_TO_IDENTIFY : BRAZE_MERGE_UPDATES);
	if (identify)
	{
		braze_text_char(&map->text, '{');
		braze_user_identifier_write(map, &user);
		braze_text_char(&map->text, ',');
		braze_user_identifier_write(map, &previous);
		braze_text_char(&map->text, '}');
	}
	else
	{
		braze_text_literal(&map->text, "{\"identifier_to_merge\":{");
		braze_user_identifier_write(map, &previous);
		braze_text_literal(&map->text, "},\"identifier_to_keep\":{");
		braze_user_identifier_write(map, &user);
		braze_text_literal(&map->text, "}}");
	}
	braze_object_writer_end_plain(map);
}

void
braze_call_alias_map_delete_user(BrazeMap *map)
{
	BrazeText  *text = &map->text;
	BrazeString value;

	/* the traits of such a call are the user's, as with identify */
	map->user_traits = map->call.traits;
	if (!braze_user_identifier_map(map))
		return;
	value = map->identifier.value;

	switch (map->identifier.source)
	{
		case BRAZE_ID_USER_ID:
			braze_object_writer_begin_plain(map, BRAZE_DELETE_EXTERNAL_IDS);
			braze_json_write_string(text, value.data, value.length);
			break;
		case BRAZE_ID_BRAZE_ID:
			braze_object_writer_begin_plain(map, BRAZE_DELETE_BRAZE_IDS);
			braze_json_write_string(text, value.data, value.length);
			break;
		case BRAZE_ID_USER_ALIAS:
		case BRAZE_ID_ANONYMOUS_ID:
			braze_object_writer_begin_plain(map, BRAZE_DELETE_USER_ALIASES);
			braze_text_literal(text, "{\"alias_name\":");
			braze_json_write_string(text, value.data, value.length);
			braze_text_literal(text, ",\"alias_label\":");
			braze_json_write_string(text, map->identifier.label.data, map->identifier.label.length);
			braze_text_char(text, '}');
			break;
		case BRAZE_ID_EMAIL:
		case BRAZE_ID_PHONE:
			braze_object_writer_begin_plain(map, map->identifier.source == BRAZE_ID_EMAIL ?
											BRAZE_DELETE_EMAIL_ADDRESSES : BRAZE_DELETE_PHONE_NUMBERS);
			braze_text_char(text, '{');
			braze_user_identifier_write(map, &map->identifier);

			/*
			 * Several profiles may have the address: Braze asks which one is
			 * meant.
			 */
			braze_text_literal(text, BRAZE_PRIORITIZATION);
			braze_text_char(text, '}');
			break;
	}
	braze_object_writer_end_plain(map);
}

void
braze_call_alias_map_delete(BrazeMap *map)
{
	if (map->settings->delete_calls == BRAZE_DELETE_SKIP)
	{
		braze_mapping_note_skip(map, "The delete call was skipped: the destination's delete_calls is skip; set it to delete to send such calls, or use braze_delete_user.");
		return;
	}
	braze_call_alias_map_delete_user(map);
}
