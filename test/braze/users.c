/*-------------------------------------------------------------------------
 *
 * users.c
 *	  The profiles that accepted objects are applied to.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "profile.h"
#include "users.h"

/* the newest texts, the oldest at first */
typedef struct Ring
{
	Text	  **texts;
	int			size;
	int			first;
	int			count;
	long		total;			/* ever added */
} Ring;

struct User
{
	json_object *attributes;
	Ring		events;
	Ring		purchases;
	long		items;			/* quantities of purchases added up */
	long		updates;		/* attributes objects */
	Identifier *identifiers;
};

static void
ring_add(Ring *ring, Text *text, int keep)
{
	ring->total++;
	if (keep == 0)
		return;
	if (ring->count == keep)
	{
		standin_text_free(ring->texts[ring->first]);
		ring->texts[ring->first] = standin_text_share(text);
		ring->first = (ring->first + 1) % keep;
		return;
	}
	/* until it is full, a ring begins at 0 */
	if (ring->count == ring->size)
	{
		ring->size = ring->size ? ring->size * 2 : 4;
		ring->texts = standin_realloc(ring->texts, (size_t) ring->size * sizeof(Text *));
	}
	ring->texts[ring->count++] = standin_text_share(text);
}

static Text *
ring_get(const Ring *ring, int i)
{
	return ring->texts[(ring->first + i) % ring->count];
}

static void
ring_free(Ring *ring)
{
	for (int i = 0; i < ring->count; i++)
		standin_text_free(ring->texts[i]);
	free(ring->texts);
	memset(ring, 0, sizeof(*ring));
}

static User *
user_create(Users *users)
{
	User	   *user = standin_alloc(sizeof(User));

	user->attributes = json_object_new_object();
	users->profiles++;
	return user;
}

static void
user_free(Users *users, User *user)
{
	Identifier *identifier;

	for (identifier = user->identifiers; identifier != NULL; identifier = identifier->next)
		identifier->user = NULL;
	json_object_put(user->attributes);
	ring_free(&user->events);
	ring_free(&user->purchases);
	free(user);
	users->profiles--;
}

static void
user_link(User *user, Identifier *identifier)
{
	identifier->user = user;
	identifier->next = user->identifiers;
	user->identifiers = identifier;
}

void
standin_users_init(Users *users, int keep)
{
	memset(users, 0, sizeof(*users));
	users->keep = keep;
}

void
standin_users_free(Users *users)
{
	for (unsigned i = 0; i < users->count; i++)
	{
		Identifier *identifier = users->all[i];

		if (identifier->user != NULL)
			user_free(users, identifier->user);
	}
	for (unsigned i = 0; i < users->count; i++)
	{
		free(users->all[i]->key);
		free(users->all[i]);
	}
	free(users->all);
	standin_table_free(&users->table);
	memset(users, 0, sizeof(*users));
}

static void
make_key(Buffer *key, const char *type, const char *value, const char *label)
{
	standin_buffer_puts(key, type);
	standin_buffer_add(key, "", 1);
	standin_buffer_puts(key, value);
	if (label != NULL)
	{
		standin_buffer_add(key, "", 1);
		standin_buffer_puts(key, label);
	}
}

Identifier *
standin_users_find(const Users *users, const char *type, const char *value,
				   const char *label)
{
	Buffer		key = {0};
	Identifier *identifier;

	make_key(&key, type, value, label);
	identifier = standin_table_get(&users->table, key.data, key.length);
	standin_buffer_free(&key);
	return identifier;
}

Identifier *
standin_users_identifier(Users *users, const char *type, const char *value,
						 const char *label)
{
	static const char *const types[] = {
		"external_id", "user_alias", "braze_id", "email", "phone", NULL
	};
	Identifier *identifier = standin_users_find(users, type, value, label);
	Buffer		key = {0};

	if (identifier != NULL)
		return identifier;
	make_key(&key, type, value, label);
	identifier = standin_alloc(sizeof(Identifier));
	identifier->key = key.data;
	identifier->length = key.length;
	for (const char *const *known = types; *known != NULL; known++)
	{
		if (strcmp(*known, type) == 0)
			identifier->type = *known;
	}
	identifier->value = key.data + strlen(type) + 1;
	if (label != NULL)
		identifier->label = identifier->value + strlen(value) + 1;
	if (users->count == users->size)
	{
		users->size = users->size ? users->size * 2 : 64;
		users->all = standin_realloc(users->all, users->size * sizeof(Identifier *));
	}
	identifier->number = users->count;
	users->all[users->count++] = identifier;
	standin_table_add(&users->table, identifier->key, identifier->length, identifier);
	return identifier;
}

