/*-------------------------------------------------------------------------
 *
 * parts.c
 *	  Waiting until a part of many calls has left the queue.
 *
 * A part is settled when none of its rows is in the queue, whoever took them:
 * this database's worker, a delivery node that collects them, or braze_purge.
 * An id that was seen to be gone is not looked at again.  A call that is sent
 * at most once may come back, when its claim is released; it has had its turn.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/statement.h"
#include "base/wait_event.h"
#include "feed/parts.h"

/*
 * Nobody tells us when rows leave.  While they do, a look soon finds the end of
 * the part; while they do not, each look is followed by a longer nap.
 */
#define MIN_NAP_MS		10
#define MAX_NAP_MS		1000

/*
 * A part of which nothing left for so long may be kept by the destination's
 * state.  That is asked less and less often, since braze_status reads the
 * queue.
 */
#define MIN_STILL_MS	1000
#define MAX_STILL_MS	60000

#define MAX_ROWS_PER_PART	1000000

struct BrazeParts
{
	MemoryContext context;		/* its own, and that of its arrays */
	int64	   *ids;			/* of the rows, ascending */
	int			count;
	int			size;
	int			gone;			/* so many of the first have left the queue */
	char	   *reported;		/* the state that was reported last, or NULL */
};

/* what the wait for one part goes by */
typedef struct WaitClock
{
	int			nap_ms;
	int64		still_since;	/* on braze_now_ms()'s clock */
	int64		ask_after_ms;	/* of standing still, for the state */
} WaitClock;

void
braze_parts_check_procedure(Node *context, const char *procedure)
{
	if (context == NULL || !IsA(context, CallContext) || castNode(CallContext, context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run within a transaction", procedure),
				 errdetail("Each part is a transaction of its own."),
				 errhint("CALL it outside of BEGIN and COMMIT, and neither in a function nor in a block with EXCEPTION.")));
}

void
braze_parts_check_rows(int rows_per_part)
{
	if (rows_per_part < 1 || rows_per_part > MAX_ROWS_PER_PART)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rows_per_part must be between 1 and %d", MAX_ROWS_PER_PART)));
}

BrazeParts *
braze_parts_create(void)
{
	BrazeParts *parts = palloc0(sizeof(BrazeParts));

	parts->context = CurrentMemoryContext;
	return parts;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right;
}

void
braze_parts_note(BrazeParts *parts, const int64 *ids, int count)
{
	bool		ascending = true;

	/* all before have left: their memory serves this part */
	if (parts->gone == parts->count)
		parts->gone = parts->count = 0;
	if (parts->count + count > parts->size)
	{
		int			size = parts->count + count;

		if (parts->ids == NULL)
			parts->ids = MemoryContextAllocHuge(parts->context, sizeof(int64) * size);
		else
			parts->ids = repalloc_huge(parts->ids, sizeof(int64) * size);
		parts->size = size;
	}
	for (int i = 0; i < count; i++)
	{
		if (ids[i] <= 0)
			continue;
		if (parts->count > parts->gone && ids[i] < parts->ids[parts->count - 1])
			ascending = false;
		parts->ids[parts->count++] = ids[i];
	}

	/*
	 * ids that are drawn are in order, unless somebody sets the sequence back
	 */
	if (!ascending)
		qsort(&parts->ids[parts->gone], parts->count - parts->gone, sizeof(int64), compare_ids);
}

/* counts those that have left, up to the first that is there */
static void
look_for_ids(BrazeParts *parts, Relation queue, Snapshot snapshot)
{
	Relation	pkey = index_open(braze_catalog_required()->queue_pkey, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(queue, NULL);
	IndexScanDesc scan = braze_index_beginscan(queue, pkey, snapshot, 1);

	/* one by one: others may have any number of rows between two of ours */
	while (parts->gone < parts->count)
	{
		ScanKeyData key;

		CHECK_FOR_INTERRUPTS();
		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(parts->ids[parts->gone]));
		index_rescan(scan, &key, 1, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, slot))
			break;
		parts->gone++;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(pkey, AccessShareLock);
}

