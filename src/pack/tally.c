/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  Adding up what Braze has accepted and refused of a destination's calls.
 *
 * A call is added when it is settled, from what the pack has kept of it: the
 * mapping has said where a name is, and the texts are read no further.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "braze/hash.h"
#include "pack/tally.h"
#include "pack/pack_internal.h"

#define MICROSECONDS_PER_HOUR	(INT64_C(3600) * 1000 * 1000)

/* a larger amount is not added: no sum of a second shall overflow by it */
#define MAX_UNITS				INT64_C(1000000000000000)

struct BrazeTally
{
	BrazeTallyRow *rows;		/* all of them */
	BrazeTallyRow **places;		/* by hash; a power of two of them */
	size_t		nplaces;
	size_t		nrows;
	int			names[BRAZE_TALLY_KINDS];	/* rows with a name */
	BrazeTallyRow *last_rows[BRAZE_TALLY_KINDS];	/* found last */
	uint64_t	seed;
	bool		unsaved;
	uint64_t	calls;			/* so far */
	int64_t		last_hour;
	int			until_sample;	/* attributes objects */
	uint64_t	random;
	BrazeAttributes fields;		/* scratch */
};

const char *const braze_tally_kinds[BRAZE_TALLY_KINDS] = {
	[BRAZE_TALLY_ATTRIBUTES] = "attributes",
	[BRAZE_TALLY_EVENTS] = "events",
	[BRAZE_TALLY_PURCHASES] = "purchases",
	[BRAZE_TALLY_IDENTITY] = "identity",
	[BRAZE_TALLY_REQUEST] = "request",
	[BRAZE_TALLY_REFUSED] = "refused",
	[BRAZE_TALLY_SKIPPED] = "skipped",
};

/* ----- its life ----- */

BrazeTally *
braze_tally_create(void)
{
	BrazeTally *tally = calloc(1, sizeof(BrazeTally));

	if (tally == NULL)
		return NULL;
	tally->nplaces = 64;
	tally->places = calloc(tally->nplaces, sizeof(BrazeTallyRow *));
	if (tally->places == NULL)
	{
		free(tally);
		return NULL;
	}
	tally->random = tally->seed = braze_hash(&tally, sizeof(tally));
	braze_attributes_init(&tally->fields);
	return tally;
}

static void
free_row(BrazeTallyRow *row)
{
	free(row->users);
	free(row);
}

void
braze_tally_destroy(BrazeTally *tally)
{
	while (tally->rows != NULL)
	{
		BrazeTallyRow *row = tally->rows;

		tally->rows = row->next;
		free_row(row);
	}
	braze_attributes_free(&tally->fields);
	free(tally->places);
	free(tally);
}

/* ----- finding a row ----- */

static size_t
place_for(BrazeTallyRow **places, size_t nplaces, uint64_t hash)
{
	size_t		place = hash & (nplaces - 1);

	while (places[place] != NULL)
		place = (place + 1) & (nplaces - 1);
	return place;
}

/* puts all rows into so many places; false: no memory */
static bool
spread_rows(BrazeTally *tally, size_t nplaces)
{
	BrazeTallyRow **places = calloc(nplaces, sizeof(BrazeTallyRow *));

	if (places == NULL)
		return false;
	for (BrazeTallyRow *row = tally->rows; row != NULL; row = row->next)
		places[place_for(places, nplaces, row->hash)] = row;
	free(tally->places);
	tally->places = places;
	tally->nplaces = nplaces;
	return true;
}

/* what a row is about, before it is found */
typedef struct RowKey
{
	int64_t		hour;
	BrazeTallyKind kind;
	char		currency[4];
	int			name_length;
} RowKey;

static uint64_t
hash_of_row(const BrazeTally *tally, const RowKey *key, const char *name)
{
	uint32_t	currency;
	uint64_t	about;

	memcpy(&currency, key->currency, sizeof(currency));
	about = tally->seed ^ (uint64_t) key->hour ^ ((uint64_t) key->kind + 1) << 60 ^ (uint64_t) currency << 28;
	return braze_hash_quick(about, name, key->name_length > 0 ? key->name_length : 0) + (key->name_length < 0);
}

