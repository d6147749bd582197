/*-------------------------------------------------------------------------
 *
 * wait_event.c
 *	  What pg_stat_activity calls the waits of this extension.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/wait_event.h"

static const char *const names[] = {
	[BRAZE_WAIT_LAUNCHER_NAP] = "SegmentBrazeLauncherNap",
	[BRAZE_WAIT_LAUNCHER_RESTART_DELAY] = "SegmentBrazeLauncherRestartDelay",
	[BRAZE_WAIT_WORKER_NAP] = "SegmentBrazeWorkerNap",
	[BRAZE_WAIT_WORKER_ANSWER] = "SegmentBrazeWorkerAnswer",
	[BRAZE_WAIT_WORKER_SHUTDOWN] = "SegmentBrazeWorkerShutdown",
	[BRAZE_WAIT_FLUSH] = "SegmentBrazeFlush",
	[BRAZE_WAIT_TEST] = "SegmentBrazeTest",
	[BRAZE_WAIT_COLLECTOR_NAP] = "SegmentBrazeCollectorNap",
	[BRAZE_WAIT_PARTS] = "SegmentBrazeParts",
};

/*
 * looking a name up takes a lock that all processes share, so it is done once
 */
static uint32 events[BRAZE_WAITS];

uint32
braze_wait_event(BrazeWait wait)
{
	if (events[wait] == 0)
		events[wait] = braze_wait_event_new(names[wait]);
	return events[wait];
}
