/*-------------------------------------------------------------------------
 *
 * template_screen.h
 *	  The screen: annotation and dots of one block to a lower bound, quickly.
 *
 * NOTES
 *	  Most blocks hold no candidate, and a looser bound than bound_lane's
 *	  (template_bound.h) shows it.  It takes the sine of the angle between
 *	  query code and row code as 1, so that W and V are the whole norms: then
 *	  every term is a number of the query (bound_query.c) times a number of
 *	  the row, and a row's numbers serve any number of queries.  One row and
 *	  one query take five fused steps (screen_lower, kernels.h).
 *
 *	  The screen never excludes what a bound kernel reports; u = 2^-24:
 *
 *	  - Here are one conversion, one product and five fused steps, so at most
 *		7 u of each term; screen_excludes (template_bound.h) takes the same
 *		factors in another order, with at most 7 u as well.  bound_lane
 *		inflates its half width by 2^-19, two of its factors by 2^-21 each and
 *		rounds at most 14 times: in all under 2^-18.  The weights of error and
 *		norm are inflated by 2^-17.
 *	  - The dot: a half is off by HALF_ERROR of itself; 2^-22 for the score's
 *		roundings, those of bound_lane's dot (4 u) and of t a here (10 u) are
 *		below the 2^-18 - 2^-20 that HALF_SHARE has beyond HALF_ERROR.
 *	  - N stands less twice its own error e; weight_norm2 is 1 less 2^-19 and
 *		the slack S.  bound_lane has at most e + 2^-20 (N + e) + S (N + e), the
 *		roundings included: the second e covers e's part while S <= 1/16, the
 *		rest covers N's.
 *	  - base holds 2^-20 of its magnitude, and 2^-120 for what underflows; so
 *		does weight_norm.
 *	  - The statistical reading takes sqrt(Q2) t + F for sqrt(Q2 t^2 + F^2),
 *		which is not below; its dot has at most 14 u, under 2^-19.
 *
 *	  Nothing overflows: rows beyond SCREEN_NORM2_MAX or SCREEN_MAX and
 *	  queries beyond the limits of bound_query.c have no screen.  The bound
 *	  kernels, for which rows are made once and used once, ask instead whether
 *	  the sum is finite.
 *
 *	  A block's limit for dots (block_limits) excludes no lane that the screen
 *	  keeps.  Where D, the dot times dot_mult less dot_offset, is not negative,
 *	  the screen's a and a_error have one sign; else -t a - |t| a_error adds, as
 *	  a is not below a_error (screen_blocks.c), and the limit, where there is
 *	  one, was not negative, so the rest suffices.  The 2^-16 of |base|,
 *	  |threshold| (here) and N (screen_blocks.c) is for the roundings: of t, the
 *	  screen's steps, the lines and the steps here, at most 30 u of each term,
 *	  while at a limit no term exceeds |base| + |threshold| + N.
 *
 *	  The includer defines half_to_float_16, short_to_float_16 and mask_not_above
 *	  beforehand.
 *
 * IDENTIFICATION
 *	  src/kernels/template_screen.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TEMPLATE_SCREEN_H
#define VK_TEMPLATE_SCREEN_H

#include <math.h>
#include <string.h>

#include "kernels.h"

/* 16 lanes become vectors only where all of a loop is in sight */
#define ALWAYS_INLINE	static inline __attribute__((always_inline))

#define NORM2_MIN		0x1p-100f	/* of rows that have bounds */
#define SCREEN_NORM2_MAX 0x1p80f
#define SCREEN_MAX		0x1p56f
#define TINY			0x1p-120f
#define UP				(1.0f + 0x1p-21f)	/* covers a few roundings */
#define HALF_ERROR		(0x1p-11f * (1.0f + 0x1p-9f))
#define HALF_NORMAL		0x1p-14f
#define HALF_SHARE		(0x1p-11f * (1.0f + 0x1p-7f))
#define HALF_TINY		(HALF_NORMAL * HALF_SHARE)
#define TANGENT_UNIT	(1.0f / 65535.0f * UP)

/*
 * condition ? yes : no, by bits: compilers refuse to vectorise a loop in which
 * a float comparison, which might trap, decides on a branch.
 */
ALWAYS_INLINE float
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

ALWAYS_INLINE float
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
	float		center[VK_LANES];	/* statistical reading only: <m, x'> / (M |x~|) */
} Rows;

