/*-------------------------------------------------------------------------
 *
 * claims_table.c
 *	  Calls that are dead letters while they are under way.
 *
 * With at_most_once nothing may be sent that a restart would find in the
 * queue.  So a call becomes a dead letter before it is sent, and that is on
 * disk by then.  The letter is deleted when Braze has accepted the call, it
 * says why when it was rejected, and it stays as it is when nobody lives to
 * see what came of it.  What surely was not sent goes back to where it was.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "base/table_write.h"
#include "queue/queue.h"
#include "store/claims_table.h"

static const char *const states[] = {
	[BRAZE_LETTER_REJECTED] = "rejected",
	[BRAZE_LETTER_IN_DOUBT] = "in doubt",
	[BRAZE_LETTER_IN_FLIGHT] = "in flight",
};

Datum
braze_dead_letters_table_state_text(BrazeLetterState state)
{
	return CStringGetTextDatum(states[state]);
}

BrazeLetterState
braze_dead_letters_table_state_read(Datum value)
{
	char	   *name = TextDatumGetCString(value);

	for (int i = 0; i < lengthof(states); i++)
	{
		if (strcmp(name, states[i]) == 0)
			return i;
	}
	elog(ERROR, "a dead letter has the unknown state \"%s\"", name);
}

bool
braze_claims_table_is_claimed(TupleTableSlot *letter)
{
	bool		isnull;
	Datum		state = slot_getattr(letter, BRAZE_DEAD_STATE, &isnull);

	return braze_dead_letters_table_state_read(state) == BRAZE_LETTER_IN_FLIGHT;
}

/* ----- out of the queue ----- */

/* the queue's row becomes a letter, or goes into the one it is a retry of */
static void
put_in_flight(BrazeSettler *settler, BrazeRetried *retried, BrazeSettleRow *row)
{
	TupleTableSlot *slot = settler->queue.slot;
	BrazeDeadLetter letter;
	NameData	destination;

	row->storage = settler->letters.rel->rd_rel->relfilenode;
	if (retried != NULL)
	{
		/* its reason stays: why it was rejected before */
		row->letter = DatumGetInt64(slot->tts_values[BRAZE_QUEUE_DEAD_LETTER - 1]);
		row->is_retry = true;
		row->before = braze_dead_letters_table_state(retried);
		braze_dead_letters_table_move(retried, BRAZE_LETTER_IN_FLIGHT, 0, &row->tid);
		return;
	}
	memset(&letter, 0, sizeof(letter));
	braze_queue_table_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	letter.destination = NameStr(destination);

	/* as it is stored */
	letter.call = (Jsonb *) DatumGetPointer(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	letter.kind = braze_segment_call_kind_read(slot->tts_values[BRAZE_QUEUE_CALL_KIND - 1]);
	letter.nobjects = -1;
	if (!slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1])
		letter.nobjects = braze_queue_table_objects_read(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1],
											 &letter.objects);
	letter.state = BRAZE_LETTER_IN_FLIGHT;
	letter.reason = "sent at most once, and not answered yet";
	letter.queued_at = row->queued_at;
	row->is_retry = false;
	row->letter = braze_queue_table_put_dead_letter(&letter, &row->tid);
}

static BrazeMoved
moved(TM_Result result)
{
	return result == TM_Ok ? BRAZE_MOVED :
		result == TM_Deleted || result == TM_SelfModified ? BRAZE_MOVE_GONE : BRAZE_MOVE_LATER;
}

