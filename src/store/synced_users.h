/*-------------------------------------------------------------------------
 *
 * synced_users.h
 *	  What syncs know of users whom a call has deleted is deleted, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNCED_USERS_H
#define BRAZE_SYNCED_USERS_H

#include "json/jsonb_walk.h"

/* before the first is deleted in a round; false: somebody has locked a table */
extern bool braze_synced_users_try_lock(void);

extern void braze_synced_users_delete(text * destination, BrazeString user);

#endif							/* BRAZE_SYNCED_USERS_H */
