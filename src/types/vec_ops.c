/*-------------------------------------------------------------------------
 *
 * vec_ops.c
 *	  Functions of vectors that are no distances: comparison, arithmetic,
 *	  norm, parts, quantization.
 *
 * IDENTIFICATION
 *	  src/types/vec_ops.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "types/vec.h"
#include "utils/float.h"
#include "utils/varbit.h"

/*
 * Comparison
 */

/* by elements, then by length, as arrays compare */
static int
compare(const VecType *type, const Vec *a, const Vec *b)
{
	int			common = Min(a->dim, b->dim);
	float		buffer_a[VEC_BLOCK];
	float		buffer_b[VEC_BLOCK];

	for (int first = 0; first < common; first += VEC_BLOCK)
	{
		int			n = Min(common - first, VEC_BLOCK);
		const float *x = vec_floats(type, a, first, n, buffer_a);
		const float *y = vec_floats(type, b, first, n, buffer_b);

		for (int i = 0; i < n; i++)
		{
			if (x[i] != y[i])
				return x[i] < y[i] ? -1 : 1;
		}
	}

	return (a->dim > b->dim) - (a->dim < b->dim);
}

static int
compare_args(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *a = PG_GETARG_VEC_P(0);
	Vec		   *b = PG_GETARG_VEC_P(1);
	int			order = compare(type, a, b);

	/* btree may not leak */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

static Datum
vec_cmp(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_INT32(compare_args(fcinfo, type));
}

static Datum
vec_lt(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) < 0);
}

static Datum
vec_le(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) <= 0);
}

static Datum
vec_eq(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) == 0);
}

static Datum
vec_ne(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) != 0);
}

static Datum
vec_ge(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) >= 0);
}

static Datum
vec_gt(FunctionCallInfo fcinfo, const VecType *type)
{
	PG_RETURN_BOOL(compare_args(fcinfo, type) > 0);
}

/*
 * Arithmetic, element by element
 *
 * In floats, whose results rounded to elements are those of the elements' own
 * arithmetic: a float has more than twice the digits of a narrower element.
 */

typedef void (*BlockOperator) (const float *a, const float *b, int n, float *out);

static void
add_block(const float *a, const float *b, int n, float *out)
{
	for (int i = 0; i < n; i++)
		out[i] = a[i] + b[i];
}

static void
subtract_block(const float *a, const float *b, int n, float *out)
{
	for (int i = 0; i < n; i++)
		out[i] = a[i] - b[i];
}

static void
multiply_block(const float *a, const float *b, int n, float *out)
{
	for (int i = 0; i < n; i++)
		out[i] = a[i] * b[i];
}

static void
check_overflow(const VecType *type, const float *values, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (unlikely(!vec_in_range(type, values[i])))
			float_overflow_error();
	}
}

/* a sum is never too small for an element, a product may be */
static void
check_underflow(const VecType *type, const float *a, const float *b,
				const float *products, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (unlikely(fabsf(products[i]) <= type->vanishing && a[i] != 0 && b[i] != 0))
			float_underflow_error();
	}
}

/*
 * apply -- a new vector of what op makes of both arguments
 */
static Datum
apply(FunctionCallInfo fcinfo, const VecType *type, BlockOperator op)
{
	Vec		   *a = PG_GETARG_VEC_P(0);
	Vec		   *b = PG_GETARG_VEC_P(1);
	Vec		   *result;
	float		buffer_a[VEC_BLOCK];
	float		buffer_b[VEC_BLOCK];
	float		buffer[VEC_BLOCK];

	vec_check_same_dim(a->dim, b->dim);
	result = vec_alloc(type, a->dim);

	for (int first = 0; first < result->dim; first += VEC_BLOCK)
	{
		int			n = Min(result->dim - first, VEC_BLOCK);
		const float *x = vec_floats(type, a, first, n, buffer_a);
		const float *y = vec_floats(type, b, first, n, buffer_b);
		float	   *values = vec_room(type, result, first, buffer);

		op(x, y, n, values);
		check_overflow(type, values, n);
		if (op == multiply_block)
			check_underflow(type, x, y, values, n);
		vec_put(type, result, first, n, values);
	}

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_VEC_P(result);
}

static Datum
vec_add(FunctionCallInfo fcinfo, const VecType *type)
{
	return apply(fcinfo, type, add_block);
}

