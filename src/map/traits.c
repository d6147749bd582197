/*-------------------------------------------------------------------------
 *
 * traits.c
 *	  Braze's own profile fields, and how a value is made fit for each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/number.h"
#include "json/phone.h"
#include "json/time.h"
#include "json/utf8.h"
#include "json/uuid.h"
#include "map/traits.h"

#define MAX_LONGITUDE		180
#define MAX_LATITUDE		90

static bool write_text(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_known_name(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_email(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_phone(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_date(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_gender(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_language(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_image_url(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_location(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_subscribe(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_flag(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_time(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_groups(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_tokens(BrazeMap *map, BrazeString trait, const JsonbValue *value);
static bool write_account(BrazeMap *map, BrazeString trait, const JsonbValue *value);

const BrazeFieldInfo braze_fields[BRAZE_FIELDS] = {
	[BRAZE_FIELD_FIRST_NAME] = {"first_name", write_text, true},
	[BRAZE_FIELD_LAST_NAME] = {"last_name", write_text, true},
	[BRAZE_FIELD_EMAIL] = {"email", write_email, true},
	[BRAZE_FIELD_PHONE] = {"phone", write_phone, true},
	[BRAZE_FIELD_DOB] = {"dob", write_date, true},
	[BRAZE_FIELD_GENDER] = {"gender", write_gender, true},
	[BRAZE_FIELD_HOME_CITY] = {"home_city", write_text, true},
	[BRAZE_FIELD_COUNTRY] = {"country", write_known_name, true},
	[BRAZE_FIELD_LANGUAGE] = {"language", write_language, true},
	[BRAZE_FIELD_TIME_ZONE] = {"time_zone", write_known_name, true},
	[BRAZE_FIELD_IMAGE_URL] = {"image_url", write_image_url, true},
	[BRAZE_FIELD_CURRENT_LOCATION] = {"current_location", write_location, false},
	[BRAZE_FIELD_EMAIL_SUBSCRIBE] = {"email_subscribe", write_subscribe, false},
	[BRAZE_FIELD_PUSH_SUBSCRIBE] = {"push_subscribe", write_subscribe, false},
	[BRAZE_FIELD_EMAIL_OPEN_TRACKING_DISABLED] = {"email_open_tracking_disabled", write_flag, false},
	[BRAZE_FIELD_EMAIL_CLICK_TRACKING_DISABLED] = {"email_click_tracking_disabled", write_flag, false},
	[BRAZE_FIELD_DATE_OF_FIRST_SESSION] = {"date_of_first_session", write_time, false},
	[BRAZE_FIELD_DATE_OF_LAST_SESSION] = {"date_of_last_session", write_time, false},
	[BRAZE_FIELD_MARKED_EMAIL_AS_SPAM_AT] = {"marked_email_as_spam_at", write_time, false},
	[BRAZE_FIELD_SUBSCRIPTION_GROUPS] = {"subscription_groups", write_groups, false},
	[BRAZE_FIELD_PUSH_TOKENS] = {"push_tokens", write_tokens, false},
	[BRAZE_FIELD_FACEBOOK] = {"facebook", write_account, false},
	[BRAZE_FIELD_TWITTER] = {"twitter", write_account, false},
	[BRAZE_FIELD_MERGE_OBJECTS] = {"_merge_objects", write_flag, false},
};

static const BrazeTrait traits[] = {
	/* Segment's reserved traits that Braze has a field for */
	{"firstName", BRAZE_TRAIT_PREFERRED, BRAZE_FIELD_FIRST_NAME},
	{"lastName", BRAZE_TRAIT_PREFERRED, BRAZE_FIELD_LAST_NAME},
	{"birthday", BRAZE_TRAIT_PREFERRED, BRAZE_FIELD_DOB},
	{"avatar", BRAZE_TRAIT_PREFERRED, BRAZE_FIELD_IMAGE_URL},
	{"braze_subscription_groups", BRAZE_TRAIT_PREFERRED, BRAZE_FIELD_SUBSCRIPTION_GROUPS},
	{"address", BRAZE_TRAIT_ADDRESS},
	{"id", BRAZE_TRAIT_CONSUMED},
	{"userId", BRAZE_TRAIT_CONSUMED},
	{"anonymousId", BRAZE_TRAIT_CONSUMED},

	/* Braze's own names */
	{"first_name", BRAZE_TRAIT_FIELD, BRAZE_FIELD_FIRST_NAME},
	{"last_name", BRAZE_TRAIT_FIELD, BRAZE_FIELD_LAST_NAME},
	{"email", BRAZE_TRAIT_FIELD, BRAZE_FIELD_EMAIL},
	{"phone", BRAZE_TRAIT_FIELD, BRAZE_FIELD_PHONE},
	{"dob", BRAZE_TRAIT_FIELD, BRAZE_FIELD_DOB},
	{"gender", BRAZE_TRAIT_FIELD, BRAZE_FIELD_GENDER},
	{"home_city", BRAZE_TRAIT_FIELD, BRAZE_FIELD_HOME_CITY},
	{"country", BRAZE_TRAIT_FIELD, BRAZE_FIELD_COUNTRY},
	{"language", BRAZE_TRAIT_FIELD, BRAZE_FIELD_LANGUAGE},
	{"time_zone", BRAZE_TRAIT_FIELD, BRAZE_FIELD_TIME_ZONE},
	{"image_url", BRAZE_TRAIT_FIELD, BRAZE_FIELD_IMAGE_URL},
	{"current_location", BRAZE_TRAIT_FIELD, BRAZE_FIELD_CURRENT_LOCATION},
	{"email_subscribe", BRAZE_TRAIT_FIELD, BRAZE_FIELD_EMAIL_SUBSCRIBE},
	{"push_subscribe", BRAZE_TRAIT_FIELD, BRAZE_FIELD_PUSH_SUBSCRIBE},
	{"email_open_tracking_disabled", BRAZE_TRAIT_FIELD, BRAZE_FIELD_EMAIL_OPEN_TRACKING_DISABLED},
	{"email_click_tracking_disabled", BRAZE_TRAIT_FIELD, BRAZE_FIELD_EMAIL_CLICK_TRACKING_DISABLED},
	{"date_of_first_session", BRAZE_TRAIT_FIELD, BRAZE_FIELD_DATE_OF_FIRST_SESSION},
	{"date_of_last_session", BRAZE_TRAIT_FIELD, BRAZE_FIELD_DATE_OF_LAST_SESSION},
	{"marked_email_as_spam_at", BRAZE_TRAIT_FIELD, BRAZE_FIELD_MARKED_EMAIL_AS_SPAM_AT},
	{"subscription_groups", BRAZE_TRAIT_FIELD, BRAZE_FIELD_SUBSCRIPTION_GROUPS},
	{"push_tokens", BRAZE_TRAIT_FIELD, BRAZE_FIELD_PUSH_TOKENS},
	{"facebook", BRAZE_TRAIT_FIELD, BRAZE_FIELD_FACEBOOK},
	{"twitter", BRAZE_TRAIT_FIELD, BRAZE_FIELD_TWITTER},
	{"_merge_objects", BRAZE_TRAIT_FIELD, BRAZE_FIELD_MERGE_OBJECTS},

	/* no second identifier is smuggled in, no other profile is created */
	{"external_id", BRAZE_TRAIT_REFUSED},
	{"braze_id", BRAZE_TRAIT_REFUSED},
	{"user_alias", BRAZE_TRAIT_REFUSED},
	{"push_token_import", BRAZE_TRAIT_REFUSED},
	{"_update_existing_only", BRAZE_TRAIT_REFUSED},
	{"app_id", BRAZE_TRAIT_REFUSED},
};

