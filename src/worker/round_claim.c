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
#include "base/grow.h"
#include "base/table_write.h"
#include "store/claims_bound.h"
#include "store/claims_table.h"
#include "worker/delivery.h"
#include "worker/delivery_stuck.h"
#include "worker/round.h"
#include "worker/round_claim.h"
#include "worker/round_settle.h"
#include "worker/settle_call.h"

/* a lock that keeps calls from being done for so long is in the status */
#define LOCKED_UNTIL_TOLD_MS	2000

#define FIRST_CLAIMS			1024

/* a call that is to be claimed or released */
typedef struct Claim
{
	BrazeDelivery *delivery;
	BrazeRequest *request;		/* NULL: it is released */
	BrazeCall  *call;
	int			number;			/* in the request */
	BrazeSettleRow row;
	BrazeClaimResult result;
} Claim;

static Claim *claims = NULL;
static int	nclaims = 0;
static int	maxclaims = 0;

/* whose was the last claim that there was time for */
static const BrazeDelivery *last_claimed = NULL;

/* what the call is now; the round fills in what it becomes */
static void
add_claim(BrazeDelivery *delivery, BrazeRequest *request, BrazeCall *call, int number)
{
	Claim	   *claim;

	if (nclaims == maxclaims)
	{
		if (claims == NULL)
		{
			claims = MemoryContextAlloc(braze_round_context, sizeof(Claim) * FIRST_CLAIMS);
			maxclaims = FIRST_CLAIMS;
		}
		else
			claims = braze_grow(claims, &maxclaims, sizeof(Claim));
	}
	claim = &claims[nclaims++];
	claim->delivery = delivery;
	claim->request = request;
	claim->call = call;
	claim->number = number;
	claim->row = braze_settle_call_row_of(call);
	claim->result = BRAZE_CLAIM_LATER;
}

/* a call does not overtake one of the same user that has to wait */
static bool
must_wait(const Claim *claim)
{
	for (const Claim *before = claim - 1;
		 before >= claims && before->request == claim->request; before--)
	{
		if (before->result == BRAZE_CLAIM_LATER &&
			braze_gone_follows(claim->request, before->number, claim->number))
			return true;
	}
	return false;
}

static void
claim_or_release(BrazeSettler *settler, Claim *claim)
{
	claim->result = claim->request == NULL ? braze_claims_table_release(settler, &claim->row)
		: braze_claims_table_claim(settler, &claim->row);
}

