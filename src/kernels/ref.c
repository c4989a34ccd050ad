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
#include <string.h>

#include "isa.h"

/* ---------- half precision ---------- */

static float
half_to_float_1(uint16_t h)
{
	uint32_t	sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t	exponent = (h >> 10) & 0x1f;
	uint32_t	fraction = h & 0x3ff;
	uint32_t	bits;
	float		f;

	if (exponent == 31)
		bits = 0x7f800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0);
	else if (exponent != 0)
		bits = (exponent + 112) << 23 | fraction << 13;
	else
	{
		f = (float) fraction * 0x1p-24f;
		memcpy(&bits, &f, sizeof(bits));
	}
	bits |= sign;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

static uint16_t
float_to_half_1(float f)
{
	uint32_t	bits;
	uint32_t	sign;
	uint32_t	half;

	memcpy(&bits, &f, sizeof(bits));
	sign = (bits >> 16) & 0x8000;
	bits &= 0x7fffffff;
	if (bits > 0x7f800000)
		half = 0x7e00 | ((bits >> 13) & 0x3ff);
	else if (bits >= 0x477ff000)
		half = 0x7c00;
	else if (bits >= 0x38800000)
	{
		/* a carry out of the fraction raises the exponent, as it should */
		bits += 0xfff + ((bits >> 13) & 1);
		half = (bits - 0x38000000) >> 13;
	}
	else
	{
		/* 0.5 has the spacing of a half's smallest number: the sum rounds */
		float		magnitude;

		memcpy(&magnitude, &bits, sizeof(magnitude));
		magnitude += 0.5f;
		memcpy(&half, &magnitude, sizeof(half));
		half -= 0x3f000000;
	}
	return (uint16_t) (sign | half);
}

static void
ref_half_to_float(const uint16_t *h, int n, float *f)
{
	for (int i = 0; i < n; i++)
		f[i] = half_to_float_1(h[i]);
}

static void
ref_float_to_half(const float *f, int n, uint16_t *h)
{
	for (int i = 0; i < n; i++)
		h[i] = float_to_half_1(f[i]);
}

static inline void
half_to_float_16(const uint16_t *h, float *f)
{
	ref_half_to_float(h, VK_LANES, f);
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
#include "template_vector.h"

/* ---------- scans ---------- */

static void
pack_plain(const int8_t *query, int dim, void *packed)
{
	int			padded = (dim + 31) / 32 * 32;

	memcpy(packed, query, dim);
	memset((int8_t *) packed + dim, 0, padded - dim);
}

static void
scan_int(VkFormat format, const int8_t *query, const uint8_t *code, int lines,
		 VkDots *dots)
{
	int			bits = vk_format_bits[format];
	int			fields = 8 / bits;
	int			mask = (1 << bits) - 1;

	for (int line = 0; line < lines; line++)
	{
		for (int i = 0; i < VK_LINE_SIZE; i++)
			for (int field = 0; field < fields; field++)
				dots->i[i / 4] += query[4 * field + i % 4] *
					((code[i] >> (bits * field)) & mask);
		query += vk_format_line_dims[format];
		code += VK_LINE_SIZE;
	}
}

#define DEFINE_SCAN(name, format) \
static void \
name(const void *packed, int first_line, const uint8_t *code, int lines, \
	 VkDots *dots) \
{ \
	scan_int(format, \
			 (const int8_t *) packed + first_line * vk_format_line_dims[format], \
			 code, lines, dots); \
}

DEFINE_SCAN(scan_b1, VK_FORMAT_B1)
DEFINE_SCAN(scan_b2, VK_FORMAT_B2)
DEFINE_SCAN(scan_b4, VK_FORMAT_B4)
DEFINE_SCAN(scan_b8, VK_FORMAT_B8)

static void
scan_f16(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	query += 2 * first_line;
	for (int line = 0; line < lines; line++)
	{
		uint16_t	h[2 * VK_LANES];

		memcpy(h, code, sizeof(h));
		for (int i = 0; i < 2 * VK_LANES; i++)
			dots->f[i / 2] = fmaf(query[i % 2], half_to_float_1(h[i]),
								  dots->f[i / 2]);
		query += 2;
		code += VK_LINE_SIZE;
	}
}

static void
scan_f32(const float *query, int first_line, const uint8_t *code, int lines,
		 VkDots *dots)
{
	query += first_line;
	for (int line = 0; line < lines; line++)
	{
		float		f[VK_LANES];

		memcpy(f, code, sizeof(f));
		for (int lane = 0; lane < VK_LANES; lane++)
			dots->f[lane] = fmaf(query[0], f[lane], dots->f[lane]);
		query += 1;
		code += VK_LINE_SIZE;
	}
}

/* ---------- rows and tiles ---------- */

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

static void
tile_i8(const int8_t *queries, size_t query_stride, int m,
		const uint8_t *code, size_t block_stride, int blocks, int dim,
		int32_t *out)
{
	int			lines = vk_format_lines(VK_FORMAT_B8, dim);

	for (int i = 0; i < m; i++)
		for (int block = 0; block < blocks; block++)
		{
			VkDots		dots = {{0}};

			scan_int(VK_FORMAT_B8, queries + i * query_stride,
					 code + block * block_stride, lines, &dots);
			memcpy(out, dots.i, sizeof(dots.i));
			out += VK_LANES;
		}
}

static void
tile_f32(const float *a, size_t a_stride, int m, const float *b,
		 size_t b_stride, int n, int dim, float *out)
{
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			*out++ = template_pair_dot_f32(a + i * a_stride, b + j * b_stride,
										   dim);
}

/* ---------- the table ---------- */

const VkKernels vk_ref_kernels = {
	.pair_l2_f32 = template_pair_l2_f32,
	.pair_dot_f32 = template_pair_dot_f32,
	.pair_l1_f32 = template_pair_l1_f32,
	.pair_cosine_f32 = template_pair_cosine_f32,
	.pair_dot_f64 = template_pair_dot_f64,
	.pack_query = {pack_plain, pack_plain, pack_plain, pack_plain},
	.scan = {scan_b1, scan_b2, scan_b4, scan_b8},
	.scan_float = {scan_f16, scan_f32},
	.pack_row = {pack_plain, pack_plain},
	.row = {row_b4, row_b8},
	.tile_i8 = tile_i8,
	.tile_f32 = tile_f32,
	.nearest = template_nearest,
	.bound_flat = template_bound_flat,
	.bound_list = template_bound_list,
	.bound_list_proven = template_bound_list_proven,
	.hadamard = template_hadamard,
	.subtract_code = template_subtract_code,
	.subtract = template_subtract,
	.quantize_i8 = template_quantize_i8,
	.code_trial = template_code_trial,
	.code_error2 = template_code_error2,
	.half_to_float = ref_half_to_float,
	.float_to_half = ref_float_to_half,
};

void
vk_ref_fill(VkKernels *kernels, uint64_t cpu_features)
{
	(void) cpu_features;
	*kernels = vk_ref_kernels;
}
