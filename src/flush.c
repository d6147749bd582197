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
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "compat.h"
#include "wait_event.h"
#include "wake.h"

/* how long a look is followed by none */
#define LOOK_INTERVAL_MS	5

/*
 * Was the row there when the wait began?  What this transaction itself has
 * queued is not committed, so it would be waited for in vain.
 */
static bool
is_awaited(Relation queue, TupleTableSlot *slot, Snapshot began, Name destination)
{
	bool		isnull;
	Datum		xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull);

	if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)) ||
		!table_tuple_satisfies_snapshot(queue, slot, began))
		return false;
	if (destination == NULL)
		return true;
	return namestrcmp(DatumGetName(slot_getattr(slot, BRAZE_QUEUE_DESTINATION, &isnull)),
					  NameStr(*destination)) == 0;
}

/* the first row from *id on that is still awaited; false when there is none */
static bool
find_awaited(int64 *id, Snapshot began, Name destination)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	queue = table_open(catalog->queue, AccessShareLock);
	Relation	pkey = index_open(catalog->queue_pkey, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(queue, NULL);
	Snapshot	now = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	IndexScanDesc scan;
	bool		found = false;

	ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(*id));
	scan = braze_index_beginscan(queue, pkey, now, 1);
	index_rescan(scan, &key, 1, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_awaited(queue, slot, began, destination))
		{
			bool		isnull;

			*id = DatumGetInt64(slot_getattr(slot, BRAZE_QUEUE_ID, &isnull));
			found = true;
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(now);
	index_close(pkey, AccessShareLock);
	table_close(queue, AccessShareLock);
	return found;
}

static TimestampTz
deadline_after(const Interval *timeout)
{
	TimestampTz now = GetCurrentTimestamp();
	double		microseconds;

	microseconds = timeout->time +
		((double) timeout->month * DAYS_PER_MONTH + timeout->day) * USECS_PER_DAY;

	/* an interval beyond a century is as good as for ever */
	microseconds = Max(0.0, Min(microseconds, 36525.0 * USECS_PER_DAY));
	return now + (int64) microseconds;
}

PG_FUNCTION_INFO_V1(braze_flush);
Datum
braze_flush(PG_FUNCTION_ARGS)
{
	TimestampTz deadline;
	Name		destination = PG_ARGISNULL(1) ? NULL : PG_GETARG_NAME(1);
	Snapshot	began;
	int64		id = PG_INT64_MIN;
	bool		settled;

	/* never an error, so that it can stand anywhere: null is a look, no wait */
	deadline = PG_ARGISNULL(0) ? GetCurrentTimestamp()
		: deadline_after(PG_GETARG_INTERVAL_P(0));

	/* calls that came by COPY or a plain INSERT woke nobody */
	braze_wake_worker();
	began = RegisterSnapshot(GetLatestSnapshot());
	while (!(settled = !find_awaited(&id, began, destination)))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, LOOK_INTERVAL_MS),
						 braze_wait_event(BRAZE_WAIT_FLUSH));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	UnregisterSnapshot(began);
	PG_RETURN_BOOL(settled);
}
