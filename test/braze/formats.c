/*-------------------------------------------------------------------------
 *
 * formats.c
 *	  The formats of single values that Braze documents.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <string.h>

#include "formats.h"

#define MAX_LOCAL_PART	64

/* the currencies that Braze knows, each at a multiple of four */
static const char currencies[] =
	"AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND "
	"BOB BRL BSD BTC BTN BWP BYR BZD CAD CDF CHF CLF CLP CNY COP CRC CUC CUP "
	"CVE CZK DJF DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GGP GHS GIP "
	"GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD "
	"JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL "
	"LYD MAD MDL MGA MKD MMK MNT MOP MRO MTL MUR MVR MWK MXN MYR MZN NAD NGN "
	"NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR "
	"SBD SCR SDG SEK SGD SHP SLL SOS SRD STD SVC SYP SZL THB TJS TMT TND TOP "
	"TRY TTD TWD TZS UAH UGX USD UYU UZS VEF VND VUV WST XAF XAG XAU XCD XDR "
	"XOF XPD XPF XPT YER ZAR ZMK ZMW ZWL";

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

/* no empty label between dots, at either end too */
static bool
dots_are_inside(const char *text, size_t length)
{
	size_t		i;

	if (text[0] == '.' || text[length - 1] == '.')
		return false;
	for (i = 1; i < length; i++)
	{
		if (text[i] == '.' && text[i - 1] == '.')
			return false;
	}
	return true;
}

bool
standin_is_email(const char *text)
{
	const char *at = strchr(text, '@');
	const char *domain;
	const unsigned char *c;

	if (at == NULL || at == text || at - text > MAX_LOCAL_PART)
		return false;
	domain = at + 1;
	if (strchr(domain, '@') != NULL || strchr(domain, '.') == NULL)
		return false;
	for (c = (const unsigned char *) text; *c; c++)
	{
		if (*c <= ' ' || *c == 0x7f)
			return false;
	}
	return dots_are_inside(text, (size_t) (at - text)) &&
		dots_are_inside(domain, strlen(domain));
}

bool
standin_is_currency(const char *text)
{
	const char *found;

	if (strlen(text) != 3 || strchr(text, ' ') != NULL)
		return false;
	found = strstr(currencies, text);
	return found != NULL && (found - currencies) % 4 == 0;
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