bool
braze_parts_is_settled(BrazeParts *parts)
{
	Oid			table = braze_catalog_required()->queue;
	Relation	queue;
	Snapshot	snapshot;

	if (parts->gone == parts->count)
		return true;

	/*
	 * The lock comes before the snapshot: to one from before, a table that
	 * was rewritten is empty.
	 */
	if (!braze_catalog_try_lock(table, AccessShareLock))
		return false;
	queue = table_open(table, NoLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	look_for_ids(parts, queue, snapshot);
	UnregisterSnapshot(snapshot);
	table_close(queue, AccessShareLock);
	return parts->gone == parts->count;
}

char	   *
braze_parts_blocking_state(const char *destination)
{
	Oid			schema = get_rel_namespace(braze_catalog_required()->queue);
	Oid			view = get_relname_relid("braze_status", schema);
	Relation	rel;
	char	   *state;

	/*
	 * somebody has renamed it or moved it: the wait goes on without a reason
	 */
	if (!OidIsValid(view))
		return NULL;
	rel = table_open(view, AccessShareLock);
	state = braze_statement_read_text(rel,
									  psprintf("SELECT state || CASE WHEN state LIKE 'retrying%%' THEN coalesce(': ' || last_error, '') ELSE '' END "
											   "FROM %s WHERE destination = $1", braze_statement_table(rel)),
									  destination);
	table_close(rel, AccessShareLock);

	/* a state that is followed by a warning keeps nothing either */
	if (state != NULL && (strcmp(state, "running") == 0 || strncmp(state, "running;", 8) == 0))
		return NULL;
	return state;
}

/* once for each state that the part finds: the next look says nothing new */
static void
report_state(BrazeParts *parts, const char *destination, const char *state, int elevel)
{
	if (state == NULL || (parts->reported != NULL && strcmp(parts->reported, state) == 0))
		return;
	if (parts->reported != NULL)
		pfree(parts->reported);
	parts->reported = MemoryContextStrdup(parts->context, state);
	ereport(elevel,
			(errmsg("%d calls wait for destination \"%s\": %s",
					parts->count - parts->gone, destination, state),
			 errdetail("Nothing more is queued until these have left the queue.")));
}

/* what a wait is for */
typedef struct Wait
{
	BrazeParts *parts;
	const char *destination;
	int			elevel;
	int			patience_ms;	/* 0: any */
	bool		until_open;		/* not for the parts, but for the destination */
	WaitClock	clock;
	char	   *gave_up;		/* the state that it gave up at, or NULL */
} Wait;

/* a step of standing still, at whose end the state is asked for */
static void
look_at_state(Wait *wait, int64 now)
{
	BrazeParts *parts = wait->parts;
	char	   *state = braze_parts_blocking_state(wait->destination);
	bool		is_over = wait->patience_ms > 0 && now - wait->clock.still_since >= wait->patience_ms;

	wait->clock.ask_after_ms += Min(wait->clock.ask_after_ms, MAX_STILL_MS);
	if (state != NULL && is_over)
		wait->gave_up = MemoryContextStrdup(parts->context, state);
	else if (!wait->until_open)
		report_state(parts, wait->destination, state, wait->elevel);
}

/* true: there is nothing to wait for any more, or wait->gave_up says why not */
static bool
look_once(Wait *wait)
{
	BrazeParts *parts = wait->parts;
	WaitClock  *clock = &wait->clock;
	int			gone = parts->gone;
	int64		now;
	bool		settled;

	PushActiveSnapshot(GetTransactionSnapshot());
	settled = wait->until_open ? braze_parts_blocking_state(wait->destination) == NULL :
		braze_parts_is_settled(parts);
	now = braze_now_ms();

	/*
	 * something has left: the destination is at work, whatever its state was
	 */
	if (parts->gone > gone)
	{
		clock->nap_ms = MIN_NAP_MS;
		clock->still_since = now;
		clock->ask_after_ms = MIN_STILL_MS;
	}
	else if (!settled && now - clock->still_since >= clock->ask_after_ms)
		look_at_state(wait, now);
	PopActiveSnapshot();
	return settled || wait->gave_up != NULL;
}

static char *
wait_for_end(Wait *wait)
{
	MemoryContext caller = CurrentMemoryContext;

	wait->clock.still_since = braze_now_ms();
	wait->clock.ask_after_ms = MIN_STILL_MS;
	for (;;)
	{
		bool		ended;

		/*
		 * Each look has a transaction of its own.  The nap may last as long
		 * as an outage of Braze, and must neither hold a lock that somebody
		 * waits for nor a snapshot that keeps dead rows from VACUUM.
		 */
		if (IsTransactionState())
		{
			ended = look_once(wait);
			SPI_commit();
		}
		else
		{
			StartTransactionCommand();
			ended = look_once(wait);
			CommitTransactionCommand();
			MemoryContextSwitchTo(caller);
		}
		if (ended)
			return wait->gave_up;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait->clock.nap_ms, braze_wait_event(BRAZE_WAIT_PARTS));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		wait->clock.nap_ms = Min(wait->clock.nap_ms * 2, wait->until_open ? MAX_STILL_MS : MAX_NAP_MS);
	}
}

void
braze_parts_wait(BrazeParts *parts, const char *destination, int elevel)
{
	(void) braze_parts_wait_patiently(parts, destination, elevel, 0);
}

char	   *
braze_parts_wait_patiently(BrazeParts *parts, const char *destination, int elevel, int patience_ms)
{
	Wait		wait = {parts, destination, elevel, patience_ms, false, {.nap_ms = MIN_NAP_MS}};

	return wait_for_end(&wait);
}

/* each look reads the queue, so they are few */
char	   *
braze_parts_wait_until_open(BrazeParts *parts, const char *destination, int patience_ms)
{
	Wait		wait = {parts, destination, LOG, patience_ms, true, {.nap_ms = MIN_STILL_MS}};

	return wait_for_end(&wait);
}
