/*-------------------------------------------------------------------------
 *
 * worker_wake.h
 *	  What a transaction tells the worker and the launcher when it ends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_WORKER_WAKE_H
#define BRAZE_WORKER_WAKE_H

#include "postgres_ext.h"

/*
 * this transaction, if it commits, leaves work for the worker of its database
 */
extern void braze_worker_wake_at_commit(void);

/* the same for what the worker reads seldom: pauses */
extern void braze_worker_wake_refresh_at_commit(void);

/* the same, and calls that it may hold were taken out of the queue */
extern void braze_worker_wake_purged_at_commit(void);

/* at once, for what is committed already */
extern void braze_worker_wake(void);

/*
 * This session has used the extension, so its database counts as one that has
 * it even if no worker could look yet.
 */
extern void braze_worker_wake_mark_database(void);

/*
 * a prepared transaction was committed: it
 * may have taken calls out of the queue
 */
extern void braze_worker_wake_prepared_committed(void);

/* this transaction, if it commits, leaves a database that wants a worker */
extern void braze_worker_wake_launcher_at_commit(void);

/*
 * Ends the database's worker and keeps another from starting until this
 * transaction ends; waits until the worker has let go of the database.
 */
extern void braze_worker_wake_hold_database(Oid database);

#endif							/* BRAZE_WORKER_WAKE_H */
