/*-------------------------------------------------------------------------
 *
 * table_walk.c
 *	  Reading a table in parts, in the order of a key, and locking its rows.
 *
 * A row is locked FOR SHARE before its values are used, and stays locked until
 * the transaction ends: whoever changes it has committed before, and is seen,
 * or has to wait.  The statement that locks computes nothing else.  A select
 * list is computed below the node that locks, so a function in it would be
 * called with the row as it was before.
 *
 * Nobody who has locked a row is waited for while others are locked, and what
 * else the rows of a part may wait for is not waited for long.  So the
 * application cannot be the victim of a deadlock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "base/statement.h"
#include "feed/table_walk.h"

/* rows that are fetched at a time: what is large in them is not read yet */
#define FETCHED_ROWS	100

/* values of two keys, as parameters of a statement */
typedef struct WalkParameters
{
	int			count;
	Oid			types[2 * BRAZE_WALK_KEY_COLUMNS];
	Datum		values[2 * BRAZE_WALK_KEY_COLUMNS];
} WalkParameters;

static void
add_parameters(WalkParameters *parameters, const BrazeWalkKey *key, BrazeKeyText text)
{
	for (int i = 0; text != NULL && i < key->ncolumns; i++)
	{
		parameters->types[parameters->count] = key->types[i];
		parameters->values[parameters->count++] = braze_walk_key_value(key, i, text[i]);
	}
}

/*
 * Without the tables that inherit from it, since its trigger does not fire for
 * these; partitions are the table itself.
 */
static void
append_table(StringInfo sql, Relation rel)
{
	appendStringInfo(sql, " FROM %s%s t", rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 braze_statement_table(rel));
}

static void
append_range(StringInfo sql, WalkParameters *parameters, const BrazeWalkKey *key,
			 BrazeKeyText after, BrazeKeyText up_to)
{
	appendStringInfoString(sql, " WHERE ");
	if (after != NULL)
	{
		braze_walk_key_append_comparison(sql, key, key->greater, parameters->count + 1);
		add_parameters(parameters, key, after);
		appendStringInfoString(sql, " AND ");
	}
	braze_walk_key_append_comparison(sql, key, key->less_or_equal, parameters->count + 1);
	add_parameters(parameters, key, up_to);
	appendStringInfoString(sql, " ORDER BY ");
	braze_walk_key_append_columns(sql, key);
}

/* columns: where in the tuple those of the key are */
static BrazeKeyText
key_text(HeapTuple tuple, TupleDesc desc, const int *columns, int ncolumns)
{
	BrazeKeyText text = palloc(sizeof(char *) * ncolumns);

	for (int i = 0; i < ncolumns; i++)
		text[i] = SPI_getvalue(tuple, desc, columns[i]);
	return text;
}

/*
 * Reads keys; the result is in the caller's memory context.  Not read_only:
 * then SPI takes its snapshot once the plan has locked the partitions.  To one
 * from before, a partition that was rewritten is empty.
 */
