/*-------------------------------------------------------------------------
 *
 * activity_table.c
 *	  Writing what was added up: braze_activity_sums and braze_activity_users.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/table_write.h"
#include "store/activity_table.h"

bool
braze_activity_table_is_plain(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	return braze_table_write_is_plain(catalog->activity_sums, BRAZE_ACTIVITY_SUMS_COLUMNS) &&
		braze_table_write_is_plain(catalog->activity_users, BRAZE_ACTIVITY_USERS_COLUMNS);
}

/* an id is drawn from the sequence, so that one counts as well */
static bool
try_lock_with_sequence(Oid table, Oid sequence)
{
	return braze_table_write_try_lock_indexes(table) &&
		braze_catalog_try_lock(sequence, RowExclusiveLock);
}

bool
braze_activity_table_begin(BrazeActivityTables *tables)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	if (!try_lock_with_sequence(catalog->activity_sums, catalog->activity_sums_sequence) ||
		!try_lock_with_sequence(catalog->activity_users, catalog->activity_users_sequence))
		return false;
	tables->sums = table_open(catalog->activity_sums, NoLock);
	tables->users = table_open(catalog->activity_users, NoLock);
	return true;
}

void
braze_activity_table_end(BrazeActivityTables *tables)
{
	table_close(tables->users, NoLock);
	table_close(tables->sums, NoLock);
}

/* ----- values ----- */

/* what JSON has behind a backslash */
static int
unescape_char(const char **p)
{
	char		digits[5] = {0};

	switch (**p)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		case 'u':
			/* the mapping writes control characters so, and nothing else */
			memcpy(digits, *p + 1, 4);
			*p += 4;
			return (int) strtol(digits, NULL, 16) & 0x7F;
		default:
			return **p;
	}
}

static Datum
name_datum(const BrazeTallyRow *row)
{
	char	   *text = palloc(row->name_length + 1);
	char	   *to = text;
	const char *end = row->name + row->name_length;

	for (const char *p = row->name; p < end; p++)
	{
		if (*p == '\\')
		{
			p++;
			*to++ = unescape_char(&p);
		}
		else
			*to++ = *p;
	}
	*to = '\0';
	return CStringGetTextDatum(pg_any_to_server(text, to - text, PG_UTF8));
}

/* units and millionths may differ in their sign */
static Datum
revenue_datum(const BrazeTallyRow *row)
{
	Numeric		units = int64_to_numeric(row->revenue);
	Numeric		rest = DatumGetNumeric(DirectFunctionCall2(numeric_div,
														   NumericGetDatum(int64_to_numeric(row->revenue_millionths)),
														   NumericGetDatum(int64_to_numeric(BRAZE_TALLY_MILLION))));

	return DirectFunctionCall1(numeric_trim_scale,
							   DirectFunctionCall2(numeric_add, NumericGetDatum(units),
												   NumericGetDatum(rest)));
}

static void
insert_part(Relation rel, Oid sequence, int columns, Datum *values, bool *nulls)
{
	ItemPointerData tid;

	values[0] = Int64GetDatum(nextval_internal(sequence, false));
	nulls[0] = false;
	braze_table_write_insert(rel, columns, values, nulls, &tid);
}

/*
 * the columns that both tables begin with:
 * number, destination, time, kind, name
 */
static void
set_first_columns(Datum *values, bool *nulls, const char *destination, const BrazeTallyRow *row)
{
	values[BRAZE_ACTIVITY_DESTINATION - 1] = CStringGetTextDatum(destination);
	values[BRAZE_ACTIVITY_KIND - 1] = CStringGetTextDatum(braze_tally_kinds[row->kind]);
	nulls[BRAZE_ACTIVITY_NAME - 1] = (row->name_length == BRAZE_TALLY_OTHERS);
	if (row->name_length >= 0)
		values[BRAZE_ACTIVITY_NAME - 1] = name_datum(row);
}

static void
write_sums(Relation rel, const char *destination, const BrazeTallyRow *row)
{
	Datum		values[BRAZE_ACTIVITY_SUMS_COLUMNS] = {0};
	bool		nulls[BRAZE_ACTIVITY_SUMS_COLUMNS] = {false};
	bool		is_purchase = (row->kind == BRAZE_TALLY_PURCHASES);

	set_first_columns(values, nulls, destination, row);
	values[BRAZE_ACTIVITY_TIME - 1] = TimestampTzGetDatum(row->hour);
	nulls[BRAZE_ACTIVITY_CURRENCY - 1] = (row->currency[0] == '\0');
	if (row->currency[0] != '\0')
		values[BRAZE_ACTIVITY_CURRENCY - 1] = CStringGetTextDatum(row->currency);
	values[BRAZE_ACTIVITY_CALLS - 1] = Int64GetDatum(row->calls);
	values[BRAZE_ACTIVITY_OBJECTS - 1] = Int64GetDatum(row->objects);
	nulls[BRAZE_ACTIVITY_QUANTITY - 1] = nulls[BRAZE_ACTIVITY_REVENUE - 1] = !is_purchase;
	if (is_purchase)
	{
		values[BRAZE_ACTIVITY_QUANTITY - 1] = Int64GetDatum(row->quantity);
		values[BRAZE_ACTIVITY_REVENUE - 1] = revenue_datum(row);
	}
	values[BRAZE_ACTIVITY_REQUESTS - 1] = Int64GetDatum(row->requests);
	values[BRAZE_ACTIVITY_DATA_POINTS - 1] = Int64GetDatum(row->data_points);
	values[BRAZE_ACTIVITY_DATA_POINTS_SAVED - 1] = Int64GetDatum(row->data_points_saved);
	values[BRAZE_ACTIVITY_FIRST_TIME - 1] = TimestampTzGetDatum(row->first_time);
	values[BRAZE_ACTIVITY_LAST_TIME - 1] = TimestampTzGetDatum(row->last_time);
	insert_part(rel, braze_catalog_required()->activity_sums_sequence,
				BRAZE_ACTIVITY_SUMS_COLUMNS, values, nulls);
}

static void
write_users(Relation rel, const char *destination, const BrazeTallyRow *row)
{
	Datum		values[BRAZE_ACTIVITY_USERS_COLUMNS] = {0};
	bool		nulls[BRAZE_ACTIVITY_USERS_COLUMNS] = {false};
	bytea	   *sketch = palloc(VARHDRSZ + BRAZE_SKETCH_SIZE);

	set_first_columns(values, nulls, destination, row);
	values[BRAZE_ACTIVITY_TIME - 1] = DateADTGetDatum((DateADT) (row->hour / USECS_PER_DAY));
	SET_VARSIZE(sketch, VARHDRSZ + braze_sketch_write_raised(row->users, VARDATA(sketch)));
	values[BRAZE_ACTIVITY_SKETCH - 1] = PointerGetDatum(sketch);
	insert_part(rel, braze_catalog_required()->activity_users_sequence,
				BRAZE_ACTIVITY_USERS_COLUMNS, values, nulls);
}

void
braze_activity_table_write(const BrazeActivityTables *tables, const char *destination,
						   BrazeTally *tally, int64 deadline)
{
	BrazeTallyRow *row = NULL;

	braze_tally_begin_save(tally);
	while (braze_now_ms() < deadline && (row = braze_tally_next_unsaved(tally, row)) != NULL)
	{
		write_sums(tables->sums, destination, row);
		if (row->users != NULL && row->users->nraised > 0)
			write_users(tables->users, destination, row);
		row->written = true;
	}
}
