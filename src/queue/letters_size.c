/*-------------------------------------------------------------------------
 *
 * letters_size.c
 *	  What the dead letters of a destination take up, for max_queue_size.
 *
 * Who may queue calls may queue invalid ones, so what becomes of these has a
 * bound as well.  As long as the whole table is smaller than the limit, there
 * is room.  Beyond that the table is read, seldom, and what sessions add is
 * counted until the next reading.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "queue/column_values.h"
#include "queue/letters_size.h"
#include "queue/queue_size.h"
#include "queue/queued_in_transaction.h"

/* the letters are read again this late, */
#define READ_AGAIN_MS	10000
/* or after so many times what the last reading took: it costs 2 % at most */
#define READ_SHARE		50

/* which of the advisory locks' fields keeps ours apart from the users' */
#define READ_LOCK_FIELD	81

/* also those of transactions that are open, this one's too */
static int64
read_letters_bytes(const char *destination)
{
	static const int columns[] = {BRAZE_DEAD_CALL, BRAZE_DEAD_CALL_TEXT};
	Relation	letters = braze_catalog_open(braze_catalog_required()->dead_letters, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(letters, NULL);
	SnapshotData dirty;
	TableScanDesc scan;
	int64		bytes = 0;

	InitDirtySnapshot(dirty);
	scan = table_beginscan_strat(letters, &dirty, 0, NULL, true, false);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		NameData	name;

		CHECK_FOR_INTERRUPTS();
		slot_getsomeattrs(slot, Max(BRAZE_DEAD_CALL, BRAZE_DEAD_CALL_TEXT));
		if (slot->tts_isnull[BRAZE_DEAD_DESTINATION - 1])
			continue;
		braze_column_values_destination(slot->tts_values[BRAZE_DEAD_DESTINATION - 1], &name);
		for (int i = 0; strcmp(NameStr(name), destination) == 0 && i < lengthof(columns); i++)
		{
			if (!slot->tts_isnull[columns[i] - 1])
				bytes += toast_datum_size(slot->tts_values[columns[i] - 1]);
		}
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(letters, AccessShareLock);
	return bytes;
}

/* unless another session is at it */
static void
read_letters(BrazeSizeCounter *size, const char *destination)
{
	LOCKTAG		tag;
	int64		start;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, braze_catalog_required()->dead_letters, 0,
						 READ_LOCK_FIELD);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	start = braze_now_ms();
	pg_atomic_write_u64(&size->letters, read_letters_bytes(destination));
	size->letters_read_at = braze_now_ms();
	size->letters_read_ms = (int) Min(size->letters_read_at - start, 3600 * 1000);
	LockRelease(&tag, ExclusiveLock, false);
}

static bool
letters_have_room(BrazeSizeCounter *size, const char *destination, int64 limit, int64 bytes)
{
	/* nobody's letters take up more than the files do */
	if (braze_queue_size_files(braze_catalog_required()->dead_letters) + bytes <= limit)
		return true;
	if (size->letters_read_at == 0 ||
		braze_now_ms() >= size->letters_read_at + Max(READ_AGAIN_MS, size->letters_read_ms * READ_SHARE))
		read_letters(size, destination);

	/* as long as nobody knows, nobody is refused */
	return size->letters_read_at == 0 ||
		(int64) pg_atomic_read_u64(&size->letters) + bytes <= limit;
}

bool
braze_letters_size_has_room(const char *destination, int64 limit, int64 bytes)
{
	BrazeTally *tally = braze_queued_in_transaction(destination);

	if (!letters_have_room(tally->size, destination, limit, bytes))
		return false;

	/* a rollback takes it back, also when the table was read in between */
	tally->letters += bytes;
	pg_atomic_fetch_add_u64(&tally->size->letters, bytes);
	return true;
}
