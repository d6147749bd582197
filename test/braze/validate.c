/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  Would Braze accept this object?  Identifiers, events and purchases, and
 *	  the elements of the identity endpoints.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats.h"
#include "validate.h"
#include "validate_int.h"

typedef bool (*Check) (json_object *object, Why *why);

/* a fixed set of members: which are known, and which must be there */
typedef struct Field
{
	const char *name;
	bool		required;
} Field;

/*
 * A name from the data may have been cut in the middle of a character; what
 * is left of one becomes question marks, so that the reason is valid UTF-8.
 */
static void
mend_utf8(char *text)
{
	unsigned char *c = (unsigned char *) text;

	while (*c)
	{
		int			length = *c < 0xc0 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
		int			i;

		for (i = 1; i < length && (c[i] & 0xc0) == 0x80; i++)
			;
		if (i < length)
			memset(c, '?', (size_t) i);
		c += i;
	}
}

bool
standin_refuse(Why *why, const char *format,...)
{
	va_list		args;

	if (why->size == 0)
		return false;
	va_start(args, format);
	vsnprintf(why->reason, why->size, format, args);
	va_end(args);
	mend_utf8(why->reason);
	return false;
}

bool
standin_member(json_object *object, const char *name, json_object **value)
{
	return json_object_object_get_ex(object, name, value) != 0;
}

bool
standin_check_name(const char *what, const char *name, Why *why)
{
	if (name[0] == '\0')
		return standin_refuse(why, "%s must not be empty", what);
	if (name[0] == '$')
		return standin_refuse(why, "%s '%.100s' must not begin with '$'", what, name);
	if (standin_characters(name) > MAX_NAME_CHARACTERS)
		return standin_refuse(why, "%s must be at most 255 characters", what);
	return true;
}

bool
standin_check_finite(const char *what, json_object *value, Why *why)
{
	if (json_object_is_type(value, json_type_double) &&
		!isfinite(json_object_get_double(value)))
		return standin_refuse(why, "'%.100s' is out of range", what);
	return true;
}

/* no JSON text of value can be longer than this: a byte takes up to six */
static size_t
size_bound(json_object *value)
{
	size_t		bound = 0;

	switch (json_object_get_type(value))
	{
		case json_type_object:
			bound = 2;
			{
				json_object_object_foreach(value, key, member)
					bound += 6 * strlen(key) + 4 + size_bound(member);
			}
			return bound;
		case json_type_array:
			for (size_t i = 0; i < json_object_array_length(value); i++)
				bound += 1 + size_bound(json_object_array_get_idx(value, i));
			return bound + 2;
		case json_type_string:
			return 6 * (size_t) json_object_get_string_len(value) + 2;
		case json_type_double:
			return strlen(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
		default:
			return 24;
	}
}

bool
standin_check_size(const char *what, json_object *value, size_t max, Why *why)
{
	size_t		length;

	if (size_bound(value) <= max)
		return true;
	json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN |
									  JSON_C_TO_STRING_NOSLASHESCAPE, &length);
	if (length > max)
		return standin_refuse(why, "'%.100s' must be at most %zu bytes", what, max);
	return true;
}

static bool
check_id_string(const char *what, json_object *value, size_t max, Why *why)
{
	if (!json_object_is_type(value, json_type_string))
		return standin_refuse(why, "'%s' must be a string", what);
	if (json_object_get_string_len(value) == 0)
		return standin_refuse(why, "'%s' must not be empty", what);
	if ((size_t) json_object_get_string_len(value) > max)
		return standin_refuse(why, "'%s' must be fewer than %zu bytes", what, max + 1);
	return true;
}

static bool
check_external_id(json_object *value, Why *why)
{
	return check_id_string("external_id", value, MAX_EXTERNAL_ID_BYTES, why);
}

static bool
check_email(json_object *value, Why *why)
{
	if (!json_object_is_type(value, json_type_string) ||
		!standin_is_email(json_object_get_string(value)))
		return standin_refuse(why, "The value provided for the 'email' field is not "
							  "a valid email.");
	return true;
}

/*
 * refuses members that are not in the list, and a required one that is absent
 */
static bool
check_fields(const char *what, json_object *object, const Field *fields, Why *why)
{
	const Field *field;

	if (!json_object_is_type(object, json_type_object))
		return standin_refuse(why, "%s must be an object", what);
	{
		json_object_object_foreach(object, key, member)
		{
			(void) member;
			for (field = fields; field->name != NULL; field++)
			{
				if (strcmp(field->name, key) == 0)
					break;
			}
			if (field->name == NULL)
				return standin_refuse(why, "'%.100s' is not a field of %s", key, what);
		}
	}
	for (field = fields; field->name != NULL; field++)
	{
		if (field->required && !json_object_object_get_ex(object, field->name, NULL))
			return standin_refuse(why, "'%s' is missing in %s", field->name, what);
	}
	return true;
}

