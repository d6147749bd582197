/*-------------------------------------------------------------------------
 *
 * settle.c
 *	  Calls that are done leave the queue, the refused ones for dead letters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/tableam.h"

#include "base/attempt.h"
#include "base/catalog.h"
#include "store/claims_table.h"
#include "store/settle.h"

bool
braze_settle_finds(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = braze_settler_table_of(settler, row, &id);
	bool		found;

	/* a wrong no would make the worker forget a call that is still there */
	if (table == NULL)
		return true;
	found = braze_settler_fetch(table, id, row);
	ExecClearTuple(table->slot);
	return found;
}

/* a row that another transaction deleted meanwhile is gone too */
static BrazeSettled
settle_result(TM_Result result)
{
	return result == TM_Ok || result == TM_Deleted || result == TM_SelfModified ?
		BRAZE_SETTLED : BRAZE_SETTLE_LATER;
}

static void
detoast_value(void *arg)
{
	Datum		value = *(Datum *) arg;
	struct varlena *plain = pg_detoast_datum((struct varlena *) DatumGetPointer(value));

	if ((Pointer) plain != DatumGetPointer(value))
		pfree(plain);
}

/*
 * What is compressed or stored elsewhere is read in a subtransaction, since it
 * raises an error when it is damaged.  An error that passes, such as a
 * cancellation, says nothing about the value.
 */
static bool
is_readable(Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	ErrorData  *error;
	int64		not_before;

	if (!VARATT_IS_EXTERNAL(stored) && !VARATT_IS_COMPRESSED(stored))
		return true;
	error = braze_attempt(NULL, detoast_value, &value, &not_before);
	if (error != NULL && braze_attempt_is_passing(error))
		ReThrowError(error);
	return error == NULL;
}

/* the row's place is taken by a letter, which lacks what the row has */
static void
put_letter(BrazeSettler *settler, const BrazeDeadLetter *letter, BrazeRetried *retried)
{
	TupleTableSlot *slot = settler->queue.slot;
	BrazeDeadLetter complete = *letter;
	NameData	destination;
	ItemPointerData tid;
	bool		is_sent = (letter->http_status != 0);

	/*
	 * As the row is stored.  One that was refused before it was sent may have
	 * been so because it cannot be read: then its letter is without what
	 * cannot, since nobody could look at the letters otherwise.  Braze has
	 * seen the others.  Of a call that was queued in part, no more than that
	 * was rejected.
	 */
	if (complete.nobjects < 0 && !slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1] &&
		braze_column_values_objects_fit(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1]) &&
		(is_sent || is_readable(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1])))
		complete.nobjects = braze_column_values_objects_read(slot->tts_values[BRAZE_QUEUE_OBJECTS - 1],
															 &complete.objects);

	/* the letter of a retry has the call: only what came of it is new */
	if (retried != NULL)
	{
		braze_dead_letters_table_refused(retried, &complete);
		return;
	}
	braze_column_values_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	complete.destination = NameStr(destination);
	complete.kind = braze_segment_call_kind_stored(slot->tts_values[BRAZE_QUEUE_CALL_KIND - 1]);
	if (is_sent || is_readable(slot->tts_values[BRAZE_QUEUE_CALL - 1]))
		complete.call = (Jsonb *) DatumGetPointer(slot->tts_values[BRAZE_QUEUE_CALL - 1]);
	complete.queued_at = DatumGetTimestampTz(slot->tts_values[BRAZE_QUEUE_QUEUED_AT - 1]);
	(void) braze_queue_table_put_dead_letter(&complete, &tid);
}

/*
 * letter NULL: the call is delivered.  The dead letter that it is a retry of is
 * locked before the row is deleted.  The other way round, a letter that
 * somebody holds would be noticed when the row is gone already, and without a
 * subtransaction that cannot be taken back.
 */
static BrazeSettled
settle_row(BrazeSettler *settler, const BrazeSettleRow *row, const BrazeDeadLetter *letter)
{
	BrazeSettled result = BRAZE_SETTLED;

	if (braze_settler_fetch(&settler->queue, row->id, row))
	{
		BrazeRetried retried;
		BrazeRetriedState state = braze_settler_lock_retried(settler, row, &retried);
		bool		is_retry = (state == BRAZE_RETRIED_LOCKED);

		if (state == BRAZE_RETRIED_BUSY)
			result = BRAZE_SETTLE_LATER;
		else
		{
			TM_Result	deleted = braze_settler_delete_fetched(settler, &settler->queue);

			result = settle_result(deleted);

			/*
			 * Who deleted the row before us took the retry back: its letter
			 * stays.  And a letter of a row that somebody else deleted would
			 * bring it back.
			 */
			if (deleted == TM_Ok && letter != NULL)
				put_letter(settler, letter, is_retry ? &retried : NULL);
			else if (deleted == TM_Ok && is_retry)
				braze_dead_letters_table_delete(&retried);
			if (is_retry)
				braze_dead_letters_table_release(&retried);
		}
	}
	ExecClearTuple(settler->queue.slot);
	return result;
}

BrazeSettled
braze_settle_delete(BrazeSettler *settler, const BrazeSettleRow *row)
{
	if (row->letter != 0)
		return braze_claims_table_delete(settler, row);
	return settle_row(settler, row, NULL);
}

BrazeSettled
braze_settle_reject(BrazeSettler *settler, const BrazeSettleRow *row,
					const BrazeDeadLetter *letter)
{
	if (row->letter != 0)
		return braze_claims_table_reject(row, letter);

	/* before the row is deleted, which could not be taken back */
	if (!braze_settler_open_letters(settler))
		return BRAZE_SETTLE_LATER;
	return settle_row(settler, row, letter);
}
