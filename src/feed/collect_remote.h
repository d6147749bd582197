/*-------------------------------------------------------------------------
 *
 * collect_remote.h
 *	  The statements that a collector runs at the origin.
 *
 * Ordinary SQL on foreign tables of postgres_fdw, which are this session's own:
 * nothing of postgres_fdw's insides is relied on.  It keeps one transaction
 * there for each of ours, whose statements see one snapshot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_REMOTE_H
#define BRAZE_COLLECT_REMOTE_H

#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "feed/collect_table.h"

/*
 * Rows that postgres_fdw fetches at once, whatever their size: of calls of 1 MB
 * they take up a few times 100 MB.  With 50 of them a call costs a tenth more.
 */
#define BRAZE_REMOTE_FETCH			100

/* columns of what is read */
#define BRAZE_REMOTE_ID				1
#define BRAZE_REMOTE_DESTINATION	2
#define BRAZE_REMOTE_CALL			3
#define BRAZE_REMOTE_QUEUED_AT		4
#define BRAZE_REMOTE_OBJECTS		5
#define BRAZE_REMOTE_CALL_KIND		6

extern void braze_collect_remote_init(void);

/* a signal handler's part: whatever waits for the origin fails at once */
extern void braze_collect_remote_sever(void);

/* does something wait for the origin now? */
extern bool braze_collect_remote_is_busy(void);

/* after an error; true: it came because the origin gave no answer in time */
extern bool braze_collect_remote_failed(void);

/* commits the transaction, there first */
extern void braze_collect_remote_commit(void);

/* ----- in a transaction with SPI connected; results in its memory ----- */

/* makes the foreign tables, unless they are there */
extern void braze_collect_remote_prepare(const BrazeOrigin *origin);

/*
 * The first one of a transaction: which connection it is, since another one may
 * be to another server, in which database, and who holds the lock that an
 * INSERT takes, a list of char *.
 */
extern char *braze_collect_remote_look(char **database, List **holders);

/* may row-level security there hide rows from the role that collects? */
extern bool braze_collect_remote_hides_rows(void);

/*
 * Rows above an id, and (condition not NULL) only those that it names, in the
 * order of their ids, but those of the destinations that are left out; to be
 * fetched by braze_collect_remote_fetch, into SPI_tuptable, and to be closed.
 * only_ids: without their other columns.
 */
extern Portal braze_collect_remote_read(int64 above, const char *condition, Datum left_out, bool only_ids);
extern uint64 braze_collect_remote_fetch(Portal portal, long count);
extern void braze_collect_remote_close(Portal portal);

/*
 * Those with these ids, into SPI_tuptable; never more than there are ids.  Not
 * those of which the call, or another column, has more bytes of text than these
 * there, -1: any number.  The columns that are measured have to have the types
 * that those of braze_queue have.
 */
extern uint64 braze_collect_remote_rows(const int64 *ids, int count, int bytes);

/*
 * Those of them that were queued up to then, or nobody knows when; returns how
 * many were deleted.
 */
extern int64 braze_collect_remote_delete(const int64 *ids, int count, TimestampTz queued_until);

/* how many there are, and since when the oldest is queued, 0: not known */
extern int64 braze_collect_remote_count(TimestampTz *oldest);

#endif							/* BRAZE_COLLECT_REMOTE_H */
