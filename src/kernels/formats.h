/*-------------------------------------------------------------------------
 *
 * formats.h
 *	  What kernels work on: elements, codes, lines, annotations, results.
 *
 * NOTES
 *	  Elements.  A vector of the SQL types is contiguous, little endian, with no
 *	  padding: float, IEEE half, bfloat16 (the upper half of a float) or int8.
 *	  Half and bfloat16 widen to float exactly, denormals included.
 *
 *	  Codes.  A scan code stores b bits a dimension as an unsigned number u;
 *	  the value it stands for is the odd integer c = 2u - (2^b - 1) for b <= 4
 *	  and c = u - 128 (1 <= u <= 255) for b = 8.  Kernels return sums over u;
 *	  the caller corrects with one number a query (VkBoundQuery).
 *
 *	  Lines.  A block holds 16 rows (lanes) as lines of 64 bytes, 4 bytes a
 *	  lane.  Field k (of 8/b) of byte j of a lane in line g is dimension
 *	  (32/b) g + 4k + j, field 0 in the least significant bits.  16- and 32-bit
 *	  codes (half, bfloat16, float) hold 2 and 1 dimensions a lane and line.
 *	  Dimensions at or past dim hold u = 0 (or +0.0) and meet a query whose
 *	  padding is zero.  Lines of whole bit vectors hold bytes 4g .. 4g + 3 of
 *	  the bit string in line g, zero past its end; their bits have no order.
 *
 * IDENTIFICATION
 *	  src/kernels/formats.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_FORMATS_H
#define VK_FORMATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VK_LANES		16		/* rows a block */
#define VK_LINE_SIZE	64		/* bytes a line: VK_LANES x 4 */
#define VK_MAX_DIM		16000
#define VK_MAX_BITS		64000	/* dimensions of a bit vector in lines */

/* elements of vectors: the index of the arrays of pair and MaxSim kernels */
typedef enum VkElement
{
	VK_F32,
	VK_F16,
	VK_BF16,
	VK_I8						/* -128 .. 127 */
} VkElement;

#define VK_ELEMENTS		4

extern const int vk_element_size[VK_ELEMENTS];	/* 4 2 2 1 */

/* code formats, in the order of every table indexed by format; the numbers
 * are stored in indexes */
typedef enum VkFormat
{
	VK_FORMAT_B1,				/* 1 bit a dimension */
	VK_FORMAT_B2,
	VK_FORMAT_B4,
	VK_FORMAT_B8,
	VK_FORMAT_F16,				/* IEEE half */
	VK_FORMAT_F32,
	VK_FORMAT_BF16
} VkFormat;

#define VK_INT_FORMATS	4		/* B1 .. B8: integer codes, int8 query */
#define VK_FLOAT_FORMATS 3		/* F16, F32, BF16; index format - VK_FORMAT_F16 */
#define VK_FORMATS		7

/* bits a dimension, and dimensions a lane of one line holds, by VkFormat */
extern const int vk_format_bits[VK_FORMATS];	/* 1 2 4 8 16 32 16 */
extern const int vk_format_line_dims[VK_FORMATS];	/* 32 16 8 4 2 1 2 */

/* what a stored number u of an integer format stands for is mult * u - offset */
static inline int
vk_format_mult(VkFormat format)
{
	return format == VK_FORMAT_B8 ? 1 : 2;
}

static inline int
vk_format_offset(VkFormat format)
{
	return format == VK_FORMAT_B8 ? 128 : (1 << vk_format_bits[format]) - 1;
}

static inline int
vk_format_lines(VkFormat format, int dim)
{
	return (dim + vk_format_line_dims[format] - 1) / vk_format_line_dims[format];
}

/*
 * Bytes that a packed form takes at most, on any ISA.  All packed buffers are
 * 64-byte aligned; kernels of the ISA that packed them are the only readers.
 */
#define VK_ROUND_UP(n, to)	(((size_t) (n) + (to) - 1) / (to) * (to))

/* pack_query, pack_row: the 1-bit form may hold four 64-byte lookup tables a
 * line of 32 dimensions, the others hold the int8 query padded with zeros */
#define VK_PACKED_QUERY_SIZE(dim)	((((size_t) (dim) + 31) / 32) * 256 + 256)

/* pack_tile: the query and as much again for sums of its parts; at 1 bit
 * lookup tables */
