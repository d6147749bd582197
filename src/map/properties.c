/*-------------------------------------------------------------------------
 *
 * properties.c
 *	  The properties of an event or a purchase: as many as Braze takes.
 *
 * What is too much is the largest entries, of the same size the later ones.
 * Entries are written into a buffer of their own, each with a comma before it,
 * and into the object when it is known which of them stay.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/grow.h"
#include "json/number.h"
#include "map/map_internal.h"

/*
 * A set that has grown to GROWN_LIMITS times the limit is cut to KEPT_LIMITS
 * times: often enough for the memory, seldom enough for the time.  More than
 * the limit stays, since another object may hide some of the smallest.
 */
#define GROWN_LIMITS		4
#define KEPT_LIMITS			2

/* ----- a set of entries ----- */

void
braze_properties_init(BrazeEntries *entries)
{
	initStringInfo(&entries->data);
	entries->text.out = &entries->data;
	entries->max = 64;
	entries->list = palloc(sizeof(BrazeEntry) * entries->max);
	entries->order = palloc(sizeof(int) * entries->max);
	entries->maxlost = 8;
	entries->lost = palloc(sizeof(BrazeString) * entries->maxlost);
}

static void
begin_entries(BrazeEntries *entries, int limit)
{
	resetStringInfo(&entries->data);

	/*
	 * The set is cut when it has grown too far, which the entry that makes it
	 * so must fit into.
	 */
	entries->text.limit = limit * (GROWN_LIMITS + 1);
	entries->text.full = false;
	entries->size = 0;
	entries->limit = limit;
	entries->longest = limit;
	entries->count = 0;
	entries->sorted = 0;
	entries->nlost = 0;
}

static void
record_entry(BrazeEntries *entries, BrazeString name, int offset, bool is_long)
{
	BrazeEntry *entry;

	if (entries->count == entries->max)
	{
		int			room = entries->max;

		entries->order = braze_grow(entries->order, &room, sizeof(int));
		entries->list = braze_grow(entries->list, &entries->max, sizeof(BrazeEntry));
	}
	entry = &entries->list[entries->count++];
	entry->name = name;
	entry->offset = offset;
	entry->length = entries->data.len - offset;
	entry->size = braze_text_size(&entries->text, offset);
	entries->size += entry->size;
	entry->left_out = false;
	entry->is_long = is_long;
	entry->hidden = 0;
}

static void
note_too_large(BrazeMap *map, BrazeString name)
{
	braze_mapping_note(map, "The property %s was left out: with it the properties are larger than Braze takes.",
					   braze_mapping_note_quote(name));
}

static void
lose_entry(BrazeMap *map, BrazeEntries *entries, BrazeString name)
{
	note_too_large(map, name);
	if (entries->nlost == entries->maxlost)
		entries->lost = braze_grow(entries->lost, &entries->maxlost, sizeof(BrazeString));
	entries->lost[entries->nlost++] = name;
}

static int
compare_lost(const void *a, const void *b)
{
	const BrazeString *left = a;
	const BrazeString *right = b;

	return braze_string_compare(left->data, left->length, right->data, right->length);
}

/* smaller ones first; of the same size, earlier ones */
static int
compare_sizes(const void *a, const void *b, void *list)
{
	const BrazeEntry *left = (BrazeEntry *) list + *(const int *) a;
	const BrazeEntry *right = (BrazeEntry *) list + *(const int *) b;

	if (left->size != right->size)
		return left->size < right->size ? -1 : 1;
	return left < right ? -1 : 1;
}

static int
compare_property_names(const void *a, const void *b, void *list)
{
	const BrazeEntry *left = (BrazeEntry *) list + *(const int *) a;
	const BrazeEntry *right = (BrazeEntry *) list + *(const int *) b;

	return braze_string_compare(left->name.data, left->name.length,
								right->name.data, right->name.length);
}

static void
sort_entries(BrazeEntries *entries, qsort_arg_comparator compare)
{
	for (int i = 0; i < entries->count; i++)
		entries->order[i] = i;
	qsort_arg(entries->order, entries->count, sizeof(int), compare, entries->list);
}

static void
sort_by_name(BrazeEntries *entries)
{
	sort_entries(entries, compare_property_names);
	entries->sorted = entries->count;
}

