/*-------------------------------------------------------------------------
 *
 * check_scan.c
 *	  Scans, rows and tiles: exact integers, and floats in a fixed order.
 *
 * NOTES
 *	  The expected sums follow the layout as kernels.h words it, dimension by
 *	  dimension, and share no code with any kernel.
 *
 * IDENTIFICATION
 *	  test/kernels/check_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIALS	4				/* kinds of queries and codes */

/* one byte more than the largest needs, to see writes past the end */
static _Alignas(64) uint8_t packed[VK_PACKED_QUERY_SIZE(VK_MAX_DIM) + 1];

/* trial 0: the largest sums; 1: the smallest; else random */
static void
fill_query(VkCheckRun *run, int trial, int8_t *query, int dim)
{
	for (int i = 0; i < dim; i++)
		query[i] = (int8_t) (trial == 0 ? 127 : trial == 1 ? -127 :
							 vk_random_below(run, 255) - 127);
}

static void
fill_code(VkCheckRun *run, int trial, uint8_t *code, size_t size)
{
	for (size_t i = 0; i < size; i++)
		code[i] = (uint8_t) (trial < 2 ? 0xff : vk_random(run));
}

/* u of one dimension of one lane */
static int
stored(const uint8_t *code, int bits, int lane, int dim)
{
	int			line_dims = 32 / bits;
	int			line = dim / line_dims;
	int			field = dim % line_dims / 4;
	int			byte = dim % 4;

	return (code[line * VK_LINE_SIZE + lane * 4 + byte] >> (field * bits)) &
		((1 << bits) - 1);
}

static void
check_scan(VkCheckRun *run, VkFormat format, int dim, int trial)
{
	const int	bits = vk_format_bits[format];
	const int	lines = vk_format_lines(format, dim);
	const size_t size = (size_t) lines * VK_LINE_SIZE;
	const bool	at_end = vk_random_below(run, 2);
	int8_t	   *query = vk_buffer(0, dim, !at_end, vk_random_below(run, 64));
	uint8_t    *code = vk_buffer(1, size, at_end, vk_random_below(run, 64));
	VkDots	   *dots = vk_buffer(2, sizeof(VkDots), at_end,
								 4 * vk_random_below(run, 16));
	int			cut = lines > 0 ? vk_random_below(run, lines + 1) : 0;

	fill_query(run, trial, query, dim);
	fill_code(run, trial, code, size);
	memset(packed, 0xee, sizeof(packed));
	run->kernels->pack_query[format] (query, dim, packed);
	vk_check(run, packed[VK_PACKED_QUERY_SIZE(dim)] == 0xee,
			 "pack_query %d bits dim %d writes too far", bits, dim);
	for (int lane = 0; lane < VK_LANES; lane++)
		dots->i[lane] = lane - 5;
	/* a block may be cut by a page's end */
	run->kernels->scan[format] (packed, 0, code, cut, dots);
	run->kernels->scan[format] (packed, cut, code + cut * VK_LINE_SIZE,
								lines - cut, dots);
	vk_check(run, vk_buffer_intact(2, dots, sizeof(VkDots)),
			 "scan %d bits dim %d writes around its sums", bits, dim);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		int64_t		want = lane - 5;

		for (int i = 0; i < dim; i++)
			want += query[i] * stored(code, bits, lane, i);
		vk_check(run, dots->i[lane] == want,
				 "scan %d bits dim %d trial %d lane %d: %d, should be %lld",
				 bits, dim, trial, lane, dots->i[lane], (long long) want);
	}
}

static void
check_scan_float(VkCheckRun *run, int which, int dim, int pattern)
{
	const VkFormat format = (VkFormat) (VK_FORMAT_F16 + which);
	const int	lines = vk_format_lines(format, dim);
	const size_t size = (size_t) lines * VK_LINE_SIZE;
	const bool	at_end = vk_random_below(run, 2);
	float	   *query = vk_buffer(0, (dim + 1) / 2 * 2 * sizeof(float), !at_end,
								  4 * vk_random_below(run, 16));
	uint8_t    *code = vk_buffer(1, size, at_end, 4 * vk_random_below(run, 16));
	VkDots		got;
	VkDots		want;
	int			cut = lines > 0 ? vk_random_below(run, lines + 1) : 0;

	memset(query, 0, (dim + 1) / 2 * 2 * sizeof(float));
	vk_fill_pattern(run, pattern, query, dim);
	if (which == 1)
		vk_fill_pattern(run, pattern, (float *) code, (int) (size / 4));
	else
		fill_code(run, pattern == 0 ? 2 : pattern, code, size);
	memset(&got, 0, sizeof(got));
	memset(&want, 0, sizeof(want));
	run->ref->scan_float[which] (query, 0, code, lines, &want);
	run->kernels->scan_float[which] (query, 0, code, cut, &got);
	run->kernels->scan_float[which] (query, cut, code + cut * VK_LINE_SIZE,
									 lines - cut, &got);
	for (int lane = 0; lane < VK_LANES; lane++)
		vk_check(run, vk_same_f32(got.f[lane], want.f[lane]),
				 "scan f%d dim %d %s lane %d: %.9g, ref %.9g", 16 << which, dim,
				 vk_pattern_names[pattern], lane, got.f[lane], want.f[lane]);
}