#define VK_PACKED_TILE_SIZE(format, m, dim) \
	(VK_ROUND_UP(m, VK_LANES) * ((format) == VK_FORMAT_B1 ? \
								 VK_PACKED_QUERY_SIZE(dim) : \
								 2 * VK_ROUND_UP(dim, 64) + 64))

/* pack_dense: element_size 4 or 2 */
#define VK_PACKED_DENSE_SIZE(element_size, m, dim) \
	(VK_ROUND_UP(m, VK_LANES) * VK_ROUND_UP(dim, 64) * (element_size))

/*
 * Consecutive lines of one block, anywhere in memory: on a page, 127 lines at
 * most.  The blocks of a tile are given as runs, those of block 0 first; the
 * runs of each block together have exactly the number of lines asked for, so
 * a run never belongs to two blocks, and every run has at least one line.
 * Lines of pages are 64-byte aligned; kernels do not depend on it.
 */
typedef struct VkLineRun
{
	const uint8_t *code;
	int			lines;
} VkLineRun;

/* first_line and, but for the last part, lines of a tile that is computed in
 * parts cover a multiple of this many dimensions (2, 4, 8, 16 lines) */
#define VK_TILE_STEP	64

/*
 * A query against one centre as the screen sees it (kernels.h), 32 bytes; the
 * threshold alone changes while a search goes on.
 */
typedef struct VkScreenQuery
{
	int32_t		dot_mult;		/* 1 or 2, of VkBoundQuery */
	int32_t		dot_offset;
	float		scale;			/* weight_dot * query_scale * code_unit */
	float		base;
	float		weight_norm2;
	float		weight_error;
	float		weight_norm;	/* above 0 */
	float		threshold;		/* with the operator's rounding, gamma */
} VkScreenQuery;

/*
 * What the bound kernels need to know of a query against one centre.  All
 * floats are already rounded towards the safe side by quant/bounds.c, which
 * documents the formulas; score is the squared distance for L2 and cosine
 * (of normalised vectors) and the negative inner product for IP.
 *
 *	 I		  = dot_mult * sum(q u) - dot_offset		(exact integer)
 *	 P		  = a * query_scale * I						(a: annotation)
 *	 score	  = base + weight_norm * N - weight_dot * P
 *
 * L1 is another sum, and uses base, query_scale (the step), query_norm2 (square
 * of the query's error), query_error (its L1 norm), gamma and epsilon only:
 *
 *	 score	  = base + query_scale * sum |q - u|
 */
typedef struct VkBoundQuery
{
	int32_t		dot_mult;		/* 2 for 1..4 bits, 1 for 8 bits; 0: float format */
	int32_t		dot_offset;		/* (2^b - 1) * sum(q), or 128 * sum(q) */
	float		query_scale;	/* s of q' = s qc; 1 for float formats */
	float		code_unit;		/* a = stored a * code_unit * |x~| */
	float		base;			/* Q2, or -<q,m> for IP */
	float		weight_norm;	/* 1, or 0 for IP */
	float		weight_dot;		/* 2, or 1 for IP */
	float		query_norm2;	/* Q2 rounded up */
	float		code_norm2;		/* qp2 = |q'|^2 (float: |q~|^2), rounded up */
	float		inv_code_norm2; /* 1 / qp2 rounded down, 0 where qp2 is 0 */
	float		query_error;	/* F: >= |p - q'| + rho (|q~| + M) */
	float		row_error;		/* rho-part of E is row_error * (|x~| + M) */
	float		center_norm;	/* M = |m - mean|; 0 for vkflat */
	float		round_factor;	/* 3 rho (|q~| + M) [+ (d + 2) 2^-24 |q'|: float
								 * formats], times (|x~| + M) */
	float		slack_norm;		/* relative rounding slack times N */
	float		slack_base;		/* absolute rounding slack, with M^2, Q2, gamma */
	float		gamma;			/* operator's rounding, relative to the score;
								 * 0 where it is in slack (IP, cosine) */
	float		inv_dim_1;		/* 1 / max(1, d - 1), statistical reading */
	float		epsilon;		/* standard deviations, statistical reading */
	float		center_weight;	/* M where the query's code is against the mean, so that
								 * P is less <m, x'>; else 0; statistical reading */

	/* the same numbers as the kernels want them: vk_bound_query_finish */
	float		code_norm;		/* |q'|, rounded up */
	float		inv_code_norm;	/* 1 / |q'|, rounded down */
	VkScreenQuery screen;		/* of proven rows; threshold +infinity */
} VkBoundQuery;

