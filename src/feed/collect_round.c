/*-------------------------------------------------------------------------
 *
 * collect_round.c
 *	  One round of a collector: some calls come from their origin to here.
 *
 * A round is one transaction here and one there.  It deletes there what the
 * rounds before have committed here, reads more, inserts it here with a note,
 * and commits.  Whatever is killed: a call is there, or there and noted, or
 * here alone.  postgres_fdw commits there first, which deletes nothing that is
 * not noted already.
 *
 * What was read by one connection is deleted by the same one only: another may
 * lead to another server, where the same ids are other calls.  After a new
 * connection all is read from the lowest id, and compared with the notes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/attempt.h"
#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/message.h"
#include "destination/destination.h"
#include "feed/collect_batch.h"
#include "feed/collect_commits.h"
#include "feed/collect_cursor.h"
#include "feed/collect_held_back.h"
#include "feed/collect_notes.h"
#include "feed/collect_origin.h"
#include "feed/collect_remote.h"
#include "feed/collect_round.h"
#include "feed/collect_server.h"
#include "queue/deduplicate.h"
#include "queue/queue_table.h"
#include "queue/queued_in_transaction.h"

/*
 * All is read from the lowest id so often: for what comes in other ways, such
 * as an id that was drawn long before its INSERT.  The other one is while an id
 * was read that is far above the others, so that these may come below it.
 */
#define RESCAN_MS		INT64CONST(600000)
#define FAR_RESCAN_MS	INT64CONST(1000)

/* old notes are looked for so often */
#define EXPIRE_MS		INT64CONST(3600000)

static Oid	extension = InvalidOid;
static char *session = NULL;	/* of the connection that was read by; NULL:
								 * none */
static int64 highest_noted;
static int64 scanned_at;		/* from the lowest id */
static int64 expired_at = 0;

/* nothing more is collected; the cursor stands as this asks for */
static bool is_stopping = false;

/*
 * The last round, too, has read all that there was.  A snapshot is older than
 * the lock on the table there, and one that was rewritten in between is empty
 * to it.  So it takes two to say that nothing is left there.
 */
static bool was_all = false;

/* the last error came while a call was inserted: each is tried by itself */
static bool is_careful = false;
static bool is_inserting = false;

/* collected by the rounds before, and to be deleted there */
static int64 *collected_ids = NULL;
static int	ncollected = 0;
static TimestampTz collected_until; /* when the last of them was queued */

/* of the round under way */
typedef struct Batch
{
	const BrazeOrigin *origin;
	BrazeCollectBatch read;
	int64	   *ids;			/* that are collected */
	int64	   *hashes;
	int			count;
	TimestampTz queued_until;	/* when the last of these was queued */
	int64	   *noted;			/* that were, in an earlier round */
	int			nnoted;
} Batch;

bool
braze_collect_round_reset(int sqlstate)
{
	/*
	 * The abort has undone what the round did at the origin, and may have
	 * cost the connection.  So nothing is kept of it: without a session the
	 * next round begins as a first one does, and asks the notes.
	 */
	braze_collect_cursor_reset();
	braze_collect_held_back_reset();
	if (session != NULL)
		pfree(session);
	session = NULL;
	ncollected = 0;
	was_all = false;

	/* which call it was is not known, so each is tried by itself */
	is_careful = is_inserting;
	is_inserting = false;
	return braze_collect_batch_failed(sqlstate);
}

/* ----- transactions ----- */

/* in which the extension cannot be dropped; as a round of the worker */
static void
begin_collecting(void)
{
	const BrazeCatalog *catalog;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(extension))
		extension = get_extension_oid(BRAZE_EXTENSION, true);
	if (OidIsValid(extension))
		LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	catalog = braze_catalog();

	/* the worker says why, and the next one registers others */
	if (catalog == NULL || catalog->extension != extension)
		proc_exit(0);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
}

/* the row may be locked by who has changed nothing yet */
static bool
is_to_stop(const BrazeOrigin *origin)
{
	const BrazeOrigin *wanted;

	if (!braze_collect_table_try_read())
		return is_stopping;
	wanted = braze_collect_table_find(NameStr(origin->server), origin->table);
	if (wanted == NULL || wanted->role != origin->role)
		proc_exit(0);
	return wanted->stopping;
}

static void
commit_collecting(void)
{
	/* the commit here waits for the one at the origin, so it has a limit */
	SPI_finish();
	PopActiveSnapshot();
	braze_collect_remote_commit();
	braze_collect_commits_done();
}

/* ----- one call ----- */

typedef struct Insertion
{
	const BrazeCollectedRow *row;
	Oid			role;
} Insertion;

/*
 * What is queued here obeys the options of its destination here: duplicates of
 * what came from elsewhere are known here alone.  A duplicate counts as
 * collected.
 */