/* the truth of float scans, by the layout, on the reference's ISA too */
static void
check_scan_float_truth(VkCheckRun *run, int which, int dim)
{
	const VkFormat format = (VkFormat) (VK_FORMAT_F16 + which);
	const int	dims = vk_format_line_dims[format];
	float	   *query = vk_buffer(0, (dim + 1) / 2 * 2 * sizeof(float), true, 0);
	float	   *values = malloc((dim + 1) * VK_LANES * sizeof(float));
	uint8_t    *code = vk_buffer(1, (size_t) vk_format_lines(format, dim) * VK_LINE_SIZE,
								 true, 0);
	VkDots		got;

	memset(code, 0, (size_t) vk_format_lines(format, dim) * VK_LINE_SIZE);
	memset(query, 0, (dim + 1) / 2 * 2 * sizeof(float));
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < dim; i++)
	{
		query[i] = (float) vk_random_normal(run);
		for (int lane = 0; lane < VK_LANES; lane++)
		{
			float		value = (float) (vk_random_below(run, 2047) - 1023) / 64;
			uint8_t    *at = code + (i / dims) * VK_LINE_SIZE + 4 * lane +
				i % dims * 2;
			uint16_t	half;

			run->ref->float_to_half(&value, 1, &half);
			memcpy(at, which == 0 ? (void *) &half : (void *) &value,
				   4 / dims);
			values[i * VK_LANES + lane] = value;
		}
	}
	run->kernels->scan_float[which] (query, 0, code,
									 vk_format_lines(format, dim), &got);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		VkWide		sum = {0, 0};
		double		magnitude = 0;

		for (int i = 0; i < dim; i++)
		{
			vk_wide_add_product(&sum, query[i], values[i * VK_LANES + lane]);
			magnitude += fabs((double) query[i] * values[i * VK_LANES + lane]);
		}
		vk_check(run, fabs(got.f[lane] - sum.high) <= (dim + 1) * 0x1p-24 * magnitude,
				 "scan f%d dim %d lane %d: %.9g, truth %.9g", 16 << which, dim,
				 lane, got.f[lane], sum.high);
	}
	free(values);
}

static void
check_row(VkCheckRun *run, int which, int dim, int trial)
{
	const size_t size = which == 0 ? (dim + 1) / 2 : dim;
	const bool	at_end = vk_random_below(run, 2);
	int8_t	   *query = vk_buffer(0, dim, !at_end, vk_random_below(run, 64));
	uint8_t    *code = vk_buffer(1, size, at_end, vk_random_below(run, 64));
	int64_t		want = 0;
	int32_t		got;

	fill_query(run, trial, query, dim);
	fill_code(run, trial, code, size);
	memset(packed, 0xee, sizeof(packed));
	run->kernels->pack_row[which] (query, dim, packed);
	vk_check(run, packed[VK_PACKED_QUERY_SIZE(dim)] == 0xee,
			 "pack_row %d dim %d writes too far", which, dim);
	got = run->kernels->row[which] (packed, code, dim);
	for (int i = 0; i < dim; i++)
		want += query[i] * (which == 1 ? code[i] :
							(code[i / 2] >> (i % 2 * 4)) & 15);
	vk_check(run, got == want, "row %d bits dim %d trial %d: %d, should be %lld",
			 which == 0 ? 4 : 8, dim, trial, got, (long long) want);
}

void
vk_check_scans(VkCheckRun *run)
{
	for (int d = 0; d < vk_check_dim_count; d++)
	{
		int			dim = vk_check_dims[d];

		for (int trial = 0; trial < TRIALS; trial++)
		{
			for (int format = 0; format < VK_INT_FORMATS; format++)
				check_scan(run, (VkFormat) format, dim, trial);
			check_row(run, 0, dim, trial);
			check_row(run, 1, dim, trial);
		}
		for (int which = 0; which < 2; which++)
		{
			if (vk_format_lines(VK_FORMAT_F32, dim) * VK_LINE_SIZE >
				VK_BUFFER_SIZE)
				continue;
			for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
				check_scan_float(run, which, dim, pattern);
			check_scan_float_truth(run, which, dim);
		}
	}
}

