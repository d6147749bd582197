/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  Reading braze_queue in the order of its ids, each row once.
 *
 * The cursor lives in memory: a restart begins at the first row.  One round is
 * one transaction with one snapshot; within it the holes come first, then what
 * is new, so rows reach the consumer in the order of their ids.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_READER_H
#define BRAZE_READER_H

#include "access/genam.h"
#include "access/relscan.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/timestamp.h"

#include "base/call_kind.h"
#include "store/holes.h"

/*
 * a row of braze_queue as read; what it points to is valid until the next one
 */
typedef struct BrazeQueueRow
{
	int64		id;
	Oid			storage;		/* the file that tid is about */
	ItemPointerData tid;		/* a hint: VACUUM FULL and TRUNCATE change
								 * files */
	const char *destination;
	Datum		call;			/* jsonb, perhaps toasted */
	BrazeCallKind kind;
	TimestampTz queued_at;
	bool		was_there;		/* when the first round began */
	bool		all_objects;
	Datum		objects;		/* else: which of the call's, perhaps toasted */
} BrazeQueueRow;

typedef struct BrazeReader
{
	int64		cursor;			/* the highest id read */
	bool		begun;			/* a round, at the begin of which */
	int64		first_highest;	/* this was the highest id in the table */
	BrazeHoles *holes;
	int64		current;		/* the row at the consumer, 0: none */
	bool		read_before;	/* of a row in a hole: it may be one that was
								 * read */

	/* of the round under way */
	Relation	queue;
	Relation	pkey;
	TupleTableSlot *slot;
	Snapshot	snapshot;
} BrazeReader;

/*
 * Says what becomes of a row: true when it was consumed or is not ours,
 * false to stop in front of it.  It may raise an error; the row then counts
 * as not consumed, and reader->current tells which it was.
 */
typedef bool (*BrazeConsumer) (const BrazeQueueRow *row, void *arg);

extern BrazeReader *braze_reader_create(void);

/* forgets how far it has read: the next round begins at the first row */
extern void braze_reader_start_over(BrazeReader *reader);

/* in a transaction; false when somebody holds a lock on the queue's table */
extern bool braze_reader_begin(BrazeReader *reader);
extern void braze_reader_end(BrazeReader *reader);

/* after an error: the transaction took the relations along */
extern void braze_reader_reset(BrazeReader *reader);

/*
 * What fills holes; the consumer must take it all.  With read_before it may be
 * a row that was read, so that it is to be passed over if somebody holds it.
 */
extern void braze_reader_holes(BrazeReader *reader, BrazeConsumer consumer,
							   void *arg);

/* what is new; returns the number of rows read, at most max_rows */
extern int	braze_reader_new(BrazeReader *reader, int max_rows,
							 BrazeConsumer consumer, void *arg);

/*
 * Reads again what lies after one id up to another; returns the id up to which
 * all is consumed, which is until when neither the consumer nor max_rows
 * stopped it.
 */
extern int64 braze_reader_range(BrazeReader *reader, int64 after, int64 until,
								int max_rows, BrazeConsumer consumer, void *arg);

/* the highest id that is above after, or else after; under a snapshot of now */
extern int64 braze_reader_highest(BrazeReader *reader, int64 after);

/* one row again; false when it is not there any more */
extern bool braze_reader_look_up(BrazeReader *reader, int64 id,
								 BrazeConsumer consumer, void *arg);

/* are there holes that somebody may still fill? */
extern bool braze_reader_has_holes(const BrazeReader *reader);

#endif							/* BRAZE_READER_H */
