/*-------------------------------------------------------------------------
 *
 * backfill.c
 *	  braze_backfill: the rows that are there, through a trigger's arguments.
 *
 * A part is a transaction: it reads the next keys, locks their rows, queues the
 * calls of those it has locked, and notes how far it has come.  Rows that
 * others have locked follow, each in a transaction of its own; so do all, if
 * one has to wait for a messageId.  The next part begins when this one has left
 * the queue.
 *
 * What makes the last value of a row have the last id: while its row is locked,
 * nobody changes it, and whoever does so afterwards draws a later id, in the
 * trigger.  For users that holds as far as a user is one row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "base/statement.h"
#include "destination/destination.h"
#include "feed/backfills_table.h"
#include "feed/parts.h"
#include "feed/table_walk.h"
#include "functions/create_trigger.h"
#include "functions/trigger.h"
#include "functions/trigger_condition.h"
#include "functions/trigger_plan.h"
#include "queue/enqueue.h"
#include "queue/queue_table.h"
#include "queue/queued_in_transaction.h"

/* one CALL; its memory outlives the transactions */
typedef struct BackfillRun
{
	MemoryContext context;
	MemoryContext part_context; /* emptied when a part begins */
	Oid			table;
	Oid			trigger_id;
	int			rows_per_part;
	const char *destination;
	BrazeBackfill *backfill;
	BrazeParts *parts;
	bool		is_last_part;	/* no row follows those of the last part */
	int64	   *ids;			/* of the calls that were queued since they
								 * were noted in parts */
	int			nids;
	int			size;

	/* within one transaction */
	Relation	rel;
	const Trigger *trigger;
	const BrazeTriggerPlan *plan;
	BrazeTriggerCondition *condition;
	BrazeWalkKey *key;
} BackfillRun;

/* ----- what can be backfilled ----- */

static void
check_isolation(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("braze_backfill needs the isolation level READ COMMITTED"),
				 errdetail("At any other level, a row that was changed meanwhile raises an error."),
				 errhint("Run SET default_transaction_isolation = 'read committed'.")));
}

static void
check_table(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				 errhint("The rows of a view or of a foreign table cannot be locked here: a query of braze_create_sync may read them.")));
}

/* those that the statements need; PostgreSQL would not say for what */
static void
check_rights(Relation rel)
{
	Oid			table = RelationGetRelid(rel);

	if (pg_class_aclcheck(table, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_SELECT, ACLMASK_ALL) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rel));
	if (pg_class_aclcheck(table, GetUserId(), ACL_UPDATE) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(table, GetUserId(), ACL_UPDATE, ACLMASK_ANY) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", RelationGetRelationName(rel)),
				 errdetail("braze_backfill locks the rows that it reads, by SELECT ... FOR SHARE, which needs the right to UPDATE."),
				 errhint("Call it as the table's owner, or grant UPDATE on one column, which is enough.")));
}

static const char *
next_trigger(void *state)
{
	const Trigger **next = state;

	return (*next)->tgname != NULL ? (*next)++->tgname : NULL;
}

/* by name, the first time, or by OID; in the current memory context */
static const Trigger *
find_trigger_of(Relation rel, const char *name, Oid oid)
{
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	int			count = triggers != NULL ? triggers->numtriggers : 0;
	Trigger    *list = palloc0(sizeof(Trigger) * (count + 1));
	const Trigger *next = list;
	const char *closest;

	for (int i = 0; i < count; i++)
	{
		list[i] = triggers->triggers[i];
		if (name != NULL ? strcmp(list[i].tgname, name) == 0 : list[i].tgoid == oid)
			return &list[i];
	}
	closest = name != NULL ? braze_closest_name(name, next_trigger, &next) : NULL;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 name != NULL ?
			 errmsg("trigger \"%s\" for table \"%s\" does not exist", name, RelationGetRelationName(rel)) :
			 errmsg("the trigger of table \"%s\" was dropped", RelationGetRelationName(rel)),
			 closest != NULL ? errhint("Perhaps you meant \"%s\".", closest) : 0));
}

