/*-------------------------------------------------------------------------
 *
 * call_builder.c
 *	  Building a call, as jsonb or, where that cannot be, as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/attempt.h"
#include "base/guc.h"
#include "json/jsonb_walk.h"
#include "queue/call_builder.h"
#include "queue/enqueue.h"

#define UUID_LENGTH		36

/*
 * A level of nesting takes 8 bytes at least, so that a smaller document has no
 * more than 128 of them, which any stack holds.
 */
#define SHALLOW_SIZE	1024

#define NOT_STORABLE	"What the call was to contain cannot be stored as jsonb"

/* where the time of a call may be written, in either spelling */
static const char *const time_keys[] = {
	"timestamp",
	"originalTimestamp", "original_timestamp",
	"receivedAt", "received_at",
	"sentAt", "sent_at"
};

static const char *const message_id_keys[] = {"messageId", "message_id"};

/* ----- keys and values ----- */

static void
push_string(BrazeCallBuilder *call, JsonbIteratorToken token, const char *string, int length)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, string);
	value.val.string.len = length;
	braze_jsonb_add(&call->state, token, &value);
}

static void
append_string(StringInfo text, const char *string, int length)
{
	escape_json(text, pnstrdup(string, length));
}

void
braze_call_builder_add_inner_key(BrazeCallBuilder *call, const char *key)
{
	if (call->text == NULL)
	{
		push_string(call, WJB_KEY, key, strlen(key));
		return;
	}

	/* right after an opening brace a key is the first one */
	if (call->text->data[call->text->len - 1] != '{')
		appendStringInfoChar(call->text, ',');
	escape_json(call->text, key);
	appendStringInfoChar(call->text, ':');
}

/*
 * A key of the call itself: of two that finish would add, it is noted that
 * they are there.
 */
void
braze_call_builder_add_key(BrazeCallBuilder *call, const char *key)
{
	braze_call_builder_add_inner_key(call, key);
	if (strcmp(key, "timestamp") == 0)
		call->has_time = true;
	else if (strcmp(key, "messageId") == 0)
		call->has_message_id = true;
}

void
braze_call_builder_begin_object(BrazeCallBuilder *call)
{
	if (call->text == NULL)
		braze_jsonb_add(&call->state, WJB_BEGIN_OBJECT, NULL);
	else
		appendStringInfoChar(call->text, '{');
}

void
braze_call_builder_end_object(BrazeCallBuilder *call)
{
	if (call->text == NULL)
		braze_jsonb_add(&call->state, WJB_END_OBJECT, NULL);
	else
		appendStringInfoChar(call->text, '}');
}

/* a scalar, or jsonb */
void
braze_call_builder_add_value(BrazeCallBuilder *call, JsonbValue *value)
{
	if (call->text == NULL)
		braze_jsonb_add(&call->state, WJB_VALUE, value);
	else
	{
		Jsonb	   *jsonb = JsonbValueToJsonb(value);

		(void) JsonbToCString(call->text, &jsonb->root, VARSIZE(jsonb));
	}
}

void
braze_call_builder_add_document(BrazeCallBuilder *call, Jsonb *jsonb)
{
	JsonbValue	value;

	if (call->text != NULL)
	{
		(void) JsonbToCString(call->text, &jsonb->root, VARSIZE(jsonb));
		return;
	}

	/* a scalar stands in an array of its own, which is not to be nested */
	if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	braze_jsonb_add(&call->state, WJB_VALUE, &value);
}

void
braze_call_builder_add_text(BrazeCallBuilder *call, const char *key, const char *value, int length)
{
	braze_call_builder_add_key(call, key);
	if (call->text == NULL)
		push_string(call, WJB_VALUE, value, length);
	else
		append_string(call->text, value, length);
}

void
braze_call_builder_add_jsonb(BrazeCallBuilder *call, const char *key, Jsonb *value)
{
	braze_call_builder_add_key(call, key);
	braze_call_builder_add_document(call, value);
}

