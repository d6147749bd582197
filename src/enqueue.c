/*-------------------------------------------------------------------------
 *
 * enqueue.c
 *	  Building a call, judging it and queueing it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "destination.h"
#include "enqueue.h"
#include "map.h"
#include "messages.h"
#include "queue.h"
#include "queue_size.h"
#include "tally.h"

#define UUID_LENGTH		36

/* a result that grew beyond this is not kept for the session's next call */
#define MAX_KEPT_RESULT	(1024 * 1024)

int			braze_on_invalid_call = BRAZE_INVALID_ERROR;
int			braze_max_call_size = 1024;

/* where the time of a call may be written, in either spelling */
static const char *const time_keys[] = {
	"timestamp",
	"originalTimestamp", "original_timestamp",
	"receivedAt", "received_at",
	"sentAt", "sent_at"
};

static const char *const message_id_keys[] = {"messageId", "message_id"};

static void
push_string(BrazeJsonbState *state, JsonbIteratorToken token,
			const char *text, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = length;
	braze_jsonb_add(state, token, &value);
}

void
braze_push_jsonb(BrazeJsonbState *state, Jsonb *jsonb)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	braze_jsonb_add(state, WJB_VALUE, &value);
}

void
braze_call_add_key(BrazeCallBuilder *call, const char *key)
{
	push_string(&call->state, WJB_KEY, key, strlen(key));
	if (strcmp(key, "timestamp") == 0)
		call->has_time = true;
	else if (strcmp(key, "messageId") == 0)
		call->has_message_id = true;
}

void
braze_call_add_text(BrazeCallBuilder *call, const char *key, const char *value, int length)
{
	braze_call_add_key(call, key);
	push_string(&call->state, WJB_VALUE, value, length);
}

void
braze_call_add_jsonb(BrazeCallBuilder *call, const char *key, Jsonb *value)
{
	braze_call_add_key(call, key);
	braze_push_jsonb(&call->state, value);
}

void
braze_call_add_timestamp(BrazeCallBuilder *call, const char *key, TimestampTz value)
{
	const int	utc = 0;
	char	   *text = palloc(MAXDATELEN + 1);

	JsonEncodeDateTime(text, TimestampTzGetDatum(value), TIMESTAMPTZOID, &utc);
	braze_call_add_text(call, key, text, strlen(text));
}

void
braze_call_begin(BrazeCallBuilder *call, const char *type)
{
	memset(call, 0, sizeof(BrazeCallBuilder));
	braze_jsonb_add(&call->state, WJB_BEGIN_OBJECT, NULL);
	if (type)
		braze_call_add_text(call, "type", type, strlen(type));
}

/* a random UUID, version 4 */
static char *
new_message_id(void)
{
	static const char digits[] = "0123456789abcdef";
	uint8		bytes[16];
	char	   *text = palloc(UUID_LENGTH + 1);
	char	   *out = text;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 0x0f];
	}
	*out = '\0';
	return text;
}

BrazeNewCall
braze_call_finish(BrazeCallBuilder *call)
{
	BrazeNewCall result;

	result.kind = BRAZE_SEGMENT_CALL;
	result.has_own_id = call->has_message_id;
	if (!call->has_time)
		braze_call_add_timestamp(call, "timestamp", GetCurrentTimestamp());
	if (!call->has_message_id)
		braze_call_add_text(call, "messageId", new_message_id(), UUID_LENGTH);
	braze_jsonb_add(&call->state, WJB_END_OBJECT, NULL);
	result.json = JsonbValueToJsonb(call->state.result);
	return result;
}

/* has the call a value other than null under one of the keys? */
static bool
has_any(Jsonb *call, const char *const *keys, int nkeys)
{
	for (int i = 0; i < nkeys; i++)
	{
		JsonbValue	key;
		JsonbValue *found;

		key.type = jbvString;
		key.val.string.val = unconstify(char *, keys[i]);
		key.val.string.len = strlen(keys[i]);
		found = findJsonbValueFromContainer(&call->root, JB_FOBJECT, &key);
		if (found && found->type != jbvNull)
			return true;
	}
	return false;
}

BrazeNewCall
braze_call_complete(Jsonb *call)
{
	BrazeNewCall as_it_is = {call, BRAZE_SEGMENT_CALL, true};
	BrazeCallBuilder complete;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		has_time;
	bool		has_message_id;

	/* the mapping says what is wrong with anything else */
	if (!JB_ROOT_IS_OBJECT(call))
		return as_it_is;

	has_time = has_any(call, time_keys, lengthof(time_keys));
	has_message_id = has_any(call, message_id_keys, lengthof(message_id_keys));
	if (has_time && has_message_id)
		return as_it_is;

	/* a key that is there with null gets a later twin, and the later one stays */
	braze_call_begin(&complete, NULL);
	it = JsonbIteratorInit(&call->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_KEY || token == WJB_VALUE)
		braze_jsonb_add(&complete.state, token, &value);
	complete.has_time = has_time;
	complete.has_message_id = has_message_id;
	return braze_call_finish(&complete);
}

