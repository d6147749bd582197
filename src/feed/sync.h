/*-------------------------------------------------------------------------
 *
 * sync.h
 *	  A sync: a query whose rows are attributes of users, or events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_H
#define BRAZE_SYNC_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* what happens to a user whom the query does not return any more */
typedef enum BrazeSyncRemoval
{
	BRAZE_SYNC_KEEP,
	BRAZE_SYNC_CLEAR,			/* their attributes become null */
	BRAZE_SYNC_DELETE			/* they are deleted at Braze */
} BrazeSyncRemoval;

/* a row of braze_syncs, without how far it is */
typedef struct BrazeSync
{
	int64		id;
	char	   *name;
	char	   *query;
	char	   *user_id;		/* a column of the query, as those below */
	Jsonb	   *names;			/* of columns, at Braze; NULL: their own */
	char	   *destination;
	BrazeSyncRemoval on_remove;
	double		max_removed;
	bool		is_track;
	char	   *event;			/* this and the next two: NULL unless is_track */
	char	   *key;
	char	   *cursor_column;
	Interval   *late;
	char	   *owner;
	Oid			owner_oid;		/* in that database system */
	uint64		system;
	char	   *search_path;	/* of whoever created it */
	uint64		seed;			/* of the hashes */
	bool		has_seed;		/* false: none of the hashes means anything */
	bool		has_cursor;
	TimestampTz cursor_at;		/* up to here the rows of a track sync were
								 * seen */
	bool		has_forgotten;
	TimestampTz forgotten_before;	/* no state of earlier rows is kept */
} BrazeSync;

#endif							/* BRAZE_SYNC_H */
