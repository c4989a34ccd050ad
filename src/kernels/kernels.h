/*-------------------------------------------------------------------------
 *
 * kernels.h
 *	  Distance kernels: one typed table, filled for the CPU at run time.
 *
 *	  pair	   two vectors; f32 f16 bf16 i8, bits      canonical or exact
 *	  scan	   one query x lines of one block          exact or fixed order
 *	  row	   one query x one refine code             exact
 *	  tile	   m packed queries x blocks, as a matrix
 *			   or as masks (tile_screen)               exact
 *	  tile_f32 m x n vectors, f32                      canonical
 *	  dense    m packed queries x n vectors, f32 bf16  free order, bounded error
 *	  maxsim   m query vectors x one document          canonical or exact
 *	  bound	   annotation + dots -> intervals          same bits
 *	  screen   annotation + dots -> masks              same bits
 *	  others   what codes are made with                same bits
 *
 * NOTES
 *	  Nothing here includes PostgreSQL.  A kernel is a leaf: it works on the
 *	  caller's buffers, allocates nothing (and takes at most 64 kB of stack),
 *	  raises nothing, checks no interrupt, accepts any alignment but of packed
 *	  forms, and any length (tails included; 0 of anything writes what an empty
 *	  sum is).  It reads no byte outside its operands; prefetching may.
 *	  Outputs do not overlap inputs.
 *
 *	  Canonical sum.  Where bits must not depend on the ISA, element i goes to
 *	  lane i mod 32 by fused multiply-add (accumulators start at +0), then
 *	  lanes are added j + (j+16), +8, +4, +2, +1.  Double sums (f64) use the
 *	  same 32 lanes and the same tree; products of two floats are exact there.
 *	  A NaN result is the positive quiet one (0x7fc00000).  No denormal is
 *	  flushed.  With L = ceil(dim / 32), u = 2^-24 and g(n) = n u / (1 - n u), the
 *	  error of a dot product is at most g(L + 5) sum |a b|, of an L2 sum
 *	  g(L + 8) of itself, of an L1 sum g(L + 6) of itself (L fused steps and 5
 *	  levels of the tree; 1 for a difference, 2 where it is squared), and
 *	  dim 2^-149 beside each.  Nothing may overflow for that.
 *
 *	  Integer sums are exact.  At VK_MAX_DIM none leaves int32: 16000 x 255^2
 *	  (L2 of int8) is 1.04e9, 16000 x 255 x 127 (8-bit codes) 5.2e8.
 *
 *	  A slot may hold several variants and choose by shape: the sizes that its
 *	  arguments show.  What packs sees the same m and dim as what reads, so
 *	  both choose alike.  Crossovers are measured; README lists them.
 *
 * IDENTIFICATION
 *	  src/kernels/kernels.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_KERNELS_H
#define VK_KERNELS_H

#include "formats.h"

/* kernels with a free order of summation, the index of pack_dense and tile_dense */
typedef enum VkDense
{
	VK_DENSE_F32,
	VK_DENSE_BF16
} VkDense;

#define VK_DENSE_KINDS		2

