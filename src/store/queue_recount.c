/*-------------------------------------------------------------------------
 *
 * queue_recount.c
 *	  Counting the rows of the queue anew, while others write to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/queue_count.h"
#include "base/size_counter.h"
#include "store/queue_recount.h"
#include "store/reader.h"

/*
 * a slice takes about so long; dead rows cost time, ids that nobody drew do not
 */
#define SLICE_MS		4
#define SLICE_IDS		5000
#define SLICE_ROWS		5000

/* between slices, so that the rounds of others come first */
#define PAUSE_MS		1

/* while those who may insert rows are waited for; later a tenth of that time */
#define WAIT_MS			20
#define MAX_WAIT_MS		1000

/* a count begins so many times what the last one took after it */
#define COUNT_SHARE		5

/*
 * looks, a nap apart, that find another difference to the statistics: a minute
 */
#define MAX_ODD_LOOKS	12

/* somebody draws an id each time that we look */
#define MAX_LOOKS		100

typedef enum Phase
{
	COUNTED,					/* or disturbed since */
	WAITING,					/* for who may insert rows up to the bound */
	COUNTING
} Phase;

static BrazeReader *reader;
static Phase phase = COUNTED;
static uint32 begun_at = 0;		/* what had disturbed it when it began */
static int64 bound = 0;
static int64 counted = 0;		/* the rows up to this id are */
static int64 slice = SLICE_IDS;
static VirtualTransactionId *inserters = NULL;
static int	ninserters = 0;
static int64 next = 0;			/* when to go on */
static int64 waiting_since = 0;
static int64 took = 0;			/* milliseconds of the count under way */
static int64 next_comparison = 0;
static bool compared = false;	/* with the statistics, since that count */

/* of the slice under way; there are few destinations */
typedef struct Found
{
	struct Found *next;
	NameData	destination;
	BrazeQueued queued;
} Found;

static Found *found = NULL;

void
braze_queue_recount_init(void)
{
	reader = braze_reader_create();

	/* the worker before may have deleted rows and ended before it said so */
	braze_queue_count_disturb();
}

bool
braze_queue_recount_has(int64 id)
{
	return phase == COUNTED || id > bound || (phase == COUNTING && id <= counted);
}

int64
braze_queue_recount_due(void)
{
	return phase != COUNTED || begun_at != braze_queue_count_disturbed() ? next : next_comparison;
}

/* ----- the bound ----- */

/* the last id that was drawn, 0: none */
static int64
last_id(void)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		value;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(braze_catalog_required()->queue_sequence);
	fcinfo->args[0].isnull = false;
	value = pg_sequence_last_value(fcinfo);
	return fcinfo->isnull ? 0 : DatumGetInt64(value);
}

/*
 * Whoever draws an id looks at the bound afterwards.  So when no id above it
 * was drawn until it is published, each one is drawn by who knows it.  Ids that
 * nobody drew are those of replicated rows, say: of these none may be there.
 */
static bool
publish_bound(void)
{
	bound = braze_reader_highest(reader, last_id());
	for (int i = 0; i < MAX_LOOKS; i++)
	{
		int64		highest;

		braze_queue_count_begin(bound);
		highest = braze_reader_highest(reader, Max(last_id(), bound));
		if (highest == bound)
			return true;
		bound = highest;
	}
	return false;
}

/*
 * True: the bound is published, and the count goes on once those who may not
 * have known it have ended.  False: it has not begun, and is to be tried again,
 * since somebody has locked something or ids are drawn too fast.
 */
static bool
begin_count(void)
{
	const BrazeCatalog *catalog = braze_catalog_required();
	uint32		disturbed = braze_queue_count_disturbed();

	if (!braze_catalog_try_lock(catalog->queue_sequence, RowExclusiveLock) ||
		!braze_reader_begin(reader))
		return false;
	if (!publish_bound())
	{
		braze_reader_end(reader);
		return false;
	}

	/* who has inserted, and may not have known the bound, has the lock still */
	braze_holes_begin(reader->holes, catalog->queue);
	ninserters = reader->holes->nowners;
	if (inserters != NULL)
		pfree(inserters);
	inserters = MemoryContextAlloc(reader->holes->context, sizeof(*inserters) * Max(ninserters, 1));
	memcpy(inserters, reader->holes->owners, sizeof(*inserters) * ninserters);
	braze_reader_end(reader);
	begun_at = disturbed;
	waiting_since = braze_now_ms();
	phase = WAITING;
	took = 0;
	return true;
}

static bool
has_lock(VirtualTransactionId transaction)
{
	for (int i = 0; i < reader->holes->nowners; i++)
	{
		if (VirtualTransactionIdEquals(reader->holes->owners[i], transaction))
			return true;
	}
	return false;
}