ALWAYS_INLINE void
decode_flat(const VkFlatAnnotation *annotation, Rows *rows)
{
	half_to_float_16(annotation->a, rows->a);
	half_to_float_16(annotation->error, rows->relative);
#ifdef __clang__
	/* unrolled before it is vectorised it would be vectorised in pieces */
#pragma clang loop unroll(disable)
#endif
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		norm2 = annotation->norm2[lane];

		rows->norm2[lane] = norm2;
		rows->norm[lane] = sqrtf(norm2);
		rows->norm_up[lane] = rows->norm[lane] * UP;
	}
}

ALWAYS_INLINE void
decode_list(const VkListAnnotation *annotation, float block_scale, Rows *rows)
{
	float		relative[VK_LANES];
	float		tangents[VK_LANES];

	half_to_float_16(annotation->a, rows->a);
	half_to_float_16(annotation->norm, relative);
	short_to_float_16(annotation->tangent, tangents);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		float		share = fabsf(relative[lane]);
		float		normal = at_least(share, HALF_NORMAL);
		float		norm = share * block_scale;
		float		norm_error = normal * HALF_ERROR * block_scale;
		float		tangent = tangents[lane] * TANGENT_UNIT;

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
ALWAYS_INLINE float
norm2_error(const Rows *rows, int lane, bool flat)
{
	float		norm = rows->norm[lane];
	float		norm_up = rows->norm_up[lane];

	return flat ? rows->norm2[lane] * 0x1p-23f :
		(norm + norm_up) * (norm_up - norm) * UP;
}

/* one lane of VkScreenRows, and whether the screen holds for it */
typedef struct ScreenRow
{
	float		norm2;
	float		a;
	float		a_error;
	float		error;
	float		norm;
	int			holds;
} ScreenRow;

/* of a row; lengths so small that numbers underflow hold only where they are 0 */
ALWAYS_INLINE int
screen_holds(float norm2, float norm)
{
	return (norm2 <= SCREEN_NORM2_MAX) &
		((norm2 >= NORM2_MIN) | (norm == 0.0f));
}

/* flat is a constant where this inlines */
ALWAYS_INLINE ScreenRow
proven_row(const Rows *rows, int lane, bool flat)
{
	float		a = rows->a[lane];
	ScreenRow	row;

	row.norm2 = fmaf(-2.0f, norm2_error(rows, lane, flat), rows->norm2[lane]);
	row.a = a * rows->norm[lane];
	row.a_error = (fabsf(a) * HALF_SHARE + HALF_TINY) * rows->norm[lane];
	row.error = rows->relative[lane] * rows->norm_up[lane];
	row.norm = rows->norm_up[lane];
	row.holds = screen_holds(rows->norm2[lane], row.norm);
	return row;
}

ALWAYS_INLINE ScreenRow
estimate_row(const Rows *rows, int lane)
{
	float		tangent = rows->tangent[lane];
	float		cosine2 = 1.0f - tangent * tangent;
	ScreenRow	row;

	row.norm2 = rows->norm2[lane];
	row.a = rows->a[lane] * rows->norm[lane] / cosine2;
	row.a_error = fabsf(row.a) * 0x1p-19f;
	row.norm = rows->norm[lane] / sqrtf(cosine2);
	row.error = row.norm * tangent;
	row.holds = screen_holds(row.norm2, row.norm) & (tangent < 1.0f);
	return row;
}

/* the lower bound of one lane and query, but for the operator's rounding */
ALWAYS_INLINE float
screen_lower(const VkScreenQuery *query, float norm2, float a, float a_error,
			 float error, float norm, int32_t dot)
{
	float		t = query->scale *
		(float) (query->dot_mult * dot - query->dot_offset);
	float		lower = fmaf(query->weight_norm2, norm2, query->base);

	lower = fmaf(-t, a, lower);
	lower = fmaf(-fabsf(t), a_error, lower);
	lower = fmaf(-query->weight_error, error, lower);
	return fmaf(-query->weight_norm, norm, lower);
}

ALWAYS_INLINE void
put_row(const ScreenRow *row, int lane, VkScreenRows *out)
{
	int			holds = row->holds & (fabsf(row->a) <= SCREEN_MAX) &
		(row->error >= 0.0f) & (row->error <= SCREEN_MAX);

	out->norm2[lane] = choose(holds, row->norm2, 0.0f);
	out->a[lane] = choose(holds, row->a, 0.0f);
	out->a_error[lane] = choose(holds, row->a_error, 0.0f);
	out->error[lane] = choose(holds, row->error, 0.0f);
	out->norm[lane] = choose(holds, row->norm, INFINITY);
}

/*
 * The kernels.  What they make lies on the stack until all lanes are there: a
 * store behind a pointer might change what is read (the server is built with
 * -fno-strict-aliasing), and the loops would not be vectorised.
 */
static inline void
template_screen_flat(const VkFlatAnnotation *annotation, VkScreenRows *out)
{
	Rows		rows;
	VkScreenRows own;

	decode_flat(annotation, &rows);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		ScreenRow	row = proven_row(&rows, lane, true);

		put_row(&row, lane, &own);
	}
	*out = own;
}

