/*-------------------------------------------------------------------------
 *
 * segment_braze.c
 *	  Loading the library: settings, and what each folder needs set up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/guc.h"
#include "functions/create_trigger.h"
#include "queue/insert_buffer.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	braze_guc_init();
	braze_launcher_init();
	braze_create_trigger_init();
	braze_insert_buffer_init();
}
