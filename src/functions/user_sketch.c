/*-------------------------------------------------------------------------
 *
 * user_sketch.c
 *	  Sketches of users in SQL: merged, and how many users they stand for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "braze/sketch.h"

/* anybody may call these with any bytes */
static void
merge_bytes(BrazeSketch *sketch, const bytea * bytes)
{
	if (!braze_sketch_merge(sketch, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("the value is not a sketch of users"),
				 errhint("Sketches are in the column sketch of braze_activity_users.")));
}

BRAZE_SQL_FUNCTION(braze_sketch_merged);
Datum
braze_sketch_merged(PG_FUNCTION_ARGS)
{
	BrazeSketch sketch;
	bytea	   *result = palloc(VARHDRSZ + BRAZE_SKETCH_SIZE);

	braze_sketch_init(&sketch);
	merge_bytes(&sketch, PG_GETARG_BYTEA_PP(0));
	merge_bytes(&sketch, PG_GETARG_BYTEA_PP(1));
	SET_VARSIZE(result, VARHDRSZ + braze_sketch_write(&sketch, VARDATA(result)));
	PG_RETURN_BYTEA_P(result);
}

BRAZE_SQL_FUNCTION(braze_sketch_users);
Datum
braze_sketch_users(PG_FUNCTION_ARGS)
{
	BrazeSketch sketch;

	braze_sketch_init(&sketch);
	merge_bytes(&sketch, PG_GETARG_BYTEA_PP(0));

	/* one whose registers are all full stands for more than there can be */
	PG_RETURN_INT64((int64) Min(rint(braze_sketch_estimate(&sketch)), 1e15));
}
