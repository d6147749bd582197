/*-------------------------------------------------------------------------
 *
 * table_write.c
 *	  The extension's tables, whatever others do to these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/statement.h"
#include "base/table_write.h"

const char *braze_table_write_locked = "somebody has locked something";
uint64		braze_table_write_unread = 0;

bool
braze_table_write_try_lock(Oid table, LOCKMODE mode)
{
	if (!braze_catalog_try_lock(table, mode))
		return false;
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

bool
braze_table_write_try_lock_indexes(Oid table)
{
	Relation	rel;
	ListCell   *cell;
	bool		locked = true;

	if (!braze_catalog_try_lock(table, RowExclusiveLock))
		return false;
	rel = table_open(table, NoLock);
	foreach(cell, RelationGetIndexList(rel))
		locked = locked && ConditionalLockRelationOid(lfirst_oid(cell), RowExclusiveLock);
	table_close(rel, NoLock);
	return locked;
}

bool
braze_table_write_try_read(Oid table, Oid pkey)
{
	/* REINDEX locks the index alone against readers */
	if (braze_catalog_try_lock(table, AccessShareLock) &&
		braze_catalog_try_lock(pkey, AccessShareLock))
		return true;
	braze_table_write_unread++;
	return false;
}

/* ----- writing ----- */

/* what we write satisfies them: a drawn id is positive, a server has a name */
static const char *const own_checks[] = {
	"braze_queue_id_check",
	"braze_queue_destination_check",
	"braze_queue_call_kind_check",
	"braze_dead_letters_destination_check",
	"braze_dead_letters_call_kind_check",
	"braze_dead_letters_state_check",
	"braze_paused_destination_check",
	"braze_messages_destination_check",
	"braze_profiles_destination_check",
	"braze_activity_sums_destination_check",
	"braze_activity_users_destination_check",
};

static bool
is_own_check(const char *name)
{
	for (int i = 0; i < lengthof(own_checks); i++)
	{
		if (strcmp(name, own_checks[i]) == 0)
			return true;
	}
	return false;
}

static bool
has_own_checks_only(Relation rel)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;

	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (!is_own_check(constraints->check[i].ccname))
			return false;
	}
	return true;
}

/*
 * Can the table be written as the catalogs are?  A value for each column is
 * assumed to be here then, and nothing but indexes to take part.
 */
static bool
is_plain(Relation rel, CmdType operation, int columns)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = columns; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			return false;
	}
	return !braze_statement_is_needed(rel, operation) && has_own_checks_only(rel);
}

/*
 * None whose expressions would have to be computed.  One that somebody builds
 * with CONCURRENTLY is not ready yet, and takes no rows.
 */
static bool
are_plain(CatalogIndexState indexes)
{
	for (int i = 0; i < indexes->ri_NumIndices; i++)
	{
		IndexInfo  *index = indexes->ri_IndexRelationInfo[i];

		if (!index->ii_ReadyForInserts)
			continue;
		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL)
			return false;
	}
	return true;
}

/* as the relation's cache entry says: no index is opened to find that out */
static bool
has_only_primary_key(Relation rel)
{
	return rel->rd_indexvalid && list_length(rel->rd_indexlist) == 1 &&
		linitial_oid(rel->rd_indexlist) == rel->rd_pkindex;
}

bool
braze_table_write_is_plain(Oid table, int columns)
{
	Relation	rel;
	bool		plain;

	/*
	 * The worker waits for nobody's lock; whoever has it may be adding a
	 * trigger.  The lock is that of a write: REINDEX lets others read, but
	 * its index is opened below.
	 */
	if (!braze_table_write_try_lock_indexes(table))
		return false;
	rel = table_open(table, NoLock);
	plain = is_plain(rel, CMD_INSERT, columns) &&
		!braze_statement_is_needed(rel, CMD_UPDATE) &&
		!braze_statement_is_needed(rel, CMD_DELETE);
	if (plain && !has_only_primary_key(rel))
	{
		CatalogIndexState indexes = CatalogOpenIndexes(rel);

		plain = are_plain(indexes);
		CatalogCloseIndexes(indexes);
	}
	table_close(rel, RowExclusiveLock);
	return plain;
}

