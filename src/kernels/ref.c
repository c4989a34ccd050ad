/*-------------------------------------------------------------------------
 *
 * ref.c
 *	  The reference kernels: plain C, complete, correct on every machine.
 *
 * NOTES
 *	  Written to be read and to be compared with, compiled without
 *	  vectorisation.  fmaf is the C library's: exact, though slow on a CPU
 *	  without fused multiply-add.  Packed queries are the int8 query padded
 *	  with zeros.
 *
 * IDENTIFICATION
 *	  src/kernels/ref.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "isa.h"

#include "template_vector.h"

/* ---------- conversions ---------- */

static void
half_to_float(const uint16_t *h, int n, float *f)
{
	for (int i = 0; i < n; i++)
		f[i] = half_to_float_1(h[i]);
}

static void
float_to_half(const float *f, int n, uint16_t *h)
{
	for (int i = 0; i < n; i++)
		h[i] = float_to_half_1(f[i]);
}

static void
bf16_to_float(const uint16_t *b, int n, float *f)
{
	for (int i = 0; i < n; i++)
		f[i] = bf16_to_float_1(b[i]);
}

static void
float_to_bf16(const float *f, int n, uint16_t *b)
{
	for (int i = 0; i < n; i++)
		b[i] = float_to_bf16_1(f[i]);
}

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	half_to_float(h, VK_LANES, f);
}

static inline void
short_to_float_16(const uint16_t *u, float *f)
{
	for (int lane = 0; lane < VK_LANES; lane++)
		f[lane] = u[lane];
}

static inline uint32_t
mask_not_above(const float *lower, float threshold)
{
	uint32_t	mask = 0;

	for (int lane = 0; lane < VK_LANES; lane++)
		mask |= (uint32_t) !(lower[lane] > threshold) << lane;
	return mask;
}

#include "template_bound.h"
#include "template_screen.h"

/* ---------- pairs ---------- */

#define DEFINE_PAIR(name, load) \
static double \
pair_l2_##name(const void *a, const void *b, int dim) \
{ \
	return template_pair_l2(a, b, dim, load); \
} \
static double \
pair_dot_##name(const void *a, const void *b, int dim) \
{ \
	return template_pair_dot(a, b, dim, load); \
} \
static double \
pair_l1_##name(const void *a, const void *b, int dim) \
{ \
	return template_pair_l1(a, b, dim, load); \
}

DEFINE_PAIR(f32, load_f32)
DEFINE_PAIR(f16, load_f16)
DEFINE_PAIR(bf16, load_bf16)

static double
pair_l2_i8(const void *a, const void *b, int dim)
{
	const int8_t *x = a;
	const int8_t *y = b;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += (x[i] - y[i]) * (x[i] - y[i]);
	return sum;
}

static double
pair_dot_i8(const void *a, const void *b, int dim)
{
	const int8_t *x = a;
	const int8_t *y = b;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += x[i] * y[i];
	return sum;
}

static double
pair_l1_i8(const void *a, const void *b, int dim)
{
	const int8_t *x = a;
	const int8_t *y = b;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += abs(x[i] - y[i]);
	return sum;
}

#define DEFINE_PAIR_USES(name, element) \
static void \
pair_cosine_##name(const void *a, const void *b, int dim, double out[3]) \
{ \
	out[0] = pair_dot_##name(a, b, dim); \
	out[1] = pair_dot_##name(a, a, dim); \
	out[2] = pair_dot_##name(b, b, dim); \
} \
static double \
maxsim_##name(const void *query, size_t query_stride, int m, \
			  const void *document, size_t document_stride, int n, int dim) \
{ \
	return template_maxsim(pair_dot_##name, vk_element_size[element], query, \
						   query_stride, m, document, document_stride, n, \
						   dim); \
}

