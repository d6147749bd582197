/*-------------------------------------------------------------------------
 *
 * receive.c
 *	  What Segment's libraries send, as Segment's HTTP tracking API takes it.
 *
 * A library repeats a batch that is refused, so a batch is refused only when it
 * cannot be read at all: a call in it that cannot be queued becomes a dead
 * letter, and the others are queued.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/role.h"
#include "destination/destination.h"
#include "json/json_split.h"
#include "json/value.h"
#include "queue/deduplicate.h"
#include "queue/enqueue.h"

BRAZE_SQL_FUNCTION(braze_receive_key);
BRAZE_SQL_FUNCTION(braze_receive_for);

/* Segment's limits: a call, the body of a batch, and the calls in it */
#define MAX_CALL_SIZE	(32 * 1024)
#define MAX_BATCH_SIZE	(500 * 1024)
#define MAX_CALLS		2500

/* what the last part of a path means; NULL: the body is a batch */
static const struct
{
	const char *name;
	const char *type;
}			endpoints[] = {
	{"batch", NULL},
	{"b", NULL},				/* analytics.js in batches */
	{"import", NULL},
	{"identify", "identify"},
	{"i", "identify"},
	{"track", "track"},
	{"t", "track"},
	{"page", "page"},
	{"p", "page"},
	{"screen", "screen"},
	{"s", "screen"},
	{"group", "group"},
	{"g", "group"},
	{"alias", "alias"},
	{"a", "alias"},
};

/* what a batch says for each of its calls; NULL where it does not */
typedef struct Batch
{
	Jsonb	   *context;
	Jsonb	   *integrations;
	Jsonb	   *sent_at;
	int			shared_length;	/* of the texts of context and integrations */
	const char *type;			/* by the path; NULL: each call has its own */
	BrazeString key;			/* of the request */
	TimestampTz received_at;
} Batch;

typedef struct Received
{
	NameData	destination;
	Oid			roleid;
	int			seconds;		/* for which a messageId is remembered */
	int			calls;
	int			queued;
	int			duplicates;
	int			dead_letters;
	int			dropped;
} Received;

/* ----- the path ----- */

/* "/v1/t?x=y": the type of the calls, by the name after the version */
static const char *
read_path(const char *path, bool *is_batch)
{
	const char *name = path;
	size_t		length;

	if (*name == '/')
		name++;
	if (strncmp(name, "v1/", 3) == 0)
	{
		name += 3;
		length = strcspn(name, "?");
		if (length > 0 && name[length - 1] == '/')
			length--;
		for (int i = 0; i < lengthof(endpoints); i++)
		{
			if (strlen(endpoints[i].name) == length && memcmp(endpoints[i].name, name, length) == 0)
			{
				*is_batch = endpoints[i].type == NULL;
				return endpoints[i].type;
			}
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("path \"%.*s\" is not known", (int) strcspn(path, "?"), path),
			 errhint("Valid paths are /v1/batch, /v1/import, /v1/identify, /v1/track, /v1/page, /v1/screen, "
					 "/v1/group and /v1/alias, the last six also by their first letter.")));
}

/* ----- the body ----- */

pg_noreturn static void
refuse_body(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("the body cannot be read"),
			 errdetail("%s", detail)));
}

static BrazeString
text_string(text * value)
{
	return (BrazeString)
	{
		VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)
	};
}

/* the value of a member of the body; false where there is none */
static bool
find_member(BrazeString body, const char *name, BrazeString *value)
{
	BrazeSplit	split;
	BrazeString key;
	BrazeString part;
	bool		found = false;

	if (!braze_json_split_begin(&split, body, '{'))
		return false;
	while (braze_json_split_next(&split, &key, &part))
	{
		/* of two, the later one counts, as in jsonb */
		if (braze_string_is(key, name))
		{
			*value = part;
			found = true;
		}
	}
	return found;
}

/*
 * a member of a batch that its calls share; what cannot be jsonb is not there
 */
