/*-------------------------------------------------------------------------
 *
 * profile_row.h
 *	  The row of braze_profiles that tells of one user.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PROFILE_ROW_H
#define BRAZE_PROFILE_ROW_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#include "pack/profile_cache.h"

typedef struct BrazeProfileRow
{
	NameData	destination;
	char	   *user;			/* the key, as in the table */

	/*
	 * of the attributes that may be read and written now, see
	 * attribute_period.h; 0: none may
	 */
	uint64		period;

	/* where it is, if it is there; a hint, as in settler.c */
	bool		has_row;
	Oid			storage;
	ItemPointerData tid;

	/* locked by the transaction under way; invalid: there is none */
	ItemPointerData locked_tid;

	/* written by it; invalid: there is none, or it is not known where */
	ItemPointerData new_tid;
	Oid			new_storage;
} BrazeProfileRow;

/*
 * At the start of a read, for all that it needs of the table: false, somebody
 * has locked it.
 */
extern bool braze_profile_row_try_read(void);

/* fills in the profile, unless there is no row */
extern void braze_profile_row_load(BrazeProfileRow *row, BrazeProfile *profile);

/*
 * Whose rows say that they were given to this user, as the table has both, and
 * max of them at most; the caller may read the table.
 */
extern List *braze_profile_row_given_to(const char *destination, const char *owner, int max);

/*
 * Nothing is written that was not locked before: false, somebody else has
 * locked it, and to wait for them would hold up all destinations.  A profile
 * that says nothing has no row.
 */
extern bool braze_profile_row_lock(BrazeProfileRow *row, const BrazeProfile *profile);
extern void braze_profile_row_write(BrazeProfileRow *row, const BrazeProfile *profile,
									bool without_attributes);

/* the transaction that wrote it has committed */
extern void braze_profile_row_committed(BrazeProfileRow *row);

#endif							/* BRAZE_PROFILE_ROW_H */
