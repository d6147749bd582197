/*-------------------------------------------------------------------------
 *
 * map_properties.c
 *	  Names, and the properties of an event or a purchase.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "map_internal.h"

const char *const braze_event_reserved[] = {"time", "event_name", NULL};

const char *const braze_purchase_reserved[] = {
	"time", "product_id", "quantity", "event_name", "price", "currency", NULL
};

const char *const braze_no_reserved[] = {NULL};

void
braze_names_add(BrazeNames *names, BrazeString name)
{
	if (names->count < BRAZE_NAMES)
		names->names[names->count++] = name;
}

bool
braze_names_has(const BrazeNames *names, BrazeString name)
{
	for (int i = 0; i < names->count; i++)
	{
		if (names->names[i].length == name.length &&
			memcmp(names->names[i].data, name.data, name.length) == 0)
			return true;
	}
	return false;
}

bool
braze_name(BrazeMap *map, const char *what, JsonbContainer *object,
		   BrazeString key, BrazeString *name)
{
	JsonbValue	other;

	*name = braze_trim(key);

	if (name->length == 0)
	{
		braze_note(map, "A %s without a name was left out; give it one.", what);
		return false;
	}
	if (name->data[0] == '$')
	{
		braze_note(map, "The %s %s was left out: Braze refuses names that begin with \"$\"; rename it.",
				   what, braze_quote(*name));
		return false;
	}
	if (braze_longer_than(*name, BRAZE_MAX_NAME))
	{
		braze_note(map, "The %s %s was left out: its name is longer than %d characters; shorten it.",
				   what, braze_quote(*name), BRAZE_MAX_NAME);
		return false;
	}
	if (likely(name->length == key.length))
		return true;

	/*
	 * Trimmed, it may meet another.  The list of such names is short, so that
	 * an object of nothing else costs no more than its size.
	 */
	if (braze_lookup_key(object, name->data, name->length, &other) ||
		braze_names_has(&map->padded, *name))
	{
		braze_note(map, "A second %s %s was left out: its name is the same without the white space around it.",
				   what, braze_quote(*name));
		return false;
	}
	if (map->padded.count == BRAZE_NAMES)
	{
		braze_note(map, "The %s %s was left out: more than %d names have white space around them.",
				   what, braze_quote(*name), BRAZE_NAMES);
		return false;
	}
	braze_names_add(&map->padded, *name);
	return true;
}

/*
 * Each entry is written with a comma before it; the first one's becomes the
 * opening brace in the end, so that any entry can be taken out again.
 */
void
braze_properties_begin(BrazeProperties *properties, BrazeMap *map, const char *key,
					   bool comma, const char *const *reserved, int limit)
{
	properties->map = map;
	properties->reserved = reserved;
	properties->limit = limit;
	properties->mark = braze_text_mark(&map->text);
	if (comma)
		braze_text_char(&map->text, ',');
	braze_text_string(&map->text, key, strlen(key));
	braze_text_char(&map->text, ':');
	properties->start = braze_text_mark(&map->text);
	map->nitems = 0;
	map->padded.count = 0;
}

static void
record_item(BrazeMap *map, BrazeString name, int offset)
{
	BrazeItem  *item;

	if (map->nitems == map->maxitems)
	{
		map->maxitems *= 2;
		map->items = repalloc_huge(map->items, sizeof(BrazeItem) * map->maxitems);
	}
	item = &map->items[map->nitems++];
	item->name = name;
	item->offset = offset;
	item->length = map->mapped.text.len - offset;
}

static void
note_too_large(BrazeProperties *properties, BrazeString name)
{
	braze_note(properties->map, "The property %s was left out: with it the properties are larger than Braze takes.",
			   braze_quote(name));
}

static void
remove_largest(BrazeProperties *properties)
{
	BrazeMap   *map = properties->map;
	char	   *data = map->mapped.text.data;
	int			largest = 0;
	BrazeItem	item;

	for (int i = 1; i < map->nitems; i++)
	{
		if (map->items[i].length >= map->items[largest].length)
			largest = i;
	}
	item = map->items[largest];
	note_too_large(properties, item.name);

	memmove(data + item.offset, data + item.offset + item.length,
			map->mapped.text.len - item.offset - item.length);
	map->mapped.text.len -= item.length;
	map->nitems--;
	for (int i = largest; i < map->nitems; i++)
	{
		map->items[i] = map->items[i + 1];
		map->items[i].offset -= item.length;
	}
}

