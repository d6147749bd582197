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
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table_write.h"
#include "queue/column_values.h"
#include "store/claims_table.h"

/* ----- out of the queue ----- */

/* the queue's row becomes a letter, or goes into the one it is a retry of */
static void
make_letter(BrazeSettler *settler, BrazeRetried *retried, BrazeSettleRow *row)
{
	TupleTableSlot *slot = settler->queue.slot;
	BrazeDeadLetter letter;
	NameData	destination;

	/*
	 * row says from here on where the letter is; the caller drops it on
	 * failure
	 */
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
	braze_column_values_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	letter.destination = NameStr(destination);

	/* as it is stored */
	letter.call = (Jsonb *) DatumGetPointer(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	letter.kind = braze_segment_call_kind_stored(slot->tts_values[BRAZE_QUEUE_CALL_KIND - 1]);

	/*
	 * they were few when the row was read; somebody may have changed it since
	 */
	letter.nobjects = -1;
	if (!slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1] &&
		braze_column_values_objects_fit(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1]))
		letter.nobjects = braze_column_values_objects_read(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1],
														   &letter.objects);
	letter.state = BRAZE_LETTER_IN_FLIGHT;
	letter.reason = "sent at most once, and not answered yet";
	letter.queued_at = row->queued_at;
	row->is_retry = false;
	row->letter = braze_queue_table_put_dead_letter(&letter, &row->tid);
}

/* what the attempt to delete a row says about moving its call */
static BrazeClaimResult
claim_result(TM_Result result)
{
	return result == TM_Ok ? BRAZE_CLAIM_DONE :
		result == TM_Deleted || result == TM_SelfModified ? BRAZE_CLAIM_GONE : BRAZE_CLAIM_LATER;
}

BrazeClaimResult
braze_claims_table_claim(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeClaimResult result = BRAZE_CLAIM_GONE;

	if (!braze_settler_open_letters(settler))
		return BRAZE_CLAIM_LATER;
	if (braze_settler_fetch(&settler->queue, row->id, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = braze_settler_lock_retried(settler, row, &retried);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_CLAIM_LATER;
		else
		{
			/*
			 * Who gets to delete the row owns the call.  Only then is a
			 * letter made, or a call that a user has deleted meanwhile would
			 * be sent.
			 */
			result = claim_result(braze_settler_delete_fetched(settler, &settler->queue));
			if (result == BRAZE_CLAIM_DONE)
				make_letter(settler, state == BRAZE_RETRIED_LOCKED ? &retried : NULL, row);
			if (state == BRAZE_RETRIED_LOCKED)
				braze_dead_letters_table_release(&retried);
		}
	}
	ExecClearTuple(settler->queue.slot);
	return result;
}

/* ----- back to the queue ----- */

/*
 * after a TRUNCATE that restarted the ids, say, or when a user has inserted it
 */
static bool
id_is_taken(BrazeSettleTable *queue, int64 id)
{
	AttrNumber	queued_at = queue->queued_at;
	BrazeSettleRow nowhere;
	bool		taken;

	/* by whichever call: so when it was queued does not matter here */
	memset(&nowhere, 0, sizeof(nowhere));
	queue->queued_at = InvalidAttrNumber;
	taken = braze_settler_fetch(queue, id, &nowhere);
	queue->queued_at = queued_at;
	ExecClearTuple(queue->slot);
	return taken;
}

/* under its old id, so before all that was queued later */
static void
queue_again(BrazeSettler *settler, BrazeSettleRow *row)
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
	braze_settler_note_queued(slot, row->id, true);
}

/* the letter that was rejected before is what it was before the claim */
static BrazeClaimResult
release_retried(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeRetried retried;
	BrazeRetriedState state = braze_dead_letters_table_lock_in_flight(&retried, row->letter);
	ItemPointerData tid;

	if (state != BRAZE_RETRIED_LOCKED)
		return state == BRAZE_RETRIED_BUSY ? BRAZE_CLAIM_LATER : BRAZE_CLAIM_GONE;
	braze_dead_letters_table_move(&retried, row->before, row->id, &tid);
	braze_dead_letters_table_release(&retried);
	return BRAZE_CLAIM_DONE;
}

/* a user may have emptied what a queued call must have */
static bool
is_a_call(TupleTableSlot *letter)
{
	return !letter->tts_isnull[BRAZE_DEAD_DESTINATION - 1] &&
		!letter->tts_isnull[BRAZE_DEAD_CALL - 1];
}

BrazeClaimResult
braze_claims_table_release(BrazeSettler *settler, BrazeSettleRow *row)
{
	BrazeClaimResult result = BRAZE_CLAIM_GONE;

	/*
	 * a duplicate key would fail the transaction, and all other calls with it
	 */
	if (!braze_settler_open_letters(settler))
		return BRAZE_CLAIM_LATER;
	if (id_is_taken(&settler->queue, row->id))
	{
		braze_table_write_locked = "another call in braze_queue has the id of one that is put back";
		return BRAZE_CLAIM_LATER;
	}
	if (braze_settler_fetch(&settler->letters, row->letter, row) &&
		braze_dead_letters_table_is_in_flight(settler->letters.slot) &&
		is_a_call(settler->letters.slot))
	{
		/*
		 * A letter that the claim made goes, and one that was there before
		 * points at the row again.  A letter that is no longer in flight is a
		 * user's: it does not come here.
		 */
		result = row->is_retry ? release_retried(settler, row)
			: claim_result(braze_settler_delete_fetched(settler, &settler->letters));
		if (result == BRAZE_CLAIM_DONE)
			queue_again(settler, row);
	}
	ExecClearTuple(settler->letters.slot);
	return result;
}

/* ----- settled ----- */

BrazeSettled
braze_claims_table_delete(BrazeSettler *settler, const BrazeSettleRow *row)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (!braze_settler_open_letters(settler))
		return BRAZE_SETTLE_LATER;

	/* a letter that a user has changed meanwhile is not ours to delete */
	if (braze_settler_fetch(&settler->letters, row->letter, row) &&
		braze_dead_letters_table_is_in_flight(settler->letters.slot) &&
		claim_result(braze_settler_delete_fetched(settler, &settler->letters)) == BRAZE_CLAIM_LATER)
		result = BRAZE_SETTLE_LATER;
	ExecClearTuple(settler->letters.slot);
	return result;
}

BrazeSettled
braze_claims_table_reject(const BrazeSettleRow *row, const BrazeDeadLetter *letter)
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

			/*
			 * of a call that was queued in part, no more than that was
			 * rejected
			 */
			objects = heap_getattr(retried.letter, BRAZE_DEAD_OBJECTS,
								   RelationGetDescr(retried.letters), &isnull);
			if (complete.nobjects < 0 && !isnull && braze_column_values_objects_fit(objects))
				complete.nobjects = braze_column_values_objects_read(objects, &complete.objects);
			braze_dead_letters_table_refused(&retried, &complete);
			braze_dead_letters_table_release(&retried);
			break;
	}
	return BRAZE_SETTLED;
}
