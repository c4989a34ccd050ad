/*-------------------------------------------------------------------------
 *
 * kernels.h
 *	  Distance kernels: one typed table, filled for the CPU at run time.
 *
 * NOTES
 *	  Nothing here includes PostgreSQL.  A kernel is a leaf: it works on the
 *	  caller's buffers, allocates nothing, raises nothing, checks no interrupt,
 *	  accepts any alignment and any length (tails included).
 *
 *	  Formats.  A scan code stores b bits a dimension as an unsigned number u;
 *	  the value it stands for is the odd integer c = 2u - (2^b - 1) for b <= 4
 *	  and c = u - 128 (1 <= u <= 255) for b = 8.  Kernels return sums over u;
 *	  the caller corrects with one number a query (vk_code_dot in quant/).
 *
 *	  Lines.  A block holds 16 rows (lanes) as lines of 64 bytes, 4 bytes a
 *	  lane.  Field k (of 8/b) of byte j of a lane in line g is dimension
 *	  (32/b) g + 4k + j, field 0 in the least significant bits.  16- and 32-bit
 *	  codes (IEEE half, float) hold 2 and 1 dimensions a lane and line, little
 *	  endian.  Dimensions at or past dim hold u = 0 (or +0.0) and meet a query
 *	  whose padding is zero.
 *
 *	  Canonical sum.  Where bits must not depend on the ISA, element i goes to
 *	  lane i mod 32 by fused multiply-add (accumulators start at +0), then
 *	  lanes are added j + (j+16), +8, +4, +2, +1.  Double sums (f64) use the
 *	  same 32 lanes and the same tree; products of two floats are exact there.
 *
 * IDENTIFICATION
 *	  src/kernels/kernels.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_KERNELS_H
#define VK_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VK_LANES		16		/* rows a block */
#define VK_LINE_SIZE	64		/* bytes a line: VK_LANES x 4 */
#define VK_MAX_DIM		16000

/* scan-code formats, in the order of every table indexed by format */
typedef enum VkFormat
{
	VK_FORMAT_B1,				/* 1 bit a dimension */
	VK_FORMAT_B2,
	VK_FORMAT_B4,
	VK_FORMAT_B8,
	VK_FORMAT_F16,				/* IEEE half */
	VK_FORMAT_F32
} VkFormat;

#define VK_INT_FORMATS	4		/* B1 .. B8: integer codes, int8 query */
#define VK_FORMATS		6

/* bits a dimension, and dimensions a lane of one line holds, by VkFormat */
extern const int vk_format_bits[VK_FORMATS];	/* 1 2 4 8 16 32 */
extern const int vk_format_line_dims[VK_FORMATS];	/* 32 16 8 4 2 1 */

static inline int
vk_format_lines(VkFormat format, int dim)
{
	return (dim + vk_format_line_dims[format] - 1) / vk_format_line_dims[format];
}

/*
 * Bytes a packed query needs at most, for any integer format and ISA: the
 * 1-bit form may hold four 64-byte lookup tables a line of 32 dimensions, the
 * others hold the int8 query padded with zeros.  Buffers are 64-byte aligned.
 */
#define VK_PACKED_QUERY_SIZE(dim)	((((size_t) (dim) + 31) / 32) * 256 + 256)

/*
 * What the bound kernels need to know of a query against one centre.  All
 * floats are already rounded towards the safe side by quant/bounds.c, which
 * documents the formulas; score is the squared distance for L2 and cosine
 * (of normalised vectors) and the negative inner product for IP.
 *
 *	 I		  = dot_mult * sum(q u) - dot_offset		(exact integer)
 *	 P		  = a * query_scale * I						(a: annotation)
 *	 score	  = base + weight_norm * N - weight_dot * P
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

	/* the same numbers as the kernels want them: vk_bound_query_finish */
	float		code_norm;		/* |q'|, rounded up */
	float		inv_code_norm;	/* 1 / |q'|, rounded down */
	float		screen_base;	/* terms of the screen (template_bound.h) */
	float		screen_dot;
	float		screen_norm;
	float		screen_norm2;
	float		screen_error;
} VkBoundQuery;

/* fill the fields after epsilon from those before; once a query and centre */
extern void vk_bound_query_finish(VkBoundQuery *query);

