/*-------------------------------------------------------------------------
 *
 * deleted_users.h
 *	  Dead letters of users whom a call has deleted are deleted, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELETED_USERS_H
#define BRAZE_DELETED_USERS_H

#include "store/settler.h"

/*
 * A user was deleted by this call: their dead letters go too, but for those of
 * later calls; false: not now.  What is noted is done by
 * braze_deleted_users_delete_letters, for all users at once, since it looks through
 * all letters.
 */
extern bool braze_deleted_users_add(BrazeSettler *settler, const BrazeSettleRow *row);
extern void braze_deleted_users_delete_letters(BrazeSettler *settler);

/* a letter was put or rewritten, after the users so far were deleted */
extern void braze_deleted_users_note_letter(BrazeSettler *settler, int64 letter);

#endif							/* BRAZE_DELETED_USERS_H */
