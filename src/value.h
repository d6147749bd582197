/*-------------------------------------------------------------------------
 *
 * value.h
 *	  Strings, times, addresses and codes: what is one, and how it is written.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_VALUE_H
#define BRAZE_VALUE_H

#include "jsonb_walk.h"

/* without white space (of ASCII) at either end */
extern BrazeString braze_trim(BrazeString string);

/* has it more than this many characters? */
extern bool braze_longer_than(BrazeString string, int characters);

/*
 * The text of a string, or the digits of a number (palloc'd); false for other
 * types, and for numbers of more than a thousand digits.
 */
extern bool braze_scalar_text(const JsonbValue *value, BrazeString *text);

/* as the text above, trimmed, and false when nothing is left */
extern bool braze_solid_text(const JsonbValue *value, BrazeString *text);

/* a string that is one of two spellings of a boolean, or a boolean */
extern bool braze_flag(const JsonbValue *value, bool *flag);

typedef struct BrazeTime
{
	int			year;			/* the calendar date as written */
	int			month;
	int			day;
	int64		ms;				/* since 1970-01-01 UTC, may be negative */
} BrazeTime;

/* YYYY-MM-DDTHH:MM:SS.mmmZ */
#define BRAZE_TIME_LENGTH	24
/* YYYY-MM-DD */
#define BRAZE_DATE_LENGTH	10

/* a date, or a date and a time of day with or without an offset */
extern bool braze_time_parse(BrazeString string, BrazeTime *time);

/* a time that Braze takes: a string or a number since 1970-01-02 */
extern bool braze_time(const JsonbValue *value, int64 *ms);
extern bool braze_time_in_range(int64 ms);

/* writes BRAZE_TIME_LENGTH bytes; false for years outside 1 to 9999 */
extern bool braze_time_print(int64 ms, char *out);

/* a calendar date: BRAZE_DATE_LENGTH bytes are written to out */
extern bool braze_date(const JsonbValue *value, char *out);

extern bool braze_is_email(BrazeString string);
extern bool braze_is_e164(BrazeString string);
extern bool braze_is_uuid(BrazeString string);

/* the currency, in upper case, if Braze knows it; else NULL */
extern const char *braze_currency(const JsonbValue *value);

#endif							/* BRAZE_VALUE_H */
