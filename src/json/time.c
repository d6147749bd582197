/*-------------------------------------------------------------------------
 *
 * time.c
 *	  Times and dates as people and programs write them, and as Braze wants
 *	  them.
 *
 * Read are ISO 8601 with and without its punctuation, what BigQuery and
 * PostgreSQL print, the forms with names of months that HTTP, mail and C have,
 * and epochs.  A form that two countries read differently (07/08/2013) is not
 * read: no time is better than a false one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "json/number.h"
#include "json/time.h"
#include "json/value.h"

#define MS_PER_DAY			INT64CONST(86400000)

/* 1970-01-02: Braze takes what is earlier for a clock that was never set */
#define FIRST_TIME_MS		MS_PER_DAY
/* 2100-12-31T23:59:59.999Z: Braze would make what is later the present */
#define LAST_TIME_MS		INT64CONST(4133980799999)
/* 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define FIRST_PRINTED_MS	INT64CONST(-62135596800000)
#define LAST_PRINTED_MS		INT64CONST(253402300799999)

/*
 * A smaller number is not an epoch: it is more likely a year, a date without
 * punctuation or a count of days than a moment before March 1973.
 */
#define FIRST_EPOCH			INT64CONST(100000000)
/* from here on a number counts milliseconds; as seconds it is the year 2286 */
#define FIRST_MS_EPOCH		INT64CONST(10000000000)
/* 1900-01-01T00:00:00Z */
#define FIRST_EPOCH_MS		INT64CONST(-2208988800000)

/* the years that a date of birth, or one without punctuation, can have */
#define FIRST_YEAR			1900
#define LAST_YEAR			2100
/* 3000-12-31T23:59:59.999Z: Braze drops an attribute with a later "$time" */
#define LAST_NESTED_MS		INT64CONST(32535215999999)

/* as far as offsets go on earth, plus what PostgreSQL itself accepts */
#define MAX_OFFSET_HOURS	15

typedef struct TimeReader
{
	const char *p;
	const char *end;
	BrazeTime  *time;
	int			time_of_day;	/* milliseconds */
	int			offset;			/* minutes east of Greenwich */
} TimeReader;

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_calendar_date(const BrazeTime *time)
{
	return time->year >= 1 && time->month >= 1 && time->month <= 12 && time->day >= 1 &&
		time->day <= day_tab[isleap(time->year)][time->month - 1];
}

static int
count_digits(const TimeReader *reader)
{
	int			count = 0;

	while (reader->p + count < reader->end && is_digit(reader->p[count]))
		count++;
	return count;
}

/* reads exactly count digits */
static bool
read_digits(TimeReader *reader, int count, int *result)
{
	int			value = 0;

	if (count_digits(reader) < count)
		return false;
	for (int i = 0; i < count; i++)
		value = value * 10 + (*reader->p++ - '0');
	*result = value;
	return true;
}

/* reads one or two digits */
static bool
read_short(TimeReader *reader, int *result)
{
	int			count = count_digits(reader);

	return count >= 1 && count <= 2 && read_digits(reader, count, result);
}

