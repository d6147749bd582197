/*-------------------------------------------------------------------------
 *
 * collect_cursor.h
 *	  How far an origin was read, and which ids below that may still come.
 *
 * Rows are read in the order of their ids, and an id may be committed late.
 * The ids that a read passed over are watched as long as one of the
 * transactions lasts that could insert them: those that hold the lock of an
 * INSERT, which is taken before an id is drawn.  When one of them has ended,
 * the ranges are looked at again, and only then: to walk the dead rows that lie
 * in them in each round would cost as much as there are.
 *
 * The order in a round: its snapshot is taken, and then the holders are asked
 * for.  Who is not among them, and was, may be in the snapshot; who is among
 * them is not, as pg_locks names a transaction no more once others can see it.
 * What is due is read before what is new, under the same snapshot: so the rows
 * of one transaction come in their order.
 *
 * There is one cursor in a process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_CURSOR_H
#define BRAZE_COLLECT_CURSOR_H

#include "nodes/pg_list.h"

/* nothing is known of the origin, which is another one, perhaps */
extern void braze_collect_cursor_reset(void);

/*
 * from the lowest id again, also in the middle of a round, before it has read
 */
extern void braze_collect_cursor_rewind(void);

/* the highest id that was read */
extern int64 braze_collect_cursor_position(void);

/* is it so far above the one before that others are likely to come below it? */
extern bool braze_collect_cursor_is_far(void);

/*
 * The ids to look at again, as SQL has it; NULL: none.  In the caller's memory
 * context.
 */
extern char *braze_collect_cursor_condition(void);

/* they were read, under one snapshot: all of them, or those up to last */
extern void braze_collect_cursor_looked(bool all, int64 last);

/* a row with an id above the position was read */
extern void braze_collect_cursor_read(int64 id);

/*
 * At the begin of a round: who holds the lock, a list of char *, asked for
 * after the round's snapshot was taken.  And at its end.
 */
extern void braze_collect_cursor_begin(List *holders);
extern void braze_collect_cursor_end(void);

#endif							/* BRAZE_COLLECT_CURSOR_H */
