/*-------------------------------------------------------------------------
 *
 * queue_recount.h
 *	  Counting the rows of the queue anew, while others write to it.
 *
 * A count of rows that are in the table and a count of those that come and go
 * meanwhile have to fit together.  The ids divide them.  The count begins at a
 * bound, the last id that was drawn.  Rows above it are counted by who inserts
 * or deletes them, as ever.  Rows up to it are looked for in the table, once
 * nobody is left who may insert one: those who hold a lock for it when the
 * count begins have ended.  From then on such rows only become fewer.  What the
 * worker deletes is taken off if the count has come by it.
 *
 * What else deletes rows, or inserts some with ids that nobody draws any more,
 * disturbs the count, see queue_count.h; then it begins anew.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_RECOUNT_H
#define BRAZE_QUEUE_RECOUNT_H

extern void braze_queue_recount_init(void);

/* when there is something to do, by braze_now_ms() */
extern int64 braze_queue_recount_due(void);

/* in a transaction of its own: a step, which reads few rows */
extern void braze_queue_recount_step(void *arg);

/*
 * For the worker, which deletes or inserts a row: is it one that the count
 * under way has, or that is not looked for?
 */
extern bool braze_queue_recount_has(int64 id);

#endif							/* BRAZE_QUEUE_RECOUNT_H */