/* fill the fields after epsilon from those before; once a query and centre */
extern void vk_bound_query_finish(VkBoundQuery *query);

/* Annotation of a vkflat block: 128 bytes, two lines */
typedef struct VkFlatAnnotation
{
	float		norm2[VK_LANES];	/* N = |x~|^2; L1: |y - x'|_1, rounded up,
									 * infinity: no bound; the rest is zero */
	uint16_t	a[VK_LANES];	/* half: a / (code_unit |x~|) */
	uint16_t	error[VK_LANES];	/* half: |y - x'| / |x~|, rounded up */
} VkFlatAnnotation;

/*
 * Annotation of a vkivf block: 128 bytes, two lines.  L1: norm is |y - x'|_1 and
 * a is |y - x'|_2, both over the block's scale and rounded up, infinity: no bound;
 * the others are zero.
 */
typedef struct VkListAnnotation
{
	uint16_t	norm[VK_LANES]; /* half: |r| / block scale */
	uint16_t	a[VK_LANES];	/* half: a / (code_unit |r|) */
	uint16_t	tangent[VK_LANES];	/* t = |y - x'| / |r|, u16 / 65535, rounded up;
									 * 65535: no bound, always a candidate */
	uint16_t	center[VK_LANES];	/* half: <m, x'> / (M |r|), M = |m| */
} VkListAnnotation;

/* scores of one block's lanes */
typedef struct VkScores
{
	float		lower[VK_LANES];
	float		upper[VK_LANES];
} VkScores;

/*
 * Dots of one block, as int32 or (float formats) as float.
 */
typedef union VkDots
{
	int32_t		i[VK_LANES];
	float		f[VK_LANES];
} VkDots;

/* A query's quantisation to int8 (vk_kernels->quantize_i8) */
typedef struct VkQuantized
{
	float		scale;			/* s = <p,qc> / <qc,qc>, 0 for a zero vector */
	int32_t		sum;			/* sum of qc */
	int64_t		norm2;			/* <qc,qc> */
	double		error2;			/* |p - s qc|^2 and at most 2^-39 |p|^2 more */
	double		vector_norm2;	/* |p|^2 */
} VkQuantized;

/* One candidate code of a row (vk_kernels->code_trial) */
typedef struct VkTrial
{
	double		dot;			/* <y,c> */
	int64_t		norm2;			/* <c,c> */
} VkTrial;

/*
 * One block of rows as the screen sees them: the screen_* kernels fill them,
 * every number rounded towards the safe side.  A lane that has no bound has a,
 * a_error, norm2 and error 0 and norm +infinity.
 */
typedef struct VkScreenRows
{
	float		norm2[VK_LANES];	/* N less twice its error */
	float		a[VK_LANES];	/* a |x~|, as P = code_unit a |x~| s I */
	float		a_error[VK_LANES];	/* its error, and that of the product */
	float		error[VK_LANES];	/* |y - x'|; estimate: |x~| tangent */
	float		norm[VK_LANES]; /* |x~|; estimate: |x~| / cosine */
} VkScreenRows;

/*
 * Sixteen blocks as screen_blocks sees them.  With gap = base - threshold the
 * screen excludes a lane whose
 *
 *	 t < (gap + weight_norm2 * norm2 - weight_error * error - weight_norm * norm)
 *		 / (a + a_error)
 *
 * unless t is negative and that is too.  Of all lanes of a block, (gap +
 * weight_norm2 * norm2) / (a + a_error) is a concave function of gap: it is not
 * below three lines, of which the first holds while gap is negative, the second
 * up to weight_norm2 * pivot, the third beyond.  Places past the last block, and
 * blocks with a lane that has no bound, have start -infinity.
 */
#define VK_SCREEN_LINES		3

typedef struct VkScreenBlocks
{
	float		start[VK_SCREEN_LINES][VK_LANES];	/* times weight_norm2 */
	float		slope[VK_SCREEN_LINES][VK_LANES];	/* times gap */
	float		error[VK_LANES];	/* greatest error / (a + a_error) */
	float		norm[VK_LANES]; /* greatest norm / (a + a_error) */
	float		pivot;
} VkScreenBlocks;

#endif							/* VK_FORMATS_H */