static Datum
vec_sub(FunctionCallInfo fcinfo, const VecType *type)
{
	return apply(fcinfo, type, subtract_block);
}

static Datum
vec_mul(FunctionCallInfo fcinfo, const VecType *type)
{
	return apply(fcinfo, type, multiply_block);
}

/*
 * Dimensions and norm
 */

static Datum
vec_dims(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	int			dim = vec->dim;

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_INT32(dim);
}

/* in double the squares of floats are exact and never overflow or vanish */
static double
compute_norm(const float *values, int dim)
{
	return sqrt(vk_kernels->pair_dot_f64(values, values, dim));
}

static Datum
vec_norm(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	double		norm = compute_norm(vec_all_floats(type, vec), vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_FLOAT8(norm);
}

/*
 * vec_l2_normalize -- the vector divided by its norm; zero stays zero
 *
 * No element exceeds the norm in magnitude, so nothing overflows.
 */
static Datum
vec_l2_normalize(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	const VecType *wide = &vec_types[type->wide];
	const float *values = vec_all_floats(type, vec);
	double		norm = compute_norm(values, vec->dim);
	Vec		   *result = vec_alloc(wide, vec->dim);
	float	   *quotients = vec_all_room(wide, result);

	if (norm > 0)
	{
		for (int i = 0; i < vec->dim; i++)
			quotients[i] = (float) (values[i] / norm);
		vec_put(wide, result, 0, vec->dim, quotients);
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_VEC_P(result);
}

/*
 * Parts
 */

static Datum
vec_concat(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *a = PG_GETARG_VEC_P(0);
	Vec		   *b = PG_GETARG_VEC_P(1);
	int			dim = a->dim + b->dim;
	Vec		   *result;

	vec_check_dim(type, dim);
	result = vec_alloc(type, dim);
	memcpy(result->x, a->x, vec_at(type, a, a->dim) - a->x);
	memcpy(vec_at(type, result, a->dim), b->x, vec_at(type, b, b->dim) - b->x);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_VEC_P(result);
}

/*
 * vec_subvector -- count elements from position start, which counts from 1
 *
 * As with substring, a range that sticks out is cut at the vector's ends.
 */
static Datum
vec_subvector(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	int64		start = PG_GETARG_INT32(1);
	int64		count = PG_GETARG_INT32(2);
	int64		first = Max(start, 1);
	int64		end = Min(start + count, vec->dim + 1);
	int			dim = (int) Max(end - first, 0);
	Vec		   *result;

	vec_check_dim(type, dim);
	result = vec_alloc(type, dim);
	memcpy(result->x, vec_at(type, vec, first - 1),
		   vec_at(type, result, dim) - result->x);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_VEC_P(result);
}

/*
 * vec_binary_quantize -- a bit a dimension, set where the element is above
 * zero
 */
static Datum
vec_binary_quantize(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	const float *values = vec_all_floats(type, vec);
	Size		size = VARBITTOTALLEN(vec->dim);
	VarBit	   *result = (VarBit *) palloc0(size);
	uint8	   *bytes = VARBITS(result);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = vec->dim;

	/* the first dimension is the highest bit of the first byte */
	for (int i = 0; i < vec->dim; i++)
	{
		if (values[i] > 0)
			bytes[i / BITS_PER_BYTE] |= HIGHBIT >> (i % BITS_PER_BYTE);
	}

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_VARBIT_P(result);
}

#define VEC_OPS(type, element) \
	VEC_FUNCTION(type, element, cmp) \
	VEC_FUNCTION(type, element, lt) \
	VEC_FUNCTION(type, element, le) \
	VEC_FUNCTION(type, element, eq) \
	VEC_FUNCTION(type, element, ne) \
	VEC_FUNCTION(type, element, ge) \
	VEC_FUNCTION(type, element, gt) \
	VEC_FUNCTION(type, element, add) \
	VEC_FUNCTION(type, element, sub) \
	VEC_FUNCTION(type, element, mul) \
	VEC_FUNCTION(type, element, dims) \
	VEC_FUNCTION(type, element, norm) \
	VEC_FUNCTION(type, element, l2_normalize) \
	VEC_FUNCTION(type, element, concat) \
	VEC_FUNCTION(type, element, subvector) \
	VEC_FUNCTION(type, element, binary_quantize)

VEC_TYPES(VEC_OPS)