static bool
is_row_of(const BrazeTallyRow *row, const RowKey *key, const char *name)
{
	return row->hour == key->hour && row->kind == key->kind &&
		row->name_length == key->name_length &&
		memcmp(row->currency, key->currency, sizeof(row->currency)) == 0 &&
		(key->name_length <= 0 || memcmp(row->name, name, key->name_length) == 0);
}

static BrazeTallyRow *
create_row(BrazeTally *tally, const RowKey *key, const char *name, uint64_t hash)
{
	int			length = key->name_length > 0 ? key->name_length : 0;
	BrazeTallyRow *row;

	if (tally->nrows * 2 >= tally->nplaces && !spread_rows(tally, tally->nplaces * 2))
		return NULL;
	row = calloc(1, sizeof(BrazeTallyRow) + length);
	if (row == NULL)
		return NULL;
	row->hour = key->hour;
	row->kind = key->kind;
	row->name_length = key->name_length;
	memcpy(row->currency, key->currency, sizeof(row->currency));
	if (length > 0)
	{
		memcpy(row->name, name, length);
		tally->names[key->kind]++;
	}
	row->hash = hash;
	row->next = tally->rows;
	tally->rows = row;
	tally->nrows++;
	tally->places[place_for(tally->places, tally->nplaces, hash)] = row;
	return row;
}

/* NULL: no memory */
static BrazeTallyRow *
row_for(BrazeTally *tally, RowKey *key, const char *name)
{
	BrazeTallyRow *row = tally->last_rows[key->kind];
	uint64_t	hash;
	size_t		place;

	if (row != NULL && is_row_of(row, key, name))
		return row;
	hash = hash_of_row(tally, key, name);
	place = hash & (tally->nplaces - 1);
	while ((row = tally->places[place]) != NULL)
	{
		if (row->hash == hash && is_row_of(row, key, name))
			return row;
		place = (place + 1) & (tally->nplaces - 1);
	}
	if (key->name_length > 0 && tally->names[key->kind] >= BRAZE_TALLY_NAMES)
	{
		key->name_length = BRAZE_TALLY_OTHERS;
		return row_for(tally, key, NULL);
	}
	return create_row(tally, key, name, hash);
}

/* the row for this, with its times; NULL: no memory */
static BrazeTallyRow *
touch_row(BrazeTally *tally, int64_t time, BrazeTallyKind kind,
		  const char *currency, const char *name, int name_length)
{
	RowKey		key = {0};
	BrazeTallyRow *row;
	int64_t		rest = time % MICROSECONDS_PER_HOUR;

	key.hour = time - (rest < 0 ? rest + MICROSECONDS_PER_HOUR : rest);
	key.kind = kind;
	if (currency != NULL)
		memcpy(key.currency, currency, 3);
	key.name_length = name_length;
	row = row_for(tally, &key, name);
	if (row == NULL)
		return NULL;
	tally->last_rows[kind] = row;
	if (!row->unsaved)
		row->first_time = row->last_time = time;
	else if (time < row->first_time)
		row->first_time = time;
	else if (time > row->last_time)
		row->last_time = time;
	row->unsaved = tally->unsaved = true;
	if (key.hour > tally->last_hour)
		tally->last_hour = key.hour;
	return row;
}

/* ----- one object ----- */

static void
count_call(BrazeTally *tally, BrazeTallyRow *row)
{
	if (row->last_call != tally->calls)
		row->calls++;
	row->last_call = tally->calls;
}

static bool
count_user(BrazeTallyRow *row, const PackedObject *object)
{
	size_t		length;
	const char *user = braze_attributes_identifier(object->json, object->length, &length);

	if (row->users == NULL)
	{
		row->users = malloc(sizeof(BrazeSketch));
		if (row->users == NULL)
			return false;
		braze_sketch_init(row->users);
	}
	braze_sketch_add(row->users, user, length);
	return true;
}

/*
 * each name in an object counts for those in the objects that are not looked at
 */
