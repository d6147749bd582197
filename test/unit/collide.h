/*
 * collide.h
 *	  Texts that collide under a hash without a key, which anybody can make.
 *
 * The hash multiplies and folds a word of eight bytes at a time, as several
 * fast ones do: a word that equals the state so far makes the next state 0,
 * whatever came before.
 */
#ifndef COLLIDE_H
#define COLLIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* both halves of the product, which not every machine has a type for */
static inline uint64_t
weak_mix(uint64_t a, uint64_t b)
{
	uint64_t	low = (a & UINT32_MAX) * (b & UINT32_MAX);
	uint64_t	middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
	uint64_t	other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);
	uint64_t	high = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);

	return a * b ^ high;
}

/*
 * the state after whole words, or the hash if these are all bytes of the text
 */
static inline uint64_t
weak_hash(const char *text, size_t bytes, size_t length)
{
	const uint64_t k0 = UINT64_C(0xa0761d6478bd642f);
	const uint64_t k1 = UINT64_C(0xe7037ed1a0b428db);
	uint64_t	hash = weak_mix(length ^ k0, k1);
	uint64_t	word = 0;

	for (; bytes >= sizeof(word); text += sizeof(word), bytes -= sizeof(word), length -= sizeof(word))
	{
		memcpy(&word, text, sizeof(word));
		hash = weak_mix(hash ^ word, k1);
	}
	if (bytes < length)
		return hash;
	word = 0;
	memcpy(&word, text, bytes);
	return weak_mix(hash ^ word ^ k0, k1 ^ bytes);
}

static inline bool
is_plain(uint64_t word)
{
	for (; word != 0; word >>= 8)
	{
		unsigned char c = word & 0xff;

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			return false;
	}
	return true;
}

/*
 * The word at this place, a multiple of 8, becomes what makes the state 0.  The
 * four letters before it are counted up until that is made of plain letters.
 */
static inline void
make_collide(char *text, size_t at, size_t length)
{
	uint64_t	word;

	do
	{
		char	   *letter = text + at - 1;

		while (*letter >= 'z')
			*letter-- = 'A';
		++*letter;
		if (*letter == '\\')
			++*letter;
		word = weak_hash(text, at, length);
	} while ((word >> 56) == 0 || !is_plain(word));
	memcpy(text + at, &word, sizeof(word));
}

#endif							/* COLLIDE_H */
