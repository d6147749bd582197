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

/* 8-4-4-4-12 hexadecimal digits, in any case */
extern bool braze_uuid_is_valid(BrazeString string);

#endif							/* BRAZE_UUID_H */
