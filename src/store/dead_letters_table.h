/*-------------------------------------------------------------------------
 *
 * dead_letters_table.h
 *	  The dead letter that a queued call is a retry of.
 *
 * It is locked before the call is settled, since nobody is waited for; the two
 * point at each other, and a letter that does not point back is not of this
 * call's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DEAD_LETTERS_TABLE_H
#define BRAZE_DEAD_LETTERS_TABLE_H

#include "access/htup.h"
#include "executor/tuptable.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

#include "queue/queue_table.h"

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

/*
 * only its state, and the queued call, 0: none, it is
 * in flight; tid as braze_table_write_update sets it
 */
extern void braze_dead_letters_table_move(BrazeRetried *retried, BrazeLetterState state,
										  int64 retry_id, ItemPointer tid);
extern void braze_dead_letters_table_refused(BrazeRetried *retried, const BrazeDeadLetter *again);
extern void braze_dead_letters_table_release(BrazeRetried *retried);

/*
 * Deletes dead letters that are older, a small part of the table at each call;
 * in how many milliseconds to go on, -1 at its end.
 */
extern int	braze_dead_letters_table_expire(int seconds);

/*
 * Counts the dead letters of each destination, a small part of the table at
 * each call; in how many milliseconds to go on.  Those that are changed
 * meanwhile may be missed, or count twice: the next pass finds them.
 */
extern int	braze_dead_letters_table_count(void);

/* is it under way, or was it when the worker ended? */
extern bool braze_dead_letters_table_is_in_flight(TupleTableSlot *letter);

#endif							/* BRAZE_DEAD_LETTERS_TABLE_H */
