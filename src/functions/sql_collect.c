/*-------------------------------------------------------------------------
 *
 * sql_collect.c
 *	  braze_collect and its like.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/preload.h"
#include "base/shmem.h"
#include "feed/collect_server.h"
#include "feed/collect_table.h"
#include "functions/srf.h"

/* where a table is that is named without a schema */
#define DEFAULT_SCHEMA	"public"

/* the table's name in one spelling: it is a key */
static void
name_origin(FunctionCallInfo fcinfo, BrazeOrigin *origin)
{
	List	   *names;
	char	   *table;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("server and table must not be null")));
	names = textToQualifiedNameList(PG_GETARG_TEXT_PP(1));
	if (list_length(names) > 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not the name of a table", text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errhint("Name the table as it is there, with its schema: 'public.braze_outbox'.")));
	table = quote_qualified_identifier(list_length(names) == 1 ? DEFAULT_SCHEMA : strVal(linitial(names)),
									   strVal(llast(names)));
	if (strlen(table) >= sizeof(origin->table))
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name of table %s is too long", table),
				 errdetail("With quotes and its schema it may have %d bytes.",
						   (int) sizeof(origin->table) - 1)));
	memset(origin, 0, sizeof(*origin));
	namestrcpy(&origin->server, NameStr(*PG_GETARG_NAME(0)));
	strlcpy(origin->table, table, sizeof(origin->table));
	origin->role = GetUserId();
}

static void
require_login(Oid role)
{
	HeapTuple	tuple;
	bool		may_login;

	if (BRAZE_BACKGROUND_FLAGS != 0)
		return;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", role);
	may_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!may_login)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot collect, since it may not log in",
						GetUserNameFromId(role, false)),
				 errdetail("Before PostgreSQL 17 a background worker cannot connect as such a role."),
				 errhint("Run ALTER ROLE %s LOGIN, or call braze_collect as another role.",
						 quote_identifier(GetUserNameFromId(role, false)))));
}

/* who may end what another role has begun, or take it over */
static void
require_role_of(const BrazeOrigin *origin, Oid collecting)
{
	if (collecting != origin->role && !has_privs_of_role(origin->role, collecting))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table %s of server \"%s\" is collected by another role",
						origin->table, NameStr(origin->server)),
				 errdetail("That is role \"%s\".", GetUserNameFromId(collecting, true) ?
						   GetUserNameFromId(collecting, true) : "(dropped)")));
}

BRAZE_SQL_FUNCTION(braze_collect);
Datum
braze_collect(PG_FUNCTION_ARGS)
{
	BrazeOrigin origin;
	const BrazeOrigin *known;

	name_origin(fcinfo, &origin);
	braze_collect_server_require(NameStr(origin.server), origin.role);
	require_login(origin.role);
	if (!braze_preload_is_done())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calls cannot be collected without a worker"),
				 errhint("Add segment_braze to shared_preload_libraries and restart the server.")));
	known = braze_collect_table_find(NameStr(origin.server), origin.table);
	if (known != NULL)
		require_role_of(&origin, known->role);
	if (known != NULL && known->role == origin.role && !known->stopping)
		PG_RETURN_BOOL(false);
	braze_collect_table_put(&origin);
	PG_RETURN_BOOL(true);
}

BRAZE_SQL_FUNCTION(braze_stop_collecting);
Datum
braze_stop_collecting(PG_FUNCTION_ARGS)
{
	BrazeOrigin origin;
	const BrazeOrigin *known;

	name_origin(fcinfo, &origin);
	known = braze_collect_table_find(NameStr(origin.server), origin.table);
	if (known == NULL)
		PG_RETURN_BOOL(false);
	require_role_of(&origin, known->role);
	if (!PG_ARGISNULL(2) && PG_GETARG_BOOL(2))
		braze_collect_table_remove(&origin, false);
	else if (!known->stopping)
		braze_collect_table_stop(&origin);
	PG_RETURN_BOOL(true);
}

enum
{
	COLLECTOR_SERVER,
	COLLECTOR_TABLE,
	COLLECTOR_STATE,
	COLLECTOR_WAITING,
	COLLECTOR_OLDEST,
	COLLECTOR_COLLECTED,
	COLLECTOR_RATE,
	COLLECTOR_LAST_ERROR,
	COLLECTOR_LAST_ERROR_AT,
	COLLECTOR_LAST_SUCCESS,
	COLLECTOR_COLUMNS
};

static void
put_collector(ReturnSetInfo *result, BrazeCollectorSlot *slot)
{
	const BrazeCollectorFigures *figures = &slot->figures;
	Datum		values[COLLECTOR_COLUMNS];
	bool		nulls[COLLECTOR_COLUMNS] = {false};

	values[COLLECTOR_SERVER] = NameGetDatum(&slot->server);
	values[COLLECTOR_TABLE] = CStringGetTextDatum(slot->table);
	values[COLLECTOR_STATE] = CStringGetTextDatum(figures->state);
	nulls[COLLECTOR_STATE] = (figures->state[0] == '\0');
	values[COLLECTOR_WAITING] = Int64GetDatum(figures->waiting);
	nulls[COLLECTOR_WAITING] = (figures->waiting < 0);
	values[COLLECTOR_OLDEST] = TimestampTzGetDatum(figures->oldest);
	nulls[COLLECTOR_OLDEST] = (figures->oldest == 0);
	values[COLLECTOR_COLLECTED] = Int64GetDatum(figures->collected);
	values[COLLECTOR_RATE] = Float8GetDatum(figures->rate);
	nulls[COLLECTOR_RATE] = (figures->last_success == 0);
	values[COLLECTOR_LAST_ERROR] = CStringGetTextDatum(figures->last_error);
	values[COLLECTOR_LAST_ERROR_AT] = TimestampTzGetDatum(figures->last_error_at);
	nulls[COLLECTOR_LAST_ERROR] = nulls[COLLECTOR_LAST_ERROR_AT] = (figures->last_error_at == 0);
	values[COLLECTOR_LAST_SUCCESS] = TimestampTzGetDatum(figures->last_success);
	nulls[COLLECTOR_LAST_SUCCESS] = (figures->last_success == 0);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

BRAZE_SQL_FUNCTION(braze_collectors);
Datum
braze_collectors(PG_FUNCTION_ARGS)
{
	BrazeCollectorSlot copy;

	braze_srf_materialize(fcinfo, COLLECTOR_COLUMNS);
	for (int i = 0; braze_shared != NULL && i < braze_shared->ndatabases; i++)
	{
		LWLockAcquire(braze_shared->lock, LW_SHARED);
		copy = braze_shared->collectors[i];
		LWLockRelease(braze_shared->lock);
		if (copy.database == MyDatabaseId)
			put_collector((ReturnSetInfo *) fcinfo->resultinfo, &copy);
	}
	PG_RETURN_VOID();
}
