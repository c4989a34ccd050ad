/*-------------------------------------------------------------------------
 *
 * sme.c
 *	  Kernels for the matrix unit of Arm: SME, outer products into ZA.
 *
 * NOTES
 *	  Tiles of all integer formats, tiles in free order, MaxSim of int8: what
 *	  has many queries.  With fewer than FEW_QUERIES, packed form and all, the
 *	  level below does the work; so does screen, after streaming mode.
 *
 *	  Packed forms hold units of 4 bytes (sme_stream.h), whatever the vector
 *	  length: groups of 64 queries, the last one rounded up to 16; a group has
 *	  unit 0 of all its queries, then unit 1 and so on.  The units of integer
 *	  formats are padded with zeros to 32 dimensions, as the fields of a 1-bit
 *	  line are.
 *
 *	  enter() is the only way into streaming mode.  Functions that compilers
 *	  bring there and back (__arm_locally_streaming, __arm_new) need a runtime
 *	  that gcc 12 and Debian's clang lack, and use SVE instructions outside of
 *	  streaming mode, which processors with SME need not have.
 *
 *	  SME2 is not used.  Its loads of several vectors would help if loads were
 *	  the limit, but shapes of 2 x 2 need one vector an outer product, and its
 *	  table lookups give neighbouring fields, which lie 4 dimensions apart here.
 *
 * IDENTIFICATION
 *	  src/kernels/sme.c
 *
 *-------------------------------------------------------------------------
 */
#include "isa.h"

#if defined(__aarch64__) && !defined(VK_NO_SME)

#include <arm_sme.h>
#include <string.h>

#include "sme_stream.h"

/*
 * An outer product takes as long for one query as for a whole vector, 16 at 64
 * bytes.  The number is an estimate from published rates (int8 outer products
 * do about 7 times the dots of SDOT on Apple's M4); no such processor was there
 * to measure it.
 */
#define FEW_QUERIES		4

static VkKernels below;			/* the levels before this one */

/* ---------- into streaming mode and back ---------- */

typedef void (*StreamingKernel) (const void *task) STREAMING;

/* Linux has it as one more register that calls destroy, others forbid it */
#ifdef __linux__
#define PLATFORM_REGISTER	"x18",
#else
#define PLATFORM_REGISTER
#endif

/*
 * Run a kernel with streaming mode and ZA on.  If the thread's ZA holds live
 * contents of a caller further up (TPIDR2_EL0 points at its save block: buffer,
 * number of slices), they are saved as the procedure call standard asks, and
 * the caller restores them.  Entering and leaving destroy all vector and
 * predicate registers, so the compiler saves the lower halves of v8 - v15.
 */
SME static __attribute__((noinline)) void
enter(StreamingKernel kernel, const void *task)
{
	register const void *argument __asm__("x0") = task;
	register StreamingKernel target __asm__("x16") = kernel;

	__asm__ volatile(
		"	mrs		x9, S3_3_C13_C0_5\n"	/* TPIDR2_EL0 */
		"	cbz		x9, 3f\n"
		"	ldr		x10, [x9]\n"
		"	cbz		x10, 2f\n"
		"	ldrh	w11, [x9, #8]\n"
		"	rdsvl	x13, #1\n"
		"	mov		w12, wzr\n"
		"1:	cmp		w12, w11\n"
		"	b.hs	2f\n"
		"	str		za[w12, 0], [x10]\n"
		"	add		x10, x10, x13\n"
		"	add		w12, w12, #1\n"
		"	b		1b\n"
		"2:	msr		S3_3_C13_C0_5, xzr\n"
		"3:	smstart\n"
		"	blr		x16\n"
		"	smstop\n"
		: "+r" (argument), "+r" (target)
		:
		: "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
		"x12", "x13", "x14", "x15", "x17", PLATFORM_REGISTER "x30", "cc", "memory",
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
		"v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
		"v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
		"v31");
}

SME static size_t
streaming_bytes(void)
{
	return svcntsb();
}

/* ---------- packing ---------- */

/* m rows of bytes bytes, stride bytes apart, in units units each */
static void
pack_units(const uint8_t *queries, size_t stride, int m, size_t bytes,
		   int units, uint8_t *packed)
{
	int			whole = (int) (bytes / UNIT);
	int			padded = (int) VK_ROUND_UP(m, VK_LANES);

	for (int i = 0; i < padded; i++)
	{
		int			group = i / PACK_GROUP * PACK_GROUP;
		size_t		step = group_stride(m, group);
		const uint8_t *query = queries + i * stride;
		uint8_t    *to = packed + (size_t) group * units * UNIT +
			UNIT * (i - group);

		for (int unit = 0; unit < units; unit++, to += step)
		{
			uint32_t	value = 0;

			if (i < m && unit < whole)
				memcpy(&value, query + UNIT * (size_t) unit, UNIT);
			else if (i < m && unit == whole)
				memcpy(&value, query + UNIT * (size_t) unit, bytes % UNIT);
			memcpy(to, &value, UNIT);
		}
	}
}

