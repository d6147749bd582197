/*-------------------------------------------------------------------------
 *
 * settle_order.c
 *	  A user's calls leave the queue in order, too.
 *
 * What is in the queue when the worker ends is sent again.  If a later call of
 * the same user had left it, that one would not be: an older value would stand
 * at Braze, or a deletion would take what came after it along.  So a call waits
 * while an earlier one of its users cannot be settled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "worker/round.h"
#include "worker/settle_order.h"

/* a user by their hash: one of the same hash merely waits as well */
typedef struct UserKey
{
	const BrazeDelivery *delivery;
	uint64		hash;
}			UserKey;

typedef struct HeldUser
{
	UserKey		key;			/* hash key */
	bool		untried;		/* of one of the calls that stay */
} HeldUser;

static HTAB *held_users = NULL; /* of calls that stay; NULL: none does */

void
braze_settle_order_begin(void)
{
	if (held_users != NULL)
		hash_destroy(held_users);
	held_users = NULL;
}

void
braze_settle_order_stays(const BrazeDelivery *delivery, const BrazeCall *call, bool untried)
{
	uint64		users[BRAZE_PACK_USERS];
	int			nusers = braze_pack_users_of(call, users);

	/* most rounds settle all there is */
	if (held_users == NULL)
	{
		HASHCTL		info;

		memset(&info, 0, sizeof(info));
		info.keysize = sizeof(UserKey);
		info.entrysize = sizeof(HeldUser);
		info.hcxt = braze_round_context;
		held_users = hash_create("segment_braze users of unsettled calls", 1024, &info,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	for (int i = 0; i < nusers; i++)
	{
		UserKey		key = {delivery, users[i]};

		HeldUser   *held;
		bool		found;

		held = hash_search(held_users, &key, HASH_ENTER, &found);
		held->untried = untried || (found && held->untried);
	}
}

BrazeSettleWait
braze_settle_order_waits(const BrazeDelivery *delivery, const BrazeCall *call)
{
	BrazeSettleWait wait = BRAZE_SETTLE_NO_WAIT;
	uint64		users[BRAZE_PACK_USERS];
	int			nusers;

	if (held_users == NULL)
		return wait;
	nusers = braze_pack_users_of(call, users);
	for (int i = 0; i < nusers; i++)
	{
		UserKey		key = {delivery, users[i]};
		const HeldUser *held = hash_search(held_users, &key, HASH_FIND, NULL);

		if (held != NULL)
			wait = Max(wait, held->untried ? BRAZE_SETTLE_BEHIND_UNTRIED : BRAZE_SETTLE_BEHIND_STUCK);
	}
	return wait;
}
