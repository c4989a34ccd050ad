/*-------------------------------------------------------------------------
 *
 * vec_check.c
 *	  Checks of dimensions, type modifiers and elements of vector types.
 *
 * IDENTIFICATION
 *	  src/types/vec_check.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "common/shortest_dec.h"
#include "types/vec.h"

/*
 * vec_check_dim -- a vector has 1 to VK_MAX_DIM dimensions
 */
void
vec_check_dim(const VecType *type, int dim)
{
	if (dim < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type->name)));

	if (dim > VK_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions",
						type->name, VK_MAX_DIM)));
}

/*
 * vec_check_typmod -- a column of n dimensions takes vectors of n dimensions
 */
void
vec_check_typmod(int32 typmod, int dim)
{
	if (typmod != -1 && typmod != dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
}

/*
 * vec_check_same_dim -- two vectors meet in one operation
 */
void
vec_check_same_dim(int dim_a, int dim_b)
{
	if (dim_a != dim_b)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg(VEC_DIMS_MISMATCH, dim_a, dim_b)));
}

/*
 * vec_check_elements -- are all elements finite?
 */
void
vec_check_elements(const VecType *type, const Vec *vec)
{
	float		buffer[VEC_BLOCK];

	for (int first = 0; first < vec->dim; first += VEC_BLOCK)
	{
		int			n = Min(vec->dim - first, VEC_BLOCK);
		const float *values = vec_floats(type, vec, first, n, buffer);

		for (int i = 0; i < n; i++)
			vec_check_element(type, values[i]);
	}
}

/*
 * vec_report_not_finite -- the slow path of vec_check_element
 */
void
vec_report_not_finite(const VecType *type, float value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type->name)));

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("infinite value not allowed in %s", type->name)));
}

/*
 * vec_report_range -- no element is near to this value
 */
void
vec_report_range(const VecType *type, float value)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(value, text);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s", text, type->name)));
}
