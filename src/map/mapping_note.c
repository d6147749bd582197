/*-------------------------------------------------------------------------
 *
 * mapping_note.c
 *	  Notes: one sentence per thing that was left out or changed.
 *
 * A note quotes names, never values: notes are counted and shown to people who
 * may not see the data of users.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "mb/pg_wchar.h"

#include "base/grow.h"
#include "json/number.h"
#include "map/map_internal.h"

char	   *
braze_mapping_note_quote(BrazeString name)
{
	int			length = name.length;
	bool		cut = length > BRAZE_MAX_QUOTE;
	char	   *quoted;

	if (cut)
		length = pg_mbcliplen(name.data, name.length, BRAZE_MAX_QUOTE);
	quoted = palloc(length + 6);
	quoted[0] = '"';
	memcpy(quoted + 1, name.data, length);
	for (int i = 1; i <= length; i++)
	{
		/* the note is shown in terminals and in the log of the server */
		if ((unsigned char) quoted[i] < 0x20 || quoted[i] == 0x7F)
			quoted[i] = ' ';
	}
	strcpy(quoted + 1 + length, cut ? "...\"" : "\"");
	return quoted;
}

void
braze_mapping_note_reset(BrazeMap *map)
{
	map->mapped.nnotes = 0;
	map->nnotes_over = 0;
	map->note_object = 0;
	map->long_texts.count = map->long_texts.nothers = 0;
	resetStringInfo(&map->notes);
}

static void
record_note(BrazeMap *map, int object, int offset)
{
	BrazeMapped *mapped = &map->mapped;

	if (mapped->nnotes == mapped->maxnotes)
		mapped->notes = braze_grow(mapped->notes, &mapped->maxnotes, sizeof(BrazeNote));
	mapped->notes[mapped->nnotes].object = object;
	mapped->notes[mapped->nnotes].sentence.offset = offset;
	mapped->notes[mapped->nnotes].sentence.length = map->notes.len - offset;
	mapped->nnotes++;
}

/*
 * Formats a sentence behind the notes there are.  One that is there already is
 * not repeated: several products may lack the same.
 */
static void
pg_attribute_printf(3, 0)
add_note(BrazeMap *map, int object, const char *format, va_list args)
{
	BrazeMapped *mapped = &map->mapped;
	int			offset = map->notes.len;
	char		sentence[1024];
	int			length;

	if (mapped->nnotes >= BRAZE_MAX_CALL_NOTES)
	{
		map->nnotes_over++;
		return;
	}

	/* quoted names are cut, so that a sentence always fits */
	length = vsnprintf(sentence, sizeof(sentence), format, args);
	length = Min(length, (int) sizeof(sentence) - 1);

	for (int i = 0; i < mapped->nnotes; i++)
	{
		if (mapped->notes[i].sentence.length == length &&
			memcmp(map->notes.data + mapped->notes[i].sentence.offset,
				   sentence, length) == 0)
			return;
	}
	appendBinaryStringInfo(&map->notes, sentence, length);
	record_note(map, object, offset);
}

void
braze_mapping_note(BrazeMap *map, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	add_note(map, map->note_object, format, args);
	va_end(args);
}

void
braze_mapping_note_to_call(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;

	for (int i = 0; i < mapped->nnotes; i++)
	{
		if (mapped->notes[i].object == mapped->nobjects)
			mapped->notes[i].object = 0;
	}
	map->note_object = 0;
}

char	   *
braze_mapping_note_take_back(BrazeMap *map, int count)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeSpan	first;
	char	   *sentence;

	if (mapped->nnotes <= count)
		return NULL;
	first = mapped->notes[count].sentence;
	sentence = pnstrdup(map->notes.data + first.offset, first.length);
	map->notes.len = first.offset;
	mapped->nnotes = count;

	/* those that were only counted came after these, and go with them */
	map->nnotes_over = 0;
	return sentence;
}

/* the reason comes first, before the notes that led to it */
static void
pg_attribute_printf(3, 0)
end_call(BrazeMap *map, BrazeOutcome outcome, const char *format, va_list args)
{
	BrazeMapped *mapped = &map->mapped;
	BrazeNote	reason;

	mapped->outcome = outcome;

	/*
	 * Objects may have been written by now: with the call, none of them is
	 * sent, and what was noted on them is about the call.
	 */
	mapped->nobjects = 0;
	for (int i = 0; i < mapped->nnotes; i++)
		mapped->notes[i].object = 0;

	/*
	 * The reason is what the reader needs most: where the list is full, the
	 * last note gives it its place and is only counted.
	 */
	if (mapped->nnotes >= BRAZE_MAX_CALL_NOTES)
	{
		mapped->nnotes--;
		map->nnotes_over++;
	}
	add_note(map, 0, format, args);

	reason = mapped->notes[mapped->nnotes - 1];
	memmove(&mapped->notes[1], &mapped->notes[0],
			sizeof(BrazeNote) * (mapped->nnotes - 1));
	mapped->notes[0] = reason;
}

void
braze_mapping_note_skip(BrazeMap *map, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	end_call(map, BRAZE_SKIP, format, args);
	va_end(args);
}

void
braze_mapping_note_reject(BrazeMap *map, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	end_call(map, BRAZE_REJECT, format, args);
	va_end(args);
}

