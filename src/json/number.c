/*-------------------------------------------------------------------------
 *
 * number.c
 *	  Numbers as jsonb keeps them, read without converting them.
 *
 * numeric_out allocates its result, and writes 131,072 digits where jsonb
 * holds eight bytes.  The mapping must know how long a number is before it
 * writes it, and writes one or more per call, so the on-disk format is read
 * here.  It is fixed by what pg_upgrade promises; numeric.c describes it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "json/jsonb_walk.h"
#include "json/number.h"

/* numeric.c's header word */
#define SIGN_MASK			0xC000
#define SIGN_NEGATIVE		0x4000
#define FORMAT_SHORT		0x8000
#define FORMAT_SPECIAL		0xC000
#define LONG_SCALE_MASK		0x3FFF
#define SHORT_SIGN			0x2000
#define SHORT_SCALE_MASK	0x1F80
#define SHORT_SCALE_SHIFT	7
#define SHORT_WEIGHT_SIGN	0x0040
#define SHORT_WEIGHT_MASK	0x003F

#define DIGIT_WIDTH			4

/* 1.7e308: all of IEEE double's range but its last half percent */
#define MAX_EXPONENT		308
#define MAX_MANTISSA		17

/*
 * A numeric string within both bounds can be neither too long nor too large
 * for numeric_in, which would raise an error.
 */
#define MAX_STRING			BRAZE_MAX_DIGITS
#define MAX_STRING_EXPONENT	1000

/* more than any time in milliseconds; times 10,000 it still is an int64 */
#define MAX_WHOLE			INT64CONST(900000000000000)

void
braze_number_read(BrazeDecimal *decimal, Numeric number)
{
	const char *data;
	uint16		header;
	int			size;

	/* jsonb holds the long varlena header; do not rely on it */
	if (VARATT_IS_SHORT(number))
		number = DatumGetNumeric(PointerGetDatum(number));

	data = VARDATA(number);
	size = VARSIZE(number) - VARHDRSZ;
	memcpy(&header, data, sizeof(header));

	decimal->finite = true;
	if ((header & SIGN_MASK) == FORMAT_SPECIAL)
	{
		decimal->finite = false;
		return;
	}
	if ((header & SIGN_MASK) == FORMAT_SHORT)
	{
		decimal->negative = (header & SHORT_SIGN) != 0;
		decimal->scale = (header & SHORT_SCALE_MASK) >> SHORT_SCALE_SHIFT;
		decimal->weight = header & SHORT_WEIGHT_MASK;

		/* seven bits in two's complement: the sign has to be extended */
		if (header & SHORT_WEIGHT_SIGN)
			decimal->weight -= SHORT_WEIGHT_MASK + 1;
		data += sizeof(uint16);
		size -= sizeof(uint16);
	}
	else
	{
		int16		weight;

		memcpy(&weight, data + sizeof(uint16), sizeof(weight));
		decimal->negative = (header & SIGN_MASK) == SIGN_NEGATIVE;
		decimal->scale = header & LONG_SCALE_MASK;
		decimal->weight = weight;
		data += sizeof(uint16) + sizeof(int16);
		size -= sizeof(uint16) + sizeof(int16);
	}

	/* nothing but the size says how many digits there are */
	decimal->digits = (const int16 *) data;
	decimal->ndigits = size / (int) sizeof(int16);
}

static int
digit_at(const BrazeDecimal *decimal, int index)
{
	return index >= 0 && index < decimal->ndigits ? decimal->digits[index] : 0;
}

bool
braze_number_is_zero(const BrazeDecimal *decimal)
{
	return decimal->ndigits == 0;
}

bool
braze_number_is_whole(const BrazeDecimal *decimal)
{
	for (int i = Max(decimal->weight + 1, 0); i < decimal->ndigits; i++)
	{
		if (decimal->digits[i] != 0)
			return false;
	}
	return true;
}

bool
braze_number_in_range(const BrazeDecimal *decimal)
{
	int			exponent;
	int			leading;
	int			rest;

	if (!decimal->finite || braze_number_print_size(decimal) > BRAZE_MAX_DIGITS)
		return false;
	if (decimal->ndigits == 0 || decimal->weight < MAX_EXPONENT / DIGIT_WIDTH)
		return true;
	if (decimal->weight > MAX_EXPONENT / DIGIT_WIDTH)
		return false;

	/* 308 is a multiple of 4: 1.7e308 has one decimal digit in its first */
	exponent = decimal->digits[0] >= 10 ? MAX_EXPONENT + 1 : MAX_EXPONENT;
	if (exponent > MAX_EXPONENT)
		return false;
	leading = decimal->digits[0] * 10 + digit_at(decimal, 1) / 1000;
	rest = digit_at(decimal, 1) % 1000;
	if (leading != MAX_MANTISSA)
		return leading < MAX_MANTISSA;
	for (int i = 2; i < decimal->ndigits && rest == 0; i++)
		rest = decimal->digits[i];
	return rest == 0;
}

bool
braze_number_exceeds(const BrazeDecimal *decimal, int limit)
{
	int64		whole = 0;

	if (!decimal->finite || decimal->weight > 2)
		return true;
	for (int i = 0; i <= decimal->weight; i++)
		whole = whole * 10000 + digit_at(decimal, i);
	return whole > limit || (whole == limit && !braze_number_is_whole(decimal));
}