/*
 * After an entry.  Taking out the largest whenever the sum is too large leaves
 * the same entries as doing so in the end, and never holds much more than the
 * limit: an entry among those that stay is never the largest.
 */
static void
entry_written(BrazeProperties *properties, BrazeString name, int offset)
{
	BrazeMap   *map = properties->map;

	record_item(map, name, offset);
	while (map->mapped.text.len + 1 - properties->start > properties->limit)
		remove_largest(properties);
}

static void
add_entry(BrazeProperties *properties, BrazeString name, const JsonbValue *value)
{
	BrazeMap   *map = properties->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	int			limit;
	bool		written;
	BrazeLoss	loss;

	limit = braze_text_narrow(text, properties->limit);
	braze_write_key(map, name.data, name.length);
	written = braze_text_value(text, value, BRAZE_IN_PROPERTY, &loss);
	text->limit = limit;

	if (text->full)
	{
		braze_text_rewind(text, mark);
		note_too_large(properties, name);
		return;
	}
	if (!written)
		braze_text_rewind(text, mark);
	if (unlikely(loss.flags != 0))
	{
		if (value->type == jbvNull)
			braze_note(map, "The property %s was left out: it is null, and Braze takes no null in properties.",
					   braze_quote(name));
		else if (value->type == jbvNumeric)
			braze_note(map, "The property %s was left out: Braze cannot read a number beyond 1.7e308.",
					   braze_quote(name));
		else
			braze_note_loss(map, "property", name, &loss, written);
		if (loss.flags & BRAZE_LONG_STRING)
			braze_note(map, "The property %s holds a text of more than %d characters: Braze cuts off the rest.",
					   braze_quote(name), BRAZE_MAX_NAME);
	}
	if (written)
		entry_written(properties, name, mark);
}

static bool
is_reserved(const BrazeProperties *properties, BrazeString name)
{
	for (const char *const *reserved = properties->reserved; *reserved != NULL; reserved++)
	{
		if (braze_string_is(name, *reserved))
			return true;
	}
	return false;
}

/* has the object a value of this name that is not null? */
static bool
has_value(JsonbContainer *object, BrazeString name)
{
	JsonbValue	value;

	return braze_lookup_key(object, name.data, name.length, &value) &&
		value.type != jbvNull;
}

void
braze_properties_add(BrazeProperties *properties, JsonbContainer *object,
					 const BrazeNames *consumed, JsonbContainer *beside)
{
	BrazeMap   *map = properties->map;
	BrazeWalk	walk;
	BrazeString key;
	BrazeString name;
	JsonbValue	value;
	BrazeNames	padded_beside;

	/* where the key itself did not fit, the object is given up at its end */
	if (object == NULL || map->text.full || map->mapped.judging)
		return;
	if (beside != NULL)
		padded_beside = map->padded;
	braze_walk_object(&walk, object);
	while (braze_walk_pair(&walk, &key, &value))
	{
		if (consumed != NULL && braze_names_has(consumed, key))
			continue;
		if (is_reserved(properties, braze_trim(key)))
		{
			braze_note(map, "The property %s was left out: Braze keeps that name for itself; rename the property.",
					   braze_quote(braze_trim(key)));
			continue;
		}
		if (beside != NULL &&
			(has_value(beside, braze_trim(key)) ||
			 braze_names_has(&padded_beside, braze_trim(key))))
			continue;
		if (!braze_name(map, "property", object, key, &name))
			continue;
		add_entry(properties, name, &value);
	}
}

void
braze_properties_add_text(BrazeProperties *properties, const char *name, BrazeString text)
{
	JsonbValue	value;
	BrazeString key = {name, strlen(name)};

	if (properties->map->text.full)
		return;
	value.type = jbvString;
	value.val.string.val = unconstify(char *, text.data);
	value.val.string.len = text.length;
	add_entry(properties, key, &value);
}

bool
braze_properties_end(BrazeProperties *properties)
{
	BrazeMap   *map = properties->map;

	if (map->nitems == 0)
	{
		if (!map->text.full)
			braze_text_rewind(&map->text, properties->mark);
		return false;
	}
	if (map->nitems > BRAZE_MAX_PROPERTIES)
		braze_note(map, "There are more than %d properties: Braze ignores the rest.",
				   BRAZE_MAX_PROPERTIES);
	map->mapped.text.data[properties->start] = '{';
	braze_text_close(&map->text, '}');
	return true;
}
