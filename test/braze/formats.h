/*-------------------------------------------------------------------------
 *
 * formats.h
 *	  The formats of single values that Braze documents.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_FORMATS_H
#define STANDIN_FORMATS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Are the codes that Braze's list lacks refused?  It is not known whether Braze
 * does, so a test that needs it says so.
 */
extern bool standin_listed_currencies;

/* characters, not bytes, of valid UTF-8 */
extern size_t standin_characters(const char *text);

extern bool standin_is_date(const char *text);		/* YYYY-MM-DD, in the calendar */
extern bool standin_is_time(const char *text);		/* ISO 8601, date and time */
extern bool standin_is_email(const char *text);
extern bool standin_is_currency(const char *text);
extern bool standin_is_uuid(const char *text);

#endif							/* STANDIN_FORMATS_H */
