/*-------------------------------------------------------------------------
 *
 * table.c
 *	  The extension's tables, whatever others do to these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "table.h"

bool
braze_table_try_lock(Oid table, LOCKMODE mode)
{
	if (!ConditionalLockRelationOid(table, mode))
		return false;
	PopActiveSnapshot();
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

/* ----- writing ----- */

/* the CHECK of braze_queue, that an id is positive, which a drawn id is */
#define OWN_CHECKS		1

/* ours only tell the worker, which whoever writes here does or is */
static bool
has_own_triggers_only(Relation rel)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const char *name = rel->trigdesc->triggers[i].tgname;

		if (strcmp(name, "braze_notify_queued") != 0 &&
			strcmp(name, "braze_notify_replicated") != 0 &&
			strcmp(name, "braze_notify_deleted") != 0 &&
			strcmp(name, "braze_notify_paused") != 0)
			return false;
	}
	return true;
}

/*
 * Can the table be written as the catalogs are?  A value for each column is
 * assumed to be here then, and nothing but indexes to take part.
 */
static bool
is_plain(Relation rel, int columns)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = columns; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			return false;
	}
	return has_own_triggers_only(rel) &&
		!rel->rd_rel->relhasrules &&
		(desc->constr == NULL || desc->constr->num_check <= OWN_CHECKS);
}

/* indexes whose expressions would have to be computed */
static bool
are_plain(CatalogIndexState indexes)
{
	for (int i = 0; i < indexes->ri_NumIndices; i++)
	{
		IndexInfo  *index = indexes->ri_IndexRelationInfo[i];

		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL)
			return false;
	}
	return true;
}

static bool
has_only_primary_key(Relation rel)
{
	return rel->rd_indexvalid && list_length(rel->rd_indexlist) == 1 &&
		linitial_oid(rel->rd_indexlist) == rel->rd_pkindex;
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

void
braze_become_owner(Relation rel, BrazeCaller *caller)
{
	caller->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(rel->rd_rel->relowner,
						   caller->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
}

void
braze_become_caller(const BrazeCaller *caller)
{
	AtEOXact_GUC(false, caller->guc_level);
	SetUserIdAndSecContext(caller->user, caller->context);
}

static void
execute(Relation rel, const char *statement, int nargs, Oid *types, Datum *values,
		const char *null_marks)
{
	BrazeCaller caller;
	int			result;

	braze_become_owner(rel, &caller);
	SPI_connect();
	result = SPI_execute_with_args(statement, nargs, types, values, null_marks, false, 0);
	if (result < 0)
		elog(ERROR, "could not write to table \"%s\": %s", RelationGetRelationName(rel),
			 SPI_result_code_string(result));
	SPI_finish();
	braze_become_caller(&caller);
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
	StringInfoData statement;
	char	   *table;
	Oid		   *types = palloc(sizeof(Oid) * (columns + 1));
	Datum	   *arguments = palloc(sizeof(Datum) * (columns + 1));
	char	   *null_marks = palloc(columns + 2);

	initStringInfo(&statement);
	table = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									   RelationGetRelationName(rel));
	if (old != NULL)
		appendStringInfo(&statement, "UPDATE %s SET ", table);
	else
		appendStringInfo(&statement, "INSERT INTO %s OVERRIDING SYSTEM VALUE VALUES (", table);
	for (int i = 0; i < columns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		if (i > 0)
			appendStringInfoString(&statement, ", ");
		if (old != NULL)
			appendStringInfo(&statement, "%s = ",
							 quote_identifier(NameStr(attribute->attname)));
		appendStringInfo(&statement, "$%d", i + 1);
		types[i] = attribute->atttypid;
		arguments[i] = values[i];
		null_marks[i] = nulls[i] ? 'n' : ' ';
	}
	if (old != NULL)
		appendStringInfo(&statement, " WHERE ctid OPERATOR(pg_catalog.=) $%d", columns + 1);
	else
		appendStringInfoChar(&statement, ')');
	types[columns] = TIDOID;
	arguments[columns] = PointerGetDatum(old);
	null_marks[columns] = ' ';
	null_marks[columns + 1] = '\0';
	execute(rel, statement.data, old != NULL ? columns + 1 : columns, types, arguments,
			null_marks);
}

/* false when the executor has to do it; old: NULL to insert a row */
static bool
write_directly(Relation rel, ItemPointer old, int columns, Datum *values, bool *nulls,
			   ItemPointer tid)
{
	CatalogIndexState indexes;
	bool		plain;

	if (!is_plain(rel, columns))
		return false;
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

static void
write_row(Relation rel, ItemPointer old, int columns, Datum *values, bool *nulls,
		  ItemPointer tid)
{
	ItemPointerSetInvalid(tid);
	if (!write_directly(rel, old, columns, values, nulls, tid))
		write_by_statement(rel, old, columns, values, nulls);
}

void
braze_table_insert(Relation rel, int columns, Datum *values, bool *nulls,
				   ItemPointer tid)
{
	write_row(rel, NULL, columns, values, nulls, tid);
}

void
braze_table_update(Relation rel, ItemPointer old, int columns, Datum *values,
				   bool *nulls, ItemPointer tid)
{
	write_row(rel, old, columns, values, nulls, tid);
}