static void
insert_call(void *arg)
{
	const Insertion *insertion = arg;
	const BrazeCollectedRow *row = insertion->row;
	const BrazeDestination *destination = braze_destination_for(row->destination, insertion->role);
	BrazeCallKind kind = strcmp(row->call_kind, "segment") == 0 ? BRAZE_SEGMENT_CALL : BRAZE_DELETE_USER_CALL;
	int			seconds = destination->settings.deduplicate;

	if (seconds > 0 && !braze_deduplicate_remember(row->destination, row->call, seconds, false))
		return;
	(void) braze_queue_table_put_collected(row->destination, row->call, kind, row->queued_at,
										   row->has_objects ? &row->objects : NULL);
	braze_queued_in_transaction_queued(row->destination);
}

/* false: it stays there */
static bool
take_call(const BrazeOrigin *origin, const BrazeCollectedRow *row)
{
	Insertion	insertion = {row, origin->role};
	ErrorData  *error;
	int64		not_before;

	if (!braze_collect_held_back_admits(origin, row))
		return false;
	if (!is_careful)
	{
		/*
		 * an error leaves this set, for braze_collect_round_reset(); a
		 * subtransaction for each call would cost a transaction id each
		 */
		is_inserting = true;
		insert_call(&insertion);
		is_inserting = false;
		return true;
	}
	error = braze_attempt(row->destination, insert_call, &insertion, &not_before);
	if (error == NULL)
		return true;
	if (braze_attempt_is_passing(error))
		ReThrowError(error);
	braze_collect_held_back_add_row(origin, row->id, braze_message_clean(error->message));
	FreeErrorData(error);
	return false;
}

/* ----- reading ----- */

/* true: there are no more */
static bool
read_batch(BrazeCollectBatch *batch)
{
	char	   *condition = braze_collect_cursor_condition();

	/* what has an id above the notes was not collected */
	if (is_stopping)
		return braze_collect_batch_read(batch, NULL) || braze_collect_batch_is_behind_notes(batch);

	/*
	 * What has a lower id comes first.  If that is not all, what is above it
	 * has to wait: one transaction may have inserted both.
	 */
	if (condition != NULL)
	{
		bool		all = braze_collect_batch_read(batch, condition);

		braze_collect_cursor_looked(all, batch->last_id);
		if (!all)
			return false;
	}
	return braze_collect_batch_read(batch, NULL);
}

/*
 * Once all is read: whoever waits for a lock on the queue does not wait for the
 * origin.
 */
static void
take_batch(Batch *batch)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze collected call",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (int i = 0; i < batch->read.count; i++)
	{
		const BrazeCollectedRow *row = &batch->read.rows[i];

		/* who stops deletes what is noted, and collects nothing more */
		if (!row->noted && !is_stopping && take_call(batch->origin, row))
		{
			if (row->has_time)
				batch->queued_until = Max(batch->queued_until, row->queued_at);
			batch->ids[batch->count] = row->id;
			batch->hashes[batch->count++] = row->hash;
		}
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ----- a round ----- */

/*
 * another connection than that of the rounds
 * before: nothing that was known holds
 */
static void
check_session(const BrazeOrigin *origin)
{
	List	   *holders;
	char	   *database;
	char	   *now = braze_collect_remote_look(&database, &holders);
	bool		is_same = (session != NULL && strcmp(session, now) == 0);

	/*
	 * before anything is read or deleted: who holds the table may be another
	 */
	if (!is_stopping)
		braze_collect_origin_require_ours(origin, database);
	if (!is_same)
		braze_collect_cursor_reset();
	braze_collect_cursor_begin(holders);
	if (is_same)
		return;
	braze_collect_origin_require_all_rows(origin);
	if (session != NULL)
		pfree(session);
	session = MemoryContextStrdup(TopMemoryContext, now);
	ncollected = 0;
	was_all = false;
	scanned_at = braze_now_ms();
	highest_noted = braze_collect_notes_highest(origin);
}

static bool
rescan_is_due(void)
{
	return braze_now_ms() - scanned_at >= (braze_collect_cursor_is_far() ? FAR_RESCAN_MS : RESCAN_MS);
}

static void
read_from_start(void)
{
	braze_collect_cursor_rewind();
	braze_collect_held_back_reset();
	was_all = false;
	braze_collect_batch_from_start();
	scanned_at = braze_now_ms();
}

/*
 * What the rounds before have collected.  Others may have deleted some of it
 * there; what is there all the same is found, since it is noted.  Its ids may
 * be those of other calls by now, as after a TRUNCATE there that restarts them:
 * these were queued later.
 */
static void
delete_collected(void)
{
	if (ncollected > 0 &&
		braze_collect_remote_delete(collected_ids, ncollected, collected_until) < ncollected)
		read_from_start();
}

/*
 * They were read in this transaction there, so whoever had deleted them since
 * would have made the statement fail.  If they were left out without an error,
 * they would be collected again once their notes have expired.
 */
static void
delete_noted(const Batch *batch)
{
	int64		deleted = batch->nnoted > 0 ? braze_collect_remote_delete(batch->noted, batch->nnoted, DT_NOEND) : 0;

	if (deleted < batch->nnoted)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the origin did not delete %d of %d calls that were collected",
						batch->nnoted - (int) deleted, batch->nnoted),
				 errhint("Remove the trigger, the rule or the row-level security policy that keeps them in the table %s there.",
						 batch->origin->table)));
}

