/*-------------------------------------------------------------------------
 *
 * vec_cast.c
 *	  Casts of the vector types: to themselves, to each other, from and to
 *	  arrays.
 *
 * IDENTIFICATION
 *	  src/types/vec_cast.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "types/vec.h"

/*
 * vec_enforce_typmod -- the cast of a type to itself: only the number of
 * dimensions is checked
 */
static Datum
vec_enforce_typmod(FunctionCallInfo fcinfo, const VecType *type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	int32		typmod = PG_GETARG_INT32(1);

	vec_check_typmod(typmod, vec->dim);

	PG_RETURN_VEC_P(vec);
}

static Datum
convert(FunctionCallInfo fcinfo, const VecType *from, const VecType *to)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	int32		typmod = PG_GETARG_INT32(1);
	Vec		   *result;

	vec_check_typmod(typmod, vec->dim);
	result = vec_alloc(to, vec->dim);
	vec_put_all(to, result, vec_all_floats(from, vec));

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_VEC_P(result);
}

/* from an array of any type that vec_array.c knows */
static Datum
from_array(FunctionCallInfo fcinfo, const VecType *type)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int32		typmod = PG_GETARG_INT32(1);
	Vec		   *vec = vec_alloc(type, vec_array_check(type, array, typmod));
	float	   *values = vec_all_room(type, vec);

	vec_array_read(array, values);
	vec_put_all(type, vec, values);

	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_VEC_P(vec);
}

static Datum
to_array(FunctionCallInfo fcinfo, const VecType *type, Oid element_type)
{
	Vec		   *vec = PG_GETARG_VEC_P(0);
	ArrayType  *array = vec_array_write(element_type, vec_all_floats(type, vec),
										vec->dim);

	PG_FREE_IF_COPY(vec, 0);
	PG_RETURN_ARRAYTYPE_P(array);
}

#define VEC_CAST(name, call) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return call; \
	}

#define VEC_ARRAY_CASTS(type, element) \
	VEC_FUNCTION(type, element, enforce_typmod) \
	VEC_CAST(array_to_##type, from_array(fcinfo, &vec_types[element])) \
	VEC_CAST(type##_to_int4, to_array(fcinfo, &vec_types[element], INT4OID)) \
	VEC_CAST(type##_to_float4, to_array(fcinfo, &vec_types[element], FLOAT4OID)) \
	VEC_CAST(type##_to_float8, to_array(fcinfo, &vec_types[element], FLOAT8OID)) \
	VEC_CAST(type##_to_numeric, to_array(fcinfo, &vec_types[element], NUMERICOID))

VEC_TYPES(VEC_ARRAY_CASTS)

/* both ways between two types */
#define VEC_CASTS(a, element_a, b, element_b) \
	VEC_CAST(a##_to_##b, convert(fcinfo, &vec_types[element_a], &vec_types[element_b])) \
	VEC_CAST(b##_to_##a, convert(fcinfo, &vec_types[element_b], &vec_types[element_a]))

VEC_CASTS(f32vec, VK_F32, f16vec, VK_F16)
VEC_CASTS(f32vec, VK_F32, bf16vec, VK_BF16)
VEC_CASTS(f32vec, VK_F32, i8vec, VK_I8)
VEC_CASTS(f16vec, VK_F16, bf16vec, VK_BF16)
VEC_CASTS(f16vec, VK_F16, i8vec, VK_I8)
VEC_CASTS(bf16vec, VK_BF16, i8vec, VK_I8)