DEFINE_PAIR_USES(f32, VK_F32)
DEFINE_PAIR_USES(f16, VK_F16)
DEFINE_PAIR_USES(bf16, VK_BF16)
DEFINE_PAIR_USES(i8, VK_I8)

static int
count_bits(unsigned byte)
{
	int			count = 0;

	for (; byte != 0; byte &= byte - 1)
		count++;
	return count;
}

static int32_t
pair_hamming(const uint8_t *a, const uint8_t *b, int bytes)
{
	int32_t		sum = 0;

	for (int i = 0; i < bytes; i++)
		sum += count_bits(a[i] ^ b[i]);
	return sum;
}

static void
pair_jaccard(const uint8_t *a, const uint8_t *b, int bytes, int32_t out[2])
{
	out[0] = out[1] = 0;
	for (int i = 0; i < bytes; i++)
	{
		out[0] += count_bits(a[i] & b[i]);
		out[1] += count_bits(a[i] | b[i]);
	}
}

/* ---------- scans ---------- */

static size_t
plain_size(int dim)
{
	return VK_ROUND_UP(dim, 32);
}

static void
pack_plain(const int8_t *query, int dim, void *packed)
{
	memset(packed, 0, plain_size(dim));
	memcpy(packed, query, dim);
}

/* query is that of dimension 0, lines are first_line and those after it */
static void
scan_int(VkFormat format, const int8_t *query, int first_line,
		 const uint8_t *code, int lines, int32_t *sums)
{
	int			bits = vk_format_bits[format];
	int			fields = 8 / bits;
	int			mask = (1 << bits) - 1;

	query += (size_t) first_line * vk_format_line_dims[format];
	for (int line = 0; line < lines; line++)
	{
		for (int i = 0; i < VK_LINE_SIZE; i++)
			for (int field = 0; field < fields; field++)
				sums[i / 4] += query[4 * field + i % 4] *
					((code[i] >> (bits * field)) & mask);
		query += vk_format_line_dims[format];
		code += VK_LINE_SIZE;
	}
}

/* load is that of the code's elements, per_line of them a lane and line */
static void
scan_float(LoadElement load, int per_line, const float *query, int first_line,
		   const uint8_t *code, int lines, VkDots *dots)
{
	query += (size_t) first_line * per_line;
	for (int line = 0; line < lines; line++)
	{
		for (int i = 0; i < VK_LANES * per_line; i++)
			dots->f[i / per_line] = fmaf(load_f32(query, i % per_line),
										 load(code, i), dots->f[i / per_line]);
		query += per_line;
		code += VK_LINE_SIZE;
	}
}

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	scan_float(load_f16, 2, query, first_line, code, lines, dots);
}

static void
scan_f32(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	scan_float(load_f32, 1, query, first_line, code, lines, dots);
}

static void
scan_bf16(const float *query, int first_line, const uint8_t *code, int lines,
		  VkDots *dots)
{
	scan_float(load_bf16, 2, query, first_line, code, lines, dots);
}

/* what two bytes contribute to a scan of bytes */
typedef int (*CompareBytes) (int q, int u);

static int
bytes_distance(int q, int u)
{
	return abs(q - u);
}

static int
bytes_differ(int q, int u)
{
	return count_bits(q ^ u);
}

static int
bytes_common(int q, int u)
{
	return count_bits(q & u);
}

static void
scan_bytes(CompareBytes compare, const uint8_t *query, int first_line,
		   const uint8_t *code, int lines, VkDots *dots)
{
	query += 4 * (size_t) first_line;
	for (int line = 0; line < lines; line++)
	{
		for (int i = 0; i < VK_LINE_SIZE; i++)
			dots->i[i / 4] += compare(query[i % 4], code[i]);
		query += 4;
		code += VK_LINE_SIZE;
	}
}

static void
scan_l1(const uint8_t *query, int first_line, const uint8_t *code, int lines,
		VkDots *dots)
{
	scan_bytes(bytes_distance, query, first_line, code, lines, dots);
}

