/*-------------------------------------------------------------------------
 *
 * sync_worker.h
 *	  The process that runs a sync when it is due.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_WORKER_H
#define BRAZE_SYNC_WORKER_H

#include "postmaster/bgworker.h"

/*
 * Has the postmaster start one, for a database and as a role; false: there is
 * no free background worker.  The handle is in the current memory context.
 */
extern bool braze_sync_worker_start(Oid database, Oid role, int64 sync, const char *name,
									BackgroundWorkerHandle **handle);

extern PGDLLEXPORT void braze_sync_worker_main(Datum arg);

#endif							/* BRAZE_SYNC_WORKER_H */