static bool
check_alias_parts(json_object *object, Why *why)
{
	return check_id_string("alias_name", json_object_object_get(object, "alias_name"),
						   MAX_ALIAS_BYTES, why) &&
		check_id_string("alias_label", json_object_object_get(object, "alias_label"),
						MAX_ALIAS_BYTES, why);
}

static bool
check_alias(json_object *value, Why *why)
{
	static const Field fields[] = {
		{"alias_name", true}, {"alias_label", true}, {NULL, false}
	};

	return check_fields("user_alias", value, fields, why) &&
		check_alias_parts(value, why);
}

/*
 * One identifier per object.  Beside external_id, user_alias or braze_id,
 * email and phone are plain fields.
 */
static bool
check_identifier(json_object *object, bool *has_primary, Why *why)
{
	json_object *external_id;
	json_object *alias;
	json_object *braze_id;
	json_object *email;
	json_object *phone;
	bool		has_external_id = standin_member(object, "external_id", &external_id);
	bool		has_alias = standin_member(object, "user_alias", &alias);
	bool		has_braze_id = standin_member(object, "braze_id", &braze_id);

	*has_primary = has_external_id || has_alias || has_braze_id;
	if (has_external_id + has_alias + has_braze_id > 1)
		return standin_refuse(why, "only one of 'external_id', 'user_alias' and "
							  "'braze_id' may be given");
	if (has_external_id)
		return check_external_id(external_id, why);
	if (has_alias)
		return check_alias(alias, why);
	if (has_braze_id)
		return check_id_string("braze_id", braze_id, MAX_EXTERNAL_ID_BYTES, why);
	if (standin_member(object, "email", &email))
		return check_email(email, why);
	if (standin_member(object, "phone", &phone))
		return check_id_string("phone", phone, MAX_EXTERNAL_ID_BYTES, why);
	return standin_refuse(why, "one of 'external_id', 'user_alias', 'braze_id', "
						  "'email' and 'phone' is required");
}

static bool
check_existing_only(json_object *object, Why *why)
{
	json_object *flag;

	if (standin_member(object, "_update_existing_only", &flag) &&
		!json_object_is_type(flag, json_type_boolean))
		return standin_refuse(why, "'_update_existing_only' must be a boolean");
	return true;
}

static bool
check_time(json_object *object, Why *why)
{
	json_object *time = json_object_object_get(object, "time");

	if (!json_object_is_type(time, json_type_string) ||
		!standin_is_time(json_object_get_string(time)))
		return standin_refuse(why, "'time' must be an ISO 8601 date and time");
	return true;
}

static bool
check_app_id(json_object *object, Why *why)
{
	json_object *app_id;

	if (!standin_member(object, "app_id", &app_id))
		return true;
	return check_id_string("app_id", app_id, MAX_EXTERNAL_ID_BYTES, why);
}

/* an event property may nest freely; only its numbers can be impossible */
static bool
check_numbers(const char *name, json_object *value, Why *why)
{
	if (json_object_is_type(value, json_type_object))
	{
		json_object_object_foreach(value, key, member)
		{
			if (!check_numbers(key, member, why))
				return false;
		}
	}
	else if (json_object_is_type(value, json_type_array))
	{
		for (size_t i = 0; i < json_object_array_length(value); i++)
		{
			if (!check_numbers(name, json_object_array_get_idx(value, i), why))
				return false;
		}
	}
	return standin_check_finite(name, value, why);
}

static bool
check_properties(json_object *object, const char *const *reserved, size_t max, Why *why)
{
	json_object *properties;

	if (!standin_member(object, "properties", &properties))
		return true;
	if (!json_object_is_type(properties, json_type_object))
		return standin_refuse(why, "'properties' must be an object");
	{
		json_object_object_foreach(properties, key, value)
		{
			if (!standin_check_name("a property name", key, why))
				return false;
			for (const char *const *name = reserved; *name != NULL; name++)
			{
				if (strcmp(*name, key) == 0)
					return standin_refuse(why, "'%s' is a reserved property name", key);
			}
			if (!check_numbers(key, value, why))
				return false;
		}
	}
	return standin_check_size("properties", properties, max, why);
}