static void
scan_hamming(const uint8_t *query, int first_line, const uint8_t *code,
			 int lines, VkDots *dots)
{
	scan_bytes(bytes_differ, query, first_line, code, lines, dots);
}

static void
scan_common(const uint8_t *query, int first_line, const uint8_t *code,
			int lines, VkDots *dots)
{
	scan_bytes(bytes_common, query, first_line, code, lines, dots);
}

/* ---------- rows ---------- */

static int32_t
row_b4(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += query[i] * ((code[i / 2] >> (4 * (i % 2))) & 15);
	return sum;
}

static int32_t
row_b8(const void *packed, const uint8_t *code, int dim)
{
	const int8_t *query = packed;
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += query[i] * code[i];
	return sum;
}

/* ---------- tiles of codes ---------- */

static void
pack_tile(const int8_t *queries, size_t query_stride, int m, int dim,
		  void *packed)
{
	for (int i = 0; i < m; i++)
		pack_plain(queries + i * query_stride, dim,
				   (int8_t *) packed + i * plain_size(dim));
}

/*
 * One query and the block whose runs begin at *runs; *runs is moved to those of
 * the next block.
 */
static void
scan_runs(VkFormat format, const int8_t *query, const VkLineRun **runs,
		  int first_line, int lines, int32_t *sums)
{
	int			end = first_line + lines;

	for (int line = first_line; line < end; line += (*runs)++->lines)
		scan_int(format, query, line, (*runs)->code, (*runs)->lines, sums);
}

static void
tile(VkFormat format, const void *packed, int m, int dim,
	 const VkLineRun *runs, int blocks, int first_line, int lines,
	 int32_t *out)
{
	for (int i = 0; i < m; i++)
	{
		const int8_t *query = (const int8_t *) packed + i * plain_size(dim);
		const VkLineRun *next = runs;

		for (int block = 0; block < blocks; block++)
		{
			if (first_line == 0)
				memset(out, 0, VK_LANES * sizeof(*out));
			scan_runs(format, query, &next, first_line, lines, out);
			out += VK_LANES;
		}
	}
}

static void
tile_screen(VkFormat format, const void *packed, int m, int dim,
			const VkLineRun *runs, int blocks, const VkScreenRows *rows,
			const VkScreenQuery *queries, uint16_t *masks)
{
	int			lines = vk_format_lines(format, dim);

	for (int i = 0; i < m; i++)
	{
		const int8_t *query = (const int8_t *) packed + i * plain_size(dim);
		const VkLineRun *next = runs;

		for (int block = 0; block < blocks; block++)
		{
			int32_t		dots[VK_LANES] = {0};

			scan_runs(format, query, &next, 0, lines, dots);
			template_screen(dots, rows + block, 1, queries + i, masks++);
		}
	}
}

#define DEFINE_CODES(name, format) \
static void \
scan_##name(const void *packed, int first_line, const uint8_t *code, \
			int lines, VkDots *dots) \
{ \
	scan_int(format, packed, first_line, code, lines, dots->i); \
} \
static void \
tile_##name(const void *packed, int m, int dim, const VkLineRun *runs, \
			int blocks, int first_line, int lines, int32_t *out) \
{ \
	tile(format, packed, m, dim, runs, blocks, first_line, lines, out); \
} \
static void \
tile_screen_##name(const void *packed, int m, int dim, \
				   const VkLineRun *runs, int blocks, \
				   const VkScreenRows *rows, const VkScreenQuery *queries, \
				   uint16_t *masks) \
{ \
	tile_screen(format, packed, m, dim, runs, blocks, rows, queries, masks); \
}

DEFINE_CODES(b1, VK_FORMAT_B1)
DEFINE_CODES(b2, VK_FORMAT_B2)
DEFINE_CODES(b4, VK_FORMAT_B4)
DEFINE_CODES(b8, VK_FORMAT_B8)

