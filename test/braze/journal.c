/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  Every object received, in order, and whether the order was kept.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "journal.h"

void
standin_journal_init(Journal *journal, long limit, const char *property)
{
	memset(journal, 0, sizeof(*journal));
	journal->limit = limit;
	journal->property = standin_strdup(property);
}

static void
entry_free(Entry *entry)
{
	standin_text_free(entry->name);
	standin_text_free(entry->object);
	standin_text_free(entry->reason);
	memset(entry, 0, sizeof(*entry));
}

void
standin_journal_free(Journal *journal)
{
	for (long n = journal->first; n < journal->next; n++)
		entry_free(&journal->entries[n % journal->size]);
	free(journal->entries);
	free(journal->numbered);
	free(journal->property);
	memset(journal, 0, sizeof(*journal));
}

/* only grows while nothing was dropped, so entries stay where they are */
static void
grow_ring(Journal *journal)
{
	long		size = journal->size ? journal->size * 2 : 256;

	if (size > journal->limit)
		size = journal->limit;
	journal->entries = standin_realloc(journal->entries, (size_t) size * sizeof(Entry));
	memset(journal->entries + journal->size, 0,
		   (size_t) (size - journal->size) * sizeof(Entry));
	journal->size = size;
}

static bool
integer_member(json_object *object, const char *name, int64_t *value)
{
	json_object *member;

	if (!json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, name, &member) ||
		!json_object_is_type(member, json_type_int))
		return false;
	*value = json_object_get_int64(member);
	return true;
}

/* an attribute, a property, or what an eCommerce event carries as metadata */
static bool
number_of(json_object *object, const char *property, int64_t *value)
{
	json_object *properties;

	if (integer_member(object, property, value))
		return true;
	if (!json_object_is_type(object, json_type_object))
		return false;
	properties = json_object_object_get(object, "properties");
	return integer_member(properties, property, value) ||
		(json_object_is_type(properties, json_type_object) &&
		 integer_member(json_object_object_get(properties, "metadata"), property, value));
}

static bool
was_applied(Outcome outcome)
{
	return outcome == OUTCOME_ACCEPTED || outcome == OUTCOME_NO_EFFECT;
}

static void
remember_number(Journal *journal, const Numbered *numbered)
{
	if (journal->nnumbered == journal->maxnumbered)
	{
		journal->maxnumbered = journal->maxnumbered ? journal->maxnumbered * 2 : 256;
		journal->numbered = standin_realloc(journal->numbered,
											(size_t) journal->maxnumbered *
											sizeof(Numbered));
	}
	journal->numbered[journal->nnumbered++] = *numbered;
}

void
standin_journal_add(Journal *journal, const Entry *entry, json_object *object)
{
	Numbered	numbered;

	if (was_applied(entry->outcome) && entry->who != NULL &&
		number_of(object, journal->property, &numbered.value))
	{
		numbered.request = entry->request;
		numbered.who = entry->who->number;
		remember_number(journal, &numbered);
	}
	if (journal->limit == 0)
	{
		Entry		unwanted = *entry;

		entry_free(&unwanted);
		journal->first = ++journal->next;
		return;
	}
	if (journal->next - journal->first == journal->size)
	{
		if (journal->size < journal->limit)
			grow_ring(journal);
		else
			entry_free(&journal->entries[journal->first++ % journal->size]);
	}
	journal->entries[journal->next++ % journal->size] = *entry;
}

void
standin_journal_print_entry(const Entry *entry, Buffer *out)
{
	static const char *const outcomes[] = {"accepted", "no effect", "refused", "lost"};

	standin_buffer_printf(out, "\"request\":%ld,\"user\":", entry->request);
	if (entry->who != NULL)
	{
		standin_buffer_quote(out, entry->who->value);
		standin_buffer_printf(out, ",\"identifier\":\"%s\"", entry->who->type);
	}
	else
		standin_buffer_puts(out, "null");
	standin_buffer_printf(out, ",\"kind\":\"%s\",\"name\":", entry->kind);
	if (entry->name != NULL)
		standin_buffer_quote(out, entry->name->data);
	else
		standin_buffer_puts(out, "null");
	standin_buffer_printf(out, ",\"outcome\":\"%s\"", outcomes[entry->outcome]);
	if (entry->reason != NULL)
	{
		standin_buffer_puts(out, ",\"reason\":");
		standin_buffer_quote(out, entry->reason->data);
	}
	standin_buffer_puts(out, ",\"object\":");
	standin_buffer_add(out, entry->object->data, entry->object->length);
}

