/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings segment_braze.*, all of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "base/compat.h"
#include "base/guc.h"

/* a call is kept in memory a few times over while it is mapped and sent */
#define MAX_CALL_SIZE_LIMIT_KB	(64 * 1024)

char	   *braze_destination_setting = NULL;
int			braze_on_invalid_call = BRAZE_INVALID_ERROR;
int			braze_max_call_size = 1024;
bool		braze_deliver = true;
int			braze_max_memory = 32;
int			braze_restart_delay = 10;
int			braze_nap = 5000;
int			braze_max_destinations = 1024;
int			braze_dead_letter_retention = 0;
int			braze_activity_retention = 90 * 86400;
int			braze_max_sync_workers = 2;

static const struct config_enum_entry on_invalid_call_values[] = {
	{"error", BRAZE_INVALID_ERROR, false},
	{"dead_letter", BRAZE_INVALID_DEAD_LETTER, false},
	{NULL}
};

/*
 * A value that cannot be converted to the client's encoding would be an error
 * while it is reported, and reporting is tried again after each error: such a
 * session never ends.
 */
static bool
check_destination(char **newval, void **extra, GucSource source)
{
	for (const char *p = *newval; *p != '\0'; p++)
	{
		if (!IS_HIGHBIT_SET(*p))
			continue;
		GUC_check_errdetail("It is reported to clients, whatever their encoding, and may have ASCII characters only.");
		GUC_check_errhint("Name the destination in the argument \"destination\" of the function, or rename its server.");
		return false;
	}
	return true;
}

void
braze_guc_init(void)
{
	/* both are reported to the client, so that a pooler can follow them */
	DefineCustomStringVariable("segment_braze.destination",
							   "Names the destination of calls that name none.",
							   "Empty: the only destination that the role may use.",
							   &braze_destination_setting,
							   "",
							   PGC_USERSET,
							   GUC_REPORT,
							   check_destination, NULL, NULL);

	DefineCustomEnumVariable("segment_braze.on_invalid_call",
							 "Says what happens to a call that would be rejected when it is queued.",
							 NULL,
							 &braze_on_invalid_call,
							 BRAZE_INVALID_ERROR,
							 on_invalid_call_values,
							 PGC_USERSET,
							 GUC_REPORT,
							 NULL, NULL, NULL);

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

	/* not PGC_SIGHUP, which ALTER DATABASE could not set for one copy alone */
	DefineCustomBoolVariable("segment_braze.deliver",
							 "Sends the calls that are queued.",
							 "Switch it off on a copy of a production database, before its server starts.",
							 &braze_deliver,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("segment_braze.max_memory",
							"Limits the memory that a worker holds calls and request bodies in.",
							"Shared equally by the destinations of the database.",
							&braze_max_memory,
							32, 4, 65536,
							PGC_SIGHUP,
							GUC_UNIT_MB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("segment_braze.restart_delay",
							"Waits this long after a crash of the server before anything is sent.",
							NULL,
							&braze_restart_delay,
							10, 0, 3600,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("segment_braze.nap",
							"Sets how often the worker checks for changes that no commit announces.",
							"Such as prepared transactions, a new key file, a new database.",
							&braze_nap,
							5000, 100, 60000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL, NULL, NULL);

	/* shared memory is laid out when the server starts */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable("segment_braze.max_destinations",
								"Sets the number of destinations that are counted, over all databases.",
								"One database has half of them at most.",
								&braze_max_destinations,
								1024, 2, 65536,
								PGC_POSTMASTER,
								0,
								NULL, NULL, NULL);
	DefineCustomIntVariable("segment_braze.dead_letter_retention",
							"Removes dead letters that are older than this.",
							"0: never.  Those whose call is queued again stay.",
							&braze_dead_letter_retention,
							0, 0, INT_MAX,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("segment_braze.activity_retention",
							"Removes sums of what was delivered that are older than this.",
							"0: never.",
							&braze_activity_retention,
							90 * 86400, 0, INT_MAX,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("segment_braze.max_sync_workers",
							"Limits how many syncs of a database run by their timetable at the same time.",
							"Each needs a background worker.  0: none runs.",
							&braze_max_sync_workers,
							2, 0, BRAZE_SYNC_WORKERS_LIMIT,
							PGC_SIGHUP,
							0,
							NULL, NULL, NULL);

	braze_reserve_guc_prefix("segment_braze");
}
