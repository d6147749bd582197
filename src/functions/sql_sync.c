/*-------------------------------------------------------------------------
 *
 * sql_sync.c
 *	  braze_create_sync, braze_drop_sync, braze_run_sync, braze_preview_sync.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/statement.h"
#include "base/worker_wake.h"
#include "destination/destination.h"
#include "feed/sync_read.h"
#include "feed/sync_row.h"
#include "feed/sync_run.h"
#include "feed/sync_table.h"
#include "functions/srf.h"
#include "json/jsonb_walk.h"
#include "store/started_table.h"

BRAZE_SQL_FUNCTION(braze_create_sync);
BRAZE_SQL_FUNCTION(braze_drop_sync);
BRAZE_SQL_FUNCTION(braze_run_sync);
BRAZE_SQL_FUNCTION(braze_sync_calls);

/* arguments of braze_create_sync */
enum
{
	ARGUMENT_NAME,
	ARGUMENT_QUERY,
	ARGUMENT_USER_ID,
	ARGUMENT_NAMES,
	ARGUMENT_DESTINATION,
	ARGUMENT_EVERY,
	ARGUMENT_ON_REMOVE,
	ARGUMENT_MAX_REMOVED,
	ARGUMENT_TYPE,
	ARGUMENT_EVENT,
	ARGUMENT_KEY,
	ARGUMENT_CURSOR_COLUMN,
	ARGUMENT_LATE,
	ARGUMENT_OWNER
};

static const char *const argument_names[] = {
	"name", "query", "user_id", "names", "destination", "every", "on_remove", "max_removed",
	"type", "event", "key", "cursor_column", "late", "owner"
};

/* ----- what is given ----- */

static void
refuse_null_argument(const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument \"%s\" of braze_create_sync must not be null", argument)));
}

static char *
text_argument(FunctionCallInfo fcinfo, int argument, bool required)
{
	if (!PG_ARGISNULL(argument))
		return text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (required)
		refuse_null_argument(argument_names[argument]);
	return NULL;
}

static void
refuse_value(int argument, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value of argument \"%s\" of braze_create_sync: \"%s\"",
					argument_names[argument], value),
			 errhint("%s", hint)));
}

static void
read_on_remove(BrazeSync *sync, const char *value)
{
	if (strcmp(value, "keep") == 0)
		sync->on_remove = BRAZE_SYNC_KEEP;
	else if (strcmp(value, "clear") == 0)
		sync->on_remove = BRAZE_SYNC_CLEAR;
	else if (strcmp(value, "delete") == 0)
		sync->on_remove = BRAZE_SYNC_DELETE;
	else
		refuse_value(ARGUMENT_ON_REMOVE, value, "Valid values are keep, clear and delete.");
}

static void
read_names(BrazeSync *sync, FunctionCallInfo fcinfo)
{
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;
	bool		valid;

	if (PG_ARGISNULL(ARGUMENT_NAMES))
		return;
	sync->names = PG_GETARG_JSONB_P(ARGUMENT_NAMES);
	valid = JB_ROOT_IS_OBJECT(sync->names);
	if (valid)
	{
		braze_walk_object(&walk, &sync->names->root);
		while (braze_walk_pair(&walk, &key, &value))
			valid = valid && (value.type == jbvString || value.type == jbvNull);
	}
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"names\" of braze_create_sync is not a JSON object of names"),
				 errhint("Write names as {\"column\": \"name\"}, with null to leave a column out.")));
}

/*
 * Fields that take each other back might be more than a moment can be added to,
 * although what they come to is little.
 */
static bool
is_interval_of(const Interval *given, int min_seconds, int max_years)
{
	Interval	min = {.time = min_seconds * USECS_PER_SEC};
	Interval	max = {.month = max_years * MONTHS_PER_YEAR};

	return given->month >= 0 && given->day >= 0 && given->time >= 0 &&
		!DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(given), IntervalPGetDatum(&min))) &&
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(given), IntervalPGetDatum(&max)));
}