static bool
read_char(TimeReader *reader, char c)
{
	if (reader->p >= reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static bool
skip_blanks(TimeReader *reader)
{
	const char *before = reader->p;

	while (read_char(reader, ' '))
		 /* next */ ;
	return reader->p > before;
}

/* a word of this many letters or more that begins like one of the names */
static bool
read_name(TimeReader *reader, const char *const *names, int count, int letters, int *index)
{
	int			length = 0;

	while (reader->p + length < reader->end &&
		   pg_ascii_tolower((unsigned char) reader->p[length]) >= 'a' &&
		   pg_ascii_tolower((unsigned char) reader->p[length]) <= 'z')
		length++;
	if (length < letters)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (length <= (int) strlen(names[i]) &&
			pg_strncasecmp(reader->p, names[i], length) == 0)
		{
			reader->p += length;
			*index = i;
			return true;
		}
	}
	return false;
}

/* HH:MM, HH:MM:SS or the same without colons, and a fraction of the second */
static bool
read_clock(TimeReader *reader, bool hour_suffices)
{
	int			hour;
	int			minute = 0;
	int			second = 0;
	int			ms = 0;
	bool		colons;

	if (!read_digits(reader, 2, &hour))
		return false;
	colons = read_char(reader, ':');
	if (!read_digits(reader, 2, &minute))
	{
		if (colons || !hour_suffices)
			return false;
	}
	else if (colons ? read_char(reader, ':') : count_digits(reader) > 0)
	{
		if (!read_digits(reader, 2, &second))
			return false;
		if (read_char(reader, '.') || read_char(reader, ',') || read_char(reader, ':'))
		{
			int			unit = 100;

			if (count_digits(reader) == 0)
				return false;
			for (; reader->p < reader->end && is_digit(*reader->p); reader->p++)
			{
				ms += (*reader->p - '0') * unit;
				unit /= 10;
			}
		}
	}
	/* 60 is a leap second */
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	reader->time_of_day = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
	return true;
}

/*
 * Z, UTC, GMT, +h, +hh, +hhmm, +h:mm, +hh:mm, also UTC+h and so on, or nothing,
 * which is UTC.
 */
static bool
read_zone(TimeReader *reader, bool minutes_needed)
{
	int			hour;
	int			minute = 0;
	bool		west;
	int			name;
	static const char *const utc[] = {"UTC", "GMT"};

	skip_blanks(reader);
	if (read_char(reader, 'Z') || read_char(reader, 'z'))
		return true;

	/* after a name, "+5" can be nothing but an offset */
	if (read_name(reader, utc, lengthof(utc), 3, &name))
		minutes_needed = false;
	west = read_char(reader, '-');
	if (!west && !read_char(reader, '+'))
		return true;

	if (count_digits(reader) == 4)
	{
		if (!read_digits(reader, 2, &hour) || !read_digits(reader, 2, &minute))
			return false;
	}
	else if (!read_short(reader, &hour))
		return false;
	else if (read_char(reader, ':'))
	{
		if (count_digits(reader) != 2 || !read_digits(reader, 2, &minute))
			return false;
	}
	else if (minutes_needed)
		return false;
	if (hour > MAX_OFFSET_HOURS || minute > 59)
		return false;
	reader->offset = (hour * 60 + minute) * (west ? -1 : 1);
	return true;
}

/* YYYY-MM-DD or YYYYMMDD, alone or before a time of day */
static bool
read_iso(TimeReader *reader)
{
	BrazeTime  *time = reader->time;
	bool		dashes;

	if (!read_digits(reader, 4, &time->year))
		return false;
	dashes = read_char(reader, '-');
	if (!read_digits(reader, 2, &time->month) ||
		(dashes && !read_char(reader, '-')) ||
		!read_digits(reader, 2, &time->day))
		return false;

	time->date_only = reader->p == reader->end;
	if (read_char(reader, 'T') || read_char(reader, 't'))
		return read_clock(reader, true) && read_zone(reader, false);
	if (skip_blanks(reader) && count_digits(reader) > 0)
		return read_clock(reader, false) && read_zone(reader, false);
	/* "-05" behind a date alone could be an hour as well as an offset */
	return read_zone(reader, true);
}

/*
 * The forms with the name of a month and a time of day: "Tue, 16 Jul 2013
 * 19:20:30 GMT" (HTTP and mail), "Tue Jul 16 2013 19:20:30 GMT+0200 (CEST)"
 * (JavaScript), "Tue Jul 16 19:20:30 2013" (C) and "Tue Jul 16 19:20:30 +0000
 * 2013" (Ruby).
 */
static bool
read_worded(TimeReader *reader)
{
	static const char *const days[] = {
		"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"
	};
	static const char *const months[] = {
		"January", "February", "March", "April", "May", "June", "July",
		"August", "September", "October", "November", "December"
	};
	BrazeTime  *time = reader->time;
	int			weekday = -1;
	int			month;
	bool		year_last = false;

	if (read_name(reader, days, lengthof(days), 3, &weekday))
	{
		read_char(reader, ',');
		if (!skip_blanks(reader))
			return false;
	}
	if (read_short(reader, &time->day))
	{
		if ((!read_char(reader, '-') && !skip_blanks(reader)) ||
			!read_name(reader, months, lengthof(months), 3, &month) ||
			(!read_char(reader, '-') && !skip_blanks(reader)))
			return false;
	}
	else
	{
		if (!read_name(reader, months, lengthof(months), 3, &month) ||
			!skip_blanks(reader) || !read_short(reader, &time->day))
			return false;
		read_char(reader, ',');
		if (!skip_blanks(reader))
			return false;
		year_last = count_digits(reader) != 4;
	}
	time->month = month + 1;
	time->date_only = false;
	if (!year_last && (!read_digits(reader, 4, &time->year) || !skip_blanks(reader)))
		return false;
	if (!read_clock(reader, false) || !read_zone(reader, false))
		return false;
	skip_blanks(reader);
	if (year_last && (reader->p[-1] != ' ' || !read_digits(reader, 4, &time->year)))
		return false;

	/* the name of the zone, which says nothing that its offset does not */
	if (reader->p < reader->end && *reader->p == '(' && reader->end[-1] == ')')
		reader->p = reader->end;

	/* a date whose day of the week is another one is some other form */
	return weekday < 0 ||
		(is_calendar_date(time) &&
		 weekday == j2day(date2j(time->year, time->month, time->day)));
}

static inline bool
read_pair(const char *p, int *result)
{
	*result = (p[0] - '0') * 10 + (p[1] - '0');
	return is_digit(p[0]) && is_digit(p[1]);
}

/*
 * YYYY-MM-DDTHH:MM:SS.fffZ or without a fraction, as libraries write nearly
 * every time; false: read it as any other, which may find it invalid
 */
static bool
read_usual(BrazeString string, BrazeTime *time)
{
	const char *p = string.data;
	int			century;
	int			hour;
	int			minute;
	int			second;
	int			ms = 0;

	if ((string.length != 20 && string.length != 24) ||
		p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' ||
		p[string.length - 1] != 'Z' ||
		!read_pair(p, &century) || !read_pair(p + 2, &time->year) ||
		!read_pair(p + 5, &time->month) || !read_pair(p + 8, &time->day) ||
		!read_pair(p + 11, &hour) || !read_pair(p + 14, &minute) || !read_pair(p + 17, &second) ||
		hour > 23 || minute > 59 || second > 60)
		return false;
	if (string.length == 24)
	{
		if (p[19] != '.' || !is_digit(p[20]) || !read_pair(p + 21, &ms))
			return false;
		ms += (p[20] - '0') * 100;
	}
	time->year += century * 100;
	if (!is_calendar_date(time))
		return false;
	time->date_only = false;
	time->ms = (date2j(time->year, time->month, time->day) - UNIX_EPOCH_JDATE) * MS_PER_DAY +
		((hour * 60 + minute) * 60 + second) * 1000 + ms;
	return true;
}

static bool
read_string(BrazeString string, BrazeTime *time)
{
	TimeReader	reader;

	string = braze_trim(string);
	reader.p = string.data;
	reader.end = string.data + string.length;
	reader.time = time;
	reader.time_of_day = 0;
	reader.offset = 0;

	if (count_digits(&reader) >= 4 ? !read_iso(&reader) : !read_worded(&reader))
		return false;
	if (reader.p != reader.end || !is_calendar_date(time))
		return false;
	time->ms = (date2j(time->year, time->month, time->day) - UNIX_EPOCH_JDATE) * MS_PER_DAY +
		reader.time_of_day - reader.offset * INT64CONST(60000);
	return true;
}

/* 20240130 is a date; what else is large enough is an epoch */
static bool
read_number(Numeric number, BrazeTime *time)
{
	BrazeDecimal decimal;
	int64		whole;
	int64		days;

	braze_number_read(&decimal, number);
	if (!braze_number_int64(&decimal, 0, &whole))
		return false;

	time->date_only = whole > -FIRST_EPOCH && whole < FIRST_EPOCH;
	if (time->date_only)
	{
		time->year = whole / 10000;
		time->month = whole / 100 % 100;
		time->day = whole % 100;

		/*
		 * Years far off are numbers of something else: 123456 is not a date,
		 * and 1984 is not one either.
		 */
		if (!braze_number_is_whole(&decimal) || !is_calendar_date(time) ||
			time->year < FIRST_YEAR || time->year > LAST_YEAR)
			return false;
		time->ms = (date2j(time->year, time->month, time->day) - UNIX_EPOCH_JDATE) * MS_PER_DAY;
		return true;
	}

	if (whole >= FIRST_MS_EPOCH || whole <= -FIRST_MS_EPOCH)
		time->ms = whole;
	else if (!braze_number_int64(&decimal, 3, &time->ms))
		return false;
	if (time->ms < FIRST_EPOCH_MS || time->ms > LAST_TIME_MS)
		return false;
	days = time->ms / MS_PER_DAY;

	/* C divides towards zero, and days begin at midnight before 1970, too */
	if (time->ms % MS_PER_DAY < 0)
		days--;
	j2date(days + UNIX_EPOCH_JDATE, &time->year, &time->month, &time->day);
	return true;
}

/* digits, with a sign or a fraction: nothing that another form begins with */
static bool
is_epoch_text(BrazeString string)
{
	int			points = 0;

	for (int i = 0; i < string.length; i++)
	{
		if (string.data[i] == '.' && i > 0)
			points++;
		else if (!is_digit(string.data[i]) && !(i == 0 && string.data[i] == '-'))
			return false;
	}
	return string.length > 0 && points <= 1;
}

bool
braze_time_read(const JsonbValue *value, BrazeTime *time)
{
	if (value->type == jbvNumeric)
		return read_number(value->val.numeric, time);
	if (value->type == jbvString)
	{
		BrazeString string = {value->val.string.val, value->val.string.len};

		if (read_usual(string, time))
			return true;

		/* as text, a number means what it means as a number */
		if (is_epoch_text(braze_trim(string)))
		{
			Numeric		number = braze_number(value);

			return number != NULL && read_number(number, time);
		}
		return read_string(string, time);
	}
	return false;
}

bool
braze_time_in_range(int64 ms)
{
	return ms >= FIRST_TIME_MS && ms <= LAST_TIME_MS;
}

bool
braze_time(const JsonbValue *value, int64 *ms)
{
	BrazeTime	time;

	if (!braze_time_read(value, &time))
		return false;
	*ms = time.ms;
	return braze_time_in_range(time.ms);
}

static char *
print_digits(char *out, int value, int count)
{
	for (int i = count - 1; i >= 0; i--)
	{
		out[i] = '0' + value % 10;
		value /= 10;
	}
	return out + count;
}

static char *
print_date(char *out, int year, int month, int day)
{
	out = print_digits(out, year, 4);
	*out++ = '-';
	out = print_digits(out, month, 2);
	*out++ = '-';
	return print_digits(out, day, 2);
}

bool
braze_time_print(int64 ms, char *out)
{
	int64		days = ms / MS_PER_DAY;
	int			rest = ms % MS_PER_DAY;
	int			year;
	int			month;
	int			day;

	if (ms < FIRST_PRINTED_MS || ms > LAST_PRINTED_MS)
		return false;
	if (rest < 0)
	{
		rest += MS_PER_DAY;
		days--;
	}
	j2date(days + UNIX_EPOCH_JDATE, &year, &month, &day);
	out = print_date(out, year, month, day);
	*out++ = 'T';
	out = print_digits(out, rest / 3600000, 2);
	*out++ = ':';
	out = print_digits(out, rest / 60000 % 60, 2);
	*out++ = ':';
	out = print_digits(out, rest / 1000 % 60, 2);
	*out++ = '.';
	out = print_digits(out, rest % 1000, 3);
	*out = 'Z';
	return true;
}

bool
braze_time_date(const JsonbValue *value, char *out)
{
	BrazeTime	time;

	if (!braze_time_read(value, &time) || time.year < FIRST_YEAR || time.year > LAST_YEAR)
		return false;
	print_date(out, time.year, time.month, time.day);
	return true;
}

int
braze_time_print_nested(const JsonbValue *value, char *out)
{
	BrazeTime	time;

	if (!braze_time_read(value, &time) || time.ms > LAST_NESTED_MS)
		return 0;
	if (time.date_only)
	{
		print_date(out, time.year, time.month, time.day);
		return BRAZE_DATE_LENGTH;
	}
	return braze_time_print(time.ms, out) ? BRAZE_TIME_LENGTH : 0;
}
