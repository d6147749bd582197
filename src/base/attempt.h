/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  Writes of the worker that may fail for good, and when they are tried
 *	  again.
 *
 * What others added to a table may make a write impossible, or let it take as
 * long as a statement may.  Such a write must neither undo what else the
 * transaction does nor be tried without a pause: it stands still for nobody
 * but those whose calls fire the same trigger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ATTEMPT_H
#define BRAZE_ATTEMPT_H

#include "nodes/nodes.h"
#include "utils/elog.h"

/* tried again after 1, 2, 4 ... 300 s */
typedef struct BrazeBackoff
{
	int64		next;			/* of the monotonic clock, in milliseconds */
	int			delay;			/* 0: it has not failed */
} BrazeBackoff;

extern void braze_attempt_back_off(BrazeBackoff *backoff);

typedef void (*BrazeWrite) (void *arg);

/*
 * Does a write in a subtransaction.  NULL: it is done; else why nothing of it
 * is, in the caller's memory context, with a message that says what was
 * written.  *not_before is when the trigger it would fire may be tried again,
 * 0 if it was tried.  destination NULL: the write is about none.
 */
extern ErrorData *braze_attempt(const char *destination, BrazeWrite write, void *arg,
								int64 *not_before);

/* of the attempt under way; NULL: none */
extern const char *braze_attempt_destination(void);

/* since a write that is about no destination ended a worker: all such wait */
extern BrazeBackoff braze_attempt_left_alone;

/*
 * The same for a write that belongs to no call: tried when its backoff is due,
 * and logged when it fails.  True: it is done.  Errors that it is not to blame
 * for are passed on.
 */
extern bool braze_attempt_when_due(BrazeBackoff *backoff, const char *destination,
								   BrazeWrite write, void *arg);

/*
 * Errors that no call is to blame for: a lock, a cancel, a shortage, a disk.
 * What failed waits until they are over, and the status says so.
 */
extern bool braze_attempt_error_is_passing(int sqlstate);

/*
 * Is nothing that was attempted to blame for this error of the last attempt, or
 * of what was begun as if it were one?
 */
extern void braze_attempt_begin(void);
extern bool braze_attempt_is_passing(const ErrorData *error);

/*
 * For statements: before one runs, an error if it took too long when it was
 * tried last; and how it went.
 */
extern void braze_attempt_check(Oid table, CmdType operation);
extern void braze_attempt_too_long(Oid table, CmdType operation);
extern void braze_attempt_in_time(Oid table, CmdType operation);

/* an error is on its way out of a statement: what that was about, for people */
extern void braze_attempt_explain(const char *about);

#endif							/* BRAZE_ATTEMPT_H */
