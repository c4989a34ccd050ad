/*-------------------------------------------------------------------------
 *
 * vec_distance.c
 *	  Distances between vectors: the kernels behind the operators.
 *
 * NOTES
 *	  The kernels sum in the canonical order, or integers, so a distance has
 *	  the same bits on every CPU (see src/kernels).
 *
 * IDENTIFICATION
 *	  src/types/vec_distance.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "kernels/kernels.h"
#include "types/distance_memo.h"
#include "types/vec.h"
#include "types/vec_distance.h"

typedef double (*PairKernel) (const void *a, const void *b, int dim);
typedef void (*CosineKernel) (const void *a, const void *b, int dim,
							  double out[3]);

/*
 * sum_pair -- one kernel's sum over both arguments
 */
static double
sum_pair(FunctionCallInfo fcinfo, PairKernel kernel)
{
	Vec		   *a = PG_GETARG_VEC_P(0);
	Vec		   *b = PG_GETARG_VEC_P(1);
	double		sum;

	vec_check_same_dim(a->dim, b->dim);
	sum = kernel(a->x, b->x, a->dim);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return sum;
}

static double
cosine_pair(FunctionCallInfo fcinfo, CosineKernel kernel)
{
	Vec		   *a = PG_GETARG_VEC_P(0);
	Vec		   *b = PG_GETARG_VEC_P(1);
	double		sums[3];

	vec_check_same_dim(a->dim, b->dim);
	kernel(a->x, b->x, a->dim, sums);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return vec_finish_cosine(sums[0], sums[1], sums[2]);
}

/* a function that no index answers */
#define VEC_SUM(name, value) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		PG_RETURN_FLOAT8(value); \
	}

/* the function of an operator, whose value a scan may have left */
#define VEC_DISTANCE(name, value) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		double		distance; \
		\
		if (!distance_memo_find(fcinfo, name, &distance)) \
			distance = value; \
		PG_RETURN_FLOAT8(distance); \
	}

#define VEC_DISTANCES(type, element) \
	VEC_SUM(type##_l2_squared_distance, \
			sum_pair(fcinfo, vk_kernels->pair_l2[element])) \
	VEC_SUM(type##_inner_product, \
			vec_finish_dot(sum_pair(fcinfo, vk_kernels->pair_dot[element]))) \
	VEC_DISTANCE(type##_l2_distance, \
				 vec_finish_l2(sum_pair(fcinfo, vk_kernels->pair_l2[element]))) \
	VEC_DISTANCE(type##_negative_inner_product, \
				 vec_finish_ip(sum_pair(fcinfo, vk_kernels->pair_dot[element]))) \
	VEC_DISTANCE(type##_cosine_distance, \
				 cosine_pair(fcinfo, vk_kernels->pair_cosine[element])) \
	VEC_DISTANCE(type##_l1_distance, \
				 vec_finish_l1(sum_pair(fcinfo, vk_kernels->pair_l1[element])))

VEC_TYPES(VEC_DISTANCES)
