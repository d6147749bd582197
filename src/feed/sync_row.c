/*-------------------------------------------------------------------------
 *
 * sync_row.c
 *	  A row of a sync's query: its key, its hash, its call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"

#include "base/guc.h"
#include "feed/sync_row.h"
#include "json/jsonb_walk.h"

/* the index of braze_sync_state has room for 2704 bytes, with the sync's id */
#define MAX_KEY_BYTES		2000
#define KEY_PREFIX_BYTES	1500

/* a row, or a user who is gone, on its way into a call */
typedef struct SyncCall
{
	const BrazeSyncPlan *plan;
	const BrazeRow *row;		/* NULL: the user is gone */
	bool		known;
	const char *gone_user;		/* either an id, */
	Jsonb	   *alias;			/* or a user alias; NULL: none */
} SyncCall;

/* ----- keys ----- */

static const char *
column_name(const BrazeSyncPlan *plan, int index)
{
	return NameStr(TupleDescAttr(plan->desc, index)->attname);
}

static void
refuse_null_column(const BrazeSyncPlan *plan, int index)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("the query of sync \"%s\" returned a row whose column \"%s\" is null",
					plan->sync->name, column_name(plan, index)),
			 errdetail("Nothing was queued."),
			 errhint("Look for a join that finds nothing, or leave such rows out with WHERE.")));
}

/* {"alias_name": ..., "alias_label": ...} */
static bool
is_user_alias(const BrazeUserIdType *type, Datum value, Jsonb **alias)
{
	JsonbValue	name;
	JsonbValue	label;

	if (type->form != BRAZE_USER_ID_JSONB)
		return false;
	*alias = DatumGetJsonbP(value);
	return JB_ROOT_IS_OBJECT(*alias) && JB_ROOT_COUNT(*alias) == 2 &&
		braze_lookup(&(*alias)->root, "alias_name", &name) && name.type == jbvString &&
		braze_lookup(&(*alias)->root, "alias_label", &label) && label.type == jbvString;
}

static BrazeString
user_key(const BrazeSyncPlan *plan, const BrazeRow *row)
{
	Datum		value = row->values[plan->user];
	BrazeString key;
	Jsonb	   *alias;

	if (row->nulls[plan->user] || braze_user_id_is_null(&plan->user_type, value))
		refuse_null_column(plan, plan->user);
	if (braze_user_id_text(&plan->user_type, value, &key))
		return braze_user_id_to_key(key);
	if (is_user_alias(&plan->user_type, value, &alias))
		return braze_string(JsonbToCString(NULL, &alias->root, VARSIZE(alias)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the query of sync \"%s\" returned a row whose column \"%s\" is not a user id",
					plan->sync->name, column_name(plan, plan->user)),
			 errdetail("Nothing was queued."),
			 errhint("It may be a string, a finite number, or {\"alias_name\": \"...\", \"alias_label\": \"...\"}.")));
}

/*
 * An index has no room for a key of any length.  One that is too long becomes
 * a digest of all and its first bytes: neither a user alias, nor an id that is
 * short enough for Braze, whatever a user who is gone is taken for.
 */
static BrazeString
shorten_key(BrazeString key)
{
	bytea	   *digest;
	char	   *shortened;
	int			length;

	if (key.length <= MAX_KEY_BYTES)
		return key;
	digest = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
												 PointerGetDatum(cstring_to_text_with_len(key.data, key.length))));
	shortened = palloc(2 * VARSIZE_ANY_EXHDR(digest) + 2 + KEY_PREFIX_BYTES);
	length = hex_encode(VARDATA_ANY(digest), VARSIZE_ANY_EXHDR(digest), shortened);
	shortened[length++] = ':';
	shortened[length++] = ' ';
	key.length = pg_mbcliplen(key.data, key.length, KEY_PREFIX_BYTES);
	memcpy(shortened + length, key.data, key.length);
	key.data = shortened;
	key.length += length;
	return key;
}

