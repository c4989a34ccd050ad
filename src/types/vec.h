/*-------------------------------------------------------------------------
 *
 * vec.h
 *	  What the files of the vector types share: values, checks, text, arrays.
 *
 * IDENTIFICATION
 *	  src/types/vec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VEC_H
#define VEC_H

#include <math.h>

#include "access/attnum.h"
#include "types/vec_type.h"
#include "utils/array.h"

#define DatumGetVecP(datum)		((Vec *) PG_DETOAST_DATUM(datum))
#define PG_GETARG_VEC_P(n)		DatumGetVecP(PG_GETARG_DATUM(n))
#define PG_RETURN_VEC_P(vec)	PG_RETURN_POINTER(vec)

/*
 * The SQL-callable function <type>_<name>, whose body is vec_<name>, a function
 * of the call and the type.
 */
#define VEC_FUNCTION(type, element, name) \
	PG_FUNCTION_INFO_V1(type##_##name); \
	Datum \
	type##_##name(PG_FUNCTION_ARGS) \
	{ \
		return vec_##name(fcinfo, &vec_types[element]); \
	}

/* vec_check.c */
extern void vec_check_dim(const VecType *type, int dim);
extern void vec_check_typmod(int32 typmod, int dim);
extern void vec_check_same_dim(int dim_a, int dim_b);
extern void vec_check_elements(const VecType *type, const Vec *vec);
extern void vec_report_not_finite(const VecType *type, float value);
extern void vec_report_range(const VecType *type, float value);

/* vec_text.c */
extern Vec *vec_text_parse(const VecType *type, const char *text);
extern char *vec_text_format(const float *values, int dim);

/* vec_array.c */
extern int	vec_array_check(const VecType *type, ArrayType *array, int32 typmod);
extern void vec_array_read(ArrayType *array, float *values);
extern ArrayType *vec_array_write(Oid element_type, const float *values,
								  int dim);
extern ArrayType *vec_array_alloc(Oid element_type, Size element_size,
								  int nitems);

/* vec_cost.c: bytes of a column's vectors that are stored out of line (0: they
 * are in the row), and what fetching that many costs, with what a page costs */
extern double vec_toasted_bytes(Oid table, AttrNumber column, double bytes);
extern double vec_detoast_cost(double bytes, double page_cost);
/* and what a distance costs beside that */
extern double vec_distance_cost(int dim);

/*
 * Elements of a stored vector are finite: whatever makes one from outside
 * values passes each of them through here.
 */
static inline float
vec_check_element(const VecType *type, float value)
{
	if (unlikely(!isfinite(value)))
		vec_report_not_finite(type, value);
	return value;
}

/* does a float round to an element?  NaN and infinity do not */
static inline bool
vec_in_range(const VecType *type, float value)
{
	return value >= type->least && value <= type->greatest;
}

/* bytes of a vector */
static inline Size
vec_size(const VecType *type, int dim)
{
	return offsetof(Vec, x) + (Size) dim * vk_element_size[type->element];
}

/*
 * vec_alloc -- a palloc'd zero vector; dim is checked by the caller
 */
static inline Vec *
vec_alloc(const VecType *type, int dim)
{
	Size		size = vec_size(type, dim);
	Vec		   *vec = (Vec *) palloc0(size);

	Assert(dim >= 1 && dim <= VK_MAX_DIM);
	SET_VARSIZE(vec, size);
	vec->dim = (int16) dim;

	return vec;
}

/* where element i is; that of element dim is the end */
static inline char *
vec_at(const VecType *type, const Vec *vec, int i)
{
	return (char *) vec->x + i * vk_element_size[type->element];
}

/*
 * Loops over elements take VEC_BLOCK of them at a time, as floats: those of
 * f32vec where they are, others in a buffer.
 */
#define VEC_BLOCK	256

/* n elements from first on, to be read */
static inline const float *
vec_floats(const VecType *type, const Vec *vec, int first, int n, float *buffer)
{
	char	   *elements = vec_at(type, vec, first);

	if (type->element == VK_F32)
		return (const float *) elements;
	type->widen(elements, n, buffer);
	return buffer;
}

/* all elements, palloc'd if need be */
static inline const float *
vec_all_floats(const VecType *type, const Vec *vec)
{
	return vec_floats(type, vec, 0, vec->dim,
					  type->element == VK_F32 ? NULL :
					  palloc(vec->dim * sizeof(float)));
}

/* where to write the floats of n elements, which vec_put makes elements of */
static inline float *
vec_room(const VecType *type, Vec *vec, int first, float *buffer)
{
	return type->element == VK_F32 ? (float *) vec_at(type, vec, first) : buffer;
}

/* each of values is in range */
static inline void
vec_put(const VecType *type, Vec *vec, int first, int n, const float *values)
{
	char	   *elements = vec_at(type, vec, first);

	if ((const char *) values != elements)
		type->narrow(values, n, elements);
}

/* as vec_room for all elements, palloc'd if need be */
static inline float *
vec_all_room(const VecType *type, Vec *vec)
{
	return vec_room(type, vec, 0,
					type->element == VK_F32 ? NULL :
					palloc(vec->dim * sizeof(float)));
}

/*
 * vec_put_all -- any floats, as the elements of vec, with an error where one is
 * not finite or out of range
 */
static inline void
vec_put_all(const VecType *type, Vec *vec, const float *values)
{
	for (int i = 0; i < vec->dim; i++)
	{
		if (unlikely(!vec_in_range(type, values[i])))
			vec_report_range(type, vec_check_element(type, values[i]));
	}
	vec_put(type, vec, 0, vec->dim, values);
}

#endif							/* VEC_H */