static void
read_limits(BrazeSync *sync, FunctionCallInfo fcinfo)
{
	sync->max_removed = PG_GETARG_FLOAT8(ARGUMENT_MAX_REMOVED);
	if (!(sync->max_removed >= 0 && sync->max_removed <= 1))
		refuse_value(ARGUMENT_MAX_REMOVED, psprintf("%g", sync->max_removed),
					 "It is a share of the users, from 0 to 1.");
	sync->late = PG_GETARG_INTERVAL_P(ARGUMENT_LATE);
	if (!is_interval_of(sync->late, 0, 100))
		refuse_value(ARGUMENT_LATE, DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(sync->late))),
					 "It must be from 0 to 100 years.");
	if (!PG_ARGISNULL(ARGUMENT_EVERY) && !is_interval_of(PG_GETARG_INTERVAL_P(ARGUMENT_EVERY), 1, 1))
		refuse_value(ARGUMENT_EVERY, DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(ARGUMENT_EVERY))),
					 "It must be from a second to a year.");
}

/* events have columns of their own, and attributes have none of these */
static void
read_type(BrazeSync *sync, FunctionCallInfo fcinfo)
{
	char	   *type = text_argument(fcinfo, ARGUMENT_TYPE, true);

	sync->is_track = strcmp(type, "track") == 0;
	if (!sync->is_track && strcmp(type, "identify") != 0)
		refuse_value(ARGUMENT_TYPE, type, "Valid values are identify and track.");
	sync->event = text_argument(fcinfo, ARGUMENT_EVENT, false);
	sync->key = text_argument(fcinfo, ARGUMENT_KEY, false);
	sync->cursor_column = text_argument(fcinfo, ARGUMENT_CURSOR_COLUMN, false);
	for (int i = ARGUMENT_EVENT; i <= ARGUMENT_CURSOR_COLUMN; i++)
	{
		if (sync->is_track == PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 sync->is_track ?
					 errmsg("a sync of type track needs argument \"%s\" of braze_create_sync", argument_names[i]) :
					 errmsg("argument \"%s\" of braze_create_sync is for syncs of type track", argument_names[i]),
					 sync->is_track ?
					 errhint("Name a column of the query that has the event's name (event), one whose value identifies the event (key), and one that has its time (cursor_column).") :
					 errhint("Pass type => 'track' to send events.")));
	}
	if (sync->is_track && sync->on_remove != BRAZE_SYNC_KEEP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"on_remove\" of braze_create_sync is for syncs of type identify"),
				 errhint("An event that was sent cannot be taken back.")));
}

static bool
may_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may;
}

/* a process that is connected as the owner needs one that may be connected */
static void
check_login(const BrazeSync *sync, Oid owner)
{
	if (BRAZE_BACKGROUND_FLAGS == 0 && !may_log_in(owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync \"%s\" cannot run as role \"%s\", which may not log in", sync->name, sync->owner),
				 errdetail("Before PostgreSQL 17, each run is a background process connected as the sync's owner."),
				 errhint("Pass owner => a role that may log in and has the rights that the query needs, "
						 "or leave out \"every\" and call braze_run_sync.")));
}

static Oid
read_owner(BrazeSync *sync, FunctionCallInfo fcinfo)
{
	Oid			owner = GetUserId();

	if (!PG_ARGISNULL(ARGUMENT_OWNER))
		owner = get_role_oid(NameStr(*PG_GETARG_NAME(ARGUMENT_OWNER)), false);
	sync->owner = GetUserNameFromId(owner, false);
	sync->owner_oid = owner;
	sync->system = GetSystemIdentifier();
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create a sync for role \"%s\"", sync->owner),
				 errhint("Only a member of that role may create it.")));
	if (!PG_ARGISNULL(ARGUMENT_EVERY))
		check_login(sync, owner);
	return owner;
}

/* ----- the syncs that there are ----- */

static BrazeSync *
find_own_sync(const char *name)
{
	BrazeSync  *sync = braze_sync_table_find(name);
	Oid			owner = sync == NULL ? InvalidOid : braze_sync_table_find_owner(sync);

	if (sync == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("sync \"%s\" does not exist", name),
				 errhint("braze_syncs lists those that you may use.")));
	if (OidIsValid(owner) ? !has_privs_of_role(GetUserId(), owner) : !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of sync \"%s\"", name)));
	return sync;
}

