/*-------------------------------------------------------------------------
 *
 * hash.c
 *	  Hashes that nobody can make collide who does not know the key.
 *
 * SipHash-2-4, as its authors describe it: two rounds for each word of eight
 * bytes, and four to finish.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "braze/hash.h"

static BrazeHashKey process_seed;

static inline uint64_t
rotate_left(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

/* the lowest byte first, whatever the machine's order is */
static inline uint64_t
read_word(const unsigned char *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

static inline uint64_t
read_half(const unsigned char *bytes)
{
	uint32_t	half;

	memcpy(&half, bytes, sizeof(half));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	half = __builtin_bswap32(half);
#endif
	return half;
}

/* fewer than eight bytes; some are read twice, and put where they are */
static inline uint64_t
read_rest(const unsigned char *bytes, size_t length)
{
	if (length >= 4)
		return read_half(bytes) | read_half(bytes + length - 4) << (8 * (length - 4));
	if (length == 0)
		return 0;
	return (uint64_t) bytes[0] | (uint64_t) bytes[length / 2] << (8 * (length / 2)) |
		(uint64_t) bytes[length - 1] << (8 * (length - 1));
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate_left(v[1], 13) ^ v[0];
	v[0] = rotate_left(v[0], 32);
	v[2] += v[3];
	v[3] = rotate_left(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate_left(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate_left(v[1], 17) ^ v[2];
	v[2] = rotate_left(v[2], 32);
}

static inline void
take_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t
braze_hash_keyed(BrazeHashKey key, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint64_t	v[4] = {
		key.k0 ^ UINT64_C(0x736f6d6570736575), key.k1 ^ UINT64_C(0x646f72616e646f6d),
		key.k0 ^ UINT64_C(0x6c7967656e657261), key.k1 ^ UINT64_C(0x7465646279746573)
	};
	size_t		left = length;

	for (; left >= 8; left -= 8, bytes += 8)
		take_word(v, read_word(bytes));
	take_word(v, read_rest(bytes, left) | (uint64_t) length << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void
braze_hash_set_seed(BrazeHashKey seed)
{
	process_seed = seed;
}

uint64_t
braze_hash(const void *data, size_t length)
{
	return braze_hash_keyed(process_seed, data, length);
}

/* ----- the quick one ----- */

#define MULTIPLIER		UINT64_C(0x9FB21C651E98DF25)

static uint64_t
mix_in(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * MULTIPLIER;
	return hash ^ hash >> 32;
}

uint64_t
braze_hash_quick(uint64_t seed, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint64_t	hash = mix_in(seed, length);
	size_t		left = length;

	for (; left >= 8; left -= 8, bytes += 8)
		hash = mix_in(hash, read_word(bytes));
	hash = mix_in(hash, read_rest(bytes, left));

	/* twice more: each bit of the result is to depend on each of the data */
	return mix_in(mix_in(hash, 0), 0);
}
