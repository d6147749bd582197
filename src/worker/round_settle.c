/*-------------------------------------------------------------------------
 *
 * round_settle.c
 *	  The worker's transaction that settles what is done.
 *
 * Normally one transaction settles all that is done, since nothing but a fault
 * of the server can fail in it.  A call whose settling runs what somebody has
 * added to a table, or any after a failure, is settled in a subtransaction.
 * What cannot be settled then, or is locked by somebody, is stuck: it is tried
 * again later, and holds up its own destination only, once that has as much
 * stuck as it may have under way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/attempt.h"
#include "base/catalog.h"
#include "base/database_name.h"
#include "base/grow.h"
#include "base/shmem.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "store/claims_bound.h"
#include "store/profiles_table.h"
#include "store/settle.h"
#include "worker/activity.h"
#include "worker/blocked.h"
#include "worker/deliveries.h"
#include "worker/delivery_stuck.h"
#include "worker/round.h"
#include "worker/round_settle.h"
#include "worker/round_tally.h"
#include "worker/settle_call.h"
#include "worker/settle_order.h"

/* a row that somebody has locked is looked at again after this */
#define LOCKED_MS			1000

/* a lock that lasts so many looks is in the status */
#define LOOKS_UNTIL_TOLD	3

/* what failed before is tried for as long, however long the others took */
#define STUCK_MS			200

/* a call is fetched from memory while so many before it are counted */
#define CALLS_AHEAD			8

#define FIRST_DONE			1024

typedef enum DoneState
{
	DONE_UNTRIED,
	DONE_SETTLED,
	DONE_STUCK
} DoneState;

/* a call that is done, until its settle has committed */
typedef struct Done
{
	BrazeDelivery *delivery;
	const BrazeCall *call;
	DoneState	state;
	int64		turn;			/* its place, when destinations take turns */
	BrazeBackoff backoff;		/* when it is stuck */
	const char *locked;			/* what somebody has locked, NULL: nothing */
	int			looks;			/* at what is locked */
} Done;

typedef struct DoneList
{
	Done	   *items;
	int			count;
	int			size;
	const BrazeDelivery *last_tried;	/* the others come before it */
} DoneList;

bool		braze_first_settle_done = false;
bool		braze_settle_blocked = false;

static DoneList fresh;			/* not tried yet */
static DoneList stuck;
static int64 stuck_next = -1;	/* when the first of them is to be tried, -1:
								 * none */

/* the last round failed as a whole: which call is to blame? */
static bool failed_before = false;

/* since when somebody has locked what a settle needs, 0: nobody has */
static int64 locked_since = 0;

static MemoryContext call_context;	/* reset after each call */

static Done *
add_done(DoneList *list)
{
	if (list->count == list->size)
	{
		if (list->items == NULL)
		{
			list->items = MemoryContextAlloc(braze_round_context, sizeof(Done) * FIRST_DONE);
			list->size = FIRST_DONE;
		}
		else
			list->items = braze_grow(list->items, &list->size, sizeof(Done));
	}
	return &list->items[list->count++];
}

/*
 * What was answered is settled: as much again may be.  What is left of a
 * destination, whatever request it was in, would be sent again after a kill.
 */
static void
allow_settled(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->fresh == 0 && !braze_pack_has_done(delivery->pack))
			delivery->unsettled = 0;
	}
}

static bool
stuck_is_due(void)
{
	return stuck_next >= 0 && braze_now_ms() >= stuck_next;
}

static void
take_done(BrazeDelivery *delivery, int max)
{
	const BrazeCall *call;

	while (delivery->fresh < max && (call = braze_pack_next_done(delivery->pack)) != NULL)
	{
		Done	   *done = add_done(&fresh);

		memset(done, 0, sizeof(Done));
		done->delivery = delivery;
		done->call = call;
		delivery->fresh++;
	}
}

/*
 * Each destination that has any has a share of the batch, also when what the
 * last round had no time for fills it; what one leaves is the others'.
 */
static void
fill_batch(void)
{
	int			sharing = 0;
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		sharing += (delivery->fresh > 0 || braze_pack_has_done(delivery->pack));
	}
	if (sharing == 0)
		return;
	foreach(cell, braze_deliveries_at_work)
		take_done(lfirst(cell), Max(BRAZE_SETTLE_BATCH / sharing, 1));
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		take_done(delivery, delivery->fresh + Max(BRAZE_SETTLE_BATCH - fresh.count, 0));
	}
}

