/*-------------------------------------------------------------------------
 *
 * sql_enqueue.c
 *	  The functions that queue a call.
 *
 * Each returns the call's id in braze_queue, or NULL when the call became a
 * dead letter or is a duplicate.  None is strict: an argument that is null is
 * not in the call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/guc.h"
#include "functions/srf.h"
#include "json/jsonb_walk.h"
#include "queue/enqueue.h"
#include "queue/insert_buffer.h"
#include "queue/user_id.h"

/*
 * jsonb holds 256 MB; a call that comes near that is too large by any setting
 */
#define MAX_JSONB_SIZE	((Size) 255 * 1024 * 1024)

typedef enum ArgumentType
{
	ARGUMENT_USER_ID,			/* stands first, and only there */
	ARGUMENT_TEXT,
	ARGUMENT_JSONB,
	ARGUMENT_TIMESTAMP
} ArgumentType;

/* an argument of a function, in the order of the install script */
typedef struct Argument
{
	const char *key;			/* in the call; NULL ends the list */
	ArgumentType type;
} Argument;

/* what the argument lists of all functions end with; then comes destination */
#define COMMON_ARGUMENTS \
	{"anonymousId", ARGUMENT_TEXT}, \
	{"timestamp", ARGUMENT_TIMESTAMP}, \
	{"context", ARGUMENT_JSONB}, \
	{"integrations", ARGUMENT_JSONB}, \
	{"messageId", ARGUMENT_TEXT}, \
	{NULL}

static const Argument identify_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	{"traits", ARGUMENT_JSONB},
	COMMON_ARGUMENTS
};

static const Argument track_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	{"event", ARGUMENT_TEXT},
	{"properties", ARGUMENT_JSONB},
	COMMON_ARGUMENTS
};

static const Argument page_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	{"name", ARGUMENT_TEXT},
	{"properties", ARGUMENT_JSONB},
	{"category", ARGUMENT_TEXT},
	COMMON_ARGUMENTS
};

static const Argument group_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	{"groupId", ARGUMENT_TEXT},
	{"traits", ARGUMENT_JSONB},
	COMMON_ARGUMENTS
};

static const Argument alias_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	{"previousId", ARGUMENT_TEXT},
	COMMON_ARGUMENTS
};

static const Argument delete_arguments[] = {
	{"userId", ARGUMENT_USER_ID},
	COMMON_ARGUMENTS
};

BRAZE_SQL_FUNCTION(braze_enqueue);
BRAZE_SQL_FUNCTION(braze_enqueue_batch);
BRAZE_SQL_FUNCTION(braze_identify);
BRAZE_SQL_FUNCTION(braze_track);
BRAZE_SQL_FUNCTION(braze_page);
BRAZE_SQL_FUNCTION(braze_screen);
BRAZE_SQL_FUNCTION(braze_group);
BRAZE_SQL_FUNCTION(braze_alias);
BRAZE_SQL_FUNCTION(braze_delete_user);

/* queues for the caller; destination is the argument of this number */
static Datum
enqueue_arguments(FunctionCallInfo fcinfo, BrazeNewCall call, int destination)
{
	int64		id;

	braze_insert_buffer_offer(fcinfo->flinfo->fn_oid);
	id = braze_enqueue_call(call,
							PG_ARGISNULL(destination) ? NULL :
							NameStr(*PG_GETARG_NAME(destination)),
							GetUserId(), BRAZE_ENQUEUE_CALLER);

	/* dropped, a duplicate, or a dead letter: there is no row to name */
	if (id <= 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(id);
}

Datum
braze_enqueue(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("call must not be null"),
				 errhint("Pass a Segment call, such as '{\"type\": \"track\", "
						 "\"userId\": \"u1\", \"event\": \"Song Played\"}'.")));
	return enqueue_arguments(fcinfo, braze_call_builder_complete(PG_GETARG_JSONB_P(0)), 1);
}

/* of which element an error speaks */
static void
describe_element(void *arg)
{
	errcontext("call %d of the list", *(int *) arg);
}

/*
 * Many calls at once, in the order in which they stand.  Memory is what the
 * list takes up: each call's is freed before the next.
 */
Datum
braze_enqueue_batch(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context;
	Jsonb	   *calls;
	BrazeWalk	walk;
	JsonbValue	value;
	int			element = 0;
	ErrorContextCallback error_context = {
		.previous = error_context_stack,
		.callback = describe_element,
		.arg = &element
	};

	if (PG_ARGISNULL(0) || !JB_ROOT_IS_ARRAY(PG_GETARG_JSONB_P(0)) ||
		JB_ROOT_IS_SCALAR(PG_GETARG_JSONB_P(0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("calls must be a list"),
				 errhint("Pass Segment calls, such as '[{\"type\": \"track\", "
						 "\"userId\": \"u1\", \"event\": \"Song Played\"}]'.")));
	braze_srf_materialize(fcinfo, 1);
	calls = PG_GETARG_JSONB_P(0);
	context = AllocSetContextCreate(CurrentMemoryContext, "braze_enqueue_batch call",
									ALLOCSET_DEFAULT_SIZES);

	/*
	 * Whoever sends a thousand calls has to know which one it was: an error
	 * undoes all of them.
	 */
	error_context_stack = &error_context;
	braze_walk_array(&walk, &calls->root);
	while (braze_walk_element(&walk, &value))
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		int64		id;
		Datum		values[1];
		bool		nulls[1];

		element++;
		CHECK_FOR_INTERRUPTS();
		braze_insert_buffer_offer(fcinfo->flinfo->fn_oid);
		id = braze_enqueue_call(braze_call_builder_complete(JsonbValueToJsonb(&value)),
								PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1)),
								GetUserId(), BRAZE_ENQUEUE_CALLER);
		/* the row of the result is to outlive the call's memory */
		MemoryContextSwitchTo(old);
		values[0] = Int64GetDatum(id);
		nulls[0] = id <= 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		MemoryContextReset(context);
	}
	error_context_stack = error_context.previous;
	return (Datum) 0;
}

