/*-------------------------------------------------------------------------
 *
 * handover.c
 *	  A queue that logical replication hands over to a node which delivers.
 *
 * The rows are the truth, not the slot: they leave the queue when the other
 * node has them on its disk, so a slot that is lost loses no call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog.h"
#include "compat.h"
#include "delivery.h"
#include "handover.h"
#include "queue.h"
#include "reader.h"
#include "shmem.h"
#include "worker.h"

/* rows of one transaction */
#define HANDOVER_BATCH		5000

/* rows that are remembered until they are confirmed; others are read later */
#define MAX_UNCONFIRMED		200000

/*
 * In how many naps to begin at the first row again: an id that was set back
 * lies behind the cursor, and the row would stay.
 */
#define START_OVER_NAPS		12

typedef struct Passed
{
	BrazeSettleRow row;
	XLogRecPtr	end;			/* its commit lies before */
	bool		deleted;
} Passed;

static MemoryContext handover_context;
static BrazeReader *reader;
static NameData slot_name;		/* empty: not handed over */
static Oid	storage = InvalidOid;

/* ascending by end, but for rows that somebody has locked: they come first */
static Passed *passed;
static int	npassed = 0;
static int	maxpassed = 1024;
static int	ntried = 0;			/* of them, by the transaction under way */
static XLogRecPtr read_until;

/*
 * The place up to which all that was published is on the other node's disk.
 * False when there is no such slot.
 */