int
braze_round_settle_pending(void)
{
	fill_batch();

	/* answers that settle nothing, such as a 503, do not count */
	allow_settled();
	if (fresh.count > 0)
		return fresh.count;
	return stuck_is_due() ? stuck.count : 0;
}

long
braze_round_settle_wait(void)
{
	return stuck_next < 0 ? -1 : (long) Max(stuck_next - braze_now_ms(), 0);
}

/* ----- what became of one call ----- */

/* not settled, and no error: somebody has locked what it needs */
static void
note_result(Done *done, BrazeSettled result)
{
	done->backoff.delay = 0;
	if (result == BRAZE_SETTLED)
	{
		done->state = DONE_SETTLED;
		return;
	}
	done->state = DONE_STUCK;
	done->backoff.next = braze_now_ms() + LOCKED_MS;
	done->locked = braze_table_write_locked;
	done->looks++;
}

/* an earlier call of one of its users is to leave the queue first */
static void
wait_behind(Done *done)
{
	done->state = DONE_STUCK;
	done->backoff.next = braze_now_ms() + LOCKED_MS;
	done->locked = NULL;
}

/* ----- each by itself ----- */

typedef struct Attempt
{
	const BrazeCall *call;
	BrazeSettled result;
} Attempt;

static void
attempt_call(void *arg)
{
	Attempt    *attempt = arg;
	BrazeSettler settler;

	attempt->result = BRAZE_SETTLE_LATER;
	if (!braze_settler_begin(&settler))
		return;
	attempt->result = braze_settle_call_try(&settler, attempt->call);
	braze_settler_end(&settler);
}

/* an error in it, or in what others added, is this call's alone */
static void
try_call(Done *done)
{
	Attempt		attempt = {done->call};
	void	   *memory_mark = braze_profiles_table_mark();
	int64		not_before = braze_delivery_stuck_until(done->delivery);
	ErrorData  *error;

	/* a trigger that could not be cancelled has ended the last worker here */
	if (not_before != 0)
	{
		done->state = DONE_STUCK;
		done->backoff.next = not_before;
		return;
	}

	/* what was settled before it stays settled when it fails */
	braze_settler_attempted(true);
	error = braze_attempt(NameStr(done->delivery->name), attempt_call, &attempt, &not_before);
	braze_settler_attempted(error == NULL);
	if (error == NULL)
	{
		note_result(done, attempt.result);
		return;
	}
	braze_profiles_table_undo(memory_mark);
	if (braze_attempt_is_passing(error))
		ReThrowError(error);	/* no call is to blame: a full disk, for one */
	done->state = DONE_STUCK;
	done->locked = NULL;
	if (not_before > 0)
		done->backoff.next = not_before;
	else
	{
		braze_attempt_back_off(&done->backoff);
		braze_delivery_stuck_note(done->delivery, error->message);
	}
}

/* ----- a round ----- */

/* what may run of what others added to a table, in the round under way */
typedef struct Care
{
	bool		all;			/* whatever is settled */
	bool		letters;		/* when a letter is put */
	bool		profiles;		/* when what is remembered of a user is
								 * written */
} Care;

/* may what others added to a table run when it is written? */
bool
braze_round_settle_needs_care(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	return failed_before ||
		!braze_table_write_is_plain(catalog->queue, BRAZE_QUEUE_COLUMNS) ||
		!braze_table_write_is_plain(catalog->dead_letters, BRAZE_DEAD_COLUMNS);
}

/* letters of the calls before are changed and deleted as well */
static bool
has_trigger_on_old_rows(Oid table)
{
	Relation	rel;
	bool		has;

	/* nothing can be written to a table that somebody has locked */
	if (!braze_catalog_try_lock(table, AccessShareLock))
		return false;
	rel = table_open(table, NoLock);
	has = braze_statement_is_needed(rel, CMD_UPDATE) || braze_statement_is_needed(rel, CMD_DELETE);
	table_close(rel, AccessShareLock);
	return has;
}

