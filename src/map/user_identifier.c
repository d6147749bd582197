/*-------------------------------------------------------------------------
 *
 * user_identifier.c
 *	  Which of the call's ids names the user at Braze.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "braze/email.h"
#include "json/utf8.h"
#include "map/map_internal.h"

bool
braze_user_identifier_list_has(const BrazeNameList *list, BrazeString text)
{
	int			low = 0;
	int			high = list->count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		const char *name = list->names[middle];
		int			order = 0;

		/* the first letters mostly differ */
		if (text.length > 0)
			order = (unsigned char) text.data[0] - (unsigned char) name[0];
		if (order == 0)
			order = strncmp(text.data, name, text.length);

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
braze_user_identifier_text(BrazeMap *map, const char *what, const JsonbValue *value, int max,
						   BrazeString *text)
{
	if (value->type == jbvNull)
		return false;
	if (value->type != jbvString && value->type != jbvNumeric)
	{
		braze_mapping_note(map, "The %s was not used: it is neither a string nor a number.", what);
		return false;
	}
	if (!braze_scalar_text(value, text) || !braze_utf8_fits(*text, 0, max))
	{
		braze_mapping_note(map, "The %s was not used: it is longer than the %d bytes that Braze takes.",
						   what, max);
		return false;
	}
	if (braze_trim(*text).length == 0)
	{
		braze_mapping_note(map, "The %s was not used: it is empty.", what);
		return false;
	}

	/*
	 * What programs write where they have no id.  Under it everybody would
	 * become one profile.
	 */
	if (braze_user_identifier_list_has(&map->settings->ignored_ids, *text))
	{
		braze_mapping_note(map, "The %s was not used: it is one of the destination's ignored_ids.", what);
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
			braze_user_identifier_text(map, "braze_id of the integrations", &value,
									   BRAZE_LIMIT_EXTERNAL_ID, &identifier->value))
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
			braze_mapping_note(map, "The user_alias of the integrations was not used: it must have an alias_name and an alias_label.");
			continue;
		}
		/* a further object of the integrations may have a good one */
		if (braze_user_identifier_text(map, "alias_name of the integrations", &name,
									   BRAZE_LIMIT_ALIAS, &identifier->value) &&
			braze_user_identifier_text(map, "alias_label of the integrations", &label,
									   BRAZE_LIMIT_ALIAS, &identifier->label))
			return true;
	}
	identifier->label.data = NULL;
	return false;
}

/* longer ones are not even converted */
#define MAX_EMAIL		1024

bool
braze_user_identifier_is_email(BrazeString string)
{
	return string.length <= MAX_EMAIL && braze_utf8_convert(&string) &&
		braze_email_is_valid(string.data, string.length);
}

/*
 * Email and phone stand among the user's own traits.  Those in the properties
 * of an event or the traits of a group may be anybody's.
 */
static bool
resolve_address(BrazeMap *map, BrazeIdentifier *identifier)
{
	bool		email = identifier->source == BRAZE_ID_EMAIL;
	const char *key = email ? "email" : "phone";
	JsonbContainer *objects[2] = {
		map->user_traits, braze_segment_call_context_traits(&map->call)
	};
	JsonbValue	value;

	for (int i = 0; i < lengthof(objects); i++)
	{
		/*
		 * The call's own traits come first: the context has what was known
		 * before.
		 */
		if (objects[i] == NULL || !braze_lookup(objects[i], key, &value) ||
			!braze_user_identifier_text(map, key, &value, BRAZE_LIMIT_EXTERNAL_ID, &identifier->value))
			continue;
		identifier->value = braze_trim(identifier->value);
		if (!email || braze_user_identifier_is_email(identifier->value))
			return true;
		braze_mapping_note(map, "The email was not used to identify the user: it is not a valid address.");
	}
	return false;
}

bool
braze_user_identifier_resolve(BrazeMap *map, BrazeIdSource source, BrazeIdentifier *identifier)
{
	const BrazeSegmentCall *call = &map->call;

	identifier->source = source;
	identifier->label.data = NULL;
	identifier->label.length = 0;

	switch (source)
	{
		case BRAZE_ID_USER_ID:
			return braze_user_identifier_text(map, "userId", &call->fields[BRAZE_CALL_USER_ID],
											  BRAZE_LIMIT_EXTERNAL_ID, &identifier->value);
		case BRAZE_ID_BRAZE_ID:
			return resolve_braze_id(map, identifier);
		case BRAZE_ID_USER_ALIAS:
			return resolve_user_alias(map, identifier);
		case BRAZE_ID_ANONYMOUS_ID:
			if (!braze_user_identifier_text(map, "anonymousId", &call->fields[BRAZE_CALL_ANONYMOUS_ID],
											BRAZE_LIMIT_ALIAS, &identifier->value))
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
braze_user_identifier_write(BrazeMap *map, const BrazeIdentifier *identifier)
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
			braze_json_write_string(text, identifier->value.data, identifier->value.length);
			braze_text_literal(text, ",\"alias_label\":");
			braze_json_write_string(text, identifier->label.data, identifier->label.length);
			braze_text_char(text, '}');
			return;
	}
	braze_json_write_string(text, identifier->value.data, identifier->value.length);
}

