/*-------------------------------------------------------------------------
 *
 * reader.c
 *	  Reading braze_queue in the order of its ids, each row once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table_write.h"
#include "queue/column_values.h"
#include "store/fetch_row.h"
#include "store/reader.h"

BrazeReader *
braze_reader_create(void)
{
	BrazeReader *reader = palloc0(sizeof(BrazeReader));

	reader->holes = braze_holes_create();
	return reader;
}

bool
braze_reader_begin(BrazeReader *reader)
{
	const BrazeCatalog *catalog = braze_catalog_required();

	/* never wait: requests are under way, and whoever locks it may take long */
	if (!braze_table_write_try_lock(catalog->queue, AccessShareLock))
		return false;
	reader->queue = table_open(catalog->queue, NoLock);
	reader->pkey = index_open(catalog->queue_pkey, AccessShareLock);
	reader->slot = table_slot_create(reader->queue, NULL);
	reader->snapshot = GetActiveSnapshot();

	/*
	 * after the snapshot was taken: who ended in between counts as ended, see
	 * holes.h
	 */
	braze_holes_begin(reader->holes, catalog->queue);
	if (!reader->begun)
		reader->first_highest = braze_reader_highest(reader, 0);
	reader->begun = true;
	return true;
}

void
braze_reader_start_over(BrazeReader *reader)
{
	reader->cursor = 0;
	braze_holes_clear(reader->holes);
}

void
braze_reader_end(BrazeReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
	index_close(reader->pkey, AccessShareLock);
	table_close(reader->queue, AccessShareLock);
	braze_reader_reset(reader);
}

void
braze_reader_reset(BrazeReader *reader)
{
	reader->slot = NULL;
	reader->pkey = NULL;
	reader->queue = NULL;
	reader->current = 0;
}

/*
 * an error of the consumer leaves current as it is, and the caller looks there
 */
static bool
pass_to_consumer(BrazeReader *reader, BrazeConsumer consumer, void *arg, int64 *id)
{
	TupleTableSlot *slot = reader->slot;
	BrazeQueueRow row;
	NameData	destination;
	bool		taken;

	slot_getsomeattrs(slot, BRAZE_QUEUE_COLUMNS);
	row.id = *id = DatumGetInt64(slot->tts_values[BRAZE_QUEUE_ID - 1]);
	reader->current = row.id;
	row.tid = slot->tts_tid;
	row.storage = reader->queue->rd_rel->relfilenode;
	braze_column_values_destination(slot->tts_values[BRAZE_QUEUE_DESTINATION - 1], &destination);
	row.destination = NameStr(destination);
	row.call = slot->tts_values[BRAZE_QUEUE_CALL - 1];
	row.kind = braze_segment_call_kind_stored(slot->tts_values[BRAZE_QUEUE_CALL_KIND - 1]);
	row.queued_at = DatumGetTimestampTz(slot->tts_values[BRAZE_QUEUE_QUEUED_AT - 1]);
	row.was_there = (row.id <= reader->first_highest);
	row.all_objects = slot->tts_isnull[BRAZE_QUEUE_OBJECTS - 1];
	row.objects = slot->tts_values[BRAZE_QUEUE_OBJECTS - 1];
	taken = consumer(&row, arg);
	reader->current = 0;
	return taken;
}

static IndexScanDesc
begin_scan(BrazeReader *reader, int64 after, int64 until)
{
	ScanKeyData keys[2];
	IndexScanDesc scan;

	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(after));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(until));
	scan = braze_index_beginscan(reader->queue, reader->pkey, reader->snapshot,
								 lengthof(keys));
	index_rescan(scan, keys, lengthof(keys), NULL, 0);
	return scan;
}

static bool
next_row(BrazeReader *reader, IndexScanDesc scan)
{
	return index_getnext_slot(scan, ForwardScanDirection, reader->slot);
}

/*
 * every id of a range that is there now; *place follows the range's last part
 */