/* among those that were there when they were sorted by name; NULL: none */
static BrazeEntry *
find_entry(const BrazeEntries *entries, BrazeString name)
{
	int			low = 0;
	int			high = entries->sorted;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		BrazeEntry *entry = &entries->list[entries->order[middle]];
		int			order = braze_string_compare(entry->name.data, entry->name.length,
												 name.data, name.length);

		if (order == 0)
			return entry;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Leaves out all but the first of the sorted entries, and closes the gaps;
 * those that stay keep their own order.
 */
static void
keep_first(BrazeMap *map, BrazeEntries *entries, int kept)
{
	char	   *data = entries->data.data;
	int			length = 0;
	int			size = 0;
	int			count = 0;

	for (int i = entries->count - 1; i >= kept; i--)
	{
		BrazeEntry *entry = &entries->list[entries->order[i]];

		entry->left_out = true;

		/*
		 * From the largest down: where there are too many notes, it is the
		 * one to keep.
		 */
		lose_entry(map, entries, entry->name);
	}
	for (int i = 0; i < entries->count; i++)
	{
		BrazeEntry	entry = entries->list[i];

		if (entry.left_out)
			continue;
		memmove(data + length, data + entry.offset, entry.length);
		entry.offset = length;
		length += entry.length;
		size += entry.size;
		entries->list[count++] = entry;
	}
	entries->data.len = length;
	entries->size = size;
	entries->count = count;
}

/* what is as large as one that was cut off, and comes later, has no chance */
static void
cut_entries(BrazeMap *map, BrazeEntries *entries)
{
	int			kept = 0;
	int			size = 0;

	sort_entries(entries, compare_sizes);
	while (size < entries->limit * KEPT_LIMITS)
		size += entries->list[entries->order[kept++]].size;
	entries->longest = entries->list[entries->order[kept - 1]].size - 1;
	keep_first(map, entries, kept);
	if (entries->sorted > 0)
		sort_by_name(entries);
}

/* writes one property, or notes why there is none */
static void
add_entry(BrazeMap *map, BrazeEntries *entries, BrazeString name, const JsonbValue *value)
{
	BrazeText  *text = &entries->text;
	int			mark = braze_text_mark(text);
	int			limit;
	bool		written;
	BrazeLoss	loss;

	/* no more than could stay is written of a value, however large it is */
	limit = braze_text_narrow(text, entries->longest);
	braze_text_char(text, ',');
	braze_json_write_string(text, name.data, name.length);
	braze_text_char(text, ':');
	written = braze_json_write_value(text, value, BRAZE_IN_PROPERTY, &loss);
	braze_text_widen(text, limit, mark, entries->longest);

	if (text->full)
	{
		braze_text_rewind(text, mark);
		lose_entry(map, entries, name);
		return;
	}
	if (!written)
		braze_text_rewind(text, mark);
	if (unlikely(loss.flags != 0))
	{
		if (value->type == jbvNull)
			braze_mapping_note(map, "The property %s was left out: it is null, and Braze takes no null in properties.",
							   braze_mapping_note_quote(name));
		else if (value->type == jbvNumeric)
			braze_mapping_note(map, "The property %s was left out: its number is beyond 1.7e308, which Braze cannot read, or has more than %d digits.",
							   braze_mapping_note_quote(name), BRAZE_MAX_DIGITS);
		else
			braze_mapping_note_loss(map, "property", name, &loss, written);
	}
	if (!written)
		return;
	record_entry(entries, name, mark, loss.flags & BRAZE_LONG_STRING);

	/* after each entry, or thousands of them would be gigabytes at the end */
	if (unlikely(entries->size > entries->limit * GROWN_LIMITS))
		cut_entries(map, entries);
}

/* is this what an entry has already? */
static bool
is_same_entry(BrazeEntries *entries, const BrazeEntry *entry, const JsonbValue *value)
{
	BrazeText  *text = &entries->text;
	int			mark = braze_text_mark(text);

	/* a number is written where an upper bound of its length has room */
	int			limit = braze_text_narrow(text, entry->length + 32);
	BrazeLoss	loss;
	bool		same;

	braze_text_char(text, ',');
	braze_json_write_string(text, entry->name.data, entry->name.length);
	braze_text_char(text, ':');
	same = braze_json_write_value(text, value, BRAZE_IN_PROPERTY, &loss) && !text->full &&
		braze_text_mark(text) - mark == entry->length &&
		memcmp(entries->data.data + mark, entries->data.data + entry->offset, entry->length) == 0;
	text->limit = limit;
	braze_text_rewind(text, mark);
	return same;
}

static bool
is_reserved(BrazeString name, const char *const *reserved)
{
	for (; *reserved != NULL; reserved++)
	{
		if (braze_string_is(name, *reserved))
			return true;
	}
	return false;
}

/*
 * The pairs of an object that belong among the properties.  Of two with one
 * name the first stays.  Keys of one object are different, but for white space
 * around them, so only what other objects have brought is looked through.
 */
static void
add_object(BrazeMap *map, BrazeEntries *entries, JsonbContainer *object,
		   const char *const *reserved, const BrazeNames *consumed)
{
	BrazeWalk	walk;
	BrazeString key;
	BrazeString name;
	JsonbValue	value;
	BrazeEntry *entry;
	int			nlost = entries->nlost;

	if (object == NULL || map->mapped.judging)
		return;
	if (entries->count > 0)
		sort_by_name(entries);
	qsort(entries->lost, nlost, sizeof(BrazeString), compare_lost);
	braze_walk_object(&walk, object);
	while (braze_walk_pair(&walk, &key, &value))
	{
		CHECK_FOR_INTERRUPTS();

		/*
		 * What has become a field of its own has no note: nothing of it is
		 * lost.
		 */
		if (consumed != NULL && braze_property_names_has(consumed, key))
			continue;
		if (is_reserved(braze_trim(key), reserved))
		{
			braze_mapping_note(map, "The property %s was left out: Braze keeps that name for itself; rename the property.",
							   braze_mapping_note_quote(braze_trim(key)));
			continue;
		}
		if (!braze_property_names_read(map, "property", object, key, &name))
			continue;
		if (nlost > 0 && bsearch(&name, entries->lost, nlost, sizeof(BrazeString), compare_lost) != NULL)
			continue;
		entry = entries->sorted > 0 ? find_entry(entries, name) : NULL;
		if (entry == NULL)
			add_entry(map, entries, name, &value);
		else if (name.length < key.length)
			braze_property_names_note_second(map, "property", name);
		else if (value.type != jbvNull && !is_same_entry(entries, entry, &value))
			braze_mapping_note(map, "A second property %s was left out: there is one of that name already, with another value.",
							   braze_mapping_note_quote(name));
	}
}

/* ----- the properties of one object ----- */

void
braze_properties_begin(BrazeProperties *properties, BrazeMap *map,
					   const char *const *reserved, int limit)
{
	properties->map = map;
	properties->reserved = reserved;
	properties->nshared = 0;
	map->padded.count = 0;
	begin_entries(&map->own, limit);
}

void
braze_properties_add(BrazeProperties *properties, JsonbContainer *object,
					 const BrazeNames *consumed)
{
	BrazeMap   *map = properties->map;

	add_object(map, &map->own, object, properties->reserved, consumed);
}

void
braze_properties_add_text(BrazeProperties *properties, const char *name, BrazeString text)
{
	JsonbValue	value;
	BrazeString key = {name, strlen(name)};

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text.data);
	value.val.string.len = text.length;
	add_entry(properties->map, &properties->map->own, key, &value);
}