/* Annotation of a vkflat block: 128 bytes, two lines */
typedef struct VkFlatAnnotation
{
	float		norm2[VK_LANES];	/* N = |x~|^2 */
	uint16_t	a[VK_LANES];	/* half: a / (code_unit |x~|) */
	uint16_t	error[VK_LANES];	/* half: |y - x'| / |x~|, rounded up */
} VkFlatAnnotation;

/* Annotation of a vkivf block: 96 bytes */
typedef struct VkListAnnotation
{
	uint16_t	norm[VK_LANES]; /* half: |r| / block scale */
	uint16_t	a[VK_LANES];	/* half: a / (code_unit |r|) */
	uint16_t	tangent[VK_LANES];	/* t = |y - x'| / |r|, u16 / 65535, rounded up;
									 * 65535: no bound, always a candidate */
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
	double		error2;			/* |p - s qc|^2, by subtraction */
	double		vector_norm2;	/* |p|^2 */
} VkQuantized;

/* One candidate code of a row (vk_kernels->code_trial) */
typedef struct VkTrial
{
	double		dot;			/* <y,c> */
	int64_t		norm2;			/* <c,c> */
} VkTrial;

typedef struct VkKernels
{
	/* ---- pair: canonical sums, the same bits on every ISA ---- */
	float		(*pair_l2_f32) (const float *a, const float *b, int dim);
	float		(*pair_dot_f32) (const float *a, const float *b, int dim);
	float		(*pair_l1_f32) (const float *a, const float *b, int dim);
	/* out: dot, |a|^2, |b|^2 */
	void		(*pair_cosine_f32) (const float *a, const float *b, int dim,
									float out[3]);
	double		(*pair_dot_f64) (const float *a, const float *b, int dim);

	/* ---- scan: one packed query against lines of one block ---- */
	/* pack an int8 query in [-127,127] for the scan of an integer format */
	void		(*pack_query[VK_INT_FORMATS]) (const int8_t *query, int dim,
											   void *packed);
	/*
	 * dots->i[lane] += sum of query * u over lines first_line ..
	 * first_line + lines - 1 of the block; code points at the first of them.
	 */
	void		(*scan[VK_INT_FORMATS]) (const void *packed, int first_line,
										 const uint8_t *code, int lines,
										 VkDots *dots);
	/* the same for F16 and F32 codes (index: format - VK_FORMAT_F16): the query
	 * is float, padded with zeros to an even dimension; lane sums run in the
	 * order of dimensions by fused multiply-add, so bits are the same everywhere */
	void		(*scan_float[2]) (const float *query, int first_line,
								  const uint8_t *code, int lines,
								  VkDots *dots);

	/* ---- row: one query against one contiguous refine code ---- */
	/*
	 * 4 bits: byte i holds dimension 2i (low) and 2i+1 (high nibble); 8 bits:
	 * byte i is dimension i.  pack_row lays an int8 query out for that; the
	 * packed form fits VK_PACKED_QUERY_SIZE.  Index 0: 4 bits, 1: 8 bits.
	 */
	void		(*pack_row[2]) (const int8_t *query, int dim, void *packed);
	int32_t		(*row[2]) (const void *packed, const uint8_t *code, int dim);

	/* ---- tile: m queries against blocks ---- */
	/*
	 * out[i * 16 * blocks + 16 * b + lane] = sum of query_i * u over all
	 * vk_format_lines(B8, dim) lines of block b.  Queries are int8 rows of
	 * query_stride bytes (a multiple of 4, zero padded past dim), blocks 8-bit
	 * lines of block_stride bytes each.
	 */
	void		(*tile_i8) (const int8_t *queries, size_t query_stride, int m,
							const uint8_t *code, size_t block_stride,
							int blocks, int dim, int32_t *out);
	/* out[i * n + j] = canonical dot of a row i and b row j; strides in floats */
	void		(*tile_f32) (const float *a, size_t a_stride, int m,
							 const float *b, size_t b_stride, int n,
							 int dim, float *out);

	/*
	 * The nearest of count centroids to one row, from a row of tile_i8's
	 * matrix: distance_j = norms2[j] - (dots[j] - correction) * (twice_scale *
	 * scales[j]) (|c|^2 - 2 <x,c>).  *distance and *nearest (first + j) are
	 * renewed where one is smaller; ties go to the lower number.
	 */
	void		(*nearest) (const int32_t *dots, const float *scales,
							const float *norms2, int count, int32_t correction,
							float twice_scale, int32_t first, float *distance,
							int32_t *nearest);

	/* ---- bounds: annotation + dots of one block -> [lower, upper] ---- */
	/*
	 * Each fills all 16 lanes and returns the mask of lanes whose lower bound
	 * is not above threshold (NaN bounds count as candidates: lower becomes
	 * -infinity, upper +infinity).  Same bits on every ISA.  Where no lane is
	 * a candidate the proven ones may leave a looser interval, valid as well.
	 */
	uint32_t	(*bound_flat) (const VkBoundQuery *query,
							   const VkFlatAnnotation *annotation,
							   const VkDots *dots, float threshold,
							   VkScores *scores);
	uint32_t	(*bound_list) (const VkBoundQuery *query,	/* statistical */
							   const VkListAnnotation *annotation,
							   float block_scale, const VkDots *dots,
							   float threshold, VkScores *scores);
	uint32_t	(*bound_list_proven) (const VkBoundQuery *query,
									  const VkListAnnotation *annotation,
									  float block_scale, const VkDots *dots,
									  float threshold, VkScores *scores);

	/* ---- vector operations for codes, same bits on every ISA ---- */
	/* in-place Walsh-Hadamard butterflies, n a power of two, then * scale */
	void		(*hadamard) (float *x, int n, float scale);
	/* y = p - fl(a * c), c signed int8 (no contraction) */
	void		(*subtract_code) (const float *p, float a, const int8_t *code,
								  int dim, float *y);
	/* y = a - b */
	void		(*subtract) (const float *a, const float *b, int dim, float *y);
	/* quantise p to int8 with step max|p| / 127, round half to even */
	void		(*quantize_i8) (const float *p, int dim, int8_t *code,
								VkQuantized *out);
	/*
	 * c_i = the odd integer (b <= 4) or integer (b = 8) nearest to y_i * inv_step,
	 * clamped to the format's range; codes gets u_i (bytes), out the sums.
	 */
	void		(*code_trial) (const float *y, int dim, VkFormat format,
							   float inv_step, uint8_t *codes, VkTrial *out);
	/* |y - a c|^2 by subtraction, in double; codes are u_i bytes */
	double		(*code_error2) (const float *y, int dim, VkFormat format,
								float a, const uint8_t *codes);
	/* half <-> float, round to nearest even */
	void		(*half_to_float) (const uint16_t *h, int n, float *f);
	void		(*float_to_half) (const float *f, int n, uint16_t *h);
} VkKernels;

