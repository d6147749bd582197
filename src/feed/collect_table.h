/*-------------------------------------------------------------------------
 *
 * collect_table.h
 *	  What is collected here: braze_collecting.
 *
 * A note counts for one database of one server only, as in braze_started: a
 * copy collects nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_TABLE_H
#define BRAZE_COLLECT_TABLE_H

#include "nodes/pg_list.h"

#include "base/collector_slot.h"

typedef struct BrazeOrigin
{
	NameData	server;
	char		table[BRAZE_ORIGIN_TABLE_SIZE];
	Oid			role;			/* that collects */
	bool		stopping;		/* nothing more is collected, see
								 * collect_round.h */
} BrazeOrigin;

/* for the worker, as for braze_paused, see paused_table.h */
extern bool braze_collect_table_try_read(void);

/* those of this database, BrazeOrigin * in the caller's memory context */
extern List *braze_collect_table_here(void);

/*
 * the same with those of other databases, of which this one is a copy, or was
 */
extern List *braze_collect_table_anywhere(void);

/* NULL: it is not collected here */
extern const BrazeOrigin *braze_collect_table_find(const char *server, const char *table);

/* the worker is told at the commit */
extern void braze_collect_table_put(const BrazeOrigin *origin);
extern void braze_collect_table_stop(const BrazeOrigin *origin);
extern void braze_collect_table_remove(const BrazeOrigin *origin, bool only_stopping);

#endif							/* BRAZE_COLLECT_TABLE_H */
