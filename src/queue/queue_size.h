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

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/spin.h"

typedef struct BrazeQueueSize
{
	pg_atomic_uint64 committed; /* bytes, two's complement */
	pg_atomic_uint64 open;		/* of transactions under way */
	pg_atomic_uint32 users;		/* such transactions, which have its address */
	bool		local;			/* of this process alone */
	slock_t		mutex;			/* for committed together with corrections */
	uint32		corrections;	/* how often committed was corrected */
	bool		known;			/* there was a look since the server started */
	TimestampTz looked_at;		/* the last look, */
	TimestampTz read_at;		/* which read the queue if this is not 0, */
	int			read_ms;		/* and how long that took */
} BrazeQueueSize;

/* what was counted when someone began to look at the queue */
typedef struct BrazeQueueLook
{
	int64		counted;
	uint32		corrections;
} BrazeQueueLook;

extern void braze_queue_size_init(BrazeQueueSize *size);

/*
 * Where it is counted: in shared memory, or else for this session alone.  The
 * worker, which frees the place of a destination, needs no more; a session
 * uses it until its transaction ends.
 */
extern BrazeQueueSize *braze_queue_size_of(const char *destination);
extern BrazeQueueSize *braze_queue_size_use(const char *destination);
extern void braze_queue_size_release(BrazeQueueSize *size);

/*
 * Is there room for a call of that size in a queue that is limited to limit?
 * One that was queued is then added; what a transaction has added is of those
 * that are open until it ends.
 */
extern bool braze_queue_size_has_room(const char *destination, int64 limit, int64 bytes);
extern void braze_queue_size_add(const char *destination, int64 bytes);
extern void braze_queue_size_end(BrazeQueueSize *size, int64 bytes, bool committed);

/* the rows of the queue were changed otherwise, or what is counted has */
extern void braze_queue_size_unknown(BrazeQueueSize *size);
extern void braze_queue_size_all_unknown(void);

/* for the worker: a call is settled */
extern void braze_queue_size_settled(BrazeQueueSize *size, int64 bytes);

/*
 * Sets to bytes what was counted at a look that was begun before they were
 * read; what was counted since stays.  Returns false, and changes nothing,
 * when another look has corrected the count meanwhile: both together would be
 * wrong by as much as they correct.
 */
extern BrazeQueueLook braze_queue_size_look(BrazeQueueSize *size);
extern bool braze_queue_size_correct(BrazeQueueSize *size, const BrazeQueueLook *look,
									 int64 bytes);

#endif							/* BRAZE_QUEUE_SIZE_H */
