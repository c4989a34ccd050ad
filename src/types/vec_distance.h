/*-------------------------------------------------------------------------
 *
 * vec_distance.h
 *	  Values of the distance operators, from what kernels sum.
 *
 * NOTES
 *	  Whoever computes a distance outside the operators calls these too, and so
 *	  gets the same bits.  Sums are doubles: a canonical sum of floats, or an
 *	  integer that a float may not hold.
 *
 * IDENTIFICATION
 *	  src/types/vec_distance.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VEC_DISTANCE_H
#define VEC_DISTANCE_H

#include <math.h>

#include "types/vec_type.h"
#include "utils/float.h"

/*
 * The C functions of the operators: what distance memos go by, and what spheres
 * are made of.
 */
#define VEC_DECLARE_DISTANCES(type, element) \
	extern Datum type##_l2_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_negative_inner_product(PG_FUNCTION_ARGS); \
	extern Datum type##_cosine_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_l1_distance(PG_FUNCTION_ARGS);

VEC_TYPES(VEC_DECLARE_DISTANCES)

/* one NaN for all CPUs: their own differ in the sign */
static inline double
vec_canonical_nan(double value)
{
	return isnan(value) ? get_float8_nan() : value;
}

/* <-> from the sum of squared differences */
static inline double
vec_finish_l2(double sum)
{
	return sqrt(sum);
}

/* the inner product itself; huge elements can make it infinity - infinity */
static inline double
vec_finish_dot(double dot)
{
	return vec_canonical_nan(dot);
}

/* <#> from the inner product */
static inline double
vec_finish_ip(double dot)
{
	return vec_canonical_nan(-dot);
}

/*
 * <=> from the inner product and both squared norms
 *
 * NaN if a norm is zero, or where the sums overflowed.  The product under one
 * root is exact where the sums are floats, so parallel vectors come out at 0
 * more often.
 */
static inline double
vec_finish_cosine(double dot, double norm2_a, double norm2_b)
{
	double		similarity = dot / sqrt(norm2_a * norm2_b);

	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;

	return vec_canonical_nan(1.0 - similarity);
}

/* <+> from the sum of absolute differences */
static inline double
vec_finish_l1(double sum)
{
	return sum;
}

#endif							/* VEC_DISTANCE_H */
