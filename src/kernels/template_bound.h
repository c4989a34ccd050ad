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
 *	  their annotation.
 *
 *	  Most blocks hold no candidate, and a looser bound shows it: the screen.
 *	  There W and V are the whole norms, so that all terms of a query gather
 *	  in five numbers (bound_query.c) and a lane takes one root:
 *
 *	  lower = screen_base + weight_norm N - n a x
 *			  - n^ (|x| (|a| HALF_SHARE + HALF_TINY) + screen_norm
 *				   + e screen_error + n^ screen_norm2),	x = screen_dot I,
 *
 *	  N being less its own half width, n being |x~| as the stored a is relative
 *	  to it, n^ the same rounded up and e the relative row error.  Roundings, 16 u
 *	  of each magnitude, are in HALF_SHARE (the dot), screen_norm2 (N) and the
 *	  inflated others.
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
 *	  defines half_to_float_16 and mask_not_above beforehand.
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

#include "kernels.h"

#define NORM2_MIN		0x1p-100f
#define NORM2_MAX		0x1p120f
#define TINY			0x1p-120f
#define UP				(1.0f + 0x1p-21f)	/* covers a few roundings */
#define DOWN			(1.0f - 0x1p-21f)
#define HALF_ERROR		(0x1p-11f * (1.0f + 0x1p-9f))
#define HALF_NORMAL		0x1p-14f
#define HALF_SHARE		(0x1p-11f * (1.0f + 0x1p-7f))	/* and 2^-20, for roundings */
#define HALF_TINY		(HALF_NORMAL * HALF_SHARE)
#define TANGENT_UNIT	(1.0f / 65535.0f * UP)

/*
 * condition ? yes : no, by bits: compilers refuse to vectorise a loop in which
 * a float comparison, which might trap, decides on a branch.
 */
static inline float
choose(int condition, float yes, float no)
{
	uint32_t	mask = -(uint32_t) condition;
	uint32_t	yes_bits;
	uint32_t	no_bits;

	memcpy(&yes_bits, &yes, sizeof(yes_bits));
	memcpy(&no_bits, &no, sizeof(no_bits));
	yes_bits = (yes_bits & mask) | (no_bits & ~mask);
	memcpy(&yes, &yes_bits, sizeof(yes));
	return yes;
}

static inline float
at_least(float x, float low)
{
	return choose(x > low, x, low);
}

/* what one lane's annotation says, decoded */
typedef struct Rows
{
	float		norm[VK_LANES]; /* |x~|, as the stored a is relative to it */
	float		norm_up[VK_LANES];	/* not below |x~| */
	float		norm2[VK_LANES];	/* N */
	float		a[VK_LANES];	/* relative to code_unit * norm */
	float		relative[VK_LANES]; /* |y - x'| / |x~|, rounded up; infinity: no
									 * bound */
	float		tangent[VK_LANES];	/* list only; 1 or more: no bound */
} Rows;

/* what only the sharp bound wants */
typedef struct RowDetails
{
	float		norm_share[VK_LANES];	/* not above norm / norm_up */
	float		norm2_error[VK_LANES];
	float		error[VK_LANES];	/* |y - x'|, rounded up */
} RowDetails;

static inline void
decode_flat(const VkFlatAnnotation *annotation, Rows *rows)
{
	half_to_float_16(annotation->a, rows->a);
	half_to_float_16(annotation->error, rows->relative);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm2 = annotation->norm2[lane];

		rows->norm2[lane] = norm2;
		rows->norm[lane] = sqrtf(norm2);
		rows->norm_up[lane] = rows->norm[lane] * UP;
	}
}

static inline void
decode_list(const VkListAnnotation *annotation, float block_scale, Rows *rows)
{
	float		relative[VK_LANES];

	half_to_float_16(annotation->a, rows->a);
	half_to_float_16(annotation->norm, relative);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		share = fabsf(relative[lane]);
		float		normal = at_least(share, HALF_NORMAL);
		float		norm = share * block_scale;
		float		norm_error = normal * HALF_ERROR * block_scale;
		float		tangent = (float) (int32_t) annotation->tangent[lane] *
			TANGENT_UNIT;

		rows->norm[lane] = norm;
		rows->norm_up[lane] = (norm + norm_error) * UP;
		rows->norm2[lane] = norm * norm;
		rows->tangent[lane] = tangent;
		rows->relative[lane] = choose(tangent < 1.0f, tangent, INFINITY);
	}
}

/*
 * The true N is within that of norm2.  flat is a constant where this inlines: N
 * is stored, else |x~| is.
 */
static inline float
norm2_error(const Rows *rows, int lane, bool flat)
{
	float		norm = rows->norm[lane];
	float		norm_up = rows->norm_up[lane];

	return flat ? rows->norm2[lane] * 0x1p-23f :
		(norm + norm_up) * (norm_up - norm) * UP;
}

static inline void
detail_rows(const Rows *rows, bool flat, RowDetails *details)
{
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm = rows->norm[lane];
		float		norm_up = rows->norm_up[lane];

		details->norm_share[lane] = flat ? 1.0f - 0x1p-20f :
			norm / at_least(norm_up, TINY) * DOWN;
		details->norm2_error[lane] = norm2_error(rows, lane, flat);
		details->error[lane] = rows->relative[lane] * norm_up * UP;
	}
}

