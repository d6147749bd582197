/*-------------------------------------------------------------------------
 *
 * insert_buffer.c
 *	  The calls that one query queues are inserted many at a time.
 *
 * Nobody may see that a row came later than its call.  Others see neither
 * before the commit.  In the same transaction, what the query itself reads is
 * older than both; another query sees the row, since all rows are inserted when
 * a query ends, and before one, or a command, begins inside of it.  What is
 * left is code that the query runs and that has subtransactions, in which the
 * rows of the query around them cannot be inserted.  So rows are held back only
 * for a SELECT whose plan names no function but ours and PostgreSQL's own.
 * These may come to user code that the plan does not name, as to_json() does to
 * a cast: if it reads the queue in a subtransaction of its own, it misses what
 * is held back, which is inserted all the same.
 *
 * Whatever is held back when an error ends the query is forgotten with it: an
 * error undoes all that the query did.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table_write.h"
#include "queue/call_context.h"
#include "queue/insert_buffer.h"

/* some pages of rows; more would not make them cheaper */
#define MAX_ROWS	128

/* in the memory of the query */
typedef struct BufferedRows
{
	MemoryContext context;		/* of this and the slots */
	MemoryContext tuples;		/* emptied when they are inserted */
	Oid			table;
	TupleDesc	desc;
	CommandId	command;		/* that has queued them */
	int			count;
	int			nslots;
	TupleTableSlot *slots[MAX_ROWS];
} BufferedRows;

/* a query that runs, innermost first */
typedef struct RunningQuery
{
	const QueryDesc *query;
	SubTransactionId subtransaction;
	ErrorContextCallback *context;	/* outside of it */
	int			calls;			/* of functions that queue */
	bool		held_back;		/* may its rows be? */
	BufferedRows *rows;			/* NULL: there were none yet */
} RunningQuery;

static RunningQuery *running = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* which of the rows an error is about */
typedef struct InsertedRow
{
	const BufferedRows *rows;
	int			index;			/* -1: none in particular */
} InsertedRow;

static void
describe_held_back(void *arg)
{
	const InsertedRow *row = arg;
	bool		isnull;

	if (row->index >= 0)
		braze_call_context(DatumGetJsonbP(slot_getattr(row->rows->slots[row->index],
													   BRAZE_QUEUE_CALL, &isnull)), false);
}

/* the call that is being queued now is not the one that an error is about */
static void
insert_rows(BufferedRows *rows)
{
	InsertedRow row = {rows, -1};
	ErrorContextCallback *inside = error_context_stack;
	ErrorContextCallback context = {
		.previous = running->context,
		.callback = describe_held_back,
		.arg = &row
	};
	MemoryContext old = MemoryContextSwitchTo(rows->tuples);
	Relation	rel = table_open(rows->table, NoLock);

	error_context_stack = &context;
	braze_table_write_insert_many(rel, rows->slots, rows->count, rows->command, &row.index);
	error_context_stack = inside;
	table_close(rel, NoLock);
	for (int i = 0; i < rows->count; i++)
		ExecClearTuple(rows->slots[i]);
	rows->count = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(rows->tuples);
}

/*
 * The plan names the functions that it depends on, by the hash of their OIDs,
 * except for PostgreSQL's own; domains, too, since they may call some.
 */
static bool
calls_only(const QueryDesc *query, Oid function)
{
	uint32		hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	bool		found = false;
	ListCell   *cell;

	if (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE)
		return false;
	foreach(cell, query->plannedstmt->invalItems)
	{
		const		PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);

		if (item->cacheId != PROCOID || item->hashValue != hash)
			return false;
		found = true;
	}
	return found;
}

void
braze_insert_buffer_offer(Oid function)
{
	/* for one call alone it would not be worth it */
	if (running != NULL && ++running->calls == 2)
		running->held_back = calls_only(running->query, function);
}

static BufferedRows *
create_rows(const QueryDesc *query, Oid table, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(query->estate->es_query_cxt,
												  "segment_braze queued rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	BufferedRows *rows = palloc0(sizeof(BufferedRows));

	rows->context = context;
	rows->tuples = AllocSetContextCreate(context, "segment_braze queued tuples",
										 ALLOCSET_DEFAULT_SIZES);
	rows->table = table;

	/* a copy, which no resource owner has to know of */
	rows->desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
	return rows;
}

bool
braze_insert_buffer_is_open(Oid table, int columns)
{
	Relation	rel;

	if (running == NULL || !running->held_back ||
		running->subtransaction != GetCurrentSubTransactionId())
		return false;

	/* the lock is held: the table stays as it is */
	if (running->rows != NULL)
		return true;
	rel = table_open(table, NoLock);
	if (braze_table_write_takes_many(rel, columns))
		running->rows = create_rows(running->query, table, RelationGetDescr(rel));
	table_close(rel, NoLock);
	return running->rows != NULL;
}

void
braze_insert_buffer_add(Datum *values, bool *nulls)
{
	BufferedRows *rows = running->rows;
	CommandId	command = GetCurrentCommandId(true);
	MemoryContext old;

	if (rows->count == MAX_ROWS || (rows->count > 0 && rows->command != command))
		insert_rows(rows);
	old = MemoryContextSwitchTo(rows->context);
	if (rows->count == rows->nslots)
	{
		rows->slots[rows->nslots] = MakeSingleTupleTableSlot(rows->desc, &TTSOpsHeapTuple);
		rows->nslots++;
	}
	MemoryContextSwitchTo(rows->tuples);
	ExecStoreHeapTuple(heap_form_tuple(rows->desc, values, nulls), rows->slots[rows->count], true);
	rows->command = command;
	rows->count++;
	MemoryContextSwitchTo(old);
}

void
braze_insert_buffer_flush(void)
{
	if (running != NULL && running->rows != NULL && running->rows->count > 0 &&
		running->subtransaction == GetCurrentSubTransactionId())
		insert_rows(running->rows);
}

static void
run_executor(BRAZE_RUN_PARAMETERS)
{
	RunningQuery *outer = running;
	RunningQuery own = {query, GetCurrentSubTransactionId(), error_context_stack};

	braze_insert_buffer_flush();
	running = &own;
	PG_TRY();
	{
		if (prev_ExecutorRun)
			prev_ExecutorRun(BRAZE_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(BRAZE_RUN_ARGUMENTS);
		braze_insert_buffer_flush();
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();

	/* a cursor runs its query many times */
	if (own.rows != NULL)
		MemoryContextDelete(own.rows->context);
}

/* one that runs within the query finds the rows that are held back */
static void
run_command(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	braze_insert_buffer_flush();
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context,
							params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

void
braze_insert_buffer_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = run_command;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = run_executor;
}
