/*-------------------------------------------------------------------------
 *
 * profiles_retention.c
 *	  Forgetting attributes, and users, that nobody has heard of for long.
 *
 * Attributes that would be sent again in any case need not be known.  Who is
 * who is another matter: it is kept, unless the destination says otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/steady_time.h"
#include "base/table_write.h"
#include "queue/column_values.h"
#include "store/attribute_period.h"
#include "store/profiles_retention.h"
#include "store/retention.h"

typedef struct Profiles
{
	BrazeProfileRetention retention;
	bool		changed;		/* by the slice under way */
} Profiles;

static bool
is_older(TimestampTz changed_at, int seconds)
{
	return seconds == BRAZE_FORGET_NOW ||
		(seconds > 0 && changed_at <= braze_steady_time() - seconds * USECS_PER_SEC);
}

static bool
knows_who_is_who(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetBool(slot_getattr(slot, BRAZE_PROFILE_SENT, &isnull)) ||
		DatumGetBool(slot_getattr(slot, BRAZE_PROFILE_HAS_ALIAS, &isnull)) ||
		!slot_attisnull(slot, BRAZE_PROFILE_OWNER);
}

/* the row stays, and is as old as before */
static void
clear_attributes(TupleTableSlot *slot)
{
	Relation	rel = table_open(slot->tts_tableOid, NoLock);
	TupleTableSlot *locked = table_slot_create(rel, NULL);
	ItemPointerData tid = slot->tts_tid;
	ItemPointerData new_tid;
	TM_FailureData failure;

	/* a row that a session is changing is not waited for */
	if (table_tuple_lock(rel, &tid, GetActiveSnapshot(), locked, GetCurrentCommandId(true),
						 LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure) == TM_Ok)
	{
		slot_getallattrs(slot);
		slot->tts_isnull[BRAZE_PROFILE_ATTRIBUTES - 1] = true;
		braze_table_write_update(rel, &tid, BRAZE_PROFILE_COLUMNS, slot->tts_values,
								 slot->tts_isnull, &new_tid);
	}
	ExecDropSingleTupleTableSlot(locked);
	table_close(rel, NoLock);
}

static bool
profile_has_expired(TupleTableSlot *slot, void *arg)
{
	Profiles   *profiles = arg;
	bool		isnull;
	bool		has_attributes = !slot_attisnull(slot, BRAZE_PROFILE_ATTRIBUTES);
	TimestampTz changed_at = DatumGetTimestampTz(slot_getattr(slot, BRAZE_PROFILE_CHANGED_AT, &isnull));
	NameData	destination;
	int			attributes;
	int			visitors;
	bool		expired;

	if (braze_attribute_period_has_row(slot))
		return false;
	braze_column_values_destination(slot_getattr(slot, BRAZE_PROFILE_DESTINATION, &isnull), &destination);
	profiles->retention(NameStr(destination), &attributes, &visitors);
	if (has_attributes && !is_older(changed_at, attributes))
		return false;

	/*
	 * Braze never forgets to whom an alias was given.  If we did, the next
	 * login by it would merge the profile of that user into another's.
	 */
	expired = !knows_who_is_who(slot) ||
		(slot_attisnull(slot, BRAZE_PROFILE_OWNER) && is_older(changed_at, visitors));
	if (has_attributes && !expired)
		clear_attributes(slot);
	profiles->changed = profiles->changed || has_attributes || expired;
	return expired;
}

int
braze_profiles_retention_expire(BrazeProfileRetention retention)
{
	static BrazeExpiry expiry;
	Profiles	profiles = {retention, false};
	int			pause = braze_retention_expire(&expiry, braze_catalog_required()->profiles,
											   profile_has_expired, &profiles);

	/*
	 * this is a matter of hours and days: no haste where there is nothing to
	 * do
	 */
	return profiles.changed ? pause : -1;
}
