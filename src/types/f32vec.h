/*-------------------------------------------------------------------------
 *
 * f32vec.h
 *	  The type f32vec: layout, access, and the values of its operators.
 *
 * NOTES
 *	  The layout is that of pgvector's vector, byte for byte.
 *
 *	  OFFSET	SIZE	DESCRIPTION
 *		   0	   4	varlena header
 *		   4	   2	number of dimensions, 1 to VK_MAX_DIM
 *		   6	   2	reserved, zero
 *		   8	 4*n	elements, finite floats
 *
 *	  The f32vec_finish_* functions turn what a kernel sums into what the SQL
 *	  operator returns.  Whoever computes a distance outside the operators
 *	  calls them too, and so gets the same bits.
 *
 * IDENTIFICATION
 *	  src/types/f32vec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef F32VEC_H
#define F32VEC_H

#include <math.h>

#include "access/attnum.h"
#include "types/vec.h"
#include "utils/float.h"

#define F32VEC_NAME "f32vec"

typedef struct F32Vec
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		dim;
	int16		unused;
	float		x[FLEXIBLE_ARRAY_MEMBER];
} F32Vec;

StaticAssertDecl(offsetof(F32Vec, x) == 8, "f32vec must match pgvector's vector");

#define DatumGetF32VecP(datum)	((F32Vec *) PG_DETOAST_DATUM(datum))
#define PG_GETARG_F32VEC_P(n)	DatumGetF32VecP(PG_GETARG_DATUM(n))
#define PG_RETURN_F32VEC_P(v)	PG_RETURN_POINTER(v)

/*
 * f32vec_alloc -- a palloc'd zero vector; dim is checked by the caller
 */
static inline F32Vec *
f32vec_alloc(int dim)
{
	Size		size = offsetof(F32Vec, x) + (Size) dim * sizeof(float);
	F32Vec	   *vec = (F32Vec *) palloc0(size);

	Assert(dim >= 1 && dim <= VK_MAX_DIM);
	SET_VARSIZE(vec, size);
	vec->dim = (int16) dim;

	return vec;
}

/* f32vec_distance.c: what distance memos go by */
extern Datum f32vec_l2_distance(PG_FUNCTION_ARGS);
extern Datum f32vec_negative_inner_product(PG_FUNCTION_ARGS);
extern Datum f32vec_cosine_distance(PG_FUNCTION_ARGS);
extern Datum f32vec_l1_distance(PG_FUNCTION_ARGS);

/* f32vec_cost.c: bytes of a column's vectors that are stored out of line (0: they
 * are in the row), and what fetching that many costs, with what a page costs */
extern double f32vec_toasted_bytes(Oid table, AttrNumber column, int dim);
extern double f32vec_detoast_cost(double bytes, double page_cost);

/* one NaN for all CPUs: their own differ in the sign */
static inline double
f32vec_canonical_nan(double value)
{
	return isnan(value) ? get_float8_nan() : value;
}

/* <-> from the sum of squared differences */
static inline double
f32vec_finish_l2(float sum)
{
	return sqrt((double) sum);
}

/* the inner product itself; huge elements can make it infinity - infinity */
static inline double
f32vec_finish_dot(float dot)
{
	return f32vec_canonical_nan((double) dot);
}

/* <#> from the inner product */
static inline double
f32vec_finish_ip(float dot)
{
	return f32vec_canonical_nan(-(double) dot);
}

/*
 * <=> from the inner product and both squared norms
 *
 * NaN if a norm is zero, or where the sums overflowed.  The product under one
 * root is exact in double, so parallel vectors come out at 0 more often.
 */
static inline double
f32vec_finish_cosine(float dot, float norm2_a, float norm2_b)
{
	double		similarity = (double) dot /
		sqrt((double) norm2_a * (double) norm2_b);

	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;

	return f32vec_canonical_nan(1.0 - similarity);
}

/* <+> from the sum of absolute differences */
static inline double
f32vec_finish_l1(float sum)
{
	return (double) sum;
}

#endif							/* F32VEC_H */