static const char *
string_member(json_object *object, const char *name)
{
	json_object *value = json_object_object_get(object, name);

	return json_object_is_type(value, json_type_string) ?
		json_object_get_string(value) : NULL;
}

static Identifier *
identify_alias(Users *users, json_object *alias)
{
	const char *name = string_member(alias, "alias_name");
	const char *label = string_member(alias, "alias_label");

	if (name == NULL || label == NULL)
		return NULL;
	return standin_users_identifier(users, "user_alias", name, label);
}

Identifier *
standin_users_identify(Users *users, json_object *object)
{
	static const char *const types[] = {
		"external_id", "user_alias", "braze_id", "email", "phone", NULL
	};

	if (!json_object_is_type(object, json_type_object))
		return NULL;
	for (const char *const *type = types; *type != NULL; type++)
	{
		const char *value = string_member(object, *type);

		if (value != NULL)
			return standin_users_identifier(users, *type, value, NULL);
		if (strcmp(*type, "user_alias") == 0 &&
			json_object_is_type(json_object_object_get(object, *type), json_type_object))
			return identify_alias(users, json_object_object_get(object, *type));
	}
	return NULL;
}

/* an alias names no profile to create unless it says so; the others do */
static bool
may_create(const Identifier *identifier, json_object *object)
{
	json_object *flag;

	if (json_object_object_get_ex(object, "_update_existing_only", &flag))
		return !json_object_get_boolean(flag);
	return identifier->label == NULL;
}

static bool
apply_track(Users *users, const char *kind, json_object *object, Text *text)
{
	Identifier *identifier = standin_users_identify(users, object);
	User	   *user;

	if (identifier->user == NULL)
	{
		if (!may_create(identifier, object))
			return false;
		user_link(user_create(users), identifier);
	}
	user = identifier->user;
	if (strcmp(kind, "attributes") == 0)
	{
		user->updates++;
		standin_profile_update(user->attributes, object);
	}
	else if (strcmp(kind, "events") == 0)
		ring_add(&user->events, text, users->keep);
	else
	{
		json_object *quantity = json_object_object_get(object, "quantity");

		ring_add(&user->purchases, text, users->keep);
		user->items += quantity ? json_object_get_int64(quantity) : 1;
	}
	return true;
}

static void
move_ring(Ring *into, Ring *from, int keep)
{
	long		total = into->total + from->total;

	for (int i = 0; i < from->count; i++)
		ring_add(into, ring_get(from, i), keep);
	into->total = total;
}

static bool
has_label(const User *user, const char *label)
{
	for (const Identifier *i = user->identifiers; i != NULL; i = i->next)
	{
		if (i->label != NULL && strcmp(i->label, label) == 0)
			return true;
	}
	return false;
}

/* may the kept profile be known by this one as well? */
static bool
can_take(const User *keep, const Identifier *identifier)
{
	if (identifier->label != NULL)
		return !has_label(keep, identifier->label);
	for (const Identifier *i = keep->identifiers; i != NULL; i = i->next)
	{
		if (strcmp(i->type, identifier->type) == 0)
			return false;
	}
	return true;
}

/* what the kept profile lacks comes from the other, which then is gone */
static void
merge_users(Users *users, User *keep, User *merge)
{
	if (keep == merge)
		return;
	{
		json_object_object_foreach(merge->attributes, name, value)
		{
			if (!json_object_object_get_ex(keep->attributes, name, NULL))
				json_object_object_add(keep->attributes, name, json_object_get(value));
		}
	}
	move_ring(&keep->events, &merge->events, users->keep);
	move_ring(&keep->purchases, &merge->purchases, users->keep);
	keep->items += merge->items;
	keep->updates += merge->updates;
	while (merge->identifiers != NULL)
	{
		Identifier *identifier = merge->identifiers;

		merge->identifiers = identifier->next;
		identifier->user = NULL;
		if (can_take(keep, identifier))
			user_link(keep, identifier);
	}
	user_free(users, merge);
}

/*
 * Braze gives a user one alias per label: when there is one already, nothing
 * is combined, and the answer does not tell.
 */
static bool
apply_identify(Users *users, Identifier *from, const char *external_id)
{
	Identifier *to = standin_users_identifier(users, "external_id", external_id, NULL);

	if (from->user == NULL || from->user == to->user)
		return false;
	if (to->user == NULL)
	{
		user_link(from->user, to);
		return true;
	}
	if (from->label != NULL && has_label(to->user, from->label))
		return false;
	merge_users(users, to->user, from->user);
	return true;
}

static bool
apply_merge(Users *users, json_object *object)
{
	Identifier *from = standin_users_identify(users,
											  json_object_object_get(object, "identifier_to_merge"));
	Identifier *to = standin_users_identify(users,
											json_object_object_get(object, "identifier_to_keep"));

	if (from->user == NULL || to->user == NULL || from->user == to->user)
		return false;
	merge_users(users, to->user, from->user);
	return true;
}

