/*-------------------------------------------------------------------------
 *
 * sync_part.h
 *	  A part of a sync's run: some calls, queued together with their state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_PART_H
#define BRAZE_SYNC_PART_H

#include "feed/parts.h"
#include "feed/sync_compare.h"

/* so many calls are queued in one transaction */
#define BRAZE_SYNC_PART_CALLS	10000

typedef struct BrazeSyncQueue
{
	const BrazeSync *sync;
	Oid			owner;
	BrazeSyncRows *rows;
	BrazeSyncChanges *changes;
	int64		next_place;		/* of the rows, that is read next */
	int64		nleft;			/* rows and removed users of later parts */
	int64		nqueued;		/* calls, those that were rejected as well */
	int64		nrejected;
	int64		ndropped;		/* there was no room for them */
	int64		ids[BRAZE_SYNC_PART_CALLS]; /* of the part that was queued
											 * last */
	int			nids;
} BrazeSyncQueue;

/*
 * Queues the next part, in the caller's transaction.  The caller's memory
 * context may be reset after it.
 */
extern void braze_sync_part(BrazeSyncQueue *queue);

#endif							/* BRAZE_SYNC_PART_H */
