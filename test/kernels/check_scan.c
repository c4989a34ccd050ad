/*-------------------------------------------------------------------------
 *
 * check_scan.c
 *	  Scans and rows of integer codes: exact sums.
 *
 * NOTES
 *	  The expected sums follow the layout as formats.h words it, dimension by
 *	  dimension, and share no code with any kernel.
 *
 * IDENTIFICATION
 *	  test/kernels/check_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"

#define TRIALS	4				/* kinds of queries and codes */
#define ALL_CUTS	40			/* lines below which every cut is tried */

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

/* one scan, its lines cut in two as a page's end cuts a block */
static void
check_cut(VkCheckRun *run, VkFormat format, int dim, const void *packed,
		  const uint8_t *code, int cut, const int64_t *want)
{
	const int	lines = vk_format_lines(format, dim);
	VkDots	   *dots = vk_place(run, 2, sizeof(VkDots), 4);

	for (int lane = 0; lane < VK_LANES; lane++)
		dots->i[lane] = lane - 5;
	VK_CALL(run, scan[format]) (packed, 0, code, cut, dots);
	VK_CALL(run, scan[format]) (packed, cut, code + (size_t) cut * VK_LINE_SIZE,
								lines - cut, dots);
	vk_check(run, vk_buffer_intact(2, dots, sizeof(VkDots)),
			 "scan %d bits dim %d writes around its sums", vk_format_bits[format],
			 dim);
	for (int lane = 0; lane < VK_LANES; lane++)
		vk_check(run, dots->i[lane] == want[lane] + lane - 5,
				 "scan %d bits dim %d cut at %d lane %d: %d, should be %lld",
				 vk_format_bits[format], dim, cut, lane, dots->i[lane] - lane + 5,
				 (long long) want[lane]);
}

static void
check_scan(VkCheckRun *run, VkFormat format, int dim, int trial)
{
	const int	bits = vk_format_bits[format];
	const int	lines = vk_format_lines(format, dim);
	const size_t size = (size_t) lines * VK_LINE_SIZE;
	const size_t packed_size = VK_PACKED_QUERY_SIZE(dim);
	int8_t	   *query = vk_place(run, 0, dim, 1);
	uint8_t    *code = vk_place(run, 1, size, 1);
	void	   *packed = vk_buffer(3, packed_size, true, 0);
	int64_t		want[VK_LANES] = {0};

	fill_query(run, trial, query, dim);
	fill_code(run, trial, code, size);
	VK_CALL(run, pack_query[format]) (query, dim, packed);
	vk_check(run, vk_buffer_intact(3, packed, packed_size),
			 "pack_query %d bits dim %d writes outside its buffer", bits, dim);
	for (int lane = 0; lane < VK_LANES; lane++)
		for (int i = 0; i < dim; i++)
			want[lane] += query[i] *
				vk_stored(code + i / vk_format_line_dims[format] * VK_LINE_SIZE,
						  bits, lane, i);
	if (lines <= ALL_CUTS)
		for (int cut = 0; cut <= lines; cut++)
			check_cut(run, format, dim, packed, code, cut, want);
	else
		for (int i = 0; i < 3; i++)
			check_cut(run, format, dim, packed, code,
					  vk_random_below(run, lines + 1), want);
}

static void
check_row(VkCheckRun *run, int which, int dim, int trial)
{
	const int	bits = which == 0 ? 4 : 8;
	const size_t size = which == 0 ? (dim + 1) / 2 : dim;
	const size_t packed_size = VK_PACKED_QUERY_SIZE(dim);
	int8_t	   *query = vk_place(run, 0, dim, 1);
	uint8_t    *code = vk_place(run, 1, size, 1);
	void	   *packed = vk_buffer(3, packed_size, true, 0);
	int64_t		want = 0;
	int32_t		got;

	fill_query(run, trial, query, dim);
	fill_code(run, trial, code, size);
	VK_CALL(run, pack_row[which]) (query, dim, packed);
	vk_check(run, vk_buffer_intact(3, packed, packed_size),
			 "pack_row %d bits dim %d writes outside its buffer", bits, dim);
	got = VK_CALL(run, row[which]) (packed, code, dim);
	for (int i = 0; i < dim; i++)
		want += query[i] * (which == 1 ? code[i] :
							(code[i / 2] >> (i % 2 * 4)) & 15);
	vk_check(run, got == want, "row %d bits dim %d trial %d: %d, should be %lld",
			 bits, dim, trial, got, (long long) want);
}

void
vk_check_scans(VkCheckRun *run)
{
	for (int d = vk_check_first(run); d < vk_check_dim_count;
		 d += vk_check_step(run))
		for (int trial = 0; trial < TRIALS; trial++)
		{
			for (int format = 0; format < VK_INT_FORMATS; format++)
				check_scan(run, (VkFormat) format, vk_check_dims[d], trial);
			check_row(run, 0, vk_check_dims[d], trial);
			check_row(run, 1, vk_check_dims[d], trial);
		}
}
