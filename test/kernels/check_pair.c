/*-------------------------------------------------------------------------
 *
 * check_pair.c
 *	  Pair kernels of every element: the reference's bits, and the truth within
 *	  the error that kernels.h states.
 *
 * IDENTIFICATION
 *	  test/kernels/check_pair.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check.h"

#define CANCELLING	VK_PATTERNS /* one more way to draw two vectors */
#define LIMIT		(FLT_MAX / 4)	/* above it a sum may overflow on the way */

/* one pair of vectors, and both as doubles */
typedef struct Pair
{
	VkElement	element;
	int			dim;
	const void *a;
	const void *b;
	const char *words;			/* name of the pattern */
} Pair;

static double wide_a[VK_MAX_DIM];
static double wide_b[VK_MAX_DIM];

/* the truth of one pair; the dot beside the sum of its magnitudes */
typedef struct Truth
{
	VkWide		l2;
	VkWide		dot;
	VkWide		l1;
	VkWide		norm_a;
	VkWide		norm_b;
	double		magnitude;
} Truth;

static Truth
find_truth(int dim)
{
	Truth		truth = {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0};

	for (int i = 0; i < dim; i++)
	{
		double		x = wide_a[i];
		double		y = wide_b[i];

		/* (x - y)^2 = x^2 - 2xy + y^2, each exact in double */
		vk_wide_add(&truth.l2, x * x);
		vk_wide_add(&truth.l2, -2 * x * y);
		vk_wide_add(&truth.l2, y * y);
		vk_wide_add(&truth.dot, x * y);
		vk_wide_add(&truth.l1, fmax(x, y));
		vk_wide_add(&truth.l1, -fmin(x, y));
		vk_wide_add(&truth.norm_a, x * x);
		vk_wide_add(&truth.norm_b, y * y);
		truth.magnitude += fabs(x * y);
	}
	return truth;
}

/*
 * got is the truth to L + more roundings, L = ceil(dim / 32), of a magnitude
 * (kernels.h, "Canonical sum"); exactly so for int8.
 */
static void
check_near(VkCheckRun *run, const char *name, const Pair *pair, double got,
		   double truth, double magnitude, int more)
{
	const double slack = pair->element == VK_I8 ? 0 :
		vk_rounding((pair->dim + 31) / 32 + more) * magnitude +
		pair->dim * 0x1p-149 + 0x1p-90 * magnitude;

	vk_check(run, fabs(got - truth) <= slack || magnitude > LIMIT,
			 "%s_%s dim %d %s: %.17g, truth %.17g, slack %.3g", name,
			 vk_element_names[pair->element], pair->dim, pair->words, got, truth,
			 slack);
}

static void
check_same(VkCheckRun *run, const char *name, const Pair *pair, double got,
		   double want)
{
	static const double nan_bits = (double) NAN;

	vk_check(run, vk_same_bits(got, want),
			 "%s_%s dim %d %s: %.17g, ref %.17g", name,
			 vk_element_names[pair->element], pair->dim, pair->words, got, want);
	vk_check(run, got == got || vk_same_bits(got, nan_bits),
			 "%s_%s dim %d %s gives a NaN of other bits", name,
			 vk_element_names[pair->element], pair->dim, pair->words);
	vk_check(run, got != 0 || !signbit(got), "%s_%s dim %d %s gives -0", name,
			 vk_element_names[pair->element], pair->dim, pair->words);
}

static bool
all_finite(int dim)
{
	for (int i = 0; i < dim; i++)
		if (!(fabs(wide_a[i]) < INFINITY && fabs(wide_b[i]) < INFINITY))
			return false;
	return true;
}

