/*-------------------------------------------------------------------------
 *
 * table_write.h
 *	  The extension's tables, whatever others do to these.
 *
 * A table that is as CREATE EXTENSION made it is written directly, as the
 * catalogs are.  With columns, indexes on expressions, constraints or triggers
 * that somebody added, the executor writes it, see statement.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TABLE_WRITE_H
#define BRAZE_TABLE_WRITE_H

#include "access/tableam.h"
#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/*
 * For the worker, which must not wait for who holds a lock: false, or the lock
 * and a new active snapshot.  To one from before, a table that was rewritten
 * meanwhile is empty.
 */
extern bool braze_table_write_try_lock(Oid table, LOCKMODE mode);

/*
 * The lock of a write on the table and on its indexes, all of which a write
 * opens: ALTER INDEX locks one of them alone.
 */
extern bool braze_table_write_try_lock_indexes(Oid table);

/*
 * The same to read it by its primary key, until the transaction ends: nothing
 * that opens the two waits from then on.
 */
extern bool braze_table_write_try_read(Oid table, Oid pkey);

/* how often that failed: the end of somebody's lock wakes nobody */
extern uint64 braze_table_write_unread;

/* what the last try found locked, in words for the status */
extern const char *braze_table_write_locked;

#define BRAZE_LOCKED_TABLE(table)	"somebody has locked the table " table
#define BRAZE_LOCKED_ROWS(table)	"somebody has locked rows of the table " table

/*
 * Would nothing of what others may have added take part in a write?  false,
 * too, when that cannot be seen now, since somebody has locked the table.
 */
extern bool braze_table_write_is_plain(Oid table, int columns);

/*
 * columns are those of the install script, values and nulls theirs.  *tid says
 * where the row is; it is invalid where that is not known.
 */
extern void braze_table_write_insert(Relation rel, int columns, Datum *values,
									 bool *nulls, ItemPointer tid);

/*
 * Many rows at once, none of them so large that it would be compressed.  Only
 * if takes_many has said so: nobody has added anything, and the only index is
 * the primary key's.  *at is the row whose key is being inserted, or -1, for
 * who describes an error.
 */
extern bool braze_table_write_takes_many(Relation rel, int columns);
extern void braze_table_write_insert_many(Relation rel, TupleTableSlot **slots, int count,
										  CommandId command, int *at);

/*
 * the row at *old, its latest version;
 * columns that were added keep their values
 */
extern void braze_table_write_update(Relation rel, ItemPointer old, int columns,
									 Datum *values, bool *nulls, ItemPointer tid);

/*
 * For the worker, which waits for nobody: TM_Ok, or what became of the row, or
 * TM_WouldBlock (TM_BeingModified) when somebody has locked it.
 */
extern TM_Result braze_table_write_delete(Relation rel, ItemPointer tid, Snapshot snapshot);

/*
 * of a row that this transaction has locked,
 * which braze_table_write_delete cannot
 */
extern void braze_table_write_delete_locked(Relation rel, ItemPointer tid);

#endif							/* BRAZE_TABLE_WRITE_H */
