/*-------------------------------------------------------------------------
 *
 * uuid.h
 *	  UUIDs as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_UUID_H
#define BRAZE_UUID_H

#include "json/jsonb_walk.h"

#define BRAZE_UUID_LENGTH	36

/*
 * 8-4-4-4-12 hexadecimal digits, in any case; uuid has them in lower case,
 * since what is equal is to look equal.  Not terminated.
 */
extern bool braze_uuid_read(BrazeString string, char *uuid);

#endif							/* BRAZE_UUID_H */
