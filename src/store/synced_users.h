/*-------------------------------------------------------------------------
 *
 * synced_users.h
 *	  What syncs know of users whom a call has deleted is deleted, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNCED_USERS_H
#define BRAZE_SYNCED_USERS_H

/* before the first is deleted in a round; false: somebody has locked a table */
extern bool braze_synced_users_try_lock(void);

extern void braze_synced_users_delete(text * destination, text * user);

#endif							/* BRAZE_SYNCED_USERS_H */
