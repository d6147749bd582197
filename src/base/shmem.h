/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  What the processes tell each other: which databases have a worker, and
 *	  how their destinations are doing.
 *
 * There is no shared memory unless the library is in shared_preload_libraries;
 * braze_shared is NULL then, and every function here does nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SHMEM_H
#define BRAZE_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "base/attempt.h"
#include "base/collector_slot.h"
#include "base/connection_test_place.h"
#include "base/figures.h"
#include "base/queue_count.h"
#include "base/size_counter.h"

#define BRAZE_MESSAGE_SIZE		256

typedef enum BrazeDatabaseState
{
	BRAZE_DATABASE_WANTED,		/* ask whether it has the extension, or serve
								 * it */
	BRAZE_DATABASE_STARTING,	/* its worker was registered */
	BRAZE_DATABASE_RUNNING,		/* its worker found the extension */
	BRAZE_DATABASE_OUTDATED,	/* its worker waits until the extension's
								 * tables are as they should be */
	BRAZE_DATABASE_NO_EXTENSION,	/* its worker found none and is gone */
	BRAZE_DATABASE_NO_SLOT		/* no free background worker */
} BrazeDatabaseState;

/*
 * One per database that has a worker or may want one.  A slot is free when
 * database is InvalidOid, and is only freed by the launcher, while pid is 0.
 *
 * Everything is written under BrazeShared.lock, held exclusively, with one
 * exception: the worker clears refresh, purged and purged_perhaps without it,
 * before it does what they ask for.  It reads these and held without it as
 * well; whoever sets them sets the latch afterwards, which orders the memory.
 * Everything else is read under the lock.
 */
typedef struct BrazeDatabaseSlot
{
	Oid			database;
	BrazeDatabaseState state;
	pid_t		pid;			/* its worker, 0: none */
	Latch	   *latch;			/* of that worker; valid even when it is gone */
	bool		queued;			/* something was, since it last saw its latch */
	bool		refresh;		/* the worker is to read pauses and options
								 * anew */
	bool		purged;			/* and to forget the calls that are gone, */
	bool		purged_perhaps; /* or to look for these at its next nap */
	char		settle_blocked[BRAZE_MESSAGE_SIZE]; /* why the last settle
													 * failed, empty: it did
													 * not */
	char		read_blocked[BRAZE_MESSAGE_SIZE];	/* the same of the last
													 * read */
	bool		unproven;		/* its last worker stood still, and was to
								 * prove that it may send */
	bool		waits_for_proof;	/* and this one waits for a standby */
	int64		highest_read;	/* the id up to which the worker has read the
								 * queue */
	int64		lowest_in_flight;	/* no dead letter with a lower id is under
									 * way */
	int64		highest_in_flight;	/* nor a call that had a higher id in the
									 * queue */
	int64		released_claims;	/* how often such letters went back to the
									 * queue */
	BrazeBackoff left_alone;	/* as braze_attempt_left_alone, for the next
								 * worker */
	bool		has_extension;	/* its worker found it, or a session there
								 * used it */
	int			held;			/* sessions that need the database left alone:
								 * no worker is started, and the slot not
								 * freed */
	int64		started_at;		/* on braze_now_ms()'s clock, for the
								 * throttle; 0: no worker was started yet */
	int			failed_starts;	/* workers in a row that ended by an error
								 * before they served */
	bool		wanted_at_once; /* CREATE EXTENSION, or a hold that is over */
	BrazeConnectionTestPlace test;
	BrazeQueueCount count;		/* see there for what needs the lock */
} BrazeDatabaseSlot;

typedef enum BrazeDestinationState
{
	BRAZE_DESTINATION_RUNNING,
	BRAZE_DESTINATION_RETRYING, /* passing fault: tried again by its clock */
	BRAZE_DESTINATION_WAITING,	/* what was answered cannot be settled */
	BRAZE_DESTINATION_PAUSED,
	BRAZE_DESTINATION_NOT_STARTED	/* in this database */
} BrazeDestinationState;

/*
 * what is counted of a destination; braze_counters() returns it in this order
 */
typedef enum BrazeCounter
{
	BRAZE_COUNT_REQUESTS,
	BRAZE_COUNT_DELIVERED,		/* calls accepted */
	BRAZE_COUNT_SKIPPED,
	BRAZE_COUNT_REJECTED,
	BRAZE_COUNT_RETRIES,		/* requests sent again */
	BRAZE_COUNT_AMBIGUOUS_RESENDS,	/* those that Braze may have accepted
									 * before */
	BRAZE_COUNT_AMBIGUOUS_CALLS,	/* calls in them */
	BRAZE_COUNT_DUPLICATES,		/* calls not queued because of deduplicate */
	BRAZE_COUNT_DROPPED,		/* because of on_full */
	BRAZE_COUNT_UNCHANGED		/* attributes not sent, since Braze has them */
} BrazeCounter;

