/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The tables: braze_queue, braze_dead_letters and what belongs to them.
 *
 * All access to them by C code is here.  It reads and writes them directly
 * through the table and index access methods, as the catalogs are: no plan
 * can go wrong, no search_path can interfere, and a call costs little more
 * than its heap tuple.  table_write.c tells when the executor has to insert.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_H
#define BRAZE_QUEUE_H

#include "access/htup.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "base/call_kind.h"

/* a row of braze_queue as read; what it points to is valid until the next one */
typedef struct BrazeQueueRow
{
	int64		id;
	Oid			storage;		/* the file that tid is about */
	ItemPointerData tid;		/* a hint: VACUUM FULL and TRUNCATE change files */
	const char *destination;
	Datum		call;			/* jsonb, perhaps toasted */
	BrazeCallKind kind;
	TimestampTz queued_at;
	int			nobjects;		/* -1: all */
	const int  *objects;		/* which objects of the call, ascending */
} BrazeQueueRow;

typedef enum BrazeLetterState
{
	BRAZE_LETTER_REJECTED,
	BRAZE_LETTER_IN_DOUBT,		/* Braze may have accepted the call */
	BRAZE_LETTER_IN_FLIGHT		/* it is under way, or was when the worker ended */
} BrazeLetterState;

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
 * queue_table.c: what ordinary sessions do.  No permission is checked here; the
 * caller has checked USAGE on the destination.
 */
extern int64 braze_queue_table_put(const char *destination, Jsonb *call, BrazeCallKind kind,
							 int64 *stored);	/* bytes; NULL: not asked */
extern int64 braze_queue_table_put_dead_letter(const BrazeDeadLetter *letter,
										 ItemPointer tid);

/*
 * The name of a destination as a table has it; a user may have put one there
 * that is longer than any server's, and is cut.
 */
extern void braze_queue_table_destination(Datum value, NameData *name);

/* numbers of a call's objects, as both tables have them */
extern Datum braze_queue_table_objects_array(int nobjects, const int *objects);
extern int	braze_queue_table_objects_read(Datum array, const int **objects);

/*
 * settle.c: what the worker does with calls that are done, in a transaction of
 * its own.
 */
typedef struct BrazeSettleTable
{
	Relation	rel;			/* NULL: not opened */
	Relation	pkey;
	TupleTableSlot *slot;
	BlockNumber nblocks;		/* of its file: a hint beyond is stale */
	AttrNumber	queued_at;		/* 0: its ids are not used again */
} BrazeSettleTable;

typedef struct BrazeSettler
{
	BrazeSettleTable queue;
	BrazeSettleTable letters;	/* opened when it is needed */
	struct BrazeForgotten *forgotten;	/* users who were deleted; NULL: none */
	MemoryContext context;		/* as long as the settler, calls come and go */
} BrazeSettler;

typedef enum BrazeSettled
{
	BRAZE_SETTLED,				/* deleted now, or gone already */
	BRAZE_SETTLE_LATER			/* another transaction holds the row */
} BrazeSettled;

/* false when somebody holds a lock on the table */
extern bool braze_settle_begin(BrazeSettler *settler);
extern void braze_settle_end(BrazeSettler *settler);

/*
 * What is deleted makes room: counted from here on, taken back when a
 * subtransaction has failed, and told once the transaction has committed.
 */
extern void braze_settle_forget_sizes(void);
extern void braze_settle_attempted(bool done);
extern void braze_settle_committed(void);

/*
 * Where a call's row was when it was read, or moved to; queued_at tells it
 * from a later one of its id.
 */
typedef struct BrazeSettleRow
{
	int64		id;				/* in the queue */
	int64		letter;			/* 0: it is in the queue, else in this dead letter */
	bool		is_retry;		/* and it was one before, */
	BrazeLetterState before;	/* in this state */
	Oid			storage;
	ItemPointerData tid;
	TimestampTz queued_at;
} BrazeSettleRow;

/* is it still there? */
extern bool braze_settle_finds(BrazeSettler *settler, const BrazeSettleRow *row);

extern BrazeSettled braze_settle_delete(BrazeSettler *settler,
										const BrazeSettleRow *row);

/*
 * The same, and a dead letter is made of the row; letter lacks what the row
 * has.  Of a call that was queued again, the letter that is there is rewritten.
 */
extern BrazeSettled braze_settle_reject(BrazeSettler *settler,
										const BrazeSettleRow *row,
										const BrazeDeadLetter *letter);

/*
 * A user was deleted by this call: their dead letters go too, but for those of
 * later calls; false: not now.  What is noted is done by
 * braze_settle_forget_letters, for all users at once, since it looks through
 * all letters.
 */
