/*-------------------------------------------------------------------------
 *
 * vec.h
 *	  What all vector types share: limits, checks, text form, arrays.
 *
 * NOTES
 *	  These helpers work on plain float arrays and take the SQL name of the
 *	  type for their messages, so that another element type brings its own
 *	  storage only.
 *
 * IDENTIFICATION
 *	  src/types/vec.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VEC_H
#define VEC_H

#include <math.h>

#include "kernels/kernels.h"
#include "utils/array.h"

/* vec_check.c */
extern void vec_check_dim(const char *type_name, int dim);
extern void vec_check_typmod(int32 typmod, int dim);
extern void vec_check_same_dim(int dim_a, int dim_b);
extern void vec_report_not_finite(const char *type_name, float value);
extern int32 vec_typmod_in(const char *type_name, ArrayType *modifiers);

/* vec_text.c */
extern int	vec_text_max_dim(const char *text);
extern int	vec_text_parse(const char *type_name, const char *text,
						   float *values);
extern char *vec_text_format(const float *values, int dim);

/* vec_array.c */
extern int	vec_array_check(const char *type_name, ArrayType *array,
							int32 typmod);
extern void vec_array_read(const char *type_name, ArrayType *array,
						   float *values);
extern ArrayType *vec_array_write(Oid element_type, const float *values,
								  int dim);
extern ArrayType *vec_array_alloc(Oid element_type, Size element_size,
								  int nitems);

/*
 * Elements of a stored vector are finite: whatever makes one from outside
 * values passes each of them through here.
 */
static inline float
vec_check_element(const char *type_name, float value)
{
	if (unlikely(!isfinite(value)))
		vec_report_not_finite(type_name, value);
	return value;
}

#endif							/* VEC_H */
