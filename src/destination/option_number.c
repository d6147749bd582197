/*-------------------------------------------------------------------------
 *
 * option_number.c
 *	  Options that are numbers, durations, rates and sizes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "utils/builtins.h"

#include "destination/option.h"
#include "destination/option_number.h"
#include "json/jsonb_walk.h"

/* a copy without the white space around it */
char *
braze_trimmed(const char *text)
{
	BrazeString trimmed = {text, strlen(text)};

	trimmed = braze_trim(trimmed);
	return pnstrdup(trimmed.data, trimmed.length);
}

const char *
braze_parse_integer(const BrazeOption *option, const char *value, int *result)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	while (braze_is_space(*end))
		end++;
	if (end == value || *end != '\0' || errno != 0 ||
		number < option->min || number > option->max)
		return psprintf("Valid values are whole numbers from %d to %d (%s).",
						option->min, option->max, option->unit);
	*result = (int) number;
	return NULL;
}

/* the shortest way to write a number of milliseconds */
char *
braze_duration_text(int ms)
{
	if (ms == 0)
		return "0 s";
	if (ms % (3600 * 1000) == 0)
		return psprintf("%d h", ms / (3600 * 1000));
	if (ms % 1000 == 0)
		return psprintf("%d s", ms / 1000);
	return psprintf("%d ms", ms);
}

/* a number with a unit, in milliseconds; false for what is none */
static bool
read_duration(const char *value, double *ms)
{
	static const struct
	{
		const char *name;
		double		ms;
	}			units[] = {
		{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"", 1000}, {"min", 60 * 1000.0},
		{"h", 3600 * 1000.0}, {"d", 24 * 3600 * 1000.0}
	};
	char	   *end;
	double		number;
	char	   *unit;

	while (braze_is_space(*value))
		value++;
	/* strtod also takes what is no plain number, such as inf and 0x10 */
	number = strtod(value, &end);
	if (!isdigit((unsigned char) *value) || strspn(value, "0123456789.") != end - value)
		return false;
	unit = braze_trimmed(end);
	for (int i = 0; i < lengthof(units); i++)
	{
		if (pg_strcasecmp(unit, units[i].name) == 0)
		{
			*ms = number * units[i].ms;
			return true;
		}
	}
	return false;
}

const char *
braze_parse_duration(const BrazeOption *option, const char *value, int *result)
{
	double		ms;

	if (read_duration(value, &ms))
	{
		ms = rint(ms);
		if (ms >= option->min && ms <= option->max)
		{
			*result = (int) ms;
			return NULL;
		}
	}
	return psprintf("Valid values are durations from %s to %s, with one of the units "
					"us, ms, s, min, h, d; a bare number is seconds.",
					braze_duration_text(option->min), braze_duration_text(option->max));
}

char *
braze_interval_text(int seconds)
{
	if (seconds % (24 * 3600) == 0)
		return psprintf("%d d", seconds / (24 * 3600));
	return psprintf("%d s", seconds);
}

const char *
braze_parse_interval(const BrazeOption *option, const char *value, int *result)
{
	double		ms;

	if (pg_strcasecmp(braze_trimmed(value), "off") == 0)
	{
		*result = 0;
		return NULL;
	}
	if (read_duration(value, &ms))
	{
		double		seconds = rint(ms / 1000);

		if (seconds >= option->min && seconds <= option->max)
		{
			*result = (int) seconds;
			return NULL;
		}
	}
	return psprintf("Valid values are off, and durations from %s to %s, with one of the "
					"units s, min, h, d; a bare number is seconds.",
					braze_interval_text(option->min), braze_interval_text(option->max));
}

/* a rate is stored in thousandths, and written without needless zeros */
char *
braze_rate_text(int thousandths)
{
	return psprintf("%g", thousandths / 1000.0);
}

const char *
braze_parse_rate(const BrazeOption *option, const char *value, int *result)
{
	char	   *text = braze_trimmed(value);
	char	   *end;
	double		number;

	if (pg_strcasecmp(text, "off") == 0)
	{
		*result = 0;
		return NULL;
	}
	number = rint(strtod(text, &end) * 1000);
	if (isdigit((unsigned char) *text) && *end == '\0' &&
		strspn(text, "0123456789.") == strlen(text) &&
		number >= option->min && number <= option->max)
	{
		*result = (int) number;
		return NULL;
	}
	return psprintf("Valid values are off, and numbers from %s to %s, such as 0.5 (%s).",
					braze_rate_text(option->min), braze_rate_text(option->max), option->unit);
}

static const struct
{
	const char *name;
	int			kb;
}			size_units[] = {
	{"TB", 1024 * 1024 * 1024}, {"GB", 1024 * 1024}, {"MB", 1024}, {"kB", 1}
};

/* with the largest unit in which it is a whole number */
char *
braze_size_text(int kb)
{
	int			i = 0;

	while (kb % size_units[i].kb != 0)
		i++;
	return psprintf("%d %s", kb / size_units[i].kb, size_units[i].name);
}

const char *
braze_parse_size(const BrazeOption *option, const char *value, int *result)
{
	char	   *text = braze_trimmed(value);
	size_t		digits = strspn(text, "0123456789.");
	char	   *unit = braze_trimmed(text + digits);

	if (pg_strcasecmp(text, "off") == 0)
	{
		*result = 0;
		return NULL;
	}
	for (int i = 0; isdigit((unsigned char) *text) && i < lengthof(size_units); i++)
	{
		char	   *end;
		double		kb;

		if (pg_strcasecmp(unit, size_units[i].name) != 0)
			continue;
		kb = rint(strtod(text, &end) * size_units[i].kb);
		if (end == text + digits && kb >= option->min && kb <= option->max)
		{
			*result = (int) kb;
			return NULL;
		}
	}
	return psprintf("Valid values are off, and sizes from %s to %s, with one of the units "
					"kB, MB, GB, TB.", braze_size_text(option->min),
					braze_size_text(option->max));
}
