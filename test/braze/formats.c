/*-------------------------------------------------------------------------
 *
 * formats.c
 *	  The formats of single values that Braze documents.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <string.h>

#include "../../src/braze/currency.h"
#include "../../src/braze/email.h"
#include "formats.h"

bool		standin_listed_currencies = false;

size_t
standin_characters(const char *text)
{
	size_t		count = 0;

	for (; *text; text++)
	{
		if (((unsigned char) *text & 0xc0) != 0x80)
			count++;
	}
	return count;
}

/* reads exactly count digits and moves on; -1 if they are not there */
static int
digits(const char **text, int count)
{
	int			value = 0;

	while (count-- > 0)
	{
		if (!isdigit((unsigned char) **text))
			return -1;
		value = value * 10 + (*(*text)++ - '0');
	}
	return value;
}

static bool
literal(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static bool
read_date(const char **text)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year;
	int			month;
	int			day;
	int			last;

	if ((year = digits(text, 4)) < 1 || !literal(text, '-'))
		return false;
	if ((month = digits(text, 2)) < 1 || month > 12 || !literal(text, '-'))
		return false;
	last = lengths[month - 1];
	if (month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
		last++;
	day = digits(text, 2);
	return day >= 1 && day <= last;
}

bool
standin_is_date(const char *text)
{
	return read_date(&text) && *text == '\0';
}

/* a value of two digits, at most max */
static bool
two_digits(const char **text, int max)
{
	int			value = digits(text, 2);

	return value >= 0 && value <= max;
}

static bool
read_zone(const char **text)
{
	if (**text == '\0' || literal(text, 'Z'))
		return true;
	if (!literal(text, '+') && !literal(text, '-'))
		return false;
	if (!two_digits(text, 23))
		return false;
	if (**text == '\0')
		return true;
	literal(text, ':');
	return two_digits(text, 59);
}

bool
standin_is_time(const char *text)
{
	if (!read_date(&text) || !literal(&text, 'T') ||
		!two_digits(&text, 23) || !literal(&text, ':') ||
		!two_digits(&text, 59) || !literal(&text, ':') ||
		!two_digits(&text, 59))
		return false;
	if (literal(&text, '.'))
	{
		if (!isdigit((unsigned char) *text))
			return false;
		while (isdigit((unsigned char) *text))
			text++;
	}
	return read_zone(&text) && *text == '\0';
}

bool
standin_is_email(const char *text)
{
	return braze_email_is_valid(text, strlen(text));
}

bool
standin_is_currency(const char *text)
{
	const char *code = braze_currency_code(text, strlen(text));

	return code != NULL && strcmp(code, text) == 0 &&
		(!standin_listed_currencies || braze_currency_is_listed(code));
}

bool
standin_is_uuid(const char *text)
{
	int			i;

	for (i = 0; i < 36; i++)
	{
		bool		dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char) text[i]))
			return false;
	}
	return text[36] == '\0';
}
