/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  Writes of the worker that may fail for good, and when they are tried
 *	  again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/database_name.h"
#include "base/message.h"

#define FIRST_DELAY_MS	1000
#define MAX_DELAY_MS	(300 * 1000)

/*
 * A write that took too long.  By destination, too: the condition of a trigger
 * may spare the calls of others.
 */
typedef struct TooLong
{
	struct TooLong *next;
	Oid			table;
	CmdType		operation;
	NameData	destination;	/* empty: none */
	BrazeBackoff backoff;
} TooLong;

BrazeBackoff braze_attempt_left_alone;

static TooLong *too_long = NULL;

/* of the attempt under way */
static const char *attempted_for = NULL;
static int64 postponed_until = 0;
static char about[256] = "";

void
braze_attempt_back_off(BrazeBackoff *backoff)
{
	backoff->delay = backoff->delay == 0 ? FIRST_DELAY_MS
		: Min(backoff->delay * 2, MAX_DELAY_MS);
	backoff->next = braze_now_ms() + backoff->delay;
}

/* ----- what took too long ----- */

/* the link to the entry, or to where a new one goes */
static TooLong **
find_too_long(Oid table, CmdType operation)
{
	const char *destination = attempted_for != NULL ? attempted_for : "";
	TooLong   **link = &too_long;

	while (*link != NULL &&
		   ((*link)->table != table || (*link)->operation != operation ||
			strcmp(NameStr((*link)->destination), destination) != 0))
		link = &(*link)->next;
	return link;
}

void
braze_attempt_check(Oid table, CmdType operation)
{
	TooLong    *entry = *find_too_long(table, operation);

	if (entry == NULL || braze_now_ms() >= entry->backoff.next)
		return;
	postponed_until = entry->backoff.next;
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("a statement that took too long is tried again later")));
}

void
braze_attempt_too_long(Oid table, CmdType operation)
{
	TooLong   **link = find_too_long(table, operation);

	if (*link == NULL)
	{
		*link = MemoryContextAllocZero(TopMemoryContext, sizeof(TooLong));
		(*link)->table = table;
		(*link)->operation = operation;
		namestrcpy(&(*link)->destination, attempted_for != NULL ? attempted_for : "");
	}
	braze_attempt_back_off(&(*link)->backoff);
}

void
braze_attempt_in_time(Oid table, CmdType operation)
{
	TooLong   **link = find_too_long(table, operation);
	TooLong    *entry = *link;

	if (entry == NULL)
		return;
	*link = entry->next;
	pfree(entry);
}

/* ----- trying ----- */

void
braze_attempt_explain(const char *text)
{
	braze_message_copy(about, text, sizeof(about));
}

bool
braze_attempt_error_is_passing(int sqlstate)
{
	/*
	 * By class, since an extension or a later version may add codes to it.
	 * What is in doubt counts as the call's own fault, which holds up that
	 * call only.
	 */
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_OBJECT_IN_USE;
	}
}

bool
braze_attempt_is_passing(const ErrorData *error)
{
	/*
	 * a trigger may raise any error, so one from inside a statement is its
	 * own
	 */
	return postponed_until == 0 && about[0] == '\0' &&
		braze_attempt_error_is_passing(error->sqlerrcode);
}

/* the error as its reader needs it: with what was being written */
static ErrorData *
take_error(void)
{
	ErrorData  *error = CopyErrorData();

	FlushErrorState();
	if (about[0] != '\0')
		error->message = psprintf("%s: %s", about, error->message);
	return error;
}

const char *
braze_attempt_destination(void)
{
	return attempted_for;
}

void
braze_attempt_begin(void)
{
	postponed_until = 0;
	about[0] = '\0';
}

static ErrorData *
write_or_roll_back(BrazeWrite write, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		/* one of its own, which is gone with it */
		PushActiveSnapshot(GetTransactionSnapshot());
		write(arg);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		/* the copy outlives the subtransaction in the caller's context */
		MemoryContextSwitchTo(context);
		error = take_error();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

ErrorData  *
braze_attempt(const char *destination, BrazeWrite write, void *arg, int64 *not_before)
{
	const char *outer = attempted_for;
	ErrorData  *volatile error = NULL;

	/* before all that may fail: the error is to be told of this attempt */
	attempted_for = destination;
	braze_attempt_begin();
	PG_TRY();
	{
		error = write_or_roll_back(write, arg);
	}
	PG_FINALLY();
	{
		/*
		 * also when memory for the error is out: the caller may free the name
		 */
		attempted_for = outer;
	}
	PG_END_TRY();
	*not_before = postponed_until;
	return error;
}

static bool
is_early(const BrazeBackoff *backoff)
{
	return backoff->delay > 0 && braze_now_ms() < backoff->next;
}

bool
braze_attempt_when_due(BrazeBackoff *backoff, const char *destination,
					   BrazeWrite write, void *arg)
{
	ErrorData  *error;
	int64		not_before;

	if (is_early(backoff) || (destination == NULL && is_early(&braze_attempt_left_alone)))
		return false;
	error = braze_attempt(destination, write, arg, &not_before);
	if (error == NULL)
	{
		backoff->delay = 0;
		if (destination == NULL)
			braze_attempt_left_alone.delay = 0;
		return true;
	}
	if (braze_attempt_is_passing(error))
		ReThrowError(error);

	/* what was not even tried is due when the trigger may be tried again */
	if (not_before > 0)
		backoff->next = not_before;
	else
	{
		braze_attempt_back_off(backoff);
		ereport(LOG,
				(destination == NULL ?
				 errmsg("segment_braze: database \"%s\": %s", braze_database_name(), error->message) :
				 errmsg("segment_braze: destination \"%s\" in database \"%s\": %s",
						destination, braze_database_name(), error->message),
				 errdetail("It is tried again in %d s.", backoff->delay / 1000)));
	}
	FreeErrorData(error);
	return false;
}