static void
check_trigger(const Trigger *trigger, Relation rel)
{
	if (!braze_create_trigger_is_ours(trigger->tgfoid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("trigger \"%s\" on table \"%s\" does not execute braze_trigger",
						trigger->tgname, RelationGetRelationName(rel))));
	if (trigger->tgenabled == TRIGGER_DISABLED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger \"%s\" on table \"%s\" is disabled",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("What is changed while a backfill runs is queued by the trigger, or not at all."),
				 errhint("Run ALTER TABLE %s ENABLE TRIGGER %s first.",
						 quote_identifier(RelationGetRelationName(rel)), quote_identifier(trigger->tgname))));
	if (!TRIGGER_FOR_INSERT(trigger->tgtype) && !TRIGGER_FOR_UPDATE(trigger->tgtype))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("trigger \"%s\" on table \"%s\" is fired by neither INSERT nor UPDATE",
						trigger->tgname, RelationGetRelationName(rel)),
				 errdetail("A backfill queues rows that exist, and this trigger is only for rows that are deleted.")));
}

/* does one row at most have each value of the column, at any time? */
static bool
is_unique_column(Relation rel, int index)
{
	ListCell   *cell;
	bool		unique = false;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	rel_index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = rel_index->rd_index;

		/* one that is deferrable is checked when the order is decided */
		if (form->indisunique && form->indimmediate && form->indisvalid && form->indnkeyatts == 1 &&
			form->indkey.values[0] == index + 1 &&
			heap_attisnull(rel_index->rd_indextuple, Anum_pg_index_indpred, NULL))
			unique = true;
		index_close(rel_index, AccessShareLock);
	}
	return unique;
}

/*
 * Of two rows of a user, an application may change either while the other is
 * backfilled: nothing says then which value is the last.  Where user_id may be
 * null, anonymous_id says whose row it is.
 */
static void
check_one_row_of_user(const BrazeTriggerPlan *plan, const Trigger *trigger, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		has_user = false;

	if (strcmp(plan->type, "identify") != 0)
		return;
	for (int pass = 0; pass < 2; pass++)
	{
		for (int i = 0; i < plan->nfields && !has_user; i++)
		{
			const BrazeColumn *field = &plan->fields[i];
			Form_pg_attribute column = TupleDescAttr(desc, field->index);

			if (strcmp(field->key, pass == 0 ? "userId" : "anonymousId") != 0)
				continue;
			has_user = column->attnotnull;
			if (is_unique_column(rel, field->index))
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" of table \"%s\", by which trigger \"%s\" finds the user, has no unique index",
							NameStr(column->attname), RelationGetRelationName(rel), trigger->tgname),
					 errdetail("If a user has several rows, nothing says which of their values is the latest."),
					 errhint("Create a unique index on that column.  If a user has several rows, use braze_create_sync instead, "
							 "with a query that has one row for each: SELECT DISTINCT ON (%s) ...",
							 quote_identifier(NameStr(column->attname)))));
		}
	}
}

/* ----- one transaction ----- */

static void
begin_transaction(BackfillRun *run)
{
	check_isolation();

	/*
	 * The lock comes before the snapshot: to one from before, a table that
	 * was rewritten is empty.
	 */
	run->rel = try_relation_open(run->table, RowShareLock);
	if (run->rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the table was dropped during its backfill")));
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* the trigger, as it is now: somebody may have changed it, or the table */
static void
take_trigger(BackfillRun *run, const char *name)
{
	check_table(run->rel);
	run->trigger = find_trigger_of(run->rel, name, run->trigger_id);
	check_trigger(run->trigger, run->rel);
	run->plan = braze_trigger_plan(run->trigger, run->rel);
	check_one_row_of_user(run->plan, run->trigger, run->rel);
	run->key = braze_walk_key_find(run->rel);
	run->condition = braze_trigger_condition_begin(run->trigger, run->rel);
}

static void
end_transaction(BackfillRun *run)
{
	braze_trigger_condition_end(run->condition);
	table_close(run->rel, NoLock);
	PopActiveSnapshot();
	SPI_commit();
}

static bool
is_same_key(const BackfillRun *run)
{
	if (run->backfill->ncolumns != run->key->ncolumns)
		return false;
	for (int i = 0; i < run->key->ncolumns; i++)
	{
		if (strcmp(run->backfill->key[i], run->key->names[i]) != 0)
			return false;
	}
	return true;
}

static void
check_same_key(const BackfillRun *run)
{
	if (!is_same_key(run))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" does not have the same key as when its backfill began",
						RelationGetRelationName(run->rel)),
				 errhint("Call braze_backfill with restart => true.")));
}

