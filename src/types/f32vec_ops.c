/*-------------------------------------------------------------------------
 *
 * f32vec_ops.c
 *	  Functions of f32vec that are no distances: comparison, arithmetic,
 *	  norm, parts, quantization.
 *
 * IDENTIFICATION
 *	  src/types/f32vec_ops.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "types/f32vec.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(f32vec_cmp);
PG_FUNCTION_INFO_V1(f32vec_lt);
PG_FUNCTION_INFO_V1(f32vec_le);
PG_FUNCTION_INFO_V1(f32vec_eq);
PG_FUNCTION_INFO_V1(f32vec_ne);
PG_FUNCTION_INFO_V1(f32vec_ge);
PG_FUNCTION_INFO_V1(f32vec_gt);
PG_FUNCTION_INFO_V1(f32vec_add);
PG_FUNCTION_INFO_V1(f32vec_sub);
PG_FUNCTION_INFO_V1(f32vec_mul);
PG_FUNCTION_INFO_V1(f32vec_concat);
PG_FUNCTION_INFO_V1(f32vec_dims);
PG_FUNCTION_INFO_V1(f32vec_norm);
PG_FUNCTION_INFO_V1(f32vec_l2_normalize);
PG_FUNCTION_INFO_V1(f32vec_subvector);
PG_FUNCTION_INFO_V1(f32vec_binary_quantize);

/*
 * Comparison
 */

/* by elements, then by length, as arrays compare */
static int
compare_f32vec(const F32Vec *a, const F32Vec *b)
{
	int			common = Min(a->dim, b->dim);

	for (int i = 0; i < common; i++)
	{
		if (a->x[i] != b->x[i])
			return a->x[i] < b->x[i] ? -1 : 1;
	}

	return (a->dim > b->dim) - (a->dim < b->dim);
}

static int
compare_args(FunctionCallInfo fcinfo)
{
	F32Vec	   *a = PG_GETARG_F32VEC_P(0);
	F32Vec	   *b = PG_GETARG_F32VEC_P(1);
	int			order = compare_f32vec(a, b);

	/* btree may not leak */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

Datum
f32vec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_args(fcinfo));
}

Datum
f32vec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) < 0);
}

Datum
f32vec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) <= 0);
}

Datum
f32vec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) == 0);
}

Datum
f32vec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) != 0);
}

Datum
f32vec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) >= 0);
}

Datum
f32vec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_args(fcinfo) > 0);
}

/*
 * Arithmetic, element by element
 */

typedef float (*ElementOperator) (float a, float b);

static inline float
add_elements(float a, float b)
{
	return a + b;
}

static inline float
subtract_elements(float a, float b)
{
	return a - b;
}

static inline float
multiply_elements(float a, float b)
{
	return a * b;
}

/*
 * apply_to_elements -- a new vector of op over both arguments
 *
 * Inlined into its callers, so that op is not a call an element.  The results
 * are checked afterwards, which leaves the first loop free to be vectorized.
 */
static pg_attribute_always_inline F32Vec *
apply_to_elements(FunctionCallInfo fcinfo, ElementOperator op)
{
	F32Vec	   *a = PG_GETARG_F32VEC_P(0);
	F32Vec	   *b = PG_GETARG_F32VEC_P(1);
	F32Vec	   *result;

	vec_check_same_dim(a->dim, b->dim);
	result = f32vec_alloc(a->dim);

	for (int i = 0; i < result->dim; i++)
		result->x[i] = op(a->x[i], b->x[i]);

	for (int i = 0; i < result->dim; i++)
	{
		if (unlikely(isinf(result->x[i])))
			float_overflow_error();

		/* a sum of floats is never too small for a float */
		if (op == multiply_elements &&
			unlikely(result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0))
			float_underflow_error();
	}

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

Datum
f32vec_add(PG_FUNCTION_ARGS)
{
	PG_RETURN_F32VEC_P(apply_to_elements(fcinfo, add_elements));
}

Datum
f32vec_sub(PG_FUNCTION_ARGS)
{
	PG_RETURN_F32VEC_P(apply_to_elements(fcinfo, subtract_elements));
}

Datum
f32vec_mul(PG_FUNCTION_ARGS)
{
	PG_RETURN_F32VEC_P(apply_to_elements(fcinfo, multiply_elements));
}

/*
 * Dimensions and norm
 */

Datum
f32vec_dims(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	int			dim = vec->dim;

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_INT32(dim);
}

/* in double the squares of floats are exact and never overflow or vanish */
static double
compute_norm(const F32Vec *vec)
{
	return sqrt(vk_kernels->pair_dot_f64(vec->x, vec->x, vec->dim));
}

Datum
f32vec_norm(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	double		norm = compute_norm(vec);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_FLOAT8(norm);
}

/*
 * f32vec_l2_normalize -- the vector divided by its norm; zero stays zero
 *
 * No element exceeds the norm in magnitude, so nothing overflows.
 */
Datum
f32vec_l2_normalize(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	double		norm = compute_norm(vec);
	F32Vec	   *result = f32vec_alloc(vec->dim);

	if (norm > 0)
	{
		for (int i = 0; i < vec->dim; i++)
			result->x[i] = (float) (vec->x[i] / norm);
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_F32VEC_P(result);
}

/*
 * Parts
 */

Datum
f32vec_concat(PG_FUNCTION_ARGS)
{
	F32Vec	   *a = PG_GETARG_F32VEC_P(0);
	F32Vec	   *b = PG_GETARG_F32VEC_P(1);
	int			dim = a->dim + b->dim;
	F32Vec	   *result;

	vec_check_dim(F32VEC_NAME, dim);
	result = f32vec_alloc(dim);
	memcpy(result->x, a->x, a->dim * sizeof(float));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(float));

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_F32VEC_P(result);
}

/*
 * f32vec_subvector -- count elements from position start, which counts from 1
 *
 * As with substring, a range that sticks out is cut at the vector's ends.
 */
Datum
f32vec_subvector(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	int64		start = PG_GETARG_INT32(1);
	int64		count = PG_GETARG_INT32(2);
	int64		first = Max(start, 1);
	int64		end = Min(start + count, vec->dim + 1);
	int			dim = (int) Max(end - first, 0);
	F32Vec	   *result;

	vec_check_dim(F32VEC_NAME, dim);
	result = f32vec_alloc(dim);
	memcpy(result->x, vec->x + first - 1, dim * sizeof(float));

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_F32VEC_P(result);
}

/*
 * f32vec_binary_quantize -- a bit a dimension, set where the element is above
 * zero
 */
Datum
f32vec_binary_quantize(PG_FUNCTION_ARGS)
{
	F32Vec	   *vec = PG_GETARG_F32VEC_P(0);
	Size		size = VARBITTOTALLEN(vec->dim);
	VarBit	   *result = (VarBit *) palloc0(size);
	uint8	   *bytes = VARBITS(result);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = vec->dim;

	/* the first dimension is the highest bit of the first byte */
	for (int i = 0; i < vec->dim; i++)
	{
		if (vec->x[i] > 0)
			bytes[i / BITS_PER_BYTE] |= HIGHBIT >> (i % BITS_PER_BYTE);
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_VARBIT_P(result);
}
