/*-------------------------------------------------------------------------
 *
 * sync_compare.h
 *	  What a sync's query returned, compared with what was synced before.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_COMPARE_H
#define BRAZE_SYNC_COMPARE_H

#include "feed/sync_read.h"

/*
 * a row that is to be queued, by its place, or a user who is gone, by their key
 */
typedef struct BrazeSyncChanges
{
	Tuplestorestate *rows;		/* place, known: in the order of the places */
	TupleDesc	rows_desc;
	Tuplestorestate *removed;	/* key */
	TupleDesc	removed_desc;
	int64		nadded;
	int64		nchanged;
	int64		nmoved;			/* events that were sent, with a later moment
								 * now; unchanged besides */
	int64		nunchanged;
	int64		nremoved;
} BrazeSyncChanges;

/* in the current memory context, which has to last; ended like the rows */
extern BrazeSyncChanges *braze_sync_compare_begin(void);
extern void braze_sync_compare_end(BrazeSyncChanges *changes);

/*
 * Compares, and raises an error where the whole cannot be what was meant: a key
 * that is there twice, or more users gone than max_removed, a fraction, allows.
 */
extern void braze_sync_compare(BrazeSyncChanges *changes, const BrazeSync *sync,
							   BrazeSyncRows *rows, double max_removed);

#endif							/* BRAZE_SYNC_COMPARE_H */
