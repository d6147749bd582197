/*-------------------------------------------------------------------------
 *
 * call_identify.c
 *	  An identify call: one attributes object.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/number.h"
#include "json/utf8.h"
#include "map/traits.h"

/* the candidates for one of Braze's own fields, the preferred one first */
typedef struct Slot
{
	bool		present[2];		/* null counts: it removes the field */
	BrazeString trait[2];
	JsonbValue	value[2];
} Slot;

typedef struct Identify
{
	BrazeMap   *map;
	uint32		touched;		/* fields whose slot is in use, a set */
	int			written;		/* attributes written */
	Slot		slots[BRAZE_FIELDS];
} Identify;

StaticAssertDecl(BRAZE_FIELDS <= 32, "a set of fields is a uint32");

static void
fill_slot(Identify *identify, BrazeField field, int candidate, BrazeString trait,
		  const JsonbValue *value)
{
	Slot	   *slot = &identify->slots[field];

	if (!(identify->touched & (1U << field)))
	{
		/* slots are not initialised in advance: a call uses few of them */
		slot->present[0] = slot->present[1] = false;
		identify->touched |= 1U << field;
	}
	slot->present[candidate] = true;
	slot->trait[candidate] = trait;
	slot->value[candidate] = *value;
}

/*
 * is it nothing but operators by their names, one of them with a wrong value?
 */
static bool
is_broken_operation(JsonbContainer *object)
{
	bool		broken = false;
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value = {.type = jbvNull};

	braze_walk_object(&walk, object);
	while (braze_walk_pair(&walk, &key, &value))
	{
		if (braze_string_is(key, "inc"))
			broken = broken || value.type != jbvNumeric;
		else if (braze_string_is(key, "add") || braze_string_is(key, "remove"))
			broken = broken || !braze_is_array(&value);
		else
			return false;
	}
	return broken;
}

/* what Braze makes of an attribute that it takes */
static void
note_custom(BrazeMap *map, BrazeString name, const JsonbValue *value)
{
	JsonbContainer *object = braze_object(value);
	JsonbValue	part;

	if (braze_is_array(value) && JsonContainerSize(value->val.binary.data) > BRAZE_LIMIT_ARRAY_VALUES)
		braze_mapping_note(map, "The trait %s has more than %d values: Braze keeps the newest of those that differ.",
						   braze_mapping_note_quote(name), BRAZE_LIMIT_ARRAY_VALUES);
	if (object == NULL)
		return;
	if (is_broken_operation(object))
		braze_mapping_note(map, "The trait %s is an object to Braze, not an operation: inc takes a number, add and remove take a list.",
						   braze_mapping_note_quote(name));
	if (braze_lookup(object, "$add", &part) && braze_is_array(&part) &&
		braze_lookup(object, "$remove", &part) && braze_is_array(&part))
		braze_mapping_note(map, "The trait %s has both $add and $remove: Braze adds first, and then removes all that match, what was added too.",
						   braze_mapping_note_quote(name));
}

/*
 * An attribute of the user's own making: the value, without the keys in except
 * when it is an object (NULL: all keys).
 */
static void
write_custom(Identify *identify, BrazeString name, const JsonbValue *value,
			 const char *const *except)
{
	BrazeMap   *map = identify->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	int			value_mark;
	int			limit;
	bool		written = true;
	BrazeLoss	loss = {0};

	braze_object_writer_key(map, name.data, name.length);
	value_mark = braze_text_mark(text);
	limit = braze_text_narrow(text, BRAZE_LIMIT_ATTRIBUTE);
	/* alone, null is an instruction: it removes the attribute */
	if (value->type == jbvNull)
		braze_text_literal(text, "null");
	else
		written = braze_json_write_value_except(text, value, BRAZE_IN_ATTRIBUTE, except, &loss);
	braze_text_widen(text, limit, value_mark, BRAZE_LIMIT_ATTRIBUTE);

	/*
	 * What is too large takes only itself out: after the rewind there is room
	 * again for the traits that follow.
	 */
	if (text->full)
	{
		braze_text_rewind(text, mark);
		braze_mapping_note(map, "The trait %s was left out: it is too large; Braze takes %d bytes in one, and 3.5 MB in a request.",
						   braze_mapping_note_quote(name), BRAZE_LIMIT_ATTRIBUTE);
		return;
	}
	if (!written)
		braze_text_rewind(text, mark);
	else
	{
		identify->written++;
		note_custom(map, name, value);
		if (loss.flags & BRAZE_LONG_STRING)
			braze_mapping_note_long(map, name);
	}

	/* a loss is noted, too, where it left nothing to be written */
	if (loss.flags != 0)
	{
		if (value->type == jbvNumeric)
			braze_mapping_note(map, "The trait %s was left out: its number is beyond 1.7e308, which Braze cannot read, or has more than %d digits.",
							   braze_mapping_note_quote(name), BRAZE_MAX_DIGITS);
		else
			braze_mapping_note_loss(map, "trait", name, &loss, written);
	}
}