/* in the order of the columns that are named there */
static void
insert_sync(const BrazeSync *sync, FunctionCallInfo fcinfo)
{
	BrazeSyncArguments arguments = {0};

	braze_sync_table_add_text(&arguments, sync->name);
	braze_sync_table_add_text(&arguments, sync->query);
	braze_sync_table_add_text(&arguments, sync->user_id);
	if (sync->names != NULL)
		braze_sync_table_add(&arguments, JSONBOID, JsonbPGetDatum(sync->names));
	else
		braze_sync_table_add_null(&arguments, JSONBOID);
	braze_sync_table_add_text(&arguments, sync->destination);
	if (PG_ARGISNULL(ARGUMENT_EVERY))
		braze_sync_table_add_null(&arguments, INTERVALOID);
	else
		braze_sync_table_add(&arguments, INTERVALOID, PG_GETARG_DATUM(ARGUMENT_EVERY));
	braze_sync_table_add(&arguments, TEXTOID, PG_GETARG_DATUM(ARGUMENT_ON_REMOVE));
	braze_sync_table_add(&arguments, FLOAT8OID, Float8GetDatum(sync->max_removed));
	braze_sync_table_add(&arguments, TEXTOID, PG_GETARG_DATUM(ARGUMENT_TYPE));
	braze_sync_table_add_text(&arguments, sync->event);
	braze_sync_table_add_text(&arguments, sync->key);
	braze_sync_table_add_text(&arguments, sync->cursor_column);
	braze_sync_table_add(&arguments, INTERVALOID, IntervalPGetDatum(sync->late));
	braze_sync_table_add_text(&arguments, sync->owner);
	braze_sync_table_add_text(&arguments, sync->search_path);
	braze_sync_table_add(&arguments, OIDOID, ObjectIdGetDatum(sync->owner_oid));
	braze_sync_table_add(&arguments, INT8OID, Int64GetDatum((int64) sync->system));
	(void) braze_sync_table_write(braze_catalog_required()->syncs, CMD_INSERT,
								  psprintf("INSERT INTO %s (name, query, user_id, names, destination, every, on_remove, "
										   "max_removed, type, event, key, cursor_column, late, owner, search_path, owner_oid, system_identifier, next_run) "
										   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
										   "CASE WHEN $6 IS NOT NULL THEN now() END)",
										   braze_sync_table_syncs()), &arguments);
}

Datum
braze_create_sync(PG_FUNCTION_ARGS)
{
	BrazeSync	sync = {0};
	Oid			owner;
	const BrazeDestination *destination;
	int			level;

	if (PG_NARGS() != ARGUMENT_OWNER + 1)
		braze_catalog_report_outdated();
	sync.name = text_argument(fcinfo, ARGUMENT_NAME, true);
	sync.query = text_argument(fcinfo, ARGUMENT_QUERY, true);
	sync.user_id = text_argument(fcinfo, ARGUMENT_USER_ID, true);
	if (PG_ARGISNULL(ARGUMENT_MAX_REMOVED) || PG_ARGISNULL(ARGUMENT_LATE))
		refuse_null_argument(argument_names[PG_ARGISNULL(ARGUMENT_LATE) ? ARGUMENT_LATE : ARGUMENT_MAX_REMOVED]);
	read_on_remove(&sync, text_argument(fcinfo, ARGUMENT_ON_REMOVE, true));
	read_names(&sync, fcinfo);
	read_limits(&sync, fcinfo);
	read_type(&sync, fcinfo);
	owner = read_owner(&sync, fcinfo);
	destination = braze_destination_for(PG_ARGISNULL(ARGUMENT_DESTINATION) ? NULL :
										NameStr(*PG_GETARG_NAME(ARGUMENT_DESTINATION)), owner);
	sync.destination = pstrdup(NameStr(destination->name));
	sync.search_path = pstrdup(GetConfigOption("search_path", false, false));
	if (braze_sync_table_find(sync.name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("sync \"%s\" already exists", sync.name),
				 errhint("braze_drop_sync removes it; a new one of that name sends every row again.")));
	level = braze_sync_read_fix_settings();
	(void) braze_sync_read_plan(&sync, owner);
	braze_sync_read_restore_settings(level);
	insert_sync(&sync, fcinfo);
	braze_worker_wake_at_commit();
	PG_RETURN_VOID();
}