static bool
look_at_slot(const char *name, XLogRecPtr *confirmed, bool *active)
{
	bool		found = false;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots && !found; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		if (!slot->in_use || strcmp(NameStr(slot->data.name), name) != 0)
			continue;
		SpinLockAcquire(&slot->mutex);
		found = (slot->data.database == MyDatabaseId);
		*confirmed = slot->data.confirmed_flush;
		*active = (slot->active_pid != 0);
		SpinLockRelease(&slot->mutex);
		break;
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

bool
braze_handover_is_received(const char *name)
{
	XLogRecPtr	confirmed;
	bool		active = false;

	return look_at_slot(name, &confirmed, &active) && active;
}

static void
report(void)
{
	BrazeDatabaseSlot *slot;

	LWLockAcquire(braze_shared->lock, LW_EXCLUSIVE);
	slot = braze_database_slot(MyDatabaseId, false);
	if (slot != NULL)
		slot->handed_over = slot_name;
	LWLockRelease(braze_shared->lock);
}

void
braze_handover_init(void)
{
	MemoryContext old;

	handover_context = AllocSetContextCreate(TopMemoryContext,
											 "segment_braze handover",
											 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(handover_context);
	reader = braze_reader_create();
	passed = palloc(sizeof(Passed) * maxpassed);
	MemoryContextSwitchTo(old);
	report();
}

static void
set_slot_name(const char *name)
{
	if (strcmp(NameStr(slot_name), name) == 0)
		return;
	namestrcpy(&slot_name, name);
	npassed = ntried = 0;
	braze_reader_start_over(reader);
	report();
}

/*
 * A promoted standby has a copy of the table and another slot, if any; and one
 * that was created anew under the name has not seen what was queued before.
 * Neither is what braze_hand_over was told of.
 */
static void
forget(const char *table, const char *name, const char *why)
{
	char	   *statement = psprintf("DELETE FROM %s", table);

	if (SPI_execute(statement, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not forget a replication slot");
	ereport(LOG,
			(errmsg("segment_braze: the queue is no longer handed over to replication slot \"%s\"", name),
			 errdetail("%s", why),
			 errhint("Create the subscription again, and call braze_hand_over.")));
}

/* NULL: to none.  A timeline is written as the names of its WAL files begin. */
static char *
recorded_slot(const char *table, bool *same_timeline)
{
	char	   *statement;
	char	   *name = NULL;

	statement = psprintf("SELECT slot_name, timeline OPERATOR(pg_catalog.=) "
						 "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) "
						 "FROM %s", table);
	if (SPI_execute(statement, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read braze_replication");
	if (SPI_processed > 0)
	{
		bool		isnull;

		name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		*same_timeline = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 2, &isnull));
	}
	return name;
}

void
braze_handover_refresh(void)
{
	const char *table = braze_table_name("braze_replication");
	bool		same_timeline = false;
	XLogRecPtr	confirmed;
	bool		active;
	char	   *name;

	SPI_connect();
	name = recorded_slot(table, &same_timeline);
	if (name != NULL && !same_timeline)
		forget(table, name, "This server was a standby, and has been promoted since.");
	else if (name != NULL && !look_at_slot(name, &confirmed, &active))
		forget(table, name, "There is no such slot any more.");
	else
	{
		set_slot_name(name != NULL ? name : "");
		name = NULL;
	}
	if (name != NULL)
		set_slot_name("");
	SPI_finish();
}

bool
braze_handed_over(void)
{
	return NameStr(slot_name)[0] != '\0';
}

bool
braze_handover_waits(void)
{
	return npassed > 0 || braze_reader_has_holes(reader);
}

static bool
consume(const BrazeQueueRow *row, void *arg)
{
	Passed	   *one;
	bool	   *stop_when_full = arg;

	if (*stop_when_full && npassed >= MAX_UNCONFIRMED)
		return false;
	if (npassed == maxpassed)
	{
		passed = repalloc_huge(passed, sizeof(Passed) * maxpassed * 2);
		maxpassed *= 2;
	}
	one = &passed[npassed++];
	one->row.id = row->id;
	one->row.storage = row->storage;
	one->row.tid = row->tid;
	one->row.queued_at = row->queued_at;
	one->end = read_until;
	one->deleted = false;
	return true;
}

bool
braze_handover_read(bool *more)
{
	static int64 start_over_at = 0;
	bool		stop_when_full = false;
	int64		now = braze_now_ms();

	if (!braze_reader_begin(reader))
		return false;
	if (OidIsValid(storage) && storage != reader->queue->rd_rel->relfilenode)
		braze_reader_start_over(reader);
	storage = reader->queue->rd_rel->relfilenode;
	if (npassed == 0 && now >= start_over_at)
	{
		braze_reader_start_over(reader);
		start_over_at = now + START_OVER_NAPS * (int64) braze_nap;
	}

	/* what this snapshot shows was committed before */
	read_until = braze_wal_end();
	braze_reader_holes(reader, consume, &stop_when_full);
	stop_when_full = true;
	if (braze_reader_new(reader, HANDOVER_BATCH, consume, &stop_when_full) == HANDOVER_BATCH)
		*more = true;
	braze_reader_end(reader);
	return true;
}

bool
braze_handover_delete(bool *more)
{
	XLogRecPtr	confirmed;
	bool		active;
	bool		any = false;
	BrazeSettler settler;

	ntried = 0;
	if (npassed == 0 ||
		!look_at_slot(NameStr(slot_name), &confirmed, &active) ||
		passed[0].end > confirmed)
		return true;
	if (!braze_settle_begin(&settler))
		return false;
	while (ntried < npassed && ntried < HANDOVER_BATCH && passed[ntried].end <= confirmed)
	{
		Passed	   *one = &passed[ntried++];

		one->deleted = (braze_settle_delete(&settler, &one->row) == BRAZE_SETTLED);
		any = any || one->deleted;
	}
	braze_settle_end(&settler);
	if (any && ntried == HANDOVER_BATCH)
		*more = true;
	return true;
}

void
braze_handover_end(bool committed)
{
	int			kept = 0;

	for (int i = 0; i < ntried; i++)
	{
		if (!committed)
			passed[i].deleted = false;
		if (!passed[i].deleted)
			passed[kept++] = passed[i];
	}
	memmove(&passed[kept], &passed[ntried], sizeof(Passed) * (npassed - ntried));
	npassed -= ntried - kept;
	ntried = 0;
}

void
braze_handover_reset(void)
{
	braze_reader_reset(reader);
	braze_handover_end(false);
}
