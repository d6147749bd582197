/*-------------------------------------------------------------------------
 *
 * round_claim.c
 *	  The worker's transactions before what is sent at most once, and after
 *	  what was not sent.
 *
 * One for all the requests that are about to start, and one for all calls
 * that wait again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/table_write.h"
#include "store/claims_bound.h"
#include "store/claims_table.h"
#include "worker/delivery.h"
#include "worker/delivery_stuck.h"
#include "worker/round.h"
#include "worker/round_claim.h"
#include "worker/round_settle.h"

/* a lock that keeps calls from being moved for so long is in the status */
#define LOCKED_UNTIL_TOLD_MS	2000

/* a call that is to be moved, and where to */
typedef struct Move
{
	BrazeDelivery *delivery;
	BrazeRequest *request;		/* NULL: back to the queue */
	BrazeCall  *call;
	int			number;			/* in the request */
	BrazeSettleRow row;
	BrazeMoved	result;
} Move;

static Move *moves = NULL;
static int	nmoves = 0;
static int	maxmoves = 0;

/* what the call is now; the round fills in what it becomes */
static void
add_move(BrazeDelivery *delivery, BrazeRequest *request, BrazeCall *call, int number)
{
	Move	   *move;

	if (nmoves == maxmoves)
	{
		maxmoves = Max(maxmoves * 2, 1024);
		moves = moves == NULL ? MemoryContextAlloc(braze_round_context, sizeof(Move) * maxmoves)
			: repalloc(moves, sizeof(Move) * maxmoves);
	}
	move = &moves[nmoves++];
	move->delivery = delivery;
	move->request = request;
	move->call = call;
	move->number = number;
	move->row = braze_round_settle_row_of(call);
	move->result = BRAZE_MOVE_LATER;
}

/* a call does not overtake one of the same user that has to wait */
static bool
must_wait(const Move *move)
{
	for (const Move *before = move - 1;
		 before >= moves && before->request == move->request; before--)
	{
		if (before->result == BRAZE_MOVE_LATER &&
			braze_gone_follows(move->request, before->number, move->number))
			return true;
	}
	return false;
}

static void
move_call(BrazeSettler *settler, Move *move)
{
	move->result = move->request == NULL ? braze_claims_table_release(settler, &move->row)
		: braze_claims_table_claim(settler, &move->row);
}

/* a lock that lasts is in the status */
static void
note_lock(const Move *move)
{
	BrazeDelivery *delivery = move->delivery;

	if (move->result != BRAZE_MOVE_LATER)
		delivery->claim_locked = 0;
	else if (delivery->claim_locked == 0)
		delivery->claim_locked = braze_now_ms();
	else if (braze_now_ms() - delivery->claim_locked >= LOCKED_UNTIL_TOLD_MS)
	{
		delivery->claim_failed = true;
		braze_delivery_stuck_note(delivery, braze_table_write_locked);
	}
}

/* in a subtransaction, with a settler of its own: a failure undoes no other */
static void
attempt_move(void *arg)
{
	BrazeSettler settler;

	if (!braze_settler_begin(&settler))
		return;
	move_call(&settler, arg);
	braze_settler_end(&settler);
}

static void
try_move(Move *move)
{
	/* a move fills in the row's new place, which a failure takes back */
	BrazeSettleRow row = move->row;
	int64		not_before;
	ErrorData  *error = braze_attempt(NameStr(move->delivery->name), attempt_move, move, &not_before);

	braze_settler_attempted(error == NULL);
	if (error == NULL)
	{
		note_lock(move);
		return;
	}
	if (braze_attempt_is_passing(error))
		ReThrowError(error);
	move->row = row;
	move->result = BRAZE_MOVE_LATER;
	move->delivery->claim_failed = true;
	if (not_before == 0)
		braze_delivery_stuck_note(move->delivery, error->message);
}

/*
 * Moves what may be moved.  Where something may run that others added, each
 * call is tried by itself, and for a second at most: what is left stays where
 * it is, and is not sent.
 */