typedef struct VkKernels
{
	/* ---- pair: the same bits on every ISA ---- */
	/*
	 * By VkElement.  f32: the canonical sum, as a double.  f16 and bf16: that
	 * of the widened elements.  i8: the exact integer.
	 */
	double		(*pair_l2[VK_ELEMENTS]) (const void *a, const void *b, int dim);
	double		(*pair_dot[VK_ELEMENTS]) (const void *a, const void *b, int dim);
	double		(*pair_l1[VK_ELEMENTS]) (const void *a, const void *b, int dim);
	/* out: dot, |a|^2, |b|^2, each as pair_dot gives it */
	void		(*pair_cosine[VK_ELEMENTS]) (const void *a, const void *b,
											 int dim, double out[3]);
	double		(*pair_dot_f64) (const float *a, const float *b, int dim);
	/* bits that differ; bytes below 2^28, the last padded with zero bits */
	int32_t		(*pair_hamming) (const uint8_t *a, const uint8_t *b, int bytes);
	/* out: bits in both, bits in either */
	void		(*pair_jaccard) (const uint8_t *a, const uint8_t *b, int bytes,
								 int32_t out[2]);

	/* ---- scan: one query against lines of one block ---- */
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
	/* the same for F16, F32, BF16 codes (index: format - VK_FORMAT_F16): the
	 * query is float, padded with zeros to an even dimension; lane sums run in
	 * the order of dimensions by fused multiply-add, so bits are the same
	 * everywhere; error at most g(dim) sum |q x| + dim 2^-149 */
	void		(*scan_float[VK_FLOAT_FORMATS]) (const float *query, int first_line,
												 const uint8_t *code, int lines,
												 VkDots *dots);
	/*
	 * Queries of these three are as the lines are, without the other lanes: 4
	 * bytes a line, zero padded.  dots->i[lane] += the sum over lines first_line
	 * .. of |q - u| (L1 over 8-bit lines, q and u in 0 .. 255), of bits that
	 * differ, of bits in both (bit vectors, dim <= VK_MAX_BITS).
	 */
	void		(*scan_l1) (const uint8_t *query, int first_line,
							const uint8_t *code, int lines, VkDots *dots);
	void		(*scan_hamming) (const uint8_t *query, int first_line,
								 const uint8_t *code, int lines, VkDots *dots);
	void		(*scan_common) (const uint8_t *query, int first_line,
								const uint8_t *code, int lines, VkDots *dots);

	/* ---- row: one query against one contiguous refine code ---- */
	/*
	 * 4 bits: byte i holds dimension 2i (low) and 2i+1 (high nibble); 8 bits:
	 * byte i is dimension i.  pack_row lays an int8 query out for that; the
	 * packed form fits VK_PACKED_QUERY_SIZE.  Index 0: 4 bits, 1: 8 bits.
	 */
	void		(*pack_row[2]) (const int8_t *query, int dim, void *packed);
	int32_t		(*row[2]) (const void *packed, const uint8_t *code, int dim);

	/* ---- tile: m queries against blocks, integer codes ---- */
	/*
	 * m int8 queries in [-127,127], rows of dim bytes, query_stride apart, into
	 * VK_PACKED_TILE_SIZE(format, m, dim) bytes, once a batch.
	 */
	void		(*pack_tile[VK_INT_FORMATS]) (const int8_t *queries,
											  size_t query_stride, int m, int dim,
											  void *packed);
	/*
	 * out[i * 16 * blocks + 16 * b + lane] = sum of query_i * u over lines
	 * first_line .. first_line + lines - 1 of block b, found by runs.  Where
	 * first_line is not 0 the sum is added to out, so that long blocks can be
	 * taken a few pages at a time (see VK_TILE_STEP).  u is any of the format's
	 * numbers.  packed has m queries of dim dimensions.  The kernel blocks its
	 * depth itself; callers choose m and blocks so that packed and out stay in
	 * the second-level cache.  Bit vectors: queries of 0 and 1 in the order of
	 * B1 dimensions give the bits in common.
	 */
	void		(*tile[VK_INT_FORMATS]) (const void *packed, int m, int dim,
										 const VkLineRun *runs, int blocks,
										 int first_line, int lines, int32_t *out);
	/*
	 * The same over all vk_format_lines(format, dim) lines of the blocks, then
	 * screen for each query with rows[b] and queries[i]; no matrix is written:
	 * masks[i * blocks + b].
	 */
	void		(*tile_screen[VK_INT_FORMATS]) (const void *packed, int m, int dim,
												const VkLineRun *runs, int blocks,
												const VkScreenRows *rows,
												const VkScreenQuery *queries,
												uint16_t *masks);

	/* ---- tiles of vectors ---- */
	/* out[i * n + j] = canonical dot of a row i and b row j, the bits of
	 * pair_dot[VK_F32]; strides in floats.  Rows of halves: widen them first. */
	void		(*tile_f32) (const float *a, size_t a_stride, int m,
							 const float *b, size_t b_stride, int n,
							 int dim, float *out);
	/*
	 * By VkDense: m queries of float or bfloat16, strides in elements, into
	 * VK_PACKED_DENSE_SIZE bytes; then n rows, contiguous each, row_stride apart:
	 * out[i * n + j] = dot of query i and row j, or += with add.  Sums run in
	 * any order, may round towards odd (BFMMLA) and flush denormals (AMX), so
	 * bits depend on the ISA.  With S = sum |q x|, and with add |out| before,
	 * f32: error <= (dim + 64) 2^-24 S + dim 2^-149;
	 * bf16: error <= (dim + 64) 2^-23 S + 2^-126 (|q|_1 + |x|_1 + 2 dim + 64);
	 * provided that S is below 2^127.  NaN or infinite elements: no promise.
	 */
	void		(*pack_dense[VK_DENSE_KINDS]) (const void *queries, size_t query_stride,
										int m, int dim, void *packed);
	void		(*tile_dense[VK_DENSE_KINDS]) (const void *packed, int m, int dim,
										const void *rows, size_t row_stride, int n,
										bool add, float *out);
	/*
	 * By VkElement: the sum over query vectors i, in their order and in double
	 * from +0, of the greatest of pair_dot(query i, document j) over the n >= 1
	 * document vectors.  Strides in elements.  A NaN dot makes the result NaN.
	 */
	double		(*maxsim[VK_ELEMENTS]) (const void *query, size_t query_stride,
										int m, const void *document,
										size_t document_stride, int n, int dim);

	/*
	 * The nearest of count centroids to one row, from a row of tile's
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
	 * a candidate the proven ones may leave a looser interval, valid as well,
	 * and the statistical one infinity.
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
	/* the same of L1, dots from scan_l1 */
	uint32_t	(*bound_flat_l1) (const VkBoundQuery *query,
								  const VkFlatAnnotation *annotation,
								  const VkDots *dots, float threshold,
								  VkScores *scores);
	uint32_t	(*bound_list_l1) (const VkBoundQuery *query,	/* statistical */
								  const VkListAnnotation *annotation,
								  float block_scale, const VkDots *dots,
								  float threshold, VkScores *scores);
	uint32_t	(*bound_list_l1_proven) (const VkBoundQuery *query,
										 const VkListAnnotation *annotation,
										 float block_scale, const VkDots *dots,
										 float threshold, VkScores *scores);

	/* ---- screen: the bounds for many queries, masks only ---- */
	/*
	 * One block's annotation, decoded for the screen once for all queries:
	 * proven (flat), statistical (list), proven (list_proven), as the bounds.
	 */
	void		(*screen_flat) (const VkFlatAnnotation *annotation,
								VkScreenRows *rows);
	void		(*screen_list) (const VkListAnnotation *annotation,
								float block_scale, VkScreenRows *rows);
	void		(*screen_list_proven) (const VkListAnnotation *annotation,
									   float block_scale, VkScreenRows *rows);
	/*
	 * One query and blocks; dots is its row of tile's matrix.  Bit lane of
	 * masks[b] is !(lower > threshold), so NaN sets it, where
	 *	 t	   = scale * (float) (dot_mult * dot - dot_offset)
	 *	 lower = base + weight_norm2 * norm2 - t * a - |t| * a_error
	 *			 - weight_error * error - weight_norm * norm
	 * from left to right, each step after base one fused multiply-add; the
	 * product of t is rounded.  lower is never above that of bound_* for the same
	 * annotation and query (center_weight 0), but for gamma, which the threshold
	 * holds: every lane that bound_* reports is set.  Lanes without a row are the
	 * caller's to mask.
	 */
	void		(*screen) (const int32_t *dots, const VkScreenRows *rows, int blocks,
						   const VkScreenQuery *query, uint16_t *masks);
	/*
	 * The same by whole blocks: bit b mod 16 of masks[b / 16] is set where any
	 * dot of block b is above the block's limit, and so where screen keeps any
	 * lane.  With line l of the three by gap, and
	 *
	 *	 gap   = base - threshold - 2^-16 * (|base| + |threshold|)
	 *	 least = weight_norm2 * start[l] + slope[l] * gap
	 *			 - weight_error * error - weight_norm * norm
	 *
	 * from left to right, each step after the product one fused multiply-add,
	 * limit is least * (1 / scale) cut to an integer, at most 2^30, plus
	 * dot_offset, over dot_mult, rounded down; there is none where that product
	 * is negative or NaN, or scale is not above 0.
	 */
	void		(*screen_blocks) (const int32_t *dots,
								  const VkScreenBlocks *groups, int blocks,
								  const VkScreenQuery *query, uint16_t *masks);

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
	/* half and bfloat16 <-> float, to nearest even; any NaN to a quiet one of
	 * its sign and leading bits */
	void		(*half_to_float) (const uint16_t *h, int n, float *f);
	void		(*float_to_half) (const float *f, int n, uint16_t *h);
	void		(*bf16_to_float) (const uint16_t *b, int n, float *f);
	void		(*float_to_bf16) (const float *f, int n, uint16_t *b);
} VkKernels;

