/*-------------------------------------------------------------------------
 *
 * vec_array.c
 *	  SQL arrays to vector elements and back, one table row an array type.
 *
 * IDENTIFICATION
 *	  src/types/vec_array.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "types/vec.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* an array type that vectors are cast from and to */
typedef struct VecArrayType
{
	Oid			element_type;
	float		(*to_float) (Datum element);
	Datum		(*from_float) (float value);
} VecArrayType;

static float
int4_to_float(Datum element)
{
	return (float) DatumGetInt32(element);
}

/* rounds to even and checks the range, as the cast of real does */
static Datum
float_to_int4(float value)
{
	return DirectFunctionCall1(ftoi4, Float4GetDatum(value));
}

static float
float4_to_float(Datum element)
{
	return DatumGetFloat4(element);
}

static Datum
float_to_float4(float value)
{
	return Float4GetDatum(value);
}

/* a value beyond float becomes infinite, which no vector takes */
static float
float8_to_float(Datum element)
{
	return (float) DatumGetFloat8(element);
}

static Datum
float_to_float8(float value)
{
	return Float8GetDatum((float8) value);
}

static float
numeric_to_float(Datum element)
{
	return DatumGetFloat4(DirectFunctionCall1(numeric_float4, element));
}

static Datum
float_to_numeric(float value)
{
	return DirectFunctionCall1(float4_numeric, Float4GetDatum(value));
}

static const VecArrayType vec_array_types[] = {
	{INT4OID, int4_to_float, float_to_int4},
	{FLOAT4OID, float4_to_float, float_to_float4},
	{FLOAT8OID, float8_to_float, float_to_float8},
	{NUMERICOID, numeric_to_float, float_to_numeric},
};

static const VecArrayType *
lookup_array_type(Oid element_type)
{
	for (size_t i = 0; i < lengthof(vec_array_types); i++)
	{
		if (vec_array_types[i].element_type == element_type)
			return &vec_array_types[i];
	}

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("unsupported array type")));
}

/*
 * vec_array_check -- is this array a vector of the wanted dimensions?
 *
 * Returns the number of dimensions; elements are not looked at.
 */
int
vec_array_check(const VecType *type, ArrayType *array, int32 typmod)
{
	int			dim;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));

	dim = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	vec_check_dim(type, dim);
	vec_check_typmod(typmod, dim);

	return dim;
}

/*
 * vec_array_read -- convert the elements of an array that passed
 * vec_array_check into values, which may be any floats
 */
void
vec_array_read(ArrayType *array, float *values)
{
	const VecArrayType *type = lookup_array_type(ARR_ELEMTYPE(array));
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	int			nelements;

	get_typlenbyvalalign(type->element_type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type->element_type, typlen, typbyval, typalign,
					  &elements, NULL, &nelements);

	for (int i = 0; i < nelements; i++)
		values[i] = type->to_float(elements[i]);

	/* elements passed by reference point into the array */
	pfree(elements);
}

/*
 * vec_array_write -- a palloc'd one-dimensional array of the given type
 */
ArrayType *
vec_array_write(Oid element_type, const float *values, int dim)
{
	const VecArrayType *type = lookup_array_type(element_type);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements = palloc((Size) dim * sizeof(Datum));
	ArrayType  *array;

	for (int i = 0; i < dim; i++)
		elements[i] = type->from_float(values[i]);

	get_typlenbyvalalign(element_type, &typlen, &typbyval, &typalign);
	array = construct_array(elements, dim, element_type, typlen, typbyval,
							typalign);
	pfree(elements);

	return array;
}

/*
 * vec_array_alloc -- a zeroed one-dimensional array of fixed-width elements,
 * for callers that fill ARR_DATA_PTR themselves
 */
ArrayType *
vec_array_alloc(Oid element_type, Size element_size, int nitems)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + (Size) nitems * element_size;
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = element_type;
	ARR_DIMS(array)[0] = nitems;
	ARR_LBOUND(array)[0] = 1;

	return array;
}
