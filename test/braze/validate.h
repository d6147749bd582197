/*-------------------------------------------------------------------------
 *
 * validate.h
 *	  Would Braze accept this object?
 *
 * Plain C and json-c, so that anything that makes Braze objects can be
 * checked with it, not only what came over HTTP.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_VALIDATE_H
#define STANDIN_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

/*
 * kind is the name of the array that the object is an element of, such as
 * "events"; that of /users/alias/new, whose array has the same name as one of
 * /users/delete, is "new_aliases".  On false, reason says why Braze refuses
 * it, in valid UTF-8.
 */
extern bool standin_validate(const char *kind, json_object *object,
							 char *reason, size_t size);

#endif							/* STANDIN_VALIDATE_H */
