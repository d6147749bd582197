/*-------------------------------------------------------------------------
 *
 * find_rows.h
 *	  The rows of a table with some value, by its index if it has one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_FIND_ROWS_H
#define BRAZE_FIND_ROWS_H

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* what is looked for, and what is done with a row that may have it */
typedef struct BrazeRowSearch
{
	AttrNumber	column;
	RegProcedure equal;			/* compares it with the value */
	Datum		value;
	AttrNumber	text_column;	/* 0: none; an index may have it second, */
	text	   *text;			/* rows with another text do not count */

	/* false: no more of them, what is left is for another time */
	bool		(*look) (TupleTableSlot *slot, Snapshot snapshot, void *arg);
	void	   *arg;
} BrazeRowSearch;

/*
 * All that this transaction can see, also what it has written.  The caller has
 * locked the table, and compares: not every row that is looked at has the
 * value.
 */
extern void braze_find_rows(Relation rel, const BrazeRowSearch *search);

#endif							/* BRAZE_FIND_ROWS_H */