/* ---------- queries against blocks ---------- */

static const StreamingKernel block_kernels[VK_INT_FORMATS] = {
	stream_b1, stream_b2, stream_b4, stream_b8
};

/* units of a packed query of an integer format: whole lines of any */
static inline int
tile_units(int dim)
{
	return (int) (VK_ROUND_UP(dim, 32) / UNIT);
}

static inline void
pack_tile(VkFormat format, const int8_t *queries, size_t query_stride, int m,
		  int dim, void *packed)
{
	if (m < FEW_QUERIES)
		below.pack_tile[format] (queries, query_stride, m, dim, packed);
	else
		pack_units((const uint8_t *) queries, query_stride, m, dim,
				   tile_units(dim), packed);
}

static inline void
tile(VkFormat format, const void *packed, int m, int dim,
	 const VkLineRun *runs, int blocks, int first_line, int lines, int32_t *out)
{
	BlockTask	task = {
		packed, m, tile_units(dim), 0, m, runs, blocks, first_line, lines, out
	};

	if (m < FEW_QUERIES)
		below.tile[format] (packed, m, dim, runs, blocks, first_line, lines,
							out);
	else
		enter(block_kernels[format], &task);
}

#define SCREEN_ROWS		512		/* blocks x queries of one part: 32 kB of dots */

/* not inlined: its stack is not there while the level below works */
static __attribute__((noinline)) void
tile_screen(VkFormat format, const void *packed, int m, int dim,
			const VkLineRun *runs, int blocks, const VkScreenRows *rows,
			const VkScreenQuery *queries, uint16_t *masks)
{
	_Alignas(VK_LINE_SIZE) int32_t dots[SCREEN_ROWS * VK_LANES];
	int			lines = vk_format_lines(format, dim);
	int			together = SCREEN_ROWS / least(m, PACK_GROUP);
	int			count;

	for (int block = 0; block < blocks; block += count)
	{
		count = least(together, blocks - block);
		for (int first = 0; first < m; first += PACK_GROUP)
		{
			BlockTask	task = {
				packed, m, tile_units(dim), first, least(m - first, PACK_GROUP),
				runs, count, 0, lines, dots
			};

			enter(block_kernels[format], &task);
			for (int i = 0; i < task.count; i++)
				below.screen(dots + i * VK_LANES * count, rows + block, count,
							 &queries[first + i],
							 masks + (size_t) (first + i) * blocks + block);
		}
		for (int b = 0; b < count; b++)
			runs = skip_lines(runs, lines);
	}
}

#define TILE_SLOTS(name, format) \
static void \
pack_tile_##name(const int8_t *queries, size_t query_stride, int m, int dim, \
				 void *packed) \
{ \
	pack_tile(format, queries, query_stride, m, dim, packed); \
} \
\
static void \
tile_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, int first_line, int lines, int32_t *out) \
{ \
	tile(format, packed, m, dim, runs, blocks, first_line, lines, out); \
} \
\
static void \
tile_screen_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
				   int blocks, const VkScreenRows *rows, \
				   const VkScreenQuery *queries, uint16_t *masks) \
{ \
	if (m < FEW_QUERIES) \
		below.tile_screen[format] (packed, m, dim, runs, blocks, rows, queries, \
								   masks); \
	else \
		tile_screen(format, packed, m, dim, runs, blocks, rows, queries, masks); \
}

TILE_SLOTS(b1, VK_FORMAT_B1)
TILE_SLOTS(b2, VK_FORMAT_B2)
TILE_SLOTS(b4, VK_FORMAT_B4)
TILE_SLOTS(b8, VK_FORMAT_B8)

/* ---------- queries against vectors ---------- */

static inline void
pack_dense(VkDense kind, int size, const void *queries, size_t query_stride,
		   int m, int dim, void *packed)
{
	int			bytes = dim * size;

	if (m < FEW_QUERIES)
		below.pack_dense[kind] (queries, query_stride, m, dim, packed);
	else
		pack_units(queries, query_stride * size, m, bytes,
				   (bytes + UNIT - 1) / UNIT, packed);
}