static BrazeKeyList
read_keys(const BrazeWalkKey *key, const char *sql, WalkParameters *parameters, long limit)
{
	MemoryContext context = CurrentMemoryContext;
	BrazeKeyList list = {0};
	int			columns[BRAZE_WALK_KEY_COLUMNS];

	for (int i = 0; i < key->ncolumns; i++)
		columns[i] = i + 1;
	SPI_connect();
	if (SPI_execute_with_args(sql, parameters->count, parameters->types, parameters->values,
							  NULL, false, limit) != SPI_OK_SELECT)
		elog(ERROR, "could not read keys");
	MemoryContextSwitchTo(context);
	list.keys = palloc_extended(sizeof(BrazeKeyText) * Max(SPI_processed, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < SPI_processed; i++)
		list.keys[list.count++] = key_text(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
										   columns, key->ncolumns);
	SPI_finish();
	return list;
}

static void
begin_keys(StringInfo sql, Relation rel, const BrazeWalkKey *key)
{
	initStringInfo(sql);
	appendStringInfoString(sql, "SELECT ");
	braze_walk_key_append_columns(sql, key);
	append_table(sql, rel);
}

BrazeKeyText
braze_table_walk_last(Relation rel, const BrazeWalkKey *key)
{
	WalkParameters none = {0};
	StringInfoData sql;
	BrazeKeyList last;
	int			level = braze_walk_key_begin();

	begin_keys(&sql, rel, key);
	appendStringInfoString(&sql, " ORDER BY ");
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(&sql, "%st.%s DESC", i > 0 ? ", " : "", quote_identifier(key->names[i]));
	appendStringInfoString(&sql, " LIMIT 1");
	last = read_keys(key, sql.data, &none, 1);
	braze_walk_key_end(level);
	return last.count > 0 ? last.keys[0] : NULL;
}

BrazeKeyList
braze_table_walk_next(Relation rel, const BrazeWalkKey *key, BrazeKeyText after,
					  BrazeKeyText up_to, int limit)
{
	WalkParameters parameters = {0};
	StringInfoData sql;
	BrazeKeyList next;
	int			level = braze_walk_key_begin();

	begin_keys(&sql, rel, key);
	append_range(&sql, &parameters, key, after, up_to);
	appendStringInfo(&sql, " LIMIT %d", limit);
	next = read_keys(key, sql.data, &parameters, limit);
	braze_walk_key_end(level);
	return next;
}

/* ----- rows that are locked ----- */

/* a statement that locks, and what became of its rows */
typedef struct LockingWalk
{
	Relation	rel;
	const BrazeWalkKey *key;
	int			ncolumns;		/* those of the table that are there */
	AttrNumber	columns[MaxHeapAttributeNumber];	/* their numbers in it */
	int			key_columns[BRAZE_WALK_KEY_COLUMNS];	/* of the statement's
														 * rows */
	BrazeWalkedRow walked;
	void	   *arg;
	MemoryContext row_context;
	BrazeKeyList came;
	int			size;			/* of its array */
} LockingWalk;

static LockingWalk *
begin_locking(Relation rel, const BrazeWalkKey *key, BrazeWalkedRow walked, void *arg)
{
	TupleDesc	desc = RelationGetDescr(rel);
	LockingWalk *walk = palloc0(sizeof(LockingWalk));

	walk->rel = rel;
	walk->key = key;
	walk->walked = walked;
	walk->arg = arg;
	walk->row_context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze walked row",
											  ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		walk->columns[walk->ncolumns++] = i + 1;
		for (int k = 0; k < key->ncolumns; k++)
		{
			if (key->columns[k] == i + 1)
				walk->key_columns[k] = walk->ncolumns;
		}
	}
	return walk;
}

/*
 * by column: a row as a whole would have all that is stored elsewhere fetched
 */
static void
append_locked_columns(StringInfo sql, const LockingWalk *walk)
{
	appendStringInfoString(sql, "SELECT ");
	for (int i = 0; i < walk->ncolumns; i++)
		appendStringInfo(sql, "%st.%s", i > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(walk->rel),
																walk->columns[i] - 1)->attname)));
	append_table(sql, walk->rel);
}

static void
note_key(LockingWalk *walk, HeapTuple tuple, TupleDesc desc)
{
	if (walk->came.count == walk->size)
	{
		walk->size = Max(walk->size * 2, 1000);
		walk->came.keys = walk->came.keys == NULL ?
			palloc_extended(sizeof(BrazeKeyText) * walk->size, MCXT_ALLOC_HUGE) :
			repalloc_huge(walk->came.keys, sizeof(BrazeKeyText) * walk->size);
	}
	walk->came.keys[walk->came.count++] = key_text(tuple, desc, walk->key_columns,
												   walk->key->ncolumns);
}

/* a row of the table again; columns that were dropped are null */
static HeapTuple
table_tuple(const LockingWalk *walk, HeapTuple tuple, TupleDesc desc)
{
	int			natts = RelationGetDescr(walk->rel)->natts;
	Datum	   *from = palloc(sizeof(Datum) * walk->ncolumns);
	bool	   *from_nulls = palloc(sizeof(bool) * walk->ncolumns);
	Datum	   *values = palloc0(sizeof(Datum) * natts);
	bool	   *nulls = palloc(sizeof(bool) * natts);

	heap_deform_tuple(tuple, desc, from, from_nulls);
	memset(nulls, true, sizeof(bool) * natts);
	for (int i = 0; i < walk->ncolumns; i++)
	{
		values[walk->columns[i] - 1] = from[i];
		nulls[walk->columns[i] - 1] = from_nulls[i];
	}
	return heap_form_tuple(RelationGetDescr(walk->rel), values, nulls);
}

/*
 * The statement has the settings of a walk, but what is made of a row has those
 * of the session, as in its trigger.
 */
static void
run_locking(LockingWalk *walk, const char *sql, WalkParameters *parameters)
{
	MemoryContext context = CurrentMemoryContext;
	Portal		portal;
	int			level;

	SPI_connect();
	level = braze_walk_key_begin();
	portal = SPI_cursor_open_with_args(NULL, sql, parameters->count, parameters->types,
									   parameters->values, NULL, false, CURSOR_OPT_NO_SCROLL);
	for (;;)
	{
		SPITupleTable *rows;
		uint64		count;

		SPI_cursor_fetch(portal, true, FETCHED_ROWS);
		rows = SPI_tuptable;
		count = SPI_processed;
		MemoryContextSwitchTo(context);
		for (uint64 i = 0; i < count; i++)
			note_key(walk, rows->vals[i], rows->tupdesc);
		braze_walk_key_end(level);

		MemoryContextSwitchTo(walk->row_context);
		for (uint64 i = 0; i < count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			walk->walked(table_tuple(walk, rows->vals[i], rows->tupdesc), walk->arg);
			MemoryContextReset(walk->row_context);
		}
		MemoryContextSwitchTo(context);
		SPI_freetuptable(rows);
		level = braze_walk_key_begin();
		if (count == 0)
			break;
	}
	SPI_cursor_close(portal);
	braze_walk_key_end(level);
	SPI_finish();
}