BrazeString
braze_sync_row_key(const BrazeSyncPlan *plan, const BrazeRow *row)
{
	BrazeString user = user_key(plan, row);

	if (!plan->sync->is_track)
		return shorten_key(user);
	if (row->nulls[plan->key])
		refuse_null_column(plan, plan->key);
	return shorten_key(braze_string(OutputFunctionCall(unconstify(FmgrInfo *, &plan->key_output),
													   row->values[plan->key])));
}

TimestampTz
braze_sync_row_time(const BrazeSyncPlan *plan, const BrazeRow *row)
{
	Datum		value = row->values[plan->cursor];

	/* as PostgreSQL does: a timestamp is of the session's zone, which is UTC */
	if (plan->cursor_type == TIMESTAMPOID)
		value = DirectFunctionCall1(timestamp_timestamptz, value);
	return DatumGetTimestampTz(value);
}

/* ----- hashes ----- */

static void
append_bytes(StringInfo buffer, const char *data, int length)
{
	appendBinaryStringInfo(buffer, (char *) &length, sizeof(length));
	appendBinaryStringInfo(buffer, data, length);
}

/* the usual types without the function manager and its memory */
static void
append_output(StringInfo buffer, const BrazeSyncOutput *output, Datum value)
{
	char		number[32];
	char	   *written;

	switch (output->type)
	{
		case TEXTOID:
		case VARCHAROID:
			{
				text	   *string = DatumGetTextPP(value);

				append_bytes(buffer, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
				return;
			}
		case BOOLOID:
			append_bytes(buffer, DatumGetBool(value) ? "t" : "f", 1);
			return;
		case INT4OID:
			append_bytes(buffer, number, pg_ltoa(DatumGetInt32(value), number));
			return;
		case INT8OID:
			append_bytes(buffer, number, pg_lltoa(DatumGetInt64(value), number));
			return;
		default:
			written = OutputFunctionCall(unconstify(FmgrInfo *, &output->function), value);
			append_bytes(buffer, written, strlen(written));
	}
}

int64
braze_sync_row_hash(const BrazeSyncPlan *plan, const BrazeRow *row, StringInfo buffer)
{
	const int	null = -1;

	resetStringInfo(buffer);
	for (int i = 0; i < plan->nmembers; i++)
	{
		int			index = plan->members[i].index;

		if (row->nulls[index])
			appendBinaryStringInfo(buffer, (const char *) &null, sizeof(null));
		else
			append_output(buffer, &plan->outputs[i], row->values[index]);
	}
	return (int64) braze_hash_keyed(plan->hash_key, buffer->data, buffer->len);
}

/* ----- calls ----- */

static void
add_user_of_call(BrazeCallBuilder *call, const SyncCall *sync_call)
{
	const BrazeSyncPlan *plan = sync_call->plan;

	if (sync_call->alias != NULL)
	{
		braze_call_builder_add_key(call, "integrations");
		braze_call_builder_begin_object(call);
		braze_call_builder_add_inner_key(call, "Braze");
		braze_call_builder_begin_object(call);
		braze_call_builder_add_inner_key(call, "user_alias");
		braze_call_builder_add_document(call, sync_call->alias);
		braze_call_builder_end_object(call);
		braze_call_builder_end_object(call);
	}
	else if (sync_call->gone_user != NULL)
		braze_call_builder_add_text(call, "userId", sync_call->gone_user, strlen(sync_call->gone_user));
	else
		braze_user_id_add(call, "userId", &plan->user_type, sync_call->row->values[plan->user]);
}

static void
add_null(BrazeCallBuilder *call, const char *key)
{
	JsonbValue	null;

	null.type = jbvNull;
	braze_call_builder_add_inner_key(call, key);
	braze_call_builder_add_value(call, &null);
}

static void
add_columns_of_row(BrazeCallBuilder *call, const SyncCall *sync_call)
{
	const BrazeSyncPlan *plan = sync_call->plan;
	const BrazeRow *row = sync_call->row;

	braze_call_builder_add_key(call, plan->sync->is_track ? "properties" : "traits");
	if (plan->whole && row != NULL && !row->nulls[plan->members[0].index])
	{
		braze_column_add(call, &plan->members[0], row->values[plan->members[0].index]);
		return;
	}
	braze_call_builder_begin_object(call);
	for (int i = 0; i < plan->nmembers && !plan->whole; i++)
	{
		const BrazeColumn *member = &plan->members[i];

		if (row != NULL && !row->nulls[member->index])
		{
			braze_call_builder_add_inner_key(call, member->key);
			braze_column_add(call, member, row->values[member->index]);
		}
		else if (sync_call->known)
			add_null(call, member->key);
	}
	braze_call_builder_end_object(call);
}

static void
add_event_fields(BrazeCallBuilder *call, const SyncCall *sync_call)
{
	const BrazeSyncPlan *plan = sync_call->plan;
	const BrazeRow *row = sync_call->row;

	if (!row->nulls[plan->event])
	{
		text	   *event = DatumGetTextPP(row->values[plan->event]);

		braze_call_builder_add_text(call, "event", VARDATA_ANY(event), VARSIZE_ANY_EXHDR(event));
	}
	braze_call_builder_add_timestamp(call, "timestamp", braze_sync_row_time(plan, row));
}

static void
fill_call(BrazeCallBuilder *call, void *arg)
{
	const SyncCall *sync_call = arg;

	add_user_of_call(call, sync_call);
	if (sync_call->plan->sync->is_track)
		add_event_fields(call, sync_call);
	add_columns_of_row(call, sync_call);
}

/*
 * a deletion, or what is left of a call that would be larger than a call may be
 */
static void
fill_user_only(BrazeCallBuilder *call, void *arg)
{
	add_user_of_call(call, arg);
}

BrazeNewCall
braze_sync_row_call(const BrazeSyncPlan *plan, const BrazeRow *row, bool known)
{
	SyncCall	sync_call = {plan, row, known};
	const char *type = plan->sync->is_track ? "track" : "identify";
	Size		bytes = 0;
	bool		may_fail = false;
	Jsonb	   *alias;
	BrazeNewCall call;

	if (is_user_alias(&plan->user_type, row->values[plan->user], &alias))
		sync_call.alias = alias;

	/* by the sizes of the values, before anything is built of them */
	for (int i = 0; i < plan->nmembers; i++)
	{
		const BrazeColumn *member = &plan->members[i];

		if (row->nulls[member->index])
			continue;
		bytes += braze_column_size(member, row->values[member->index]);
		may_fail = may_fail || braze_column_may_fail(member, row->values[member->index]);
	}
	if (bytes <= (Size) braze_max_call_size * 1024)
		return braze_call_builder_build(type, fill_call, &sync_call,
										may_fail ? BRAZE_CALL_MAY_FAIL : BRAZE_CALL_SAFE);
	call = braze_call_builder_build(type, fill_user_only, &sync_call, BRAZE_CALL_TOO_LARGE);
	call.reason = psprintf("The call has %zu bytes, and segment_braze.max_call_size is %d kB.",
						   bytes, braze_max_call_size);
	return call;
}

BrazeNewCall
braze_sync_row_removal(const BrazeSyncPlan *plan, const char *key)
{
	SyncCall	sync_call = {plan, NULL, true, braze_user_id_of_key(key)};
	BrazeNewCall call;

	/* whatever type the column has by now */
	if (key[0] == '{')
		sync_call.alias = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(key)));
	if (plan->sync->on_remove == BRAZE_SYNC_CLEAR)
		return braze_call_builder_build("identify", fill_call, &sync_call, BRAZE_CALL_SAFE);
	call = braze_call_builder_build("delete", fill_user_only, &sync_call, BRAZE_CALL_SAFE);
	call.kind = BRAZE_DELETE_USER_CALL;
	return call;
}
