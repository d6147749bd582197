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

extern List *braze_paused_table_read(const char *destination);	/* of BrazePause * */
extern bool braze_paused_table_has(const char *destination, int endpoint);
extern void braze_paused_table_put(const char *destination, const BrazePause *pause);

/* those by an answer of Braze */
extern void braze_paused_table_lift(const char *destination);

#endif							/* BRAZE_PAUSED_TABLE_H */
