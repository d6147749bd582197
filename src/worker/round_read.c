/*-------------------------------------------------------------------------
 *
 * round_read.c
 *	  Which rows of the queue a read takes, and which destination gets them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xlog.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/attempt.h"
#include "base/clock.h"
#include "base/guc.h"
#include "base/shmem.h"
#include "base/queue_count.h"
#include "base/wal_end.h"
#include "queue/column_values.h"
#include "queue/enqueue.h"
#include "store/reader.h"
#include "worker/activity.h"
#include "worker/blocked.h"
#include "worker/deliveries.h"
#include "worker/delivery_cursor.h"
#include "worker/delivery_figures.h"
#include "worker/delivery_place.h"
#include "worker/delivery_unreadable.h"
#include "worker/memory_budget.h"
#include "worker/oldest_search.h"
#include "worker/read_failure.h"
#include "worker/round.h"
#include "worker/round_read.h"
#include "worker/stray_log.h"

/* rows of one read: the transaction stays short, the cost of a round small */
#define READ_BATCH		2500

/*
 * The time that the calls of one destination may take in a read.  A large one
 * takes milliseconds, and answers of others are to be taken meanwhile.
 */
#define READ_MS			100

/* a slice of the rescan: ids at least, and rows that are there at most */
#define RESCAN_IDS		50000
#define RESCAN_ROWS		10000

/* the next slice has more ids if one took less than this, else fewer */
#define RESCAN_MS		5

static BrazeReader *reader;

/* whose call is read or mapped, NULL: nobody's */
static BrazeDelivery *taking = NULL;

/* the last read ended before a row that there was no memory for */
static bool stopped = false;

/* or the calls of a destination have had their time */
static bool out_of_time = false;

/* since when somebody has the queue locked, 0: nobody has */
static int64 locked_since = 0;

/* the ids that the rescan has looked at, and how it goes on */
static struct
{
	int64		next;			/* when its next slice is due */
	int64		until;			/* it has looked at the ids up to here */
	int64		ids;			/* that the next slice has */
}			rescan = {.ids = RESCAN_IDS};

/* the file of the queue's table in the last read */
static Oid	queue_file = InvalidOid;

/* up to which id others know that the queue was read */
static int64 published = 0;

/* rows that the read under way has taken */
static int	taken = 0;

/* a row was taken that may not be on disk yet */
static bool unflushed = false;

/* does nobody else take part in what is new?  NULL: nobody at all */
static bool
all_others_behind(const BrazeDelivery *delivery)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *other = lfirst(cell);

		if (other != delivery && !other->behind)
			return false;
	}
	return true;
}

/* if not, the next read goes on with its calls */
static bool
has_time(const BrazeDelivery *delivery)
{
	if (delivery->read_ms < READ_MS)
		return true;
	out_of_time = true;
	return false;
}

static bool
has_room(BrazeDelivery *delivery)
{
	return has_time(delivery) && braze_memory_budget_has_room(delivery);
}

/* maps a row and packs it, or has it refused */
static void
take_row(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	const char *reason = braze_read_failure_reason(delivery, row->id);
	int64		began = braze_roughly_now_ms();
	Size		size;

	/* first: an error in what follows must not hide it */
	unflushed = true;
	taken++;
	taking = delivery;
	size = toast_raw_datum_size(row->call);
	braze_activity_about(NameStr(delivery->name));
	if (reason != NULL)
	{
		braze_delivery_reject(delivery, row, reason);
		braze_read_failure_reset(delivery);
	}

	/* a plain INSERT was not held to either */
	else if (size > (Size) braze_max_call_size * 1024)
		braze_delivery_reject(delivery, row,
							  psprintf("The call has %zu bytes, and segment_braze.max_call_size is %d kB.",
									   size, braze_max_call_size));
	else if (!row->all_objects && !braze_column_values_objects_fit(row->objects))
		braze_delivery_reject(delivery, row,
							  psprintf("The numbers of its objects take up more than segment_braze.max_call_size, %d kB.",
									   braze_max_call_size));
	else
		braze_delivery_take(delivery, row);
	taking = NULL;
	braze_activity_about(NULL);
	delivery->read_ms += braze_roughly_now_ms() - began;
}

static void
fall_behind(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	braze_delivery_cursor_fall_behind(delivery, row->id - 1);
	braze_delivery_figures_passed(delivery, row->id, row->queued_at);
}

static void
step_back_to(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	braze_delivery_cursor_step_back(delivery, row->id - 1);
	braze_delivery_figures_passed(delivery, row->id, row->queued_at);
}

/* does its destination read this row later?  It is noted as one that waits. */
static bool
is_for_backlog(BrazeDelivery *delivery, const BrazeQueueRow *row)
{
	if (!delivery->behind || row->id <= delivery->cursor)
		return false;
	if ((delivery->passed_id == 0 || row->id < delivery->passed_id) &&
		!braze_delivery_cursor_holds(delivery, row->id, row->queued_at))
		braze_delivery_figures_passed(delivery, row->id, row->queued_at);
	return true;
}