/*
 * City and country have fields of their own at Braze.  The rest of an address
 * has none: it stays behind, or becomes a custom attribute.
 */
static void
map_address(Identify *identify, BrazeString trait, const JsonbValue *value)
{
	static const BrazeString city = {"address.city", 12};
	static const BrazeString country = {"address.country", 15};
	BrazeMap   *map = identify->map;
	bool		attribute = map->settings->address_attribute;
	const char *parts[3] = {NULL, NULL, NULL};
	int			nparts = 0;
	JsonbContainer *address;
	JsonbValue	part;

	/* whoever removes the address means its parts: Braze knows only these */
	if (value->type == jbvNull)
	{
		fill_slot(identify, BRAZE_FIELD_HOME_CITY, 0, city, value);
		fill_slot(identify, BRAZE_FIELD_COUNTRY, 0, country, value);
		if (attribute)
			write_custom(identify, trait, value, NULL);
		return;
	}
	if (!braze_is_object(value))
	{
		if (attribute)
			write_custom(identify, trait, value, NULL);
		else
			braze_mapping_note(map, "The trait %s was left out: it is not an object with a city and a country; set address_attribute to send it as it is.",
							   braze_mapping_note_quote(trait));
		return;
	}

	/*
	 * A part is taken out of the address whether its value will do or not: as
	 * Braze's own field it can be refused with a note, and the rest of the
	 * address stays a custom attribute without it.
	 */
	address = value->val.binary.data;
	if (braze_lookup(address, "city", &part))
	{
		fill_slot(identify, BRAZE_FIELD_HOME_CITY, 0, city, &part);
		parts[nparts++] = "city";
	}
	if (braze_lookup(address, "country", &part))
	{
		fill_slot(identify, BRAZE_FIELD_COUNTRY, 0, country, &part);
		parts[nparts++] = "country";
	}

	/* nothing else is in it: no note, and no attribute that is empty */
	if (nparts == JsonContainerSize(address))
		return;
	if (attribute)
		write_custom(identify, trait, value, parts);
	else
		braze_mapping_note(map, "What the trait %s holds besides city and country was left out: Braze has no field for it; set address_attribute to send it as a custom attribute.",
						   braze_mapping_note_quote(trait));
}

/*
 * Custom attributes are written here; Braze's own fields only find their
 * slots.
 */
static void
read_traits(Identify *identify)
{
	BrazeMap   *map = identify->map;
	JsonbContainer *object = map->user_traits;
	BrazeWalk	walk;
	BrazeString key;
	BrazeString name;
	JsonbValue	value;

	map->padded.count = 0;
	braze_walk_object(&walk, object);
	while (braze_walk_pair(&walk, &key, &value))
	{
		const BrazeTrait *trait;

		CHECK_FOR_INTERRUPTS();
		if (!braze_property_names_read(map, "trait", object, key, &name))
			continue;

		/*
		 * A field of Braze's can have two names in one call, and which of
		 * them counts is known once all traits are read.  So these only fill
		 * slots here.  A custom attribute has one name, and is written at
		 * once.
		 */
		trait = braze_traits_find(name);
		switch (trait->use)
		{
			case BRAZE_TRAIT_PREFERRED:
				fill_slot(identify, trait->field, 0, name, &value);
				break;
			case BRAZE_TRAIT_FIELD:
				fill_slot(identify, trait->field, 1, name, &value);
				break;
			case BRAZE_TRAIT_ADDRESS:
				map_address(identify, name, &value);
				break;
			case BRAZE_TRAIT_CONSUMED:
				break;
			case BRAZE_TRAIT_REFUSED:
				braze_mapping_note(map, "The trait %s was left out: it would change which profile is meant; rename it if it is an attribute of your own.",
								   braze_mapping_note_quote(name));
				break;
			case BRAZE_TRAIT_CUSTOM:
				write_custom(identify, name, &value, NULL);
				break;
		}
	}
}

