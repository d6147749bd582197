/*-------------------------------------------------------------------------
 *
 * deleted_users.c
 *	  Dead letters of users whom a call has deleted are deleted, too, and what
 *	  syncs know of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/grow.h"
#include "base/statement.h"
#include "queue/call_user.h"
#include "store/claims_bound.h"
#include "store/deleted_users.h"
#include "store/synced_users.h"

typedef struct DeletedUser
{
	int64		hash;
	int			number;			/* in the order of the deletions, from 1 */
	text	   *destination;
	text	   *user;
} DeletedUser;

/*
 * Users who were deleted, in order, and the letters that came into being among
 * them: after so many of these users.
 */
typedef struct BrazeDeletedUsers
{
	DeletedUser *users;
	int			nusers;
	int			size;
	ArrayBuildState *letters;
	ArrayBuildState *after;
} BrazeDeletedUsers;

/* letters of these users that the table has */
typedef struct Found
{
	const BrazeDeletedUsers *deleted;	/* ordered by hash and number */
	ArrayBuildState *ids;
	ArrayBuildState *numbers;	/* of the last deletion of the letter's user */
} Found;

static ArrayBuildState *
append_value(ArrayBuildState *array, Datum value, Oid type, MemoryContext context)
{
	return accumArrayResult(array, value, false, type, context);
}

static Datum
array_of(ArrayBuildState *array, Oid type)
{
	return array == NULL ? PointerGetDatum(construct_empty_array(type)) :
		makeArrayResult(array, CurrentMemoryContext);
}

static void
add_user(BrazeSettler *settler, Datum destination, BrazeString user)
{
	MemoryContext old = MemoryContextSwitchTo(settler->context);
	BrazeDeletedUsers *deleted = settler->deleted_users;
	DeletedUser *added;

	if (deleted == NULL)
	{
		deleted = palloc0(sizeof(BrazeDeletedUsers));
		deleted->size = 64;
		deleted->users = palloc(sizeof(DeletedUser) * deleted->size);
		settler->deleted_users = deleted;
	}
	if (deleted->nusers == deleted->size)
		deleted->users = braze_grow(deleted->users, &deleted->size, sizeof(DeletedUser));
	added = &deleted->users[deleted->nusers++];
	added->hash = braze_call_user_hash(user);
	added->number = deleted->nusers;
	added->destination = DatumGetTextPCopy(destination);
	added->user = cstring_to_text_with_len(user.data, user.length);
	MemoryContextSwitchTo(old);
}

bool
braze_deleted_users_add(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = braze_settler_table_of(settler, row, &id);
	bool		is_letter = (table == &settler->letters);
	int			call = (is_letter ? BRAZE_DEAD_CALL : BRAZE_QUEUE_CALL) - 1;
	int			destination = (is_letter ? BRAZE_DEAD_DESTINATION : BRAZE_QUEUE_DESTINATION) - 1;
	BrazeString user;

	/*
	 * the letters are deleted at the end of the round: too late to say not
	 * now
	 */
	if (table == NULL || !braze_settler_open_letters(settler) || !braze_synced_users_try_lock())
		return false;
	if (braze_settler_fetch(table, id, row) &&
		!table->slot->tts_isnull[call] && !table->slot->tts_isnull[destination] &&
		braze_call_user_read(DatumGetJsonbP(table->slot->tts_values[call]), &user))
		add_user(settler, table->slot->tts_values[destination], user);
	ExecClearTuple(table->slot);
	return true;
}

void
braze_deleted_users_note_letter(BrazeSettler *settler, int64 letter)
{
	BrazeDeletedUsers *deleted = settler->deleted_users;

	if (deleted == NULL)
		return;
	deleted->letters = append_value(deleted->letters, Int64GetDatum(letter), INT8OID,
									settler->context);

	/*
	 * a letter that came after the user's deletion is of a later call, and
	 * stays
	 */
	deleted->after = append_value(deleted->after, Int32GetDatum(deleted->nusers), INT4OID,
								  settler->context);
}

/* ----- finding the letters ----- */

static int
compare_users(const void *a, const void *b)
{
	const DeletedUser *one = a;
	const DeletedUser *other = b;

	if (one->hash != other->hash)
		return one->hash < other->hash ? -1 : 1;
	return one->number - other->number;
}