/* ----- what several objects share ----- */

/* smaller ones first: what an object has no room for is the end of them */
static void
arrange_by_size(BrazeEntries *entries)
{
	BrazeEntry *list = palloc_extended(sizeof(BrazeEntry) * Max(entries->count, 1),
									   MCXT_ALLOC_HUGE);
	char	   *data = palloc(Max(entries->data.len, 1));
	int			length = 0;

	sort_entries(entries, compare_sizes);
	for (int i = 0; i < entries->count; i++)
	{
		list[i] = entries->list[entries->order[i]];
		memcpy(data + length, entries->data.data + list[i].offset, list[i].length);
		list[i].offset = length;
		length += list[i].length;
	}
	memcpy(entries->list, list, sizeof(BrazeEntry) * entries->count);
	memcpy(entries->data.data, data, length);
	pfree(list);
	pfree(data);
}

/* writes what the products of an order share, once for all of them */
static void
read_shared(BrazeProperties *properties, JsonbContainer *object, const BrazeNames *consumed)
{
	BrazeMap   *map = properties->map;
	BrazeEntries *shared = &map->shared;

	begin_entries(shared, map->own.limit);
	map->padded.count = 0;
	add_object(map, shared, object, properties->reserved, consumed);

	/*
	 * The list is by size, so that what fits is always its first part; order
	 * is by name, for hide_entry to search.  Both are made once, however many
	 * products an order has.
	 */
	arrange_by_size(shared);
	sort_by_name(shared);
	map->shared_of = object;
	map->round = 0;
	map->shared_noted = shared->count;
}

/* the object at hand has this name itself */
static void
hide_entry(BrazeProperties *properties, BrazeString name)
{
	BrazeMap   *map = properties->map;
	BrazeEntry *entry = find_entry(&map->shared, name);

	if (entry == NULL || entry->hidden == map->round)
		return;
	properties->shared_size -= entry->size;
	properties->nhidden++;
	entry->hidden = map->round;
}

