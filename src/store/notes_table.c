/*-------------------------------------------------------------------------
 *
 * notes_table.c
 *	  Counting what the mapping left out: braze_notes.
 *
 * Counts are collected in memory and added to the table now and then, so that
 * a note that a million calls have in common costs one row and few updates.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "store/notes_table.h"

/* what stands for all notes beyond the bound, once for each outcome */
static const char other_notes[] = "Further notes were not counted one by one.";
#define OUTCOMES		(BRAZE_REJECT + 1)

/* distinct notes in memory, of all destinations, until they are in the table */
#define MAX_IN_MEMORY	10000

typedef struct NoteKey
{
	NameData	destination;
	BrazeOutcome outcome;
	uint64		hash;			/* of the sentence; equal hash, equal note */
} NoteKey;

typedef struct NoteCount
{
	NoteKey		key;
	char	   *sentence;
	int64		calls;			/* not in the table yet */
	bool		stored;			/* by the transaction under way */
	int64		last_id;
	TimestampTz last_at;
} NoteCount;

/* of one destination, in memory; or, while they are stored, in the table */
typedef struct NoteTotal
{
	NameData	destination;
	int			notes;			/* distinct ones, but for what stands for
								 * others */
} NoteTotal;

static HTAB *counts;
static HTAB *totals;
static MemoryContext notes_context;

