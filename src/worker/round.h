/*-------------------------------------------------------------------------
 *
 * round.h
 *	  A transaction of the worker, whose errors are its own to handle.
 *
 * Each is one short transaction.  An error in one is logged and never ends
 * the worker; what it was about stays where it was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_H
#define BRAZE_ROUND_H

#include "utils/elog.h"
#include "utils/palloc.h"

/*
 * Calls may have been taken out of the queue: nothing is sent before a look.
 * Also set by an invalidation of the queue's table, so messages are to be
 * accepted before each send.
 */
extern bool braze_gone_due;

/* lives as long as the worker */
extern MemoryContext braze_round_context;

extern void braze_round_init(void);

/*
 * Runs body in a transaction.  NULL: it has committed.  Otherwise the error,
 * which the caller frees.  The log has it already, unless somebody has locked
 * the extension.
 */
extern ErrorData *braze_round_run(const char *activity, void (*body) (void *arg), void *arg);

/* the same for those who do not ask why not */
extern bool braze_round_succeeds(const char *activity, void (*body) (void *arg), void *arg);

/*
 * For a signal handler.  The process is to end: the round under way fails, as
 * after a cancel, and no other is begun until braze_round_end_begins().  False:
 * it is to end at once, since what runs might go on, or the end has begun.
 */
extern bool braze_round_ask_for_end(void);
extern void braze_round_end_begins(void);
extern bool braze_round_is_ending(void);

/*
 * A table that a round needs as a whole, and does not wait for.  Who locks it
 * is often done at once, so for the first second it is tried again soon, and
 * nobody is told.  What fails for any other reason waits longer.
 */
#define BRAZE_LOCKED_RETRY_MS	30
#define BRAZE_BLOCKED_RETRY_MS	1000

/*
 * Has the last round failed for want of a lock?  error NULL: it has itself
 * found something locked.  *since: 0 at first.
 */
extern bool braze_round_lock_is_brief(int64 *since, bool failed, const ErrorData *error);

#endif							/* BRAZE_ROUND_H */
