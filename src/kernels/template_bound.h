/*-------------------------------------------------------------------------
 *
 * template_bound.h
 *	  The bound kernels: annotation and dots of one block to intervals.
 *
 * NOTES
 *	  The formulas are explained in src/quant/README.md; here is how float
 *	  arithmetic keeps them true.  u = 2^-24 is the rounding of one operation.
 *
 *	  Rows are read as Row: an interval [.., norm] and N's half width, so the
 *	  three kernels differ only in how they decode their annotation.
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
	float		norm_share[VK_LANES];	/* not above norm / norm_up */
	float		norm2[VK_LANES];	/* N */
	float		norm2_error[VK_LANES];	/* the true N is within that */
	float		error[VK_LANES];	/* |y - x'|, rounded up */
	float		a[VK_LANES];	/* relative to code_unit * norm */
	float		tangent[VK_LANES];	/* list only; 1 or more: no bound */
} Rows;

/* a query's derived numbers, once a block */
typedef struct BoundTerms
{
	float		inv_code_norm;	/* 1 / |q'|, rounded down */
	float		code_norm;		/* |q'|, rounded up */
} BoundTerms;

static inline void
decode_flat(const VkFlatAnnotation *annotation, Rows *rows)
{
	float		relative[VK_LANES];

	half_to_float_16(annotation->a, rows->a);
	half_to_float_16(annotation->error, relative);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm2 = annotation->norm2[lane];

		rows->norm2[lane] = norm2;
		rows->norm2_error[lane] = norm2 * 0x1p-23f;
		rows->norm[lane] = sqrtf(norm2);
		rows->norm_up[lane] = rows->norm[lane] * UP;
		rows->norm_share[lane] = 1.0f - 0x1p-20f;
		rows->error[lane] = relative[lane] * rows->norm_up[lane] * UP;
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
		float		error;

		rows->norm[lane] = norm;
		rows->norm_up[lane] = (norm + norm_error) * UP;
		rows->norm_share[lane] = norm / at_least(rows->norm_up[lane], TINY) * DOWN;
		rows->norm2[lane] = norm * norm;
		rows->norm2_error[lane] = (norm + norm + norm_error) * norm_error * UP;
		rows->tangent[lane] = tangent;
		error = tangent * rows->norm_up[lane] * UP;
		rows->error[lane] = choose(tangent < 1.0f, error, INFINITY);
	}
}

/*
 * One lane of the proven bound.  float_code and sharp are constants where this
 * inlines; without sharp, W and V are the whole norms, which takes no root, and
 * the upper bound is not looked for.
 */
static inline void
bound_lane(const VkBoundQuery *query, const BoundTerms *terms,
		   const Rows *rows, const VkDots *dots, int lane, bool float_code,
		   bool sharp, VkScores *scores)
{
	float		norm_up = rows->norm_up[lane];
	float		norm2 = rows->norm2[lane];
	float		norm2_up = (norm2 + rows->norm2_error[lane]) * UP;
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

		dot = a * unit;
		dot_error = a_error * fabsf(unit);
		if (sharp)
		{
			float		cosine = at_least(fabsf(a) - a_error, 0.0f) * fabsf(rate) *
				rows->norm_share[lane] * terms->inv_code_norm;

			sine = sqrtf(at_least(1.0f - cosine * cosine * (1.0f - 0x1p-20f), 0.0f)) * UP;
		}
	}
	w = sharp ? terms->code_norm * sine : terms->code_norm;
	v = sharp ? norm_up * sine : norm_up;

	error = rows->error[lane] +
		query->row_error * (norm_up + query->center_norm);
	bound = query->query_error * v + error * (w + query->query_error) +
		query->round_factor * (norm_up + query->center_norm) +
		(dot_error + TINY * norm_up + TINY);

	score = query->base + query->weight_norm * norm2 - query->weight_dot * dot;
	half_width = query->weight_dot * bound +
		query->weight_norm * rows->norm2_error[lane] +
		query->slack_norm * norm2_up + query->slack_base +
		(fabsf(query->base) + query->weight_norm * norm2_up +
		 query->weight_dot * fabsf(dot)) * 0x1p-22f;
	half_width *= 1.0f + 0x1p-19f;
	lower = score - half_width;
	lower -= query->gamma * fabsf(lower);
	valid = (norm2_up <= NORM2_MAX) &
		((norm2_up >= NORM2_MIN) | (norm2_up == 0.0f)) &
		(fabsf(lower) <= FLT_MAX);
	upper = INFINITY;
	if (sharp || float_code)
	{
		upper = score + half_width;
		upper += query->gamma * fabsf(upper);
		valid &= fabsf(upper) <= FLT_MAX;
		upper = choose(valid, upper, INFINITY);
	}
	scores->lower[lane] = choose(valid, lower, -INFINITY);
	scores->upper[lane] = upper;
}

/*
 * All lanes.  What lies behind pointers is copied first: stores to scores might
 * change it otherwise (the server is built with -fno-strict-aliasing), and the
 * loop would not be vectorised.
 */
static inline void
bound_lanes(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
			bool float_code, bool sharp, VkScores *scores)
{
	const VkBoundQuery own_query = *query;
	const VkDots own_dots = *dots;
	VkScores	own_scores;
	BoundTerms	terms;

	terms.inv_code_norm = sqrtf(query->inv_code_norm2) * DOWN;
	terms.code_norm = sqrtf(query->code_norm2) * UP;
	for (int lane = 0; lane < VK_LANES; lane++)
		bound_lane(&own_query, &terms, rows, &own_dots, lane, float_code, sharp,
				   &own_scores);
	*scores = own_scores;
}

static inline uint32_t
bound_rows(const VkBoundQuery *query, const Rows *rows, const VkDots *dots,
		   float threshold, VkScores *scores)
{
	if (query->dot_mult == 0)
		bound_lanes(query, rows, dots, true, false, scores);
	else
	{
		/* most blocks hold no candidate, and a looser bound shows it */
		bound_lanes(query, rows, dots, false, false, scores);
		if (mask_not_above(scores->lower, threshold) == 0)
			return 0;
		bound_lanes(query, rows, dots, false, true, scores);
	}
	return mask_not_above(scores->lower, threshold);
}

static uint32_t
template_bound_flat(const VkBoundQuery *query,
					const VkFlatAnnotation *annotation, const VkDots *dots,
					float threshold, VkScores *scores)
{
	Rows		rows;

	decode_flat(annotation, &rows);
	return bound_rows(query, &rows, dots, threshold, scores);
}

static uint32_t
template_bound_list_proven(const VkBoundQuery *query,
						   const VkListAnnotation *annotation,
						   float block_scale, const VkDots *dots,
						   float threshold, VkScores *scores)
{
	Rows		rows;

	decode_list(annotation, block_scale, &rows);
	return bound_rows(query, &rows, dots, threshold, scores);
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
