/*-------------------------------------------------------------------------
 *
 * call_user.h
 *	  The user id that a Segment call names.
 *
 * Dead letters have a hash of it in a column, by which those of a user who is
 * deleted are found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CALL_USER_H
#define BRAZE_CALL_USER_H

#include "utils/jsonb.h"

#include "json/jsonb_walk.h"

/* as the mapping reads it; false: it names none */
extern bool braze_call_user_read(Jsonb *call, BrazeString *user);

extern int64 braze_call_user_hash(BrazeString user);

#endif							/* BRAZE_CALL_USER_H */
