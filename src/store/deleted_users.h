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
 * A user was deleted by this call, whose row is still there: their dead letters
 * go too.  At once, while those of later calls have not come into being.
 * False: somebody has locked some, and these have to be looked at again.
 */
extern bool braze_deleted_users_delete_letters(BrazeSettler *settler, const BrazeSettleRow *row);

#endif							/* BRAZE_DELETED_USERS_H */
