/*-------------------------------------------------------------------------
 *
 * backfills_table.c
 *	  How far each backfill has come: braze_backfills.
 *
 * The worker knows nothing of this table, so it is not among those without
 * which it would not run (base/catalog.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/statement.h"
#include "feed/backfills_table.h"

/* the columns, in the order of the install script */
enum
{
	COLUMN_TRIGGER = 1,
	COLUMN_TABLE,
	COLUMN_TRIGGER_NAME,
	COLUMN_KEY,
	COLUMN_UP_TO,
	COLUMN_AFTER,
	COLUMN_SKIPPED,
	COLUMN_SKIPPED_DONE,
	COLUMN_QUEUED,
	COLUMN_LOWEST_ID,
	COLUMN_HIGHEST_ID,
	COLUMN_STARTED_AT,
	COLUMN_UPDATED_AT,
	COLUMN_FINISHED_AT
};

/* as a lock on an object of our own: DROP TRIGGER does not wait for it */
static void
set_lock_tag(LOCKTAG *tag, Oid trigger)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, braze_catalog_required()->backfills, trigger, 0);
}

bool
braze_backfills_table_lock(Oid trigger)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, trigger);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
braze_backfills_table_unlock(Oid trigger)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, trigger);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/* ----- text arrays ----- */

static Datum
text_array(BrazeKeyText texts, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* the values of all the keys, one after the other */
static Datum
key_array(const BrazeKeyList *list, int ncolumns)
{
	char	  **texts = palloc_extended(sizeof(char *) * Max((Size) list->count * ncolumns, 1),
										MCXT_ALLOC_HUGE);

	for (int i = 0; i < list->count; i++)
		memcpy(&texts[i * ncolumns], list->keys[i], sizeof(char *) * ncolumns);
	return text_array(texts, list->count * ncolumns);
}

/* NULL: it is null */
static BrazeKeyText
read_texts(HeapTuple tuple, TupleDesc desc, int column, int *count)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);
	Datum	   *elements;
	BrazeKeyText texts;

	*count = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, count);
	texts = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	return texts;
}

