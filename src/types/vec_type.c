/*-------------------------------------------------------------------------
 *
 * vec_type.c
 *	  The table of vector types.
 *
 * IDENTIFICATION
 *	  src/types/vec_type.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "port/pg_bswap.h"
#include "types/vec_type.h"

/* ---- f32vec ---- */

static void
widen_f32(const void *elements, int n, float *out)
{
	memcpy(out, elements, sizeof(float) * n);
}

static void
narrow_f32(const float *values, int n, void *elements)
{
	memcpy(elements, values, sizeof(float) * n);
}

static void
swap_32(void *elements, int n)
{
	uint32	   *x = elements;

	for (int i = 0; i < n; i++)
		x[i] = pg_hton32(x[i]);
}

/* ---- f16vec, bf16vec ---- */

static void
widen_f16(const void *elements, int n, float *out)
{
	vk_kernels->half_to_float(elements, n, out);
}

static void
narrow_f16(const float *values, int n, void *elements)
{
	vk_kernels->float_to_half(values, n, elements);
}

static void
widen_bf16(const void *elements, int n, float *out)
{
	vk_kernels->bf16_to_float(elements, n, out);
}

static void
narrow_bf16(const float *values, int n, void *elements)
{
	vk_kernels->float_to_bf16(values, n, elements);
}

static void
swap_16(void *elements, int n)
{
	uint16	   *x = elements;

	for (int i = 0; i < n; i++)
		x[i] = pg_hton16(x[i]);
}

/* ---- i8vec ---- */

/* one that long cannot hold is not in the range of an element either */
static float
parse_integer(const char *text, char **end)
{
	return (float) strtol(text, end, 10);
}

static void
widen_i8(const void *elements, int n, float *out)
{
	const int8 *x = elements;

	for (int i = 0; i < n; i++)
		out[i] = x[i];
}

static void
narrow_i8(const float *values, int n, void *elements)
{
	int8	   *x = elements;

	for (int i = 0; i < n; i++)
		x[i] = (int8) rintf(values[i]);
}

static void
swap_8(void *elements, int n)
{
}

const VecType vec_types[VK_ELEMENTS] = {
	[VK_F32] = {
		.name = "f32vec", .element = VK_F32, .wide = VK_F32,
		.least = -FLT_MAX, .greatest = FLT_MAX, .vanishing = 0,
		.parse = strtof, .widen = widen_f32, .narrow = narrow_f32, .swap = swap_32
	},
	/* to 65504, and what is nearer to that than to 65536 */
	[VK_F16] = {
		.name = "f16vec", .element = VK_F16, .wide = VK_F16,
		.least = -0x1.ffdffep15f, .greatest = 0x1.ffdffep15f, .vanishing = 0x1p-25f,
		.parse = strtof, .widen = widen_f16, .narrow = narrow_f16, .swap = swap_16
	},
	/* to 0x1.fep127, and what is nearer to that than to 2^128 */
	[VK_BF16] = {
		.name = "bf16vec", .element = VK_BF16, .wide = VK_BF16,
		.least = -0x1.fefffep127f, .greatest = 0x1.fefffep127f, .vanishing = 0x1p-134f,
		.parse = strtof, .widen = widen_bf16, .narrow = narrow_bf16, .swap = swap_16
	},
	/* -128 is even, 128 is not to be reached */
	[VK_I8] = {
		.name = "i8vec", .element = VK_I8, .wide = VK_F32,
		.least = -128.5f, .greatest = 0x1.fdfffep6f, .vanishing = 0.5f,
		.parse = parse_integer, .widen = widen_i8, .narrow = narrow_i8, .swap = swap_8
	}
};
