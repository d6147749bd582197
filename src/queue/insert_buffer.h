/*-------------------------------------------------------------------------
 *
 * insert_buffer.h
 *	  The calls that one query queues are inserted many at a time.
 *
 * A page of rows costs one WAL record and one visit of the table instead of one
 * for each row.  Rows are held back while a query runs, and only where nothing
 * can notice: see insert_buffer.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_INSERT_BUFFER_H
#define BRAZE_INSERT_BUFFER_H

#include "utils/relcache.h"

/* sets the hooks by which it knows when a query or a command begins */
extern void braze_insert_buffer_init(void);

/* a query has called this function, which queues a call */
extern void braze_insert_buffer_offer(Oid function);

/*
 * Holds a row of the table back until the query ends, at the latest; values and
 * nulls are those of all its columns.  False: it is to be inserted at once.
 * The table is locked as for a write.
 */
extern bool braze_insert_buffer_is_open(Oid table, int columns);
extern void braze_insert_buffer_add(Datum *values, bool *nulls);

/* inserts what was held back */
extern void braze_insert_buffer_flush(void);

#endif							/* BRAZE_INSERT_BUFFER_H */