/* a trigger on new letters, such as an alarm, costs only what becomes one */
static Care
find_care(BrazeSettler *settler)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	Care		care;

	care.all = failed_before ||
		braze_statement_is_needed(settler->queue.rel, CMD_DELETE) ||
		has_trigger_on_old_rows(catalog->dead_letters);
	care.letters = !braze_table_write_is_plain(catalog->dead_letters, BRAZE_DEAD_COLUMNS);
	care.profiles = !braze_table_write_is_plain(catalog->profiles, BRAZE_PROFILE_COLUMNS);
	return care;
}

/* does it need a subtransaction? */
static bool
is_to_be_tried(const Done *done, const Care *care)
{
	/* one that has failed would fail for all the others */
	return care->all || done->backoff.delay > 0 ||
		(care->letters && done->call->nrefused > 0) ||
		(care->profiles && done->call->nprofiles > 0);
}

static int
compare_turns(const void *a, const void *b)
{
	int64		one = ((const Done *) a)->turn;
	int64		other = ((const Done *) b)->turn;

	return (one > other) - (one < other);
}

/*
 * One call of each destination after the other, beginning behind the one that
 * was tried last: there may be time for no more.  Each keeps its own order.
 */
static void
take_turns(DoneList *list)
{
	int			ndeliveries = list_length(braze_deliveries);
	int			place = 0;
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		if (lfirst(cell) == list->last_tried)
			place = ndeliveries - 1 - foreach_current_index(cell);
	}
	foreach(cell, braze_deliveries)
		((BrazeDelivery *) lfirst(cell))->turn = place++ % ndeliveries;
	for (int i = 0; i < list->count; i++)
	{
		list->items[i].turn = list->items[i].delivery->turn;
		list->items[i].delivery->turn += ndeliveries;
	}
	qsort(list->items, list->count, sizeof(Done), compare_turns);
}

/* false: there was no time for it */
static bool
settle_done(BrazeSettler *settler, const Care *care, Done *done, int64 deadline)
{
	bool		is_tried = is_to_be_tried(done, care);

	/* what takes longer, or may: the letters of a user are looked for */
	if ((is_tried || done->call->deleted) && braze_now_ms() >= deadline)
		return false;
	if (is_tried)
		try_call(done);
	else
		note_result(done, braze_settle_call_try(settler, done->call));
	return true;
}

static void
settle_list(BrazeSettler *settler, const Care *care, DoneList *list, int64 deadline)
{
	int64		now = braze_now_ms();

	/* without care there is time for all of them */
	if (care->all || care->letters || care->profiles)
		take_turns(list);
	for (int i = 0; i < list->count; i++)
	{
		Done	   *done = &list->items[i];
		BrazeSettleWait wait;
		bool		tried = true;

		if (i + CALLS_AHEAD < list->count)
			braze_tally_prefetch(list->items[i + CALLS_AHEAD].call);
		if (done->state == DONE_STUCK && done->backoff.next > now)
		{
			braze_settle_order_stays(done->delivery, done->call, false);
			continue;
		}
		braze_activity_about(NameStr(done->delivery->name));
		wait = braze_settle_order_waits(done->delivery, done->call);
		if (wait == BRAZE_SETTLE_NO_WAIT)
			tried = settle_done(settler, care, done, deadline);

		/* behind one that was not tried it stays, or it would be ahead */
		else if (wait == BRAZE_SETTLE_BEHIND_UNTRIED)
			tried = false;
		else
			wait_behind(done);
		if (tried)
			list->last_tried = done->delivery;
		if (done->state != DONE_SETTLED)
			braze_settle_order_stays(done->delivery, done->call, !tried);
		MemoryContextReset(call_context);
	}
	braze_activity_about(NULL);
}

/* *ok stays false when somebody has locked the queue */
static void
settle_all(void *ok)
{
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;
	MemoryContext old;
	BrazeSettler settler;
	Care		care;

	if (!braze_settler_begin(&settler))
		return;
	care = find_care(&settler);
	old = MemoryContextSwitchTo(call_context);

	/*
	 * What has failed comes last, and has a time of its own: neither may take
	 * all there is.  Its users' later calls are among the fresh ones, and
	 * stay.
	 */
	braze_settle_order_begin();
	for (int i = 0; i < stuck.count; i++)
		braze_settle_order_stays(stuck.items[i].delivery, stuck.items[i].call, false);
	settle_list(&settler, &care, &fresh, deadline);
	braze_settle_order_begin();
	settle_list(&settler, &care, &stuck, Max(deadline, braze_now_ms() + STUCK_MS));
	braze_settle_order_begin();
	MemoryContextSwitchTo(old);
	braze_settler_end(&settler);
	braze_round_tally_ride();
	*(bool *) ok = true;
}

