/*-------------------------------------------------------------------------
 *
 * activity_table.h
 *	  Writing what was added up: braze_activity_sums and braze_activity_users.
 *
 * Only new rows are written: parts of sums, and of sketches.  Whoever wants
 * the whole adds them up, and activity_rollup.c makes one row of many.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ACTIVITY_TABLE_H
#define BRAZE_ACTIVITY_TABLE_H

#include "utils/relcache.h"

#include "pack/tally.h"

typedef struct BrazeActivityTables
{
	Relation	sums;
	Relation	users;
} BrazeActivityTables;

/* could both be written directly, with nothing of what others added? */
extern bool braze_activity_table_is_plain(void);

/*
 * Opens both, in a transaction of the worker.  False: somebody has locked one,
 * and nobody is waited for.
 */
extern bool braze_activity_table_begin(BrazeActivityTables *tables);
extern void braze_activity_table_end(BrazeActivityTables *tables);

/* what is not saved of a destination; that it is saved the commit says */
extern void braze_activity_table_write(const BrazeActivityTables *tables, const char *destination,
									   BrazeTally *tally, int64 deadline);

#endif							/* BRAZE_ACTIVITY_TABLE_H */
