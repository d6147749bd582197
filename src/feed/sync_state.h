/*-------------------------------------------------------------------------
 *
 * sync_state.h
 *	  How far a sync is, for people and for its next run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_STATE_H
#define BRAZE_SYNC_STATE_H

#include "utils/elog.h"

#include "feed/sync.h"

typedef struct BrazeSyncProgress
{
	const char *status;
	TimestampTz started;
	int64		read;
	int64		to_queue;
	int64		queued;
} BrazeSyncProgress;

typedef struct BrazeSyncCounts
{
	int64		added;
	int64		changed;
	int64		removed;
	int64		unchanged;
	int64		rejected;
} BrazeSyncCounts;

/* in the current memory context; an error when it is gone */
extern BrazeSync *braze_sync_state_load(int64 id);

/* the process that runs it; 0: none is known */
extern int	braze_sync_state_pid(int64 id);

/* a run begins: gives it a moment, and the sync a seed if it has none */
extern void braze_sync_state_begin(BrazeSync *sync, BrazeSyncProgress *progress);

/* false: the sync was dropped; true: it cannot be until the transaction ends */
extern bool braze_sync_state_progress(int64 id, const BrazeSyncProgress *progress);

extern void braze_sync_state_finish(const BrazeSync *sync, const BrazeSyncProgress *progress,
									const BrazeSyncCounts *counts);
extern void braze_sync_state_fail(const BrazeSync *sync, const BrazeSyncProgress *progress,
								  const ErrorData *error);

/* runs it again before its time, since a destination did not take its calls */
extern void braze_sync_state_run_soon(const BrazeSync *sync);

/* of events: late before that moment */
extern TimestampTz braze_sync_state_window(const BrazeSync *sync, TimestampTz at);

/*
 * all events up to there were seen, and
 * what lies before the window is forgotten
 */
extern void braze_sync_state_advance(const BrazeSync *sync, TimestampTz last_time, TimestampTz started);

#endif							/* BRAZE_SYNC_STATE_H */