void
standin_journal_print(const Journal *journal, long from, long max, const char *user,
					  Buffer *out)
{
	if (from < journal->first)
		from = journal->first;
	for (long n = from; n < journal->next && max > 0; n++)
	{
		const Entry *entry = &journal->entries[n % journal->size];

		if (user != NULL && (entry->who == NULL || strcmp(entry->who->value, user) != 0))
			continue;
		standin_buffer_printf(out, "{\"seq\":%ld,", n + 1);
		standin_journal_print_entry(entry, out);
		standin_buffer_puts(out, "}\n");
		max--;
	}
}

/*
 * The numbers of a property: the ones kept, or read again from the entries.
 * *owned says that the caller must free them.
 */
static bool
collect(const Journal *journal, const char *property, Numbered **numbers, long *count,
		bool *owned)
{
	Journal		again = {0};

	*owned = false;
	if (strcmp(property, journal->property) == 0)
	{
		*numbers = journal->numbered;
		*count = journal->nnumbered;
		return true;
	}
	if (journal->first > 0)
		return false;
	for (long n = 0; n < journal->next; n++)
	{
		const Entry *entry = &journal->entries[n % journal->size];
		json_object *object;
		Numbered	numbered;

		if (!was_applied(entry->outcome) || entry->who == NULL)
			continue;
		object = json_tokener_parse(entry->object->data);
		if (number_of(object, property, &numbered.value))
		{
			numbered.request = entry->request;
			numbered.who = entry->who->number;
			remember_number(&again, &numbered);
		}
		json_object_put(object);
	}
	*numbers = again.numbered;
	*count = again.nnumbered;
	*owned = true;
	return true;
}

static size_t
slot_of(const Numbered *numbered, size_t size)
{
	uint64_t	hash = (uint64_t) numbered->value * 0x9e3779b97f4a7c15UL + numbered->who;

	hash = (hash ^ (hash >> 31)) * 0xbf58476d1ce4e5b9UL;
	return (size_t) (hash ^ (hash >> 27)) & (size - 1);
}

static void
check_order(const Numbered *numbers, long count, OrderReport *report)
{
	size_t		size = 64;
	const Numbered **seen;
	const Numbered **latest;	/* by user: its highest first delivery */
	unsigned	users = 0;

	while (size < 2 * (size_t) count)
		size *= 2;
	for (long i = 0; i < count; i++)
	{
		if (numbers[i].who >= users)
			users = numbers[i].who + 1;
	}
	seen = standin_alloc(size * sizeof(*seen));
	latest = standin_alloc(users * sizeof(*latest));
	for (long i = 0; i < count; i++)
	{
		const Numbered *this = &numbers[i];
		size_t		slot = slot_of(this, size);

		while (seen[slot] != NULL &&
			   (seen[slot]->who != this->who || seen[slot]->value != this->value))
			slot = (slot + 1) & (size - 1);
		if (seen[slot] != NULL)
		{
			if (seen[slot]->request == this->request)
				report->repeats++;
			else
				report->duplicates++;
			continue;
		}
		seen[slot] = this;
		report->distinct++;
		if (latest[this->who] == NULL || latest[this->who]->value < this->value)
			latest[this->who] = this;
		else if (report->violations++ == 0)
		{
			report->example = *this;
			report->example_after = latest[this->who]->value;
		}
	}
	free(seen);
	free(latest);
}

bool
standin_journal_order(const Journal *journal, const char *property, OrderReport *report)
{
	Numbered   *numbers;
	long		count;
	bool		owned;

	memset(report, 0, sizeof(*report));
	if (!collect(journal, property, &numbers, &count, &owned))
		return false;
	check_order(numbers, count, report);
	if (owned)
		free(numbers);
	return true;
}

static int
compare_values(const void *a, const void *b)
{
	const Numbered *x = a;
	const Numbered *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

bool
standin_journal_seen(const Journal *journal, const char *property, Buffer *out)
{
	Numbered   *numbers;
	Numbered   *sorted;
	long		count;
	bool		owned;

	if (!collect(journal, property, &numbers, &count, &owned))
		return false;
	sorted = standin_alloc((size_t) count * sizeof(Numbered));
	if (count > 0)
		memcpy(sorted, numbers, (size_t) count * sizeof(Numbered));
	qsort(sorted, (size_t) count, sizeof(Numbered), compare_values);
	for (long i = 0, next; i < count; i = next)
	{
		for (next = i + 1; next < count && sorted[next].value == sorted[i].value; next++)
			;
		standin_buffer_printf(out, "%lld\t%ld\n", (long long) sorted[i].value, next - i);
	}
	free(sorted);
	if (owned)
		free(numbers);
	return true;
}
