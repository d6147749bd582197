/*-------------------------------------------------------------------------
 *
 * delivery_stuck.c
 *	  Destinations whose calls cannot be settled.
 *
 * A trigger that catches the cancel ends the worker, which forgets what it has
 * sent.  The worker after it would send that again, and end again, and no
 * other destination would have its turn.  So shared memory remembers for which
 * destination a worker ended, and the next ones leave it alone for 1, 2, 4 ...
 * 300 s, until one of its calls is settled.  What is written for none, notes or
 * what has expired, waits in the same way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/database_name.h"
#include "base/message.h"
#include "base/shmem.h"
#include "base/statement.h"
#include "worker/deliveries.h"
#include "worker/delivery_stuck.h"

void
braze_delivery_stuck_note(BrazeDelivery *delivery, const char *problem)
{
	char		clipped[sizeof(delivery->stuck_problem)];

	braze_message_copy(clipped, problem, sizeof(clipped));
	if (strcmp(delivery->stuck_problem, clipped) == 0)
		return;
	strcpy(delivery->stuck_problem, clipped);
	delivery->changed = true;
	ereport(LOG,
			(errhidecontext(true),
			 errmsg("segment_braze: calls of destination \"%s\" in database \"%s\" that were answered cannot be settled",
					NameStr(delivery->name), braze_database_name()),
			 errdetail("%s", problem),
			 errhint("They are kept in memory and tried again. They are sent once more only if the worker ends before they are settled.")));
}

void
braze_delivery_stuck_end(BrazeDelivery *delivery)
{
	if (delivery->stuck > 0 || delivery->claim_failed || delivery->stuck_problem[0] == '\0' ||
		braze_delivery_stuck_until(delivery) != 0)
		return;
	delivery->stuck_problem[0] = '\0';
	delivery->changed = true;
}

int64
braze_delivery_stuck_until(const BrazeDelivery *delivery)
{
	return delivery->left_alone.delay > 0 && braze_now_ms() < delivery->left_alone.next ?
		delivery->left_alone.next : 0;
}

static void
write_left_alone(const char *destination, BrazeBackoff left_alone)
{
	BrazeDestinationSlot *slot = braze_shmem_destination(MyDatabaseId, destination, true);

	if (slot != NULL)
		slot->left_alone = left_alone;
}

void
braze_delivery_stuck_settled(BrazeDelivery *delivery)
{
	if (delivery->left_alone.delay == 0)
		return;
	delivery->left_alone.delay = 0;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	write_left_alone(NameStr(delivery->name), delivery->left_alone);
	LWLockRelease(braze_shared->lock);
}

void
braze_delivery_stuck_process_ends(void)
{
	const char *destination = braze_attempt_destination();
	BrazeDelivery *delivery;

	if (!braze_statement_has_ended_worker())
		return;
	if (destination == NULL)
	{
		braze_attempt_back_off(&braze_attempt_left_alone);
		return;
	}
	delivery = braze_deliveries_find(destination);
	if (delivery == NULL)
		return;
	braze_attempt_back_off(&delivery->left_alone);
	write_left_alone(destination, delivery->left_alone);
}

void
braze_delivery_stuck_begin(BrazeDelivery *delivery)
{
	BrazeDestinationSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = braze_shmem_destination(MyDatabaseId, NameStr(delivery->name), false);
	if (slot != NULL)
		delivery->left_alone = slot->left_alone;
	LWLockRelease(braze_shared->lock);
	if (braze_delivery_stuck_until(delivery) != 0)
		braze_delivery_stuck_note(delivery, "a trigger on one of the tables went on after it was cancelled, and the worker ended");
}