/* ----- whose row it is, and whether it can take it ----- */

/* NULL: there is no such server, and its backlog is read when there is one */
static BrazeDelivery *
find_delivery(const BrazeQueueRow *row)
{
	BrazeDelivery *delivery = braze_deliveries_find(row->destination);

	if (delivery == NULL || delivery->destination == NULL)
		braze_delivery_place_row(row->destination);
	if (delivery != NULL && !delivery->at_work)
	{
		braze_deliveries_put_to_work(delivery);
		braze_delivery_unreadable_look(delivery);
	}
	return delivery;
}

/* what is new: every id comes here once, whatever its destination */
static bool
consume_new(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = find_delivery(row);

	if (delivery == NULL || is_for_backlog(delivery, row) || delivery->behind ||
		braze_delivery_cursor_holds(delivery, row->id, row->queued_at))
		return true;
	if (!braze_delivery_can_take(delivery))
	{
		fall_behind(delivery, row);
		return true;
	}
	if (!has_room(delivery))
	{
		/* reading on for nobody would only mean to read it all twice */
		if (all_others_behind(delivery))
		{
			stopped = true;
			return false;
		}
		fall_behind(delivery, row);
		return true;
	}
	take_row(delivery, row);
	return true;
}

/* what fills a hole; nothing but a destination's backlog comes by it again */
static bool
consume_hole(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = find_delivery(row);

	if (delivery == NULL || is_for_backlog(delivery, row))
		return true;

	/*
	 * Holes joined for want of memory have ids between them that were read. A
	 * claim that is released fills the hole that a reader who started over
	 * has found in its place.
	 */
	if (reader->read_before ?
		braze_delivery_cursor_has_call(delivery, row->id, row->queued_at) :
		braze_delivery_cursor_holds(delivery, row->id, row->queued_at))
		return true;
	if (!braze_delivery_can_take(delivery) || !has_room(delivery))
		step_back_to(delivery, row);
	else
		take_row(delivery, row);
	return true;
}

/* ----- what those that fell behind have not had yet ----- */

/*
 * They read together what they have not had: a pass is for all of them, each
 * from its own cursor on.  One that has no room, or no time, leaves the pass at
 * that row, and the others go on.
 */
static uint64 pass = 0;			/* the one under way or the last */

static bool
takes_part(const BrazeDelivery *delivery)
{
	return delivery->pass == pass;
}

/*
 * The lowest cursor from this one on where a pass is worth it.  A destination
 * that takes part in one goes on until it is full, and begins when it has much
 * room: a pass for a few calls would read much for little.
 */
static int64
lowest_cursor(int64 from)
{
	int64		lowest = PG_INT64_MAX;
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->behind && delivery->cursor >= from && delivery->cursor < lowest &&
			braze_delivery_can_take(delivery) &&
			(delivery->pass != 0 ? braze_memory_budget_has_room(delivery) :
			 braze_memory_budget_has_much_room(delivery)))
			lowest = delivery->cursor;
	}
	return lowest;
}

/* is there one left that the pass has come to? */
static bool
pass_is_wanted(int64 id)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries_at_work)
	{
		const BrazeDelivery *delivery = lfirst(cell);

		if (takes_part(delivery) && delivery->cursor < id)
			return true;
	}
	return false;
}

static bool
consume_backlog(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = braze_deliveries_find(row->destination);

	if (delivery == NULL || !takes_part(delivery) || row->id <= delivery->cursor ||
		braze_delivery_cursor_holds(delivery, row->id, row->queued_at))
		return true;
	if (!has_room(delivery))
	{
		delivery->cursor = row->id - 1;
		delivery->pass = 0;
		braze_delivery_figures_passed(delivery, row->id, row->queued_at);
		return pass_is_wanted(row->id);
	}
	take_row(delivery, row);

	/* at once: an error at a later row must not have this one read again */
	delivery->cursor = row->id;
	braze_delivery_figures_caught_up(delivery, row->id);
	return true;
}

/* from a cursor on; returns how far all that take part have come */
static int64
read_pass(int64 from)
{
	int64		until = reader->cursor;
	int64		reached;
	ListCell   *cell;

	pass++;
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (delivery->behind && delivery->cursor >= from && braze_delivery_can_take(delivery))
			delivery->pass = pass;
	}
	reached = braze_reader_range(reader, from, until, READ_BATCH, consume_backlog, NULL);
	foreach(cell, braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (!takes_part(delivery))
			continue;

		/* those that it has not come to need much room to begin */
		if (delivery->cursor > reached)
			delivery->pass = 0;
		delivery->cursor = Max(delivery->cursor, reached);
		if (delivery->cursor < until)
			continue;
		delivery->behind = false;
		braze_delivery_figures_clear_passed(delivery);
	}
	return reached;
}