void
braze_user_identifier_add(BrazeMap *map, const BrazeIdentifier *identifier)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeSpan  *span = &mapped->users[mapped->nusers].json;

	Assert(mapped->nusers < BRAZE_USERS_PER_CALL);
	span->offset = braze_text_mark(&map->text);
	braze_user_identifier_write(map, identifier);
	span->length = braze_text_mark(&map->text) - span->offset;
	mapped->users[mapped->nusers].link = -1;
	mapped->nusers++;
}

static bool
is_among_identifiers(const BrazeSettings *settings, BrazeIdSource source)
{
	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (settings->identifiers[i] == source)
			return true;
	}
	return false;
}

/* the identity object that makes one of these the user with the external_id */
static int
link_of(BrazeIdSource source)
{
	switch (source)
	{
		case BRAZE_ID_ANONYMOUS_ID:
			return BRAZE_ALIASES_TO_IDENTIFY;
		case BRAZE_ID_EMAIL:
			return BRAZE_EMAILS_TO_IDENTIFY;
		case BRAZE_ID_PHONE:
			return BRAZE_PHONE_NUMBERS_TO_IDENTIFY;
		default:
			return -1;
	}
}

static void
add_further_user(BrazeMap *map, BrazeIdSource source, int link)
{
	BrazeIdentifier identifier;

	if (is_among_identifiers(map->settings, source) &&
		braze_user_identifier_resolve(map, source, &identifier))
	{
		braze_user_identifier_add(map, &identifier);
		map->mapped.users[map->mapped.nusers - 1].link = link;
	}
}

/*
 * A call that knows a person by several ids is about all of them: each may
 * have objects of its own under way, which must arrive first.
 */
static void
add_further_users(BrazeMap *map)
{
	static const BrazeIdSource sources[] = {
		BRAZE_ID_ANONYMOUS_ID, BRAZE_ID_EMAIL, BRAZE_ID_PHONE
	};

	if (map->identifier.source == BRAZE_ID_USER_ID)
	{
		for (int i = 0; i < lengthof(sources); i++)
		{
			/*
			 * what is paired is merged at Braze, and cannot be taken apart
			 * again
			 */
			if (sources[i] != BRAZE_ID_ANONYMOUS_ID && !map->is_identify)
				continue;
			/* one that is absent is not worth a note */
			if (sources[i] != BRAZE_ID_ANONYMOUS_ID ||
				map->call.fields[BRAZE_CALL_ANONYMOUS_ID].type != jbvNull)
				add_further_user(map, sources[i], link_of(sources[i]));
		}
	}

	/*
	 * The visitor comes first by the option identifiers.  Nothing is joined
	 * here, but the order between the two is kept.
	 */
	else if (map->identifier.source == BRAZE_ID_ANONYMOUS_ID &&
			 map->call.fields[BRAZE_CALL_USER_ID].type != jbvNull)
		add_further_user(map, BRAZE_ID_USER_ID, -1);
}

static bool
has_user_id(JsonbContainer *traits)
{
	JsonbValue	value;

	return traits != NULL &&
		((braze_lookup(traits, "userId", &value) && value.type != jbvNull) ||
		 (braze_lookup(traits, "user_id", &value) && value.type != jbvNull));
}

/* a userId that stands where nobody looks for it */
static void
note_misplaced_user_id(BrazeMap *map)
{
	if (map->call.fields[BRAZE_CALL_USER_ID].type != jbvNull)
		return;
	if (has_user_id(map->call.traits))
		braze_mapping_note(map, "The userId of the traits was not used: it belongs beside them, as the call's userId.");
	else if (has_user_id(braze_segment_call_context_traits(&map->call)))
		braze_mapping_note(map, "The userId of context.traits was not used: it belongs at the top, as the call's userId.");
}

bool
braze_user_identifier_map(BrazeMap *map)
{
	const BrazeSettings *settings = map->settings;

	/* before the search: it explains a rejection as well */
	note_misplaced_user_id(map);
	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (braze_user_identifier_resolve(map, settings->identifiers[i], &map->identifier))
		{
			braze_user_identifier_add(map, &map->identifier);
			add_further_users(map);
			return true;
		}
	}

	if (map->call.fields[BRAZE_CALL_ANONYMOUS_ID].type == jbvNull)
		braze_mapping_note_reject(map, "The call has no usable identifier; give it a userId.");
	else if (is_among_identifiers(map->settings, BRAZE_ID_ANONYMOUS_ID))
		braze_mapping_note_skip(map, "The call was skipped: it is of an anonymous visitor whose anonymousId is not usable.");
	else
		braze_mapping_note_skip(map, "The call was skipped: it is of an anonymous visitor; add anonymous_id to the destination's identifiers to send such calls.");
	return false;
}
