/*-------------------------------------------------------------------------
 *
 * collect_worker.h
 *	  The process that collects the calls of one origin.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_WORKER_H
#define BRAZE_COLLECT_WORKER_H

#include "postmaster/bgworker.h"

#include "base/collector_slot.h"

extern PGDLLEXPORT void braze_collect_worker_main(Datum arg);

/*
 * Registers the process for a slot, that is to have this number; false: no
 * background worker is free.  Needs a transaction.
 */
extern bool braze_collect_worker_register(int slot, const char *server,
										  const BrazeCollectorStart *start,
										  BackgroundWorkerHandle **handle);

#endif							/* BRAZE_COLLECT_WORKER_H */
