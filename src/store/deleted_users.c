/*-------------------------------------------------------------------------
 *
 * deleted_users.c
 *	  Dead letters of users whom a call has deleted are deleted, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/table_write.h"
#include "queue/call_user.h"
#include "store/claims_bound.h"
#include "store/deleted_users.h"
#include "store/find_rows.h"
#include "store/synced_users.h"

/* the letters of one user may be any number, and others wait meanwhile */
#define DELETE_MS		100

/* a user who was deleted, and their letters as far as they were looked at */
typedef struct DeletedUser
{
	int64		hash;
	text	   *destination;
	BrazeString user;
	Relation	letters;
	int64		lowest_under_way;	/* of the letters that say so */
	int64		deadline;		/* 0: none was found yet */
	bool		all_deleted;
} DeletedUser;

static bool
is_text(const text * value, const text * other)
{
	return VARSIZE_ANY_EXHDR(value) == VARSIZE_ANY_EXHDR(other) &&
		memcmp(VARDATA_ANY(value), VARDATA_ANY(other), VARSIZE_ANY_EXHDR(other)) == 0;
}

static bool
is_call_of(const DeletedUser *deleted, Datum stored)
{
	Jsonb	   *call = DatumGetJsonbP(stored);
	BrazeString user;
	bool		same = braze_call_user_read(call, &user) && user.length == deleted->user.length &&
	memcmp(user.data, deleted->user.data, user.length) == 0;

	/* a user may have many letters, and each may be large */
	if ((Pointer) call != DatumGetPointer(stored))
		pfree(call);
	return same;
}

static bool
is_letter_of(const DeletedUser *deleted, TupleTableSlot *slot)
{
	slot_getallattrs(slot);

	/* the hash first: the call may be large, and stored elsewhere */
	return !slot->tts_isnull[BRAZE_DEAD_USER_HASH - 1] &&
		!slot->tts_isnull[BRAZE_DEAD_CALL - 1] &&
		!slot->tts_isnull[BRAZE_DEAD_DESTINATION - 1] &&
		DatumGetInt64(slot->tts_values[BRAZE_DEAD_USER_HASH - 1]) == deleted->hash &&
		is_text(DatumGetTextPP(slot->tts_values[BRAZE_DEAD_DESTINATION - 1]), deleted->destination) &&
		is_call_of(deleted, slot->tts_values[BRAZE_DEAD_CALL - 1]);
}

/*
 * What is under way of the user was queued after the deletion, which waited for
 * all before it.
 */
static bool
is_of_later_call(const DeletedUser *deleted, TupleTableSlot *slot)
{
	return braze_dead_letters_table_is_in_flight(slot) &&
		DatumGetInt64(slot->tts_values[BRAZE_DEAD_ID - 1]) >= deleted->lowest_under_way;
}

/* the first one in any case, however many dead rows there were before it */
static bool
deletion_has_time(DeletedUser *deleted)
{
	if (deleted->deadline == 0)
		deleted->deadline = braze_now_ms() + DELETE_MS;
	if (braze_now_ms() < deleted->deadline)
		return true;
	braze_table_write_locked = "the table braze_dead_letters has many rows of a user who was deleted";
	deleted->all_deleted = false;
	return false;
}

static bool
look_at_letter(TupleTableSlot *slot, Snapshot snapshot, void *arg)
{
	DeletedUser *deleted = arg;
	ItemPointerData tid = slot->tts_tid;
	TM_Result	result;

	if (!is_letter_of(deleted, slot) || is_of_later_call(deleted, slot))
		return true;

	/*
	 * one that somebody has locked, or changed since, is looked at again
	 * later
	 */
	result = braze_table_write_delete(deleted->letters, &tid, snapshot);
	if (result != TM_Ok && result != TM_Deleted && result != TM_SelfModified)
	{
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_dead_letters");
		deleted->all_deleted = false;
	}
	return deletion_has_time(deleted);
}

static bool
delete_letters(DeletedUser *deleted, Relation letters)
{
	BrazeRowSearch search = {BRAZE_DEAD_USER_HASH, F_INT8EQ, Int64GetDatum(deleted->hash),
		BRAZE_DEAD_DESTINATION, deleted->destination, look_at_letter, deleted
	};

	deleted->letters = letters;
	deleted->lowest_under_way = braze_claims_bound_now().lowest_letter;
	deleted->deadline = 0;
	deleted->all_deleted = true;
	braze_find_rows(letters, &search);
	return deleted->all_deleted;
}

bool
braze_deleted_users_delete_letters(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = braze_settler_table_of(settler, row, &id);
	bool		is_letter = (table == &settler->letters);
	int			call = (is_letter ? BRAZE_DEAD_CALL : BRAZE_QUEUE_CALL) - 1;
	int			destination = (is_letter ? BRAZE_DEAD_DESTINATION : BRAZE_QUEUE_DESTINATION) - 1;
	DeletedUser deleted;
	bool		done = true;

	if (table == NULL || !braze_settler_open_letters(settler) || !braze_synced_users_try_lock())
		return false;
	if (braze_settler_fetch(table, id, row) &&
		!table->slot->tts_isnull[call] && !table->slot->tts_isnull[destination] &&
		braze_call_user_read(DatumGetJsonbP(table->slot->tts_values[call]), &deleted.user))
	{
		deleted.hash = braze_call_user_hash(deleted.user);
		deleted.destination = DatumGetTextPP(table->slot->tts_values[destination]);
		done = delete_letters(&deleted, settler->letters.rel);
		if (done)
			braze_synced_users_delete(deleted.destination, deleted.user);
	}
	ExecClearTuple(table->slot);
	return done;
}
