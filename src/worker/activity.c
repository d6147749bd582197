/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  What the worker is doing, for pg_stat_activity and for its errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgstat.h"

#include "base/attempt.h"
#include "base/database_name.h"
#include "worker/activity.h"

static const char *activity = NULL;
static const char *about_destination = NULL;

/*
 * "canceling statement due to lock timeout" alone says nothing to its reader.
 * It may be called in the middle of an error, so it only looks.
 */
static void
say_activity(void *arg)
{
	/* an attempt is about one of the destinations that the round is about */
	const char *destination = braze_attempt_destination();

	if (activity == NULL)
		return;
	if (destination == NULL)
		destination = about_destination;
	if (destination != NULL)
		errcontext("segment_braze worker of database \"%s\", %s, destination \"%s\"",
				   braze_database_name(), activity, destination);
	else
		errcontext("segment_braze worker of database \"%s\", %s", braze_database_name(), activity);
}

void
braze_activity_init(void)
{
	static ErrorContextCallback callback;

	callback.callback = say_activity;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
}

void
braze_activity_begin(const char *doing)
{
	activity = doing;
	about_destination = NULL;
	pgstat_report_activity(doing != NULL ? STATE_RUNNING : STATE_IDLE, doing);
}

void
braze_activity_about(const char *destination)
{
	about_destination = destination;
}
