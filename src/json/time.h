/*-------------------------------------------------------------------------
 *
 * time.h
 *	  Times and dates as people and programs write them, and as Braze wants
 *	  them.
 *
 * There is one reader, for a call's time, a birthday and every other date: a
 * form that is read in one place is read in all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TIME_H
#define BRAZE_TIME_H

#include "json/jsonb_walk.h"

typedef struct BrazeTime
{
	int			year;			/* the calendar date as written */
	int			month;
	int			day;
	bool		date_only;		/* there is no time of day */
	int64		ms;				/* since 1970-01-01 UTC, may be negative */
} BrazeTime;

/* YYYY-MM-DDTHH:MM:SS.mmmZ */
#define BRAZE_TIME_LENGTH	24
/* YYYY-MM-DD */
#define BRAZE_DATE_LENGTH	10

/* a string, or a number that is an epoch or a date of eight digits */
extern bool braze_time_read(const JsonbValue *value, BrazeTime *time);

/* the same, and Braze takes it for the time of something that happened */
extern bool braze_time(const JsonbValue *value, int64 *ms);
extern bool braze_time_in_range(int64 ms);

/* writes BRAZE_TIME_LENGTH bytes; false for years outside 1 to 9999 */
extern bool braze_time_print(int64 ms, char *out);

/* a date of birth: BRAZE_DATE_LENGTH bytes are written to out */
extern bool braze_time_date(const JsonbValue *value, char *out);

/*
 * The value of a "$time": a date where it is one alone, else a time.  Returns
 * how many of BRAZE_TIME_LENGTH bytes were written, 0: Braze takes no such.
 */
extern int	braze_time_print_nested(const JsonbValue *value, char *out);

#endif							/* BRAZE_TIME_H */
