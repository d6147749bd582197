/*-------------------------------------------------------------------------
 *
 * table.c
 *	  A hash table from strings to pointers: open addressing, no deletion.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "table.h"

static unsigned long
hash_bytes(const char *key, size_t length)
{
	unsigned long hash = 14695981039346656037UL;
	size_t		i;

	for (i = 0; i < length; i++)
		hash = (hash ^ (unsigned char) key[i]) * 1099511628211UL;
	return hash ^ (hash >> 29);
}

static TableEntry *
find(const Table *table, const char *key, size_t length, unsigned long hash)
{
	size_t		i = hash & (table->size - 1);

	while (table->entries[i].key != NULL)
	{
		TableEntry *entry = &table->entries[i];

		if (entry->hash == hash && entry->length == length &&
			memcmp(entry->key, key, length) == 0)
			break;
		i = (i + 1) & (table->size - 1);
	}
	return &table->entries[i];
}

void *
standin_table_get(const Table *table, const char *key, size_t length)
{
	if (table->size == 0)
		return NULL;
	return find(table, key, length, hash_bytes(key, length))->value;
}

void
standin_table_add(Table *table, const char *key, size_t length, void *value)
{
	unsigned long hash = hash_bytes(key, length);
	TableEntry *entry;

	if (table->used * 2 >= table->size)
	{
		Table		larger;
		size_t		i;

		larger.size = table->size ? table->size * 2 : 64;
		larger.used = table->used;
		larger.entries = standin_alloc(larger.size * sizeof(TableEntry));
		for (i = 0; i < table->size; i++)
		{
			TableEntry *old = &table->entries[i];

			if (old->key != NULL)
				*find(&larger, old->key, old->length, old->hash) = *old;
		}
		free(table->entries);
		*table = larger;
	}
	entry = find(table, key, length, hash);
	entry->key = key;
	entry->length = length;
	entry->hash = hash;
	entry->value = value;
	table->used++;
}

void
standin_table_free(Table *table)
{
	free(table->entries);
	memset(table, 0, sizeof(*table));
}
