/*-------------------------------------------------------------------------
 *
 * standstill.h
 *	  A worker that stood still proves that it may still commit.
 *
 * A server that was frozen does not know what happened meanwhile: a standby
 * may have been promoted, and sends the same calls.  The worker cannot see
 * that, but it can see on the clock that it stood still.  It then commits, and
 * sends nothing before a synchronous standby has confirmed that commit, which
 * one that was promoted never does.  Where synchronous_standby_names is empty
 * there is nobody to ask.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STANDSTILL_H
#define BRAZE_STANDSTILL_H

#include "base/shmem.h"

/* the caller holds the lock; the worker before this one may have owed it */
extern void braze_standstill_begin(const BrazeDatabaseSlot *slot);
extern void braze_standstill_process_ends(BrazeDatabaseSlot *slot);

/* a wait that ends by then is not a standstill */
extern void braze_standstill_wait(int64 until);

/*
 * looks at the clock; false: it stood still, and has not proved anything since
 */
extern bool braze_standstill_may_send(void);

/*
 * In no transaction.  Does what there is to do for it, without waiting, if it
 * is needed since there is something to send, or was needed before.  Returns in
 * how many milliseconds to call again, 0 once something may be sent, -1 for not
 * before it is needed.
 */
extern int64 braze_standstill_prove(bool needed);

#endif							/* BRAZE_STANDSTILL_H */
