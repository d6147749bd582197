/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  braze_flush: waiting until all that is committed is settled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/wait_event.h"
#include "base/worker_wake.h"
#include "queue/column_values.h"
#include "store/claims_bound.h"
#include "store/dead_letters_table.h"
#include "store/paused_table.h"
#include "store/started_table.h"

/* how long a look is followed by none */
#define LOOK_INTERVAL_MS	5

typedef struct Wait
{
	Snapshot	began;			/* NULL: it has not begun */
	Oid			storage;		/* of the queue when it began */
	int64		highest;		/* later ids were neither in the queue then
								 * nor in flight */
	Name		destination;	/* NULL: all */
	int64		id;				/* no row before it was there when it began */
	NameData	waits_for;		/* the destination of the row with that id */
	NameData	looked_at;		/* the last one whose start was looked at */
	int64		releases;		/* how many there were then, */
	int64		seen_releases;	/* and at the last look */
	bool		seen_back;		/* that look found one in the queue */
	int64		last_letter;	/* later ones are not awaited, 0: not known
								 * yet */
} Wait;

typedef bool (*IsAwaited) (Relation rel, TupleTableSlot *slot, Wait *wait);

static bool
is_for(TupleTableSlot *slot, AttrNumber column, Name destination)
{
	bool		isnull;
	Datum		value;
	NameData	name;

	if (destination == NULL)
		return true;
	value = slot_getattr(slot, column, &isnull);
	if (isnull)
		return false;
	braze_column_values_destination(value, &name);
	return strcmp(NameStr(name), NameStr(*destination)) == 0;
}

static int64
id_of(TupleTableSlot *slot)
{
	bool		isnull;

	return DatumGetInt64(slot_getattr(slot, 1, &isnull));
}

/* what this transaction has queued is not committed: it would wait in vain */
static bool
is_own(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull);

	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/* was the row there when the wait began? */
static bool
was_there(Relation queue, TupleTableSlot *slot, Wait *wait)
{
	return !is_own(slot) && table_tuple_satisfies_snapshot(queue, slot, wait->began) &&
		is_for(slot, BRAZE_QUEUE_DESTINATION, wait->destination);
}

/* if so, that is what is waited for */
static bool
is_still_there(Relation queue, TupleTableSlot *slot, Wait *wait)
{
	bool		isnull;

	if (!was_there(queue, slot, wait))
		return false;
	wait->id = id_of(slot);
	braze_column_values_destination(slot_getattr(slot, BRAZE_QUEUE_DESTINATION, &isnull), &wait->waits_for);
	return true;
}

/* or may it be one that was there or in flight, and was written again? */
static bool
may_be_back(Relation queue, TupleTableSlot *slot, Wait *wait)
{
	return id_of(slot) <= wait->highest && !is_own(slot) &&
		is_for(slot, BRAZE_QUEUE_DESTINATION, wait->destination);
}

/* finds the last letter that is in flight, when that is not known, or any */
static bool
is_in_flight(Relation letters, TupleTableSlot *slot, Wait *wait)
{
	return (wait->last_letter == 0 || id_of(slot) <= wait->last_letter) &&
		is_for(slot, BRAZE_DEAD_DESTINATION, wait->destination) &&
		braze_dead_letters_table_is_in_flight(slot);
}

/*
 * the id of the first row in this direction,
 * from id on, that is awaited; 0: none
 */
