/*-------------------------------------------------------------------------
 *
 * random.h
 *	  splitmix64: the one generator behind seeds that are kept.
 *
 * IDENTIFICATION
 *	  src/quant/random.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_RANDOM_H
#define VK_RANDOM_H

#include <stdint.h>

typedef struct VkRandom
{
	uint64_t	state;
} VkRandom;

static inline uint64_t
vk_seeded_next(VkRandom *random)
{
	uint64_t	z = (random->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* uniform in 0 .. n - 1 (n > 0); the bias of n / 2^64 is of no matter here */
static inline int64_t
vk_seeded_below(VkRandom *random, int64_t n)
{
	return (int64_t) (vk_seeded_next(random) % (uint64_t) n);
}

#endif							/* VK_RANDOM_H */
