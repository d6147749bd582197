/*-------------------------------------------------------------------------
 *
 * round_gone.c
 *	  The worker's transaction that finds the calls that were taken out of the
 *	  queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "store/claims_bound.h"
#include "store/settle.h"
#include "worker/deliveries.h"
#include "worker/delivery_figures.h"
#include "worker/round.h"
#include "worker/round_gone.h"
#include "worker/settle_call.h"
#include "worker/round_upkeep.h"

static int64 locked_since = 0;

static bool
is_gone(const BrazeCall *call, void *settler)
{
	BrazeSettleRow row = braze_settle_call_row_of(call);

	CHECK_FOR_INTERRUPTS();
	return !braze_settle_finds(settler, &row);
}

static void
drop_gone(void *ok)
{
	BrazeSettler settler;
	ListCell   *cell;

	if (!braze_settler_begin(&settler))
		return;
	foreach(cell, braze_deliveries)
	{
		braze_delivery_drop_gone(lfirst(cell), is_gone, &settler);
		braze_delivery_figures_clear_passed(lfirst(cell));
	}
	braze_settler_end(&settler);
	*(bool *) ok = true;
}

int
braze_round_gone(void)
{
	bool		ok = false;
	bool		brief;
	ErrorData  *error = braze_round_run("looking for calls that were taken out of the queue", drop_gone, &ok);

	if (error != NULL)
		ok = false;
	brief = braze_round_lock_is_brief(&locked_since, !ok, error);
	if (error != NULL)
		FreeErrorData(error);

	/*
	 * some may have been claimed, and what was dropped stays so after an
	 * error
	 */
	braze_claims_bound_publish();
	braze_deliveries_put_all_to_work();
	if (!ok)
		return brief ? BRAZE_LOCKED_RETRY_MS : BRAZE_BLOCKED_RETRY_MS;
	braze_gone_due = false;

	/*
	 * Of their users Braze may have something else now than the table says. A
	 * trigger that fails there is its own round's: it holds up nobody.
	 */
	braze_round_upkeep_profiles();
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: looked for calls that were taken out of the queue")));
	return 0;
}
