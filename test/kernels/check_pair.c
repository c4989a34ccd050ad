/*-------------------------------------------------------------------------
 *
 * check_pair.c
 *	  Pair kernels: the reference's bits, and the truth within rounding.
 *
 * IDENTIFICATION
 *	  test/kernels/check_pair.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>

#include "check.h"

#define UNIT	0x1p-24

/* the truth of one pair, each beside the sum of its terms' magnitudes */
typedef struct Truth
{
	VkWide		l2;
	VkWide		dot;
	VkWide		l1;
	VkWide		norm_a;
	VkWide		norm_b;
	double		dot_magnitude;
} Truth;

static void
find_truth(const float *a, const float *b, int dim, Truth *truth)
{
	*truth = (Truth) {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0};
	for (int i = 0; i < dim; i++)
	{
		double		x = a[i];
		double		y = b[i];

		/* (x - y)^2 = x^2 - 2xy + y^2, each exact in double */
		vk_wide_add_product(&truth->l2, x, x);
		vk_wide_add_product(&truth->l2, -2 * x, y);
		vk_wide_add_product(&truth->l2, y, y);
		vk_wide_add(&truth->dot, x * y);
		vk_wide_add(&truth->l1, fmax(x, y));
		vk_wide_add(&truth->l1, -fmin(x, y));
		vk_wide_add(&truth->norm_a, x * x);
		vk_wide_add(&truth->norm_b, y * y);
		truth->dot_magnitude += fabs(x * y);
	}
}

/* roundings of one lane's chain, the tree, and `extra` of one term */
static void
check_near(VkCheckRun *run, const char *name, double got, VkWide truth,
		   double magnitude, int dim, int extra, const char *pattern)
{
	double		roundings = (dim + 31) / 32 + 5 + extra;
	double		slack = roundings * UNIT * 1.001 * magnitude +
		dim * 0x1p-149 + 0x1p-90 * magnitude;

	/* a sum that may overflow on the way has no truth to meet */
	if (magnitude > FLT_MAX / 4)
		return;
	vk_check(run, fabs(got - truth.high) <= slack,
			 "%s dim %d %s: %.9g, truth %.9g, slack %.3g", name, dim, pattern,
			 got, truth.high, slack);
}

static void
check_pair(VkCheckRun *run, const float *a, const float *b, int dim,
		   int pattern)
{
	const VkKernels *k = run->kernels;
	const VkKernels *ref = run->ref;
	const char *words = vk_pattern_names[pattern];
	float		got[3];
	float		want[3];
	float		l2 = k->pair_l2_f32(a, b, dim);
	float		dot = k->pair_dot_f32(a, b, dim);
	float		l1 = k->pair_l1_f32(a, b, dim);
	double		wide = k->pair_dot_f64(a, b, dim);
	Truth		truth;

	k->pair_cosine_f32(a, b, dim, got);
	ref->pair_cosine_f32(a, b, dim, want);
	vk_check(run, vk_same_f32(l2, ref->pair_l2_f32(a, b, dim)),
			 "pair_l2_f32 dim %d %s differs from ref", dim, words);
	vk_check(run, vk_same_f32(dot, ref->pair_dot_f32(a, b, dim)),
			 "pair_dot_f32 dim %d %s differs from ref", dim, words);
	vk_check(run, vk_same_f32(l1, ref->pair_l1_f32(a, b, dim)),
			 "pair_l1_f32 dim %d %s differs from ref", dim, words);
	vk_check(run, vk_same_f64(wide, ref->pair_dot_f64(a, b, dim)),
			 "pair_dot_f64 dim %d %s differs from ref", dim, words);
	for (int i = 0; i < 3; i++)
		vk_check(run, vk_same_f32(got[i], want[i]),
				 "pair_cosine_f32[%d] dim %d %s differs from ref", i, dim, words);
	vk_check(run, vk_same_f32(got[0], dot),
			 "pair_cosine_f32 and pair_dot_f32 differ, dim %d %s", dim, words);

	if (pattern >= VK_PATTERN_FINITE)
		return;
	find_truth(a, b, dim, &truth);
	check_near(run, "pair_l2_f32", l2, truth.l2, truth.l2.high, dim, 2, words);
	check_near(run, "pair_dot_f32", dot, truth.dot, truth.dot_magnitude, dim,
			   0, words);
	check_near(run, "pair_l1_f32", l1, truth.l1, truth.l1.high, dim, 1, words);
	check_near(run, "pair_cosine |a|^2", got[1], truth.norm_a,
			   truth.norm_a.high, dim, 0, words);
	check_near(run, "pair_cosine |b|^2", got[2], truth.norm_b,
			   truth.norm_b.high, dim, 0, words);
	vk_check(run, fabs(wide - truth.dot.high) <=
			 (dim / 32 + 8) * 0x1p-53 * truth.dot_magnitude,
			 "pair_dot_f64 dim %d %s: %.17g, truth %.17g", dim, words, wide,
			 truth.dot.high);
}

void
vk_check_pairs(VkCheckRun *run)
{
	for (int d = 0; d < vk_check_dim_count; d++)
		for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
		{
			int			dim = vk_check_dims[d];
			bool		at_end = vk_random_below(run, 2);
			float	   *a = vk_buffer(0, dim * sizeof(float), at_end,
									  vk_random_below(run, 64) & ~3);
			float	   *b = vk_buffer(1, dim * sizeof(float), !at_end,
									  vk_random_below(run, 64) & ~3);

			vk_fill_pattern(run, pattern, a, dim);
			vk_fill_pattern(run, pattern, b, dim);
			check_pair(run, a, b, dim, pattern);
			check_pair(run, a, a, dim, pattern);
		}
}
