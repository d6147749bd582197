/*-------------------------------------------------------------------------
 *
 * sketch.h
 *	  About how many different users there are, in a kilobyte.
 *
 * Plain C.  HyperLogLog: each of 1,024 registers keeps the longest run of
 * zeros among the hashes that fell into it.  Two sketches merge into that of
 * both crowds, so that nobody is counted twice.  The estimate is off by 3.3 %
 * (standard deviation), and says nothing of who was counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SKETCH_H
#define BRAZE_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRAZE_SKETCH_REGISTERS	1024

typedef struct BrazeSketch
{
	uint8_t		registers[BRAZE_SKETCH_REGISTERS];	/* 0: nothing fell there */

	/* registers that were raised since the last braze_sketch_write_raised */
	uint8_t		raised[BRAZE_SKETCH_REGISTERS / 8];
	int			nraised;
} BrazeSketch;

extern void braze_sketch_init(BrazeSketch *sketch);

/* the same key counts as the same user on every machine */
extern void braze_sketch_add(BrazeSketch *sketch, const char *key, size_t length);

/* an upper bound of what is written */
#define BRAZE_SKETCH_SIZE		(1 + BRAZE_SKETCH_REGISTERS)

/*
 * As bytes, all of it, or what was raised only, which merges into what was
 * written before.  Returns how many bytes; of an empty one 1.
 */
extern size_t braze_sketch_write(const BrazeSketch *sketch, char *to);
extern size_t braze_sketch_write_raised(const BrazeSketch *sketch, char *to);
extern void braze_sketch_clear_raised(BrazeSketch *sketch);

/* adds what was written; false: these bytes are not a sketch */
extern bool braze_sketch_merge(BrazeSketch *sketch, const char *from, size_t length);

extern double braze_sketch_estimate(const BrazeSketch *sketch);

#endif							/* BRAZE_SKETCH_H */
