/*-------------------------------------------------------------------------
 *
 * hash.h
 *	  Hashes that nobody can make collide who does not know the key, and one
 *	  that is only quick.
 *
 * Plain C.  SipHash-2-4 of 64 bits, but for the quick one.  The bytes are read
 * in a fixed order, so a stored hash means the same on every machine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HASH_H
#define BRAZE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct BrazeHashKey
{
	uint64_t	k0;
	uint64_t	k1;
} BrazeHashKey;

extern uint64_t braze_hash_keyed(BrazeHashKey key, const void *data, size_t length);

/* for what only this process looks at: with a key that it draws at its start */
extern void braze_hash_set_seed(BrazeHashKey seed);
extern uint64_t braze_hash(const void *data, size_t length);

/*
 * A quick one, for where a collision does no harm: a search that is bounded, an
 * estimate.  It means the same on every machine, too.
 */
extern uint64_t braze_hash_quick(uint64_t seed, const void *data, size_t length);

#endif							/* BRAZE_HASH_H */
