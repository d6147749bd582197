/*-------------------------------------------------------------------------
 *
 * validate_int.h
 *	  What the files of the validator share, and nobody else needs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_VALIDATE_INT_H
#define STANDIN_VALIDATE_INT_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

/* Braze's limits */
#define MAX_EXTERNAL_ID_BYTES	987
#define MAX_ALIAS_BYTES			236
#define MAX_NAME_CHARACTERS		255
#define MAX_EVENT_PROPERTIES	102400
#define MAX_PURCHASE_PROPERTIES	51200
#define MAX_NESTED_ATTRIBUTE	102400
#define MAX_IMAGE_URL			1024
#define MAX_QUANTITY			100

/* where a reason goes; every check that fails writes one and returns false */
typedef struct Why
{
	char	   *reason;
	size_t		size;
} Why;

extern bool standin_refuse(Why *why, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* a member by name; false when it is absent (null counts as present) */
extern bool standin_member(json_object *object, const char *name, json_object **value);

extern bool standin_check_name(const char *what, const char *name, Why *why);
extern bool standin_check_finite(const char *what, json_object *value, Why *why);
extern bool standin_check_size(const char *what, json_object *value, size_t max, Why *why);

/* attributes.c: every member of an attributes object that is no identifier */
extern bool standin_check_attribute(const char *name, json_object *value,
									bool has_primary, json_object *object, Why *why);

/* ecommerce.c: true for names that are not recommended events */
extern bool standin_check_ecommerce(const char *name, json_object *properties, Why *why);

#endif							/* STANDIN_VALIDATE_INT_H */
