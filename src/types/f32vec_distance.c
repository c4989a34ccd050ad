/*-------------------------------------------------------------------------
 *
 * f32vec_distance.c
 *	  Distances between f32vec values: the kernels behind the operators.
 *
 * NOTES
 *	  The kernels sum in the canonical order, so a distance has the same bits
 *	  on every CPU (see src/kernels).
 *
 * IDENTIFICATION
 *	  src/types/f32vec_distance.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "kernels/kernels.h"
#include "types/distance_memo.h"
#include "types/f32vec.h"

PG_FUNCTION_INFO_V1(f32vec_l2_distance);
PG_FUNCTION_INFO_V1(f32vec_l2_squared_distance);
PG_FUNCTION_INFO_V1(f32vec_inner_product);
PG_FUNCTION_INFO_V1(f32vec_negative_inner_product);
PG_FUNCTION_INFO_V1(f32vec_cosine_distance);
PG_FUNCTION_INFO_V1(f32vec_l1_distance);

typedef double (*PairKernel) (const void *a, const void *b, int dim);

/*
 * sum_pair -- one kernel's sum over both arguments
 */
static float
sum_pair(FunctionCallInfo fcinfo, PairKernel kernel)
{
	F32Vec	   *a = PG_GETARG_F32VEC_P(0);
	F32Vec	   *b = PG_GETARG_F32VEC_P(1);
	float		sum;

	vec_check_same_dim(a->dim, b->dim);
	sum = kernel(a->x, b->x, a->dim);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return sum;
}

Datum
f32vec_l2_distance(PG_FUNCTION_ARGS)
{
	double		distance;

	if (!distance_memo_find(fcinfo, f32vec_l2_distance, &distance))
		distance = f32vec_finish_l2(sum_pair(fcinfo, vk_kernels->pair_l2[VK_F32]));
	PG_RETURN_FLOAT8(distance);
}

Datum
f32vec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	float		sum = sum_pair(fcinfo, vk_kernels->pair_l2[VK_F32]);

	PG_RETURN_FLOAT8((double) sum);
}

Datum
f32vec_inner_product(PG_FUNCTION_ARGS)
{
	float		dot = sum_pair(fcinfo, vk_kernels->pair_dot[VK_F32]);

	PG_RETURN_FLOAT8(f32vec_finish_dot(dot));
}

Datum
f32vec_negative_inner_product(PG_FUNCTION_ARGS)
{
	double		distance;

	if (!distance_memo_find(fcinfo, f32vec_negative_inner_product, &distance))
		distance = f32vec_finish_ip(sum_pair(fcinfo, vk_kernels->pair_dot[VK_F32]));
	PG_RETURN_FLOAT8(distance);
}

static double
cosine_distance(FunctionCallInfo fcinfo)
{
	F32Vec	   *a = PG_GETARG_F32VEC_P(0);
	F32Vec	   *b = PG_GETARG_F32VEC_P(1);
	double		sums[3];

	vec_check_same_dim(a->dim, b->dim);
	vk_kernels->pair_cosine[VK_F32] (a->x, b->x, a->dim, sums);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return f32vec_finish_cosine(sums[0], sums[1], sums[2]);
}

Datum
f32vec_cosine_distance(PG_FUNCTION_ARGS)
{
	double		distance;

	if (!distance_memo_find(fcinfo, f32vec_cosine_distance, &distance))
		distance = cosine_distance(fcinfo);
	PG_RETURN_FLOAT8(distance);
}

Datum
f32vec_l1_distance(PG_FUNCTION_ARGS)
{
	double		distance;

	if (!distance_memo_find(fcinfo, f32vec_l1_distance, &distance))
		distance = f32vec_finish_l1(sum_pair(fcinfo, vk_kernels->pair_l1[VK_F32]));
	PG_RETURN_FLOAT8(distance);
}
