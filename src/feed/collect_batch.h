/*-------------------------------------------------------------------------
 *
 * collect_batch.h
 *	  The calls that a round of a collector reads at the origin.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_BATCH_H
#define BRAZE_COLLECT_BATCH_H

#include "feed/collect_notes.h"
#include "feed/collect_remote.h"
#include "feed/collect_table.h"

/* rows of one round */
#define BRAZE_COLLECT_BATCH_ROWS	(10000 + BRAZE_REMOTE_FETCH)

/* in the memory of the round */
typedef struct BrazeCollectBatch
{
	const BrazeOrigin *origin;
	int64		highest_noted;
	int64		began_behind;	/* the cursor */
	bool		is_stopping;	/* reads no further than to what is noted */
	BrazeCollectedRow *rows;
	int			count;
	int64		bytes;
	int			refused;		/* rows that stay there */
	int64		last_id;
} BrazeCollectBatch;

extern void braze_collect_batch_begin(BrazeCollectBatch *batch, const BrazeOrigin *origin,
									  int64 highest_noted, bool is_stopping);

/*
 * Reads rows, until there are no more or the round has enough; true: there are
 * no more.  Without a condition these are the ones above the cursor.  What
 * cannot be read stays there.
 */
extern bool braze_collect_batch_read(BrazeCollectBatch *batch, const char *condition);

/* is all that was noted among what was read? */
extern bool braze_collect_batch_is_behind_notes(const BrazeCollectBatch *batch);

/* all is read from the lowest id again */
extern void braze_collect_batch_from_start(void);

/* the round is committed, or almost; all: there are no more rows */
extern void braze_collect_batch_succeeded(const BrazeCollectBatch *batch, bool all);

/* after an error; true: the next round reads more carefully than this one */
extern bool braze_collect_batch_failed(int sqlstate);

#endif							/* BRAZE_COLLECT_BATCH_H */
