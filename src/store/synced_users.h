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

/* two arrays of text: the destination and the id of each user */
extern void braze_synced_users_delete(Datum destinations, Datum users);

#endif							/* BRAZE_SYNCED_USERS_H */
