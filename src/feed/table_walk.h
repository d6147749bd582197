/*-------------------------------------------------------------------------
 *
 * table_walk.h
 *	  Reading a table in parts, in the order of a key, and locking its rows.
 *
 * All of it runs with the rights of the current user, within a transaction of
 * the caller, who has opened the table and is connected to SPI.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TABLE_WALK_H
#define BRAZE_TABLE_WALK_H

#include "access/htup.h"

#include "feed/walk_key.h"

/* keys, one after the other */
typedef struct BrazeKeyList
{
	int			count;
	BrazeKeyText *keys;			/* in their order */
} BrazeKeyList;

/* the highest key in the table; NULL: it is empty */
extern BrazeKeyText braze_table_walk_last(Relation rel, const BrazeWalkKey *key);

/*
 * The next keys, at most limit of them, above after (NULL: from the first on)
 * and up to up_to.  Nothing is locked.
 */
extern BrazeKeyList braze_table_walk_next(Relation rel, const BrazeWalkKey *key,
										  BrazeKeyText after, BrazeKeyText up_to, int limit);

/* what is done with a row that is locked, in a memory context of its own */
typedef void (*BrazeWalkedRow) (HeapTuple tuple, void *arg);

/*
 * Locks the rows with the keys above after up to up_to, and passes each to
 * walked, as it is once it is locked.  Rows that others have locked are left
 * out; missing are those keys of expected whose rows did not come.  false: what
 * walked does had to wait for somebody, and nothing was done.
 */
extern bool braze_table_walk_lock(Relation rel, const BrazeWalkKey *key,
								  BrazeKeyText after, BrazeKeyText up_to,
								  const BrazeKeyList *expected,
								  BrazeWalkedRow walked, void *arg, BrazeKeyList *missing);

/*
 * The same for the row with this key, for which it waits a little.  false: it
 * is to be tried again in another transaction.  Where there is no such row any
 * more, that is done, too.
 */
extern bool braze_table_walk_lock_one(Relation rel, const BrazeWalkKey *key, BrazeKeyText which,
									  BrazeWalkedRow walked, void *arg);

#endif							/* BRAZE_TABLE_WALK_H */
