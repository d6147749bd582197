/*-------------------------------------------------------------------------
 *
 * size_counter.h
 *	  How many bytes are queued for a destination, counted in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SIZE_COUNTER_H
#define BRAZE_SIZE_COUNTER_H

#include "port/atomics.h"
#include "storage/spin.h"

typedef struct BrazeSizeCounter
{
	pg_atomic_uint64 committed; /* bytes, two's complement */
	pg_atomic_uint64 open;		/* of transactions under way */
	pg_atomic_uint64 queued;	/* calls, since the place was made */
	pg_atomic_uint32 users;		/* such transactions, which have its address */
	bool		local;			/* of this process alone */
	slock_t		mutex;			/* for committed together with corrections */
	uint32		corrections;	/* how often committed was corrected */
	bool		known;			/* there was a look since the server started */
	int64		looked_at;		/* the last look, by the monotonic clock, */
	int64		read_at;		/* which read the queue if this is not 0, */
	int			read_ms;		/* and how long that took */
} BrazeSizeCounter;

/* what was counted when someone began to look at the queue */
typedef struct BrazeSizeLook
{
	int64		counted;
	uint32		corrections;
} BrazeSizeLook;

static inline void
braze_size_counter_init(BrazeSizeCounter *size)
{
	memset(size, 0, sizeof(BrazeSizeCounter));
	pg_atomic_init_u64(&size->committed, 0);
	pg_atomic_init_u64(&size->open, 0);
	pg_atomic_init_u64(&size->queued, 0);
	pg_atomic_init_u32(&size->users, 0);
	SpinLockInit(&size->mutex);
}

/*
 * Where it is counted: in shared memory, or else for this session alone.  The
 * worker, which frees the place of a destination, needs no more; a session
 * uses it until its transaction ends.
 */
extern BrazeSizeCounter *braze_size_counter_of(const char *destination);
extern BrazeSizeCounter *braze_size_counter_use(const char *destination);
extern void braze_size_counter_release(BrazeSizeCounter *size);

/* of transactions that have committed, and of those under way */
extern int64 braze_size_counter_committed(BrazeSizeCounter *size);
extern int64 braze_size_counter_open(BrazeSizeCounter *size);

/* a transaction that added bytes has ended */
extern void braze_size_counter_end(BrazeSizeCounter *size, int64 bytes, bool committed);

/* the rows of the queue were changed otherwise, or what is counted has */
extern void braze_size_counter_unknown(BrazeSizeCounter *size);
extern void braze_size_counter_all_unknown(void);

/* for the worker: a call is settled */
extern void braze_size_counter_settled(BrazeSizeCounter *size, int64 bytes);

/*
 * Sets to bytes what was counted at a look that was begun before they were
 * read; what was counted since stays.  Returns false, and changes nothing,
 * when another look has corrected the count meanwhile: both together would be
 * wrong by as much as they correct.
 */
extern BrazeSizeLook braze_size_counter_look(BrazeSizeCounter *size);
extern bool braze_size_counter_correct(BrazeSizeCounter *size, const BrazeSizeLook *look,
									   int64 bytes);

#endif							/* BRAZE_SIZE_COUNTER_H */