/*
 * What the mapping says of a call, for this session's next look only.  Keeps
 * its memory from call to call, which is most of what makes it cheap.
 */
static const BrazeMapped *
judge(BrazeNewCall call, const BrazeSettings *settings)
{
	static MemoryContext context = NULL;
	static MemoryContext scratch = NULL;
	static BrazeMapped *mapped = NULL;
	MemoryContext old;

	if (context == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext, "segment_braze judgement",
										ALLOCSET_DEFAULT_SIZES);
		scratch = AllocSetContextCreate(TopMemoryContext, "segment_braze mapping",
										ALLOCSET_DEFAULT_SIZES);
	}
	if (mapped && mapped->text.maxlen > MAX_KEPT_RESULT)
	{
		mapped = NULL;
		MemoryContextReset(context);
	}
	if (mapped == NULL)
	{
		old = MemoryContextSwitchTo(context);
		mapped = braze_mapped_create();
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

static char *
joined_notes(const BrazeMapped *mapped)
{
	StringInfoData notes;

	initStringInfo(&notes);
	for (int i = 0; i < mapped->nnotes; i++)
	{
		const BrazeSpan *sentence = &mapped->notes[i].sentence;

		if (notes.len > 0)
			appendStringInfoChar(&notes, ' ');
		appendBinaryStringInfo(&notes, mapped->text.data + sentence->offset,
							   sentence->length);
	}
	return notes.data;
}

static void
put_dead_letter(BrazeNewCall call, const char *destination, const char *reason)
{
	BrazeDeadLetter letter = {
		.destination = destination,
		.call = call.json,
		.kind = call.kind,
		.nobjects = -1,
		.reason = reason,
		.queued_at = GetCurrentTransactionStartTimestamp()
	};
	ItemPointerData tid;

	(void) braze_queue_put_dead_letter(&letter, &tid);
}

/* raises an error where the destination does not say to drop the call */
static void
no_room(const char *destination, int max_queue_size, BrazeOnFull on_full)
{
	if (on_full == BRAZE_FULL_DROP && !braze_tally_dropped(destination))
		return;
	ereport(on_full == BRAZE_FULL_DROP ? WARNING : ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("the queue of destination \"%s\" is full", destination),
			 on_full == BRAZE_FULL_DROP ?
			 errdetail("Calls are dropped, and counted in braze_status: those that are queued take up max_queue_size, %d kB.",
					   max_queue_size) :
			 errdetail("The calls that are queued take up max_queue_size, %d kB, or would with this one.",
					   max_queue_size),
			 errhint("braze_status says why they are not sent.  ALTER SERVER ... OPTIONS can "
					 "set another max_queue_size, and on_full to error or drop.")));
}

static int64
put_call(const BrazeDestination *destination, BrazeNewCall call)
{
	/* remembering can run code that empties the cache of destinations */
	NameData	name = destination->name;
	int			seconds = destination->settings.deduplicate;
	int			limit = destination->settings.max_queue_size;
	BrazeOnFull on_full = destination->settings.on_full;
	int64		stored;
	int64		id;

	if (limit > 0 &&
		!braze_queue_has_room(NameStr(name), limit * INT64CONST(1024), VARSIZE(call.json)))
	{
		no_room(NameStr(name), limit, on_full);
		return 0;
	}

	/* an id that we made is no duplicate of anything */
	if (seconds > 0 && call.has_own_id &&
		!braze_message_remember(NameStr(name), call.json, seconds))
		return 0;
	id = braze_queue_put(NameStr(name), call.json, call.kind, limit > 0 ? &stored : NULL);
	if (limit > 0)
		braze_queue_size_add(NameStr(name), stored);
	return id;
}

int64
braze_enqueue_call(BrazeNewCall call, const char *destination_name, Oid roleid,
				   bool never_fail, const char *reason)
{
	const BrazeDestination *destination;
	bool		keep = braze_on_invalid_call == BRAZE_INVALID_DEAD_LETTER;

	if (never_fail && keep)
	{
		BrazeDestinationProblem problem;

		destination = braze_destination_find(destination_name, roleid, &problem);
		if (destination == NULL)
		{
			/*
			 * Without a destination: retrying the letter as it is would send
			 * what its writer had no right to send.
			 */
			put_dead_letter(call, NULL, problem.message);
			return 0;
		}
	}
	else
		destination = braze_destination_for(destination_name, roleid);

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
		const BrazeMapped *mapped = judge(call, &destination->settings);

		if (mapped->outcome != BRAZE_REJECT)
			return put_call(destination, call);
		reason = joined_notes(mapped);
		if (!keep)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("call would be rejected"),
					 errdetail("%s", reason),
					 errhint("braze_map shows what becomes of a call.  With "
							 "segment_braze.on_invalid_call = dead_letter such a call "
							 "is kept in braze_dead_letters instead.")));
	}
	put_dead_letter(call, NameStr(destination->name), reason);
	return 0;
}
