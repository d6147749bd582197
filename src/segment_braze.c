/*-------------------------------------------------------------------------
 *
 * segment_braze.c
 *	  Loading the library: settings, and what each room needs set up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "base/compat.h"
#include "destination/destination.h"
#include "functions/create_trigger.h"
#include "queue/enqueue.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

/* a call is kept in memory a few times over while it is mapped and sent */
#define MAX_CALL_SIZE_LIMIT_KB	(64 * 1024)

static const struct config_enum_entry on_invalid_call_values[] = {
	{"error", BRAZE_INVALID_ERROR, false},
	{"dead_letter", BRAZE_INVALID_DEAD_LETTER, false},
	{NULL}
};

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomStringVariable("segment_braze.destination",
							   "Names the destination of calls that name none.",
							   "Empty: the only destination that the role may use.",
							   &braze_destination_setting,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);

	DefineCustomEnumVariable("segment_braze.on_invalid_call",
							 "Says what happens to a call that would be rejected when it is queued.",
							 NULL,
							 &braze_on_invalid_call,
							 BRAZE_INVALID_ERROR,
							 on_invalid_call_values,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);

	/* the worker obeys it too, so it is the same for all sessions */
	DefineCustomIntVariable("segment_braze.max_call_size",
							"Limits the size of a call.",
							"What counts is its size as jsonb.",
							&braze_max_call_size,
							1024,
							1,
							MAX_CALL_SIZE_LIMIT_KB,
							PGC_SIGHUP,
							GUC_UNIT_KB,
							NULL, NULL, NULL);

	braze_launcher_init();
	braze_create_trigger_init();
	braze_reserve_guc_prefix("segment_braze");
}