static inline void
template_screen_list_proven(const VkListAnnotation *annotation,
							float block_scale, VkScreenRows *out)
{
	Rows		rows;
	VkScreenRows own;

	decode_list(annotation, block_scale, &rows);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		ScreenRow	row = proven_row(&rows, lane, false);

		put_row(&row, lane, &own);
	}
	*out = own;
}

static inline void
template_screen_list(const VkListAnnotation *annotation, float block_scale,
					 VkScreenRows *out)
{
	Rows		rows;
	VkScreenRows own;

	decode_list(annotation, block_scale, &rows);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		ScreenRow	row = estimate_row(&rows, lane);

		put_row(&row, lane, &own);
	}
	*out = own;
}

static inline void
template_screen(const int32_t *dots, const VkScreenRows *rows, int blocks,
				const VkScreenQuery *query, uint16_t *masks)
{

	for (int block = 0; block < blocks; block++)
	{
		const int32_t *block_dots = dots + (size_t) VK_LANES * block;
		const VkScreenRows *row = rows + block;
		float		lower[VK_LANES];

		for (int lane = 0; lane < VK_LANES; lane++)
			lower[lane] = screen_lower(query, row->norm2[lane],
									   row->a[lane], row->a_error[lane],
									   row->error[lane], row->norm[lane],
									   block_dots[lane]);
		masks[block] = (uint16_t) mask_not_above(lower, query->threshold);
	}
}

/* ---- whole blocks ---- */

#define LIMIT_MAX		0x1p30f
#define GAP_ROUNDINGS	0x1p-16f

/* a query as screen_blocks uses it */
typedef struct ScreenGap
{
	float		gap;
	float		inverse_scale;
} ScreenGap;

ALWAYS_INLINE ScreenGap
screen_gap(const VkScreenQuery *query)
{
	ScreenGap	result;

	result.gap = query->base - query->threshold -
		GAP_ROUNDINGS * (fabsf(query->base) + fabsf(query->threshold));
	result.inverse_scale = query->scale > 0 ? 1.0f / query->scale : NAN;
	return result;
}

/* which of a group's lines holds for it */
ALWAYS_INLINE int
screen_line(const VkScreenQuery *query, float gap, float pivot)
{
	if (gap < 0)
		return 0;
	return gap <= query->weight_norm2 * pivot ? 1 : 2;
}

/* the limits of a group's blocks */
ALWAYS_INLINE void
block_limits(const VkScreenBlocks *group, const VkScreenQuery *query,
			 const ScreenGap *gap, int32_t *limits)
{
	const int	line = screen_line(query, gap->gap, group->pivot);

	for (int b = 0; b < VK_LANES; b++)
	{
		float		least = query->weight_norm2 * group->start[line][b];
		float		limit;
		int32_t		found;
		int32_t		holds;

		least = fmaf(gap->gap, group->slope[line][b], least);
		least = fmaf(-query->weight_error, group->error[b], least);
		least = fmaf(-query->weight_norm, group->norm[b], least);
		limit = least * gap->inverse_scale;
		holds = -(int32_t) (limit >= 0.0f);
		limit = choose(limit >= 0.0f, limit, 0.0f);
		limit = choose(limit < LIMIT_MAX, limit, LIMIT_MAX);
		found = ((int32_t) limit + query->dot_offset) >> (query->dot_mult - 1);
		limits[b] = (found & holds) | (INT32_MIN & ~holds);
	}
}

static inline void
template_screen_blocks(const int32_t *dots, const VkScreenBlocks *groups,
					   int blocks, const VkScreenQuery *query, uint16_t *masks)
{
	const ScreenGap gap = screen_gap(query);

	for (int first = 0; first < blocks; first += VK_LANES)
	{
		int			count = blocks - first < VK_LANES ? blocks - first : VK_LANES;
		int32_t		limits[VK_LANES];
		uint16_t	mask = 0;

		block_limits(groups++, query, &gap, limits);
		for (int b = 0; b < count; b++, dots += VK_LANES)
		{
			int			above = 0;

			for (int lane = 0; lane < VK_LANES; lane++)
				above |= dots[lane] > limits[b];
			mask |= (uint16_t) (above << b);
		}
		*masks++ = mask;
	}
}

#endif							/* VK_TEMPLATE_SCREEN_H */