static const BrazeTrait custom_trait = {NULL, BRAZE_TRAIT_CUSTOM};

static int
compare_traits(const void *a, const void *b)
{
	const char *left = (*(const BrazeTrait *const *) a)->name;
	const char *right = (*(const BrazeTrait *const *) b)->name;

	return braze_string_compare(left, strlen(left), right, strlen(right));
}

/* of a name in the table */
#define MAX_LENGTH		31

const BrazeTrait *
braze_traits_find(BrazeString name)
{
	/*
	 * The table is in the order of the documentation; this is for searching.
	 * Traits of one length stand together, behind the end of the shorter
	 * ones.
	 */
	static const BrazeTrait *sorted[lengthof(traits)];
	static int	ends[MAX_LENGTH + 1];

	if (ends[MAX_LENGTH] == 0)
	{
		for (int i = 0; i < lengthof(traits); i++)
		{
			Assert(strlen(traits[i].name) <= MAX_LENGTH);
			sorted[i] = &traits[i];
			for (int length = strlen(traits[i].name); length <= MAX_LENGTH; length++)
				ends[length]++;
		}
		qsort(sorted, lengthof(traits), sizeof(sorted[0]), compare_traits);
	}

	if (name.length == 0 || name.length > MAX_LENGTH)
		return &custom_trait;
	for (int i = ends[name.length - 1]; i < ends[name.length]; i++)
	{
		if (sorted[i]->name[0] == name.data[0] &&
			memcmp(sorted[i]->name, name.data, name.length) == 0)
			return sorted[i];
	}
	return &custom_trait;
}