/* the commit is through: what is settled is counted and forgotten */
static void
sort_out(void)
{
	DoneList	tried = stuck;
	int			kept = 0;
	int			settled = 0;
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		delivery->fresh = delivery->stuck = delivery->stuck_objects = 0;
		delivery->locked = NULL;
	}

	/*
	 * The list is filled again in place: it never has more than were looked
	 * at until the fresh ones follow, and those may move it to other memory.
	 */
	stuck.count = 0;
	for (int i = 0; i < tried.count; i++)
	{
		if (tried.items[i].state == DONE_SETTLED)
		{
			braze_delivery_settled(tried.items[i].delivery, tried.items[i].call);
			settled++;
		}
		else
			stuck.items[stuck.count++] = tried.items[i];
	}
	for (int i = 0; i < fresh.count; i++)
	{
		if (i + CALLS_AHEAD < fresh.count)
			braze_tally_prefetch(fresh.items[i + CALLS_AHEAD].call);
		if (fresh.items[i].state == DONE_SETTLED)
		{
			braze_delivery_settled(fresh.items[i].delivery, fresh.items[i].call);
			settled++;
		}
		else if (fresh.items[i].state == DONE_STUCK)
			*add_done(&stuck) = fresh.items[i];
		else
		{
			fresh.items[kept++] = fresh.items[i];
			fresh.items[i].delivery->fresh++;
		}
	}
	Assert(stuck.count <= stuck.size);
	fresh.count = kept;			/* those that there was no time for */
	stuck_next = -1;
	for (int i = 0; i < stuck.count; i++)
	{
		const Done *done = &stuck.items[i];

		done->delivery->stuck++;
		done->delivery->stuck_objects += done->call->nobjects;

		/* the first lock alone: the log is not to tell of several in turn */
		if (done->delivery->locked == NULL && done->looks >= LOOKS_UNTIL_TOLD)
			done->delivery->locked = done->locked;
		if (stuck_next < 0 || done->backoff.next < stuck_next)
			stuck_next = done->backoff.next;
	}
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->locked != NULL)
			braze_delivery_stuck_note(delivery, delivery->locked);
		braze_delivery_stuck_end(delivery);
	}

	/* after all of them: who waits in braze_flush sees them settled together */
	braze_claims_bound_publish();
	ereport(DEBUG1,
			(errmsg_internal("segment_braze: settled %d calls, %d cannot be settled now",
							 settled, stuck.count)));
	allow_settled();
}

/* nothing of the round has happened */
static void
try_all_again(void)
{
	for (int i = 0; i < fresh.count; i++)
		fresh.items[i].state = DONE_UNTRIED;
	for (int i = 0; i < stuck.count; i++)
		stuck.items[i].state = DONE_STUCK;
}

int
braze_round_settle(void)
{
	bool		ok = false;
	bool		brief;
	ErrorData  *error;

	if (call_context == NULL)
		call_context = AllocSetContextCreate(braze_round_context, "segment_braze call",
											 ALLOCSET_DEFAULT_SIZES);
	braze_attempt_begin();
	error = braze_round_run("settling calls that are done", settle_all, &ok);
	if (error != NULL)
		ok = false;
	MemoryContextReset(call_context);

	/*
	 * What is kept in memory follows the outcome of the commit.  After an
	 * error that nothing in the round is to blame for, all are settled
	 * together again; after any other, each by itself, until the one to blame
	 * is found.
	 */
	braze_profiles_table_stored(ok);
	braze_round_tally_ridden(ok);
	brief = braze_round_lock_is_brief(&locked_since, !ok, error);
	if (!brief)
		braze_blocked_report(BRAZE_BLOCKED_SETTLE, ok ? "" : error != NULL ? error->message : "somebody has locked the table braze_queue");
	failed_before = (error != NULL && !braze_attempt_is_passing(error));
	if (error != NULL)
		FreeErrorData(error);
	braze_settle_blocked = !ok;
	if (!ok)
	{
		try_all_again();
		return brief ? BRAZE_LOCKED_RETRY_MS : BRAZE_BLOCKED_RETRY_MS;
	}
	braze_first_settle_done = true;
	sort_out();
	return 0;
}