static void
look_into(BrazeReader *reader, int *place, BrazeConsumer consumer, void *arg)
{
	BrazeHoles *holes = reader->holes;
	BrazeHole	range = holes->ranges[*place];
	IndexScanDesc scan = begin_scan(reader, range.low - 1, range.high);
	int64		last = range.low - 1;
	bool		mixed = range.mixed;

	/*
	 * in a mixed range there are ids that were read, and the consumer must
	 * know
	 */
	reader->read_before = mixed;
	while (next_row(reader, scan))
	{
		/*
		 * What may fail comes first.  Once the consumer has the row, no error
		 * may keep the hole from being filled, or the row would be read
		 * twice.
		 */
		braze_holes_reserve(holes);
		if (!pass_to_consumer(reader, consumer, arg, &last))
			elog(ERROR, "a call that fills a hole in the queue was not taken");
		if (braze_holes_fill(holes, *place, last))
			(*place)++;

		/*
		 * filling may make it mixed, when there is no place for one more
		 * range
		 */
		if (last < range.high)
			mixed = holes->ranges[*place].mixed;
	}
	index_endscan(scan);

	/* what is left of the range stands at this place unless it was filled up */
	if (last < range.high || mixed)
		(*place)++;
}

void
braze_reader_holes(BrazeReader *reader, BrazeConsumer consumer, void *arg)
{
	BrazeHoles *holes = reader->holes;
	int			place = 0;

	while (place < holes->nranges)
	{
		BrazeHoleGeneration *generation = holes->ranges[place].generation;

		/* of the others no owner has ended, so nothing can have come */
		if (generation->due || generation->final)
			look_into(reader, &place, consumer, arg);
		else
			place++;
	}
	braze_holes_end_look(holes);
}

int
braze_reader_new(BrazeReader *reader, int max_rows, BrazeConsumer consumer,
				 void *arg)
{
	BrazeHoles *holes = reader->holes;
	IndexScanDesc scan = begin_scan(reader, reader->cursor, PG_INT64_MAX);
	int			rows = 0;

	while (rows < max_rows && next_row(reader, scan))
	{
		int64		id;

		/* as in look_into: after the consumer nothing may fail */
		braze_holes_reserve(holes);
		if (!pass_to_consumer(reader, consumer, arg, &id))
			break;
		if (id > reader->cursor + 1)
			braze_holes_add(holes, reader->cursor + 1, id - 1);

		/* last: until here an error has the row read again */
		reader->cursor = id;
		rows++;
	}
	index_endscan(scan);
	return rows;
}

int64
braze_reader_range(BrazeReader *reader, int64 after, int64 until, int max_rows,
				   BrazeConsumer consumer, void *arg)
{
	IndexScanDesc scan = begin_scan(reader, after, until);
	int64		last = after;

	while (max_rows-- > 0)
	{
		int64		id;

		if (!next_row(reader, scan))
		{
			last = until;
			break;
		}
		if (!pass_to_consumer(reader, consumer, arg, &id))
			break;
		last = id;
	}
	index_endscan(scan);
	return last;
}

int64
braze_reader_highest(BrazeReader *reader, int64 after)
{
	Snapshot	snapshot = reader->snapshot;
	IndexScanDesc scan;
	int64		id = after;

	reader->snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = begin_scan(reader, after, PG_INT64_MAX);
	if (index_getnext_slot(scan, BackwardScanDirection, reader->slot))
	{
		slot_getsomeattrs(reader->slot, BRAZE_QUEUE_ID);
		id = DatumGetInt64(reader->slot->tts_values[BRAZE_QUEUE_ID - 1]);
	}
	index_endscan(scan);
	UnregisterSnapshot(reader->snapshot);
	reader->snapshot = snapshot;
	return id;
}

bool
braze_reader_look_up(BrazeReader *reader, int64 id, BrazeConsumer consumer, void *arg)
{
	if (!braze_fetch_row_by_id(reader->queue, reader->pkey, reader->snapshot, id, reader->slot))
		return false;
	return pass_to_consumer(reader, consumer, arg, &id);
}

bool
braze_reader_has_holes(const BrazeReader *reader)
{
	return reader->holes->nranges > 0;
}