void
braze_properties_join(BrazeProperties *properties, JsonbContainer *shared,
					  const BrazeNames *consumed)
{
	BrazeMap   *map = properties->map;

	if (map->shared_of != shared)
		read_shared(properties, shared, consumed);

	/*
	 * The marks of the object before are of an older round, and so count no
	 * more without a pass over them.
	 */
	map->round++;
	properties->nshared = map->shared.count;
	properties->nhidden = 0;
	properties->shared_size = map->shared.size;

	/*
	 * What of the object is no property hides nothing: a null, and what has
	 * become a field.  What was too large hides, or the order's value would
	 * pass for the object's own.
	 */
	for (int i = 0; i < map->own.count; i++)
		hide_entry(properties, map->own.list[i].name);
	for (int i = 0; i < map->own.nlost; i++)
		hide_entry(properties, map->own.lost[i]);
}

/* ----- what fits ----- */

/* an entry that several objects have no room for is noted once */
static void
note_shared(BrazeMap *map, int kept)
{
	for (int i = map->shared_noted - 1; i >= kept; i--)
	{
		if (map->shared.list[i].hidden != map->round)
			note_too_large(map, map->shared.list[i].name);
	}
	map->shared_noted = Min(map->shared_noted, kept);
}

/* keeps the smallest properties, of both lists together, as many as fit */
static void
leave_out_largest(BrazeProperties *properties)
{
	BrazeMap   *map = properties->map;
	BrazeEntries *own = &map->own;
	BrazeEntry *shared = map->shared.list;
	int			room = own->limit - 1;	/* the closing brace */
	int			i = 0;
	int			j = 0;

	sort_entries(own, compare_sizes);
	properties->nhidden = 0;
	for (;;)
	{
		BrazeEntry *mine = i < own->count ? &own->list[own->order[i]] : NULL;
		BrazeEntry *next = mine;

		for (; j < properties->nshared && shared[j].hidden == map->round; j++)
			properties->nhidden++;

		/*
		 * Both lists are sorted, so the smaller one of their heads is the
		 * smallest that is left.  Of two of the same size the object's own
		 * stays.
		 */
		if (j < properties->nshared && (mine == NULL || shared[j].size < mine->size))
			next = &shared[j];
		/* what is left in both lists is as large: nothing more fits */
		if (next == NULL || next->size > room)
			break;
		room -= next->size;
		if (next == mine)
			i++;
		else
			j++;
	}
	note_shared(map, j);
	properties->nshared = j;
	keep_first(map, own, i);
}

/* of the entries that stay, since of the others nothing is cut */
static void
note_long(BrazeMap *map, BrazeEntry *list, int count, uint32 hidden)
{
	for (int i = 0; i < count; i++)
	{
		if (!list[i].is_long || list[i].hidden == hidden)
			continue;
		list[i].is_long = false;
		braze_mapping_note_long(map, list[i].name);
	}
}

void
braze_properties_end(BrazeProperties *properties)
{
	BrazeMap   *map = properties->map;
	int			size = map->own.size;

	if (properties->nshared > 0)
		size += properties->shared_size;

	/*
	 * With the closing brace; the comma of the first entry becomes the
	 * opening one.
	 */
	if (size + 1 > map->own.limit)
		leave_out_largest(properties);
	note_long(map, map->own.list, map->own.count, UINT_MAX);
	if (properties->nshared > 0)
		note_long(map, map->shared.list, properties->nshared, map->round);
	braze_mapping_note_long_texts(map, "property", "properties");
	properties->count = map->own.count;
	if (properties->nshared > 0)
		properties->count += properties->nshared - properties->nhidden;
	if (properties->count > BRAZE_LIMIT_PROPERTIES)
		braze_mapping_note(map, "There are more than %d properties: Braze ignores the rest.",
						   BRAZE_LIMIT_PROPERTIES);
}

/* entries that stand side by side in one go */
static void
write_shared(BrazeProperties *properties)
{
	BrazeMap   *map = properties->map;
	const BrazeEntry *list = map->shared.list;
	int			i = 0;

	while (i < properties->nshared)
	{
		int			first = i;
		int			length = 0;

		for (; i < properties->nshared && list[i].hidden != map->round; i++)
			length += list[i].length;
		if (length > 0)
			braze_text_bytes(&map->text, map->shared.data.data + list[first].offset, length);
		else
			i++;
	}
}

void
braze_properties_write(BrazeProperties *properties, const char *key)
{
	BrazeMap   *map = properties->map;
	int			brace;

	if (properties->count == 0)
		return;
	braze_object_writer_key(map, key, strlen(key));
	brace = braze_text_mark(&map->text);
	braze_text_bytes(&map->text, map->own.data.data, map->own.data.len);
	write_shared(properties);

	/* where not all of it did fit, the object is given up at its end */
	if (map->text.full)
		return;

	/* the comma of the first entry, in whichever list that is */
	map->mapped.text.data[brace] = '{';
	braze_text_close(&map->text, '}');
}
