/*-------------------------------------------------------------------------
 *
 * profile_row.c
 *	  The row of braze_profiles that tells of one user.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table_write.h"
#include "queue/column_values.h"
#include "store/fetch_row.h"
#include "store/find_rows.h"
#include "store/profile_row.h"

/* stands behind what is remembered of attributes */
#define PERIOD_SIZE		sizeof(uint64)

static const char *const locked_table = BRAZE_LOCKED_TABLE("braze_profiles");

bool
braze_profile_row_try_read(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	if (braze_table_write_try_read(catalog->profiles, catalog->profiles_pkey))
		return true;
	braze_table_write_locked = locked_table;
	return false;
}

static SysScanDesc
scan_row(Relation rel, Oid pkey, const BrazeProfileRow *row, Snapshot snapshot)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], BRAZE_PROFILE_DESTINATION, BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(NameStr(row->destination)));
	ScanKeyInit(&keys[1], BRAZE_PROFILE_USER, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(row->user));
	return systable_beginscan(rel, pkey, true, snapshot, 2, keys);
}

/* attributes of another period are not known, see attribute_period.h */
static bool
read_known(const BrazeProfileRow *row, bytea * known, BrazeProfile *profile)
{
	Size		size = VARSIZE_ANY_EXHDR(known);
	uint64		period;

	if (row->period == 0 || size < PERIOD_SIZE)
		return true;
	size -= PERIOD_SIZE;
	memcpy(&period, VARDATA_ANY(known) + size, PERIOD_SIZE);
	return pg_ntoh64(period) != row->period || braze_profile_cache_read(profile, VARDATA_ANY(known), size);
}

static bytea *
attributes_as_bytes(const BrazeProfileRow *row, const BrazeProfile *profile)
{
	Size		size = braze_profile_cache_size(profile);
	bytea	   *known = palloc(VARHDRSZ + size + PERIOD_SIZE);
	uint64		period = pg_hton64(row->period);

	SET_VARSIZE(known, VARHDRSZ + size + PERIOD_SIZE);
	braze_profile_cache_write(profile, VARDATA(known));
	memcpy(VARDATA(known) + size, &period, PERIOD_SIZE);
	return known;
}

static void
read_row(Relation rel, HeapTuple tuple, const BrazeProfileRow *row, BrazeProfile *profile)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum		value;
	bool		isnull;
	bool		fine = true;

	profile->sent = DatumGetBool(heap_getattr(tuple, BRAZE_PROFILE_SENT, desc, &isnull));
	profile->has_alias = DatumGetBool(heap_getattr(tuple, BRAZE_PROFILE_HAS_ALIAS, desc, &isnull));
	value = heap_getattr(tuple, BRAZE_PROFILE_OWNER, desc, &isnull);
	if (!isnull)
	{
		/* as the pack has it, which is Braze's UTF-8 */
		char	   *owner = TextDatumGetCString(value);
		char	   *key = pg_server_to_any(owner, strlen(owner), PG_UTF8);

		/* setting it makes the profile dirty, but that is what the row says */
		fine = braze_profile_cache_set_owner(profile, key, strlen(key));
		profile->dirty = false;
	}
	value = heap_getattr(tuple, BRAZE_PROFILE_ATTRIBUTES, desc, &isnull);
	if (!isnull)
		fine = fine && read_known(row, DatumGetByteaPP(value), profile);
	if (!fine)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

