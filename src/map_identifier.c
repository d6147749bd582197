/*-------------------------------------------------------------------------
 *
 * map_identifier.c
 *	  Which of the call's ids names the user at Braze.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map_internal.h"

bool
braze_list_has(const BrazeNameList *list, BrazeString text)
{
	int			low = 0;
	int			high = list->count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		const char *name = list->names[middle];
		int			order = strncmp(text.data, name, text.length);

		/* text is not terminated: a longer name comes after it */
		if (order == 0 && name[text.length] == '\0')
			return true;
		if (order <= 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return false;
}

bool
braze_id_text(BrazeMap *map, const char *what, const JsonbValue *value, int max,
			  BrazeString *text)
{
	if (value->type == jbvNull)
		return false;
	if (value->type != jbvString && value->type != jbvNumeric)
	{
		braze_note(map, "The %s was not used: it is neither a string nor a number.", what);
		return false;
	}
	if (!braze_scalar_text(value, text) || text->length > max)
	{
		braze_note(map, "The %s was not used: it is longer than the %d bytes that Braze takes.",
				   what, max);
		return false;
	}
	if (braze_trim(*text).length == 0)
	{
		braze_note(map, "The %s was not used: it is empty.", what);
		return false;
	}
	if (braze_list_has(&map->settings->ignored_ids, *text))
	{
		braze_note(map, "The %s was not used: it is one of the destination's ignored_ids.", what);
		return false;
	}
	return true;
}

static bool
resolve_braze_id(BrazeMap *map, BrazeIdentifier *identifier)
{
	const BrazeCallIntegration *integration = &map->call.integration;
	JsonbValue	value;

	for (int i = 0; i < integration->nobjects; i++)
	{
		if (braze_lookup(integration->objects[i], "braze_id", &value) &&
			braze_id_text(map, "braze_id of the integrations", &value,
						  BRAZE_MAX_EXTERNAL_ID, &identifier->value))
			return true;
	}
	return false;
}

static bool
resolve_user_alias(BrazeMap *map, BrazeIdentifier *identifier)
{
	const BrazeCallIntegration *integration = &map->call.integration;
	JsonbValue	alias;
	JsonbValue	name;
	JsonbValue	label;

	for (int i = 0; i < integration->nobjects; i++)
	{
		if (!braze_lookup(integration->objects[i], "user_alias", &alias) ||
			alias.type == jbvNull)
			continue;
		if (!braze_is_object(&alias) ||
			!braze_lookup(alias.val.binary.data, "alias_name", &name) ||
			!braze_lookup(alias.val.binary.data, "alias_label", &label) ||
			name.type == jbvNull || label.type == jbvNull)
		{
			braze_note(map, "The user_alias of the integrations was not used: it must have an alias_name and an alias_label.");
			continue;
		}
		if (braze_id_text(map, "alias_name of the integrations", &name,
						  BRAZE_MAX_ALIAS, &identifier->value) &&
			braze_id_text(map, "alias_label of the integrations", &label,
						  BRAZE_MAX_ALIAS, &identifier->label))
			return true;
	}
	identifier->label.data = NULL;
	return false;
}

/* email and phone stand among the traits, wherever a call keeps them */
static bool
resolve_address(BrazeMap *map, BrazeIdentifier *identifier)
{
	bool		email = identifier->source == BRAZE_ID_EMAIL;
	const char *key = email ? "email" : "phone";
	JsonbContainer *objects[3] = {map->call.traits, NULL, map->call.properties};
	JsonbValue	value;

	if (braze_call_context(&map->call, "traits", &value) && braze_is_object(&value))
		objects[1] = value.val.binary.data;

	for (int i = 0; i < lengthof(objects); i++)
	{
		if (objects[i] == NULL || !braze_lookup(objects[i], key, &value) ||
			!braze_id_text(map, key, &value, BRAZE_MAX_EXTERNAL_ID, &identifier->value))
			continue;
		identifier->value = braze_trim(identifier->value);
		if (!email || braze_is_email(identifier->value))
			return true;
		braze_note(map, "The email was not used to identify the user: it is no valid address.");
	}
	return false;
}