BrazeMoved
braze_claims_table_move(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeMoved	result = BRAZE_MOVE_GONE;

	if (!braze_settle_open_letters(settler))
		return BRAZE_MOVE_LATER;
	if (braze_settle_fetch(&settler->queue, row->id, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = braze_settle_lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_MOVE_LATER;
		else
		{
			result = moved(braze_settle_delete_fetched(settler, &settler->queue));
			if (result == BRAZE_MOVED)
				put_in_flight(settler, state == BRAZE_RETRIED_LOCKED ? &retried : NULL, row);
			if (state == BRAZE_RETRIED_LOCKED)
				braze_dead_letters_table_release(&retried);
		}
	}
	ExecClearTuple(settler->queue.slot);
	return result;
}

/* ----- back to the queue ----- */

static bool
id_is_taken(BrazeSettleTable *queue, int64 id)
{
	AttrNumber	queued_at = queue->queued_at;
	BrazeSettleRow nowhere;
	bool		taken;

	/* by whichever call */
	memset(&nowhere, 0, sizeof(nowhere));
	queue->queued_at = InvalidAttrNumber;
	taken = braze_settle_fetch(queue, id, &nowhere);
	queue->queued_at = queued_at;
	ExecClearTuple(queue->slot);
	return taken;
}

/* under its old id, so before all that was queued later */
static void
put_in_queue(BrazeSettler *settler, BrazeSettleRow *row)
{
	Relation	queue = settler->queue.rel;
	TupleTableSlot *slot = settler->letters.slot;
	Datum		values[BRAZE_QUEUE_COLUMNS];
	bool		nulls[BRAZE_QUEUE_COLUMNS] = {false};

	values[BRAZE_QUEUE_ID - 1] = Int64GetDatum(row->id);
	values[BRAZE_QUEUE_DESTINATION - 1] = slot->tts_values[BRAZE_DEAD_DESTINATION - 1];
	values[BRAZE_QUEUE_CALL - 1] = slot->tts_values[BRAZE_DEAD_CALL - 1];
	values[BRAZE_QUEUE_QUEUED_AT - 1] = TimestampTzGetDatum(row->queued_at);
	values[BRAZE_QUEUE_OBJECTS - 1] = slot->tts_values[BRAZE_DEAD_OBJECTS - 1];
	nulls[BRAZE_QUEUE_OBJECTS - 1] = slot->tts_isnull[BRAZE_DEAD_OBJECTS - 1];
	values[BRAZE_QUEUE_DEAD_LETTER - 1] = Int64GetDatum(row->letter);
	nulls[BRAZE_QUEUE_DEAD_LETTER - 1] = !row->is_retry;
	values[BRAZE_QUEUE_CALL_KIND - 1] = slot->tts_values[BRAZE_DEAD_CALL_KIND - 1];
	braze_table_write_insert(queue, BRAZE_QUEUE_COLUMNS, values, nulls, &row->tid);
	row->storage = queue->rd_rel->relfilenode;
	row->letter = 0;
	braze_settle_note_queued(slot, true);
}

static BrazeMoved
put_back_retried(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeRetried retried;
	BrazeRetriedState state = braze_dead_letters_table_lock_in_flight(&retried, row->letter);
	ItemPointerData tid;

	if (state != BRAZE_RETRIED_LOCKED)
		return state == BRAZE_RETRIED_BUSY ? BRAZE_MOVE_LATER : BRAZE_MOVE_GONE;
	braze_dead_letters_table_move(&retried, row->before, row->id, &tid);
	braze_dead_letters_table_release(&retried);
	return BRAZE_MOVED;
}

/* a user may have emptied what a queued call must have */
static bool
is_a_call(TupleTableSlot *letter)
{
	return !letter->tts_isnull[BRAZE_DEAD_DESTINATION - 1] &&
		!letter->tts_isnull[BRAZE_DEAD_CALL - 1];
}

BrazeMoved
braze_claims_table_put_back(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeMoved	result = BRAZE_MOVE_GONE;

	if (!braze_settle_open_letters(settler) ||
		id_is_taken(&settler->queue, row->id))
		return BRAZE_MOVE_LATER;
	if (braze_settle_fetch(&settler->letters, row->letter, row) &&
		braze_claims_table_is_claimed(settler->letters.slot) &&
		is_a_call(settler->letters.slot))
	{
		result = row->is_retry ? put_back_retried(settler, row)
			: moved(braze_settle_delete_fetched(settler, &settler->letters));
		if (result == BRAZE_MOVED)
			put_in_queue(settler, row);
	}
	ExecClearTuple(settler->letters.slot);
	return result;
}

/* ----- settled ----- */

BrazeSettled
braze_claims_table_delete(BrazeSettler *settler, const BrazeSettleRow *row)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (!braze_settle_open_letters(settler))
		return BRAZE_SETTLE_LATER;
	if (braze_settle_fetch(&settler->letters, row->letter, row) &&
		braze_claims_table_is_claimed(settler->letters.slot) &&
		moved(braze_settle_delete_fetched(settler, &settler->letters)) == BRAZE_MOVE_LATER)
		result = BRAZE_SETTLE_LATER;
	ExecClearTuple(settler->letters.slot);
	return result;
}