static Jsonb *
read_member(BrazeString body, const char *name)
{
	BrazeString value;
	const char *reason;

	if (!find_member(body, name, &value))
		return NULL;
	return braze_call_builder_read(pnstrdup(value.data, value.length), &reason);
}

/*
 * A call without its writeKey, and with the type that its path says, which the
 * call need not have.  What cannot be told apart is left as it is, so that all
 * of it is in the dead letter that it becomes.
 */
static char *
call_text(BrazeString call, const char *type)
{
	StringInfoData text;
	BrazeSplit	split;
	BrazeString key;
	BrazeString value;

	bool		changed = type != NULL;

	if (!braze_json_split_begin(&split, call, '{'))
		return pnstrdup(call.data, call.length);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	while (braze_json_split_next(&split, &key, &value))
	{
		if (braze_string_is(key, "writeKey") || (type != NULL && braze_string_is(key, "type")))
		{
			changed = true;
			continue;
		}
		appendStringInfoString(&text, text.len > 1 ? ",\"" : "\"");
		appendBinaryStringInfo(&text, key.data, key.length);
		appendStringInfoString(&text, "\":");
		appendBinaryStringInfo(&text, value.data, value.length);
	}
	if (split.broken || !changed)
		return pnstrdup(call.data, call.length);

	/* the last of equal keys counts, however the others are written */
	if (type != NULL)
		appendStringInfo(&text, "%s\"type\":\"%s\"", text.len > 1 ? "," : "", type);
	appendStringInfoChar(&text, '}');
	return text.data;
}

/* ----- the key of the request ----- */

/*
 * a character at the start of the text, perhaps
 * escaped as in JSON; 0: it is not there
 */
static int
escaped_length(const char *text, char c)
{
	char		digits[5] = {0};

	if (*text == c)
		return 1;
	if (text[0] != '\\')
		return 0;
	if (text[1] == c)
		return 2;
	if (text[1] != 'u')
		return 0;
	strlcpy(digits, text + 2, sizeof(digits));
	return strspn(digits, "0123456789abcdefABCDEF") == 4 &&
		strtol(digits, NULL, 16) == (unsigned char) c ? 6 : 0;
}

/*
 * the bytes that the key takes up at the start of the text; 0: it is not there
 */
static int
key_length(const char *text, BrazeString key)
{
	int			length = 0;

	for (int i = 0; i < key.length; i++)
	{
		int			part = escaped_length(text + length, key.data[i]);

		if (part == 0)
			return 0;
		length += part;
	}
	return length;
}

/*
 * The text without the key, in which spelling and in whatever place.  Members
 * do not help here: one may be called "write\u004bey", or be part of what
 * cannot be told apart.
 */
static char *
mask_request_key(const char *text, BrazeString key)
{
	StringInfoData masked;

	initStringInfo(&masked);
	while (*text != '\0')
	{
		int			length = key_length(text, key);

		if (length > 0)
			appendStringInfoString(&masked, "***");
		else
			appendStringInfoChar(&masked, *text);
		text += Max(length, 1);
	}
	return masked.data;
}

/* ----- a call ----- */

/*
 * a copy of an object's members, over those of the batch, which has others only
 */
static void
merge_objects(BrazeCallBuilder *call, const char *key, JsonbValue *own, Jsonb *of_batch)
{
	bool		both = own != NULL && braze_is_object(own) &&
	of_batch != NULL && JB_ROOT_IS_OBJECT(of_batch);
	BrazeWalk	walk;
	BrazeString name;
	JsonbValue	value;
	JsonbValue	text;

	/*
	 * Where only one of them is an object, the call's own stands as it is:
	 * the mapping says what is wrong with it.
	 */
	if (!both)
	{
		if (own != NULL && own->type != jbvNull)
		{
			braze_call_builder_add_key(call, key);
			braze_call_builder_add_value(call, own);
		}
		else if (of_batch != NULL)
			braze_call_builder_add_jsonb(call, key, of_batch);
		return;
	}
	braze_call_builder_add_key(call, key);
	braze_call_builder_begin_object(call);
	/* the later one of two equal keys stays */
	for (int i = 0; i < 2; i++)
	{
		braze_walk_object(&walk, i == 0 ? &of_batch->root : own->val.binary.data);
		while (braze_walk_pair(&walk, &name, &value))
		{
			text.type = jbvString;
			text.val.string.val = unconstify(char *, name.data);
			text.val.string.len = name.length;
			braze_jsonb_add(&call->state, WJB_KEY, &text);
			braze_jsonb_add(&call->state, WJB_VALUE, &value);
		}
	}
	braze_call_builder_end_object(call);
}

