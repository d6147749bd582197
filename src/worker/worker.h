/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  The processes: one launcher per server, one worker per database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_WORKER_H
#define BRAZE_WORKER_H

#include "postgres_ext.h"

/* registers the launcher when preloaded */
extern void braze_launcher_init(void);

/* keeps a worker out of the way of commands that need the database alone */
extern void braze_database_commands_init(void);

/* a database whose worker ended without finding out more is tried this late */
#define BRAZE_RESTART_INTERVAL_MS	5000

extern PGDLLEXPORT void braze_launcher_main(Datum arg);
extern PGDLLEXPORT void braze_worker_main(Datum arg);

#endif							/* BRAZE_WORKER_H */
