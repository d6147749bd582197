/*-------------------------------------------------------------------------
 *
 * collect_remote.c
 *	  The statements that a collector runs at the origin.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "feed/collect_remote.h"

/* without a statement_timeout of the role, an answer is waited for so long */
#define ANSWER_MS		60000

/*
 * who may still insert there: more than a server has transactions are made up
 */
#define MAX_HOLDERS		20000

#define ROWS_TABLE		"braze_origin_rows"
#define LOCKS_TABLE		"braze_origin_locks"

/* what is read of a call, in the order of collect_remote.h */
#define COLUMNS			"id, destination, call, queued_at, objects, call_kind"
#define READ_FORMAT		"SELECT %s FROM pg_temp." ROWS_TABLE \
	" WHERE id > $1 AND (%s) AND destination <> ALL ($2) ORDER BY id"
#define ROWS_FORMAT		"SELECT " COLUMNS " FROM pg_temp." ROWS_TABLE " WHERE id = ANY ($1)%s ORDER BY id"
#define DELETE_FORMAT	"DELETE FROM pg_temp." ROWS_TABLE " WHERE %s AND (queued_at <= $1 OR queued_at IS NULL)"

/*
 * postgres_fdw has a comparison done there only if the collation of its
 * operands comes from a column, so the empty path is made of one.  With it the
 * operator gives the text of all of the call.  An array has at most 12 bytes of
 * text for each of its integers.
 */
#define MEASURE \
	" AND (call IS NULL OR octet_length(call #>> array_remove(ARRAY[destination], destination)) <= $2)" \
	" AND (destination IS NULL OR octet_length(destination) <= $2)" \
	" AND (call_kind IS NULL OR octet_length(call_kind) <= $2)" \
	" AND (objects IS NULL OR cardinality(objects) <= $2 / 12)"

static Oid	tables[2] = {InvalidOid, InvalidOid};

static SPIPlanPtr look_plan = NULL;
static SPIPlanPtr hides_plan = NULL;
static SPIPlanPtr read_plan = NULL;
static SPIPlanPtr rows_plan = NULL;
static SPIPlanPtr measured_rows_plan = NULL;
static SPIPlanPtr delete_plan = NULL;
static SPIPlanPtr delete_range_plan = NULL;
static SPIPlanPtr count_plan = NULL;

static TimeoutId answer_timeout;
static volatile sig_atomic_t is_busy = false;
static volatile sig_atomic_t has_timed_out = false;

/* ----- waiting for the origin ----- */

/*
 * An origin that hangs answers no request to cancel either, and to send one
 * waits without end.  So the connection is cut instead: libpq then reports an
 * error, and does not try.  It has the only stream sockets of this process; the
 * calls are those that a signal handler may make.
 */
void
braze_collect_remote_sever(void)
{
	int			save_errno = errno;

	for (int fd = 3; fd < 1024; fd++)
	{
		int			type;
		socklen_t	length = sizeof(type);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM)
			(void) shutdown(fd, SHUT_RDWR);
	}
	errno = save_errno;
}

static void
answer_is_late(void)
{
	has_timed_out = true;
	braze_collect_remote_sever();
}

static void
begin_waiting(void)
{
	has_timed_out = false;
	enable_timeout_after(answer_timeout, StatementTimeout > 0 ? StatementTimeout : ANSWER_MS);
	is_busy = true;
}

static void
end_waiting(void)
{
	is_busy = false;
	disable_timeout(answer_timeout, false);
}

/*
 * What was registered last is called first: postgres_fdw registers when it
 * first connects, so it has committed there by now, and what comes is ours.
 */
static void
at_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
		end_waiting();
}

void
braze_collect_remote_commit(void)
{
	begin_waiting();
	CommitTransactionCommand();
}

void
braze_collect_remote_init(void)
{
	answer_timeout = RegisterTimeout(USER_TIMEOUT, answer_is_late);
	RegisterXactCallback(at_commit, NULL);

	/*
	 * libpq waits for a connection without end, and before PostgreSQL 16
	 * without being interrupted.  An option of the server comes before this.
	 */
	setenv("PGCONNECT_TIMEOUT", "10", 0);
	setenv("PGAPPNAME", "segment_braze collector", 0);
}

bool
braze_collect_remote_is_busy(void)
{
	return is_busy;
}

bool
braze_collect_remote_failed(void)
{
	end_waiting();
	return has_timed_out;
}

/* ----- foreign tables ----- */

static void
run_utility(const char *text)
{
	int			result = SPI_execute(text, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "could not run \"%s\": %s", text, SPI_result_code_string(result));
}