/* these are the ones to be deleted there, if the transaction commits */
static void
keep_collected(const Batch *batch)
{
	if (collected_ids == NULL)
		collected_ids = MemoryContextAlloc(TopMemoryContext, sizeof(int64) * BRAZE_COLLECT_BATCH_ROWS);
	memcpy(collected_ids, batch->ids, sizeof(int64) * batch->count);
	ncollected = batch->count;
	collected_until = batch->queued_until;
}

void
braze_collect_round_run(const BrazeOrigin *origin, BrazeCollectRound *result)
{
	Batch		batch = {.origin = origin, .queued_until = DT_NOBEGIN};
	const char *staying;
	bool		was_stopping = is_stopping;
	bool		all;

	/* what is deleted below must be safe here; no transaction waits for that */
	braze_collect_commits_wait();
	begin_collecting();
	is_stopping = is_to_stop(origin);
	braze_collect_server_require(NameStr(origin->server), origin->role);
	batch.ids = palloc(sizeof(int64) * BRAZE_COLLECT_BATCH_ROWS);
	batch.hashes = palloc(sizeof(int64) * BRAZE_COLLECT_BATCH_ROWS);
	batch.noted = palloc(sizeof(int64) * BRAZE_COLLECT_BATCH_ROWS);
	braze_collect_remote_prepare(origin);

	/*
	 * First of all that is done there: on another connection the ids of the
	 * rounds before may be those of other calls, which must not be deleted.
	 * These calls are deleted before more is read: a read from the lowest id
	 * would find them again.  If some of them were gone already, such a read
	 * begins in this round.
	 */
	check_session(origin);
	delete_collected();
	if (is_stopping != was_stopping || rescan_is_due() || braze_collect_held_back_is_over(origin->role))
	{
		braze_collect_origin_require_all_rows(origin);
		read_from_start();
	}

	braze_collect_batch_begin(&batch.read, origin, highest_noted, is_stopping);
	all = read_batch(&batch.read);
	for (int i = 0; i < batch.read.count; i++)
	{
		if (batch.read.rows[i].noted)
			batch.noted[batch.nnoted++] = batch.read.rows[i].id;
	}

	/*
	 * From take_batch on the queue here is locked, so all that waits for the
	 * origin comes before it, but the commit.  The notes are written by the
	 * transaction that queues the calls: one without the other would lose
	 * calls, or queue them twice.
	 */
	delete_noted(&batch);
	take_batch(&batch);
	if (batch.count > 0)
		braze_collect_notes_put(origin, batch.ids, batch.hashes, batch.count);
	braze_collect_cursor_end();

	/* what is there and noted has been deleted: in this round, or before it */
	if (all && was_all && (expired_at == 0 || braze_now_ms() - expired_at >= EXPIRE_MS))
	{
		braze_collect_notes_expire(origin);
		expired_at = braze_now_ms();
	}
	if (batch.count > 0)
		highest_noted = Max(highest_noted, batch.ids[batch.count - 1]);

	/* if the commit fails, braze_collect_round_reset() takes this back */
	keep_collected(&batch);
	is_careful = is_careful && !all;
	braze_collect_batch_succeeded(&batch.read, all);
	result->collected = batch.count;
	result->more = (!all || batch.count > 0);
	result->all = all;

	/* before was_all is overwritten: two rounds have to have read all */
	result->stopped = (is_stopping && all && was_all);
	was_all = all;
	if (result->stopped)
		braze_collect_table_remove(origin, true);
	staying = braze_collect_held_back_reason();
	braze_message_copy(result->staying, staying != NULL ? braze_message_clean(staying) : "", sizeof(result->staying));
	commit_collecting();
}

int64
braze_collect_round_waiting(const BrazeOrigin *origin, TimestampTz *oldest)
{
	int64		count;

	begin_collecting();
	braze_collect_remote_prepare(origin);
	count = braze_collect_remote_count(oldest);
	commit_collecting();
	return count;
}