/*
 * bound_query.c: a query for the screen, once a centre.  proven: for rows of
 * screen_flat or screen_list_proven, else of screen_list.  Integer
 * formats only.  A query outside the range in which bounds hold gets base NaN:
 * every lane is a candidate.
 */
extern void vk_screen_query(const VkBoundQuery *bound, bool proven,
							float threshold, VkScreenQuery *query);
/* only a new threshold, of the same bound and reading */
extern void vk_screen_threshold(const VkBoundQuery *bound, bool proven,
								float threshold, VkScreenQuery *query);

/*
 * screen_blocks.c: up to 16 blocks for screen_blocks, of whose rows the lanes
 * given matter.
 */
extern void vk_screen_blocks_fill(const VkScreenRows *rows, const uint16_t *lanes,
								  int blocks, VkScreenBlocks *group);

/* ISAs, worst first; a later row overwrites the slots that it fills */
typedef struct VkIsa
{
	const char *name;			/* "ref", "avx2", "avx512", "amx", "neon", ... */
	uint64_t	required;		/* VK_CPU_* bits */
	/* overwrites the slots this ISA has, whatever stands in them (reports fill
	 * an empty table); sub-features are tested inside */
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
#define VK_CPU_AVX_VNNI		(UINT64_C(1) << 6)
#define VK_CPU_AVX512_BF16	(UINT64_C(1) << 7)
#define VK_CPU_AMX_INT8		(UINT64_C(1) << 8)	/* and AMX-TILE */
#define VK_CPU_AMX_BF16		(UINT64_C(1) << 9)
#define VK_CPU_STREAMS		(UINT64_C(1) << 10)	/* reads memory faster in several
											 * streams of lines than in one */
#define VK_CPU_NEON			(UINT64_C(1) << 16)	/* and scalar FMA */
#define VK_CPU_DOTPROD		(UINT64_C(1) << 17)
#define VK_CPU_BF16			(UINT64_C(1) << 18)
#define VK_CPU_I8MM			(UINT64_C(1) << 19)
#define VK_CPU_SVE			(UINT64_C(1) << 20)
#define VK_CPU_SVE_I8MM		(UINT64_C(1) << 21)
#define VK_CPU_SME			(UINT64_C(1) << 22)	/* with I8I32, F32F32, B16F32 */

extern uint64_t vk_cpu_features(void);

/*
 * Whether this process may use AMX tile data.  Linux is asked once, at the
 * first call; its answer, a refusal included, stands for this process and those
 * that it forks.  True at once on systems that need no asking; false where
 * vk_cpu_features() has no AMX.  No AMX instruction runs before this is true:
 * vk_isa_available() asks for levels that need it.
 */
extern bool vk_amx_permitted(void);

/* dispatch.c */
extern const VkKernels *vk_kernels; /* the table in use; the reference until
									 * vk_kernels_choose() is called */

/*
 * Take the table of "auto" or of one ISA level by name (that ISA and those
 * before it).  Returns false, leaving vk_kernels alone, where the name is
 * unknown or this CPU or build lacks it.  The tables themselves stay as they
 * are: who has packed keeps the pointer, and reads with that table.
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
