/*-------------------------------------------------------------------------
 *
 * enqueue.c
 *	  Judging a call and queueing it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "destination/destination.h"
#include "json/json_plain.h"
#include "map/map.h"
#include "queue/call_context.h"
#include "queue/deduplicate.h"
#include "queue/enqueue.h"
#include "queue/letters_size.h"
#include "queue/queue_size.h"
#include "queue/queue_table.h"
#include "queue/queued_ids.h"
#include "queue/queued_in_transaction.h"

/* a result that grew beyond this is not kept for the session's next call */
#define MAX_KEPT_RESULT	(1024 * 1024)

/* a dead letter has so many times max_call_size of the call at most */
#define MAX_KEPT_FACTOR	2


/*
 * What the mapping says of a call, for this session's next look only.  Keeps
 * its memory from call to call, which is most of what makes it cheap.
 */
static const BrazeMapped *
judge_call(BrazeNewCall call, const BrazeSettings *settings)
{
	static MemoryContext context = NULL;
	static MemoryContext scratch = NULL;
	static BrazeMapped *mapped = NULL;
	MemoryContext old;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "segment_braze judgement",
										ALLOCSET_DEFAULT_SIZES);
	if (scratch == NULL)
		scratch = AllocSetContextCreate(TopMemoryContext, "segment_braze mapping",
										ALLOCSET_DEFAULT_SIZES);

	/*
	 * The one large call of a session is not to keep its memory for the other
	 * thousands.
	 */
	if (mapped && mapped->text.maxlen > MAX_KEPT_RESULT)
	{
		mapped = NULL;
		MemoryContextReset(context);
	}
	if (mapped == NULL)
	{
		old = MemoryContextSwitchTo(context);
		mapped = braze_map_create();
		mapped->judging = true;
		MemoryContextSwitchTo(old);
	}

	MemoryContextReset(scratch);
	old = MemoryContextSwitchTo(scratch);
	braze_map_call(call.json, call.kind, settings, GetCurrentTransactionStartTimestamp(),
				   GetCurrentTransactionStartTimestamp(), mapped);
	MemoryContextSwitchTo(old);
	return mapped;
}

/*
 * A letter holds no more than a bound, whatever was passed, and a value of a
 * few bytes may be very long as text: such as an array of rows whose columns
 * have names.  What is kept is enough for people to see what it was.
 */
static void
bound_size(BrazeNewCall *call, const char **reason)
{
	Size		limit = (Size) braze_max_call_size * 1024 * MAX_KEPT_FACTOR;
	int			kept;

	/* the text that is cut here ends a little beyond the limit */
	if (call->json != NULL && VARSIZE(call->json) > limit)
	{
		call->text = braze_json_plain_text(call->json, limit);
		call->json = NULL;
	}
	if (call->text == NULL || strlen(call->text) <= limit)
		return;
	kept = pg_mbcliplen(call->text, strlen(call->text), limit);
	call->text = pnstrdup(call->text, kept);
	*reason = psprintf("%s Of its text the first %d bytes are kept.", *reason, kept);
}

static void
describe_call(void *arg)
{
	const BrazeNewCall *call = arg;

	braze_call_context(call->json, call->has_own_id);
}

/* ----- queueing ----- */

/* raises an error where the destination does not say to drop the call */
static void
no_room(const char *destination, int max_queue_size, BrazeOnFull on_full)
{
	/*
	 * One warning in a transaction: a million of them would be a second
	 * fault.
	 */
	if (on_full == BRAZE_FULL_DROP && !braze_queued_in_transaction_dropped(destination))
		return;
	ereport(on_full == BRAZE_FULL_DROP ? WARNING : ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("the queue of destination \"%s\" is full", destination),
			 on_full == BRAZE_FULL_DROP ?
			 errdetail("The calls in the queue take up max_queue_size, %d kB; further ones are dropped, and braze_status counts them.",
					   max_queue_size) :
			 errdetail("The calls in the queue take up max_queue_size, %d kB, or would with this one.",
					   max_queue_size),
			 errhint("braze_status says why they are not sent.  ALTER SERVER ... OPTIONS can "
					 "set another max_queue_size, and on_full to error or drop.")));
}

/* the same for a call that was to become one, for that reason */
static void
no_room_for_letter(const char *destination, int max_queue_size, BrazeOnFull on_full,
				   const char *reason)
{
	if (on_full == BRAZE_FULL_DROP && !braze_queued_in_transaction_dropped(destination))
		return;
	ereport(on_full == BRAZE_FULL_DROP ? WARNING : ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("there is no room for another dead letter of destination \"%s\"", destination),
			 on_full == BRAZE_FULL_DROP ?
			 errdetail("Its dead letters take up max_queue_size, %d kB; further calls that would become one are dropped, and braze_status counts them: %s",
					   max_queue_size, reason) :
			 errdetail("Its dead letters take up max_queue_size, %d kB, or would with this call: %s",
					   max_queue_size, reason),
			 errhint("braze_purge removes dead letters.  ALTER SERVER ... OPTIONS can set "
					 "another max_queue_size, and on_full to error or drop.")));
}

