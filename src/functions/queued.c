/*-------------------------------------------------------------------------
 *
 * queued.c
 *	  braze_queued: what this transaction has queued so far.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "functions/srf.h"
#include "queue/queued_ids.h"

/* columns of the queue that are shown, in the order of the install script */
static const AttrNumber shown[] = {
	BRAZE_QUEUE_ID, BRAZE_QUEUE_DESTINATION, BRAZE_QUEUE_CALL, BRAZE_QUEUE_CALL_KIND,
	BRAZE_QUEUE_QUEUED_AT
};

/*
 * Other sessions' rows may stand between those of this transaction, which may
 * have updated them.  So a row that it has updated is not shown: nobody knows
 * any more who had inserted it.
 */
static bool
is_of_transaction(TupleTableSlot *slot)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	bool		result = (tuple->t_data->t_infomask & HEAP_UPDATED) == 0 &&
	TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));

	if (should_free)
		heap_freetuple(tuple);
	return result;
}

static void
put_queued_rows(ReturnSetInfo *result, Relation queue, Relation pkey, const BrazeQueuedIds *ids)
{
	TupleTableSlot *slot = table_slot_create(queue, NULL);
	ScanKeyData keys[2];
	IndexScanDesc scan;

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(ids->first));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(ids->last));

	/* what the statement that asks has queued counts as well */
	scan = braze_index_beginscan(queue, pkey, SnapshotSelf, lengthof(keys));
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		Datum		values[lengthof(shown)];
		bool		nulls[lengthof(shown)];

		CHECK_FOR_INTERRUPTS();
		if (!is_of_transaction(slot))
			continue;
		for (int i = 0; i < lengthof(shown); i++)
			values[i] = slot_getattr(slot, shown[i], &nulls[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Reads the queue without a right on it: a role is shown what was queued with
 * its own rights, or with those of a role that it is a member of.
 */
BRAZE_SQL_FUNCTION(braze_queued);
Datum
braze_queued(PG_FUNCTION_ARGS)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	const BrazeQueuedIds *ids;
	Relation	queue;
	Relation	pkey;
	int			count;

	braze_srf_materialize(fcinfo, lengthof(shown));
	ids = braze_queued_ids(&count);
	if (count == 0)
		return (Datum) 0;
	queue = braze_catalog_open(catalog->queue, AccessShareLock);
	pkey = index_open(catalog->queue_pkey, AccessShareLock);
	for (int i = 0; i < count; i++)
	{
		/* what functions of other roles have queued is not shown */
		if (has_privs_of_role(GetUserId(), ids[i].roleid))
			put_queued_rows((ReturnSetInfo *) fcinfo->resultinfo, queue, pkey, &ids[i]);
	}
	index_close(pkey, AccessShareLock);
	table_close(queue, AccessShareLock);
	return (Datum) 0;
}
