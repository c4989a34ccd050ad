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

#include "types/vec.h"

/*
 * vec_check_dim -- a vector has 1 to VK_MAX_DIM dimensions
 */
void
vec_check_dim(const char *type_name, int dim)
{
	if (dim < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type_name)));

	if (dim > VK_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions",
						type_name, VK_MAX_DIM)));
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
				 errmsg("different vector dimensions %d and %d",
						dim_a, dim_b)));
}

/*
 * vec_report_not_finite -- the slow path of vec_check_element
 */
void
vec_report_not_finite(const char *type_name, float value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type_name)));

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("infinite value not allowed in %s", type_name)));
}

/*
 * vec_typmod_in -- the one modifier is the number of dimensions
 */
int32
vec_typmod_in(const char *type_name, ArrayType *modifiers)
{
	int			nmodifiers;
	int32	   *modifier = ArrayGetIntegerTypmods(modifiers, &nmodifiers);

	if (nmodifiers != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier")));

	if (*modifier < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1",
						type_name)));

	if (*modifier > VK_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d",
						type_name, VK_MAX_DIM)));

	return *modifier;
}