static int
compare_keys(const void *a, const void *b, void *arg)
{
	const BrazeWalkKey *key = arg;
	BrazeKeyText left = *(const BrazeKeyText *) a;
	BrazeKeyText right = *(const BrazeKeyText *) b;
	int			order = 0;

	for (int i = 0; order == 0 && i < key->ncolumns; i++)
		order = strcmp(left[i], right[i]);
	return order;
}

/*
 * The table is locked meanwhile, and whoever has locked the row may wait for
 * that, to alter it.  Half of deadlock_timeout is over before PostgreSQL looks
 * for a victim, which would be either of the two.
 */
static void
limit_wait(void)
{
	char		limit[32];

	snprintf(limit, sizeof(limit), "%dms", Max(DeadlockTimeout / 2, 1));
	(void) set_config_option("lock_timeout", limit, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * false: something was waited for that did not come in time.  Then nothing is
 * locked, and what was done with the rows is undone.
 */
static bool
try_locking(LockingWalk *walk, const char *sql, WalkParameters *parameters)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool locked = true;
	int			level = NewGUCNestLevel();

	limit_wait();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run_locking(walk, sql, parameters);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		/* the user's own lock_timeout of a moment counts as well */
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		locked = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	AtEOXact_GUC(false, level);
	return locked;
}

/*
 * By the text of the keys, as they are in the rows that came.  A key that was
 * changed to another of the same meaning counts as missing, and is looked for
 * again.
 */
static BrazeKeyList
missing_keys(const BrazeKeyList *expected, BrazeKeyList *came, const BrazeWalkKey *key)
{
	BrazeKeyList missing = {0};

	missing.keys = palloc_extended(sizeof(BrazeKeyText) * Max(expected->count, 1), MCXT_ALLOC_HUGE);
	if (came->count > 0)
		qsort_arg(came->keys, came->count, sizeof(BrazeKeyText), compare_keys,
				  unconstify(BrazeWalkKey *, key));
	for (int i = 0; i < expected->count; i++)
	{
		if (came->count == 0 ||
			bsearch_arg(&expected->keys[i], came->keys, came->count, sizeof(BrazeKeyText),
						compare_keys, unconstify(BrazeWalkKey *, key)) == NULL)
			missing.keys[missing.count++] = expected->keys[i];
	}
	return missing;
}

bool
braze_table_walk_lock(Relation rel, const BrazeWalkKey *key, BrazeKeyText after,
					  BrazeKeyText up_to, const BrazeKeyList *expected,
					  BrazeWalkedRow walked, void *arg, BrazeKeyList *missing)
{
	LockingWalk *walk = begin_locking(rel, key, walked, arg);
	WalkParameters parameters = {0};
	StringInfoData sql;
	int			level = braze_walk_key_begin();

	initStringInfo(&sql);
	append_locked_columns(&sql, walk);
	append_range(&sql, &parameters, key, after, up_to);

	/*
	 * SKIP LOCKED does not say which rows it leaves out, so the keys are
	 * compared below
	 */
	appendStringInfoString(&sql, " FOR SHARE OF t SKIP LOCKED");
	braze_walk_key_end(level);
	if (!try_locking(walk, sql.data, &parameters))
		return false;
	*missing = missing_keys(expected, &walk->came, key);
	return true;
}

bool
braze_table_walk_lock_one(Relation rel, const BrazeWalkKey *key, BrazeKeyText which,
						  BrazeWalkedRow walked, void *arg)
{
	LockingWalk *walk = begin_locking(rel, key, walked, arg);
	WalkParameters parameters = {0};
	StringInfoData sql;
	int			level = braze_walk_key_begin();

	initStringInfo(&sql);
	append_locked_columns(&sql, walk);
	appendStringInfoString(&sql, " WHERE ");
	braze_walk_key_append_comparison(&sql, key, key->equal, 1);
	add_parameters(&parameters, key, which);

	/*
	 * this one waits for who has locked the row, as long as limit_wait() says
	 */
	appendStringInfoString(&sql, " FOR SHARE OF t");
	braze_walk_key_end(level);
	return try_locking(walk, sql.data, &parameters);
}
