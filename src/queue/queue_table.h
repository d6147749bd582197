/*-------------------------------------------------------------------------
 *
 * queue_table.h
 *	  Queueing a call, and recording one that cannot be sent.
 *
 * Both tables are written directly through the table and index access methods,
 * as the catalogs are: no plan can go wrong, no search_path can interfere, and
 * a call costs little more than its heap tuple.  table_write.c tells when the
 * executor has to insert.  No permission is checked here; the caller has
 * checked USAGE on the destination.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_TABLE_H
#define BRAZE_QUEUE_TABLE_H

#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/call_kind.h"
#include "queue/column_values.h"

/* a row of braze_dead_letters; its id and failed_at are given when it is put */
typedef struct BrazeDeadLetter
{
	const char *destination;	/* NULL: none could be found */
	Jsonb	   *call;			/* NULL: it cannot be jsonb, or not be read */
	const char *call_text;		/* what came in then, NULL: nobody knows */
	BrazeCallKind kind;
	int			nobjects;		/* -1: all */
	const int  *objects;
	BrazeLetterState state;
	const char *reason;			/* for people */
	int			http_status;	/* 0: refused before it was sent, or no answer */
	TimestampTz queued_at;
} BrazeDeadLetter;

/*
 * Takes, until the transaction ends, the locks that the next call would take:
 * for who must not wait later.
 */
extern void braze_queue_table_lock(void);

extern int64 braze_queue_table_put(const char *destination, Jsonb *call, BrazeCallKind kind);

/* the same for a call that was queued elsewhere, at another moment */
extern int64 braze_queue_table_put_collected(const char *destination, Jsonb *call,
											 BrazeCallKind kind, TimestampTz queued_at,
											 const Datum *objects); /* NULL: all */
extern int64 braze_queue_table_put_dead_letter(const BrazeDeadLetter *letter,
											   ItemPointer tid);

#endif							/* BRAZE_QUEUE_TABLE_H */
