/*-------------------------------------------------------------------------
 *
 * queued_ids.h
 *	  Which calls this transaction has queued, and for whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUED_IDS_H
#define BRAZE_QUEUED_IDS_H

#include "postgres_ext.h"

/* calls of one role, one after the other; other sessions may own ids between */
typedef struct BrazeQueuedIds
{
	Oid			roleid;
	int64		first;
	int64		last;
} BrazeQueuedIds;

/* a call was queued, with the rights of the role */
extern void braze_queued_ids_add(int64 id, Oid roleid);

/* this transaction may have other rows in the queue from here on */
extern void braze_queued_ids_interrupt(void);

/*
 * In the order of the ids, without overlaps.  A subtransaction that was rolled
 * back is still in it, but its rows are gone.
 */
extern const BrazeQueuedIds *braze_queued_ids(int *count);

#endif							/* BRAZE_QUEUED_IDS_H */