/* a row that is locked until the transaction ends */
static void
queue_walked_row(HeapTuple tuple, void *arg)
{
	BackfillRun *run = arg;
	int64		id;

	if (!braze_trigger_condition_holds(run->condition, tuple))
		return;
	id = braze_trigger_queue_row(run->plan, run->trigger, RelationGetDescr(run->rel), tuple);

	/* a dead letter, or a duplicate, has no id in the queue */
	if (id <= 0)
		return;
	if (run->nids == run->size)
	{
		run->size = Max(run->size * 2, 1000);
		run->ids = run->ids == NULL ?
			MemoryContextAlloc(run->context, sizeof(int64) * run->size) :
			repalloc_huge(run->ids, sizeof(int64) * run->size);
	}
	run->ids[run->nids++] = id;
}

/* before the commit: what was queued, in the row of the backfill */
static void
count_queued(BackfillRun *run, int before)
{
	BrazeBackfill *backfill = run->backfill;

	if (braze_queued_in_transaction(run->destination)->dropped > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the queue of destination \"%s\" is full", run->destination),
				 errdetail("on_full says to drop calls, which would leave rows out of the backfill."),
				 errhint("Call braze_backfill again once there is room, or with fewer rows_per_part.")));
	backfill->queued += run->nids - before;
	if (run->nids > before)
	{
		if (before == 0)
			backfill->lowest_id = run->ids[0];
		backfill->highest_id = run->ids[run->nids - 1];
	}
}

static BrazeKeyText
copy_key(BackfillRun *run, BrazeKeyText text)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	BrazeKeyText copy = palloc(sizeof(char *) * run->key->ncolumns);

	for (int i = 0; i < run->key->ncolumns; i++)
		copy[i] = pstrdup(text[i]);
	MemoryContextSwitchTo(old);
	return copy;
}

static bool
is_equal_key(const BackfillRun *run, BrazeKeyText a, BrazeKeyText b)
{
	for (int i = 0; i < run->key->ncolumns; i++)
	{
		if (strcmp(a[i], b[i]) != 0)
			return false;
	}
	return true;
}

/*
 * Queues the next rows of the table, in one transaction with the note of how
 * far the backfill has come.  Rows that are locked are left to
 * queue_skipped_row().
 */
static void
queue_part(BackfillRun *run)
{
	BrazeBackfill *backfill = run->backfill;
	BrazeKeyList next;

	MemoryContextReset(run->part_context);
	MemoryContextSwitchTo(run->part_context);
	run->nids = 0;
	begin_transaction(run);
	take_trigger(run, NULL);
	check_same_key(run);
	next = braze_table_walk_next(run->rel, run->key, backfill->after, backfill->up_to,
								 run->rows_per_part);
	run->is_last_part = next.count < run->rows_per_part ||
		is_equal_key(run, next.keys[next.count - 1], backfill->up_to);
	memset(&backfill->skipped, 0, sizeof(backfill->skipped));
	backfill->skipped_done = 0;
	if (next.count > 0)
	{
		/* before any row is locked, so that it is not waited for later */
		braze_queue_table_lock();
		if (!braze_table_walk_lock(run->rel, run->key, backfill->after,
								   next.keys[next.count - 1], &next,
								   queue_walked_row, run, &backfill->skipped))
		{
			/* a messageId of another transaction: then one by one */
			backfill->skipped = next;
			run->nids = 0;
		}
		backfill->after = copy_key(run, next.keys[next.count - 1]);
		count_queued(run, 0);
	}
	backfill->finished = run->is_last_part && backfill->skipped.count == 0;
	braze_backfills_table_write_part(backfill);
	end_transaction(run);
}

/*
 * the next of the rows that were skipped,
 * in a transaction that holds nothing else
 */
static void
queue_skipped_row(BackfillRun *run)
{
	BrazeBackfill *backfill = run->backfill;
	MemoryContext context = AllocSetContextCreate(run->context, "segment_braze skipped row",
												  ALLOCSET_DEFAULT_SIZES);
	int			before = run->nids;

	MemoryContextSwitchTo(context);
	begin_transaction(run);
	take_trigger(run, NULL);
	check_same_key(run);
	if (braze_table_walk_lock_one(run->rel, run->key, backfill->skipped.keys[backfill->skipped_done],
								  queue_walked_row, run))
	{
		count_queued(run, before);
		backfill->skipped_done++;
		backfill->finished = run->is_last_part && backfill->skipped_done == backfill->skipped.count;
		braze_backfills_table_write_skipped(backfill);
	}
	else
		run->nids = before;
	end_transaction(run);
	MemoryContextSwitchTo(run->context);
	MemoryContextDelete(context);
}