/* ISAs, worst first; a later row overwrites the slots that it fills */
typedef struct VkIsa
{
	const char *name;			/* "ref", "avx2", "avx512", ... */
	uint64_t	required;		/* VK_CPU_* bits */
	/* overwrites the slots this ISA has; sub-features are tested inside */
	void		(*fill) (VkKernels *kernels, uint64_t cpu_features);
} VkIsa;

extern const VkIsa vk_isas[];
extern const int vk_isa_count;

/* cpu.c: features of this CPU that the OS has enabled */
#define VK_CPU_AVX2			(UINT64_C(1) << 0)	/* AVX2 and FMA */
#define VK_CPU_F16C			(UINT64_C(1) << 1)
#define VK_CPU_AVX512		(UINT64_C(1) << 2)	/* F, BW, VL, DQ */
#define VK_CPU_VNNI			(UINT64_C(1) << 3)
#define VK_CPU_VBMI			(UINT64_C(1) << 4)
#define VK_CPU_VPOPCNTDQ	(UINT64_C(1) << 5)

extern uint64_t vk_cpu_features(void);

/* dispatch.c */
extern const VkKernels *vk_kernels; /* the table in use; the reference until
									 * vk_kernels_choose() is called */

/*
 * Fill the table for "auto" or one ISA level by name (that ISA and those
 * before it).  Returns false, leaving the table alone, where the name is
 * unknown or this CPU or build lacks it.
 */
extern bool vk_kernels_choose(const char *isa);
extern bool vk_isa_available(int isa);	/* index into vk_isas */
/* fill a caller's table for one level; false where not available */
extern bool vk_kernels_fill(VkKernels *kernels, int isa);
/* for reports: slot names and, per slot, the ISA that the table in use took */
extern const char *const vk_slot_names[];
extern const int vk_slot_count;
extern const char *vk_slot_isa(int slot);	/* of the table in use */
extern const char *vk_slot_available(int slot, int isa);	/* NULL: not there */

#endif							/* VK_KERNELS_H */
