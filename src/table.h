/*-------------------------------------------------------------------------
 *
 * table.h
 *	  The extension's tables, whatever others do to these.
 *
 * A table that is as CREATE EXTENSION made it is written directly, as the
 * catalogs are.  With columns, indexes on expressions, constraints or triggers
 * that somebody added, the executor writes it, with the rights of its owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TABLE_H
#define BRAZE_TABLE_H

#include "storage/itemptr.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/*
 * For the worker, which must not wait for who holds a lock: false, or the lock
 * and a new active snapshot.  To one from before, a table that was rewritten
 * meanwhile is empty.
 */
extern bool braze_table_try_lock(Oid table, LOCKMODE mode);

/*
 * columns are those of the install script, values and nulls theirs.  *tid says
 * where the row is; it is invalid where that is not known.
 */
extern void braze_table_insert(Relation rel, int columns, Datum *values,
							   bool *nulls, ItemPointer tid);

/* the row at *old, its latest version; columns that were added keep their values */
extern void braze_table_update(Relation rel, ItemPointer old, int columns,
							   Datum *values, bool *nulls, ItemPointer tid);

/*
 * Who may queue has no right to the tables, and needs none.  Nor does he choose
 * what names mean while the owner's rights count, in a trigger that was added
 * say.  Undone by the end of the transaction, too.
 */
typedef struct BrazeCaller
{
	Oid			user;
	int			context;
	int			guc_level;
} BrazeCaller;

extern void braze_become_owner(Relation rel, BrazeCaller *caller);
extern void braze_become_caller(const BrazeCaller *caller);

#endif							/* BRAZE_TABLE_H */
