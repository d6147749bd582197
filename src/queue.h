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

/* a row of braze_dead_letters; its id and failed_at are given when it is put */
typedef struct BrazeDeadLetter
{
	const char *destination;	/* NULL: none could be found */
	Jsonb	   *call;
	int			nobjects;		/* -1: all */
	const int  *objects;
	const char *reason;
	int			http_status;	/* 0: refused before it was sent */
	TimestampTz queued_at;
} BrazeDeadLetter;

/*
 * queue_put.c: what ordinary sessions do.  No permission is checked here; the
 * caller has checked USAGE on the destination.
 */
extern int64 braze_queue_put(const char *destination, Jsonb *call);
extern int64 braze_queue_put_dead_letter(const BrazeDeadLetter *letter);
extern Datum braze_objects_array(int nobjects, const int *objects);

#endif							/* BRAZE_QUEUE_H */
