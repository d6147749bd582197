/*-------------------------------------------------------------------------
 *
 * sync_table.h
 *	  The tables of syncs: braze_syncs and braze_sync_runs.
 *
 * All is read and written with the rights of the tables' owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_TABLE_H
#define BRAZE_SYNC_TABLE_H

#include "executor/spi.h"
#include "utils/queryenvironment.h"

#include "feed/sync.h"

/* in the current memory context; NULL: there is none of this name, or number */
extern BrazeSync *braze_sync_table_find(const char *name);
extern BrazeSync *braze_sync_table_find_id(int64 id);

/* its owner; an error where the role is gone, or another one has its name */
extern Oid	braze_sync_table_owner(const BrazeSync *sync);

/* the same, or InvalidOid */
extern Oid	braze_sync_table_find_owner(const BrazeSync *sync);

/* with all that is known of it */
extern void braze_sync_table_remove(const BrazeSync *sync);

/* the parameters of a statement */
#define BRAZE_SYNC_ARGUMENTS	20

typedef struct BrazeSyncArguments
{
	int			count;
	Oid			types[BRAZE_SYNC_ARGUMENTS];
	Datum		values[BRAZE_SYNC_ARGUMENTS];
	char		nulls[BRAZE_SYNC_ARGUMENTS + 1];
} BrazeSyncArguments;

extern void braze_sync_table_add(BrazeSyncArguments *arguments, Oid type, Datum value);
extern void braze_sync_table_add_null(BrazeSyncArguments *arguments, Oid type);
extern void braze_sync_table_add_text(BrazeSyncArguments *arguments, const char *text); /* NULL: null */

/* how many rows it has written */
extern uint64 braze_sync_table_write(Oid table, CmdType operation, const char *text,
									 BrazeSyncArguments *arguments);

/*
 * A query over our tables, and over found if that is not NULL.  Its rows go to
 * each, one by one, in memory that is short-lived.
 */
typedef void (*BrazeSyncEach) (HeapTuple row, TupleDesc desc, void *arg);

extern void braze_sync_table_read(const char *text, BrazeSyncArguments *arguments,
								  EphemeralNamedRelation found,
								  BrazeSyncEach each, void *arg);

/* their names as SQL writes them */
extern char *braze_sync_table_syncs(void);
extern char *braze_sync_table_runs(void);
extern char *braze_sync_table_state(void);

#endif							/* BRAZE_SYNC_TABLE_H */