static bool
refuse_trait(BrazeMap *map, BrazeString trait, const char *why)
{
	braze_mapping_note(map, "The trait %s was left out: %s.", braze_mapping_note_quote(trait), why);
	return false;
}

static bool
write_text(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;

	if (!braze_scalar_text(value, &text))
		return refuse_trait(map, trait, "Braze takes a string for it");
	braze_json_write_string(&map->text, text.data, text.length);
	if (!map->text.full && braze_longer_than(text, BRAZE_MAX_NAME))
		braze_mapping_note_long(map, trait);
	return true;
}

/* a name that Braze looks up: white space around it would make it another */
static bool
write_known_name(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;
	JsonbValue	trimmed;

	if (!braze_scalar_text(value, &text))
		return refuse_trait(map, trait, "Braze takes a string for it");
	text = braze_trim(text);
	trimmed.type = jbvString;
	trimmed.val.string.val = unconstify(char *, text.data);
	trimmed.val.string.len = text.length;
	return write_text(map, trait, &trimmed);
}

static bool
write_email(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;

	if (!braze_solid_text(value, &text) || !braze_user_identifier_is_email(text))
		return refuse_trait(map, trait, "it is not a valid email address, for which Braze would refuse the whole profile update");
	braze_json_write_string(&map->text, text.data, text.length);
	return true;
}

static bool
write_phone(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;

	if (!braze_solid_text(value, &text))
		return refuse_trait(map, trait, "it is empty or not a string");
	if (!braze_phone_is_e164(text))
		braze_mapping_note(map, "The trait %s may not be reached by SMS: Braze recommends the format E.164, such as +14155552671.",
						   braze_mapping_note_quote(trait));
	braze_json_write_string(&map->text, text.data, text.length);
	return true;
}

static bool
write_date(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	char		date[BRAZE_DATE_LENGTH];

	if (!braze_time_date(value, date))
		return refuse_trait(map, trait, "it is not a date of the years 1900 to 2100; write it as YYYY-MM-DD");
	braze_json_write_string(&map->text, date, sizeof(date));
	return true;
}

static bool
write_gender(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	static const struct
	{
		const char *spelling;
		const char *code;
	}			genders[] = {
		{"m", "M"}, {"male", "M"}, {"man", "M"},
		{"f", "F"}, {"female", "F"}, {"w", "F"}, {"woman", "F"},
		{"o", "O"}, {"other", "O"},
		{"n", "N"}, {"not applicable", "N"},
		{"p", "P"}, {"prefer not to say", "P"},
	};
	BrazeString text;

	if (value->type == jbvString && braze_solid_text(value, &text))
	{
		for (int i = 0; i < lengthof(genders); i++)
		{
			if ((int) strlen(genders[i].spelling) == text.length &&
				pg_strncasecmp(genders[i].spelling, text.data, text.length) == 0)
			{
				braze_json_write_string(&map->text, genders[i].code, 1);
				return true;
			}
		}
	}
	return refuse_trait(map, trait, "Braze knows M, F, O (other), N (not applicable) and P (prefer not to say)");
}