static bool
sample_names(BrazeTally *tally, const PackedObject *object, int64_t time)
{
	if (!braze_attributes_read(&tally->fields, object->json, object->length))
		return false;
	for (int i = 0; i < tally->fields.count; i++)
	{
		const BrazeAttribute *field = &tally->fields.list[i];
		BrazeTallyRow *row;

		if (field->class == BRAZE_ATTRIBUTE_CONTROL || field->name_length <= 2)
			continue;
		row = touch_row(tally, time, BRAZE_TALLY_ATTRIBUTES, NULL,
						field->name + 1, (int) field->name_length - 2);
		if (row == NULL)
			return false;
		row->objects += BRAZE_TALLY_SAMPLE;
	}
	return true;
}

/* at random, since calls may come in a rhythm of their own */
static bool
is_sample(BrazeTally *tally)
{
	if (tally->until_sample-- > 0)
		return false;
	tally->random = tally->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	tally->until_sample = (int) (tally->random >> 33) % (2 * BRAZE_TALLY_SAMPLE - 1);
	return true;
}

static bool
add_attributes(BrazeTally *tally, const PackedObject *object, int64_t time)
{
	BrazeTallyRow *row = touch_row(tally, time, BRAZE_TALLY_ATTRIBUTES, NULL, NULL, 0);

	if (row == NULL)
		return false;
	row->data_points += object->attributes.sent;
	row->data_points_saved += object->attributes.saved;
	if (!object->delivered)
		return true;			/* Braze had all of it */
	count_call(tally, row);
	row->objects++;
	return count_user(row, object) &&
		(!is_sample(tally) || sample_names(tally, object, time));
}

static bool
is_recommended(const char *name, int length)
{
	static const char prefix[] = "ecommerce.";

	return length >= (int) sizeof(prefix) - 1 && memcmp(name, prefix, sizeof(prefix) - 1) == 0;
}

static bool
add_event(BrazeTally *tally, const PackedObject *object, int64_t time)
{
	const char *name = object->json + object->name.start;
	int			length = object->name.length;
	BrazeTallyRow *row = touch_row(tally, time, BRAZE_TALLY_EVENTS, NULL, name,
								   length > 0 ? length : BRAZE_TALLY_OTHERS);

	if (row == NULL)
		return false;
	count_call(tally, row);
	row->objects++;
	if (!is_recommended(name, length))
		row->data_points++;
	return count_user(row, object);
}

/* ----- money ----- */

/* behind the literal, if it stands here; NULL stays NULL */
static const char *
pass_literal(const char *p, const char *end, const char *literal)
{
	size_t		length = strlen(literal);

	return p != NULL && (size_t) (end - p) >= length && memcmp(p, literal, length) == 0
		? p + length : NULL;
}

/* whole digits; false: there are none, or too many */
static bool
read_units(const char **p, const char *end, int64_t *value)
{
	const char *start = *p;

	for (*value = 0; *p < end && **p >= '0' && **p <= '9'; (*p)++)
	{
		if (*value < MAX_UNITS)
			*value = *value * 10 + (**p - '0');
	}
	return *p > start && *value < MAX_UNITS;
}

/* the digits behind the point; from the seventh on they are rounded off */
static int64_t
read_millionths(const char **p, const char *end)
{
	int64_t		value = 0;
	int			digits = 0;

	if (*p == end || **p != '.')
		return 0;
	for ((*p)++; *p < end && **p >= '0' && **p <= '9'; (*p)++, digits++)
	{
		if (digits < 6)
			value = value * 10 + (**p - '0');
		else if (digits == 6 && **p >= '5')
			value++;
	}
	for (; digits < 6; digits++)
		value *= 10;
	return value;
}

typedef struct Bought
{
	const char *currency;
	bool		has_price;
	int64_t		units;
	int64_t		millionths;
	int64_t		quantity;
} Bought;

/*
 * What stands behind the name, as map/purchase.c writes it.  An amount that is
 * not read counts as 0, and what is not there at all as one.
 */
