/*-------------------------------------------------------------------------
 *
 * profile.h
 *	  What an attributes object does to a profile's attributes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_PROFILE_H
#define STANDIN_PROFILE_H

#include <json-c/json.h>

/* object has passed the validator */
extern void standin_profile_update(json_object *attributes, json_object *object);

#endif							/* STANDIN_PROFILE_H */