/* what the context says of the user, where the traits say nothing */
static void
read_context(Identify *identify)
{
	static const struct
	{
		int			flag;
		BrazeField	field;
		const char *object;		/* NULL: in context itself */
		const char *key;
		const char *name;		/* for notes */
	}			sources[] = {
		{BRAZE_PROFILE_COUNTRY, BRAZE_FIELD_COUNTRY, "location", "country", "context.location.country"},
		{BRAZE_PROFILE_CURRENT_LOCATION, BRAZE_FIELD_CURRENT_LOCATION, NULL, "location", "context.location"},
		{BRAZE_PROFILE_LANGUAGE, BRAZE_FIELD_LANGUAGE, NULL, "locale", "context.locale"},
		{BRAZE_PROFILE_TIME_ZONE, BRAZE_FIELD_TIME_ZONE, NULL, "timezone", "context.timezone"},
	};
	const BrazeSegmentCall *call = &identify->map->call;

	for (int i = 0; i < lengthof(sources); i++)
	{
		BrazeString name = {sources[i].name, strlen(sources[i].name)};
		JsonbValue	value;
		bool		found;

		/*
		 * A trait that is there beats the context, also where it is null: the
		 * user was told to have none.
		 */
		if (!(identify->map->settings->profile_from_context & sources[i].flag) ||
			(identify->touched & (1U << sources[i].field)))
			continue;
		if (sources[i].object != NULL)
			found = braze_segment_call_context_in(call, sources[i].object, sources[i].key, &value);
		else
			found = braze_segment_call_context(call, sources[i].key, &value);
		if (found)
			fill_slot(identify, sources[i].field, 1, name, &value);
	}
}

/*
 * One of the two values of a field; false, with a note, when Braze would not
 * take it.
 */
static bool
write_candidate(Identify *identify, BrazeField field, int candidate)
{
	const BrazeFieldInfo *info = &braze_fields[field];
	const Slot *slot = &identify->slots[field];
	const JsonbValue *value = &slot->value[candidate];
	BrazeMap   *map = identify->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	int			nnotes = map->mapped.nnotes;
	int			value_mark;
	int			limit;
	bool		written;

	if (value->type == jbvNull && !info->nullable)
	{
		braze_mapping_note(map, "The trait %s was left out: Braze takes no null for it.",
						   braze_mapping_note_quote(slot->trait[candidate]));
		return false;
	}
	braze_object_writer_key(map, info->name, strlen(info->name));

	/*
	 * Before anything of it is written: a small jsonb can be megabytes of
	 * text.
	 */
	value_mark = braze_text_mark(text);
	limit = braze_text_narrow(text, BRAZE_LIMIT_ATTRIBUTE);
	if (value->type == jbvNull)
	{
		braze_text_literal(text, "null");
		written = true;
	}
	else
		written = info->write(map, slot->trait[candidate], value);
	braze_text_widen(text, limit, value_mark, BRAZE_LIMIT_ATTRIBUTE);

	if (text->full)
	{
		/* of what is left out as a whole, no part was */
		(void) braze_mapping_note_take_back(map, nnotes);
		braze_mapping_note(map, "The trait %s was left out: it is too large; Braze takes %d bytes in one, and 3.5 MB in a request.",
						   braze_mapping_note_quote(slot->trait[candidate]), BRAZE_LIMIT_ATTRIBUTE);
		written = false;
	}
	if (written)
		identify->written++;
	else
		braze_text_rewind(text, mark);
	return written;
}

/* an email or phone that identifies the object is in it already */
static bool
is_identifier(const BrazeMap *map, BrazeField field)
{
	return (field == BRAZE_FIELD_EMAIL && map->identifier.source == BRAZE_ID_EMAIL) ||
		(field == BRAZE_FIELD_PHONE && map->identifier.source == BRAZE_ID_PHONE);
}

static void
write_fields(Identify *identify)
{
	for (int field = 0; field < BRAZE_FIELDS; field++)
	{
		const Slot *slot = &identify->slots[field];

		if (!(identify->touched & (1U << field)))
			continue;
		if (is_identifier(identify->map, field))
		{
			if (slot->value[1].type == jbvNull)
				braze_mapping_note(identify->map, "The trait %s was left out: the user is identified by it, so it cannot be removed.",
								   braze_mapping_note_quote(slot->trait[1]));
			continue;
		}

		/*
		 * Braze takes an email for the identifier before it looks at the
		 * phone
		 */
		if (field == BRAZE_FIELD_EMAIL && identify->map->identifier.source == BRAZE_ID_PHONE)
		{
			braze_mapping_note(identify->map, "The trait %s was left out: the user is identified by phone here, and Braze would take the email instead.",
							   braze_mapping_note_quote(slot->trait[1]));
			continue;
		}

		/*
		 * Segment's name of the field comes first.  Where its value cannot be
		 * sent, that was noted, and the value under Braze's name is as good
		 * as if it stood alone.
		 */
		if (slot->present[0] && write_candidate(identify, field, 0))
			continue;
		if (slot->present[1])
			write_candidate(identify, field, 1);
	}
}

