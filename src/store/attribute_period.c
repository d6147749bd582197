/*-------------------------------------------------------------------------
 *
 * attribute_period.c
 *	  Since when what is remembered of a destination's attributes is true.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "store/attribute_period.h"
#include "store/profile_row.h"

struct BrazeAttributePeriod
{
	NameData	destination;	/* hash key */
	bool		known;			/* the table was read */
	uint64		number;			/* that it has, 0: none */
	uint64		next;			/* once the transaction has committed */
};

static HTAB *periods = NULL;

static BrazeAttributePeriod *
period_of(const char *destination)
{
	NameData	key;
	BrazeAttributePeriod *period;
	bool		found;

	if (periods == NULL)
	{
		HASHCTL		control;

		memset(&control, 0, sizeof(control));
		control.keysize = sizeof(NameData);
		control.entrysize = sizeof(BrazeAttributePeriod);
		control.hcxt = TopMemoryContext;
		periods = hash_create("segment_braze periods", 64, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	namestrcpy(&key, destination);
	period = hash_search(periods, &key, HASH_ENTER, &found);
	if (!found)
	{
		period->known = false;
		period->number = period->next = 0;
	}
	return period;
}

bool
braze_attribute_period_is(const char *destination, bool wanted)
{
	const BrazeAttributePeriod *period = period_of(destination);

	return period->known && (period->number != 0) == wanted;
}

const BrazeAttributePeriod *
braze_attribute_period_find(const char *destination)
{
	return period_of(destination);
}

bool
braze_attribute_period_forbids(const BrazeAttributePeriod *period, bool wanted)
{
	return !period->known || (period->number != 0 && !wanted);
}

uint64
braze_attribute_period_of(const char *destination)
{
	return period_of(destination)->number;
}

bool
braze_attribute_period_has_row(TupleTableSlot *slot)
{
	bool		isnull;
	text	   *user = DatumGetTextPP(slot_getattr(slot, BRAZE_PROFILE_USER, &isnull));

	return VARSIZE_ANY_EXHDR(user) == 0;
}

/* the number stands where a user's row has an owner; 0: there is none */
static bool
set_number(BrazeProfile *profile, uint64 number)
{
	char		text[17];

	if (number == 0)
		return braze_profile_cache_set_owner(profile, NULL, 0);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long) number);
	return braze_profile_cache_set_owner(profile, text, strlen(text));
}

static uint64
get_number(const BrazeProfile *profile)
{
	return profile->owner == NULL ? 0 : strtoull(profile->owner, NULL, 16);
}

static uint64
draw_number(void)
{
	uint64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes for a profile")));
	return Max(number, 1);
}

static bool
write_number(BrazeProfileRow *row, BrazeProfile *profile, uint64 number)
{
	if (!set_number(profile, number))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (!braze_profile_row_lock(row, profile))
		return false;
	braze_profile_row_write(row, profile, true);

	/* nothing is sent before it is on disk, whatever the settings */
	ForceSyncCommit();
	return true;
}

bool
braze_attribute_period_set(const char *destination, bool wanted)
{
	BrazeAttributePeriod *period = period_of(destination);
	char		nobody[] = "";
	BrazeProfileRow row;
	BrazeProfile profile;
	bool		set = true;

	if (!braze_profile_row_try_read())
		return false;
	memset(&row, 0, sizeof(row));
	memset(&profile, 0, sizeof(profile));
	namestrcpy(&row.destination, destination);
	row.user = nobody;
	PG_TRY();
	{
		braze_profile_row_load(&row, &profile);
		period->known = true;
		period->number = period->next = get_number(&profile);
		if ((period->number != 0) != wanted)
		{
			period->next = wanted ? draw_number() : 0;
			set = write_number(&row, &profile, period->next);
		}
	}
	PG_FINALLY();
	{
		braze_profile_cache_free(&profile);
	}
	PG_END_TRY();
	return set;
}

void
braze_attribute_period_committed(const char *destination)
{
	BrazeAttributePeriod *period = period_of(destination);

	period->number = period->next;
}