#define BRAZE_COUNTERS	(BRAZE_COUNT_UNCHANGED + 1)

/*
 * One per destination that a worker has served since the server started.
 * Only that worker writes it, but for size and the counts of duplicates and of
 * what was dropped, which the sessions that queue add up; it survives the
 * worker.  All of it is under BrazeShared.lock, but for size, which has atomics
 * and a spinlock of its own: every commit of a session that queues counts
 * there.  The worker frees it once its server is gone, nothing is queued for
 * it, and no open transaction has counted on it; the launcher, when the
 * extension is gone.
 */
typedef struct BrazeDestinationSlot
{
	Oid			database;		/* InvalidOid: free */
	NameData	name;
	int			next;			/* in the same bucket, or of the free ones;
								 * -1: none */
	BrazeDestinationState state;
	int64		limit_ends;		/* Braze's rate limit, on braze_now_ms()'s
								 * clock; past: there is none, */
	int64		identity_limit_ends;	/* of the endpoints for identities */
	int			in_flight;		/* requests */
	int64		counts[BRAZE_COUNTERS];
	BrazeSums	sums;
	BrazeGauges gauges;			/* when the worker last looked */
	BrazeSizeCounter size;
	int64		dead_letters;	/* when they were last counted, -1: never */
	BrazeBackoff left_alone;	/* since a trigger ended the worker */
	TimestampTz last_success;	/* 0: none yet */
	TimestampTz last_error_at;
	char		last_error[BRAZE_MESSAGE_SIZE];
	char		paused[BRAZE_MESSAGE_SIZE]; /* why, when state says so */
} BrazeDestinationSlot;

typedef struct BrazeShared
{
	LWLock	   *lock;

	/* set before any process has it, and not changed */
	int			startups;		/* of shared memory: over 1 after a crash */

	/*
	 * read without the lock as well: the latch of one that is gone is
	 * harmless
	 */
	pid_t		launcher_pid;
	Latch	   *launcher_latch;
	bool		launcher_started;	/* ever, since the server's last start */
	int64		crash_wait_from;	/* on braze_now_ms()'s clock, 0: it does
									 * not wait for restart_delay */

	/*
	 * without the lock, too; written by the launcher, 0: it has yet to start;
	 * see steady_time.c
	 */
	pg_atomic_uint64 wall_offset;

	/* under the lock */
	bool		probe_all;		/* forget which databases had no extension */
	uint32		releases;		/* how often a database was held no more */
	BrazeDestinationSlot *destinations; /* braze_max_destinations of them */
	int		   *buckets;		/* as many, each the first of its chain or -1 */
	int			free_destination;	/* the first, or -1 */
	uint32		freed_destinations; /* how often one was freed */
	uint32		collectors_numbered;	/* numbers given to collectors so far */
	BrazeCollectorSlot *collectors; /* as many as databases */
	int			ndatabases;		/* not changed either */
	BrazeDatabaseSlot databases[FLEXIBLE_ARRAY_MEMBER];
} BrazeShared;

extern BrazeShared *braze_shared;

extern void braze_shmem_init(void);

/* the caller holds the lock, exclusively to make a slot; NULL: none is free */
extern BrazeDatabaseSlot *braze_shmem_database(Oid database, bool create);
extern BrazeDestinationSlot *braze_shmem_destination(Oid database,
													 const char *name,
													 bool create);

/* takes the lock, which the caller releases; NULL: our database has no slot */
extern BrazeDatabaseSlot *braze_shmem_lock_own_database(LWLockMode mode);

/*
 * Copies the i-th place of a destination, if it is of our database.  Rows and
 * text are made of a copy: that may fail, and must not hold the lock.
 */
extern bool braze_shmem_copy_own_destination(int i, BrazeDestinationSlot *copy);

/* the caller holds the lock exclusively, and nobody counts on the place */
extern void braze_shmem_free_destination(BrazeDestinationSlot *slot);

/* the caller holds the lock: could this database have one more? */
extern bool braze_shmem_has_place(void);

extern void braze_shmem_wake_launcher(void);

#endif							/* BRAZE_SHMEM_H */