/* unless there is no room for it; destination NULL: it has none */
static int64
put_dead_letter(BrazeNewCall call, const BrazeDestination *destination, const char *reason)
{
	BrazeDeadLetter letter;
	ItemPointerData tid;

	bound_size(&call, &reason);
	if (destination != NULL && destination->settings.max_queue_size > 0)
	{
		int			limit = destination->settings.max_queue_size;
		Size		bytes = call.json != NULL ? VARSIZE(call.json) :
		call.text != NULL ? strlen(call.text) : 0;

		if (!braze_letters_size_has_room(NameStr(destination->name), limit * INT64CONST(1024), bytes))
		{
			no_room_for_letter(NameStr(destination->name), limit, destination->settings.on_full, reason);
			return BRAZE_NOT_QUEUED;
		}
	}
	letter = (BrazeDeadLetter)
	{
		.destination = destination != NULL ? NameStr(destination->name) : NULL,
			.call = call.json,
			.call_text = call.text,
			.kind = call.kind,
			.nobjects = -1,
			.reason = reason,
			.queued_at = GetCurrentTransactionStartTimestamp()
	};
	(void) braze_queue_table_put_dead_letter(&letter, &tid);
	return BRAZE_DEAD_LETTER;
}

/*
 * Queues a call that has been judged, unless there is no room or it is a
 * duplicate.
 */
static int64
put_call(const BrazeDestination *destination, BrazeNewCall call, Oid roleid)
{
	/* remembering can run code that empties the cache of destinations */
	NameData	name = destination->name;
	int			seconds = destination->settings.deduplicate;
	int			limit = destination->settings.max_queue_size;
	BrazeOnFull on_full = destination->settings.on_full;
	int64		id;

	/*
	 * Room is asked for before the id is remembered: the id of a call that is
	 * dropped would make a duplicate of its repeat, which may find room.
	 */
	if (limit > 0 &&
		!braze_queue_size_has_room(NameStr(name), limit * INT64CONST(1024), VARSIZE(call.json)))
	{
		no_room(NameStr(name), limit, on_full);
		return BRAZE_NOT_QUEUED;
	}

	/* an id that we made is not a duplicate of anything */
	if (seconds > 0 && call.has_own_id &&
		!braze_deduplicate_remember(NameStr(name), call.json, seconds, false))
		return BRAZE_NOT_QUEUED;
	id = braze_queue_table_put(NameStr(name), call.json, call.kind);
	braze_queued_in_transaction_queued(NameStr(name));
	braze_queued_ids_add(id, roleid);
	return id;
}

/* judges the call, and obeys on_invalid_call where it would be rejected */
static int64
enqueue_call(BrazeNewCall call, const char *destination_name, Oid roleid,
			 BrazeEnqueueMode mode)
{
	const BrazeDestination *destination;
	BrazeDestinationProblem problem;
	const char *reason = call.reason;
	bool		keep = braze_on_invalid_call == BRAZE_INVALID_DEAD_LETTER ||
	mode == BRAZE_ENQUEUE_KEEP_INVALID;

	destination = mode == BRAZE_ENQUEUE_NEVER_FAIL ?
		braze_destination_find_in_trigger(destination_name, roleid, &problem) :
		braze_destination_find(destination_name, roleid, &problem);
	if (destination == NULL)
	{
		/*
		 * An application that writes its own table must not fail because a
		 * server was dropped, or a right revoked.  One that calls a function
		 * can be told.
		 */
		if (mode != BRAZE_ENQUEUE_NEVER_FAIL || !keep)
			braze_destination_report(&problem);

		/*
		 * Without a destination: retrying the letter as it is would send what
		 * its writer had no right to send.
		 */
		return put_dead_letter(call, NULL, problem.detail == NULL ? problem.message :
							   psprintf("%s. %s", problem.message, problem.detail));
	}

	/*
	 * A call with a reason is judged already, and may have no jsonb.  The
	 * size comes before the mapping, which takes time by the size.
	 */
	if (reason == NULL && call.json == NULL)
		elog(ERROR, "a call has neither jsonb nor a reason");
	if (reason == NULL && VARSIZE(call.json) > (Size) braze_max_call_size * 1024)
		reason = psprintf("The call has %zu bytes, and segment_braze.max_call_size is %d kB.",
						  (Size) VARSIZE(call.json), braze_max_call_size);
	if (reason)
	{
		if (!keep)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("call is too large"),
					 errdetail("%s", reason),
					 errhint("Leave out what Braze does not need.")));
	}
	else
	{
		const BrazeMapped *mapped = judge_call(call, &destination->settings);

		/*
		 * One that would be skipped is queued all the same: options may be
		 * others when its turn comes.
		 */
		if (mapped->outcome != BRAZE_REJECT)
			return put_call(destination, call, roleid);
		reason = braze_mapping_note_joined(mapped);
		if (!keep)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("call would be rejected"),
					 errdetail("%s", reason),
					 errhint("braze_map shows what becomes of a call.  With "
							 "segment_braze.on_invalid_call = dead_letter such a call "
							 "is kept in braze_dead_letters instead.")));
	}
	return put_dead_letter(call, destination, reason);
}

int64
braze_enqueue_call(BrazeNewCall call, const char *destination_name, Oid roleid,
				   BrazeEnqueueMode mode)
{
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = describe_call,
		.arg = &call
	};
	int64		id;

	error_context_stack = &context;
	id = enqueue_call(call, destination_name, roleid, mode);
	error_context_stack = context.previous;
	return id;
}
