/*-------------------------------------------------------------------------
 *
 * virtual_columns.h
 *	  Generated columns that are computed when they are read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_VIRTUAL_COLUMNS_H
#define BRAZE_VIRTUAL_COLUMNS_H

#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "queue/column.h"

typedef struct BrazeVirtualColumn
{
	int			index;			/* its attribute number - 1 */
	ExprState  *state;
} BrazeVirtualColumn;

typedef struct BrazeVirtualColumns
{
	int			ncolumns;
	BrazeVirtualColumn *columns;
} BrazeVirtualColumns;

/* adds the virtual ones of these columns, in the current memory context */
extern void braze_virtual_columns_plan(BrazeVirtualColumns *columns, Relation rel,
									   const BrazeColumn *wanted, int nwanted);

/*
 * Computes them for a tuple that is complete otherwise.  In the tuple itself
 * they are null.  What cannot be computed, as in a division by zero, is an
 * error, unless invalid calls are to become dead letters: then it stays null,
 * and the result is a sentence.
 */
extern const char *braze_virtual_columns_compute(const BrazeVirtualColumns *columns,
												 HeapTuple tuple, TupleDesc desc,
												 BrazeRow *row);

#endif							/* BRAZE_VIRTUAL_COLUMNS_H */