/*
 * One pass begins at the lowest cursor, and collects the others on its way, so
 * the queue is read once for all of them.  Nobody waits until it has come to
 * them: a second pass is for those further on, whose cursors take turns.  So a
 * read looks at no more rows when they are many.  True when there is more to
 * read at once.
 */
static bool
read_backlogs(void)
{
	static int64 turn = 0;		/* the second pass is for those from here on */
	int64		from = lowest_cursor(0);
	int64		above;

	if (from == PG_INT64_MAX)
		return false;
	above = read_pass(from) + 1;
	from = lowest_cursor(Max(above, turn));
	if (from == PG_INT64_MAX)
		from = lowest_cursor(above);
	if (from != PG_INT64_MAX)
		turn = read_pass(from) + 1;
	return lowest_cursor(0) != PG_INT64_MAX;
}

/* ----- calls of which the pack has kept the id alone ----- */

/* after a TRUNCATE the id may be that of another destination's call */
static bool
consume_wanted(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = arg;

	if (strcmp(row->destination, NameStr(delivery->name)) != 0)
		return false;
	take_row(delivery, row);
	return true;
}

/* in slices, since there may be as many as a user has calls */
static void
read_wanted(BrazeDelivery *delivery)
{
	for (int i = 0; i < READ_BATCH && has_time(delivery); i++)
	{
		int64		id = braze_delivery_wanted(delivery);

		if (id == 0)
			break;
		if (!braze_reader_look_up(reader, id, consume_wanted, delivery))
			braze_deferred_done(delivery->pack);
	}
}

bool
braze_round_read_may_go_on(void)
{
	ListCell   *cell;

	braze_memory_budget_count();

	/* who has stopped it may hold nothing any more, and be at rest */
	foreach(cell, stopped ? braze_deliveries : braze_deliveries_at_work)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if ((delivery->behind || stopped) && braze_delivery_can_take(delivery) &&
			braze_memory_budget_has_much_room(delivery))
			return true;
		if (braze_delivery_wanted(delivery) != 0)
			return true;
	}
	return false;
}

/* ----- ids that moved backwards ----- */

/*
 * The queue's table is stored in another file than at the last read: it was
 * truncated, perhaps with its sequence, or only rewritten.  Everybody reads
 * it from the start; what is held is not read twice.
 */
static void
start_over(void)
{
	ListCell   *cell;

	braze_queue_count_disturb();
	braze_reader_start_over(reader);
	foreach(cell, braze_deliveries)
	{
		braze_read_failure_reset(lfirst(cell));
		braze_delivery_cursor_start_over(lfirst(cell));
	}
}

static void
free_lists(void)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
		braze_delivery_cursor_free_list(lfirst(cell));
}

/* a row that the cursor has passed, and nobody holds: setval, a restore */
static bool
consume_stray(const BrazeQueueRow *row, void *arg)
{
	BrazeDelivery *delivery = find_delivery(row);

	/*
	 * Not a stray: what its destination reads later in any case, what fills a
	 * hole that is watched, and what is held.
	 */
	if (delivery == NULL || is_for_backlog(delivery, row) || !braze_delivery_can_take(delivery) ||
		braze_holes_contain(reader->holes, row->id) ||
		braze_delivery_cursor_has_call(delivery, row->id, row->queued_at))
		return true;
	if (!has_room(delivery))
		return true;			/* the next pass comes by it */
	braze_stray_log_note(delivery, row->id);
	take_row(delivery, row);
	return true;
}

/*
 * Looks through a slice of the ids that were read, once in a nap: what is
 * there and not held was inserted with an id that the cursor had passed.  It
 * also shows which destinations that are gone have no calls any more.
 * Nothing else depends on it, so it may take its time.
 */
static void
rescan_slice(void)
{
	int64		now = braze_now_ms();
	int64		until = reader->cursor;
	int64		after;
	ListCell   *cell;

	if (now < rescan.next)
		return;
	rescan.next = now + braze_nap;

	/* as it is after the queue was truncated */
	if (rescan.until > until)
		rescan.until = 0;
	if (rescan.until == 0)
		braze_delivery_place_begin();
	if (until - rescan.until > rescan.ids)
		until = rescan.until + rescan.ids;
	free_lists();
	foreach(cell, braze_deliveries)
		braze_delivery_cursor_trim_held(lfirst(cell));
	after = rescan.until;
	rescan.until = braze_reader_range(reader, after, until, RESCAN_ROWS, consume_stray, NULL);
	free_lists();
	braze_stray_log_report(reader->cursor);

	/*
	 * Dead rows cost time, ids that nobody drew do not: one that is far ahead
	 * of the others must not make the rescan last for days.  After a slow
	 * slice, what it has looked at tells how many ids are too many: while the
	 * queue is empty their number has grown beyond any of them.
	 */
	if (braze_now_ms() - now < RESCAN_MS)
		rescan.ids = Min(rescan.ids, PG_INT64_MAX / 2) * 2;
	else
		rescan.ids = Max((rescan.until - after) / 2, RESCAN_IDS);
	if (rescan.until >= reader->cursor)
	{
		braze_delivery_place_end();
		rescan.until = 0;
	}
}

