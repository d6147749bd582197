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
#include "base/statement.h"
#include "store/notes_table.h"

/* what stands for all notes beyond the bound */
#define OTHER_NOTES		"Further notes were not counted one by one."

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
	int64		last_id;
	TimestampTz last_at;
} NoteCount;

static HTAB *counts;
static MemoryContext notes_context;

void
braze_notes_table_init(void)
{
	HASHCTL		control;

	notes_context = AllocSetContextCreate(TopMemoryContext, "segment_braze notes",
										  ALLOCSET_DEFAULT_SIZES);
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(NoteKey);
	control.entrysize = sizeof(NoteCount);
	control.hcxt = notes_context;
	counts = hash_create("segment_braze notes", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

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
		if (hash_get_num_entries(counts) >= BRAZE_MAX_NOTES &&
			strncmp(sentence, OTHER_NOTES, length) != 0)
		{
			count_one(destination, outcome, OTHER_NOTES, strlen(OTHER_NOTES), id);
			return;
		}
		count = hash_search(counts, &key, HASH_ENTER, &found);
		count->calls = 0;
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

static void
store_one(Relation rel, const char *text, const NoteCount *count)
{
	static const Oid types[6] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[6];
	BrazeStatement statement = {rel, CMD_INSERT, text, lengthof(types), types, values};

	values[0] = CStringGetTextDatum(NameStr(count->key.destination));
	values[1] = CStringGetTextDatum(outcome_name(count->key.outcome));
	values[2] = CStringGetTextDatum(count->sentence);
	values[3] = Int64GetDatum(count->calls);
	values[4] = Int64GetDatum(count->last_id);
	values[5] = TimestampTzGetDatum(count->last_at);
	(void) braze_statement_run(&statement);
}

void
braze_notes_table_store(void)
{
	Relation	rel = table_open(braze_catalog_required()->notes, RowExclusiveLock);
	HASH_SEQ_STATUS status;
	NoteCount  *count;
	char	   *text;

	text = psprintf("INSERT INTO %s AS n (destination, outcome, note, calls, last_id, last_at) "
					"VALUES ($1, $2, $3, $4, $5, $6) "
					"ON CONFLICT (destination, outcome, note) DO UPDATE "
					"SET calls = n.calls OPERATOR(pg_catalog.+) excluded.calls, "
					"last_id = excluded.last_id, last_at = excluded.last_at",
					braze_statement_table(rel));
	hash_seq_init(&status, counts);
	while ((count = hash_seq_search(&status)) != NULL)
	{
		if (count->calls > 0)
			store_one(rel, text, count);
	}
	table_close(rel, NoLock);
}

void
braze_notes_table_stored(void)
{
	HASH_SEQ_STATUS status;
	NoteCount  *count;

	hash_seq_init(&status, counts);
	while ((count = hash_seq_search(&status)) != NULL)
		count->calls = 0;
}
