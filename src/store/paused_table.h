/*-------------------------------------------------------------------------
 *
 * paused_table.h
 *	  Destinations that are paused, and why: braze_paused.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PAUSED_TABLE_H
#define BRAZE_PAUSED_TABLE_H

#include "nodes/pg_list.h"

#define BRAZE_WHOLE_DESTINATION	(-1)

typedef struct BrazePause
{
	int			endpoint;		/* a BrazeEndpoint, or the above */
	char	   *reason;
	bool		by_worker;		/* because of an answer of Braze */
} BrazePause;

/*
 * For the worker, which waits for nobody: until its transaction ends, reading
 * does not wait; false, somebody has locked the table.
 */
extern bool braze_paused_table_try_read(void);

extern List *braze_paused_table_read(const char *destination);	/* of BrazePause * */
extern bool braze_paused_table_has(const char *destination, int endpoint);

/* unless somebody has locked the table: then it is to be put later */
extern void braze_paused_table_put(const char *destination, const BrazePause *pause);

/*
 * those by an answer of Braze; false: not all, since somebody has locked them
 */
extern bool braze_paused_table_lift(const char *destination);

#endif							/* BRAZE_PAUSED_TABLE_H */