static bool
apply_new_alias(Users *users, json_object *object)
{
	Identifier *alias = identify_alias(users, object);
	const char *external_id = string_member(object, "external_id");

	if (alias->user != NULL)
		return false;
	if (external_id != NULL)
	{
		Identifier *owner = standin_users_identifier(users, "external_id", external_id,
													 NULL);

		if (owner->user == NULL || has_label(owner->user, alias->label))
			return false;
		user_link(owner->user, alias);
		return true;
	}
	user_link(user_create(users), alias);
	return true;
}

static bool
apply_delete(Users *users, const char *type, json_object *object)
{
	Identifier *identifier;

	if (strcmp(type, "user_alias") == 0)
		identifier = identify_alias(users, object);
	else if (json_object_is_type(object, json_type_string))
		identifier = standin_users_identifier(users, type,
											  json_object_get_string(object), NULL);
	else
		identifier = standin_users_identify(users, object);
	if (identifier->user == NULL)
		return false;
	user_free(users, identifier->user);
	return true;
}

bool
standin_users_apply(Users *users, const char *kind, json_object *object, Text *text)
{
	static const struct
	{
		const char *kind;
		const char *type;
	}			deletions[] = {
		{"external_ids", "external_id"},
		{"user_aliases", "user_alias"},
		{"braze_ids", "braze_id"},
		{"email_addresses", "email"},
		{"phone_numbers", "phone"},
	};

	for (size_t i = 0; i < sizeof(deletions) / sizeof(deletions[0]); i++)
	{
		if (strcmp(kind, deletions[i].kind) == 0)
			return apply_delete(users, deletions[i].type, object);
	}
	if (strcmp(kind, "aliases_to_identify") == 0)
		return apply_identify(users,
							  identify_alias(users, json_object_object_get(object, "user_alias")),
							  string_member(object, "external_id"));
	if (strcmp(kind, "emails_to_identify") == 0)
		return apply_identify(users,
							  standin_users_identifier(users, "email",
													   string_member(object, "email"), NULL),
							  string_member(object, "external_id"));
	if (strcmp(kind, "phone_numbers_to_identify") == 0)
		return apply_identify(users,
							  standin_users_identifier(users, "phone",
													   string_member(object, "phone"), NULL),
							  string_member(object, "external_id"));
	if (strcmp(kind, "merge_updates") == 0)
		return apply_merge(users, object);
	if (strcmp(kind, "new_aliases") == 0)
		return apply_new_alias(users, object);
	return apply_track(users, kind, object, text);
}

static void
print_ring(const char *name, const Ring *ring, Buffer *out)
{
	standin_buffer_printf(out, ",\"%s\":[", name);
	for (int i = 0; i < ring->count; i++)
	{
		if (i > 0)
			standin_buffer_puts(out, ",");
		standin_buffer_add(out, ring_get(ring, i)->data, ring_get(ring, i)->length);
	}
	standin_buffer_puts(out, "]");
}

static void
print_identifiers(const User *user, Buffer *out)
{
	bool		first = true;

	for (const Identifier *i = user->identifiers; i != NULL; i = i->next)
	{
		if (i->label != NULL)
			continue;
		standin_buffer_printf(out, "\"%s\":", i->type);
		standin_buffer_quote(out, i->value);
		standin_buffer_puts(out, ",");
	}
	standin_buffer_puts(out, "\"user_aliases\":[");
	for (const Identifier *i = user->identifiers; i != NULL; i = i->next)
	{
		if (i->label == NULL)
			continue;
		standin_buffer_puts(out, first ? "{\"alias_name\":" : ",{\"alias_name\":");
		standin_buffer_quote(out, i->value);
		standin_buffer_puts(out, ",\"alias_label\":");
		standin_buffer_quote(out, i->label);
		standin_buffer_puts(out, "}");
		first = false;
	}
	standin_buffer_puts(out, "]");
}

void
standin_users_print(const User *user, Buffer *out)
{
	standin_buffer_puts(out, "{");
	print_identifiers(user, out);
	standin_buffer_puts(out, ",\"attributes\":");
	standin_buffer_puts(out, json_object_to_json_string_ext(user->attributes,
															JSON_C_TO_STRING_PLAIN |
															JSON_C_TO_STRING_NOSLASHESCAPE));
	standin_buffer_printf(out, ",\"update_count\":%ld,\"event_count\":%ld,"
						  "\"purchase_count\":%ld,\"item_count\":%ld",
						  user->updates, user->events.total, user->purchases.total,
						  user->items);
	print_ring("events", &user->events, out);
	print_ring("purchases", &user->purchases, out);
	standin_buffer_puts(out, "}");
}