static HTAB *
create_totals(MemoryContext context)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(NameData);
	control.entrysize = sizeof(NoteTotal);
	control.hcxt = context;
	return hash_create("segment_braze destinations with notes", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
begin_counting(void)
{
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(NoteKey);
	control.entrysize = sizeof(NoteCount);
	control.hcxt = notes_context;
	counts = hash_create("segment_braze notes", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	totals = create_totals(notes_context);
}

void
braze_notes_table_init(void)
{
	notes_context = AllocSetContextCreate(TopMemoryContext, "segment_braze notes",
										  ALLOCSET_DEFAULT_SIZES);
	begin_counting();
}

static NoteTotal *
total_of(HTAB *all, const NameData *destination, bool *found)
{
	NoteTotal  *total = hash_search(all, destination, HASH_ENTER, found);

	if (!*found)
		total->notes = 0;
	return total;
}

/* one call more, in memory, of which the mapping said this sentence */
static void
count_one(const char *destination, BrazeOutcome outcome, const char *sentence,
		  int length, int64 id)
{
	NoteKey		key;
	NoteCount  *count;
	bool		found;

	memset(&key, 0, sizeof(key));
	namestrcpy(&key.destination, destination);
	key.outcome = outcome;
	key.hash = hash_bytes_extended((const unsigned char *) sentence, length, 0);
	count = hash_search(counts, &key, HASH_FIND, NULL);
	if (count == NULL)
	{
		NoteTotal  *total = total_of(totals, &key.destination, &found);

		/*
		 * Sentences quote names that callers choose, so there may be millions
		 * of them.  Beyond the bound they are counted together; that one line
		 * for each outcome is always there.
		 */
		if (sentence != other_notes)
		{
			if (total->notes >= BRAZE_MAX_SERVER_NOTES - OUTCOMES ||
				hash_get_num_entries(counts) >= MAX_IN_MEMORY)
			{
				count_one(destination, outcome, other_notes, sizeof(other_notes) - 1, id);
				return;
			}
			total->notes++;
		}
		count = hash_search(counts, &key, HASH_ENTER, &found);
		count->calls = 0;
		count->stored = false;
		count->sentence = MemoryContextAlloc(notes_context, length + 1);
		memcpy(count->sentence, sentence, length);
		count->sentence[length] = '\0';
	}
	count->calls++;
	count->last_id = id;
	count->last_at = GetCurrentTimestamp();
}

void
braze_notes_table_count(const char *destination, int64 id, const BrazeMapped *mapped)
{
	for (int i = 0; i < mapped->nnotes; i++)
	{
		BrazeSpan	span = mapped->notes[i].sentence;

		count_one(destination, mapped->outcome, mapped->text.data + span.offset,
				  span.length, id);
	}
}

void
braze_notes_table_add(const char *destination, int64 id, const char *sentence)
{
	count_one(destination, BRAZE_SEND, sentence, strlen(sentence), id);
}

static const char *
outcome_name(BrazeOutcome outcome)
{
	switch (outcome)
	{
		case BRAZE_SEND:
			return "send";
		case BRAZE_SKIP:
			return "skip";
		case BRAZE_REJECT:
			return "reject";
	}
	return "unknown";
}

/* returns how many rows were found, or written */
static uint64
run_for_note(Relation rel, CmdType operation, const NoteCount *count, const char *note, char *text)
{
	static const Oid types[6] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[6];
	BrazeStatement statement = {rel, operation, text, operation == CMD_SELECT ? 3 : 6, types, values};

	values[0] = CStringGetTextDatum(NameStr(count->key.destination));
	values[1] = CStringGetTextDatum(outcome_name(count->key.outcome));
	values[2] = CStringGetTextDatum(note);
	values[3] = Int64GetDatum(count->calls);
	values[4] = Int64GetDatum(count->last_id);
	values[5] = TimestampTzGetDatum(count->last_at);
	return braze_statement_run(&statement);
}

typedef enum NoteResult
{
	NOTE_WRITTEN,
	NOTE_IS_NEW,
	NOTE_IS_LOCKED				/* it is not waited for, its count stays */
}			NoteResult;

/* adds a count to a note that is there */
static NoteResult
update_note(Relation rel, const NoteCount *count, const char *note)
{
	static const char key[] = "destination OPERATOR(pg_catalog.=) $1 "
	"AND outcome OPERATOR(pg_catalog.=) $2 AND note OPERATOR(pg_catalog.=) $3";
	char	   *table = braze_statement_table(rel);

	if (run_for_note(rel, CMD_UPDATE, count, note,
					 psprintf("UPDATE %s SET calls = calls OPERATOR(pg_catalog.+) $4, last_id = $5, last_at = $6 "
							  "WHERE ctid OPERATOR(pg_catalog.=) "
							  "(SELECT ctid FROM %s WHERE %s FOR NO KEY UPDATE SKIP LOCKED)", table, table, key)) > 0)
		return NOTE_WRITTEN;
	return run_for_note(rel, CMD_SELECT, count, note, psprintf("SELECT FROM %s WHERE %s", table, key)) > 0 ?
		NOTE_IS_LOCKED : NOTE_IS_NEW;
}

static void
insert_note(Relation rel, const NoteCount *count, const char *note)
{
	(void) run_for_note(rel, CMD_INSERT, count, note,
						psprintf("INSERT INTO %s (destination, outcome, note, calls, last_id, last_at) "
								 "VALUES ($1, $2, $3, $4, $5, $6)", braze_statement_table(rel)));
}

static int
count_in_table(Relation rel, const NameData *destination)
{
	static const Oid type = TEXTOID;
	Datum		value = CStringGetTextDatum(NameStr(*destination));
	BrazeStatement statement = {rel, CMD_SELECT, NULL, 1, &type, &value};

	statement.text = psprintf("SELECT FROM %s WHERE destination OPERATOR(pg_catalog.=) $1 "
							  "AND note OPERATOR(pg_catalog.<>) '%s' LIMIT %d",
							  braze_statement_table(rel), other_notes, BRAZE_MAX_SERVER_NOTES);
	return (int) braze_statement_run(&statement);
}

static bool
store_one(Relation rel, HTAB *in_table, const NoteCount *count)
{
	const char *note = count->sentence;
	NoteResult	result = update_note(rel, count, note);
	NoteTotal  *total;
	bool		found;

	if (result != NOTE_IS_NEW)
		return result == NOTE_WRITTEN;
	total = total_of(in_table, &count->key.destination, &found);
	if (!found)
		total->notes = count_in_table(rel, &total->destination);
	if (strcmp(note, other_notes) == 0)
		 /* there is room for it */ ;
	else if (total->notes < BRAZE_MAX_SERVER_NOTES - OUTCOMES)
		total->notes++;
	else
	{
		note = other_notes;
		result = update_note(rel, count, note);
		if (result != NOTE_IS_NEW)
			return result == NOTE_WRITTEN;
	}
	insert_note(rel, count, note);
	return true;
}

bool
braze_notes_table_are_due(void)
{
	return hash_get_num_entries(counts) > 0;
}

int
braze_notes_table_store(void)
{
	Oid			table = braze_catalog_required()->notes;
	Relation	rel;
	HTAB	   *in_table;
	HASH_SEQ_STATUS status;
	NoteCount  *count;
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;

	hash_seq_init(&status, counts);
	while ((count = hash_seq_search(&status)) != NULL)
		count->stored = false;

	/* they can wait, and nobody is to wait for them */
	if (!braze_table_write_try_lock(table, RowExclusiveLock))
		return -1;
	rel = table_open(table, NoLock);
	in_table = create_totals(CurrentMemoryContext);
	hash_seq_init(&status, counts);
	while ((count = hash_seq_search(&status)) != NULL)
	{
		count->stored = store_one(rel, in_table, count);
		if (braze_now_ms() < deadline)
			continue;
		hash_seq_term(&status);
		break;
	}
	hash_destroy(in_table);
	table_close(rel, NoLock);
	return -1;
}

/* what follows is counted anew, so memory holds no more than came since */
void
braze_notes_table_stored(void)
{
	HASH_SEQ_STATUS status;
	NoteCount  *count;

	hash_seq_init(&status, counts);
	while ((count = hash_seq_search(&status)) != NULL)
	{
		if (!count->stored)
			continue;
		if (strcmp(count->sentence, other_notes) != 0)
			((NoteTotal *) hash_search(totals, &count->key.destination, HASH_FIND, NULL))->notes--;
		pfree(count->sentence);
		(void) hash_search(counts, &count->key, HASH_REMOVE, NULL);
	}
	if (hash_get_num_entries(counts) > 0)
		return;
	MemoryContextReset(notes_context);
	begin_counting();
}
