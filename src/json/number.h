/*-------------------------------------------------------------------------
 *
 * number.h
 *	  Numbers as jsonb keeps them, read without converting them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_NUMBER_H
#define BRAZE_NUMBER_H

#include "utils/numeric.h"

#include "json/jsonb_walk.h"

/* a numeric taken apart; digits are base 10,000 and point into it */
typedef struct BrazeDecimal
{
	bool		negative;
	bool		finite;			/* false: NaN or infinite, nothing else is set */
	int			weight;			/* of the first digit, as a power of 10,000 */
	int			scale;			/* decimal digits after the point */
	int			ndigits;
	const int16 *digits;
} BrazeDecimal;

extern void braze_number_read(BrazeDecimal *decimal, Numeric number);

/*
 * As text, in which eight stored bytes can be 16,000 digits: more than double's
 * range needs, and nothing that is multiplied or printed has more.
 */
#define BRAZE_MAX_DIGITS	1000

/* can Braze read it: finite, within 1.7e308 of zero, not of too many digits? */
extern bool braze_number_in_range(const BrazeDecimal *decimal);

extern bool braze_number_is_zero(const BrazeDecimal *decimal);
extern bool braze_number_is_whole(const BrazeDecimal *decimal);

/* is its distance from zero more than limit? */
extern bool braze_number_exceeds(const BrazeDecimal *decimal, int limit);

/* the number times 10^shift, what is behind the point cut; false past 9e14 */
extern bool braze_number_int64(const BrazeDecimal *decimal, int shift, int64 *result);

/* an upper bound of what braze_number_print writes */
extern int	braze_number_print_size(const BrazeDecimal *decimal);

/* the digits that numeric_out would write; returns how many bytes */
extern int	braze_number_print(const BrazeDecimal *decimal, char *out);

/*
 * The number that a value is: a number or a numeric string, within range.
 * NULL for everything else.
 */
extern Numeric braze_number(const JsonbValue *value);

/* exact arithmetic; NULL when the result is not in range as above */
extern Numeric braze_number_multiply(Numeric a, Numeric b);
extern Numeric braze_number_add(Numeric a, Numeric b);
extern Numeric braze_number_negate(Numeric a);

#endif							/* BRAZE_NUMBER_H */
