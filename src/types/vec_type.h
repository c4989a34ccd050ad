/*-------------------------------------------------------------------------
 *
 * vec_type.h
 *	  The vector types: one row of a table each, and the layout they share.
 *
 * NOTES
 *	  The layout of f32vec is that of pgvector's vector, that of f16vec its
 *	  halfvec's, byte for byte.
 *
 *	  OFFSET	SIZE	DESCRIPTION
 *		   0	   4	varlena header
 *		   4	   2	number of dimensions, 1 to VK_MAX_DIM
 *		   6	   2	reserved, zero
 *		   8	 s*n	elements of s bytes (vk_element_size), finite
 *
 *	  Every function of a type works on floats, which hold the elements of each
 *	  of them exactly.  A row says how elements are made of floats and back.
 *
 * IDENTIFICATION
 *	  src/types/vec_type.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VEC_TYPE_H
#define VEC_TYPE_H

#include "kernels/kernels.h"

typedef struct Vec
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		dim;
	int16		unused;
	char		x[FLEXIBLE_ARRAY_MEMBER];
} Vec;

StaticAssertDecl(offsetof(Vec, x) == 8, "vectors must match pgvector's");

/* what is said of two vectors that do not go together */
#define VEC_DIMS_MISMATCH	"different vector dimensions %d and %d"

typedef struct VecType
{
	const char *name;			/* in SQL, for messages */
	VkElement	element;
	VkElement	wide;			/* of sums, averages, normalized vectors */
	float		least;			/* floats from least to greatest round to elements */
	float		greatest;
	float		vanishing;		/* greatest magnitude that rounds to zero */
	/* the number that a text begins with, as strtof reads it */
	float		(*parse) (const char *text, char **end);
	/* n elements as floats, which is exact */
	void		(*widen) (const void *elements, int n, float *out);
	/* n floats, each from least to greatest, to the nearest elements, ties to even */
	void		(*narrow) (const float *values, int n, void *elements);
	/* elements to network byte order, or back, in place */
	void		(*swap) (void *elements, int n);
} VecType;

extern const VecType vec_types[VK_ELEMENTS];

/*
 * Whatever exists once for each type is made by a macro that takes the name of
 * the type and its element: VEC_TYPES(MACRO).
 */
#define VEC_TYPES(macro) \
	macro(f32vec, VK_F32) \
	macro(f16vec, VK_F16) \
	macro(bf16vec, VK_BF16) \
	macro(i8vec, VK_I8)

#endif							/* VEC_TYPE_H */