static int64
find_awaited(Relation rel, Oid index, int64 id, Snapshot snapshot, ScanDirection direction,
			 IsAwaited is_awaited, Wait *wait)
{
	Relation	pkey = index_open(index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ScanKeyData key;
	IndexScanDesc scan;
	int64		found = 0;

	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(id));
	scan = braze_index_beginscan(rel, pkey, snapshot, 1);
	index_rescan(scan, &key, 1, NULL, 0);

	/*
	 * In the order of ids, so that a caller who knows that lower ones are
	 * gone begins after them: a look at a queue of a million calls reads the
	 * first that is left.
	 */
	while (found == 0 && index_getnext_slot(scan, direction, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_awaited(rel, slot, wait))
			found = id_of(slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(pkey, AccessShareLock);
	return found;
}

/*
 * Before the snapshot that it is read with: to one from before the lock, a
 * table that was rewritten is empty.  NULL: somebody has locked it, and may be
 * rewriting it.
 */
static Relation
try_open(Oid table)
{
	return braze_catalog_try_lock(table, AccessShareLock) ? table_open(table, NoLock) : NULL;
}

static void
close_if_open(Relation rel)
{
	if (rel != NULL)
		table_close(rel, AccessShareLock);
}

/* false: not now, somebody has locked the queue */
static bool
begin_wait(Wait *wait)
{
	Relation	queue = try_open(braze_catalog_required()->queue);
	BrazeClaimsBound bound;

	if (queue == NULL)
		return false;
	bound = braze_claims_bound_now();

	/*
	 * What is in flight in the snapshot was announced before.  It is no more
	 * if it was put back meanwhile, and then there is one more of those.
	 */
	do
	{
		if (wait->began != NULL)
			UnregisterSnapshot(wait->began);
		wait->releases = bound.releases;
		wait->began = RegisterSnapshot(GetLatestSnapshot());
		bound = braze_claims_bound_now();
	} while (bound.releases != wait->releases);

	/* a call that is in the queue now may be claimed and put back later */
	wait->highest = find_awaited(queue, braze_catalog_required()->queue_pkey, PG_INT64_MIN,
								 wait->began, BackwardScanDirection, was_there, wait);
	wait->highest = Max(wait->highest, bound.highest_id);
	wait->storage = queue->rd_rel->relfilenode;
	table_close(queue, AccessShareLock);
	return true;
}

/*
 * Of what has left the queue, is anything in flight, or back?  Both are looked
 * for under one snapshot, or a call could pass from one to the other unseen.
 */
static bool
is_under_way(Wait *wait, Relation queue, Relation letters, Snapshot now, int64 lowest,
			 int64 releases)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	int64		last = 0;
	bool		look_back = wait->seen_back;

	/*
	 * A call that was put back gets a new letter when it is taken again, and
	 * that does not show in the number of those that were put back.
	 */
	if (releases != wait->seen_releases)
	{
		look_back = releases != wait->releases;
		wait->last_letter = 0;
	}
	else if (wait->seen_back)
		wait->last_letter = 0;
	wait->seen_releases = releases;
	if (lowest < PG_INT64_MAX)
	{
		/* the last one, or once that is known any */
		last = find_awaited(letters, catalog->dead_letters_pkey, lowest, now,
							wait->last_letter == 0 ? BackwardScanDirection : ForwardScanDirection,
							is_in_flight, wait);
		if (wait->last_letter == 0)
			wait->last_letter = last;
	}

	/* the rows of a table that was rewritten may all be new to the snapshot */
	if (queue->rd_rel->relfilenode != wait->storage)
		look_back = true;
	wait->seen_back = look_back &&
		find_awaited(queue, catalog->queue_pkey, PG_INT64_MIN, now, ForwardScanDirection,
					 may_be_back, wait) != 0;
	return last != 0 || wait->seen_back;
}

/*
 * The worker publishes the lowest letter that it has under way before that
 * letter can be seen, and raises it after the letter was settled: see
 * claims_bound.c.  So the bound is asked for on both sides of the snapshot, and
 * the lower answer covers each letter that the snapshot shows in flight.
 */
static bool
is_settled_in(Wait *wait, Relation queue, Relation letters)
{
	BrazeClaimsBound before = braze_claims_bound_now();
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	bool		settled = false;

	/*
	 * As long as one of the calls is in the queue, nothing else needs to be
	 * known.
	 */
	if (find_awaited(queue, braze_catalog_required()->queue_pkey, wait->id, now,
					 ForwardScanDirection, is_still_there, wait) == 0)
	{
		BrazeClaimsBound after = braze_claims_bound_now();
		int64		lowest = Min(before.lowest_letter, after.lowest_letter);

		/*
		 * If a call was released meanwhile, it may have passed from the
		 * letters to the queue between two of these looks: then nothing is
		 * known, and the next look tells.
		 */
		settled = (before.releases == after.releases &&
				   !is_under_way(wait, queue, letters, now, lowest, after.releases));
	}
	UnregisterSnapshot(now);
	return settled;
}

/*
 * Is nothing left that was there when the wait began?  While a table is locked,
 * nobody can tell.
 */
static bool
is_settled(Wait *wait)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	queue;
	Relation	letters;
	bool		settled;

	if (wait->began == NULL && !begin_wait(wait))
		return false;
	queue = try_open(catalog->queue);
	letters = try_open(catalog->dead_letters);
	settled = queue != NULL && letters != NULL && is_settled_in(wait, queue, letters);
	close_if_open(letters);
	close_if_open(queue);
	return settled;
}

/* the row that it waits for stays until somebody does something about it */
static void
warn_of_not_started(Wait *wait)
{
	const char *name = NameStr(wait->waits_for);

	if (strcmp(name, NameStr(wait->looked_at)) == 0)
		return;
	wait->looked_at = wait->waits_for;
	if (braze_started_table_has(name) || braze_paused_table_has(name, BRAZE_WHOLE_DESTINATION))
		return;
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("calls wait for destination \"%s\", which is not started here", name),
			 errhint("If this is the database to deliver from, run SELECT braze_start(%s).",
					 quote_literal_cstr(name))));
}

static int64
timeout_ms(const Interval *timeout)
{
	double		microseconds;

	microseconds = timeout->time +
		((double) timeout->month * DAYS_PER_MONTH + timeout->day) * USECS_PER_DAY;

	/* an interval beyond a century is as good as for ever */
	microseconds = Max(0.0, Min(microseconds, 36525.0 * USECS_PER_DAY));
	return (int64) (microseconds / 1000);
}

BRAZE_SQL_FUNCTION(braze_flush);
Datum
braze_flush(PG_FUNCTION_ARGS)
{
	int64		deadline = braze_now_ms();
	Wait		wait = {.id = PG_INT64_MIN};
	bool		settled;

	/* never an error, so that it can stand anywhere: null is a look, no wait */
	if (!PG_ARGISNULL(0))
		deadline += timeout_ms(PG_GETARG_INTERVAL_P(0));

	/* calls that came by COPY or a plain INSERT woke nobody */
	braze_worker_wake();
	wait.destination = PG_ARGISNULL(1) ? NULL : PG_GETARG_NAME(1);
	while (!(settled = is_settled(&wait)))
	{
		int64		left = deadline - braze_now_ms();

		warn_of_not_started(&wait);
		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, LOOK_INTERVAL_MS),
						 braze_wait_event(BRAZE_WAIT_FLUSH));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (wait.began != NULL)
		UnregisterSnapshot(wait.began);
	PG_RETURN_BOOL(settled);
}