static int64
read_int64(HeapTuple tuple, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* ----- reading ----- */

static BrazeBackfill *
backfill_of_row(HeapTuple tuple, TupleDesc desc, Oid trigger)
{
	BrazeBackfill *backfill = palloc0(sizeof(BrazeBackfill));
	BrazeKeyText skipped;
	int			count;
	bool		isnull;

	backfill->trigger = trigger;
	backfill->key = read_texts(tuple, desc, COLUMN_KEY, &backfill->ncolumns);
	backfill->up_to = read_texts(tuple, desc, COLUMN_UP_TO, &count);
	backfill->after = read_texts(tuple, desc, COLUMN_AFTER, &count);
	skipped = read_texts(tuple, desc, COLUMN_SKIPPED, &count);
	backfill->skipped.count = count / Max(backfill->ncolumns, 1);
	backfill->skipped.keys = palloc(sizeof(BrazeKeyText) * Max(backfill->skipped.count, 1));
	for (int i = 0; i < backfill->skipped.count; i++)
		backfill->skipped.keys[i] = &skipped[i * backfill->ncolumns];
	backfill->skipped_done = (int) read_int64(tuple, desc, COLUMN_SKIPPED_DONE);
	backfill->queued = read_int64(tuple, desc, COLUMN_QUEUED);
	backfill->lowest_id = read_int64(tuple, desc, COLUMN_LOWEST_ID);
	backfill->highest_id = read_int64(tuple, desc, COLUMN_HIGHEST_ID);
	(void) heap_getattr(tuple, COLUMN_FINISHED_AT, desc, &isnull);
	backfill->finished = !isnull;
	return backfill;
}

BrazeBackfill *
braze_backfills_table_read(Oid trigger)
{
	Relation	rel = braze_catalog_open(braze_catalog_required()->backfills, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	BrazeBackfill *backfill = NULL;

	ScanKeyInit(&key, COLUMN_TRIGGER, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(trigger));
	scan = systable_beginscan(rel, braze_catalog_required()->backfills_pkey, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		backfill = backfill_of_row(tuple, RelationGetDescr(rel), trigger);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return backfill;
}

/* ----- writing ----- */

void
braze_backfills_table_begin(const BrazeBackfill *backfill)
{
	static const Oid types[5] = {OIDOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[5];
	Relation	rel = braze_catalog_open(braze_catalog_required()->backfills, RowExclusiveLock);
	BrazeStatement statement = {rel, CMD_DELETE, NULL, 1, types, values};

	values[0] = ObjectIdGetDatum(backfill->trigger);
	values[1] = CStringGetTextDatum(backfill->table);
	values[2] = CStringGetTextDatum(backfill->trigger_name);
	values[3] = text_array(backfill->key, backfill->ncolumns);
	values[4] = text_array(backfill->up_to, backfill->ncolumns);

	/* those of triggers that are gone are of no use to anybody */
	statement.text = psprintf("DELETE FROM %s b WHERE b.trigger = $1 OR NOT EXISTS "
							  "(SELECT FROM pg_trigger t WHERE t.oid = b.trigger)",
							  braze_statement_table(rel));
	(void) braze_statement_run(&statement);
	statement.operation = CMD_INSERT;
	statement.nargs = lengthof(types);
	statement.text = psprintf("INSERT INTO %s (trigger, \"table\", trigger_name, key, up_to) "
							  "VALUES ($1, $2, $3, $4, $5)", braze_statement_table(rel));
	(void) braze_statement_run(&statement);
	table_close(rel, NoLock);
}

/* one row; where somebody has deleted it, the backfill has no place any more */
static void
update_row(BrazeStatement *statement, const BrazeBackfill *backfill)
{
	if (braze_statement_run(statement) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("somebody has deleted the row of trigger \"%s\" in braze_backfills",
						backfill->trigger_name),
				 errhint("Call braze_backfill again, which begins from the first row then.")));
}

void
braze_backfills_table_write_part(const BrazeBackfill *backfill)
{
	static const Oid types[7] = {OIDOID, TEXTARRAYOID, TEXTARRAYOID, INT8OID, INT8OID, INT8OID, BOOLOID};
	Datum		values[7];
	char		nulls[8] = "       ";
	Relation	rel = braze_catalog_open(braze_catalog_required()->backfills, RowExclusiveLock);
	BrazeStatement statement = {rel, CMD_UPDATE, NULL, lengthof(types), types, values, nulls};

	values[0] = ObjectIdGetDatum(backfill->trigger);
	if (backfill->after != NULL)
		values[1] = text_array(backfill->after, backfill->ncolumns);
	else
		nulls[1] = 'n';
	if (backfill->skipped.count > 0)
		values[2] = key_array(&backfill->skipped, backfill->ncolumns);
	else
		nulls[2] = 'n';
	values[3] = Int64GetDatum(backfill->queued);
	values[4] = Int64GetDatum(backfill->lowest_id);
	values[5] = Int64GetDatum(backfill->highest_id);
	values[6] = BoolGetDatum(backfill->finished);
	statement.text = psprintf("UPDATE %s SET after = $2, skipped = $3, skipped_done = 0, queued = $4, "
							  "lowest_id = $5, highest_id = $6, updated_at = now(), "
							  "finished_at = CASE WHEN $7 THEN now() END WHERE trigger = $1",
							  braze_statement_table(rel));
	update_row(&statement, backfill);
	table_close(rel, NoLock);
}

/* without the keys: their array, which may be large, is not written again */
void
braze_backfills_table_write_skipped(const BrazeBackfill *backfill)
{
	static const Oid types[5] = {OIDOID, INT8OID, INT8OID, INT8OID, BOOLOID};
	Datum		values[5];
	Relation	rel = braze_catalog_open(braze_catalog_required()->backfills, RowExclusiveLock);
	BrazeStatement statement = {rel, CMD_UPDATE, NULL, lengthof(types), types, values};

	values[0] = ObjectIdGetDatum(backfill->trigger);
	values[1] = Int64GetDatum(backfill->skipped_done);
	values[2] = Int64GetDatum(backfill->queued);
	values[3] = Int64GetDatum(backfill->highest_id);
	values[4] = BoolGetDatum(backfill->finished);
	statement.text = psprintf("UPDATE %s SET skipped_done = $2, queued = $3, highest_id = $4, "
							  "updated_at = now(), finished_at = CASE WHEN $5 THEN now() END "
							  "WHERE trigger = $1",
							  braze_statement_table(rel));
	update_row(&statement, backfill);
	table_close(rel, NoLock);
}