/*
 * the token of the device that the call came
 * from, as Segment's mobile SDKs have it
 */
static void
write_context_token(Identify *identify)
{
	BrazeMap   *map = identify->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	int			nnotes = map->mapped.nnotes;
	int			value_mark;
	int			limit;
	JsonbValue	value;
	BrazeString token;
	BrazeString device;

	/* tokens among the traits beat the context, as in read_context */
	if (!map->settings->push_tokens_from_context ||
		(identify->touched & (1U << BRAZE_FIELD_PUSH_TOKENS)) ||
		!braze_segment_call_context_in(&map->call, "device", "token", &value) ||
		!braze_solid_text(&value, &token))
		return;

	/* a token belongs to an app, and the context does not say which one */
	if (map->settings->app_identifier == NULL)
	{
		braze_mapping_note(map, "The push token of context.device was left out: the destination has no app_identifier.");
		return;
	}
	value_mark = braze_text_mark(text);
	limit = braze_text_narrow(text, BRAZE_LIMIT_ATTRIBUTE);
	braze_text_literal(text, ",\"push_tokens\":[{\"app_id\":");
	braze_json_write_string(text, map->settings->app_identifier, strlen(map->settings->app_identifier));
	braze_text_literal(text, ",\"token\":");
	braze_json_write_string(text, token.data, token.length);
	if (braze_segment_call_context_in(&map->call, "device", "id", &value))
	{
		if (braze_solid_text(&value, &device) &&
			braze_utf8_fits(device, BRAZE_LIMIT_DEVICE_ID_MIN, BRAZE_LIMIT_DEVICE_ID))
		{
			braze_text_literal(text, ",\"device_id\":");
			braze_json_write_string(text, device.data, device.length);
		}

		/* the token is worth sending without it */
		else
			braze_mapping_note(map, "The id of context.device was left out: Braze takes %d to %d bytes.",
							   BRAZE_LIMIT_DEVICE_ID_MIN, BRAZE_LIMIT_DEVICE_ID);
	}
	braze_text_literal(text, "}]");
	braze_text_widen(text, limit, value_mark, BRAZE_LIMIT_ATTRIBUTE);
	if (text->full)
	{
		/* a note on the id of the device would tell of what is not sent */
		braze_text_rewind(text, mark);
		(void) braze_mapping_note_take_back(map, nnotes);
		braze_mapping_note(map, "The push token of context.device was left out: it is larger than %d bytes.",
						   BRAZE_LIMIT_ATTRIBUTE);
	}
	else
		identify->written++;
}

/* some SDKs write the traits into the context alone */
static JsonbContainer *
find_traits(const BrazeMap *map)
{
	JsonbContainer *context;

	if (map->call.traits != NULL && JsonContainerSize(map->call.traits) > 0)
		return map->call.traits;
	context = braze_segment_call_context_traits(&map->call);
	return context != NULL ? context : map->call.traits;
}

void
braze_call_identify_map(BrazeMap *map)
{
	Identify	identify;

	map->user_traits = find_traits(map);
	map->is_identify = true;
	if (!braze_user_identifier_map(map))
		return;

	/* after the identifier: what is about nobody is an error at any age */
	if (braze_call_time_is_too_old(map))
	{
		braze_mapping_note_skip(map, "The identify call was skipped: it is older than the destination's max_attribute_age, and could overwrite newer values.");
		return;
	}

	identify.map = map;
	identify.touched = 0;
	identify.written = 0;
	braze_object_writer_begin(map, BRAZE_ATTRIBUTES);

	/*
	 * The context fills slots that the traits have left, and what is written
	 * of a slot depends on both, so the fields come last.  Braze does not
	 * mind their order.
	 */
	if (map->user_traits != NULL)
		read_traits(&identify);
	read_context(&identify);
	write_fields(&identify);
	braze_mapping_note_long_texts(map, "trait", "traits");
	write_context_token(&identify);

	/* the identifier alone creates a profile, which is not wanted here */
	if (identify.written == 0 && map->settings->update_existing_only)
	{
		braze_object_writer_cancel(map);
		braze_mapping_note_skip(map, "The identify call was skipped: it has no usable trait, and the destination's update_existing_only forbids to create a profile.");
		return;
	}
	braze_object_writer_end(map);
}