void
braze_call_builder_add_timestamp(BrazeCallBuilder *call, const char *key, TimestampTz value)
{
	const int	utc = 0;
	char	   *text = palloc(MAXDATELEN + 1);

	JsonEncodeDateTime(text, TimestampTzGetDatum(value), TIMESTAMPTZOID, &utc);
	braze_call_builder_add_text(call, key, text, strlen(text));
}

static void
begin_call(BrazeCallBuilder *call, const char *type, StringInfo text)
{
	memset(call, 0, sizeof(BrazeCallBuilder));
	call->text = text;
	braze_call_builder_begin_object(call);
	if (type)
		braze_call_builder_add_text(call, "type", type, strlen(type));
}

void
braze_call_builder_begin(BrazeCallBuilder *call, const char *type)
{
	begin_call(call, type, NULL);
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

	/* the version and the variant, as RFC 4122 has them */
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
braze_call_builder_finish(BrazeCallBuilder *call)
{
	BrazeNewCall result = {NULL, NULL, NULL, BRAZE_SEGMENT_CALL, call->has_message_id};

	/*
	 * The worker sends the call later, maybe by days, and more than once if
	 * an answer is lost.  So the call gets now what must be the same each
	 * time.
	 */
	if (!call->has_time)
		braze_call_builder_add_timestamp(call, "timestamp", GetCurrentTimestamp());
	if (!call->has_message_id)
		braze_call_builder_add_text(call, "messageId", new_message_id(), UUID_LENGTH);
	braze_call_builder_end_object(call);
	if (call->text == NULL)
		result.json = JsonbValueToJsonb(call->state.result);
	else
		result.text = call->text->data;
	return result;
}

/* ----- values that jsonb cannot have ----- */

bool
braze_call_builder_may_be_deep(Size bytes)
{
	return bytes > SHALLOW_SIZE;
}

/* other errors are not the fault of a value, and must not be hidden */
static bool
is_of_values(int sqlstate)
{
	return !braze_attempt_error_is_passing(sqlstate) &&
		sqlstate != ERRCODE_DATA_CORRUPTED &&
		sqlstate != ERRCODE_INDEX_CORRUPTED;
}

static BrazeNewCall
build_once(const char *type, BrazeCallFill fill, void *arg, StringInfo text)
{
	BrazeCallBuilder call;

	begin_call(&call, type, text);
	fill(&call, arg);
	return braze_call_builder_finish(&call);
}

/*
 * a subtransaction, since functions of types and casts may have opened anything
 */
ErrorData  *
braze_call_builder_try(void (*body) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	/*
	 * The subtransaction has a memory context of its own, which ends with it.
	 * What body makes has to stay.
	 */
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	/*
	 * The rollback came first: rethrown inside, the error would find a
	 * subtransaction that nobody ends.
	 */
	if (error != NULL && !is_of_values(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

typedef struct BuildAttempt
{
	const char *type;
	BrazeCallFill fill;
	void	   *arg;
	StringInfo	text;
	BrazeNewCall *result;
} BuildAttempt;

static void
build_body(void *arg)
{
	BuildAttempt *attempt = arg;

	*attempt->result = build_once(attempt->type, attempt->fill, attempt->arg, attempt->text);
}

/* the same as build_once, and NULL or what went wrong */
static ErrorData *
try_to_build(const char *type, BrazeCallFill fill, void *arg, StringInfo text,
			 BrazeNewCall *result)
{
	BuildAttempt attempt = {type, fill, arg, text, result};

	return braze_call_builder_try(build_body, &attempt);
}

static const char *
explain_error(const char *what, const ErrorData *error)
{
	return psprintf("%s: %s.%s%s", what, error->message,
					error->detail ? " " : "", error->detail ? error->detail : "");
}

BrazeNewCall
braze_call_builder_build(const char *type, BrazeCallFill fill, void *arg, BrazeCallRisk risk)
{
	bool		keep = (braze_on_invalid_call == BRAZE_INVALID_DEAD_LETTER);
	BrazeNewCall result = {NULL};
	ErrorData  *error = NULL;

	if (risk != BRAZE_CALL_TOO_LARGE)
	{
		/*
		 * An error that nobody is to catch needs no subtransaction, which
		 * would cost more than the call, and take a transaction id each.
		 */
		if (!keep || risk == BRAZE_CALL_SAFE)
			return build_once(type, fill, arg, NULL);
		error = try_to_build(type, fill, arg, NULL, &result);
		if (error == NULL)
			return result;
	}

	/*
	 * Text holds what jsonb cannot: any size, number, character and depth.
	 * Where even that fails, the dead letter has the reason alone.  The first
	 * error says what is wrong; a call that comes here for its size has none.
	 */
	if (!keep)
		result = build_once(type, fill, arg, makeStringInfo());
	else
	{
		ErrorData  *text_error = try_to_build(type, fill, arg, makeStringInfo(), &result);

		if (text_error != NULL)
			result.text = NULL;
		if (error == NULL)
			error = text_error;
	}
	result.reason = error != NULL ?
		explain_error(NOT_STORABLE, error) :
		psprintf("The call is larger than segment_braze.max_call_size, %d kB.", braze_max_call_size);
	return result;
}

/* ----- a call that somebody else has built ----- */

typedef struct ReadAttempt
{
	const char *text;
	Jsonb	   *result;
} ReadAttempt;

static void
read_body(void *arg)
{
	ReadAttempt *attempt = arg;

	attempt->result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(attempt->text)));
}

Jsonb	   *
braze_call_builder_read(const char *text, const char **reason)
{
	ReadAttempt attempt = {text, NULL};
	ErrorData  *error = braze_call_builder_try(read_body, &attempt);

	if (error == NULL)
		return attempt.result;
	*reason = explain_error("The call cannot be stored as jsonb", error);
	return NULL;
}

/* has the call a value other than null under one of the keys? */
static bool
has_any(Jsonb *call, const char *const *keys, int nkeys)
{
	JsonbValue	value;

	for (int i = 0; i < nkeys; i++)
	{
		/* to_jsonb(row) writes a column without a value as null */
		if (braze_lookup(&call->root, keys[i], &value) && value.type != jbvNull)
			return true;
	}
	return false;
}

typedef struct Completion
{
	Jsonb	   *call;
	bool		has_time;
	bool		has_message_id;
} Completion;

/* a key that is there with null gets a later twin, and the later one stays */
static void
copy_members(BrazeCallBuilder *call, void *arg)
{
	const Completion *completion = arg;
	JsonbIterator *it = JsonbIteratorInit(&completion->call->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_KEY || token == WJB_VALUE)
		braze_jsonb_add(&call->state, token, &value);

	/* known beforehand: in either spelling, and as another of the times */
	call->has_time = completion->has_time;
	call->has_message_id = completion->has_message_id;
}

BrazeNewCall
braze_call_builder_complete(Jsonb *call)
{
	BrazeNewCall as_it_is = {call, NULL, NULL, BRAZE_SEGMENT_CALL, true};
	BrazeNewCall result;
	Completion	completion = {call};
	ErrorData  *error;

	/*
	 * the mapping says what is wrong with anything else, its size is looked
	 * at later
	 */
	if (!JB_ROOT_IS_OBJECT(call) || VARSIZE(call) > (Size) braze_max_call_size * 1024)
		return as_it_is;

	completion.has_time = has_any(call, time_keys, lengthof(time_keys));
	completion.has_message_id = has_any(call, message_id_keys, lengthof(message_id_keys));
	if (completion.has_time && completion.has_message_id)
		return as_it_is;

	/*
	 * One more level around what was nested as deeply as jsonb allows can be
	 * too deep.  A small call cannot come near it, and needs no
	 * subtransaction.
	 */
	if (braze_on_invalid_call != BRAZE_INVALID_DEAD_LETTER ||
		!braze_call_builder_may_be_deep(VARSIZE(call)))
		return build_once(NULL, copy_members, &completion, NULL);
	error = try_to_build(NULL, copy_members, &completion, NULL, &result);
	if (error == NULL)
		return result;
	as_it_is.reason = explain_error(NOT_STORABLE, error);
	return as_it_is;
}