static void
move_all(BrazeSettler *settler)
{
	bool		careful = braze_round_settle_needs_care();
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;

	for (int i = 0; i < nmoves; i++)
		moves[i].delivery->claim_failed = false;
	for (int i = 0; i < nmoves && (!careful || braze_now_ms() < deadline); i++)
	{
		Move	   *move = &moves[i];

		/* an order among users matters on the way to Braze only */
		if (move->request != NULL && must_wait(move))
			continue;
		if (careful)
			try_move(move);
		else
		{
			move_call(settler, move);
			note_lock(move);
		}
		if (move->result == BRAZE_MOVED && move->request != NULL)
			braze_claims_bound_announce(move->row.letter);
	}
}

/*
 * The commit is through.  Only now does the pack hear of it: had it failed, the
 * calls would still be where they were.
 */
static void
take_moves(void)
{
	for (int i = 0; i < nmoves; i++)
	{
		Move	   *move = &moves[i];
		BrazeCall  *call = move->call;

		if (move->result == BRAZE_MOVED)
		{
			/*
			 * a letter under way is published, for braze_flush and for
			 * retries
			 */
			if (call->letter != 0)
				braze_claims_bound_leave(call->flight);
			call->letter = move->row.letter;
			call->is_retry = move->row.is_retry;
			call->before = move->row.before;
			if (call->letter != 0)
				call->flight = braze_claims_bound_enter(call->letter);
			call->row.storage = move->row.storage;
			call->row.block = ItemPointerGetBlockNumberNoCheck(&move->row.tid);
			call->row.offset = ItemPointerGetOffsetNumberNoCheck(&move->row.tid);
		}
		else if (move->request == NULL && move->result == BRAZE_MOVE_GONE)
		{
			/* it is in the queue no more either, so it will not be sent */
			braze_claims_bound_leave(call->flight);
			call->letter = 0;
		}
		else if (move->request != NULL)
			braze_gone_exclude(move->request, move->number,
							   move->result == BRAZE_MOVE_GONE);
	}
}

static void
report_moves(bool back)
{
	int			moved = 0;

	for (int i = 0; i < nmoves; i++)
		moved += (moves[i].result == BRAZE_MOVED);
	ereport(DEBUG1,
			(errmsg_internal(back ? "segment_braze: released %d of %d calls that were claimed and not sent"
							 : "segment_braze: claimed %d of %d calls that are sent at most once",
							 moved, nmoves)));
}

typedef struct MoveRound
{
	bool		back;
	bool		ok;
} MoveRound;

static void
move_in_round(void *arg)
{
	MoveRound  *round = arg;
	BrazeSettler settler;

	if (braze_settler_begin(&settler))
	{
		move_all(&settler);
		braze_settler_end(&settler);
		round->ok = true;
	}

	/*
	 * Nothing may be sent before this is on disk, whatever the settings:
	 * after a crash of the server the calls would be back in the queue, and
	 * sent twice.
	 */
	ForceSyncCommit();
	if (round->back)
		braze_claims_bound_count_release();
}

static bool
move_round(const char *activity, bool back)
{
	MoveRound	round = {back, false};
	bool		ok;

	braze_settler_reset_sizes();
	ok = braze_round_succeeds(activity, move_in_round, &round);
	if (ok)
		braze_settler_committed();
	ok = ok && round.ok;
	if (ok)
	{
		take_moves();
		report_moves(back);
	}
	for (int i = 0; i < nmoves; i++)
		braze_delivery_stuck_end(moves[i].delivery);
	if (back)
		braze_claims_bound_count_release();
	braze_claims_bound_publish();
	nmoves = 0;
	return ok;
}

void
braze_round_claim_add(BrazeDelivery *delivery, BrazeRequest *request)
{
	for (int i = 0; i < braze_gone_ncalls(request); i++)
	{
		if (braze_gone_is_unclaimed(request, i))
			add_move(delivery, request, braze_gone_call(request, i), i);
	}
}

bool
braze_round_claim(void)
{
	return nmoves == 0 || move_round("taking calls out of the queue", false);
}

void
braze_round_claim_add_release(BrazeDelivery *delivery, BrazeCall *call)
{
	add_move(delivery, NULL, call, 0);
}

bool
braze_round_claim_release(void)
{
	return nmoves == 0 || move_round("putting calls back into the queue", true);
}