static HeapTuple
form_tuple(Relation rel, int columns, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *all_values;
	bool	   *all_nulls;

	if (desc->natts == columns)
		return heap_form_tuple(desc, values, nulls);

	/* columns that were added and dropped again still have their places */
	all_values = palloc0(sizeof(Datum) * desc->natts);
	all_nulls = palloc(sizeof(bool) * desc->natts);
	memset(all_nulls, true, sizeof(bool) * desc->natts);
	memcpy(all_values, values, sizeof(Datum) * columns);
	memcpy(all_nulls, nulls, sizeof(bool) * columns);
	return heap_form_tuple(desc, all_values, all_nulls);
}

static void
insert_key(Relation rel, Relation index, TupleTableSlot *slot)
{
	Datum		key[INDEX_MAX_KEYS];
	bool		key_nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
		key[i] = slot_getattr(slot, index->rd_index->indkey.values[i], &key_nulls[i]);
	braze_index_insert(index, key, key_nulls, &slot->tts_tid, rel);
}

/* what queueing a call comes to: opening all indexes is what this spares it */
static void
insert_with_primary_key(Relation rel, int columns, Datum *values, bool *nulls,
						ItemPointer tid)
{
	HeapTuple	tuple = form_tuple(rel, columns, values, nulls);
	Relation	index = index_open(rel->rd_pkindex, RowExclusiveLock);
	Datum		key[INDEX_MAX_KEYS];
	bool		key_nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	attribute = index->rd_index->indkey.values[i];

		key[i] = values[attribute - 1];
		key_nulls[i] = nulls[attribute - 1];
	}
	simple_heap_insert(rel, tuple);
	braze_index_insert(index, key, key_nulls, &tuple->t_self, rel);
	index_close(index, NoLock);
	*tid = tuple->t_self;
	heap_freetuple(tuple);
}

bool
braze_table_write_takes_many(Relation rel, int columns)
{
	return is_plain(rel, CMD_INSERT, columns) && has_only_primary_key(rel) &&
		RelationGetDescr(rel)->natts == columns;
}

/*
 * By position, and by the names of now, since a column may have been renamed.
 * Those that were added get their defaults, or keep their values when the row
 * at *old is updated.
 */
static void
write_by_statement(Relation rel, ItemPointer old, int columns, const Datum *values,
				   const bool *nulls)
{
	BrazeStatement statement = {rel, old != NULL ? CMD_UPDATE : CMD_INSERT};
	StringInfoData text;
	char	   *table = braze_statement_table(rel);
	Oid		   *types = palloc(sizeof(Oid) * (columns + 1));
	Datum	   *arguments = palloc(sizeof(Datum) * (columns + 1));
	char	   *null_marks = palloc(columns + 2);

	initStringInfo(&text);
	if (old != NULL)
		appendStringInfo(&text, "UPDATE %s SET ", table);
	else
		appendStringInfo(&text, "INSERT INTO %s OVERRIDING SYSTEM VALUE VALUES (", table);

	/*
	 * The text depends on the table alone, so that its plan is kept for all
	 * rows: each value is a parameter, also one that is null.
	 */
	for (int i = 0; i < columns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		if (i > 0)
			appendStringInfoString(&text, ", ");
		if (old != NULL)
			appendStringInfo(&text, "%s = ", quote_identifier(NameStr(attribute->attname)));

		/* what the table computes it computes from what a trigger has left */
		if (attribute->attgenerated != '\0')
			appendStringInfoString(&text, "DEFAULT");
		else
			appendStringInfo(&text, "$%d", i + 1);
		types[i] = attribute->atttypid;
		arguments[i] = values[i];
		null_marks[i] = nulls[i] ? 'n' : ' ';
	}
	if (old != NULL)
		appendStringInfo(&text, " WHERE ctid OPERATOR(pg_catalog.=) $%d", columns + 1);
	else
		appendStringInfoChar(&text, ')');
	types[columns] = TIDOID;
	arguments[columns] = PointerGetDatum(old);
	null_marks[columns] = ' ';
	null_marks[columns + 1] = '\0';
	statement.text = text.data;
	statement.nargs = old != NULL ? columns + 1 : columns;
	statement.types = types;
	statement.values = arguments;
	statement.nulls = null_marks;
	braze_statement_write_row(&statement);
}

static void
delete_by_statement(Relation rel, ItemPointer tid)
{
	static const Oid type = TIDOID;
	Datum		value = PointerGetDatum(tid);
	BrazeStatement statement = {rel, CMD_DELETE};

	statement.text = psprintf("DELETE FROM %s WHERE ctid OPERATOR(pg_catalog.=) $1",
							  braze_statement_table(rel));
	statement.nargs = 1;
	statement.types = &type;
	statement.values = &value;
	braze_statement_write_row(&statement);
}

