/*-------------------------------------------------------------------------
 *
 * call_group.c
 *	  A group call: one attributes object.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/uuid.h"
#include "map/traits.h"

#define ATTRIBUTE_PREFIX	"ab_segment_group_"

/* some libraries write the groupId among the traits only */
static const JsonbValue *
find_group_id(const BrazeMap *map, JsonbValue *buffer)
{
	const JsonbValue *own = &map->call.fields[BRAZE_CALL_GROUP_ID];

	if (own->type != jbvNull)
		return own;
	if (map->call.traits != NULL && braze_lookup(map->call.traits, "groupId", buffer))
		return buffer;
	return own;
}

/*
 * Is the call about a subscription group?  Then it never becomes a membership,
 * also where its state (NULL) cannot be read: that could be an opt-out.
 */
static bool
is_subscription(BrazeMap *map, BrazeString group, char *uuid, const char **state)
{
	if (map->settings->group_calls != BRAZE_GROUP_SUBSCRIPTION ||
		map->call.traits == NULL ||
		!braze_subscription_group_state(map->call.traits, state))
		return false;
	if (braze_uuid_read(braze_trim(group), uuid))
		return true;
	braze_mapping_note(map, "The group call was not taken for a subscription group: that needs a groupId that is the group's UUID.");
	return false;
}

/* the group's traits describe the group; a profile is the user's */
static void
note_traits(BrazeMap *map, bool subscription)
{
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;
	int			count = 0;

	if (map->call.traits == NULL)
		return;
	braze_walk_object(&walk, map->call.traits);
	while (braze_walk_pair(&walk, &key, &value))
	{
		if (!braze_string_is(key, "groupId") &&
			!(subscription && braze_subscription_is_key(key)))
			count++;
	}
	if (count > 0)
		braze_mapping_note(map, "The traits of the group were left out: a profile at Braze has only the user's own; send them with an identify call if they belong there.");
}

void
braze_call_group_map(BrazeMap *map)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_group_id(map, &buffer);
	bool		subscription;
	const char *state = NULL;
	char		uuid[BRAZE_UUID_LENGTH];
	BrazeString group;

	if (value->type == jbvNull)
	{
		braze_mapping_note_reject(map, "The group call has no groupId.");
		return;
	}
	if (value->type != jbvString && value->type != jbvNumeric)
	{
		braze_mapping_note_reject(map, "The group call's groupId is neither a string nor a number.");
		return;
	}

	/*
	 * A group whose name does not fit is rejected and not cut: the cut name
	 * could be that of another group.
	 */
	if (!braze_scalar_text(value, &group) ||
		braze_longer_than(group, BRAZE_MAX_NAME - strlen(ATTRIBUTE_PREFIX)))
	{
		braze_mapping_note_reject(map, "The group call's groupId is longer than %d characters: the attribute's name would be too long for Braze.",
								  (int) (BRAZE_MAX_NAME - strlen(ATTRIBUTE_PREFIX)));
		return;
	}
	if (braze_trim(group).length == 0)
	{
		braze_mapping_note_reject(map, "The group call's groupId is empty.");
		return;
	}

	/*
	 * The group is judged before the user: a groupId that is wrong is so for
	 * every user, and a call of an anonymous visitor is only skipped.
	 */
	if (!braze_user_identifier_map(map))
		return;

	subscription = is_subscription(map, group, uuid, &state);
	if (subscription && state == NULL)
	{
		braze_mapping_note_reject(map, "The group call's subscription state cannot be read; it must be subscribed or unsubscribed.");
		return;
	}
	braze_object_writer_begin(map, BRAZE_ATTRIBUTES);
	if (subscription)
	{
		braze_text_literal(&map->text, ",\"subscription_groups\":[{\"subscription_group_id\":");
		braze_json_write_string(&map->text, uuid, sizeof(uuid));
		braze_text_literal(&map->text, ",\"subscription_state\":");
		braze_json_write_string(&map->text, state, strlen(state));
		braze_text_literal(&map->text, "}]");
	}
	else
	{
		StringInfoData name;

		/*
		 * The id is part of the name as it was written.  White space was
		 * trimmed above because a UUID has none.
		 */
		initStringInfo(&name);
		appendStringInfoString(&name, ATTRIBUTE_PREFIX);
		appendBinaryStringInfo(&name, group.data, group.length);
		braze_object_writer_key(map, name.data, name.len);
		braze_text_literal(&map->text, "true");
	}
	note_traits(map, subscription);
	braze_object_writer_end(map);
}
