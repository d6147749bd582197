/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The tables: braze_queue, braze_dead_letters and what belongs to them.
 *
 * All access to them by C code is here.  It reads and writes them directly
 * through the table and index access methods, as the catalogs are: no plan
 * can go wrong, no search_path or trigger can interfere, and a call costs
 * little more than its heap tuple.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_H
#define BRAZE_QUEUE_H

#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* a row of braze_queue */
typedef struct BrazeQueueRow
{
	int64		id;
	ItemPointerData tid;		/* a hint: VACUUM FULL moves rows */
	NameData	destination;
	Jsonb	   *call;			/* valid until the next row is read */
	TimestampTz queued_at;
	int			nobjects;		/* -1: all */
	int		   *objects;		/* which objects of the call, ascending */
} BrazeQueueRow;

/* queue_put.c: what ordinary sessions do */
extern int64 braze_queue_put(const char *destination, Jsonb *call);
extern void braze_queue_put_dead_letter(const char *destination, Jsonb *call,
										const char *reason);
extern bool braze_queue_flush(const char *destination, long timeout_ms);

#endif							/* BRAZE_QUEUE_H */