static void
read_bought(Bought *bought, const PackedObject *object)
{
	const char *end = object->json + object->length;
	const char *p = object->json + object->name.start + object->name.length;
	bool		negative;

	memset(bought, 0, sizeof(*bought));
	bought->quantity = 1;
	p = pass_literal(p, end, "\",\"currency\":\"");
	if (p == NULL || end - p < 3)
		return;
	bought->currency = p;
	p = pass_literal(p + 3, end, "\",\"price\":");
	if (p == NULL || p == end)
		return;
	negative = *p == '-';
	p += negative;
	bought->has_price = read_units(&p, end, &bought->units);
	bought->millionths = read_millionths(&p, end);
	p = pass_literal(p, end, ",\"quantity\":");
	if (p == NULL || !read_units(&p, end, &bought->quantity))
		bought->quantity = 1;
	if (negative)
	{
		bought->units = -bought->units;
		bought->millionths = -bought->millionths;
	}
}

static void
add_revenue(BrazeTallyRow *row, const Bought *bought)
{
	int64_t		millionths;
	int64_t		units;

	/* Braze takes quantities of 100 at most, so that no product overflows */
	if (!bought->has_price || bought->quantity > BRAZE_LIMIT_QUANTITY)
		return;
	millionths = bought->millionths * bought->quantity + row->revenue_millionths;
	if (__builtin_add_overflow(row->revenue, bought->units * bought->quantity, &units) ||
		__builtin_add_overflow(units, millionths / BRAZE_TALLY_MILLION, &units))
		return;
	row->revenue = units;
	row->revenue_millionths = millionths % BRAZE_TALLY_MILLION;
}

static bool
add_purchase(BrazeTally *tally, const PackedObject *object, int64_t time)
{
	BrazeTallyRow *row;
	Bought		bought;

	read_bought(&bought, object);
	row = touch_row(tally, time, BRAZE_TALLY_PURCHASES, bought.currency,
					object->json + object->name.start,
					object->name.length > 0 ? object->name.length : BRAZE_TALLY_OTHERS);
	if (row == NULL)
		return false;
	count_call(tally, row);
	row->objects++;
	row->quantity += bought.quantity;

	/* a quantity of two is two purchases at Braze */
	row->data_points += bought.quantity;
	add_revenue(row, &bought);
	return count_user(row, object);
}

/* ----- a call ----- */

/* an array of a request by its name */
static BrazeTallyRow *
row_of_array(BrazeTally *tally, int64_t time, BrazeTallyKind kind, BrazeKind array)
{
	const char *name = braze_kinds[array].array;

	return touch_row(tally, time, kind, NULL, name, (int) strlen(name));
}

static bool
add_delivered(BrazeTally *tally, const PackedObject *object, int64_t time)
{
	BrazeTallyRow *row;

	switch (object->kind)
	{
		case BRAZE_ATTRIBUTES:
			return add_attributes(tally, object, time);
		case BRAZE_EVENTS:
			return add_event(tally, object, time);
		case BRAZE_PURCHASES:
			return add_purchase(tally, object, time);
		default:
			row = row_of_array(tally, time, BRAZE_TALLY_IDENTITY, object->kind);
			if (row == NULL)
				return false;
			count_call(tally, row);
			row->objects++;
			return true;
	}
}

/*
 * Both lists are in the order of the objects' numbers.  What is in doubt was
 * neither accepted nor refused.
 */
static bool
add_refused(BrazeTally *tally, const PackedCall *call, int64_t time)
{
	int			i = 0;

	for (const BrazeRefusal *refusal = call->pub.refusals; refusal != NULL; refusal = refusal->next)
	{
		BrazeTallyRow *row;

		if (refusal->in_doubt)
			continue;
		while (i < call->pub.nobjects && call->objects[i].number < refusal->number)
			i++;
		if (i < call->pub.nobjects && call->objects[i].number == refusal->number)
			row = row_of_array(tally, time, BRAZE_TALLY_REFUSED, call->objects[i].kind);
		else
			row = touch_row(tally, time, BRAZE_TALLY_REFUSED, NULL, NULL, 0);
		if (row == NULL)
			return false;
		count_call(tally, row);
		row->objects += refusal->number != BRAZE_WHOLE_CALL;
	}
	return true;
}

