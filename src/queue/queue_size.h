/*-------------------------------------------------------------------------
 *
 * queue_size.h
 *	  What the queued calls of a destination take up, for max_queue_size.
 *
 * Counted, not read: sessions add what they queue, the worker takes off what
 * it settles.  What passes by them (plain SQL, COPY) makes the count wrong, so
 * it is corrected: it is compared with the files before a call is refused,
 * read anew when it says full, and set to nothing by a worker that has nothing
 * left.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_SIZE_H
#define BRAZE_QUEUE_SIZE_H

/*
 * Is there room for a call of that size in a queue that is limited to limit?
 * One that was queued is then added; what a transaction has added is of those
 * that are open until it ends.
 */
extern bool braze_queue_size_has_room(const char *destination, int64 limit, int64 bytes);
extern void braze_queue_size_add(const char *destination, int64 bytes);

#endif							/* BRAZE_QUEUE_SIZE_H */