static void
create_foreign_table(const BrazeOrigin *origin, const char *name, const char *columns,
					 const char *schema, const char *table)
{
	run_utility(psprintf("CREATE FOREIGN TABLE pg_temp.%s (%s) SERVER %s "
						 "OPTIONS (schema_name %s, table_name %s, fetch_size '%d')",
						 name, columns, quote_identifier(NameStr(origin->server)),
						 quote_literal_cstr(schema), quote_literal_cstr(table), BRAZE_REMOTE_FETCH));
	run_utility(psprintf("GRANT SELECT, DELETE ON pg_temp.%s TO %s", name,
						 quote_identifier(GetUserNameFromId(origin->role, false))));
}

static void
free_plan(SPIPlanPtr *plan)
{
	if (*plan != NULL)
		SPI_freeplan(*plan);
	*plan = NULL;
}

static void
keep_plan(SPIPlanPtr *kept, const char *text, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(text, nargs, types);

	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", text, SPI_result_code_string(SPI_result));
	*kept = plan;
}

static bool
tables_are_there(void)
{
	return OidIsValid(tables[0]) && get_rel_name(tables[0]) != NULL &&
		OidIsValid(tables[1]) && get_rel_name(tables[1]) != NULL;
}

/*
 * Temporary ones: nothing is left in a schema, in a dump, or when somebody has
 * ended the collecting.  They are made by the one who owns everything, since
 * the role may lack the right to make any, and read by the role, whose user
 * mapping counts then.
 */
void
braze_collect_remote_prepare(const BrazeOrigin *origin)
{
	static Oid	read_types[2] = {INT8OID, TEXTARRAYOID};
	static Oid	array_types[2] = {INT8ARRAYOID, INT4OID};
	static Oid	delete_types[2] = {TIMESTAMPTZOID, INT8ARRAYOID};
	static Oid	range_types[3] = {TIMESTAMPTZOID, INT8OID, INT8OID};
	List	   *names;
	char	   *schema;
	char	   *table;
	Oid			user;
	int			context;

	if (tables_are_there())
		return;
	names = textToQualifiedNameList(cstring_to_text(origin->table));
	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not the name of a table with its schema", origin->table),
				 errdetail("The row of braze_collecting was not written by braze_collect.")));
	schema = strVal(linitial(names));
	table = strVal(lsecond(names));

	/* an error in between changes nothing: the abort sets the user back */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
	run_utility("DROP FOREIGN TABLE IF EXISTS pg_temp." ROWS_TABLE ", pg_temp." LOCKS_TABLE);
	create_foreign_table(origin, ROWS_TABLE,
						 "id bigint, destination text, call jsonb, queued_at timestamptz, "
						 "objects int[], call_kind text", schema, table);
	create_foreign_table(origin, LOCKS_TABLE,
						 "session text, schema_name text, table_name text, holder text, database text",
						 schema, "braze_collect_locks");
	SetUserIdAndSecContext(user, context);

	/* of the tables before: keep_plan() would leak them */
	free_plan(&look_plan);
	free_plan(&hides_plan);
	free_plan(&read_plan);
	free_plan(&rows_plan);
	free_plan(&measured_rows_plan);
	free_plan(&delete_plan);
	free_plan(&delete_range_plan);
	free_plan(&count_plan);
	keep_plan(&look_plan,
			  psprintf("SELECT session, holder, database FROM pg_temp." LOCKS_TABLE
					   " WHERE (session IS NOT NULL OR holder IS NOT NULL) AND"
					   " (table_name IS NULL OR (schema_name = %s AND table_name = %s))",
					   quote_literal_cstr(schema), quote_literal_cstr(table)), 0, NULL);
	keep_plan(&hides_plan,
			  psprintf("SELECT FROM pg_temp." LOCKS_TABLE
					   " WHERE session IS NULL AND holder IS NULL AND schema_name = %s AND table_name = %s",
					   quote_literal_cstr(schema), quote_literal_cstr(table)), 0, NULL);
	keep_plan(&read_plan, psprintf(READ_FORMAT, COLUMNS, "true"), 2, read_types);
	keep_plan(&rows_plan, psprintf(ROWS_FORMAT, ""), 1, array_types);
	keep_plan(&measured_rows_plan, psprintf(ROWS_FORMAT, MEASURE), 2, array_types);
	keep_plan(&delete_plan, psprintf(DELETE_FORMAT, "id = ANY ($2)"), 2, delete_types);
	keep_plan(&delete_range_plan, psprintf(DELETE_FORMAT, "id BETWEEN $2 AND $3"), 3, range_types);
	keep_plan(&count_plan, "SELECT count(*), min(queued_at) FILTER (WHERE isfinite(queued_at)) FROM pg_temp."
			  ROWS_TABLE, 0, NULL);

	/* last: after an error above, the next round has to make all this again */
	tables[0] = RelnameGetRelid(ROWS_TABLE);
	tables[1] = RelnameGetRelid(LOCKS_TABLE);
}

