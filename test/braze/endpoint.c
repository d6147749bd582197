/*-------------------------------------------------------------------------
 *
 * endpoint.c
 *	  Braze's endpoints, and how a request to one is read.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rawjson.h"
#include "standin.h"

#define MAX_IDENTITY_ITEMS	50

static const Endpoint endpoints[] = {
	{"/users/track", 201, NULL, false, {
		{"attributes", "attributes"},
		{"events", "events"},
		{"purchases", "purchases"},
	}},
	{"/users/identify", 201, "aliases_processed", false, {
		{"aliases_to_identify", "aliases_to_identify"},
		{"emails_to_identify", "emails_to_identify"},
		{"phone_numbers_to_identify", "phone_numbers_to_identify"},
	}},
	{"/users/merge", 202, NULL, false, {
		{"merge_updates", "merge_updates"},
	}},
	{"/users/delete", 200, "deleted", true, {
		{"external_ids", "external_ids"},
		{"user_aliases", "user_aliases"},
		{"braze_ids", "braze_ids"},
		{"email_addresses", "email_addresses"},
		{"phone_numbers", "phone_numbers"},
	}},
	{"/users/alias/new", 201, "aliases_processed", false, {
		{"user_aliases", "new_aliases"},
	}},
};

const char *const standin_kinds[KINDS] = {
	"attributes", "events", "purchases", "aliases_to_identify", "emails_to_identify",
	"phone_numbers_to_identify", "merge_updates", "external_ids", "user_aliases",
	"braze_ids", "email_addresses", "phone_numbers", "new_aliases"
};

const Endpoint *
standin_endpoint(const char *path)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
	{
		if (strcmp(endpoints[i].path, path) == 0)
			return &endpoints[i];
	}
	return NULL;
}

int
standin_kind(const char *kind)
{
	int			i = 0;

	while (strcmp(standin_kinds[i], kind) != 0)
		i++;
	return i;
}

static bool
malformed(Request *request, const char *message)
{
	Buffer		body = {0};

	standin_buffer_puts(&body, "{\"message\":");
	standin_buffer_quote(&body, message);
	standin_buffer_puts(&body, "}");
	standin_http_answer(request, 400, body.data);
	standin_buffer_free(&body);
	return false;
}

static const Array *
array_named(const Endpoint *endpoint, const char *name, size_t length)
{
	for (const Array *array = endpoint->arrays; array->kind != NULL; array++)
	{
		if (strlen(array->name) == length && memcmp(array->name, name, length) == 0)
			return array;
	}
	return NULL;
}

/* the string of a member, NULL if there is none */
static const char *
string_member(json_object *object, const char *name)
{
	json_object *value;

	if (!json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, name, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

/* the profile that the merging endpoints fold into another */
static Identifier *
second_user(Users *users, Item *item)
{
	json_object *object = item->object;
	const char *value;

	if (strcmp(item->array->kind, "merge_updates") == 0)
		return standin_users_identify(users,
									  json_object_object_get(object,
															 "identifier_to_keep"));
	if (strcmp(item->array->kind, "aliases_to_identify") == 0)
	{
		json_object *alias = json_object_object_get(object, "user_alias");
		const char *name = string_member(alias, "alias_name");
		const char *label = string_member(alias, "alias_label");

		if (name != NULL && label != NULL)
			return standin_users_identifier(users, "user_alias", name, label);
	}
	if (strcmp(item->array->kind, "emails_to_identify") == 0 &&
		(value = string_member(object, "email")) != NULL)
		return standin_users_identifier(users, "email", value, NULL);
	if (strcmp(item->array->kind, "phone_numbers_to_identify") == 0 &&
		(value = string_member(object, "phone")) != NULL)
		return standin_users_identifier(users, "phone", value, NULL);
	return NULL;
}

/* elements of /users/delete are bare strings in most arrays */
static Identifier *
bare_user(Users *users, Item *item)
{
	static const struct
	{
		const char *kind;
		const char *type;
	}			bare[] = {
		{"external_ids", "external_id"},
		{"braze_ids", "braze_id"},
		{"email_addresses", "email"},
		{"phone_numbers", "phone"},
	};

	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
	{
		if (strcmp(bare[i].kind, item->array->kind) == 0)
			return standin_users_identifier(users, bare[i].type,
											json_object_get_string(item->object), NULL);
	}
	return NULL;
}

static void
name_item(Standin *standin, Item *item)
{
	Users	   *users = &standin->users;
	const char *alias = string_member(item->object, "alias_name");
	const char *label = string_member(item->object, "alias_label");

	if (strcmp(item->array->kind, "events") == 0)
		item->name = string_member(item->object, "name");
	else if (strcmp(item->array->kind, "purchases") == 0)
		item->name = string_member(item->object, "product_id");

	if (json_object_is_type(item->object, json_type_string))
		item->who = bare_user(users, item);
	else if (strcmp(item->array->kind, "merge_updates") == 0 &&
			 json_object_is_type(item->object, json_type_object))
		item->who = standin_users_identify(users,
										   json_object_object_get(item->object,
																  "identifier_to_merge"));
	else
		item->who = standin_users_identify(users, item->object);
	if (item->who == NULL && alias != NULL && label != NULL)
		item->who = standin_users_identifier(users, "user_alias", alias, label);
	if (json_object_is_type(item->object, json_type_object))
		item->also = second_user(users, item);
}

static void
add_items(Standin *standin, Request *request, const Array *array, json_object *values,
		  const char *text)
{
	size_t		length = json_object_array_length(values);
	const char *at = text;

	request->items = standin_realloc(request->items,
									 ((size_t) request->nitems + length) * sizeof(Item));
	for (size_t i = 0; i < length; i++)
	{
		Item	   *item = &request->items[request->nitems++];

		memset(item, 0, sizeof(*item));
		item->array = array;
		item->index = (int) i;
		item->object = json_object_array_get_idx(values, i);
		standin_json_next(&at, &item->start, &item->length);
		name_item(standin, item);
		standin->stats.received[standin_kind(array->kind)]++;
	}
}

/* where the value of a top-level member begins in the body */
static const char *
member_text(const Request *request, const char *name)
{
	const char *at = request->body.data;
	const char *start;
	size_t		length;

	while (standin_json_next(&at, &start, &length))
	{
		const char *colon = standin_json_end(start);

		if (strncmp(start + 1, name, strlen(name)) == 0 && start[1 + strlen(name)] == '"')
		{
			colon += strspn(colon, " \t\r\n");
			return colon + 1 + strspn(colon + 1, " \t\r\n");
		}
	}
	return NULL;
}

/* what passed the check: a strict tokener of 0.18 takes ASCII strings only */
static json_object *
parse(const Request *request)
{
	json_tokener *tokener = json_tokener_new_ex(STANDIN_JSON_DEPTH + 1);
	json_object *json;

	json = json_tokener_parse_ex(tokener, request->body.data,
								 (int) request->body.length + 1);
	json_tokener_free(tokener);
	return json;
}

static bool
check_arrays(Standin *standin, Request *request, int *narrays)
{
	const Endpoint *endpoint = request->endpoint;
	bool		track = endpoint == &endpoints[0];
	size_t		most = (size_t) (track ? standin->options->max_objects : MAX_IDENTITY_ITEMS);
	size_t		count = 0;
	char		message[REASON_SIZE];

	*narrays = 0;
	json_object_object_foreach(request->json, key, value)
	{
		if (array_named(endpoint, key, strlen(key)) == NULL)
		{
			snprintf(message, sizeof(message), "'%.100s' is not a known field", key);
			return malformed(request, message);
		}
		if (!json_object_is_type(value, json_type_array))
		{
			snprintf(message, sizeof(message), "'%s' must be an array of objects", key);
			return malformed(request, message);
		}
		if (member_text(request, key) == NULL)
			return malformed(request, "an array's name is written with escapes");
		count += json_object_array_length(value);
		(*narrays)++;
	}
	if (count > most)
	{
		snprintf(message, sizeof(message), "a request may hold at most %zu objects, "
				 "this one holds %zu", most, count);
		return malformed(request, message);
	}
	if (count == 0)
		return malformed(request, track ? "Valid data must be provided in the "
						 "'attributes', 'events', or 'purchases' fields." :
						 "an array that is not empty must be provided");
	return true;
}

/*
 * Reads the body into items, in the order in which Braze applies them.  False
 * when it is malformed; the answer then says so.
 */
bool
standin_read(Standin *standin, Request *request)
{
	char		reason[REASON_SIZE];
	int			narrays;

	if (request->body.length == 0)
		return malformed(request, "the body is empty");
	if (!standin_json_check(request->body.data, request->body.length, reason,
							sizeof(reason)))
		return malformed(request, reason);
	request->json = parse(request);
	if (!json_object_is_type(request->json, json_type_object))
		return malformed(request, "the body must be a JSON object");
	if (!check_arrays(standin, request, &narrays))
		return false;
	if (request->endpoint->one_array && narrays != 1)
		return malformed(request, "exactly one kind of identifier must be given");

	for (const Array *array = request->endpoint->arrays; array->kind != NULL; array++)
	{
		json_object *values;

		if (json_object_object_get_ex(request->json, array->name, &values))
			add_items(standin, request, array, values,
					  member_text(request, array->name));
	}
	standin->stats.with_objects++;
	if (standin->stats.with_objects == 1 || request->nitems < standin->stats.fewest)
		standin->stats.fewest = request->nitems;
	if (request->nitems > standin->stats.most)
		standin->stats.most = request->nitems;
	return true;
}
