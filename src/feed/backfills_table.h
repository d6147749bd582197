/*-------------------------------------------------------------------------
 *
 * backfills_table.h
 *	  How far each backfill has come: braze_backfills.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_BACKFILLS_TABLE_H
#define BRAZE_BACKFILLS_TABLE_H

#include "feed/table_walk.h"

/*
 * One backfill.  It is written in the transaction that queues what it says was
 * queued, so whatever is killed, the next call goes on where the last commit
 * stands.
 */
typedef struct BrazeBackfill
{
	Oid			trigger;
	const char *table;			/* for people, as is the name of the trigger */
	const char *trigger_name;
	int			ncolumns;		/* of the key */
	BrazeKeyText key;			/* the names of its columns */
	BrazeKeyText up_to;			/* the highest key when it began */
	BrazeKeyText after;			/* of the last row of the last part; NULL:
								 * none yet */
	BrazeKeyList skipped;		/* rows of the last part that others had
								 * locked, */
	int			skipped_done;	/* so many of which are done */
	int64		queued;			/* calls */
	int64		lowest_id;		/* of the last part in the queue; 0: none */
	int64		highest_id;
	bool		finished;
} BrazeBackfill;

/*
 * Until braze_backfills_table_unlock or an error, across transactions: nobody
 * else has this trigger's.  false: somebody has.
 */
extern bool braze_backfills_table_lock(Oid trigger);
extern void braze_backfills_table_unlock(Oid trigger);

/*
 * that of the trigger, in the current memory context; NULL: there was none yet
 */
extern BrazeBackfill *braze_backfills_table_read(Oid trigger);

/* a new one takes the place of an earlier one of the same trigger */
extern void braze_backfills_table_begin(const BrazeBackfill *backfill);

/* what has changed: the last part, or the skipped rows that are done */
extern void braze_backfills_table_write_part(const BrazeBackfill *backfill);
extern void braze_backfills_table_write_skipped(const BrazeBackfill *backfill);

#endif							/* BRAZE_BACKFILLS_TABLE_H */
