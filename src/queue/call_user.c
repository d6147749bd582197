/*-------------------------------------------------------------------------
 *
 * call_user.c
 *	  The user id that a Segment call names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"

#include "base/compat.h"
#include "json/jsonb_walk.h"
#include "json/value.h"
#include "queue/call_user.h"

static bool
has_user_in(Jsonb *call, const char *key, JsonbValue *value)
{
	return braze_lookup(&call->root, key, value) && value->type != jbvNull;
}

bool
braze_call_user_read(Jsonb *call, BrazeString *user)
{
	JsonbValue	value;

	/* the second spelling counts only where the first one says nothing */
	return JB_ROOT_IS_OBJECT(call) &&
		(has_user_in(call, "userId", &value) || has_user_in(call, "user_id", &value)) &&
		braze_scalar_text(&value, user);
}

int64
braze_call_user_hash(BrazeString user)
{
	return (int64) hash_bytes_extended((const unsigned char *) user.data, user.length, 0);
}

/* what the column of the dead letters has, for rows that others write */
BRAZE_SQL_FUNCTION(braze_user_hash);
Datum
braze_user_hash(PG_FUNCTION_ARGS)
{
	BrazeString user;

	if (!braze_call_user_read(PG_GETARG_JSONB_P(0), &user))
		PG_RETURN_NULL();
	PG_RETURN_INT64(braze_call_user_hash(user));
}