bool
braze_resolve(BrazeMap *map, BrazeIdSource source, BrazeIdentifier *identifier)
{
	const BrazeCall *call = &map->call;

	identifier->source = source;
	identifier->label.data = NULL;
	identifier->label.length = 0;

	switch (source)
	{
		case BRAZE_ID_USER_ID:
			return braze_id_text(map, "userId", &call->fields[BRAZE_CALL_USER_ID],
								 BRAZE_MAX_EXTERNAL_ID, &identifier->value);
		case BRAZE_ID_BRAZE_ID:
			return resolve_braze_id(map, identifier);
		case BRAZE_ID_USER_ALIAS:
			return resolve_user_alias(map, identifier);
		case BRAZE_ID_ANONYMOUS_ID:
			if (!braze_id_text(map, "anonymousId", &call->fields[BRAZE_CALL_ANONYMOUS_ID],
							   BRAZE_MAX_ALIAS, &identifier->value))
				return false;
			identifier->label.data = map->settings->anonymous_alias_label;
			identifier->label.length = strlen(identifier->label.data);
			return true;
		case BRAZE_ID_EMAIL:
		case BRAZE_ID_PHONE:
			return resolve_address(map, identifier);
	}
	return false;
}

void
braze_write_identifier(BrazeMap *map, const BrazeIdentifier *identifier)
{
	BrazeText  *text = &map->text;

	switch (identifier->source)
	{
		case BRAZE_ID_USER_ID:
			braze_text_literal(text, "\"external_id\":");
			break;
		case BRAZE_ID_BRAZE_ID:
			braze_text_literal(text, "\"braze_id\":");
			break;
		case BRAZE_ID_EMAIL:
			braze_text_literal(text, "\"email\":");
			break;
		case BRAZE_ID_PHONE:
			braze_text_literal(text, "\"phone\":");
			break;
		case BRAZE_ID_USER_ALIAS:
		case BRAZE_ID_ANONYMOUS_ID:
			braze_text_literal(text, "\"user_alias\":{\"alias_name\":");
			braze_text_string(text, identifier->value.data, identifier->value.length);
			braze_text_literal(text, ",\"alias_label\":");
			braze_text_string(text, identifier->label.data, identifier->label.length);
			braze_text_char(text, '}');
			return;
	}
	braze_text_string(text, identifier->value.data, identifier->value.length);
}

void
braze_add_user(BrazeMap *map, const BrazeIdentifier *identifier)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeSpan  *span = &mapped->users[mapped->nusers].json;

	Assert(mapped->nusers < BRAZE_USERS_PER_CALL);
	span->offset = braze_text_mark(&map->text);
	braze_write_identifier(map, identifier);
	span->length = braze_text_mark(&map->text) - span->offset;
	mapped->nusers++;
}

static bool
resolves_anonymous(const BrazeSettings *settings)
{
	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (settings->identifiers[i] == BRAZE_ID_ANONYMOUS_ID)
			return true;
	}
	return false;
}

/*
 * A call that knows the visitor by both ids is about both: the anonymous one
 * may have objects of its own under way, which must arrive first.
 */
static void
add_second_user(BrazeMap *map)
{
	BrazeIdSource second;
	BrazeIdentifier identifier;

	if (map->call.fields[BRAZE_CALL_USER_ID].type == jbvNull ||
		map->call.fields[BRAZE_CALL_ANONYMOUS_ID].type == jbvNull)
		return;
	if (map->identifier.source == BRAZE_ID_USER_ID)
		second = BRAZE_ID_ANONYMOUS_ID;
	else if (map->identifier.source == BRAZE_ID_ANONYMOUS_ID)
		second = BRAZE_ID_USER_ID;
	else
		return;
	if (resolves_anonymous(map->settings) && braze_resolve(map, second, &identifier))
		braze_add_user(map, &identifier);
}

bool
braze_map_identifier(BrazeMap *map)
{
	const BrazeSettings *settings = map->settings;

	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (braze_resolve(map, settings->identifiers[i], &map->identifier))
		{
			braze_add_user(map, &map->identifier);
			add_second_user(map);
			return true;
		}
	}

	if (map->call.fields[BRAZE_CALL_ANONYMOUS_ID].type == jbvNull)
		braze_reject(map, "The call has no usable identifier; give it a userId.");
	else if (resolves_anonymous(map->settings))
		braze_skip(map, "The call was skipped: it is of an anonymous visitor whose anonymousId is not usable.");
	else
		braze_skip(map, "The call was skipped: it is of an anonymous visitor; add anonymous_id to the destination's identifiers to send such calls.");
	return false;
}
