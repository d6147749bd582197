/*-------------------------------------------------------------------------
 *
 * option_number.c
 *	  Options that are numbers, durations, rates and sizes.
 *
 * Written as the settings of the server are, and read by its own parsers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/guc.h"

#include "braze/ascii.h"
#include "destination/option_number.h"
#include "destination/option_text.h"

typedef struct NumberUnit
{
	const char *name;
	int			size;			/* in what is stored */
} NumberUnit;

/* how each type that is not a whole number is read and written */
typedef struct NumberFormat
{
	int			flags;			/* a number without a unit is of this one */
	int			scale;			/* so much of what is stored */
	bool		off;			/* may be off, which is 0 */
	const char *needed;			/* a letter of each unit, if a bare number is
								 * none */
	NumberUnit	units[4];		/* to be written with, the largest first */
	const char *kind;
	const char *hint;
} NumberFormat;

static const NumberFormat formats[] = {
	[BRAZE_OPTION_DURATION] = {
		GUC_UNIT_S, 1000, false, "", {{"h", 3600 * 1000}, {"s", 1000}, {"ms", 1}},
		"durations", ", with one of the units us, ms, s, min, h, d; a bare number is seconds"
	},
	[BRAZE_OPTION_INTERVAL] = {
		GUC_UNIT_S, 1, true, "", {{"d", 24 * 3600}, {"s", 1}},
		"durations", ", with one of the units s, min, h, d; a bare number is seconds"
	},
	[BRAZE_OPTION_SIZE] = {
		GUC_UNIT_KB, 1, true, "B", {{"TB", 1024 * 1024 * 1024}, {"GB", 1024 * 1024}, {"MB", 1024}, {"kB", 1}},
		"sizes", ", with one of the units kB, MB, GB, TB"
	},
	[BRAZE_OPTION_RATE] = {0, 1000, true, "", {{NULL}}, "numbers", ", such as 0.5"},
};

/* with the largest unit in which it is a whole number */
static char *
number_text(const NumberFormat *format, int number)
{
	const NumberUnit *unit = format->units;

	if (unit->name == NULL)
		return psprintf("%g", (double) number / format->scale);
	while (number == 0 ? unit->size != format->scale : number % unit->size != 0)
		unit++;
	return psprintf("%d %s", number / unit->size, unit->name);
}

char	   *
braze_option_number_range(const BrazeOption *option)
{
	const NumberFormat *format = &formats[option->type];

	return psprintf("%s to %s", number_text(format, option->min), number_text(format, option->max));
}

bool
braze_option_number_may_be_off(const BrazeOption *option)
{
	return formats[option->type].off;
}

static const char *
parse_integer(const BrazeOption *option, const char *value, int *result)
{
	int			number;

	/* parse_int() writes a number also when the text is none */
	if (parse_int(value, &number, 0, NULL) && number >= option->min && number <= option->max)
	{
		*result = number;
		return NULL;
	}
	return psprintf("Valid values are whole numbers from %d to %d (%s).",
					option->min, option->max, option->unit);
}

const char *
braze_option_number_parse(const BrazeOption *option, const char *value, int *result)
{
	const NumberFormat *format = &formats[option->type];
	double		number;

	if (option->type == BRAZE_OPTION_INTEGER)
		return parse_integer(option, value, result);
	if (format->off && braze_ascii_equal(braze_option_text_trimmed(value), "off"))
	{
		*result = 0;
		return NULL;
	}
	if (strstr(value, format->needed) != NULL &&
		parse_real(value, &number, format->flags, NULL))
	{
		number = rint(number * format->scale);
		if (number >= option->min && number <= option->max)
		{
			*result = (int) number;
			return NULL;
		}
	}
	return psprintf("Valid values are %s%s from %s%s%s.",
					format->off ? "off, and " : "", format->kind,
					braze_option_number_range(option), format->hint,
					format->flags == 0 ? psprintf(" (%s)", option->unit) : "");
}
