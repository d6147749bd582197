/*-------------------------------------------------------------------------
 *
 * profiles_table.h
 *	  What is remembered of users: the table braze_profiles, and a cache of it.
 *
 * The worker is the only one to write the table.  A profile is loaded when a
 * call about its user is read, stays while any such call is not settled, and
 * is stored by the transaction that settles the call which changed it: so
 * nothing is remembered that Braze did not accept, and nothing that it did is
 * taken for something else, whatever is killed.  Of a user who changes all the
 * time the table says that their attributes are not known, until they are
 * left alone for a while.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PROFILES_TABLE_H
#define BRAZE_PROFILES_TABLE_H

#include "destination/destination_settings.h"
#include "pack/profile_cache.h"

/* does this destination need a memory at all? */
extern bool braze_profiles_table_needed(const BrazeSettings *settings);

extern void braze_profiles_table_init(void);

/* in a read's transaction; the caller releases it once per call */
extern BrazeProfile *braze_profiles_table_get(const char *destination,
											  const char *user, int length);
extern void braze_profiles_table_release(BrazeProfile *profile);

/* bytes, of those that calls need and of the others */
extern Size braze_profiles_table_memory(void);

/*
 * In a settle's transaction: writes the profile if the table does not have it
 * yet.  After the commit, or the abort, braze_profiles_table_stored says which.
 * It is locked first, before anything is done that could not be taken back:
 * false, somebody else has locked it, and it cannot be stored now.
 */
extern bool braze_profiles_table_lock(BrazeProfile *profile);
extern void braze_profiles_table_store(BrazeProfile *profile);
extern void braze_profiles_table_stored(bool committed);

/*
 * In a settle, too: of a user who was deleted nobody is an alias any more; of
 * one who was deleted by this alias of theirs nothing is known any more either;
 * and of the user whom this profile was given to no attribute is known any
 * more.  False: not now, since somebody has locked a row, or this transaction
 * has written it already.
 */
extern bool braze_profiles_table_take_from(const BrazeProfile *deleted);
extern bool braze_profiles_table_delete_owner(const BrazeProfile *alias, const char *owner, int length);
extern bool braze_profiles_table_reset_owner(const BrazeProfile *given);

/* takes back what a subtransaction that failed has stored since the mark */
extern void *braze_profiles_table_mark(void);
extern void braze_profiles_table_undo(void *mark);

/*
 * Users who were left alone since, and those whose row may be wrong since a
 * call was taken out of the queue; returns 0.  stored follows, as after a
 * settle.
 */
extern bool braze_profiles_table_has_postponed(void);
extern int	braze_profiles_table_store_postponed(void);

/*
 * In a refresh: are attributes that Braze has to be left out from now on?  What
 * was known before is known no longer, see attribute_period.h.  False: somebody
 * has locked what it needs.
 */
extern bool braze_profiles_table_remember(const char *destination, bool wanted);

/* forgets what no call needs now, so that the table is read anew */
extern void braze_profiles_table_drop_cache(void);

#endif							/* BRAZE_PROFILES_TABLE_H */