/* ---------- tiles ---------- */

static void
check_tile_i8(VkCheckRun *run, int m, int blocks, int dim, int trial)
{
	const int	lines = vk_format_lines(VK_FORMAT_B8, dim);
	const size_t query_stride = (dim + 3) / 4 * 4 + 4 * vk_random_below(run, 3);
	const size_t block_stride = (size_t) lines * VK_LINE_SIZE +
		VK_LINE_SIZE * vk_random_below(run, 2);
	const size_t query_size = m * query_stride;
	const size_t code_size = blocks * block_stride;
	const size_t out_size = (size_t) m * blocks * VK_LANES * sizeof(int32_t);
	int8_t	   *queries = vk_buffer(0, query_size, true, 0);
	uint8_t    *code = vk_buffer(1, code_size, true, 0);
	int32_t    *out = vk_buffer(2, out_size, false, 4 * vk_random_below(run, 16));

	memset(queries, 0, query_size);
	for (int i = 0; i < m; i++)
		fill_query(run, trial, queries + i * query_stride, dim);
	fill_code(run, trial, code, code_size);
	run->kernels->tile_i8(queries, query_stride, m, code, block_stride, blocks,
						  dim, out);
	vk_check(run, vk_buffer_intact(2, out, out_size),
			 "tile_i8 %d x %d blocks dim %d writes around its output", m,
			 blocks, dim);
	for (int i = 0; i < m; i++)
		for (int row = 0; row < blocks * VK_LANES; row++)
		{
			const uint8_t *block = code + row / VK_LANES * block_stride;
			int64_t		want = 0;

			for (int j = 0; j < dim; j++)
				want += queries[i * query_stride + j] *
					stored(block, 8, row % VK_LANES, j);
			vk_check(run, out[i * blocks * VK_LANES + row] == want,
					 "tile_i8 %d x %d blocks dim %d at %d, %d: %d, should be %lld",
					 m, blocks, dim, i, row, out[i * blocks * VK_LANES + row],
					 (long long) want);
		}
}

static void
check_tile_f32(VkCheckRun *run, int m, int n, int dim, int pattern)
{
	const size_t a_stride = dim + vk_random_below(run, 3);
	const size_t b_stride = dim + vk_random_below(run, 3);
	float	   *a = vk_buffer(0, m * a_stride * sizeof(float), true, 0);
	float	   *b = vk_buffer(1, n * b_stride * sizeof(float), true, 0);
	float	   *out = vk_buffer(2, (size_t) m * n * sizeof(float), false,
								4 * vk_random_below(run, 16));

	vk_fill_pattern(run, pattern, a, (int) (m * a_stride));
	vk_fill_pattern(run, pattern, b, (int) (n * b_stride));
	run->kernels->tile_f32(a, a_stride, m, b, b_stride, n, dim, out);
	vk_check(run, vk_buffer_intact(2, out, (size_t) m * n * sizeof(float)),
			 "tile_f32 %d x %d dim %d writes around its output", m, n, dim);
	for (int i = 0; i < m; i++)
		for (int j = 0; j < n; j++)
			vk_check(run, vk_same_f32(out[i * n + j],
									  run->ref->pair_dot_f32(a + i * a_stride,
															 b + j * b_stride, dim)),
					 "tile_f32 %d x %d dim %d %s at %d, %d differs from ref", m,
					 n, dim, vk_pattern_names[pattern], i, j);
}

void
vk_check_tiles(VkCheckRun *run)
{
	for (int d = 0; d < vk_check_dim_count; d++)
	{
		int			dim = vk_check_dims[d];
		int			most = dim <= 130 ? 15 : dim <= 4097 ? 7 : 2;

		for (int trial = 0; trial < 3; trial++)
		{
			int			m = vk_random_below(run, most + 1);
			int			blocks = 1 + vk_random_below(run, dim <= 130 ? 9 : 2);

			check_tile_i8(run, m, blocks, dim, trial);
		}
		for (int pattern = 0; pattern < VK_PATTERNS; pattern++)
		{
			int			m = vk_random_below(run, most + 1);
			int			n = vk_random_below(run, most + 1);

			check_tile_f32(run, m, n, dim, pattern);
		}
	}
	/* every shape of the tile, at a short and at a long odd dimension */
	for (int m = 0; m <= 14; m++)
		for (int n = 0; n <= 10; n++)
		{
			check_tile_i8(run, m, n, 37, 2);
			check_tile_f32(run, m, n, 77, 0);
		}
	check_tile_i8(run, 13, 5, 1537, 2);
	check_tile_f32(run, 9, 7, 1537, 5);
}
