/*-------------------------------------------------------------------------
 *
 * table.h
 *	  A hash table from strings to pointers.
 *
 * Plain C.  Keys are not copied: they must live as long as their entry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_TABLE_H
#define STANDIN_TABLE_H

#include <stddef.h>

typedef struct TableEntry
{
	const char *key;			/* NULL: free */
	size_t		length;
	unsigned long hash;
	void	   *value;
} TableEntry;

typedef struct Table
{
	TableEntry *entries;
	size_t		size;			/* a power of two, or 0 */
	size_t		used;
} Table;

extern void *standin_table_get(const Table *table, const char *key, size_t length);

/* the key must not be there yet */
extern void standin_table_add(Table *table, const char *key, size_t length, void *value);
extern void standin_table_free(Table *table);

#endif							/* STANDIN_TABLE_H */