typedef struct Complete
{
	const Batch *batch;
	Jsonb	   *call;
} Complete;

/* has the call a text or a number under this key? */
static bool
has_value(const JsonbValue *value)
{
	return value->type == jbvString || value->type == jbvNumeric;
}

/*
 * The time of a call is that of the client's clock.  With sentAt, which is of
 * the same clock, it becomes originalTimestamp: the mapping corrects it by what
 * that clock is off.
 */
static void
complete_call(BrazeCallBuilder *call, void *arg)
{
	const Complete *complete = arg;
	const Batch *batch = complete->batch;
	JsonbContainer *root = &complete->call->root;
	JsonbValue	timestamp = {.type = jbvNull};
	JsonbValue	sent_at = {.type = jbvNull};
	JsonbValue	context;
	JsonbValue	integrations;
	JsonbValue	message_id;
	bool		has_context = braze_lookup(root, "context", &context);
	bool		has_integrations = braze_lookup(root, "integrations", &integrations);
	bool		is_skewed;
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;
	JsonbValue	name;

	if (!braze_lookup(root, "sentAt", &sent_at) && batch->sent_at != NULL &&
		JB_ROOT_IS_SCALAR(batch->sent_at))
		(void) JsonbExtractScalar(&batch->sent_at->root, &sent_at);
	(void) braze_lookup(root, "timestamp", &timestamp);

	/*
	 * Only with both readings of the client's clock can the mapping tell how
	 * far it is off: receivedAt - (sentAt - originalTimestamp).  A timestamp
	 * would come before that, and be believed.
	 */
	is_skewed = has_value(&timestamp) && has_value(&sent_at);

	braze_walk_object(&walk, root);
	while (braze_walk_pair(&walk, &key, &value))
	{
		/*
		 * What is passed over here is written below, or, as the writeKey, not
		 * at all.
		 */
		if (braze_string_is(key, "context") || braze_string_is(key, "integrations") ||
			braze_string_is(key, "sentAt") || braze_string_is(key, "receivedAt") ||
			braze_string_is(key, "writeKey") ||
			(is_skewed && (braze_string_is(key, "timestamp") || braze_string_is(key, "originalTimestamp"))))
			continue;
		name.type = jbvString;
		name.val.string.val = unconstify(char *, key.data);
		name.val.string.len = key.length;
		braze_jsonb_add(&call->state, WJB_KEY, &name);
		braze_jsonb_add(&call->state, WJB_VALUE, &value);
	}
	if (is_skewed)
	{
		braze_call_builder_add_key(call, "originalTimestamp");
		braze_call_builder_add_value(call, &timestamp);
	}
	if (has_value(&sent_at))
	{
		braze_call_builder_add_key(call, "sentAt");
		braze_call_builder_add_value(call, &sent_at);
	}

	/* whatever the client says of it, this is when the call came */
	braze_call_builder_add_timestamp(call, "receivedAt", batch->received_at);
	merge_objects(call, "context", has_context ? &context : NULL, batch->context);
	merge_objects(call, "integrations", has_integrations ? &integrations : NULL, batch->integrations);

	/* a timestamp that is made here would beat the times that the call has */
	call->has_time = true;
	call->has_message_id = braze_lookup(root, "messageId", &message_id) && has_value(&message_id);
}

/*
 * Whoever has a key may say what a user does, and not have users deleted:
 * Segment's API has no such call.
 */
