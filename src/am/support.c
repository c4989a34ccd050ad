/*-------------------------------------------------------------------------
 *
 * support.c
 *	  What operator classes tell the access methods: one VkSupport each.
 *
 * NOTES
 *	  Distances go through the functions that the operators call themselves,
 *	  so an index and a sequential scan give the same bits.
 *
 * IDENTIFICATION
 *	  src/am/support.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"

#include "utils/float.h"

#include "am/am.h"
#include "types/f32vec.h"

PG_FUNCTION_INFO_V1(f32vec_l2_support);
PG_FUNCTION_INFO_V1(f32vec_ip_support);
PG_FUNCTION_INFO_V1(f32vec_cosine_support);
PG_FUNCTION_INFO_V1(f32vec_l1_support);

static const float *
f32vec_values(Datum value, int *dim)
{
	F32Vec	   *vec = (F32Vec *) DatumGetPointer(value);

	*dim = vec->dim;
	return vec->x;
}

static double
f32vec_distance_l2(const float *a, const float *b, int dim)
{
	return f32vec_finish_l2(vk_kernels->pair_l2[VK_F32] (a, b, dim));
}

static double
f32vec_distance_ip(const float *a, const float *b, int dim)
{
	return f32vec_finish_ip(vk_kernels->pair_dot[VK_F32] (a, b, dim));
}

static double
f32vec_distance_cosine(const float *a, const float *b, int dim)
{
	double		sums[3];

	vk_kernels->pair_cosine[VK_F32] (a, b, dim, sums);
	return f32vec_finish_cosine(sums[0], sums[1], sums[2]);
}

static double
f32vec_distance_l1(const float *a, const float *b, int dim)
{
	return f32vec_finish_l1(vk_kernels->pair_l1[VK_F32] (a, b, dim));
}

/* a radius may be negative, which no distance is within */
static double
score_square(double distance)
{
	return distance * fabs(distance);
}

static double
score_same(double distance)
{
	return distance;
}

/* |a - b|^2 of normalised vectors is twice their cosine distance */
static double
score_twice(double distance)
{
	return 2.0 * distance;
}

static const VkSupport f32vec_l2 = {
	.element = VK_ELEMENT_F32,
	.metric = VK_METRIC_L2,
	.max_dim = VK_MAX_DIM,
	.values = f32vec_values,
	.operator = f32vec_l2_distance,
	.distance = f32vec_distance_l2,
	.score = score_square
};

static const VkSupport f32vec_ip = {
	.element = VK_ELEMENT_F32,
	.metric = VK_METRIC_IP,
	.max_dim = VK_MAX_DIM,
	.values = f32vec_values,
	.operator = f32vec_negative_inner_product,
	.distance = f32vec_distance_ip,
	.score = score_same
};

static const VkSupport f32vec_cosine = {
	.element = VK_ELEMENT_F32,
	.metric = VK_METRIC_COSINE,
	.max_dim = VK_MAX_DIM,
	.values = f32vec_values,
	.operator = f32vec_cosine_distance,
	.distance = f32vec_distance_cosine,
	.score = score_twice
};

static const VkSupport f32vec_l1 = {
	.element = VK_ELEMENT_F32,
	.metric = VK_METRIC_L1,
	.max_dim = VK_MAX_DIM,
	.values = f32vec_values,
	.operator = f32vec_l1_distance,
	.distance = f32vec_distance_l1,
	.score = score_same
};

Datum
f32vec_l2_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&f32vec_l2);
}

Datum
f32vec_ip_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&f32vec_ip);
}

Datum
f32vec_cosine_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&f32vec_cosine);
}

Datum
f32vec_l1_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(&f32vec_l1);
}

/*
 * vk_support -- the VkSupport of an index's operator class
 *
 * It is static data: valid for the life of the process.
 */
const VkSupport *
vk_support(Relation index)
{
	FmgrInfo   *function = index_getprocinfo(index, 1, VK_PROC_SUPPORT);

	return (const VkSupport *)
		DatumGetPointer(FunctionCall1(function, PointerGetDatum(NULL)));
}
