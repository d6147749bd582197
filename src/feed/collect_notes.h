/*-------------------------------------------------------------------------
 *
 * collect_notes.h
 *	  Which calls were collected: braze_collected.
 *
 * A note is committed together with the calls that it names, and before these
 * are deleted at their origin.  What is at the origin and noted is deleted
 * there, and not queued again.  Since an origin may issue an id a second time,
 * after a failover that has lost its last transactions, a note has a hash of
 * each call as well.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_NOTES_H
#define BRAZE_COLLECT_NOTES_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "feed/collect_table.h"

/* a row of the origin's table; its values last as long as the SPI rows do */
typedef struct BrazeCollectedRow
{
	int64		id;
	char	   *destination;	/* NULL, as are other values: null there */
	Jsonb	   *call;
	TimestampTz queued_at;
	bool		has_time;		/* of its own */
	Datum		objects;
	bool		has_objects;
	char	   *call_kind;
	int64		hash;
	bool		noted;
} BrazeCollectedRow;

extern int64 braze_collect_notes_hash(const BrazeCollectedRow *row);

/*
 * The highest id that is noted; PG_INT64_MIN: there is none.  To be asked
 * before notes are looked for: it finds under which names they are.
 */
extern int64 braze_collect_notes_highest(const BrazeOrigin *origin);

/* sets noted of each; the rows are in the order of their ids */
extern void braze_collect_notes_find(const BrazeOrigin *origin, BrazeCollectedRow *rows, int count);

/* a note of this round, ids in ascending order */
extern void braze_collect_notes_put(const BrazeOrigin *origin, const int64 *ids,
									const int64 *hashes, int count);

/*
 * Those that are old enough.  Only when nothing is at the origin that was
 * collected, but what this transaction deletes there or has noted: a note that
 * is forgotten too early is a call that is sent twice.
 */
extern void braze_collect_notes_expire(const BrazeOrigin *origin);

#endif							/* BRAZE_COLLECT_NOTES_H */