/* not inlined, nor is the next: as tile_screen */
static __attribute__((noinline)) void
tile_dense(StreamingKernel kernel, int size, const void *packed, int m, int dim,
		   const void *rows, size_t row_stride, int n, bool add, float *out)
{
	_Alignas(VK_LINE_SIZE) uint8_t panel[PANEL_SIZE];
	int			bytes = dim * size;
	VectorTask	task = {
		packed, m, (bytes + UNIT - 1) / UNIT, rows, row_stride * size, n, bytes,
		add, (int32_t *) out, panel
	};

	enter(kernel, &task);
}

/*
 * f32: one fused multiply-add a dimension, in the order of dimensions, so the
 * error is at most g(dim) S with g(n) = n u / (1 - n u), u = 2^-24, and dim u^2
 * is below 16 u: within (dim + 64) u S.  bf16: BFMOPA adds two products with
 * rounding to odd and then their sum likewise, 2^-23 each, so dim / 2 + 1
 * roundings touch a product; it flushes denormals, which the bound allows.
 */
#define DENSE_SLOTS(name, kind, size) \
static void \
pack_dense_##name(const void *queries, size_t query_stride, int m, int dim, \
				  void *packed) \
{ \
	pack_dense(kind, size, queries, query_stride, m, dim, packed); \
} \
\
static void \
tile_dense_##name(const void *packed, int m, int dim, const void *rows, \
				  size_t row_stride, int n, bool add, float *out) \
{ \
	if (m < FEW_QUERIES) \
		below.tile_dense[kind] (packed, m, dim, rows, row_stride, n, add, out); \
	else \
		tile_dense(stream_##name, size, packed, m, dim, rows, row_stride, n, \
				   add, out); \
}

DENSE_SLOTS(f32, VK_DENSE_F32, 4)
DENSE_SLOTS(bf16, VK_DENSE_BF16, 2)

/* the sum is exact, and a double holds it */
static __attribute__((noinline)) double
maxsim_of_panels(const void *query, size_t query_stride, int m,
				 const void *document, size_t document_stride, int n, int dim)
{
	_Alignas(VK_LINE_SIZE) uint8_t panel[2 * MAXSIM_PANEL];
	int32_t		greatest[2 * PACK_GROUP];
	int64_t		sum = 0;
	MaxsimTask	task = {
		query, query_stride, m, document, document_stride, n, dim, panel,
		greatest, &sum
	};

	enter(stream_maxsim, &task);
	return (double) sum;
}

static double
maxsim_i8(const void *query, size_t query_stride, int m, const void *document,
		  size_t document_stride, int n, int dim)
{
	/* a panel holds two vectors of each unit */
	if (m < FEW_QUERIES ||
		VK_ROUND_UP(dim, UNIT) / UNIT * 2 * streaming_bytes() > MAXSIM_PANEL)
		return below.maxsim[VK_I8] (query, query_stride, m, document,
									document_stride, n, dim);
	return maxsim_of_panels(query, query_stride, m, document, document_stride,
							n, dim);
}

/* ---------- the table ---------- */

const bool	vk_sme_built = true;

void
vk_sme_fill(VkKernels *kernels, uint64_t cpu_features)
{
	vk_ref_fill(&below, cpu_features);
	vk_neon_fill(&below, cpu_features);
	if (vk_sve_built && (cpu_features & VK_CPU_SVE) != 0)
		vk_sve_fill(&below, cpu_features);

	kernels->pack_tile[VK_FORMAT_B1] = pack_tile_b1;
	kernels->pack_tile[VK_FORMAT_B2] = pack_tile_b2;
	kernels->pack_tile[VK_FORMAT_B4] = pack_tile_b4;
	kernels->pack_tile[VK_FORMAT_B8] = pack_tile_b8;
	kernels->tile[VK_FORMAT_B1] = tile_b1;
	kernels->tile[VK_FORMAT_B2] = tile_b2;
	kernels->tile[VK_FORMAT_B4] = tile_b4;
	kernels->tile[VK_FORMAT_B8] = tile_b8;
	kernels->tile_screen[VK_FORMAT_B1] = tile_screen_b1;
	kernels->tile_screen[VK_FORMAT_B2] = tile_screen_b2;
	kernels->tile_screen[VK_FORMAT_B4] = tile_screen_b4;
	kernels->tile_screen[VK_FORMAT_B8] = tile_screen_b8;
	kernels->pack_dense[VK_DENSE_F32] = pack_dense_f32;
	kernels->pack_dense[VK_DENSE_BF16] = pack_dense_bf16;
	kernels->tile_dense[VK_DENSE_F32] = tile_dense_f32;
	kernels->tile_dense[VK_DENSE_BF16] = tile_dense_bf16;
	kernels->maxsim[VK_I8] = maxsim_i8;
}

#else

const bool	vk_sme_built = false;

void
vk_sme_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) kernels;
	(void) cpu_features;
}

#endif
