/*-------------------------------------------------------------------------
 *
 * profile_cache.c
 *	  What is remembered of a user.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "braze/hash.h"
#include "pack/profile_cache.h"

/* in hours: by no more than that a clock is set back */
#define MAX_SET_BACK	(7 * 24)

/* sorted without qsort */
#define FEW_HASHES		16

/* as bytes: the salt, then of each attribute name, value and hour */
#define SALT_SIZE		8
#define HASH_SIZE		20

void
braze_profile_cache_free(BrazeProfile *profile)
{
	free(profile->owner);
	free(profile->hashes);
	memset(profile, 0, sizeof(*profile));
}

/* ----- who it was given to ----- */

bool
braze_profile_cache_set_owner(BrazeProfile *profile, const char *owner, size_t length)
{
	char	   *copy = NULL;

	if (owner != NULL)
	{
		copy = malloc(length + 1);
		if (copy == NULL)
			return false;
		memcpy(copy, owner, length);
		copy[length] = '\0';
	}
	free(profile->owner);
	profile->owner = copy;
	profile->owner_length = length;
	profile->dirty = true;
	return true;
}

void
braze_profile_cache_clear(BrazeProfile *profile)
{
	profile->sent = profile->has_alias = false;
	profile->nhashes = profile->nknown = 0;
	(void) braze_profile_cache_set_owner(profile, NULL, 0);
}

/*
 * Of what was sent later Braze has something, perhaps; but what was sent to the
 * owner's own alias is deleted with them.
 */
void
braze_profile_cache_take_back(BrazeProfile *profile)
{
	bool		sent = profile->sent && !profile->has_alias;

	braze_profile_cache_clear(profile);
	profile->sent = sent;
}

bool
braze_profile_cache_is_owner(const BrazeProfile *profile, const char *owner, size_t length)
{
	return profile->owner != NULL && profile->owner_length == length &&
		memcmp(profile->owner, owner, length) == 0;
}

/* ----- attributes ----- */

void
braze_profile_cache_reset(BrazeProfile *profile)
{
	profile->nknown = 0;
	if (profile->nhashes == 0)
		return;
	profile->nhashes = 0;
	profile->dirty = true;
}

/* who chooses names and values does not know the salt, and so no collision */
static uint64_t
salted_hash(const BrazeProfile *profile, const char *text, size_t length)
{
	BrazeHashKey key = {profile->salt, 0};

	return braze_hash_keyed(key, text, length);
}

static int
compare_names(const void *a, const void *b)
{
	uint64_t	left = ((const BrazeAttributeHash *) a)->name;
	uint64_t	right = ((const BrazeAttributeHash *) b)->name;

	return (left > right) - (left < right);
}

/* by name; few are put in their places here, which spares the calls */
static void
sort_hashes(BrazeAttributeHash *hashes, int n)
{
	if (n > FEW_HASHES)
	{
		qsort(hashes, n, sizeof(BrazeAttributeHash), compare_names);
		return;
	}
	for (int i = 1; i < n; i++)
	{
		BrazeAttributeHash moved = hashes[i];
		int			to = i;

		for (; to > 0 && hashes[to - 1].name > moved.name; to--)
			hashes[to] = hashes[to - 1];
		hashes[to] = moved;
	}
}

/* what is remembered of this attribute, or NULL */
static const BrazeAttributeHash *
find_hash(const BrazeProfile *profile, const BrazeAttribute *field)
{
	BrazeAttributeHash key = {.name = salted_hash(profile, field->name, field->name_length)};

	return profile->nhashes == 0 ? NULL :
		bsearch(&key, profile->hashes, profile->nhashes, sizeof(BrazeAttributeHash), compare_names);
}

/*
 * Is what was accepted then still to be believed?  The clock may have been set
 * back since: what is from a later hour is new, or everything would be sent
 * again; but a wrong year is not believed.
 */
static bool
is_recent(uint32_t accepted, uint32_t hour, uint32_t max_age)
{
	if (max_age == 0)
		return true;
	return hour >= accepted ? hour - accepted < max_age : accepted - hour <= MAX_SET_BACK;
}

int
braze_profile_cache_filter(const BrazeProfile *profile, BrazeAttributes *fields,
						   uint32_t hour, uint32_t max_age)
{
	int			kept = 0;
	int			filtered;

	if (fields->update_only || fields->merge_objects)
		return 0;
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeAttribute *field = &fields->list[i];
		const BrazeAttributeHash *known = NULL;

		/*
		 * An earlier object that is folded into this one had another value.
		 * Braze may have that one from a request whose outcome is not known.
		 */
		if (field->class == BRAZE_ATTRIBUTE_VALUE && !field->overrides)
			known = find_hash(profile, field);
		if (known != NULL &&
			known->value == salted_hash(profile, field->value, field->value_length) &&
			is_recent(known->hour, hour, max_age))
			continue;
		fields->list[kept++] = *field;
	}
	filtered = fields->count - kept;
	fields->count = kept;
	return filtered;
}

/* what is recent depends on the hour and on max_age: both are in the key */
static uint64_t
text_hash(const BrazeProfile *profile, const char *json, size_t length,
		  uint32_t hour, uint32_t max_age)
{
	BrazeHashKey key = {profile->salt, (uint64_t) hour << 32 | max_age};

	return braze_hash_keyed(key, json, length);
}

int
braze_profile_cache_knows_text(const BrazeProfile *profile, const char *json, size_t length,
							   uint32_t hour, uint32_t max_age)
{
	return profile->nknown > 0 &&
		profile->known_text == text_hash(profile, json, length, hour, max_age) ?
		profile->nknown : 0;
}