static bool
check_event(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", false}, {"user_alias", false}, {"braze_id", false},
		{"email", false}, {"phone", false}, {"app_id", false}, {"name", true},
		{"time", true}, {"properties", false}, {"_update_existing_only", false},
		{NULL, false}
	};
	static const char *const reserved[] = {"time", "event_name", NULL};
	json_object *name;
	bool		has_primary;

	if (!check_fields("an event", object, fields, why) ||
		!check_identifier(object, &has_primary, why))
		return false;
	name = json_object_object_get(object, "name");
	if (!json_object_is_type(name, json_type_string))
		return standin_refuse(why, "'name' must be a string");
	return standin_check_name("an event name", json_object_get_string(name), why) &&
		check_time(object, why) &&
		check_app_id(object, why) &&
		check_existing_only(object, why) &&
		check_properties(object, reserved, MAX_EVENT_PROPERTIES, why) &&
		standin_check_ecommerce(json_object_get_string(name),
								json_object_object_get(object, "properties"), why);
}

static bool
check_price(json_object *price, Why *why)
{
	if (!json_object_is_type(price, json_type_int) &&
		!json_object_is_type(price, json_type_double))
		return standin_refuse(why, "'price' is not valid");
	return standin_check_finite("price", price, why);
}

static bool
check_quantity(json_object *object, Why *why)
{
	json_object *quantity;

	if (standin_member(object, "quantity", &quantity) &&
		(!json_object_is_type(quantity, json_type_int) ||
		 json_object_get_int64(quantity) < 1 ||
		 json_object_get_int64(quantity) > MAX_QUANTITY))
		return standin_refuse(why, "'quantity' is not valid");
	return true;
}

static bool
check_purchase(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", false}, {"user_alias", false}, {"braze_id", false},
		{"email", false}, {"phone", false}, {"app_id", false},
		{"product_id", true}, {"currency", true}, {"price", true},
		{"quantity", false}, {"time", true}, {"properties", false},
		{"_update_existing_only", false}, {NULL, false}
	};
	static const char *const reserved[] = {
		"time", "product_id", "quantity", "event_name", "price", "currency", NULL
	};
	json_object *product;
	json_object *currency;
	bool		has_primary;

	if (!check_fields("a purchase", object, fields, why) ||
		!check_identifier(object, &has_primary, why))
		return false;
	product = json_object_object_get(object, "product_id");
	if (!json_object_is_type(product, json_type_string) ||
		json_object_get_string_len(product) == 0)
		return standin_refuse(why, "'product_id' must be a string that is not empty");
	if (standin_characters(json_object_get_string(product)) > MAX_NAME_CHARACTERS)
		return standin_refuse(why, "'product_id' must be at most 255 characters");
	currency = json_object_object_get(object, "currency");
	if (!json_object_is_type(currency, json_type_string) ||
		!standin_is_currency(json_object_get_string(currency)))
		return standin_refuse(why, "'currency' must be an ISO 4217 currency");
	return check_price(json_object_object_get(object, "price"), why) &&
		check_quantity(object, why) &&
		check_time(object, why) &&
		check_app_id(object, why) &&
		check_existing_only(object, why) &&
		check_properties(object, reserved, MAX_PURCHASE_PROPERTIES, why);
}

static bool
check_attributes(json_object *object, Why *why)
{
	bool		has_primary;

	if (!json_object_is_type(object, json_type_object))
		return standin_refuse(why, "attributes must be an object");
	if (!check_identifier(object, &has_primary, why) ||
		!check_existing_only(object, why))
		return false;
	{
		json_object_object_foreach(object, key, value)
		{
			if (strcmp(key, "external_id") == 0 || strcmp(key, "user_alias") == 0 ||
				strcmp(key, "braze_id") == 0 ||
				strcmp(key, "_update_existing_only") == 0)
				continue;
			if (!standin_check_attribute(key, value, has_primary, object, why))
				return false;
		}
	}
	return true;
}

static bool
check_alias_to_identify(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", true}, {"user_alias", true}, {NULL, false}
	};

	return check_fields("aliases_to_identify", object, fields, why) &&
		check_external_id(json_object_object_get(object, "external_id"), why) &&
		check_alias(json_object_object_get(object, "user_alias"), why);
}

static bool
check_prioritization(json_object *value, Why *why)
{
	static const char *const known[] = {
		"identified", "unidentified", "most_recently_updated",
		"least_recently_updated", NULL
	};

	if (!json_object_is_type(value, json_type_array) ||
		json_object_array_length(value) == 0)
		return standin_refuse(why, "'prioritization' must be an array that is not empty");
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		json_object *word = json_object_array_get_idx(value, i);
		const char *const *name = known;

		if (!json_object_is_type(word, json_type_string))
			return standin_refuse(why, "'prioritization' must hold strings");
		while (*name != NULL && strcmp(*name, json_object_get_string(word)) != 0)
			name++;
		if (*name == NULL)
			return standin_refuse(why, "'prioritization' is not valid");
	}
	return true;
}

