/*-------------------------------------------------------------------------
 *
 * map_group.c
 *	  A group call: one attributes object.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map_internal.h"

#define ATTRIBUTE_PREFIX	"ab_segment_group_"

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

/* "subscribed", "unsubscribed", or NULL */
static const char *
find_subscription(BrazeMap *map, BrazeString group)
{
	JsonbValue	value;
	BrazeString text;

	if (map->settings->group_calls != BRAZE_GROUP_SUBSCRIPTION)
		return NULL;
	if (map->call.traits == NULL ||
		!braze_lookup(map->call.traits, "subscriptionState", &value) ||
		value.type == jbvNull)
		return NULL;
	if (value.type == jbvString && braze_is_uuid(group))
	{
		text.data = value.val.string.val;
		text.length = value.val.string.len;
		if (braze_string_is(text, "subscribed"))
			return "subscribed";
		if (braze_string_is(text, "unsubscribed"))
			return "unsubscribed";
	}
	braze_note(map, "The group call was not taken for a subscription group: that needs a groupId that is the group's UUID, and a subscriptionState of \"subscribed\" or \"unsubscribed\".");
	return NULL;
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
			!(subscription && braze_string_is(key, "subscriptionState")))
			count++;
	}
	if (count > 0)
		braze_note(map, "The traits of the group were left out: a profile at Braze has only the user's own; send them with an identify call if they belong there.");
}

void
braze_map_group(BrazeMap *map)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_group_id(map, &buffer);
	const char *state;
	BrazeString group;

	if (value->type == jbvNull)
	{
		braze_reject(map, "The group call has no groupId.");
		return;
	}
	if (value->type != jbvString && value->type != jbvNumeric)
	{
		braze_reject(map, "The group call's groupId is neither a string nor a number.");
		return;
	}
	if (!braze_scalar_text(value, &group) ||
		braze_longer_than(group, BRAZE_MAX_NAME - strlen(ATTRIBUTE_PREFIX)))
	{
		braze_reject(map, "The group call's groupId is longer than %d characters: the attribute's name would be too long for Braze.",
					 (int) (BRAZE_MAX_NAME - strlen(ATTRIBUTE_PREFIX)));
		return;
	}
	if (braze_trim(group).length == 0)
	{
		braze_reject(map, "The group call's groupId is empty.");
		return;
	}
	if (!braze_map_identifier(map))
		return;

	state = find_subscription(map, group);
	braze_object_begin(map, BRAZE_ATTRIBUTES);
	if (state != NULL)
	{
		braze_text_literal(&map->text, ",\"subscription_groups\":[{\"subscription_group_id\":");
		braze_text_string(&map->text, group.data, group.length);
		braze_text_literal(&map->text, ",\"subscription_state\":");
		braze_text_string(&map->text, state, strlen(state));
		braze_text_literal(&map->text, "}]");
	}
	else
	{
		StringInfoData name;

		initStringInfo(&name);
		appendStringInfoString(&name, ATTRIBUTE_PREFIX);
		appendBinaryStringInfo(&name, group.data, group.length);
		braze_write_key(map, name.data, name.len);
		braze_text_literal(&map->text, "true");
	}
	note_traits(map, state != NULL);
	braze_object_end(map);
}
