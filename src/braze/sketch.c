/*-------------------------------------------------------------------------
 *
 * sketch.c
 *	  About how many different users there are, in a kilobyte.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "braze/hash.h"
#include "braze/sketch.h"

/* ten bits of a hash choose the register, and 54 are left for its value */
#define INDEX_BITS		10
#define HASH_BITS		(64 - INDEX_BITS)
#define MAX_VALUE		(HASH_BITS + 1)

/*
 * The first byte says how the rest is to be read: pairs of two bytes, six bits
 * of value and ten of place, or a byte for each register.
 */
#define SPARSE			'\1'
#define DENSE			'\2'

/* as pairs it would be as long as with all registers */
#define MAX_PAIRS		(BRAZE_SKETCH_REGISTERS / 2)

/*
 * A stored sketch has to mean the same in every process.  Whoever chooses users
 * by their hashes can make the estimate wrong, and nothing else.
 */
#define SEED_OF_USERS	UINT64_C(0x62727a3173656731)

void
braze_sketch_init(BrazeSketch *sketch)
{
	memset(sketch, 0, sizeof(*sketch));
}

static void
raise_register(BrazeSketch *sketch, int place, int value)
{
	uint8_t		bit = 1 << (place % 8);

	if (sketch->registers[place] >= value)
		return;
	sketch->registers[place] = value;
	if (!(sketch->raised[place / 8] & bit))
		sketch->nraised++;
	sketch->raised[place / 8] |= bit;
}

void
braze_sketch_add(BrazeSketch *sketch, const char *key, size_t length)
{
	uint64_t	hash = braze_hash_quick(SEED_OF_USERS, key, length);
	uint64_t	rest = hash << INDEX_BITS;

	raise_register(sketch, (int) (hash >> HASH_BITS),
				   rest == 0 ? MAX_VALUE : __builtin_clzll(rest) + 1);
}

/* ----- as bytes ----- */

static size_t
write_pairs(const BrazeSketch *sketch, bool raised_only, char *to)
{
	char	   *p = to;

	*p++ = SPARSE;
	for (int i = 0; i < BRAZE_SKETCH_REGISTERS; i++)
	{
		unsigned	pair = (unsigned) i << 6 | sketch->registers[i];

		if (sketch->registers[i] == 0 ||
			(raised_only && !(sketch->raised[i / 8] & 1 << (i % 8))))
			continue;
		*p++ = (char) (pair >> 8);
		*p++ = (char) (pair & 0xFF);
	}
	return p - to;
}

static size_t
write_registers(const BrazeSketch *sketch, char *to)
{
	*to = DENSE;
	memcpy(to + 1, sketch->registers, BRAZE_SKETCH_REGISTERS);
	return 1 + BRAZE_SKETCH_REGISTERS;
}

size_t
braze_sketch_write(const BrazeSketch *sketch, char *to)
{
	int			used = 0;

	for (int i = 0; i < BRAZE_SKETCH_REGISTERS; i++)
		used += sketch->registers[i] != 0;
	return used > MAX_PAIRS ? write_registers(sketch, to) : write_pairs(sketch, false, to);
}

size_t
braze_sketch_write_raised(const BrazeSketch *sketch, char *to)
{
	return sketch->nraised > MAX_PAIRS ? write_registers(sketch, to)
		: write_pairs(sketch, true, to);
}

void
braze_sketch_clear_raised(BrazeSketch *sketch)
{
	memset(sketch->raised, 0, sizeof(sketch->raised));
	sketch->nraised = 0;
}

bool
braze_sketch_merge(BrazeSketch *sketch, const char *from, size_t length)
{
	const unsigned char *p = (const unsigned char *) from + 1;
	const unsigned char *end = (const unsigned char *) from + length;

	if (length == 1 + BRAZE_SKETCH_REGISTERS && *from == DENSE)
	{
		for (int i = 0; i < BRAZE_SKETCH_REGISTERS; i++)
		{
			if (p[i] > MAX_VALUE)
				return false;
			raise_register(sketch, i, p[i]);
		}
		return true;
	}
	if (length == 0 || length % 2 == 0 || *from != SPARSE)
		return false;
	for (; p < end; p += 2)
	{
		unsigned	pair = (unsigned) p[0] << 8 | p[1];

		if ((pair & 0x3F) > MAX_VALUE)
			return false;
		raise_register(sketch, (int) (pair >> 6), (int) (pair & 0x3F));
	}
	return true;
}

/* ----- the estimate ----- */

/* of registers that nothing fell into, and of those that are full */
static double
sum_of_empty(double x)
{
	double		y = 1;
	double		z = x;
	double		before;

	if (x == 1)
		return INFINITY;
	do
	{
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

static double
sum_of_full(double x)
{
	double		y = 1;
	double		z = 1 - x;
	double		before;

	if (x == 0 || x == 1)
		return 0;
	do
	{
		x = sqrt(x);
		before = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}

/*
 * The estimator of Otmar Ertl ("New cardinality estimation algorithms for
 * HyperLogLog sketches", 2017), which needs no table of corrections and is as
 * exact for ten users as for ten million.
 */
double
braze_sketch_estimate(const BrazeSketch *sketch)
{
	const double m = BRAZE_SKETCH_REGISTERS;
	int			counts[MAX_VALUE + 1] = {0};
	double		z;

	for (int i = 0; i < BRAZE_SKETCH_REGISTERS; i++)
		counts[sketch->registers[i]]++;
	z = m * sum_of_full(1 - counts[MAX_VALUE] / m);
	for (int k = HASH_BITS; k >= 1; k--)
		z = 0.5 * (z + counts[k]);
	z += m * sum_of_empty(counts[0] / m);
	return m * m / (2 * M_LN2 * z);
}