/* Braze takes a language without the region that a locale adds */
static bool
write_language(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;
	char		code[3];
	int			length = 0;

	if (!braze_scalar_text(value, &text))
		return refuse_trait(map, trait, "Braze takes a string for it");
	text = braze_trim(text);
	while (length < text.length && length < lengthof(code) &&
		   pg_ascii_tolower((unsigned char) text.data[length]) >= 'a' &&
		   pg_ascii_tolower((unsigned char) text.data[length]) <= 'z')
	{
		code[length] = pg_ascii_tolower((unsigned char) text.data[length]);
		length++;
	}

	/*
	 * What does not look like a locale goes as it is: which languages Braze
	 * knows is not known here.
	 */
	if (length >= 2 &&
		(length == text.length || text.data[length] == '-' || text.data[length] == '_'))
		braze_json_write_string(&map->text, code, length);
	else
		braze_json_write_string(&map->text, text.data, text.length);
	return true;
}

static bool
write_image_url(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeString text;

	if (!braze_scalar_text(value, &text))
		return refuse_trait(map, trait, "Braze takes a string for it");
	if (braze_longer_than(text, BRAZE_LIMIT_IMAGE_URL))
		return refuse_trait(map, trait, "it is longer than the 1024 characters that Braze takes");
	braze_json_write_string(&map->text, text.data, text.length);
	return true;
}

static Numeric
read_coordinate(JsonbContainer *location, const char *key, int limit)
{
	JsonbValue	value;
	Numeric		number;
	BrazeDecimal decimal;

	if (!braze_lookup(location, key, &value))
		return NULL;
	number = braze_number(&value);
	if (number == NULL)
		return NULL;
	braze_number_read(&decimal, number);
	return braze_number_exceeds(&decimal, limit) ? NULL : number;
}

static bool
write_location(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	Numeric		longitude = NULL;
	Numeric		latitude = NULL;

	if (braze_is_object(value))
	{
		longitude = read_coordinate(value->val.binary.data, "longitude", MAX_LONGITUDE);
		latitude = read_coordinate(value->val.binary.data, "latitude", MAX_LATITUDE);
	}
	if (longitude == NULL || latitude == NULL)
		return refuse_trait(map, trait, "it needs a longitude within 180 and a latitude within 90, both numbers");
	braze_text_literal(&map->text, "{\"longitude\":");
	braze_json_write_number(&map->text, longitude);
	braze_text_literal(&map->text, ",\"latitude\":");
	braze_json_write_number(&map->text, latitude);
	braze_text_char(&map->text, '}');
	return true;
}

static bool
write_subscribe(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	const char *state = braze_subscription_state(value);

	if (state == NULL)
		return refuse_trait(map, trait, "it must be opted_in, subscribed or unsubscribed");
	braze_json_write_string(&map->text, state, strlen(state));
	return true;
}

static void
write_boolean(BrazeMap *map, bool flag)
{
	if (flag)
		braze_text_literal(&map->text, "true");
	else
		braze_text_literal(&map->text, "false");
}

static bool
write_flag(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	bool		flag;

	if (!braze_flag(value, &flag))
		return refuse_trait(map, trait, "it must be true or false");
	write_boolean(map, flag);
	return true;
}

static bool
write_time(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	int64		ms;
	char		time[BRAZE_TIME_LENGTH];

	if (!braze_time(value, &ms))
		return refuse_trait(map, trait, "it is not a time from 1970-01-02 to 2100-12-31; write it as YYYY-MM-DDTHH:MM:SSZ");
	braze_time_print(ms, time);
	braze_json_write_string(&map->text, time, sizeof(time));
	return true;
}

/* an object of facebook or twitter data */
static bool
write_account(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	BrazeLoss	loss;
	bool		written;

	if (!braze_is_object(value))
		return refuse_trait(map, trait, "Braze takes an object for it");
	written = braze_json_write_value(&map->text, value, BRAZE_IN_ATTRIBUTE, &loss);
	braze_mapping_note_loss(map, "trait", trait, &loss, written);
	return written;
}

/* one entry of a list; false, with a note, when the entry is none */
typedef bool (*EntryWriter) (BrazeMap *map, BrazeString trait, JsonbContainer *entry);

