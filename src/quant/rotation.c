/*-------------------------------------------------------------------------
 *
 * rotation.c
 *	  Seeded orthogonal transform in O(d log d), for any dimension.
 *
 * NOTES
 *	  A rotation spreads a vector's energy evenly over its dimensions, so that
 *	  one step size suits them all.  Signs come from splitmix64, one bit each,
 *	  so that a seed alone defines the transform, for ever.
 *
 * IDENTIFICATION
 *	  src/quant/rotation.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/quant.h"
#include "quant/random.h"

#define ROUNDS		4
#define SIGN_BIT	UINT32_C(0x80000000)

size_t
vk_rotation_size(int dim)
{
	return (size_t) ROUNDS * dim * sizeof(uint32_t);
}

void
vk_rotation_init(VkRotation *rotation, int dim, uint64_t seed, bool identity,
				 void *memory)
{
	VkRandom	random = {seed};
	uint64_t	bits = 0;

	rotation->dim = dim;
	rotation->power = 1;
	while (rotation->power * 2 <= dim)
		rotation->power *= 2;
	rotation->identity = identity;
	rotation->signs = memory;
	for (int i = 0; i < ROUNDS * dim; i++)
	{
		if (i % 64 == 0)
			bits = vk_seeded_next(&random);
		rotation->signs[i] = (bits >> (i % 64)) & 1 ? SIGN_BIT : 0;
	}
}

static void
apply_signs(const uint32_t *restrict signs, const float *x, float *out, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &x[i], sizeof(bits));
		bits ^= signs[i];
		memcpy(&out[i], &bits, sizeof(bits));
	}
}

void
vk_rotate(const VkRotation *rotation, const float *x, float *out)
{
	const int	dim = rotation->dim;
	const int	power = rotation->power;
	const float scale = (float) (1.0 / sqrt((double) power));

	if (rotation->identity)
	{
		memcpy(out, x, sizeof(float) * dim);
		return;
	}
	for (int round = 0; round < ROUNDS; round++)
	{
		const uint32_t *signs = rotation->signs + (size_t) round * dim;

		apply_signs(signs, round == 0 ? x : out, out, dim);
		vk_kernels->hadamard(round % 2 == 0 ? out : out + (dim - power), power,
							 scale);
	}
}

/*
 * vk_rotate_back -- the rounds in reverse: each step is its own inverse
 */
void
vk_rotate_back(const VkRotation *rotation, const float *y, float *out)
{
	const int	dim = rotation->dim;
	const int	power = rotation->power;
	const float scale = (float) (1.0 / sqrt((double) power));

	memcpy(out, y, sizeof(float) * dim);
	if (rotation->identity)
		return;
	for (int round = ROUNDS - 1; round >= 0; round--)
	{
		vk_kernels->hadamard(round % 2 == 0 ? out : out + (dim - power), power,
							 scale);
		apply_signs(rotation->signs + (size_t) round * dim, out, out, dim);
	}
}

/*
 * vk_rotation_error -- rho: how far fl(R fl(x - m)) lies from R (x - m),
 * relative to |x - m|, and how far R is from orthogonal
 *
 * Each round adds log2 p levels of butterflies and one scaling, which all cost
 * half a unit in the last place, and its scale is itself rounded.
 */
double
vk_rotation_error(const VkRotation *rotation)
{
	if (rotation->identity)
		return 2 * VK_UNIT;
	return (4 * log2((double) rotation->dim) + 9) * VK_UNIT;
}