void
braze_profile_cache_note_text(BrazeProfile *profile, const char *json, size_t length,
							  uint32_t hour, uint32_t max_age, int filtered)
{
	profile->known_text = text_hash(profile, json, length, hour, max_age);
	profile->nknown = filtered;
}

bool
braze_profile_cache_says_something(const BrazeAttributes *fields)
{
	for (int i = 0; i < fields->count; i++)
	{
		if (fields->list[i].class != BRAZE_ATTRIBUTE_CONTROL)
			return true;
	}
	return false;
}

/*
 * What was known and what was accepted, both by name, become one list.  Of a
 * value that need not have been sent only the hour of old is known; what was
 * accepted with hour 0 is known no longer.
 */
static int
merge_hashes(const BrazeProfile *profile, const BrazeAttributeHash *new, int nnew,
			 uint32_t max_age, BrazeAttributeHash *to, bool *changed)
{
	const BrazeAttributeHash *old = profile->hashes;
	int			nold = profile->nhashes;
	int			room = BRAZE_MAX_ATTRIBUTE_HASHES - nold;
	int			n = 0;

	while (nold > 0 || nnew > 0)
	{
		/*
		 * both lists are by name: the lower one goes first, equal ones
		 * together
		 */
		int			order = nold == 0 ? 1 : nnew == 0 ? -1 : compare_names(old, new);
		bool		same = order == 0 && old->value == new->value && new->hour > 0 &&
		is_recent(old->hour, new->hour, max_age == 0 ? 0 : max_age + 1);

		if (order < 0 || same)
			to[n++] = *old;
		else if (new->hour > 0 && (order == 0 || room-- > 0))
			to[n++] = *new;
		if (order >= 0 && !same && (order == 0 || (new->hour > 0 && room >= 0)))
			*changed = true;
		if (order <= 0)
			old++, nold--;
		if (order >= 0)
			new++, nnew--;
	}
	return n;
}

/*
 * What an operator or a merge leaves behind is not known, and an update-only
 * object may have found no profile: such attributes are unknown afterwards.
 */
bool
braze_profile_cache_accepted(BrazeProfile *profile, const BrazeAttributes *fields,
							 uint32_t hour, uint32_t max_age)
{
	BrazeAttributeHash *new = malloc(sizeof(BrazeAttributeHash) * (fields->count + 1));
	BrazeAttributeHash *merged = malloc(sizeof(BrazeAttributeHash) * (profile->nhashes + fields->count + 1));
	int			n = 0;

	if (new == NULL || merged == NULL)
	{
		free(new);
		free(merged);
		return false;
	}
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeAttribute *field = &fields->list[i];

		/*
		 * What an operator has made of the value is known to Braze alone; of
		 * an update-only object not even whether it was applied.
		 */
		bool		unknown = field->class == BRAZE_ATTRIBUTE_OPERATOR ||
		fields->merge_objects || fields->update_only;

		if (field->class != BRAZE_ATTRIBUTE_VALUE && field->class != BRAZE_ATTRIBUTE_OPERATOR)
			continue;
		new[n].name = salted_hash(profile, field->name, field->name_length);
		new[n].value = salted_hash(profile, field->value, field->value_length);
		new[n++].hour = unknown ? 0 : hour;
	}
	sort_hashes(new, n);
	profile->nknown = 0;
	profile->nhashes = merge_hashes(profile, new, n, max_age, merged, &profile->dirty);
	free(profile->hashes);
	free(new);
	profile->hashes = merged;
	return true;
}

/* ----- as bytes ----- */

/* the lowest byte first, on any machine */
static unsigned char *
write_bytes(unsigned char *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*to++ = (unsigned char) (value >> (8 * i));
	return to;
}

static uint64_t
read_bytes(const unsigned char **from, int bytes)
{
	uint64_t	value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t) *(*from)++ << (8 * i);
	return value;
}

size_t
braze_profile_cache_size(const BrazeProfile *profile)
{
	return SALT_SIZE + (size_t) HASH_SIZE * profile->nhashes;
}

void
braze_profile_cache_write(const BrazeProfile *profile, void *to)
{
	unsigned char *next = write_bytes(to, profile->salt, SALT_SIZE);

	for (int i = 0; i < profile->nhashes; i++)
	{
		const BrazeAttributeHash *known = &profile->hashes[i];

		next = write_bytes(next, known->name, 8);
		next = write_bytes(next, known->value, 8);
		next = write_bytes(next, known->hour, 4);
	}
}

bool
braze_profile_cache_read(BrazeProfile *profile, const void *from, size_t length)
{
	const unsigned char *next = from;
	int			n = length < SALT_SIZE ? 0 : (int) ((length - SALT_SIZE) / HASH_SIZE);

	profile->nhashes = profile->nknown = 0;
	if (n == 0)
		return true;
	free(profile->hashes);
	profile->hashes = malloc(sizeof(BrazeAttributeHash) * n);
	if (profile->hashes == NULL)
		return false;
	profile->salt = read_bytes(&next, SALT_SIZE);
	for (int i = 0; i < n; i++)
	{
		BrazeAttributeHash *known = &profile->hashes[i];

		known->name = read_bytes(&next, 8);
		known->value = read_bytes(&next, 8);
		known->hour = (uint32_t) read_bytes(&next, 4);
	}
	profile->nhashes = n;
	return true;
}
