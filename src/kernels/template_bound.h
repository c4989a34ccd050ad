/*-------------------------------------------------------------------------
 *
 * template_bound.h
 *	  The bound kernels: annotation and dots of one block to intervals.
 *
 * NOTES
 *	  The formulas are explained in src/quant/README.md; here is how float
 *	  arithmetic keeps them true.  u = 2^-24 is the rounding of one operation.
 *
 *	  Rows are read as Rows, so the kernels differ only in how they decode
 *	  their annotation.  The proven kernels ask the screen first
 *	  (template_screen.h); where it excludes all lanes they stop there.
 *
 *	  - P = a s I is computed with at most 7 u; the stored a is a half, off by
 *		2^-11 of itself or, below its normal range, by 2^-25.  Both are in
 *		dot_error, whose factor 1 + 2^-9 leaves 16 u for the arithmetic.
 *	  - W and V are |q'| and |x~| times the same sine, that of the angle
 *		between query code and row code.  Its cosine |P| / (|x~| |q'|) needs no
 *		division, as |x~| is a factor of P; it is taken less dot_error, over
 *		norms rounded up, and its square times 1 - 2^-20 (at most 6 u of
 *		rounding in the cosine, less than UP and HALF_ERROR leave), so that
 *		cancellation errs upwards.
 *	  - B and the half width are sums of positive terms (at most 12 u): times
 *		1 + 2^-19.  The score's own rounding is at most 4 u of the sum of the
 *		magnitudes of its terms: 2^-22 of that.
 *	  - Products of very small factors may lose bits to underflow; 2^-120
 *		(1 + norm) is far above that and far below any other term.
 *
 *	  A float code stands for the row itself, not for its projection on the
 *	  code, so W and V are the whole norms there.
 *
 *	  A lane without a bound (no finite error, a norm outside the range in
 *	  which bounds hold, or any overflow) gets the whole line.  The includer
 *	  defines half_to_float_16, short_to_float_16 and mask_not_above beforehand.
 *
 * IDENTIFICATION
 *	  src/kernels/template_bound.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEMPLATE_BOUND_H
#define VK_TEMPLATE_BOUND_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "template_bound_l1.h"
#include "template_screen.h"

#define NORM2_MAX		0x1p120f
#define DOWN			(1.0f - 0x1p-21f)
/* vkflat's N is of the row before its rotation, which may make it longer by up to
 * 65 u of its norm (rho in quant/README.md): this is 128 u less */
#define FLAT_NORM_SHARE	(1.0f - 0x1p-17f)

/* what only the sharp bound wants */
typedef struct RowDetails
{
	float		norm_share[VK_LANES];	/* not above norm / norm_up */
	float		norm2_error[VK_LANES];
	float		error[VK_LANES];	/* |y - x'|, rounded up */
} RowDetails;

ALWAYS_INLINE void
detail_rows(const Rows *rows, bool flat, RowDetails *details)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm = rows->norm[lane];
		float		norm_up = rows->norm_up[lane];

		details->norm_share[lane] = flat ? FLAT_NORM_SHARE :
			norm / at_least(norm_up, TINY) * DOWN;
		details->norm2_error[lane] = norm2_error(rows, lane, flat);
		details->error[lane] = rows->relative[lane] * norm_up * UP;
	}
}

/* does a bound hold for this N, and is it a number? */
ALWAYS_INLINE int
bound_holds(float norm2, float lower)
{
	return (norm2 <= NORM2_MAX) & ((norm2 >= NORM2_MIN) | (norm2 == 0.0f)) &
		(fabsf(lower) <= FLT_MAX);
}

