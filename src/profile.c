/*-------------------------------------------------------------------------
 *
 * profile.c
 *	  What is remembered of a user.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "profile.h"

/* ----- hashing ----- */

static uint64_t
mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t) a * b;

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/*
 * Multiplies and folds eight bytes at a time.  It is stored, so it must never
 * change; a machine of other byte order would merely send everything again.
 */
uint64_t
braze_hash(const char *data, size_t length)
{
	const uint64_t k0 = UINT64_C(0xa0761d6478bd642f);
	const uint64_t k1 = UINT64_C(0xe7037ed1a0b428db);
	uint64_t	hash = mix(length ^ k0, k1);
	uint64_t	word;

	while (length >= sizeof(word))
	{
		memcpy(&word, data, sizeof(word));
		hash = mix(hash ^ word, k1);
		data += sizeof(word);
		length -= sizeof(word);
	}
	word = 0;
	memcpy(&word, data, length);
	return mix(hash ^ word ^ k0, k1 ^ length);
}

/* ----- attributes ----- */

void
braze_profile_free(BrazeProfile *profile)
{
	free(profile->known);
	memset(profile, 0, sizeof(*profile));
}

void
braze_profile_forget(BrazeProfile *profile)
{
	if (profile->nknown == 0)
		return;
	profile->nknown = 0;
	profile->dirty = true;
}

/* where the name is, or would have to be */
static int
place_of(const BrazeProfile *profile, uint64_t name)
{
	int			low = 0;
	int			high = profile->nknown;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (profile->known[middle].name < name)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const BrazeKnown *
find(const BrazeProfile *profile, uint64_t name)
{
	int			place = place_of(profile, name);

	if (place < profile->nknown && profile->known[place].name == name)
		return &profile->known[place];
	return NULL;
}

static void
remove_known(BrazeProfile *profile, uint64_t name)
{
	int			place = place_of(profile, name);

	if (place == profile->nknown || profile->known[place].name != name)
		return;
	profile->nknown--;
	memmove(&profile->known[place], &profile->known[place + 1],
			sizeof(BrazeKnown) * (profile->nknown - place));
	profile->dirty = true;
}

static bool
set_known(BrazeProfile *profile, uint64_t name, uint64_t value, uint32_t hour)
{
	int			place = place_of(profile, name);
	BrazeKnown *known;

	if (place == profile->nknown || profile->known[place].name != name)
	{
		if (profile->nknown == profile->maxknown)
		{
			int			max = profile->maxknown ? profile->maxknown * 2 : 8;

			known = realloc(profile->known, sizeof(BrazeKnown) * max);
			if (known == NULL)
				return false;
			profile->known = known;
			profile->maxknown = max;
		}
		memmove(&profile->known[place + 1], &profile->known[place],
				sizeof(BrazeKnown) * (profile->nknown - place));
		profile->nknown++;
	}
	known = &profile->known[place];
	known->name = name;
	known->value = value;
	known->hour = hour;
	profile->dirty = true;
	return true;
}

int
braze_profile_filter(const BrazeProfile *profile, BrazeFields *fields,
					 uint32_t hour, uint32_t max_age)
{
	int			kept = 0;
	int			filtered;

	if (fields->update_only || fields->merge_objects)
		return 0;
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeField *field = &fields->list[i];
		const BrazeKnown *known = NULL;

		if (field->class == BRAZE_FIELD_VALUE && !field->overrides)
			known = find(profile, braze_hash(field->name, field->name_length));
		if (known != NULL &&
			known->value == braze_hash(field->value, field->value_length) &&
			(max_age == 0 || hour - known->hour < max_age))
			continue;
		fields->list[kept++] = *field;
	}
	filtered = fields->count - kept;
	fields->count = kept;
	return filtered;
}

bool
braze_fields_say_something(const BrazeFields *fields)
{
	for (int i = 0; i < fields->count; i++)
	{
		if (fields->list[i].class != BRAZE_FIELD_CONTROL)
			return true;
	}
	return false;
}

/*
 * What an operator or a merge leaves behind is not known, and an update-only
 * object may have found no profile: such attributes are unknown afterwards.
 */
bool
braze_profile_accepted(BrazeProfile *profile, const BrazeFields *fields,
					   uint32_t hour)
{
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeField *field = &fields->list[i];
		uint64_t	name;

		if (field->class != BRAZE_FIELD_VALUE && field->class != BRAZE_FIELD_OPERATOR)
			continue;
		name = braze_hash(field->name, field->name_length);
		if (field->class == BRAZE_FIELD_OPERATOR || fields->merge_objects ||
			fields->update_only)
			remove_known(profile, name);
		else if (!set_known(profile, name,
							braze_hash(field->value, field->value_length), hour))
			return false;
	}
	return true;
}

/* ----- as bytes ----- */

void
braze_profile_write(const BrazeProfile *profile, char *to)
{
	for (int i = 0; i < profile->nknown; i++)
	{
		const BrazeKnown *known = &profile->known[i];

		memcpy(to, &known->name, 8);
		memcpy(to + 8, &known->value, 8);
		memcpy(to + 16, &known->hour, 4);
		to += BRAZE_KNOWN_SIZE;
	}
}

bool
braze_profile_read(BrazeProfile *profile, const char *from, size_t length)
{
	bool		was_dirty = profile->dirty;

	for (; length >= BRAZE_KNOWN_SIZE; length -= BRAZE_KNOWN_SIZE)
	{
		BrazeKnown	known;

		memcpy(&known.name, from, 8);
		memcpy(&known.value, from + 8, 8);
		memcpy(&known.hour, from + 16, 4);
		if (!set_known(profile, known.name, known.value, known.hour))
			return false;
		from += BRAZE_KNOWN_SIZE;
	}
	profile->dirty = was_dirty;
	return true;
}