static void
check_pair(VkCheckRun *run, const Pair *pair)
{
	const VkElement e = pair->element;
	const void *a = pair->a;
	const void *b = pair->b;
	const int	dim = pair->dim;
	double		l2 = VK_CALL(run, pair_l2[e]) (a, b, dim);
	double		dot = VK_CALL(run, pair_dot[e]) (a, b, dim);
	double		l1 = VK_CALL(run, pair_l1[e]) (a, b, dim);
	double		cosine[3];
	Truth		truth;

	VK_CALL(run, pair_cosine[e]) (a, b, dim, cosine);
	check_same(run, "pair_l2", pair, l2, run->ref->pair_l2[e] (a, b, dim));
	check_same(run, "pair_dot", pair, dot, run->ref->pair_dot[e] (a, b, dim));
	check_same(run, "pair_l1", pair, l1, run->ref->pair_l1[e] (a, b, dim));
	check_same(run, "pair_cosine", pair, cosine[0], dot);
	check_same(run, "pair_cosine |a|^2 of pair", pair, cosine[1],
			   run->ref->pair_dot[e] (a, a, dim));
	check_same(run, "pair_cosine |b|^2 of pair", pair, cosine[2],
			   run->ref->pair_dot[e] (b, b, dim));

	vk_widen(e, a, dim, wide_a);
	vk_widen(e, b, dim, wide_b);
	if (!all_finite(dim))
		return;
	truth = find_truth(dim);
	check_near(run, "pair_l2", pair, l2, truth.l2.high, truth.l2.high, 8);
	check_near(run, "pair_dot", pair, dot, truth.dot.high, truth.magnitude, 5);
	check_near(run, "pair_l1", pair, l1, truth.l1.high, truth.l1.high, 6);
	check_near(run, "pair_cosine |a|^2 of pair", pair, cosine[1],
			   truth.norm_a.high, truth.norm_a.high, 5);
	check_near(run, "pair_cosine |b|^2 of pair", pair, cosine[2],
			   truth.norm_b.high, truth.norm_b.high, 5);
	vk_check(run, a != b || (l2 == 0 && l1 == 0),
			 "%s dim %d %s: a vector is at %g, %g from itself",
			 vk_element_names[e], dim, pair->words, l2, l1);
}

/* double sums of exact products: L additions and the tree, of 2^-53 each */
static void
check_dot_f64(VkCheckRun *run, const Pair *pair)
{
	const double got = VK_CALL(run, pair_dot_f64) (pair->a, pair->b, pair->dim);
	const double roundings = (pair->dim + 31) / 32 + 5;

	check_same(run, "pair_dot_f64 of", pair, got,
			   run->ref->pair_dot_f64(pair->a, pair->b, pair->dim));
	vk_widen(VK_F32, pair->a, pair->dim, wide_a);
	vk_widen(VK_F32, pair->b, pair->dim, wide_b);
	if (all_finite(pair->dim))
	{
		Truth		truth = find_truth(pair->dim);

		vk_check(run, fabs(got - truth.dot.high) <=
				 1.0001 * roundings * 0x1p-53 * truth.magnitude,
				 "pair_dot_f64 dim %d %s: %.17g, truth %.17g", pair->dim,
				 pair->words, got, truth.dot.high);
	}
}

static void
check_drawn(VkCheckRun *run, Pair *pair, void *a, void *b, int pattern)
{
	pair->a = a;
	pair->b = b;
	if (pattern == CANCELLING)
	{
		pair->words = "cancelling";
		vk_fill_cancelling(run, pair->element, a, b, pair->dim);
	}
	else
	{
		pair->words = vk_pattern_names[pattern];
		vk_fill_elements(run, pair->element, pattern, a, pair->dim);
		vk_fill_elements(run, pair->element, pattern, b, pair->dim);
	}
	check_pair(run, pair);
	if (pair->element == VK_F32)
		check_dot_f64(run, pair);
	/* int8: the corners of two patterns meet as well */
	if (pair->element == VK_I8 && pattern < CANCELLING)
	{
		vk_fill_elements(run, VK_I8, vk_random_below(run, VK_PATTERNS), b,
						 pair->dim);
		check_pair(run, pair);
	}
	pair->b = a;
	check_pair(run, pair);
}

/* every offset within a line that elements can have */
static void
check_offsets(VkCheckRun *run, VkElement element)
{
	static const int dims[] = {1, 15, 31, 33, 64, 100, 129, 257};
	const int	size = vk_element_size[element];

	for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
		for (int offset = 0; offset < VK_LINE_SIZE; offset += size)
		{
			Pair		pair = {element, dims[d], NULL, NULL, NULL};
			void	   *a = vk_buffer(0, (size_t) dims[d] * size, false, offset);
			void	   *b = vk_place(run, 1, (size_t) dims[d] * size, size);

			check_drawn(run, &pair, a, b, 0);
		}
}

void
vk_check_pairs(VkCheckRun *run)
{
	for (int element = 0; element < VK_ELEMENTS; element++)
	{
		const int	size = vk_element_size[element];
		const int	patterns = element == VK_I8 ? VK_PATTERNS : CANCELLING + 1;

		for (int d = vk_check_first(run); d < vk_check_dim_count;
			 d += vk_check_step(run))
			for (int pattern = 0; pattern < patterns; pattern++)
			{
				Pair		pair = {(VkElement) element, vk_check_dims[d], NULL,
				NULL, NULL};
				void	   *a = vk_place(run, 0, (size_t) pair.dim * size, size);
				void	   *b = vk_place(run, 1, (size_t) pair.dim * size, size);

				check_drawn(run, &pair, a, b, pattern);
			}
		check_offsets(run, (VkElement) element);
	}
}