/* One lane of the proven bound; float_code is a constant where this inlines. */
ALWAYS_INLINE void
bound_lane(const VkBoundQuery *query, const Rows *rows,
		   const RowDetails *details, const VkDots *dots, int lane,
		   bool float_code, VkScores *scores)
{
	float		norm_up = rows->norm_up[lane];
	float		norm2 = rows->norm2[lane];
	float		norm2_half = details->norm2_error[lane];
	float		norm2_up = (norm2 + norm2_half) * UP;
	float		error;
	float		dot;
	float		dot_error = 0.0f;
	float		sine = 1.0f;
	float		w;
	float		v;
	float		bound;
	float		score;
	float		half_width;
	float		lower;
	float		upper;
	int			valid;

	if (float_code)
		dot = dots->f[lane];
	else
	{
		int32_t		sum = query->dot_mult * dots->i[lane] - query->dot_offset;
		float		a = rows->a[lane];
		float		a_error = at_least(fabsf(a), HALF_NORMAL) * HALF_ERROR;
		float		rate = ((float) sum * query->query_scale) * query->code_unit;
		float		unit = rate * rows->norm[lane];
		float		cosine = at_least(fabsf(a) - a_error, 0.0f) * fabsf(rate) *
			details->norm_share[lane] * query->inv_code_norm;

		dot = a * unit;
		dot_error = a_error * fabsf(unit);
		sine = sqrtf(at_least(1.0f - cosine * cosine * (1.0f - 0x1p-20f), 0.0f)) * UP;
	}
	w = query->code_norm * sine;
	v = norm_up * sine;

	error = details->error[lane] +
		query->row_error * (norm_up + query->center_norm);
	bound = query->query_error * v + error * (w + query->query_error) +
		query->round_factor * (norm_up + query->center_norm) +
		(dot_error + TINY * norm_up + TINY);

	score = query->base + query->weight_norm * norm2 - query->weight_dot * dot;
	half_width = query->weight_dot * bound +
		query->weight_norm * norm2_half +
		query->slack_norm * norm2_up + query->slack_base +
		(fabsf(query->base) + query->weight_norm * norm2_up +
		 query->weight_dot * fabsf(dot)) * 0x1p-22f;
	half_width *= 1.0f + 0x1p-19f;
	lower = score - half_width;
	lower -= query->gamma * fabsf(lower);
	upper = score + half_width;
	upper += query->gamma * fabsf(upper);
	valid = bound_holds(norm2_up, lower) & (fabsf(upper) <= FLT_MAX);
	scores->lower[lane] = choose(valid, lower, -INFINITY);
	scores->upper[lane] = choose(valid, upper, INFINITY);
}

/*
 * Does the screen exclude all lanes?  Their scores are then what it found.  For one
 * query it is cheaper to multiply the row's numbers with the query's first than with
 * each other (proven_row, screen_lower).
 */
ALWAYS_INLINE bool
screen_excludes(const VkBoundQuery *query, const Rows *rows, bool flat,
				const VkDots *dots, float threshold, VkScores *scores)
{
	const VkScreenQuery *screen = &query->screen;
	float		lowers[VK_LANES];

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		a = rows->a[lane];
		float		norm2 = rows->norm2[lane];
		float		norm_up = rows->norm_up[lane];
		float		t = screen->scale *
			(float) (screen->dot_mult * dots->i[lane] - screen->dot_offset);
		float		dot = fmaf(t, a, fabsf(t) * fmaf(fabsf(a), HALF_SHARE, HALF_TINY));
		float		error = fmaf(screen->weight_error, rows->relative[lane],
								 screen->weight_norm);
		float		lower = fmaf(screen->weight_norm2,
								 fmaf(-2.0f, norm2_error(rows, lane, flat), norm2),
								 screen->base);

		lower = fmaf(-rows->norm[lane], dot, lower);
		lower = fmaf(-norm_up, error, lower);
		lower -= query->gamma * fabsf(lower);
		lowers[lane] = choose(screen_holds(norm2, norm_up) & (fabsf(lower) <= FLT_MAX),
							  lower, -INFINITY);
	}
	if (mask_not_above(lowers, threshold) != 0)
		return false;
	memcpy(scores->lower, lowers, sizeof(lowers));
	for (int lane = 0; lane < VK_LANES; lane++)
		scores->upper[lane] = INFINITY;
	return true;
}

ALWAYS_INLINE uint32_t
bound_rows(const VkBoundQuery *query, const Rows *rows, bool flat,
		   const VkDots *dots, bool float_code, float threshold,
		   VkScores *scores)
{
	RowDetails	details;
	VkScores	own_scores;

	detail_rows(rows, flat, &details);
	for (int lane = 0; lane < VK_LANES; lane++)
		bound_lane(query, rows, &details, dots, lane, float_code,
				   &own_scores);
	*scores = own_scores;
	return mask_not_above(scores->lower, threshold);
}

ALWAYS_INLINE uint32_t
screen_and_bound(const VkBoundQuery *query, const Rows *rows, bool flat,
				 const VkDots *dots, float threshold, VkScores *scores)
{
	if (query->dot_mult == 0)
		return bound_rows(query, rows, flat, dots, true, threshold, scores);
	if (screen_excludes(query, rows, flat, dots, threshold, scores))
		return 0;
	return bound_rows(query, rows, flat, dots, false, threshold, scores);
}

static uint32_t
template_bound_flat(const VkBoundQuery *query,
					const VkFlatAnnotation *annotation, const VkDots *dots,
					float threshold, VkScores *scores)
{
	Rows		rows;

	decode_flat(annotation, &rows);
	return screen_and_bound(query, &rows, true, dots, threshold, scores);
}

static uint32_t
template_bound_list_proven(const VkBoundQuery *query,
						   const VkListAnnotation *annotation,
						   float block_scale, const VkDots *dots,
						   float threshold, VkScores *scores)
{
	Rows		rows;

	decode_list(annotation, block_scale, &rows);
	return screen_and_bound(query, &rows, false, dots, threshold, scores);
}