void
braze_profile_row_load(BrazeProfileRow *row, BrazeProfile *profile)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel = braze_catalog_open(catalog->profiles, AccessShareLock);
	SysScanDesc scan = scan_row(rel, catalog->profiles_pkey, row, NULL);
	HeapTuple	tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
	{
		read_row(rel, tuple, row, profile);
		row->has_row = true;
		row->storage = rel->rd_rel->relfilenode;
		row->tid = tuple->t_self;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

typedef struct GivenTo
{
	const char *destination;
	const char *owner;
	List	   *users;
	int			max;
} GivenTo;

static bool
look_at_row(TupleTableSlot *slot, Snapshot snapshot, void *arg)
{
	GivenTo    *given = arg;
	NameData	destination;

	slot_getallattrs(slot);
	if (slot->tts_isnull[BRAZE_PROFILE_OWNER - 1])
		return true;
	braze_column_values_destination(slot->tts_values[BRAZE_PROFILE_DESTINATION - 1], &destination);
	if (strcmp(NameStr(destination), given->destination) == 0 &&
		strcmp(TextDatumGetCString(slot->tts_values[BRAZE_PROFILE_OWNER - 1]), given->owner) == 0)
		given->users = lappend(given->users, TextDatumGetCString(slot->tts_values[BRAZE_PROFILE_USER - 1]));
	return list_length(given->users) < given->max;
}

List	   *
braze_profile_row_given_to(const char *destination, const char *owner, int max)
{
	GivenTo		given = {destination, owner, NIL, max};
	BrazeRowSearch search = {BRAZE_PROFILE_OWNER, F_TEXTEQ, CStringGetTextDatum(owner), 0, NULL, look_at_row, &given};
	Relation	rel = table_open(braze_catalog_required()->profiles, AccessShareLock);

	braze_find_rows(rel, &search);
	table_close(rel, AccessShareLock);
	return given.users;
}

static bool
is_empty(const BrazeProfile *profile)
{
	return !profile->sent && !profile->has_alias && profile->owner == NULL &&
		profile->nhashes == 0;
}

/* writes the row; old is where the one before is, NULL if there is none */
static void
put_row(Relation rel, BrazeProfileRow *row, const BrazeProfile *profile,
		bool without_attributes, ItemPointer old)
{
	Datum		values[BRAZE_PROFILE_COLUMNS];
	bool		nulls[BRAZE_PROFILE_COLUMNS] = {false};
	bytea	   *known;

	values[BRAZE_PROFILE_DESTINATION - 1] = CStringGetTextDatum(NameStr(row->destination));
	values[BRAZE_PROFILE_USER - 1] = CStringGetTextDatum(row->user);
	values[BRAZE_PROFILE_SENT - 1] = BoolGetDatum(profile->sent);
	values[BRAZE_PROFILE_HAS_ALIAS - 1] = BoolGetDatum(profile->has_alias);
	if (profile->owner != NULL)
		values[BRAZE_PROFILE_OWNER - 1] =
			CStringGetTextDatum(pg_any_to_server(profile->owner, profile->owner_length, PG_UTF8));
	else
		nulls[BRAZE_PROFILE_OWNER - 1] = true;
	known = attributes_as_bytes(row, profile);
	values[BRAZE_PROFILE_ATTRIBUTES - 1] = PointerGetDatum(known);
	nulls[BRAZE_PROFILE_ATTRIBUTES - 1] = (profile->nhashes == 0 || row->period == 0 || without_attributes);
	values[BRAZE_PROFILE_CHANGED_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (old != NULL)
		braze_table_write_update(rel, old, BRAZE_PROFILE_COLUMNS, values, nulls, &row->new_tid);
	else
		braze_table_write_insert(rel, BRAZE_PROFILE_COLUMNS, values, nulls, &row->new_tid);
	pfree(known);
}

/* is the row still where it was?  VACUUM FULL moves it, a user may delete it */
static bool
row_is_there(Relation rel, const BrazeProfileRow *row, TupleTableSlot *slot)
{
	bool		there;
	bool		isnull;
	char	   *user;
	NameData	destination;

	if (!row->has_row ||
		!braze_fetch_row_at(rel, row->storage, RelationGetNumberOfBlocks(rel),
							&row->tid, slot))
		return false;
	user = TextDatumGetCString(slot_getattr(slot, BRAZE_PROFILE_USER, &isnull));
	braze_column_values_destination(slot_getattr(slot, BRAZE_PROFILE_DESTINATION, &isnull), &destination);
	there = (strcmp(user, row->user) == 0 &&
			 strcmp(NameStr(destination), NameStr(row->destination)) == 0);
	pfree(user);
	return there;
}

/*
 * Finds the row by its key; *tid is invalid if there is none.  One that
 * somebody has inserted and not committed counts: to insert it here would wait
 * for them.
 */
static void
find_by_key(Relation rel, Oid pkey, const BrazeProfileRow *row, ItemPointerData *tid)
{
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple	tuple;

	InitDirtySnapshot(dirty);
	scan = scan_row(rel, pkey, row, &dirty);
	tuple = systable_getnext(scan);
	ItemPointerSetInvalid(tid);
	if (HeapTupleIsValid(tuple))
		*tid = tuple->t_self;
	systable_endscan(scan);
}

/*
 * Locks the row if there is one.  False: somebody else has locked it, or it is
 * not committed, or was changed since.
 */
static bool
lock_row(Relation rel, Oid pkey, BrazeProfileRow *row, LockTupleMode mode)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TM_FailureData failure;
	bool		locked = true;

	/* the hint first; the index knows where it is now, if it is anywhere */
	if (row_is_there(rel, row, slot))
		row->locked_tid = row->tid;
	else
		find_by_key(rel, pkey, row, &row->locked_tid);
	if (ItemPointerIsValid(&row->locked_tid))
	{
		ItemPointerData tid = row->locked_tid;

		locked = table_tuple_lock(rel, &tid, GetActiveSnapshot(), slot, GetCurrentCommandId(true),
								  mode, LockWaitSkip, 0, &failure) == TM_Ok;
	}
	ExecDropSingleTupleTableSlot(slot);
	if (!locked)
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_profiles");
	return locked;
}

bool
braze_profile_row_lock(BrazeProfileRow *row, const BrazeProfile *profile)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Relation	rel;
	bool		locked;

	if (!braze_table_write_try_lock_indexes(catalog->profiles))
	{
		braze_table_write_locked = locked_table;
		return false;
	}
	rel = table_open(catalog->profiles, NoLock);
	locked = lock_row(rel, catalog->profiles_pkey, row,
					  is_empty(profile) ? LockTupleExclusive : LockTupleNoKeyExclusive);
	table_close(rel, NoLock);
	return locked;
}

void
braze_profile_row_write(BrazeProfileRow *row, const BrazeProfile *profile, bool without_attributes)
{
	Relation	rel = table_open(braze_catalog_required()->profiles, NoLock);
	ItemPointer old = ItemPointerIsValid(&row->locked_tid) ? &row->locked_tid : NULL;

	ItemPointerSetInvalid(&row->new_tid);
	row->new_storage = rel->rd_rel->relfilenode;
	if (!is_empty(profile))
		put_row(rel, row, profile, without_attributes, old);
	else if (old != NULL)
		braze_table_write_delete_locked(rel, old);
	table_close(rel, NoLock);
}

void
braze_profile_row_committed(BrazeProfileRow *row)
{
	row->has_row = ItemPointerIsValid(&row->new_tid);
	row->storage = row->new_storage;
	row->tid = row->new_tid;
}