extern bool braze_settle_forget_user(BrazeSettler *settler, const BrazeSettleRow *row);
extern void braze_settle_forget_letters(BrazeSettler *settler);

/* a letter was put or rewritten, after the users so far were deleted */
extern void braze_settle_note_letter(BrazeSettler *settler, int64 letter);

/* of one of the settler's tables; false: somebody deleted it, a purge for instance */
extern bool braze_settle_fetch(BrazeSettleTable *table, int64 id, const BrazeSettleRow *row);
extern TM_Result braze_settle_delete_fetched(BrazeSettler *settler, BrazeSettleTable *table);

/* what is fetched has left the queue, or is back in it */
extern void braze_settle_note_queued(TupleTableSlot *slot, bool back);

/* false when somebody holds a lock on the table */
extern bool braze_settle_open_letters(BrazeSettler *settler);

/*
 * dead_letters_table.c: the dead letter that a queued call is a retry of.  It is locked
 * before the call is settled, since nobody is waited for; the two point at
 * each other, and a letter that does not point back is none of this call's.
 */
typedef enum BrazeRetriedState
{
	BRAZE_RETRIED_NONE,
	BRAZE_RETRIED_LOCKED,
	BRAZE_RETRIED_BUSY			/* another transaction has the letter */
} BrazeRetriedState;

typedef struct BrazeRetried
{
	Relation	letters;
	HeapTuple	letter;
} BrazeRetried;

extern BrazeRetriedState braze_dead_letters_table_lock(BrazeRetried *retried, int64 letter,
											int64 queue_id);

/* the same for a letter that is in flight, whatever it points at */
extern BrazeRetriedState braze_dead_letters_table_lock_in_flight(BrazeRetried *retried, int64 letter);
extern void braze_dead_letters_table_delete(BrazeRetried *retried);

extern BrazeLetterState braze_dead_letters_table_state(const BrazeRetried *retried);

/* only its state, and the queued call, 0: none, it is in flight; tid as braze_table_write_update sets it */
extern void braze_dead_letters_table_move(BrazeRetried *retried, BrazeLetterState state,
							   int64 retry_id, ItemPointer tid);
extern void braze_dead_letters_table_refused(BrazeRetried *retried, const BrazeDeadLetter *again);
extern void braze_dead_letters_table_release(BrazeRetried *retried);

/*
 * Deletes dead letters that are older, a small part of the table at each call;
 * in how many milliseconds to go on, -1 at its end.
 */
extern int	braze_dead_letters_table_sweep(int seconds);

/* settle.c: the one that the row fetched from the queue names */
extern BrazeRetriedState braze_settle_lock_retried(BrazeSettler *settler,
												   const BrazeSettleRow *row,
												   BrazeRetried *retried);

/*
 * claims_table.c: calls of at_most_once destinations leave the queue before they
 * are sent.  row is where the call is, and afterwards where it was moved to.
 */
typedef enum BrazeMoved
{
	BRAZE_MOVED,
	BRAZE_MOVE_GONE,			/* somebody deleted it */
	BRAZE_MOVE_LATER			/* somebody has locked it, or its place is taken */
} BrazeMoved;

extern BrazeMoved braze_claims_table_move(BrazeSettler *settler, BrazeSettleRow *row);
extern BrazeMoved braze_claims_table_put_back(BrazeSettler *settler, BrazeSettleRow *row);

/* as those of settle.c, for a call that is in flight */
extern BrazeSettled braze_claims_table_delete(BrazeSettler *settler, const BrazeSettleRow *row);
extern BrazeSettled braze_claims_table_reject(BrazeSettler *settler, const BrazeSettleRow *row,
										   const BrazeDeadLetter *letter);

extern bool braze_claims_table_is_claimed(TupleTableSlot *letter);

/* a letter's state as its table has it */
extern Datum braze_dead_letters_table_state_text(BrazeLetterState state);
extern BrazeLetterState braze_dead_letters_table_state_read(Datum value);

/* paused_table.c: destinations that are paused, and why */
#define BRAZE_WHOLE_DESTINATION	(-1)

typedef struct BrazePause
{
	int			endpoint;		/* a BrazeEndpoint, or the above */
	char	   *reason;
	bool		by_worker;		/* because of an answer of Braze */
} BrazePause;

extern List *braze_paused_table_read(const char *destination); /* of BrazePause * */
extern bool braze_paused_table_has(const char *destination, int endpoint);
extern void braze_paused_table_put(const char *destination, const BrazePause *pause);

/* those by an answer of Braze */
extern void braze_paused_table_lift(const char *destination);

#endif							/* BRAZE_QUEUE_H */