/* P of an integer code, of the query less the centre */
ALWAYS_INLINE float
estimate_dot(const VkBoundQuery *query, const Rows *rows, const VkDots *dots, int lane)
{
	int32_t		sum = query->dot_mult * dots->i[lane] - query->dot_offset;

	return (rows->a[lane] * (((float) sum * query->query_scale) * query->code_unit) -
			query->center_weight * rows->center[lane]) * rows->norm[lane];
}

/*
 * The statistical reading (the estimate is unbiased over rotations): no
 * rounding is proven here, so none is counted.
 */
ALWAYS_INLINE void
estimate_lane(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
			  int lane, bool float_code, VkScores *scores)
{
	float		tangent = rows->tangent[lane];
	float		sine2 = tangent * tangent;
	float		cosine2 = 1.0f - sine2;
	float		norm = rows->norm[lane];
	float		dot;
	float		score;
	float		width;
	float		lower;
	float		upper;
	int			valid;

	if (float_code)
		dot = dots->f[lane];
	else
		dot = estimate_dot(query, rows, dots, lane);
	score = query->base + query->weight_norm * rows->norm2[lane] -
		query->weight_dot * (dot / cosine2);
	width = query->epsilon * query->weight_dot * norm *
		sqrtf((query->query_norm2 * sine2 +
			   query->query_error * query->query_error) *
			  query->inv_dim_1 / cosine2);
	/* a float code loses next to nothing: what the norm does as a half counts */
	if (float_code)
		width += query->weight_norm * rows->norm2[lane] * (2.0f * HALF_ERROR);
	lower = score - width;
	upper = score + width;
	valid = (tangent < 1.0f) & (fabsf(lower) <= FLT_MAX) &
		(fabsf(upper) <= FLT_MAX);
	scores->lower[lane] = choose(valid, lower, -INFINITY);
	scores->upper[lane] = choose(valid, upper, INFINITY);
}

ALWAYS_INLINE void
estimate_lanes(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
			   bool float_code, VkScores *scores)
{
	VkScores	own_scores;

	for (int lane = 0; lane < VK_LANES; lane++)
		estimate_lane(query, rows, dots, lane, float_code,
					  &own_scores);
	*scores = own_scores;
}

/*
 * +infinity where lower, as estimate_lane finds it, is above the threshold, else
 * -infinity: without a root or a quotient, by comparing the squares of both sides
 * times the cosine's square.
 */
ALWAYS_INLINE float
estimate_beyond(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
				int lane, float threshold)
{
	float		tangent = rows->tangent[lane];
	float		sine2 = tangent * tangent;
	float		cosine2 = 1.0f - sine2;
	float		norm = rows->norm[lane];
	float		dot = estimate_dot(query, rows, dots, lane);
	float		distance = cosine2 * (query->base +
									  query->weight_norm * rows->norm2[lane] -
									  threshold) - query->weight_dot * dot;
	float		deviation = query->epsilon * query->weight_dot * norm;
	float		width2 = deviation * deviation *
		((query->query_norm2 * sine2 + query->query_error * query->query_error) *
		 query->inv_dim_1 * cosine2);
	float		distance2 = distance * distance;

	return choose((tangent < 1.0f) & (distance > 0.0f) & (distance2 <= FLT_MAX) &
				  (distance2 > width2 * (1.0f + 0x1p-12f)),
				  INFINITY, -INFINITY);
}

/* are all lanes beyond the threshold?  Their scores are then infinite. */
ALWAYS_INLINE bool
all_beyond(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
		   float threshold, VkScores *scores)
{
	float		beyond[VK_LANES];

	for (int lane = 0; lane < VK_LANES; lane++)
		beyond[lane] = estimate_beyond(query, rows, dots, lane, threshold);
	if (mask_not_above(beyond, 0.0f) != 0)
		return false;
	for (int lane = 0; lane < VK_LANES; lane++)
		scores->lower[lane] = scores->upper[lane] = INFINITY;
	return true;
}

static uint32_t
template_bound_list(const VkBoundQuery *query,
					const VkListAnnotation *annotation, float block_scale,
					const VkDots *dots, float threshold, VkScores *scores)
{
	Rows		rows;

	decode_list(annotation, block_scale, &rows);
	if (query->center_weight != 0)
		half_to_float_16(annotation->center, rows.center);
	else
		memset(rows.center, 0, sizeof(rows.center));
	if (query->dot_mult == 0)
		estimate_lanes(query, &rows, dots, true, scores);
	else if (all_beyond(query, &rows, dots, threshold, scores))
		return 0;
	else
		estimate_lanes(query, &rows, dots, false, scores);
	return mask_not_above(scores->lower, threshold);
}

#endif							/* VK_TEMPLATE_BOUND_H */
