/*-------------------------------------------------------------------------
 *
 * sync_run.h
 *	  A run of a sync, from its query to the last part of its calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_RUN_H
#define BRAZE_SYNC_RUN_H

#include "feed/sync.h"

typedef enum BrazeSyncRunMode
{
	BRAZE_SYNC_RUN_AT_ONCE,		/* in the caller's transaction, all of it */
	BRAZE_SYNC_RUN_IN_PARTS,	/* a transaction for each part */
	BRAZE_SYNC_RUN_TIMED		/* the same, in a process of its own */
} BrazeSyncRunMode;

/*
 * Runs the sync, which the caller may.  max_removed: in place of the sync's
 * own, or negative.  But for the first mode, the caller is a procedure or a
 * process that may commit, with a PortalContext; and an error is noted in the
 * tables before it is raised.
 */
extern void braze_sync_run(int64 id, double max_removed, BrazeSyncRunMode mode);

/* does some process run it now? */
extern bool braze_sync_run_is_under_way(int64 id);

#endif							/* BRAZE_SYNC_RUN_H */