static bool
is_taken(Jsonb *call)
{
	JsonbValue	type;
	BrazeString text;

	if (!braze_lookup(&call->root, "type", &type) || !braze_solid_text(&type, &text))
		return true;
	return text.length != strlen("delete") || pg_strncasecmp(text.data, "delete", text.length) != 0;
}

/* the call as it is to be queued, or with the reason why it cannot be */
static BrazeNewCall
read_call(BrazeString part, const Batch *batch)
{
	BrazeNewCall call = {.kind = BRAZE_SEGMENT_CALL};
	Complete	complete = {batch, NULL};

	call.text = mask_request_key(call_text(part, batch->type), batch->key);

	/* a few bytes in a batch would otherwise become a large call each */
	if (part.length > MAX_CALL_SIZE - batch->shared_length)
	{
		call.reason = psprintf("The call has %d bytes%s, and Segment's API accepts at most %d.",
							   part.length + batch->shared_length,
							   batch->shared_length > 0 ? " with its batch's context and integrations" : "",
							   MAX_CALL_SIZE);
		return call;
	}
	call.json = braze_call_builder_read(call.text, &call.reason);
	if (call.json == NULL)
		return call;

	/* jsonb from here on: the letter of a call that is refused shows that */
	call.text = NULL;
	/* the mapping says what is wrong with anything else */
	if (!JB_ROOT_IS_OBJECT(call.json))
		return call;
	if (!is_taken(call.json))
	{
		call.reason = "Segment's API takes no delete calls.";
		return call;
	}
	complete.call = call.json;
	return braze_call_builder_build(NULL, complete_call, &complete, BRAZE_CALL_SAFE);
}

/*
 * What has the messageId of a call; NULL: it has none of its own.  One that is
 * no jsonb may have one all the same.
 */
static Jsonb *
with_message_id(const BrazeNewCall *call, BrazeString part)
{
	BrazeString id;
	const char *reason;

	if (call->json != NULL && call->has_own_id)
		return call->json;
	if (!find_member(part, "messageId", &id))
		return NULL;
	return braze_call_builder_read(psprintf("{\"messageId\": %.*s}", id.length, id.data), &reason);
}

static void
receive_call(BrazeString part, const Batch *batch, Received *received)
{
	BrazeNewCall call = read_call(part, batch);
	Jsonb	   *with_id = with_message_id(&call, part);
	int64		id;

	/*
	 * Also of one that will be a dead letter: a batch that is repeated would
	 * leave it there twice.
	 */
	if (with_id != NULL &&
		!braze_deduplicate_remember(NameStr(received->destination), with_id,
									received->seconds, true))
	{
		received->duplicates++;
		return;
	}

	/* remembered by now: it must not become its own duplicate */
	call.has_own_id = false;
	id = braze_enqueue_call(call, NameStr(received->destination), received->roleid,
							BRAZE_ENQUEUE_KEEP_INVALID);
	if (id == BRAZE_DEAD_LETTER)
		received->dead_letters++;
	else if (id == BRAZE_NOT_QUEUED)
	{
		/* or its repeat, which may find room, would be a duplicate */
		if (with_id != NULL)
			braze_deduplicate_delete(NameStr(received->destination), with_id);
		received->dropped++;
	}
	else
		received->queued++;
}

static void
receive_batch(BrazeString body, Batch *batch, Received *received)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "braze_receive call",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	BrazeString calls;
	BrazeString call;
	BrazeString shared;
	BrazeSplit	split;

	if (!find_member(body, "batch", &calls))
		refuse_body("It has no member \"batch\".");

	/* once for all calls: a thousand calls may share one context */
	batch->context = read_member(body, "context");
	batch->integrations = read_member(body, "integrations");
	if (find_member(body, "context", &shared))
		batch->shared_length += shared.length;
	if (find_member(body, "integrations", &shared))
		batch->shared_length += shared.length;
	batch->sent_at = read_member(body, "sentAt");

	/* all of it is looked at before anything is queued */
	if (!braze_json_split_begin(&split, calls, '['))
		refuse_body("Its member \"batch\" is not a list.");
	while (braze_json_split_next(&split, NULL, &call))
		received->calls++;
	if (split.broken)
		refuse_body("Its member \"batch\" is not a list of JSON values.");
	if (received->calls > MAX_CALLS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the batch is too large"),
				 errdetail("It has %d calls, and Segment's API accepts at most %d.", received->calls, MAX_CALLS)));

	(void) braze_json_split_begin(&split, calls, '[');
	while (braze_json_split_next(&split, NULL, &call))
	{
		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(context);
		/* a call leaves nothing behind: all of them take the memory of one */
		receive_call(call, batch, received);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}

