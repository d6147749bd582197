/*
 * SipHash, against the vectors of its authors, and against who makes texts
 * collide.
 *
 * link: ../../src/braze/hash.c
 */
#include "tap.h"

#include "collide.h"
#include "braze/hash.h"

/* of the bytes 0, 1, 2 ... with the key 0, 1, 2 ... 15 */
static const struct
{
	size_t		length;
	uint64_t	hash;
}			vectors[] = {
	{0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)},
	{2, UINT64_C(0x0d6c8009d9a94f5a)}, {3, UINT64_C(0x85676696d7fb7e2d)},
	{4, UINT64_C(0xcf2794e0277187b7)}, {5, UINT64_C(0x18765564cd99a68d)},
	{6, UINT64_C(0xcbc9466e58fee3ce)}, {7, UINT64_C(0xab0200f58b01d137)},
	{8, UINT64_C(0x93f5f5799a932462)}, {9, UINT64_C(0x9e0082df0ba9e4b0)},
	{15, UINT64_C(0xa129ca6149be45e5)}, {16, UINT64_C(0x3f2acc7f57c29bdb)},
	{31, UINT64_C(0x32d892fad841c342)}, {63, UINT64_C(0x958a324ceb064572)},
};

int
main(void)
{
	BrazeHashKey key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	unsigned char bytes[64];
	char		first[] = "\"aaaaaaaAAAAAAAA\"";
	char		second[] = "\"bbbbbbbAAAAAAAA\"";

	for (int i = 0; i < 64; i++)
		bytes[i] = (unsigned char) i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		ok(braze_hash_keyed(key, bytes, vectors[i].length) == vectors[i].hash,
		   "the hash of %zu bytes", vectors[i].length);
	ok(braze_hash_keyed(key, bytes + 1, 9) != braze_hash_keyed((BrazeHashKey) {1, 0}, bytes + 1, 9),
	   "another key, another hash");

	make_collide(first, 8, 17);
	make_collide(second, 8, 17);
	ok(strcmp(first, second) != 0 && weak_hash(first, 17, 17) == weak_hash(second, 17, 17),
	   "%s and %s collide without a key", first, second);
	ok(braze_hash(first, 17) != braze_hash(second, 17), "and do not with one, be it of zeros");
	return done();
}
