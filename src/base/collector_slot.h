/*-------------------------------------------------------------------------
 *
 * collector_slot.h
 *	  The processes that collect calls from tables elsewhere, in shared memory.
 *
 * The worker of a database makes a slot for each origin, registers a process
 * for it, and frees the slot when the origin is not collected any more.  The
 * process takes the slot before it connects to the database, and leaves it once
 * it has let go of the database; what it says of itself stays.
 *
 * Everything is written under BrazeShared.lock, held exclusively.  A process
 * reads its own stop without it; whoever sets that sets the latch afterwards.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECTOR_SLOT_H
#define BRAZE_COLLECTOR_SLOT_H

#include "datatype/timestamp.h"
#include "storage/latch.h"

/* the longest name, with its schema, quotes and a null byte at the end */
#define BRAZE_ORIGIN_TABLE_SIZE		192
#define BRAZE_COLLECTOR_TEXT_SIZE	256

/*
 * what tells one database of a server that runs
 * from all others, see braze_collect_locks
 */
#define BRAZE_ORIGIN_SIZE			64

/* what a process says of itself */
typedef struct BrazeCollectorFigures
{
	char		state[BRAZE_COLLECTOR_TEXT_SIZE];	/* empty: none yet */
	int64		waiting;		/* calls at the origin, -1: not known */
	TimestampTz oldest;			/* of them, 0: not known */
	int64		collected;		/* calls, since the slot was made */
	double		rate;			/* calls a second, lately */
	char		last_error[BRAZE_COLLECTOR_TEXT_SIZE];
	TimestampTz last_error_at;	/* 0: there was none */
	TimestampTz last_success;	/* the last round without error, 0: none */
	TimestampTz down_since;		/* 0: the last round had no error */
} BrazeCollectorFigures;

typedef struct BrazeCollectorSlot
{
	Oid			database;		/* InvalidOid: free */
	NameData	server;
	char		table[BRAZE_ORIGIN_TABLE_SIZE];
	Oid			role;
	TimestampTz made_at;		/* since when it is collected, as far as known */
	uint32		number;			/* of the process that was registered last */
	pid_t		worker;			/* the worker that did so, 0: none has */
	pid_t		pid;			/* the process that is there, 0: none */
	Latch	   *latch;			/* of that one; valid even when it is gone */
	bool		stop;			/* it is to end */

	/* of which database of which server it has the table; empty: none yet */
	char		origin[BRAZE_ORIGIN_SIZE];
	char		denied[BRAZE_ORIGIN_SIZE];	/* another one had it of that */
	BrazeCollectorFigures figures;
} BrazeCollectorSlot;

/* what the process is told, in bgw_extra; its slot is in bgw_main_arg */
typedef struct BrazeCollectorStart
{
	Oid			database;
	Oid			role;
	uint32		number;
} BrazeCollectorStart;

/*
 * NULL: there is none, or none is free; the
 * caller holds the lock, exclusively to make one
 */
extern BrazeCollectorSlot *braze_collector_slot_find(Oid database, const char *server,
													 const char *table, bool create);

/*
 * for who ends: its processes are to end as
 * well; the caller holds the lock exclusively
 */
extern void braze_collector_slot_stop_all(Oid database);

/*
 * Is a process connected to the database, or about to be?  Each is told to end
 * by its latch, and, when that has not helped for long, by a signal.  Takes the
 * lock.
 */
extern bool braze_collector_slot_any(Oid database, bool by_signal);

/*
 * For the process that was registered: its slot, or NULL if it is not wanted
 * any more.  It leaves the slot when it ends.
 */
extern BrazeCollectorSlot *braze_collector_slot_attach(int index, const BrazeCollectorStart *start);

/* is its worker gone, or does somebody want the database for themselves? */
extern bool braze_collector_slot_must_end(const BrazeCollectorSlot *slot);

/*
 * For the process: it has its table of that database from now on, and no other
 * slot has it, whatever the name of the server.  False: another one does, and
 * keeps it until it is not collected there any more; *holder is a copy of it.
 * Takes the lock.
 */
extern bool braze_collector_slot_claim(const char *origin, BrazeCollectorSlot *holder);

extern void braze_collector_slot_publish(BrazeCollectorSlot *slot,
										 const BrazeCollectorFigures *figures);

#endif							/* BRAZE_COLLECTOR_SLOT_H */