BrazeSettled
braze_claims_table_reject(BrazeSettler *settler, const BrazeSettleRow *row,
					   const BrazeDeadLetter *letter)
{
	BrazeDeadLetter complete = *letter;
	BrazeRetried retried;
	Datum		objects;
	bool		isnull;

	switch (braze_dead_letters_table_lock_in_flight(&retried, row->letter))
	{
		case BRAZE_RETRIED_BUSY:
			return BRAZE_SETTLE_LATER;
		case BRAZE_RETRIED_NONE:
			break;				/* somebody has deleted it */
		case BRAZE_RETRIED_LOCKED:
			/* of a call that was queued in part, no more than that was rejected */
			objects = heap_getattr(retried.letter, BRAZE_DEAD_OBJECTS,
								   RelationGetDescr(retried.letters), &isnull);
			if (complete.nobjects < 0 && !isnull)
				complete.nobjects = braze_queue_table_objects_read(objects, &complete.objects);
			braze_dead_letters_table_refused(&retried, &complete);
			braze_dead_letters_table_release(&retried);
			braze_settle_note_letter(settler, row->letter);
			break;
	}
	return BRAZE_SETTLED;
}

/* ----- which letters are in flight now ----- */

/*
 * A letter keeps its state when the worker is killed, so the state alone does
 * not tell whether it is under way.  What is, has an id from a bound on
 * that the worker publishes before the letter can be seen.
 *
 * The bound follows two generations of letters: when nothing is left of the
 * older one, the younger takes its place.
 */
typedef struct Generation
{
	int64		lowest;			/* PG_INT64_MAX: none */
	int64		letters;
} Generation;

static Generation older = {PG_INT64_MAX, 0};
static Generation younger = {PG_INT64_MAX, 0};
static int	generation = 0;		/* the number of the younger one */
static int64 published = PG_INT64_MAX;

static void
publish(int64 lowest)
{
	BrazeDatabaseSlot *slot;

	if (lowest == published)
		return;
	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		slot->lowest_in_flight = lowest;
	LWLockRelease(braze_shared->lock);
	published = lowest;
}

void
braze_claims_table_announce(int64 letter)
{
	publish(Min(published, letter));
}

int
braze_claims_table_enter(int64 letter)
{
	younger.lowest = Min(younger.lowest, letter);
	younger.letters++;
	return generation;
}

void
braze_claims_table_leave(int of_generation)
{
	if (of_generation == generation)
		younger.letters--;
	else
		older.letters--;
}

void
braze_claims_table_publish(void)
{
	if (older.letters == 0)
	{
		older = younger;
		younger.lowest = PG_INT64_MAX;
		younger.letters = 0;
		generation++;
		if (older.letters == 0)
			older.lowest = PG_INT64_MAX;
	}
	publish(Min(older.lowest, younger.lowest));
}

void
braze_claims_table_count_put_back(void)
{
	BrazeDatabaseSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL)
		slot->put_backs++;
	LWLockRelease(braze_shared->lock);
}

int64
braze_claims_table_lowest(int64 *put_backs)
{
	BrazeDatabaseSlot *slot;
	int64		lowest = PG_INT64_MAX;

	*put_backs = 0;
	if (braze_shared == NULL)
		return lowest;
	LWLockAcquire(braze_shared->lock, LW_SHARED);
	slot = braze_shmem_database(MyDatabaseId, false);
	if (slot != NULL && slot->pid != 0)
		lowest = slot->lowest_in_flight;
	if (slot != NULL)
		*put_backs = slot->put_backs;
	LWLockRelease(braze_shared->lock);
	return lowest;
}

bool
braze_claims_table_holds(int64 letter)
{
	int64		put_backs;

	return letter >= braze_claims_table_lowest(&put_backs);
}

BRAZE_SQL_FUNCTION(braze_in_flight);
Datum
braze_in_flight(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(braze_claims_table_holds(PG_GETARG_INT64(0)));
}