/* moves the sentences behind the objects' text, where the result has them */
void
braze_mapping_note_finish(BrazeMap *map)
{
	BrazeMapped *mapped = &map->mapped;
	int			base = mapped->text.len;

	if (mapped->nnotes == 0)
		return;
	if (map->nnotes_over > 0)
	{
		int			offset = map->notes.len;

		appendStringInfo(&map->notes, "There are %d more notes on this call.",
						 map->nnotes_over);
		record_note(map, 0, offset);
	}

	/*
	 * Until now they were kept apart: when an object is given up the text is
	 * rewound, and would have taken them along.
	 */
	appendBinaryStringInfo(&mapped->text, map->notes.data, map->notes.len);
	for (int i = 0; i < mapped->nnotes; i++)
	{
		mapped->notes[i].sentence.offset += base;
		/* an object that was given up has no row for its notes */
		if (mapped->notes[i].object >= mapped->nobjects)
			mapped->notes[i].object = 0;
	}
}

/* "a", "b" and "c", or "a", "b", "c" and 2 more */
static char *
quote_names(const BrazeLostNames *lost)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lost->count; i++)
	{
		if (i > 0)
			appendStringInfoString(&list, i == lost->count - 1 && lost->nothers == 0 ?
								   " and " : ", ");
		appendStringInfoString(&list, braze_mapping_note_quote(lost->names[i]));
	}
	if (lost->nothers > 0)
		appendStringInfo(&list, " and %d more", lost->nothers);
	return list.data;
}

void
braze_mapping_note_traits(BrazeMap *map)
{
	if (map->call.traits != NULL && JsonContainerSize(map->call.traits) > 0)
		braze_mapping_note(map, "The traits beside the event were left out: send them with an identify call.");
}

void
braze_mapping_note_long(BrazeMap *map, BrazeString name)
{
	braze_json_write_lose(&map->long_texts, name);
}

void
braze_mapping_note_long_texts(BrazeMap *map, const char *one, const char *several)
{
	BrazeLostNames *texts = &map->long_texts;

	if (texts->count == 1)
		braze_mapping_note(map, "The %s %s holds a text of more than %d characters: Braze cuts off the rest.",
						   one, quote_names(texts), BRAZE_MAX_NAME);
	else if (texts->count > 1)
		braze_mapping_note(map, "The %s %s hold texts of more than %d characters: Braze cuts off the rest.",
						   several, quote_names(texts), BRAZE_MAX_NAME);
	texts->count = texts->nothers = 0;
}

void
braze_mapping_note_loss(BrazeMap *map, const char *what, BrazeString name,
						const BrazeLoss *loss, bool kept)
{
	char	   *quoted;

	/*
	 * A text that Braze cuts has a note of its own, with all others of the
	 * call.
	 */
	if ((loss->flags & ~BRAZE_LONG_STRING) == 0)
		return;
	quoted = braze_mapping_note_quote(name);
	if (loss->flags & BRAZE_LOST_NULL)
		braze_mapping_note(map, "Nulls inside the %s %s were left out: Braze takes none inside a value.",
						   what, quoted);
	if (loss->flags & BRAZE_LOST_KEY)
	{
		if (loss->keys.count == 1)
			braze_mapping_note(map, "The key %s inside the %s %s was left out: Braze refuses such a name; rename the key.",
							   quote_names(&loss->keys), what, quoted);
		else
			braze_mapping_note(map, "The keys %s inside the %s %s were left out: Braze refuses such names; rename the keys.",
							   quote_names(&loss->keys), what, quoted);
	}
	if (loss->flags & BRAZE_LOST_OPERATOR)
	{
		if (loss->operators.count == 1)
			braze_mapping_note(map, "The operator %s inside the %s %s was left out: its value is not of the type that Braze takes for it.",
							   quote_names(&loss->operators), what, quoted);
		else
			braze_mapping_note(map, "The operators %s inside the %s %s were left out: their values are not of the types that Braze takes for them.",
							   quote_names(&loss->operators), what, quoted);
	}
	if (loss->flags & BRAZE_LOST_DEPTH)
		braze_mapping_note(map, "What is nested more than %d levels deep inside the %s %s was left out.",
						   BRAZE_MAX_DEPTH, what, quoted);
	if (loss->flags & BRAZE_LOST_NUMBER)
		braze_mapping_note(map, "A number inside the %s %s was left out: it is beyond 1.7e308, which Braze cannot read, or has more than %d digits.",
						   what, quoted, BRAZE_MAX_DIGITS);
	if (loss->flags & BRAZE_LOST_TIME)
		braze_mapping_note(map, "A \"$time\" inside the %s %s was left out: it is not a date of the years 1 to 3000; write it as YYYY-MM-DDTHH:MM:SSZ.",
						   what, quoted);
	if (!kept)
		braze_mapping_note(map, "The %s %s was left out: nothing of it is left.", what, quoted);
}

char	   *
braze_mapping_note_joined(const BrazeMapped *mapped)
{
	StringInfoData notes;

	initStringInfo(&notes);
	for (int i = 0; i < mapped->nnotes; i++)
	{
		const BrazeSpan *sentence = &mapped->notes[i].sentence;

		if (i > 0)
			appendStringInfoChar(&notes, ' ');
		appendBinaryStringInfo(&notes, mapped->text.data + sentence->offset,
							   sentence->length);
	}
	return notes.data;
}
