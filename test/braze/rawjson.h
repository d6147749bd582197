/*-------------------------------------------------------------------------
 *
 * rawjson.h
 *	  JSON as bytes: what a parser into a tree hides.
 *
 * Plain C.  A tree has lost duplicate keys and the digits of large numbers;
 * the stand-in refuses the first and must keep the second.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_RAWJSON_H
#define STANDIN_RAWJSON_H

#include <stdbool.h>
#include <stddef.h>

#define STANDIN_JSON_DEPTH	1000

/*
 * Is text exactly one JSON value by RFC 8259, in valid UTF-8, with no key
 * twice in one object, every number within a double's range, and no lone
 * surrogates?  Else reason says what is wrong.
 */
extern bool standin_json_check(const char *text, size_t length,
							   char *reason, size_t size);

/*
 * Both work on text that passed the check.  The first returns the end of the
 * value at text (white space before it is skipped).  The second walks the
 * elements of the array, or the members of the object, at *at: it sets start
 * and length to the next one and returns false after the last.  *at is the
 * value itself before the first call.
 */
extern const char *standin_json_end(const char *text);
extern bool standin_json_next(const char **at, const char **start, size_t *length);

#endif							/* STANDIN_RAWJSON_H */