Datum
braze_drop_sync(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of a sync must not be null")));
	braze_sync_table_remove(find_own_sync(text_to_cstring(PG_GETARG_TEXT_PP(0))));
	PG_RETURN_VOID();
}

/*
 * A destination that is not started here is one whose calls are sent from
 * elsewhere: a copy's syncs would send again what the original sends.
 */
static void
check_started(const BrazeSync *sync)
{
	if (!braze_started_table_has(sync->destination))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sync \"%s\" does not run here: destination \"%s\" is not started", sync->name, sync->destination),
				 errhint("To deliver from this database, run SELECT braze_start(%s).",
						 quote_literal_cstr(sync->destination))));
}

/* also in a block of PL/pgSQL with EXCEPTION, which is a subtransaction */
static bool
is_atomic(FunctionCallInfo fcinfo)
{
	return IsSubTransaction() || fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic;
}

Datum
braze_run_sync(PG_FUNCTION_ARGS)
{
	bool		atomic = is_atomic(fcinfo);
	BrazeSync  *sync;
	double		max_removed = -1;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of a sync must not be null")));
	sync = find_own_sync(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	check_started(sync);
	if (!PG_ARGISNULL(1))
		max_removed = PG_GETARG_FLOAT8(1);
	if (!PG_ARGISNULL(1) && !(max_removed >= 0 && max_removed <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value of argument \"max_removed\" of braze_run_sync: \"%g\"", max_removed),
				 errhint("It is a share of the users, from 0 to 1.")));
	braze_sync_run(sync->id, max_removed,
				   atomic ? BRAZE_SYNC_RUN_AT_ONCE : BRAZE_SYNC_RUN_IN_PARTS);
	PG_RETURN_VOID();
}

/* ----- the preview ----- */

typedef struct Preview
{
	ReturnSetInfo *result;
	const BrazeSync *sync;
	BrazeSyncRows *rows;
} Preview;

static void
put_preview(const Preview *preview, TupleTableSlot *slot)
{
	ReturnSetInfo *result = preview->result;
	const BrazeSyncPlan *plan = preview->rows->plan;
	BrazeRow	row;
	BrazeString key;
	BrazeNewCall call;
	Datum		values[4];
	bool		nulls[4] = {false};
	NameData	destination;

	slot_getallattrs(slot);
	row.values = slot->tts_values;
	row.nulls = slot->tts_isnull;
	key = braze_sync_row_key(plan, &row);
	call = braze_sync_row_call(plan, &row, false);
	namestrcpy(&destination, preview->sync->destination);
	values[0] = NameGetDatum(&destination);
	values[1] = PointerGetDatum(cstring_to_text_with_len(key.data, key.length));
	nulls[2] = call.json == NULL;
	values[2] = nulls[2] ? (Datum) 0 : JsonbPGetDatum(call.json);
	nulls[3] = call.reason == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(call.reason);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* with the owner's rights, as a run builds its calls */
static void
build_preview(void *arg)
{
	const Preview *preview = arg;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(preview->rows->plan->desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(preview->rows->rows, true, false, slot))
		put_preview(preview, slot);
	ExecDropSingleTupleTableSlot(slot);
}

Datum
braze_sync_calls(PG_FUNCTION_ARGS)
{
	Preview		preview;
	Oid			owner;
	int			level;

	braze_srf_materialize(fcinfo, 4);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	preview.result = (ReturnSetInfo *) fcinfo->resultinfo;
	preview.sync = find_own_sync(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	owner = braze_sync_table_owner(preview.sync);
	level = braze_sync_read_fix_settings();
	preview.rows = braze_sync_read_begin();
	PG_TRY();
	{
		braze_sync_read(preview.rows, preview.sync, owner, NULL, Max(PG_GETARG_INT64(1), 0));
		braze_statement_run_as(owner, preview.sync->search_path, build_preview, &preview);
	}
	PG_FINALLY();
	{
		braze_sync_read_end(preview.rows);
	}
	PG_END_TRY();
	braze_sync_read_restore_settings(level);
	return (Datum) 0;
}