/* ----- statements ----- */

static void
run_plan(SPIPlanPtr plan, Datum *values, int expected, long limit)
{
	int			result;

	begin_waiting();
	result = SPI_execute_plan(plan, values, NULL, false, limit);
	end_waiting();
	if (result != expected)
		elog(ERROR, "unexpected result of a statement at the origin: %s", SPI_result_code_string(result));
}

char	   *
braze_collect_remote_look(char **database, List **holders)
{
	char	   *session = NULL;

	*database = NULL;
	*holders = NIL;
	run_plan(look_plan, NULL, SPI_OK_SELECT, MAX_HOLDERS + 1);
	if (SPI_processed > MAX_HOLDERS)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the view braze_collect_locks at the origin has more than %d rows", MAX_HOLDERS),
				 errdetail("It should have one for each transaction there that may still queue calls.")));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *holder = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);

		if (holder != NULL)
			*holders = lappend(*holders, holder);
		else
		{
			session = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
			*database = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
		}
	}
	SPI_freetuptable(SPI_tuptable);
	if (session == NULL || *database == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("the view braze_collect_locks at the origin is not as it should be"),
				 errhint("Create it there as the extension's install script or segment_braze_client.sql does.")));
	return session;
}

bool
braze_collect_remote_hides_rows(void)
{
	bool		hides;

	run_plan(hides_plan, NULL, SPI_OK_SELECT, 1);
	hides = (SPI_processed > 0);
	SPI_freetuptable(SPI_tuptable);
	return hides;
}

Portal
braze_collect_remote_read(int64 above, const char *condition, Datum left_out, bool only_ids)
{
	static Oid	types[2] = {INT8OID, TEXTARRAYOID};
	Datum		values[2];
	SPIPlanPtr	plan = read_plan;
	Portal		portal;

	values[0] = Int64GetDatum(above);
	values[1] = left_out;

	/* a condition differs each time, so a plan of it is not worth keeping */
	if (condition != NULL || only_ids)
		plan = SPI_prepare(psprintf(READ_FORMAT, only_ids ? "id" : COLUMNS, condition != NULL ? condition : "true"), 2, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare to read rows: %s", SPI_result_code_string(SPI_result));
	begin_waiting();
	portal = SPI_cursor_open(NULL, plan, values, NULL, false);
	end_waiting();
	return portal;
}

uint64
braze_collect_remote_fetch(Portal portal, long count)
{
	begin_waiting();
	SPI_cursor_fetch(portal, true, count);
	end_waiting();
	return SPI_processed;
}

void
braze_collect_remote_close(Portal portal)
{
	begin_waiting();
	SPI_cursor_close(portal);
	end_waiting();
}

static Datum
array_of(const int64 *ids, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * count);

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(ids[i]);
	return PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

uint64
braze_collect_remote_rows(const int64 *ids, int count, int bytes)
{
	Datum		values[2];

	values[0] = array_of(ids, count);
	values[1] = Int32GetDatum(bytes);
	run_plan(bytes < 0 ? rows_plan : measured_rows_plan, values, SPI_OK_SELECT, count + 1);

	/*
	 * more rows than were asked for would be written past the end of the
	 * batch
	 */
	if (SPI_processed > count)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("ids of the table at the origin are not unique")));
	return SPI_processed;
}

/* without an id between them that is not one of these */
static bool
is_range(const int64 *ids, int count)
{
	for (int i = 1; i < count; i++)
	{
		if (ids[i] != ids[i - 1] + 1)
			return false;
	}
	return true;
}

int64
braze_collect_remote_delete(const int64 *ids, int count, TimestampTz queued_until)
{
	Datum		values[3];

	values[0] = TimestampTzGetDatum(queued_until);

	/*
	 * The usual case.  The text of a range is short, and its rows are found
	 * by one scan of the index there.
	 */
	if (is_range(ids, count))
	{
		values[1] = Int64GetDatum(ids[0]);
		values[2] = Int64GetDatum(ids[count - 1]);
		run_plan(delete_range_plan, values, SPI_OK_DELETE, 0);
		return SPI_processed;
	}
	values[1] = array_of(ids, count);
	run_plan(delete_plan, values, SPI_OK_DELETE, 0);
	return SPI_processed;
}

int64
braze_collect_remote_count(TimestampTz *oldest)
{
	bool		isnull;
	Datum		value;
	int64		count;

	run_plan(count_plan, NULL, SPI_OK_SELECT, 0);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	*oldest = isnull ? 0 : DatumGetTimestampTz(value);
	SPI_freetuptable(SPI_tuptable);
	return count;
}
