/*-------------------------------------------------------------------------
 *
 * queue_size.h
 *	  What the queued calls of a destination take up, for max_queue_size.
 *
 * Counted, not read, see size_counter.h.  While the count is not exact, it is
 * compared with the files before a call is refused, and read anew when it says
 * full.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUE_SIZE_H
#define BRAZE_QUEUE_SIZE_H

/* Is there room for a call of that size in a queue that is limited to limit? */
extern bool braze_queue_size_has_room(const char *destination, int64 limit, int64 bytes);

/* of a table, without its indexes */
extern int64 braze_queue_size_files(Oid table);

#endif							/* BRAZE_QUEUE_SIZE_H */