bool
braze_number_int64(const BrazeDecimal *decimal, int shift, int64 *result)
{
	int64		value = 0;
	int			fraction;
	int			unit = 1000;

	if (!decimal->finite)
		return false;
	for (int i = 0; i <= decimal->weight; i++)
	{
		value = value * 10000 + digit_at(decimal, i);
		/* in the loop, before the next step could overflow */
		if (value > MAX_WHOLE)
			return false;
	}

	Assert(shift >= 0 && shift <= DIGIT_WIDTH);
	fraction = digit_at(decimal, decimal->weight + 1);
	for (int i = 0; i < shift; i++)
	{
		value = value * 10 + fraction / unit % 10;
		unit /= 10;
	}
	*result = decimal->negative ? -value : value;
	return true;
}

int
braze_number_print_size(const BrazeDecimal *decimal)
{
	int			size = 2;		/* the sign, the point */

	size += decimal->weight >= 0 ? (decimal->weight + 1) * DIGIT_WIDTH : 1;
	return size + decimal->scale + DIGIT_WIDTH;
}

int
braze_number_print(const BrazeDecimal *decimal, char *out)
{
	char	   *start = out;
	int			index;

	if (decimal->negative)
		*out++ = '-';

	if (decimal->weight < 0)
		*out++ = '0';
	for (index = 0; index <= decimal->weight; index++)
	{
		int			value = digit_at(decimal, index);

		/*
		 * The first group is without zeros in front, and zero itself has one
		 * digit.
		 */
		bool		inside = index > 0;

		if (inside || value >= 1000)
			*out++ = '0' + value / 1000;
		if (inside || value >= 100)
			*out++ = '0' + value / 100 % 10;
		if (inside || value >= 10)
			*out++ = '0' + value / 10 % 10;
		*out++ = '0' + value % 10;
	}

	if (decimal->scale > 0)
	{
		int			first = Max(decimal->weight + 1, 0);
		char	   *end;

		*out++ = '.';
		end = out + decimal->scale;
		/* zeros around what is stored, in one go: they may be most of it */
		memset(out, '0', decimal->scale);
		out += (first - decimal->weight - 1) * DIGIT_WIDTH;
		for (index = first; index < decimal->ndigits && out < end; index++)
		{
			int			value = decimal->digits[index];

			*out++ = '0' + value / 1000;
			*out++ = '0' + value / 100 % 10;
			*out++ = '0' + value / 10 % 10;
			*out++ = '0' + value % 10;
		}
		/* the last digit of four may reach behind the scale */
		out = end;
	}
	return out - start;
}

/* JSON's grammar for a number, the exponent bounded; not terminated */
static bool
is_number_text(BrazeString text)
{
	const char *p = text.data;
	const char *end = text.data + text.length;
	int			exponent = 0;

	if (p < end && *p == '-')
		p++;
	if (p >= end || *p < '0' || *p > '9')
		return false;
	if (*p == '0')
		p++;
	else
	{
		while (p < end && *p >= '0' && *p <= '9')
			p++;
	}
	if (p < end && *p == '.')
	{
		p++;
		if (p >= end || *p < '0' || *p > '9')
			return false;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		if (p >= end || *p < '0' || *p > '9')
			return false;
		for (; p < end && *p >= '0' && *p <= '9'; p++)
		{
			/*
			 * Counted no further than it takes to refuse it: an int would
			 * overflow.
			 */
			if (exponent <= MAX_STRING_EXPONENT)
				exponent = exponent * 10 + (*p - '0');
		}
	}
	return p == end && exponent <= MAX_STRING_EXPONENT;
}

static Numeric
in_range_or_null(Numeric number)
{
	BrazeDecimal decimal;

	braze_number_read(&decimal, number);
	return braze_number_in_range(&decimal) ? number : NULL;
}

Numeric
braze_number(const JsonbValue *value)
{
	BrazeString text;
	char		buffer[MAX_STRING + 1];

	if (value->type == jbvNumeric)
		return in_range_or_null(value->val.numeric);
	if (value->type != jbvString)
		return NULL;

	text.data = value->val.string.val;
	text.length = value->val.string.len;
	text = braze_trim(text);
	if (text.length > MAX_STRING || !is_number_text(text))
		return NULL;

	/*
	 * numeric_in wants an end, and now can raise no error: grammar, length
	 * and exponent are checked.
	 */
	memcpy(buffer, text.data, text.length);
	buffer[text.length] = '\0';
	return in_range_or_null(DatumGetNumeric(DirectFunctionCall3(numeric_in,
																CStringGetDatum(buffer),
																ObjectIdGetDatum(InvalidOid),
																Int32GetDatum(-1))));
}

Numeric
braze_number_multiply(Numeric a, Numeric b)
{
	BrazeDecimal left;
	BrazeDecimal right;
	Numeric		result;

	/*
	 * The result has as many digits as both together, and the time it takes
	 * grows with their product.
	 */
	braze_number_read(&left, a);
	braze_number_read(&right, b);
	if (braze_number_print_size(&left) + braze_number_print_size(&right) > BRAZE_MAX_DIGITS)
		return NULL;
	result = braze_numeric_multiply(a, b);
	return result == NULL ? NULL : in_range_or_null(result);
}

Numeric
braze_number_add(Numeric a, Numeric b)
{
	Numeric		result = braze_numeric_add(a, b);

	return result == NULL ? NULL : in_range_or_null(result);
}

Numeric
braze_number_negate(Numeric a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(a)));
}