/* those entries that can be sent; false when none can */
static bool
write_list(BrazeMap *map, BrazeString trait, const JsonbValue *value,
		   EntryWriter write_entry, const char *why)
{
	BrazeText  *text = &map->text;
	bool		empty = true;
	BrazeWalk	walk;
	JsonbValue	entry;

	braze_text_char(text, '[');
	if (braze_is_array(value))
	{
		braze_walk_array(&walk, value->val.binary.data);
		while (!text->full && braze_walk_element(&walk, &entry))
		{
			int			mark = braze_text_mark(text);
			JsonbContainer *object = braze_object(&entry);

			CHECK_FOR_INTERRUPTS();
			if (!empty)
				braze_text_char(text, ',');

			/*
			 * One bad entry must not take the others with it: Braze would
			 * refuse the whole object for it.
			 */
			if (object == NULL || !write_entry(map, trait, object))
			{
				braze_mapping_note(map, "An entry of the trait %s was left out: %s.",
								   braze_mapping_note_quote(trait), why);
				if (!text->full)
					braze_text_rewind(text, mark);
				continue;
			}
			empty = false;
		}
	}
	/* one that stands alone is a list of one */
	else if (braze_is_object(value) && write_entry(map, trait, value->val.binary.data))
		empty = false;

	if (empty && braze_is_json_text(value))
		return refuse_trait(map, trait, "it is a text that holds JSON; send the list itself");
	if (empty)
		return refuse_trait(map, trait, why);
	braze_text_char(text, ']');
	return true;
}

static bool
write_group(BrazeMap *map, BrazeString trait, JsonbContainer *group)
{
	JsonbValue	value;
	BrazeString id;
	char		uuid[BRAZE_UUID_LENGTH];
	const char *state;
	bool		flag;

	if (!braze_lookup(group, "subscription_group_id", &value) ||
		!braze_solid_text(&value, &id) || !braze_uuid_read(id, uuid))
		return false;
	(void) braze_subscription_group_state(group, &state);
	if (state == NULL)
		return false;

	braze_text_literal(&map->text, "{\"subscription_group_id\":");
	braze_json_write_string(&map->text, uuid, sizeof(uuid));
	braze_text_literal(&map->text, ",\"subscription_state\":");
	braze_json_write_string(&map->text, state, strlen(state));

	/*
	 * A switch that cannot be read is left out by itself.  The state is what
	 * the user has chosen, and must arrive.
	 */
	if (braze_lookup(group, "use_double_opt_in_logic", &value))
	{
		if (braze_flag(&value, &flag))
		{
			braze_text_literal(&map->text, ",\"use_double_opt_in_logic\":");
			write_boolean(map, flag);
		}
		else
			braze_mapping_note(map, "The use_double_opt_in_logic of an entry of the trait %s was left out: it must be true or false.",
							   braze_mapping_note_quote(trait));
	}
	braze_text_char(&map->text, '}');
	return true;
}

static bool
write_groups(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	return write_list(map, trait, value, write_group,
					  "it needs a subscription_group_id that is a UUID, and a subscription_state of subscribed or unsubscribed");
}

static bool
write_token(BrazeMap *map, BrazeString trait, JsonbContainer *token)
{
	JsonbValue	value;
	BrazeString app_id;
	BrazeString text;
	BrazeString device;

	if (!braze_lookup(token, "app_id", &value) || !braze_solid_text(&value, &app_id) ||
		!braze_lookup(token, "token", &value) || !braze_solid_text(&value, &text))
		return false;

	braze_text_literal(&map->text, "{\"app_id\":");
	braze_json_write_string(&map->text, app_id.data, app_id.length);
	braze_text_literal(&map->text, ",\"token\":");
	braze_json_write_string(&map->text, text.data, text.length);
	if (braze_lookup(token, "device_id", &value) && value.type != jbvNull)
	{
		if (braze_solid_text(&value, &device) &&
			braze_utf8_fits(device, BRAZE_LIMIT_DEVICE_ID_MIN, BRAZE_LIMIT_DEVICE_ID))
		{
			braze_text_literal(&map->text, ",\"device_id\":");
			braze_json_write_string(&map->text, device.data, device.length);
		}
		else
			braze_mapping_note(map, "The device_id of an entry of the trait %s was left out: it must have %d to %d bytes.",
							   braze_mapping_note_quote(trait), BRAZE_LIMIT_DEVICE_ID_MIN, BRAZE_LIMIT_DEVICE_ID);
	}
	braze_text_char(&map->text, '}');
	return true;
}

static bool
write_tokens(BrazeMap *map, BrazeString trait, const JsonbValue *value)
{
	return write_list(map, trait, value, write_token, "it needs an app_id and a token");
}
