/*-------------------------------------------------------------------------
 *
 * column.h
 *	  A column of a row, on its way into a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLUMN_H
#define BRAZE_COLUMN_H

#include "access/tupdesc.h"
#include "fmgr.h"

#include "queue/call_builder.h"

typedef struct BrazeColumn
{
	const char *key;			/* in the call, or in its properties or traits */
	int			index;			/* its attribute number - 1 */
	Oid			base_type;		/* domains looked through */
	Oid			type;			/* its own */
	bool		varlena;
	bool		may_fail;		/* whatever the value */
	FmgrInfo   *to_jsonb;		/* for types without a shorter way, else NULL */
} BrazeColumn;

/* a row, taken apart */
typedef struct BrazeRow
{
	Datum	   *values;
	bool	   *nulls;
} BrazeRow;

extern BrazeRow braze_column_deform_row(HeapTuple tuple, TupleDesc desc);

/* key is not copied; what else the column needs is in the current context */
extern void braze_column_set(BrazeColumn *column, TupleDesc desc, int index,
							 const char *key);

/*
 * adds a value that is not null, as to_jsonb
 * would write it, or to_json for text
 */
extern void braze_column_add(BrazeCallBuilder *call, const BrazeColumn *column,
							 Datum datum);

/* what the value takes up at least, and whether jsonb of it may be an error */
extern Size braze_column_size(const BrazeColumn *column, Datum datum);
extern bool braze_column_may_fail(const BrazeColumn *column, Datum datum);

/* the names of the columns, for hints; begin with i = 0 */
typedef struct BrazeColumnNames
{
	TupleDesc	desc;
	int			i;
} BrazeColumnNames;

extern const char *braze_column_next(void *names);

#endif							/* BRAZE_COLUMN_H */