/*
 * The first object, and the beginning of its text, which follows: nothing has
 * looked at them since the request was written.
 */
void
braze_tally_prefetch(const BrazeCall *call)
{
	const char *objects = (const char *) ((const PackedCall *) call)->objects;

	braze_packed_call_prefetch((const PackedCall *) call);
	__builtin_prefetch(objects + 64);
	__builtin_prefetch(objects + 128);
}

bool
braze_tally_add_call(BrazeTally *tally, const BrazeCall *pub, int64_t now, int64_t wall)
{
	const PackedCall *call = (const PackedCall *) pub;
	int64_t		time = wall;

	/* settling may have waited, and what counts is when Braze has answered */
	if (call->ready_since > 0 && call->ready_since < now)
		time -= (now - call->ready_since) * 1000;
	tally->calls++;
	for (int i = 0; i < pub->nobjects; i++)
	{
		const PackedObject *object = &call->objects[i];

		if ((object->delivered ||
			 (object->kind == BRAZE_ATTRIBUTES && object->state == OBJECT_ACCEPTED &&
			  object->attributes.saved > 0)) &&
			!add_delivered(tally, object, time))
			return false;
	}
	if (pub->nrefused > 0)
		return add_refused(tally, call, time);
	if (pub->nobjects == 0)
	{
		BrazeTallyRow *row = touch_row(tally, time, BRAZE_TALLY_SKIPPED, NULL, NULL, 0);

		if (row == NULL)
			return false;
		count_call(tally, row);
	}
	return true;
}

bool
braze_tally_add_request(BrazeTally *tally, const BrazeSent *sent, int64_t wall)
{
	const char *path = braze_endpoints[sent->endpoint].path;
	BrazeTallyRow *row = touch_row(tally, wall, BRAZE_TALLY_REQUEST, NULL, path,
								   (int) strlen(path));

	if (row == NULL)
		return false;
	row->requests++;
	for (int i = 0; i < BRAZE_KINDS; i++)
		row->objects += sent->counts[i];
	return true;
}

/* ----- saving ----- */

bool
braze_tally_has_unsaved(const BrazeTally *tally)
{
	return tally->unsaved;
}

BrazeTallyRow *
braze_tally_next_unsaved(BrazeTally *tally, BrazeTallyRow *previous)
{
	BrazeTallyRow *row = previous == NULL ? tally->rows : previous->next;

	while (row != NULL && !row->unsaved)
		row = row->next;
	return row;
}

void
braze_tally_begin_save(BrazeTally *tally)
{
	for (BrazeTallyRow *row = tally->rows; row != NULL; row = row->next)
		row->written = false;
}

static void
begin_again(BrazeTallyRow *row)
{
	row->calls = row->objects = row->quantity = 0;
	row->revenue = row->revenue_millionths = 0;
	row->requests = row->data_points = row->data_points_saved = 0;
	row->unsaved = false;
	if (row->users != NULL)
		braze_sketch_clear_raised(row->users);
}

void
braze_tally_saved(BrazeTally *tally)
{
	BrazeTallyRow **link = &tally->rows;
	BrazeTallyRow *row;

	memset(tally->last_rows, 0, sizeof(tally->last_rows));

	/* nobody searches before the rows are spread again */
	memset(tally->places, 0, sizeof(BrazeTallyRow *) * tally->nplaces);
	tally->unsaved = false;
	while ((row = *link) != NULL)
	{
		bool		stays = row->unsaved && !row->written;

		if (!stays)
			begin_again(row);
		tally->unsaved = tally->unsaved || stays;
		if (stays || row->hour >= tally->last_hour)
		{
			tally->places[place_for(tally->places, tally->nplaces, row->hash)] = row;
			link = &row->next;
			continue;
		}
		*link = row->next;
		tally->nrows--;
		if (row->name_length > 0)
			tally->names[row->kind]--;
		free_row(row);
	}
}
