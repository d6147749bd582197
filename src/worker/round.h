/*-------------------------------------------------------------------------
 *
 * round.h
 *	  The worker's transactions: refresh, read, settle, forget.
 *
 * Each is one short transaction.  An error in one is logged and never ends
 * the worker; what it was about stays where it was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_H
#define BRAZE_ROUND_H

typedef enum BrazeReadResult
{
	BRAZE_READ_ALL,				/* nothing further is there for now */
	BRAZE_READ_MORE,			/* a further round would find rows */
	BRAZE_READ_FAILED
} BrazeReadResult;

/* calls settled in one transaction */
#define BRAZE_SETTLE_BATCH	10000

/* has this process settled anything yet? */
extern bool braze_first_settle_done;

/* the last settle failed: nothing new may be sent until one succeeds */
extern bool braze_settle_blocked;

/*
 * Calls may have been taken out of the queue: nothing is sent before a look.
 * Also set by an invalidation of the queue's table, so messages are to be
 * accepted before each send.
 */
extern bool braze_forget_due;

extern void braze_round_init(void);

/* destinations, their options, keys and pauses */
extern bool braze_round_refresh(bool options_changed);

extern BrazeReadResult braze_round_read_queue(void);

/* forgets old messageIds; in how many milliseconds to go on, -1: at the next nap */
extern int	braze_round_messages(void);

/* the same for dead letters */
extern int	braze_round_dead_letters(void);

/* the same for what the mapping noted */
extern int	braze_notes_round(void);

/* has replicated rows wake the worker, if a restore has put an end to it */
extern int	braze_round_replica_trigger(void);

/* writes what was put off of users who changed all the time */
extern int	braze_round_profiles(void);

/* forgets what is remembered of users, as old messageIds are */
extern int	braze_round_old_profiles(void);

/* may rows appear that nobody announces, in holes? */
extern bool braze_round_reader_waits(void);

/* collects the calls that are done and tells how many there are */
extern int	braze_round_settle_pending(void);
extern bool braze_round_settle(void);

/* in how many milliseconds what could not be settled is due again, -1: nothing is */
extern long braze_round_settle_wait(void);

/* what is held and not in the queue any more is forgotten */
extern bool braze_round_forget(void);

#endif							/* BRAZE_ROUND_H */