/* ---------- tiles of vectors ---------- */

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			*out++ = (float) pair_dot_f32(a + i * a_stride, b + j * b_stride,
										  dim);
}

/* packed: the queries, one after the other */
#define DEFINE_DENSE(name, type) \
static void \
pack_dense_##name(const void *queries, size_t query_stride, int m, int dim, \
				  void *packed) \
{ \
	for (int i = 0; i < m; i++) \
		memcpy((type *) packed + (size_t) i * dim, \
			   (const type *) queries + i * query_stride, \
			   sizeof(type) * dim); \
} \
static void \
tile_dense_##name(const void *packed, int m, int dim, const void *rows, \
				  size_t row_stride, int n, bool add, float *out) \
{ \
	for (int i = 0; i < m; i++) \
		for (int j = 0; j < n; j++, out++) \
			*out = (add ? *out : 0.0f) + \
				(float) pair_dot_##name((const type *) packed + (size_t) i * dim, \
										(const type *) rows + j * row_stride, \
										dim); \
}

DEFINE_DENSE(f32, float)
DEFINE_DENSE(bf16, uint16_t)

/* ---------- the table ---------- */

const VkKernels vk_ref_kernels = {
	.pair_l2 = {pair_l2_f32, pair_l2_f16, pair_l2_bf16, pair_l2_i8},
	.pair_dot = {pair_dot_f32, pair_dot_f16, pair_dot_bf16, pair_dot_i8},
	.pair_l1 = {pair_l1_f32, pair_l1_f16, pair_l1_bf16, pair_l1_i8},
	.pair_cosine = {pair_cosine_f32, pair_cosine_f16, pair_cosine_bf16,
	pair_cosine_i8},
	.pair_dot_f64 = template_pair_dot_f64,
	.pair_hamming = pair_hamming,
	.pair_jaccard = pair_jaccard,
	.pack_query = {pack_plain, pack_plain, pack_plain, pack_plain},
	.scan = {scan_b1, scan_b2, scan_b4, scan_b8},
	.scan_float = {scan_f16, scan_f32, scan_bf16},
	.scan_l1 = scan_l1,
	.scan_hamming = scan_hamming,
	.scan_common = scan_common,
	.pack_row = {pack_plain, pack_plain},
	.row = {row_b4, row_b8},
	.pack_tile = {pack_tile, pack_tile, pack_tile, pack_tile},
	.tile = {tile_b1, tile_b2, tile_b4, tile_b8},
	.tile_screen = {tile_screen_b1, tile_screen_b2, tile_screen_b4,
	tile_screen_b8},
	.tile_f32 = tile_f32,
	.pack_dense = {pack_dense_f32, pack_dense_bf16},
	.tile_dense = {tile_dense_f32, tile_dense_bf16},
	.maxsim = {maxsim_f32, maxsim_f16, maxsim_bf16, maxsim_i8},
	.nearest = template_nearest,
	.bound_flat = template_bound_flat,
	.bound_list = template_bound_list,
	.bound_list_proven = template_bound_list_proven,
	.bound_flat_l1 = template_bound_flat_l1,
	.bound_list_l1 = template_bound_list_l1,
	.bound_list_l1_proven = template_bound_list_l1_proven,
	.screen_flat = template_screen_flat,
	.screen_list = template_screen_list,
	.screen_list_proven = template_screen_list_proven,
	.screen = template_screen,
	.screen_blocks = template_screen_blocks,
	.hadamard = template_hadamard,
	.subtract_code = template_subtract_code,
	.subtract = template_subtract,
	.quantize_i8 = template_quantize_i8,
	.code_trial = template_code_trial,
	.code_error2 = template_code_error2,
	.half_to_float = half_to_float,
	.float_to_half = float_to_half,
	.bf16_to_float = bf16_to_float,
	.float_to_bf16 = float_to_bf16,
};

void
vk_ref_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) cpu_features;
	*kernels = vk_ref_kernels;
}