/* does a bound hold for this N, and is it a number? */
static inline int
bound_holds(float norm2, float lower)
{
	return (norm2 <= NORM2_MAX) & ((norm2 >= NORM2_MIN) | (norm2 == 0.0f)) &
		(fabsf(lower) <= FLT_MAX);
}

static inline float
screen_lane(const VkBoundQuery *query, const Rows *rows, bool flat,
			const VkDots *dots, int lane)
{
	float		norm_up = rows->norm_up[lane];
	float		norm2 = rows->norm2[lane] - norm2_error(rows, lane, flat);
	float		a = rows->a[lane];
	float		x = (float) (query->dot_mult * dots->i[lane] - query->dot_offset) *
		query->screen_dot;
	float		spread = fabsf(x) * (fabsf(a) * HALF_SHARE + HALF_TINY) +
		query->screen_norm + rows->relative[lane] * query->screen_error +
		norm_up * query->screen_norm2;
	float		lower = query->screen_base + query->weight_norm * norm2 -
		rows->norm[lane] * (a * x) - norm_up * spread;

	lower -= query->gamma * fabsf(lower);
	return choose(bound_holds(rows->norm2[lane], lower), lower, -INFINITY);
}

/* One lane of the proven bound; float_code is a constant where this inlines. */
static inline void
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
 * All lanes.  What lies behind pointers is copied first: stores to scores might
 * change it otherwise (the server is built with -fno-strict-aliasing), and the
 * loop would not be vectorised.
 */
static inline uint32_t
screen_rows(const VkBoundQuery *query, const Rows *rows, bool flat,
			const VkDots *dots, float threshold, VkScores *scores)
{
	const VkBoundQuery own_query = *query;
	const VkDots own_dots = *dots;
	VkScores	own_scores;

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		own_scores.lower[lane] = screen_lane(&own_query, rows, flat, &own_dots,
											 lane);
		own_scores.upper[lane] = INFINITY;
	}
	*scores = own_scores;
	return mask_not_above(scores->lower, threshold);
}

static inline uint32_t
bound_rows(const VkBoundQuery *query, const Rows *rows, bool flat,
		   const VkDots *dots, bool float_code, float threshold,
		   VkScores *scores)
{
	const VkBoundQuery own_query = *query;
	const VkDots own_dots = *dots;
	RowDetails	details;
	VkScores	own_scores;

	detail_rows(rows, flat, &details);
	for (int lane = 0; lane < VK_LANES; lane++)
		bound_lane(&own_query, rows, &details, &own_dots, lane, float_code,
				   &own_scores);
	*scores = own_scores;
	return mask_not_above(scores->lower, threshold);
}

static inline uint32_t
screen_and_bound(const VkBoundQuery *query, const Rows *rows, bool flat,
				 const VkDots *dots, float threshold, VkScores *scores)
{
	if (query->dot_mult == 0)
		return bound_rows(query, rows, flat, dots, true, threshold, scores);
	if (screen_rows(query, rows, flat, dots, threshold, scores) == 0)
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

/*
 * The statistical reading (the estimate is unbiased over rotations): no
 * rounding is proven here, so none is counted.
 */
static inline void
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
	{
		int32_t		sum = query->dot_mult * dots->i[lane] - query->dot_offset;

		dot = rows->a[lane] * (((float) sum * query->query_scale) *
							   (query->code_unit * norm));
	}
	score = query->base + query->weight_norm * rows->norm2[lane] -
		query->weight_dot * (dot / cosine2);
	width = query->epsilon * query->weight_dot * norm *
		sqrtf((query->query_norm2 * sine2 +
			   query->query_error * query->query_error) *
			  query->inv_dim_1 / cosine2);
	lower = score - width;
	upper = score + width;
	valid = (tangent < 1.0f) & (fabsf(lower) <= FLT_MAX) &
		(fabsf(upper) <= FLT_MAX);
	scores->lower[lane] = choose(valid, lower, -INFINITY);
	scores->upper[lane] = choose(valid, upper, INFINITY);
}

static inline void
estimate_lanes(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
			   bool float_code, VkScores *scores)
{
	const VkBoundQuery own_query = *query;
	const VkDots own_dots = *dots;
	VkScores	own_scores;

	for (int lane = 0; lane < VK_LANES; lane++)
		estimate_lane(&own_query, rows, &own_dots, lane, float_code,
					  &own_scores);
	*scores = own_scores;
}

static uint32_t
template_bound_list(const VkBoundQuery *query,
					const VkListAnnotation *annotation, float block_scale,
					const VkDots *dots, float threshold, VkScores *scores)
{
	Rows		rows;

	decode_list(annotation, block_scale, &rows);
	if (query->dot_mult == 0)
		estimate_lanes(query, &rows, dots, true, scores);
	else
		estimate_lanes(query, &rows, dots, false, scores);
	return mask_not_above(scores->lower, threshold);
}

#endif							/* VK_TEMPLATE_BOUND_H */