/* a lock that lasts is in the status */
static void
note_lock(const Claim *claim)
{
	BrazeDelivery *delivery = claim->delivery;

	if (claim->result != BRAZE_CLAIM_LATER)
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
attempt_claim(void *arg)
{
	BrazeSettler settler;

	if (!braze_settler_begin(&settler))
		return;
	claim_or_release(&settler, arg);
	braze_settler_end(&settler);
}

static void
try_claim(Claim *claim)
{
	/* the row is told its new place, which a failure takes back */
	BrazeSettleRow row = claim->row;
	int64		not_before;
	ErrorData  *error;

	/* what was claimed before it stays claimed when it fails */
	braze_settler_attempted(true);
	error = braze_attempt(NameStr(claim->delivery->name), attempt_claim, claim, &not_before);
	braze_settler_attempted(error == NULL);
	if (error == NULL)
	{
		note_lock(claim);
		return;
	}
	if (braze_attempt_is_passing(error))
		ReThrowError(error);
	claim->row = row;
	claim->result = BRAZE_CLAIM_LATER;
	claim->delivery->claim_failed = true;
	if (not_before == 0)
		braze_delivery_stuck_note(claim->delivery, error->message);
}

static void
claim_one(BrazeSettler *settler, Claim *claim, bool careful)
{
	/* an order among users matters on the way to Braze only */
	if (claim->request != NULL && must_wait(claim))
		return;
	if (careful)
		try_claim(claim);
	else
	{
		claim_or_release(settler, claim);
		note_lock(claim);
	}
	if (claim->result == BRAZE_CLAIM_DONE && claim->request != NULL)
		braze_claims_bound_announce(claim->row.letter, claim->row.id);
}

/* the claims of one destination, which stand together */
typedef struct Share
{
	int			next;
	int			end;
} Share;

/* beginning behind that whose was claimed last */
static Share *
divide_claims(int *nshares)
{
	Share	   *shares = palloc(sizeof(Share) * 2 * nclaims);
	int			first = 0;
	int			n = 0;

	for (int i = 0; i < nclaims; i++)
	{
		if (i == 0 || claims[i].delivery != claims[i - 1].delivery)
			shares[n++].next = i;
		shares[n - 1].end = i + 1;
		if (claims[i].delivery == last_claimed)
			first = n;
	}
	*nshares = n;
	first = first % n;
	memcpy(shares + n, shares, sizeof(Share) * first);
	return shares + first;
}

/*
 * Claims or releases what it may.  Where something may run that others added,
 * each call is tried by itself, and for a second at most: what is left stays
 * where it is, and is not sent.  So destinations take turns.
 */
static void
claim_all(BrazeSettler *settler)
{
	bool		careful = braze_round_settle_needs_care();
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;
	int			nshares;
	Share	   *shares = divide_claims(&nshares);
	int			left = nclaims;

	for (int i = 0; i < nclaims; i++)
		claims[i].delivery->claim_failed = false;
	for (int i = 0; left > 0; i = (i + 1) % nshares)
	{
		if (shares[i].next == shares[i].end)
			continue;
		if (careful && braze_now_ms() >= deadline)
			break;
		last_claimed = claims[shares[i].next].delivery;
		claim_one(settler, &claims[shares[i].next++], careful);
		left--;
	}
}

/*
 * The commit is through.  Only now does the pack hear of it: had it failed, the
 * calls would still be where they were.
 */
static void
tell_pack(void)
{
	for (int i = 0; i < nclaims; i++)
	{
		Claim	   *claim = &claims[i];
		BrazeCall  *call = claim->call;

		if (claim->result == BRAZE_CLAIM_DONE)
		{
			/*
			 * a letter under way is published, for braze_flush and for
			 * retries
			 */
			if (call->letter != 0)
				braze_delivery_end_flight(claim->delivery, call->flight);
			call->letter = claim->row.letter;
			call->is_retry = claim->row.is_retry;
			call->before = claim->row.before;
			if (call->letter != 0)
			{
				call->flight = braze_claims_bound_enter(call->letter, call->id);
				claim->delivery->claimed++;
			}
			call->row.storage = claim->row.storage;
			call->row.block = ItemPointerGetBlockNumberNoCheck(&claim->row.tid);
			call->row.offset = ItemPointerGetOffsetNumberNoCheck(&claim->row.tid);
		}
		else if (claim->request == NULL && claim->result == BRAZE_CLAIM_GONE)
		{
			/* nor is it in the queue, and whoever took it away is obeyed */
			call->gone = true;
		}
		else if (claim->request != NULL)
			braze_gone_exclude(claim->request, claim->number,
							   claim->result == BRAZE_CLAIM_GONE);
	}

	/* last, since it frees them */
	for (int i = 0; i < nclaims; i++)
	{
		if (claims[i].request == NULL && claims[i].result == BRAZE_CLAIM_GONE)
			braze_discard_drop_gone(claims[i].delivery->pack);
	}
}

static void
report_claims(bool releasing)
{
	int			done = 0;

	for (int i = 0; i < nclaims; i++)
		done += (claims[i].result == BRAZE_CLAIM_DONE);
	ereport(DEBUG1,
			(errmsg_internal(releasing ? "segment_braze: released %d of %d calls that were claimed and not sent"
							 : "segment_braze: claimed %d of %d calls that are sent at most once",
							 done, nclaims)));
}

typedef struct ClaimRound
{
	bool		releasing;
	bool		ok;
} ClaimRound;

static void
claim_in_round(void *arg)
{
	ClaimRound *round = arg;
	BrazeSettler settler;

	if (braze_settler_begin(&settler))
	{
		claim_all(&settler);
		braze_settler_end(&settler);
		round->ok = true;
	}

	/*
	 * Nothing may be sent before this is on disk, whatever the settings:
	 * after a crash of the server the calls would be back in the queue, and
	 * sent twice.
	 */
	ForceSyncCommit();
	if (round->releasing)
		braze_claims_bound_count_release();
}

static bool
run_claim_round(const char *activity, bool releasing)
{
	ClaimRound	round = {releasing, false};
	bool		ok;

	ok = braze_round_succeeds(activity, claim_in_round, &round);
	ok = ok && round.ok;
	if (ok)
	{
		tell_pack();
		report_claims(releasing);
	}
	for (int i = 0; i < nclaims; i++)
		braze_delivery_stuck_end(claims[i].delivery);
	if (releasing)
		braze_claims_bound_count_release();
	braze_claims_bound_publish();
	nclaims = 0;
	return ok;
}

void
braze_round_claim_add(BrazeDelivery *delivery, BrazeRequest *request)
{
	for (int i = 0; i < braze_gone_ncalls(request); i++)
	{
		if (braze_gone_is_unclaimed(request, i))
			add_claim(delivery, request, braze_gone_call(request, i), i);
	}
}

bool
braze_round_claim(void)
{
	return nclaims == 0 || run_claim_round("taking calls out of the queue", false);
}

void
braze_round_claim_add_release(BrazeDelivery *delivery, BrazeCall *call)
{
	add_claim(delivery, NULL, call, 0);
}

bool
braze_round_claim_release(void)
{
	return nclaims == 0 || run_claim_round("putting calls back into the queue", true);
}