/* the place of the first user with this hash, or where it would be */
static int
first_of_hash(const BrazeDeletedUsers *deleted, int64 hash)
{
	int			low = 0;
	int			high = deleted->nusers;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (deleted->users[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_text(const text * value, const char *data, int length)
{
	return VARSIZE_ANY_EXHDR(value) == length && memcmp(VARDATA_ANY(value), data, length) == 0;
}

/* the last deletion of the user of this call; 0: none */
static int
number_of_deletion(const BrazeDeletedUsers *deleted, int64 hash, Datum destination, Datum stored)
{
	text	   *server = DatumGetTextPP(destination);
	Jsonb	   *call = DatumGetJsonbP(stored);
	bool		has_user;
	BrazeString user;
	int			number = 0;

	has_user = braze_call_user_read(call, &user);
	for (int i = first_of_hash(deleted, hash);
		 has_user && i < deleted->nusers && deleted->users[i].hash == hash; i++)
	{
		if (is_text(deleted->users[i].destination, VARDATA_ANY(server), VARSIZE_ANY_EXHDR(server)) &&
			is_text(deleted->users[i].user, user.data, user.length))
			number = deleted->users[i].number;
	}

	/* a user may have many letters, and each may be large */
	if ((Pointer) call != DatumGetPointer(stored))
		pfree(call);
	return number;
}

static void
look_at_letter(Found *found, TupleTableSlot *slot)
{
	int64		hash;
	int			place;
	int			number;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	if (slot->tts_isnull[BRAZE_DEAD_USER_HASH - 1] || slot->tts_isnull[BRAZE_DEAD_CALL - 1] ||
		slot->tts_isnull[BRAZE_DEAD_DESTINATION - 1])
		return;

	/* the hash first: the call may be large, and stored elsewhere */
	hash = DatumGetInt64(slot->tts_values[BRAZE_DEAD_USER_HASH - 1]);
	place = first_of_hash(found->deleted, hash);
	if (place == found->deleted->nusers || found->deleted->users[place].hash != hash)
		return;
	number = number_of_deletion(found->deleted, hash, slot->tts_values[BRAZE_DEAD_DESTINATION - 1],
								slot->tts_values[BRAZE_DEAD_CALL - 1]);
	if (number == 0)
		return;
	found->ids = append_value(found->ids, slot->tts_values[BRAZE_DEAD_ID - 1], INT8OID,
							  CurrentMemoryContext);
	found->numbers = append_value(found->numbers, Int32GetDatum(number), INT4OID,
								  CurrentMemoryContext);
}

/* ours, or one like it; NULL: somebody has dropped it */
static Relation
open_user_index(Relation letters)
{
	List	   *indexes = RelationGetIndexList(letters);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == BRAZE_DEAD_USER_HASH &&
			RelationGetIndexPredicate(index) == NIL)
			return index;
		index_close(index, AccessShareLock);
	}
	return NULL;
}

static void
look_by_index(Found *found, Relation letters, Relation index, Snapshot snapshot)
{
	const BrazeDeletedUsers *deleted = found->deleted;
	TupleTableSlot *slot = table_slot_create(letters, NULL);
	IndexScanDesc scan = braze_index_beginscan(letters, index, snapshot, 1);

	for (int i = 0; i < deleted->nusers; i++)
	{
		ScanKeyData key;

		if (i > 0 && deleted->users[i].hash == deleted->users[i - 1].hash)
			continue;
		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(deleted->users[i].hash));
		index_rescan(scan, &key, 1, NULL, 0);
		while (index_getnext_slot(scan, ForwardScanDirection, slot))
			look_at_letter(found, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
look_through_all(Found *found, Relation letters, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(letters, NULL);
	TableScanDesc scan = table_beginscan_strat(letters, snapshot, 0, NULL, true, false);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		look_at_letter(found, slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
find_letters(Found *found, Relation letters)
{
	Relation	index = open_user_index(letters);
	Snapshot	snapshot;

	/* also what this round has written */
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (index != NULL)
	{
		look_by_index(found, letters, index, snapshot);
		index_close(index, NoLock);
	}
	else
		look_through_all(found, letters, snapshot);
	UnregisterSnapshot(snapshot);
}

static void
delete_synced(const BrazeDeletedUsers *deleted)
{
	ArrayBuildState *destinations = NULL;
	ArrayBuildState *users = NULL;

	for (int i = 0; i < deleted->nusers; i++)
	{
		destinations = append_value(destinations, PointerGetDatum(deleted->users[i].destination),
									TEXTOID, CurrentMemoryContext);
		users = append_value(users, PointerGetDatum(deleted->users[i].user), TEXTOID,
							 CurrentMemoryContext);
	}
	if (users != NULL)
		braze_synced_users_delete(array_of(destinations, TEXTOID), array_of(users, TEXTOID));
}

/*
 * What is under way of such a user was queued after the deletion, which waited
 * for all before it.
 */
void
braze_deleted_users_delete_letters(BrazeSettler *settler)
{
	static const Oid types[5] = {INT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8OID};
	BrazeDeletedUsers *deleted = settler->deleted_users;
	Relation	letters = settler->letters.rel;
	Found		found = {deleted};
	Datum		values[5];
	BrazeStatement statement = {letters, CMD_DELETE, NULL, lengthof(types), types, values};

	if (deleted == NULL)
		return;
	settler->deleted_users = NULL;
	delete_synced(deleted);
	qsort(deleted->users, deleted->nusers, sizeof(DeletedUser), compare_users);
	find_letters(&found, letters);
	if (found.ids == NULL)
		return;
	values[0] = array_of(found.ids, INT8OID);
	values[1] = array_of(found.numbers, INT4OID);
	values[2] = array_of(deleted->letters, INT8OID);
	values[3] = array_of(deleted->after, INT4OID);
	values[4] = Int64GetDatum(braze_claims_bound_now().lowest_letter);

	/*
	 * The last deletion of a user counts.  A letter that came into being
	 * after it in this transaction stays, and so does one that is in flight
	 * now.  The ids as an array have them found by the primary key, whatever
	 * is known of the table.
	 */
	statement.text =
		psprintf("DELETE FROM %s d USING ROWS FROM (unnest($1, $2)) f (id, number) "
				 "WHERE d.id = ANY ($1) AND d.id = f.id "
				 "AND NOT (d.state = 'in flight' AND d.id >= $5) "
				 "AND NOT EXISTS (SELECT FROM ROWS FROM (unnest($3, $4)) s (id, number) "
				 "WHERE s.id = d.id AND s.number >= f.number)",
				 braze_statement_table(letters));
	(void) braze_statement_run(&statement);
}
