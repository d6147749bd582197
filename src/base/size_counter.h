/*-------------------------------------------------------------------------
 *
 * size_counter.h
 *	  How many calls are queued for a destination, and how many bytes they
 *	  take up, counted in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SIZE_COUNTER_H
#define BRAZE_SIZE_COUNTER_H

#include "port/atomics.h"
#include "storage/spin.h"

typedef struct BrazeQueued
{
	int64		calls;
	int64		bytes;
} BrazeQueued;

/*
 * What a transaction adds, which counts once it has committed; the worker takes
 * off.  A part of it belongs to the count anew that the worker began at bound.
 */
typedef struct BrazeSizeChange
{
	BrazeQueued all;
	BrazeQueued anew;
	uint64		bound;
} BrazeSizeChange;

typedef struct BrazeSizeCounter
{
	pg_atomic_uint64 committed; /* bytes, two's complement, */
	pg_atomic_uint64 calls;		/* and the calls that they are of */
	pg_atomic_uint64 open;		/* of transactions under way */
	pg_atomic_uint64 queued;	/* calls, since the place was made */
	pg_atomic_uint64 moved;		/* how many came and went */
	pg_atomic_uint64 bound;		/* a row with a higher id belongs to anew */
	BrazeQueued anew;			/* of the count under way */
	pg_atomic_uint32 users;		/* such transactions, which have its address */
	bool		local;			/* of this process alone */
	slock_t		mutex;			/* for committed together with calls, anew,
								 * bound and corrections */
	uint32		corrections;	/* how often committed was corrected */
	bool		known;			/* there was a look since the server started */
	int64		looked_at;		/* the last look, by the monotonic clock, */
	int64		read_at;		/* which read the queue if this is not 0, */
	int			read_ms;		/* and how long that took */
	pg_atomic_uint64 letters;	/* bytes of dead letters, since they were read */
	int64		letters_read_at;	/* 0: they were not */
	int			letters_read_ms;
} BrazeSizeCounter;

/* what was counted when someone began to look at the queue */
typedef struct BrazeSizeLook
{
	int64		counted;
	uint32		corrections;
} BrazeSizeLook;

static inline void
braze_size_counter_init(BrazeSizeCounter *size, uint64 bound)
{
	memset(size, 0, sizeof(BrazeSizeCounter));
	pg_atomic_init_u64(&size->committed, 0);
	pg_atomic_init_u64(&size->calls, 0);
	pg_atomic_init_u64(&size->moved, 0);
	pg_atomic_init_u64(&size->bound, bound);
	pg_atomic_init_u64(&size->open, 0);
	pg_atomic_init_u64(&size->queued, 0);
	pg_atomic_init_u64(&size->letters, 0);
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

/*
 * bytes and calls of transactions that have committed, bytes of those under way
 */
extern int64 braze_size_counter_committed(BrazeSizeCounter *size);
extern int64 braze_size_counter_calls(BrazeSizeCounter *size);
extern int64 braze_size_counter_open(BrazeSizeCounter *size);

/* adds one change to another, of which it is the later */
extern void braze_size_counter_join(BrazeSizeChange *change, const BrazeSizeChange *later);

/*
 * what a transaction did has committed; what
 * it queued is open no more, in any case
 */
extern void braze_size_counter_commit(BrazeSizeCounter *size, const BrazeSizeChange *change);
extern void braze_size_counter_close(BrazeSizeCounter *size, int64 bytes);

/* the rows of the queue were changed otherwise, or what is counted has */
extern void braze_size_counter_unknown(BrazeSizeCounter *size);
extern void braze_size_counter_all_unknown(void);

/*
 * For the worker, which counts anew: from bound on, some that it found, and all
 * of it, which then takes the place of what was counted before.
 */
extern void braze_size_counter_begin_anew(BrazeSizeCounter *size, uint64 bound);
extern void braze_size_counter_add_anew(BrazeSizeCounter *size, const BrazeQueued *found);
extern void braze_size_counter_end_anew(BrazeSizeCounter *size);

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