static bool
check_email_to_identify(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", true}, {"email", true}, {"prioritization", true}, {NULL, false}
	};

	return check_fields("emails_to_identify", object, fields, why) &&
		check_external_id(json_object_object_get(object, "external_id"), why) &&
		check_email(json_object_object_get(object, "email"), why) &&
		check_prioritization(json_object_object_get(object, "prioritization"), why);
}

static bool
check_phone_to_identify(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", true}, {"phone", true}, {"prioritization", true}, {NULL, false}
	};

	return check_fields("phone_numbers_to_identify", object, fields, why) &&
		check_external_id(json_object_object_get(object, "external_id"), why) &&
		check_id_string("phone", json_object_object_get(object, "phone"),
						MAX_EXTERNAL_ID_BYTES, why) &&
		check_prioritization(json_object_object_get(object, "prioritization"), why);
}

static bool
check_merge_side(const char *what, json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", false}, {"user_alias", false}, {"braze_id", false},
		{"email", false}, {"phone", false}, {"prioritization", false}, {NULL, false}
	};
	json_object *order;
	bool		has_primary;

	if (!check_fields(what, object, fields, why) ||
		!check_identifier(object, &has_primary, why))
		return false;
	if (json_object_object_length(object) > 1 &&
		!standin_member(object, "prioritization", &order))
		return standin_refuse(why, "'%s' must hold one identifier", what);
	if (standin_member(object, "prioritization", &order))
	{
		if (has_primary || json_object_object_length(object) > 2)
			return standin_refuse(why, "'prioritization' goes with 'email' or 'phone' "
								  "alone");
		return check_prioritization(order, why);
	}
	return true;
}

static bool
check_merge(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"identifier_to_merge", true}, {"identifier_to_keep", true}, {NULL, false}
	};

	return check_fields("merge_updates", object, fields, why) &&
		check_merge_side("identifier_to_merge",
						 json_object_object_get(object, "identifier_to_merge"), why) &&
		check_merge_side("identifier_to_keep",
						 json_object_object_get(object, "identifier_to_keep"), why);
}

static bool
check_new_alias(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"external_id", false}, {"alias_name", true}, {"alias_label", true},
		{NULL, false}
	};
	json_object *external_id;

	if (!check_fields("user_aliases", object, fields, why))
		return false;
	if (standin_member(object, "external_id", &external_id) &&
		!check_external_id(external_id, why))
		return false;
	return check_alias_parts(object, why);
}

static bool
check_braze_id(json_object *object, Why *why)
{
	return check_id_string("braze_id", object, MAX_EXTERNAL_ID_BYTES, why);
}

static bool
check_email_address(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"email", true}, {"prioritization", true}, {NULL, false}
	};

	if (json_object_is_type(object, json_type_string))
		return check_email(object, why);
	return check_fields("email_addresses", object, fields, why) &&
		check_email(json_object_object_get(object, "email"), why) &&
		check_prioritization(json_object_object_get(object, "prioritization"), why);
}

static bool
check_phone_number(json_object *object, Why *why)
{
	static const Field fields[] = {
		{"phone", true}, {"prioritization", true}, {NULL, false}
	};

	if (json_object_is_type(object, json_type_string))
		return check_id_string("phone", object, MAX_EXTERNAL_ID_BYTES, why);
	return check_fields("phone_numbers", object, fields, why) &&
		check_id_string("phone", json_object_object_get(object, "phone"),
						MAX_EXTERNAL_ID_BYTES, why) &&
		check_prioritization(json_object_object_get(object, "prioritization"), why);
}

static const struct
{
	const char *kind;
	Check		check;
}			checks[] = {
	{"attributes", check_attributes},
	{"events", check_event},
	{"purchases", check_purchase},
	{"aliases_to_identify", check_alias_to_identify},
	{"emails_to_identify", check_email_to_identify},
	{"phone_numbers_to_identify", check_phone_to_identify},
	{"merge_updates", check_merge},
	{"new_aliases", check_new_alias},
	{"external_ids", check_external_id},
	{"user_aliases", check_alias},
	{"braze_ids", check_braze_id},
	{"email_addresses", check_email_address},
	{"phone_numbers", check_phone_number},
};

bool
standin_validate(const char *kind, json_object *object, char *reason, size_t size)
{
	Why			why = {reason, size};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
	{
		if (strcmp(checks[i].kind, kind) == 0)
			return checks[i].check(object, &why);
	}
	return standin_refuse(&why, "'%.100s' is not the name of an array", kind);
}