/* ----- all of it ----- */

static BrazeBackfill *
new_backfill(BackfillRun *run, BrazeKeyText last)
{
	BrazeBackfill *backfill = palloc0(sizeof(BrazeBackfill));

	backfill->trigger = run->trigger_id;
	backfill->ncolumns = run->key->ncolumns;
	backfill->key = run->key->names;
	backfill->up_to = last;
	return backfill;
}

/*
 * Where to begin; false: there is no row.  In the memory of the call.
 */
static bool
begin_backfill(BackfillRun *run, const char *trigger_name, bool restart)
{
	BrazeBackfill *backfill;
	BrazeKeyText last;
	const char *table;

	MemoryContextSwitchTo(run->context);
	begin_transaction(run);
	check_table(run->rel);
	check_rights(run->rel);
	take_trigger(run, trigger_name);
	run->trigger_id = run->trigger->tgoid;
	run->destination = pstrdup(NameStr(braze_destination_for(run->plan->destination, GetUserId())->name));
	table = braze_statement_table(run->rel);
	if (!braze_backfills_table_lock(run->trigger_id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session backfills through trigger \"%s\" on table \"%s\"",
						trigger_name, RelationGetRelationName(run->rel))));
	backfill = restart ? NULL : braze_backfills_table_read(run->trigger_id);
	if (backfill != NULL && !backfill->finished)
	{
		run->backfill = backfill;
		check_same_key(run);
		ereport(NOTICE,
				(errmsg("the backfill of table %s goes on after %lld calls", table,
						(long long) backfill->queued)));
	}
	else
	{
		/*
		 * Rows with higher keys come later, and are the trigger's.  Without
		 * this bound, a table that grows would be walked for ever.
		 */
		last = braze_table_walk_last(run->rel, run->key);
		backfill = last != NULL ? new_backfill(run, last) : NULL;
	}
	if (backfill != NULL)
	{
		bool		is_new = (backfill != run->backfill);

		backfill->table = table;
		backfill->trigger_name = trigger_name;
		run->backfill = backfill;
		if (is_new)
			braze_backfills_table_begin(backfill);
	}
	end_transaction(run);
	return backfill != NULL;
}

static void
run_backfill(BackfillRun *run)
{
	BrazeBackfill *backfill = run->backfill;

	/* a call that was cancelled has left a part in the queue */
	if (backfill->lowest_id > 0)
	{
		int64		ids[2] = {backfill->lowest_id, backfill->highest_id};

		braze_parts_note(run->parts, ids, lengthof(ids));
	}
	for (;;)
	{
		while (backfill->skipped_done < backfill->skipped.count)
			queue_skipped_row(run);
		braze_parts_note(run->parts, run->ids, run->nids);
		if (backfill->finished)
			break;
		braze_parts_wait(run->parts, run->destination, NOTICE);
		queue_part(run);
	}
}

BRAZE_SQL_FUNCTION(braze_backfill);
Datum
braze_backfill(PG_FUNCTION_ARGS)
{
	BackfillRun run = {0};
	char	   *trigger_name;
	bool		restart;

	for (int i = 0; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("arguments of braze_backfill must not be null")));
	}
	braze_parts_check_procedure(fcinfo->context, "braze_backfill");
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	run.context = CurrentMemoryContext;
	run.part_context = AllocSetContextCreate(run.context, "segment_braze part", ALLOCSET_DEFAULT_SIZES);
	run.parts = braze_parts_create();
	run.table = PG_GETARG_OID(0);
	trigger_name = pstrdup(NameStr(*PG_GETARG_NAME(1)));
	run.rows_per_part = PG_GETARG_INT32(2);
	restart = PG_GETARG_BOOL(3);
	braze_parts_check_rows(run.rows_per_part);
	if (begin_backfill(&run, trigger_name, restart))
		run_backfill(&run);
	ereport(NOTICE,
			(errmsg("the backfill through trigger \"%s\" is complete: it has queued %lld calls",
					trigger_name, (long long) (run.backfill != NULL ? run.backfill->queued : 0))));
	braze_backfills_table_unlock(run.trigger_id);
	SPI_finish();
	PG_RETURN_VOID();
}