/* ----- the functions ----- */

Datum
braze_receive_key(PG_FUNCTION_ARGS)
{
	BrazeString value;

	if (!find_member(text_string(PG_GETARG_TEXT_PP(0)), "writeKey", &value) ||
		value.length < 2 || value.data[0] != '"')
		PG_RETURN_NULL();
	/* a key of ours has nothing that JSON escapes */
	PG_RETURN_TEXT_P(cstring_to_text_with_len(value.data + 1, value.length - 2));
}

Datum
braze_receive_for(PG_FUNCTION_ARGS)
{
	Batch		batch = {NULL};
	Received	received = {.calls = 0};
	const BrazeDestination *destination;
	BrazeString body;
	BrazeSplit	split;
	BrazeString key;
	BrazeString value;
	bool		is_batch;
	char	   *role;
	char	   *answer;

	/* it asks nobody for a key, so it is for braze_receive alone, which does */
	if (!braze_owns_function(fcinfo->flinfo->fn_oid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function braze_receive_for"),
				 errhint("Call braze_receive, with a write key.")));
	for (int i = 0; i < 5; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("path and body must not be null")));
	}

	/*
	 * What the administrator has set is looked at before the body: an error
	 * in that is the same for every body.
	 */
	batch.type = read_path(text_to_cstring(PG_GETARG_TEXT_PP(0)), &is_batch);
	batch.received_at = GetCurrentTimestamp();
	body = text_string(PG_GETARG_TEXT_PP(1));
	batch.key = text_string(PG_GETARG_TEXT_PP(4));
	role = text_to_cstring(PG_GETARG_TEXT_PP(2));
	received.roleid = braze_role_find(role, PG_ARGISNULL(5) ? InvalidOid : PG_GETARG_OID(5),
									  PG_ARGISNULL(6) ? 0 : (uint64) PG_GETARG_INT64(6));
	if (!OidIsValid(received.roleid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the write key is for role \"%s\", which does not exist or was created anew", role),
				 errhint("Delete its row in braze_write_keys, and make another key with braze_create_write_key.")));
	destination = braze_destination_for(text_to_cstring(PG_GETARG_TEXT_PP(3)), received.roleid);

	/* copied: queueing can run code that empties the cache of destinations */
	received.destination = destination->name;
	received.seconds = Max(destination->settings.deduplicate, BRAZE_RECEIVED_SECONDS);

	if (body.length > (is_batch ? MAX_BATCH_SIZE : MAX_CALL_SIZE))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the body is too large"),
				 errdetail("It has %d bytes, and Segment's API accepts at most %d for %s.", body.length,
						   is_batch ? MAX_BATCH_SIZE : MAX_CALL_SIZE,
						   is_batch ? "a batch" : "a call")));

	/*
	 * Once to its end: find_member takes what it finds, and a body that was
	 * cut off on its way must not be taken for a whole one.
	 */
	if (!braze_json_split_begin(&split, body, '{'))
		refuse_body("It is not a JSON object.");
	while (braze_json_split_next(&split, &key, &value))
		 /* to its end */ ;
	if (split.broken)
		refuse_body("It is not a JSON object, or has more than one.");

	if (is_batch)
		receive_batch(body, &batch, &received);
	else
		receive_call(body, &batch, &received);

	answer = psprintf("{\"success\": true, \"queued\": %d, \"duplicates\": %d, \"dead_letters\": %d, \"dropped\": %d}",
					  received.queued, received.duplicates, received.dead_letters, received.dropped);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(answer)));
}