/* the next snapshot shows what those have committed who have ended */
static void
look_for_inserters(void)
{
	int			kept = 0;

	for (int i = 0; i < ninserters; i++)
	{
		if (has_lock(inserters[i]))
			inserters[kept++] = inserters[i];
	}
	ninserters = kept;
	if (kept > 0)
		return;
	braze_queue_count_all_inserted();
	counted = 0;
	slice = SLICE_IDS;
	phase = COUNTING;
}

/* ----- the rows ----- */

static bool
add_to_found(const BrazeQueueRow *row, void *arg)
{
	Found	  **link = &found;
	Found	   *entry;

	/* the last one comes first: rows of a destination come one after another */
	while (*link != NULL && strcmp(NameStr((*link)->destination), row->destination) != 0)
		link = &(*link)->next;
	entry = *link;
	if (entry == NULL)
	{
		entry = palloc0(sizeof(Found));
		namestrcpy(&entry->destination, row->destination);
	}
	else
		*link = entry->next;
	entry->next = found;
	found = entry;
	entry->queued.calls++;
	entry->queued.bytes += toast_datum_size(row->call);
	return true;
}

static void
count_slice(void)
{
	int64		began = braze_now_ms();
	int64		until = bound - counted > slice ? counted + slice : bound;
	int64		reached;

	found = NULL;
	reached = braze_reader_range(reader, counted, until, SLICE_ROWS, add_to_found, NULL);
	for (const Found *entry = found; entry != NULL; entry = entry->next)
		braze_size_counter_add_anew(braze_size_counter_of(NameStr(entry->destination)), &entry->queued);

	/*
	 * The ids before the first row are passed in no time, however many they
	 * are.  So a slice has a bound of rows, too, and after a slow one what it
	 * has passed tells how many ids are too many.
	 */
	if (braze_now_ms() - began < SLICE_MS)
		slice = Min(slice, PG_INT64_MAX / 2) * 2;
	else if (braze_now_ms() - began > 2 * SLICE_MS)
		slice = Max((reached - counted) / 2, SLICE_IDS);
	counted = reached;
	if (counted < bound)
		return;
	braze_queue_count_end(begun_at);
	phase = COUNTED;
	compared = false;
	next_comparison = 0;		/* triggers may be off */
}

/* ----- what nobody told of ----- */

/* one that is disabled counts nothing */
static bool
are_triggers_on(void)
{
	const		TriggerDesc *triggers = reader->queue->trigdesc;
	int			found = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		bool		on = (trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
						  trigger->tgenabled == TRIGGER_FIRES_ALWAYS);

		if (strcmp(trigger->tgname, "braze_notify_queued") == 0 ||
			strcmp(trigger->tgname, "braze_notify_deleted") == 0)
			found += on;
	}
	return found == 2;
}

/*
 * PostgreSQL's own figure is late, and may be wrong by any number after a crash
 * or a VACUUM.  But when it goes away from ours by more than what came and went
 * lately, and stays there, somebody has changed rows unnoticed.
 */
static bool
compare_with_statistics(void)
{
	static int64 usual = 0;
	static int64 moved[2];
	static int	odd = 0;
	int64		now;
	int64		difference = DatumGetInt64(DirectFunctionCall1(pg_stat_get_live_tuples,
															   ObjectIdGetDatum(RelationGetRelid(reader->queue)))) -
	braze_queue_count_calls(&now);
	int64		lately = now - moved[0];

	moved[0] = moved[1];
	moved[1] = now;
	if (!compared)
	{
		usual = difference;
		compared = true;
		odd = 0;
	}
	odd = (llabs(difference - usual) <= lately) ? 0 : odd + 1;
	return odd < MAX_ODD_LOOKS;
}

static void
look_for_changes(void)
{
	static bool triggers_on = true;
	bool		were_on = triggers_on;

	triggers_on = are_triggers_on();
	if (!triggers_on)
		braze_queue_count_doubt();
	if ((triggers_on && !were_on) || !compare_with_statistics())
		braze_queue_count_disturb();
}

void
braze_queue_recount_step(void *arg)
{
	int64		now = braze_now_ms();
	bool		done = false;

	/* disturbed under way: what it took counts, too */
	if (phase != COUNTED && begun_at != braze_queue_count_disturbed())
	{
		phase = COUNTED;
		next = now + took * COUNT_SHARE;
		return;
	}
	if (phase == COUNTED && begun_at == braze_queue_count_disturbed())
	{
		next_comparison = now + braze_nap;
		if (braze_reader_begin(reader))
		{
			look_for_changes();
			braze_reader_end(reader);
		}
		return;
	}
	next = now + Min(Max(WAIT_MS, phase == WAITING ? (now - waiting_since) / 10 : 0), MAX_WAIT_MS);
	if (phase == COUNTED)
		done = begin_count();
	else if (braze_reader_begin(reader))
	{
		if (phase == WAITING)
			look_for_inserters();
		else
			count_slice();
		braze_reader_end(reader);
		done = (phase != WAITING);
	}
	took += braze_now_ms() - now;
	if (done)
		next = braze_now_ms() + (phase == COUNTED ? took * COUNT_SHARE : PAUSE_MS);
}
