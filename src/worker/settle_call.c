/*-------------------------------------------------------------------------
 *
 * settle_call.c
 *	  Settling one call that is done, with all that Braze has said of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/deleted_users.h"
#include "store/profiles_table.h"
#include "store/settle.h"
#include "worker/settle_call.h"

/* one reason for all, and which objects it and the others hit */
static BrazeSettled
reject_call(BrazeSettler *settler, const BrazeCall *call, const BrazeSettleRow *row)
{
	const BrazeRefusal *told = call->refusals;
	BrazeDeadLetter letter;
	int		   *objects = palloc(sizeof(int) * call->nrefused);
	int			n = 0;

	for (const BrazeRefusal *refusal = call->refusals; refusal != NULL;
		 refusal = refusal->next)
	{
		if (refusal->number >= 0)
			objects[n++] = refusal->number;
	}
	memset(&letter, 0, sizeof(letter));

	/* what is in doubt must say so, whatever else was refused */
	while (!told->in_doubt && told->next != NULL)
		told = told->next;
	if (!told->in_doubt)
		told = call->refusals;

	/*
	 * Where nothing of it was accepted there is nothing to spare: under other
	 * options all that it becomes then is to be sent.
	 */
	letter.nobjects = (call->refusals->number == BRAZE_WHOLE_CALL || n == call->nobjects) ? -1 : n;
	letter.objects = objects;
	letter.state = told->in_doubt ? BRAZE_LETTER_IN_DOUBT : BRAZE_LETTER_REJECTED;
	letter.reason = told->reason;
	letter.http_status = told->http_status;
	return braze_settle_reject(settler, row, &letter);
}

BrazeSettleRow
braze_settle_call_row_of(const BrazeCall *call)
{
	BrazeSettleRow row;

	row.id = call->id;
	row.letter = call->letter;
	row.is_retry = call->is_retry;
	row.before = call->before;
	row.storage = call->row.storage;
	ItemPointerSet(&row.tid, call->row.block, call->row.offset);
	row.queued_at = call->row.queued_at;
	return row;
}

BrazeSettled
braze_settle_call_try(BrazeSettler *settler, const BrazeCall *call)
{
	BrazeSettleRow row = braze_settle_call_row_of(call);
	BrazeSettled result;

	/*
	 * What Braze has accepted of a user is remembered in the transaction that
	 * deletes the row, so that after a crash either both are known or
	 * neither.  If it cannot be written, the row must stay: what the table
	 * has would be taken for what Braze has.
	 */
	for (int i = 0; i < call->nprofiles; i++)
	{
		if (!braze_profiles_table_lock(call->profiles[i]))
			return BRAZE_SETTLE_LATER;
	}

	if (call->changes_owner && !braze_profiles_table_reset_owner(call->profiles[0]))
		return BRAZE_SETTLE_LATER;

	/*
	 * Of a user whom Braze has deleted nothing may be left, before the row
	 * that tells of it is gone and letters of later calls are put.
	 */
	if (call->deleted &&
		((call->nprofiles > 0 && !braze_profiles_table_take_from(call->profiles[0])) ||
		 (call->owner != NULL &&
		  !braze_profiles_table_delete_owner(call->profiles[0], call->owner, call->owner_length)) ||
		 !braze_deleted_users_delete_letters(settler, &row)))
		return BRAZE_SETTLE_LATER;
	result = call->nrefused > 0 ? reject_call(settler, call, &row)
		: braze_settle_delete(settler, &row);
	for (int i = 0; i < call->nprofiles && result == BRAZE_SETTLED; i++)
		braze_profiles_table_store(call->profiles[i]);
	return result;
}