/* ----- a read ----- */

/* true: there is more to be read at once */
static bool
read_all(void)
{
	ListCell   *cell;
	bool		more;

	stopped = out_of_time = false;
	braze_delivery_unreadable_begin();
	foreach(cell, braze_deliveries_at_work)
	{
		((BrazeDelivery *) lfirst(cell))->read_ms = 0;
		braze_delivery_unreadable_look(lfirst(cell));
	}
	braze_memory_budget_count();

	/* TRUNCATE and whatever else rewrites the table give it another file */
	if (OidIsValid(queue_file) && queue_file != reader->queue->rd_rel->relfilenode)
		start_over();
	queue_file = reader->queue->rd_rel->relfilenode;

	/*
	 * Holes come first.  Their rows are older than all others, and a user's
	 * calls are to be sent in the order of their ids as far as that can be.
	 * They may be read again below when a destination steps back, so what
	 * they were held against is listed anew.
	 */
	free_lists();
	braze_reader_holes(reader, consume_hole, NULL);
	free_lists();

	/* the pack holds these by id already; it wants them before anything new */
	foreach(cell, braze_deliveries_at_work)
		read_wanted(lfirst(cell));

	/* the backlogs first: who catches up here takes part in what is new */
	more = read_backlogs();
	if (all_others_behind(NULL))
		braze_oldest_search_look(reader);
	else
	{
		int			rows = braze_reader_new(reader, READ_BATCH, consume_new, NULL);

		more = more || rows == READ_BATCH;
	}
	rescan_slice();
	return more || out_of_time;
}

/*
 * What was read may not be on disk yet if its transaction did not wait for
 * that (synchronous_commit = off).  A read that took nothing flushes nothing,
 * or the others on this server would gain little by not waiting.
 */
static void
flush_rows(void)
{
	if (!unflushed)
		return;
	XLogFlush(braze_wal_end());
	unflushed = false;
}

/* ----- the transaction ----- */

void
braze_round_read_init(void)
{
	MemoryContext old = MemoryContextSwitchTo(braze_round_context);

	reader = braze_reader_create();
	MemoryContextSwitchTo(old);
}

/* for braze_start: what is queued with a lower id comes late */
static void
publish_cursor(void)
{
	BrazeDatabaseSlot *slot;

	if (reader->cursor == published)
		return;
	slot = braze_shmem_lock_own_database(LW_EXCLUSIVE);
	if (slot != NULL)
		slot->highest_read = reader->cursor;
	LWLockRelease(braze_shared->lock);
	published = reader->cursor;
}

static void
read_rows(void *arg)
{
	BrazeReadResult *result = arg;

	if (!braze_reader_begin(reader))
		return;
	*result = read_all() ? BRAZE_READ_MORE : BRAZE_READ_ALL;
	braze_reader_end(reader);
}

BrazeReadResult
braze_round_read_queue(void)
{
	BrazeReadResult result = BRAZE_READ_FAILED;
	ErrorData  *error;

	taken = 0;
	error = braze_round_run("reading the queue", read_rows, &result);
	if (error != NULL)
	{
		result = BRAZE_READ_FAILED;

		/* a lock or a full disk says nothing of the row that was being read */
		if (taking != NULL && !braze_attempt_error_is_passing(error->sqlerrcode))
		{
			braze_read_failure_note(taking, reader->current, error->message);
			result = BRAZE_READ_MORE;	/* others are not to wait for it */
		}
		taking = NULL;
		braze_reader_reset(reader);
	}

	/* also after an error: rows that were taken before it stay in the pack */
	flush_rows();
	publish_cursor();
	if (taken > 0)
		ereport(DEBUG1,
				(errmsg_internal("segment_braze: read %d calls, up to id " INT64_FORMAT,
								 taken, reader->cursor)));
	if (braze_round_lock_is_brief(&locked_since, result == BRAZE_READ_FAILED, error))
		result = BRAZE_READ_LOCKED;
	else
		braze_blocked_report(BRAZE_BLOCKED_READ, result != BRAZE_READ_FAILED ? "" :
							 error != NULL ? error->message : "somebody has locked the table braze_queue");
	if (error != NULL)
		FreeErrorData(error);
	return result;
}

bool
braze_round_read_has_holes(void)
{
	return braze_reader_has_holes(reader);
}
