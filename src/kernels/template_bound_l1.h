/*-------------------------------------------------------------------------
 *
 * template_bound_l1.h
 *	  The bound kernels of L1: row errors and sums of one block to intervals.
 *
 * NOTES
 *	  Codes of row and query lie on one grid, so the sum of |q - u| times the
 *	  step is the distance of the codes, and |q - x|_1 is within the errors of
 *	  both of it (src/quant/README.md, "L1").  u = 2^-24 is the rounding of one
 *	  operation:
 *
 *	  - the sum is below 2^24, so exact as a float; base, which is not above the
 *		score, product and score have u each, the last subtraction another of
 *		the whole, and gamma's step two: SCORE_ROUNDINGS is 16 u;
 *	  - the half width is a sum of positive terms (at most 5 u, with the
 *		decoding of a row's error): times 1 + 2^-19;
 *	  - TINY is far above what underflow can lose here, and in the operator's
 *		sum (d 2^-149).
 *
 *	  A lane without a bound (an infinite error, or any overflow) gets the
 *	  whole line.  The statistical reading takes the errors of dimensions as
 *	  independent, so they add as squares.
 *
 * IDENTIFICATION
 *	  src/kernels/template_bound_l1.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEMPLATE_BOUND_L1_H
#define VK_TEMPLATE_BOUND_L1_H

#include <float.h>

#include "template_screen.h"

#define SCORE_ROUNDINGS	0x1p-20f

ALWAYS_INLINE void
l1_interval(float score, float half_width, float gamma, int lane,
			VkScores *scores)
{
	float		lower = score - half_width;
	float		upper = score + half_width;
	int			valid;

	lower -= gamma * fabsf(lower);
	upper += gamma * fabsf(upper);
	valid = (fabsf(lower) <= FLT_MAX) & (fabsf(upper) <= FLT_MAX);
	scores->lower[lane] = choose(valid, lower, -INFINITY);
	scores->upper[lane] = choose(valid, upper, INFINITY);
}

/* errors: |x - x'|_1 of each row, rounded up */
ALWAYS_INLINE uint32_t
l1_bounds(const VkBoundQuery *query, const float *errors, const VkDots *dots,
		  float threshold, VkScores *scores)
{
	VkScores	own_scores;

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		score = query->base +
			query->query_scale * (float) dots->i[lane];
		float		half_width = (fabsf(errors[lane]) + query->query_error) +
			(fabsf(score) * SCORE_ROUNDINGS + TINY);

		l1_interval(score, half_width * (1.0f + 0x1p-19f), query->gamma, lane,
					&own_scores);
	}
	*scores = own_scores;
	return mask_not_above(scores->lower, threshold);
}

static uint32_t
template_bound_flat_l1(const VkBoundQuery *query,
					   const VkFlatAnnotation *annotation, const VkDots *dots,
					   float threshold, VkScores *scores)
{
	return l1_bounds(query, annotation->norm2, dots, threshold, scores);
}

static uint32_t
template_bound_list_l1_proven(const VkBoundQuery *query,
							  const VkListAnnotation *annotation,
							  float block_scale, const VkDots *dots,
							  float threshold, VkScores *scores)
{
	float		errors[VK_LANES];

	half_to_float_16(annotation->norm, errors);
	for (int lane = 0; lane < VK_LANES; lane++)
		errors[lane] *= block_scale;
	return l1_bounds(query, errors, dots, threshold, scores);
}

static uint32_t
template_bound_list_l1(const VkBoundQuery *query,
					   const VkListAnnotation *annotation, float block_scale,
					   const VkDots *dots, float threshold, VkScores *scores)
{
	VkScores	own_scores;
	float		errors[VK_LANES];

	half_to_float_16(annotation->a, errors);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		score = query->base +
			query->query_scale * (float) dots->i[lane];
		float		error = errors[lane] * block_scale;
		float		width = query->epsilon *
			sqrtf(query->query_norm2 + error * error);

		l1_interval(score, width, 0.0f, lane, &own_scores);
	}
	*scores = own_scores;
	return mask_not_above(scores->lower, threshold);
}

#endif							/* VK_TEMPLATE_BOUND_L1_H */
