/*-------------------------------------------------------------------------
 *
 * check_convert.c
 *	  Conversions between float and the 16-bit elements.
 *
 * NOTES
 *	  Widening is exact, so all 65,536 numbers are tried; narrowing is tried at
 *	  every midpoint between two neighbours and beside it, of either sign.
 *
 * IDENTIFICATION
 *	  test/kernels/check_convert.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* one of the two 16-bit elements */
typedef struct Narrow
{
	VkElement	element;
	int			fraction_bits;
	unsigned	infinity;		/* its bits */
	float		beyond;			/* what would follow the largest number */
} Narrow;

static const Narrow narrows[] = {
	{VK_F16, 10, 0x7c00, 65536.0f},
	{VK_BF16, 7, 0x7f80, INFINITY},
};

static void
widen(VkCheckRun *run, VkElement element, const uint16_t *bits, int n,
	  float *out)
{
	if (element == VK_F16)
		VK_CALL(run, half_to_float) (bits, n, out);
	else
		VK_CALL(run, bf16_to_float) (bits, n, out);
}

static void
narrow(VkCheckRun *run, VkElement element, const float *f, int n,
	   uint16_t *out)
{
	if (element == VK_F16)
		VK_CALL(run, float_to_half) (f, n, out);
	else
		VK_CALL(run, float_to_bf16) (f, n, out);
}

static uint32_t
float_bits(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static float
float_of(uint32_t bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static void
check_widening(VkCheckRun *run, const Narrow *k)
{
	uint16_t   *all = malloc(65536 * sizeof(uint16_t));
	float	   *got = malloc(65536 * sizeof(float));
	double	   *truth = malloc(65536 * sizeof(double));

	for (int i = 0; i < 65536; i++)
		all[i] = (uint16_t) i;
	widen(run, k->element, all, 65536, got);
	vk_widen(k->element, all, 65536, truth);
	for (unsigned i = 0; i < 65536; i++)
	{
		const unsigned magnitude = i & 0x7fff;
		const unsigned sign = (i & 0x8000) << 16;
		/* a NaN keeps its bits and becomes a quiet one */
		const uint32_t quiet = sign | 0x7fc00000 |
			(magnitude - k->infinity) << (23 - k->fraction_bits);

		vk_check(run, magnitude > k->infinity ? float_bits(got[i]) == quiet :
				 got[i] == truth[i] && float_bits(got[i]) >> 31 == sign >> 31,
				 "%s %04x becomes %08x", vk_element_names[k->element], i,
				 float_bits(got[i]));
	}
	free(all);
	free(got);
	free(truth);
}

static void
check_narrowing(VkCheckRun *run, const Narrow *k)
{
	for (uint32_t h = 0; h < k->infinity; h++)
	{
		const uint16_t two[2] = {(uint16_t) h, (uint16_t) (h + 1)};
		uint16_t	back[6];
		float		near[6];
		float		f[2];

		widen(run, k->element, two, 2, f);
		if (h + 1 == k->infinity)
			f[1] = k->beyond;
		/* bits of floats are in order, so this is the midpoint of any two */
		near[1] = h + 1 == k->infinity && k->element == VK_BF16 ?
			float_of(0x7f7f8000) : (float) (((double) f[0] + f[1]) / 2);
		near[0] = nextafterf(near[1], 0);
		near[2] = nextafterf(near[1], INFINITY);
		for (int i = 0; i < 3; i++)
			near[3 + i] = -near[i];
		narrow(run, k->element, near, 6, back);
		vk_check(run, back[0] == h && back[1] == h + (h & 1) && back[2] == h + 1,
				 "%s near %04x: %04x %04x %04x", vk_element_names[k->element], h,
				 back[0], back[1], back[2]);
		vk_check(run, back[3] == (back[0] | 0x8000) &&
				 back[4] == (back[1] | 0x8000) && back[5] == (back[2] | 0x8000),
				 "%s near -%04x: %04x %04x %04x", vk_element_names[k->element], h,
				 back[3], back[4], back[5]);
	}
}

/* infinities, and NaNs of either kind and sign with all sorts of bits */
static void
check_specials(VkCheckRun *run, const Narrow *k)
{
	for (int i = 0; i < 4000; i++)
	{
		uint32_t	bits = 0x7f800000 | (i < 2 ? 0 : (uint32_t) vk_random(run) & 0x7fffff);
		uint16_t	got;
		unsigned	want;
		float		f;

		if (i >= 2 && i % 4 == 0)
			bits = 0x7f800000 | 1u << vk_random_below(run, 23);
		bits |= (uint32_t) (i & 1) << 31;
		f = float_of(bits);
		want = (bits >> 16 & 0x8000) | k->infinity;
		if ((bits & 0x7fffff) != 0)
			want |= 1u << (k->fraction_bits - 1) |
				(bits & 0x7fffff) >> (23 - k->fraction_bits);
		narrow(run, k->element, &f, 1, &got);
		vk_check(run, got == want, "float %08x becomes %s %04x, should be %04x",
				 bits, vk_element_names[k->element], got, want);
	}
}

/* every length, at any place: whatever a kernel does with a tail */
static void
check_lengths(VkCheckRun *run, const Narrow *k)
{
	for (int d = vk_check_first(run); d < vk_check_dim_count;
		 d += vk_check_step(run))
		for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
		{
			const int	n = vk_check_dims[d];
			float	   *f = vk_place(run, 0, n * sizeof(float), 4);
			uint16_t   *h = vk_place(run, 1, n * sizeof(uint16_t), 2);
			float	   *back = vk_place(run, 2, n * sizeof(float), 4);
			bool		right = true;

			vk_fill_pattern(run, pattern, f, n);
			narrow(run, k->element, f, n, h);
			widen(run, k->element, h, n, back);
			vk_check(run, vk_buffer_intact(1, h, n * sizeof(uint16_t)) &&
					 vk_buffer_intact(2, back, n * sizeof(float)),
					 "%d conversions of %s write around", n,
					 vk_element_names[k->element]);
			for (int i = 0; i < n && right; i++)
			{
				uint16_t	one;
				float		wide;

				narrow(run, k->element, &f[i], 1, &one);
				widen(run, k->element, &one, 1, &wide);
				right = one == h[i] && float_bits(wide) == float_bits(back[i]);
			}
			vk_check(run, right, "%d conversions of %s, %s: not as one by one", n,
					 vk_element_names[k->element], vk_pattern_names[pattern]);
		}
}

void
vk_check_convert(VkCheckRun *run)
{
	for (size_t i = 0; i < sizeof(narrows) / sizeof(narrows[0]); i++)
	{
		check_widening(run, &narrows[i]);
		check_narrowing(run, &narrows[i]);
		check_specials(run, &narrows[i]);
		check_lengths(run, &narrows[i]);
	}
}
