/*-------------------------------------------------------------------------
 *
 * background_worker.h
 *	  What our processes of a database have in common when they are registered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_BACKGROUND_WORKER_H
#define BRAZE_BACKGROUND_WORKER_H

#include "postmaster/bgworker.h"

/*
 * All but its name, and what it is told.  The postmaster does not start it
 * again, since it would not know whether somebody still wants it; who registers
 * it hears of its start and its end.
 */
extern void braze_background_worker_prepare(BackgroundWorker *worker, const char *function,
											const char *type);

#endif							/* BRAZE_BACKGROUND_WORKER_H */