/* the arguments on their way into a call */
typedef struct ArgumentCall
{
	FunctionCallInfo fcinfo;
	const Argument *arguments;
	int			narguments;
	BrazeUserIdType user_id;
} ArgumentCall;

static void
add_arguments(BrazeCallBuilder *call, void *arg)
{
	const ArgumentCall *argument_call = arg;
	FunctionCallInfo fcinfo = argument_call->fcinfo;

	for (int i = 0; i < argument_call->narguments; i++)
	{
		const Argument *argument = &argument_call->arguments[i];

		if (PG_ARGISNULL(i))
			continue;
		switch (argument->type)
		{
			case ARGUMENT_USER_ID:
				braze_user_id_add(call, argument->key, &argument_call->user_id, PG_GETARG_DATUM(i));
				break;
			case ARGUMENT_TEXT:
				{
					text	   *value = PG_GETARG_TEXT_PP(i);

					braze_call_builder_add_text(call, argument->key, VARDATA_ANY(value),
												VARSIZE_ANY_EXHDR(value));
					break;
				}
			case ARGUMENT_JSONB:
				braze_call_builder_add_jsonb(call, argument->key, PG_GETARG_JSONB_P(i));
				break;
			case ARGUMENT_TIMESTAMP:
				braze_call_builder_add_timestamp(call, argument->key, PG_GETARG_TIMESTAMPTZ(i));
				break;
		}
	}
}

/* by the sizes of the arguments, before anything is built of them */
static BrazeCallRisk
assess_arguments(const ArgumentCall *argument_call, Size *bytes)
{
	FunctionCallInfo fcinfo = argument_call->fcinfo;
	bool		may_fail = false;

	*bytes = 0;
	for (int i = 0; i < argument_call->narguments; i++)
	{
		ArgumentType type = argument_call->arguments[i].type;
		Size		size;

		if (PG_ARGISNULL(i) || type == ARGUMENT_TIMESTAMP)
			continue;
		if (type == ARGUMENT_USER_ID)
		{
			*bytes += braze_user_id_size(&argument_call->user_id, PG_GETARG_DATUM(i));
			may_fail = may_fail || braze_user_id_may_fail(&argument_call->user_id, PG_GETARG_DATUM(i));
			continue;
		}
		/* known without reading the value, which may be stored elsewhere */
		size = toast_raw_datum_size(PG_GETARG_DATUM(i));
		*bytes += size;
		may_fail = may_fail || (type == ARGUMENT_JSONB && braze_call_builder_may_be_deep(size));
	}
	return *bytes > MAX_JSONB_SIZE ? BRAZE_CALL_TOO_LARGE :
		may_fail ? BRAZE_CALL_MAY_FAIL : BRAZE_CALL_SAFE;
}

/* what all functions but braze_enqueue do with their arguments */
static Datum
build_and_enqueue(FunctionCallInfo fcinfo, const char *type, BrazeCallKind kind,
				  const Argument *arguments)
{
	ArgumentCall argument_call = {fcinfo, arguments, 0, braze_user_id_type(fcinfo, 0)};
	BrazeCallRisk risk;
	BrazeNewCall call;
	Size		bytes;

	while (arguments[argument_call.narguments].key != NULL)
		argument_call.narguments++;
	risk = assess_arguments(&argument_call, &bytes);
	call = braze_call_builder_build(type, add_arguments, &argument_call, risk);

	/*
	 * It was built as text, for the dead letter, and so has no jsonb whose
	 * size could be judged later.
	 */
	if (risk == BRAZE_CALL_TOO_LARGE)
		call.reason = psprintf("The call has %zu bytes, and segment_braze.max_call_size is %d kB.",
							   bytes, braze_max_call_size);
	call.kind = kind;
	return enqueue_arguments(fcinfo, call, argument_call.narguments);
}

Datum
braze_identify(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "identify", BRAZE_SEGMENT_CALL, identify_arguments);
}

Datum
braze_track(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "track", BRAZE_SEGMENT_CALL, track_arguments);
}

Datum
braze_page(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "page", BRAZE_SEGMENT_CALL, page_arguments);
}

Datum
braze_screen(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "screen", BRAZE_SEGMENT_CALL, page_arguments);
}

Datum
braze_group(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "group", BRAZE_SEGMENT_CALL, group_arguments);
}

Datum
braze_alias(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "alias", BRAZE_SEGMENT_CALL, alias_arguments);
}

/*
 * Its kind says that the user is to be deleted whatever the option delete_calls
 * says of the delete calls that a stream of events carries.
 */
Datum
braze_delete_user(PG_FUNCTION_ARGS)
{
	return build_and_enqueue(fcinfo, "delete", BRAZE_DELETE_USER_CALL, delete_arguments);
}