/* false when the executor has to do it; old: NULL to insert a row */
static bool
write_directly(Relation rel, ItemPointer old, int columns, Datum *values, bool *nulls,
			   ItemPointer tid)
{
	CatalogIndexState indexes;
	bool		plain;

	if (!is_plain(rel, old != NULL ? CMD_UPDATE : CMD_INSERT, columns))
		return false;

	/* the usual case of an insert is the one that has to be fast */
	if (old == NULL && has_only_primary_key(rel))
	{
		insert_with_primary_key(rel, columns, values, nulls, tid);
		return true;
	}
	indexes = CatalogOpenIndexes(rel);
	plain = are_plain(indexes);
	if (plain)
	{
		HeapTuple	tuple = form_tuple(rel, columns, values, nulls);

		if (old != NULL)
			CatalogTupleUpdateWithInfo(rel, old, tuple, indexes);
		else
			CatalogTupleInsertWithInfo(rel, tuple, indexes);
		*tid = tuple->t_self;
		heap_freetuple(tuple);
	}
	CatalogCloseIndexes(indexes);
	return plain;
}

/*
 * an error where the executor would have to do it: the rows are counted already
 */
static void
insert_each(Relation rel, TupleTableSlot **slots, int count, int *at)
{
	for (*at = 0; *at < count; (*at)++)
	{
		TupleTableSlot *slot = slots[*at];

		slot_getallattrs(slot);
		if (!write_directly(rel, NULL, slot->tts_tupleDescriptor->natts, slot->tts_values,
							slot->tts_isnull, &slot->tts_tid))
		{
			*at = -1;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table \"%s\" was altered while a query wrote rows to it",
							RelationGetRelationName(rel))));
		}
	}
	*at = -1;
}

void
braze_table_write_insert_many(Relation rel, TupleTableSlot **slots, int count,
							  CommandId command, int *at)
{
	Relation	index;

	/*
	 * Since the rows began to be collected others may have begun to build an
	 * index with CONCURRENTLY, which our lock allows.  All else only the
	 * transaction itself can have altered.
	 */
	if (!rel->rd_indexvalid)
		list_free(RelationGetIndexList(rel));
	if (!braze_table_write_takes_many(rel, slots[0]->tts_tupleDescriptor->natts))
	{
		insert_each(rel, slots, count, at);
		return;
	}
	index = index_open(rel->rd_pkindex, RowExclusiveLock);
	heap_multi_insert(rel, slots, count, command, 0, NULL);
	for (*at = 0; *at < count; (*at)++)
		insert_key(rel, index, slots[*at]);
	*at = -1;
	index_close(index, NoLock);
}

static void
write_row(Relation rel, ItemPointer old, int columns, Datum *values, bool *nulls,
		  ItemPointer tid)
{
	ItemPointerSetInvalid(tid);
	if (!write_directly(rel, old, columns, values, nulls, tid))
		write_by_statement(rel, old, columns, values, nulls);
}

void
braze_table_write_insert(Relation rel, int columns, Datum *values, bool *nulls,
						 ItemPointer tid)
{
	write_row(rel, NULL, columns, values, nulls, tid);
}

void
braze_table_write_update(Relation rel, ItemPointer old, int columns, Datum *values,
						 bool *nulls, ItemPointer tid)
{
	write_row(rel, old, columns, values, nulls, tid);
}

void
braze_table_write_delete_locked(Relation rel, ItemPointer tid)
{
	if (braze_statement_is_needed(rel, CMD_DELETE))
		delete_by_statement(rel, tid);
	else
		CatalogTupleDelete(rel, tid);
}

TM_Result
braze_table_write_delete(Relation rel, ItemPointer tid, Snapshot snapshot)
{
	TM_FailureData failure;
	TM_Result	result;
	TupleTableSlot *slot;

	if (!braze_statement_is_needed(rel, CMD_DELETE))
		return braze_tuple_delete(rel, tid, snapshot, &failure);

	/* a statement would wait for who holds the row */
	slot = table_slot_create(rel, NULL);
	result = table_tuple_lock(rel, tid, snapshot, slot, GetCurrentCommandId(true),
							  LockTupleExclusive, LockWaitSkip, 0, &failure);
	ExecDropSingleTupleTableSlot(slot);
	if (result == TM_Ok)
		delete_by_statement(rel, tid);
	return result;
}
