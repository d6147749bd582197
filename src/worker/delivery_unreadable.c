/*-------------------------------------------------------------------------
 *
 * delivery_unreadable.c
 *	  What keeps a destination's calls from being read now.
 *
 * Destinations that remember users need that table as well, and so do those of
 * which it says something that is to become untrue.  Whoever has locked it may
 * take long, so these fall behind, and the others read on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/table_write.h"
#include "store/attribute_period.h"
#include "store/profile_row.h"
#include "store/profiles_table.h"
#include "worker/delivery_unreadable.h"
#include "worker/read_failure.h"

/* what the read under way has found of the table of profiles */
static bool profiles_asked = false;
static const char *profiles_locked = NULL;	/* NULL: it can be read */

void
braze_delivery_unreadable_begin(void)
{
	profiles_asked = false;
}

static bool
needs_profiles(const BrazeDelivery *delivery, bool *forbidden)
{
	const BrazeSettings *settings;

	*forbidden = false;
	if (delivery->destination == NULL)
		return false;
	settings = &delivery->destination->settings;
	*forbidden = braze_attribute_period_forbids(delivery->period,
												settings->changed_attributes_only);
	return *forbidden || braze_profiles_table_needed(settings);
}

void
braze_delivery_unreadable_look(BrazeDelivery *delivery)
{
	const char *unreadable = NULL;
	bool		forbidden;

	if (needs_profiles(delivery, &forbidden))
	{
		if (!profiles_asked)
			profiles_locked = braze_profile_row_try_read() ? NULL : braze_table_write_locked;
		profiles_asked = true;
		unreadable = profiles_locked;
		if (forbidden && unreadable == NULL)
			unreadable = "somebody has locked rows of the table braze_profiles, or a trigger of it fails";
	}
	if (unreadable == NULL && braze_read_failure_waits(delivery))
	{
		unreadable = "one of them raises an error, and is tried again";
		braze_table_write_unread++;
	}
	if ((delivery->unreadable == NULL) != (unreadable == NULL))
		delivery->changed = true;
	delivery->unreadable = unreadable;
}
