/*-------------------------------------------------------------------------
 *
 * find_rows.c
 *	  The rows of a table with some value, by its index if it has one.
 *
 * Without its index a table is read from end to end.  Somebody may have dropped
 * it, and nothing that is looked for here may be overlooked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opfamily.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "store/find_rows.h"

/*
 * The number under which the index's kind has equality; 0: it is of no use.  In
 * the order of another collation a search byte by byte would go astray.
 */
static StrategyNumber
equality_of(Relation index, AttrNumber column)
{
	Oid			collation = index->rd_indcollation[0];

	if (!index->rd_index->indisvalid || index->rd_index->indkey.values[0] != column ||
		(OidIsValid(collation) && collation != C_COLLATION_OID) ||
		RelationGetIndexPredicate(index) != NIL)
		return 0;
	return index->rd_rel->relam == BTREE_AM_OID ? BTEqualStrategyNumber
		: index->rd_rel->relam == HASH_AM_OID ? HTEqualStrategyNumber : 0;
}

/* ours, or one like it; NULL: somebody has dropped it */
static Relation
open_index_on(Relation rel, AttrNumber column, StrategyNumber *equality)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		*equality = equality_of(index, column);
		if (*equality != 0)
			return index;
		index_close(index, AccessShareLock);
	}
	return NULL;
}

/*
 * has it the text column as well?  Then rows with other texts are passed over.
 */
static bool
narrows_by_text(Relation index, AttrNumber column)
{
	return column != 0 && index->rd_rel->relam == BTREE_AM_OID &&
		IndexRelationGetNumberOfKeyAttributes(index) > 1 &&
		index->rd_index->indkey.values[1] == column &&
		index->rd_opfamily[1] == TEXT_BTREE_FAM_OID &&
		index->rd_indcollation[1] == C_COLLATION_OID;
}

static void
look_by_index(Relation rel, Relation index, StrategyNumber equality,
			  const BrazeRowSearch *search, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	int			nkeys = narrows_by_text(index, search->text_column) ? 2 : 1;
	IndexScanDesc scan = braze_index_beginscan(rel, index, snapshot, nkeys);
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, equality, search->equal, search->value);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(search->text));
	index_rescan(scan, keys, nkeys, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot) &&
		   search->look(slot, snapshot, search->arg))
		CHECK_FOR_INTERRUPTS();
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
look_through_all(Relation rel, const BrazeRowSearch *search, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan_strat(rel, snapshot, 0, NULL, true, false);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot) &&
		   search->look(slot, snapshot, search->arg))
		CHECK_FOR_INTERRUPTS();
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

void
braze_find_rows(Relation rel, const BrazeRowSearch *search)
{
	StrategyNumber equality;
	Relation	index = open_index_on(rel, search->column, &equality);
	Snapshot	snapshot;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (index != NULL)
	{
		look_by_index(rel, index, equality, search, snapshot);
		index_close(index, NoLock);
	}
	else
		look_through_all(rel, search, snapshot);
	UnregisterSnapshot(snapshot);
}
