/*-------------------------------------------------------------------------
 *
 * check_scan_float.c
 *	  Scans of float codes: the reference's bits, and the truth within the
 *	  error that kernels.h states.
 *
 * IDENTIFICATION
 *	  test/kernels/check_scan_float.c
 *
 *-------------------------------------------------------------------------
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define CANCELLING	VK_PATTERNS /* one more way to draw query and rows */
#define ALL_CUTS	24			/* lines below which every cut is tried */

/* the element of each format's lines, by format - VK_FORMAT_F16 */
static const VkElement elements[VK_FLOAT_FORMATS] = {VK_F16, VK_F32, VK_BF16};

/* one block, its rows also contiguous */
typedef struct Block
{
	VkElement	element;
	int			which;			/* index of scan_float */
	int			dim;
	int			lines;
	const char *words;			/* name of the pattern */
	float	   *query;			/* padded with 0 to an even dimension */
	uint8_t    *code;
	char	   *rows;			/* VK_LANES x dim elements */
} Block;

static void
fill_block(VkCheckRun *run, Block *block, int pattern)
{
	const int	size = vk_element_size[block->element];
	const int	line_dims = 4 / size;
	char	   *query_element = malloc((size_t) block->dim * size + 1);

	block->words = pattern == CANCELLING ? "cancelling" :
		vk_pattern_names[pattern];
	memset(block->code, 0, (size_t) block->lines * VK_LINE_SIZE);
	memset(block->query, 0, (block->dim + 1) / 2 * 2 * sizeof(float));
	if (pattern != CANCELLING)
		vk_fill_pattern(run, pattern, block->query, block->dim);
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		char	   *row = block->rows + (size_t) lane * block->dim * size;

		if (pattern == CANCELLING)
			vk_fill_cancelling(run, block->element, query_element, row, block->dim);
		else
			vk_fill_elements(run, block->element, pattern, row, block->dim);
		for (int i = 0; i < block->dim; i++)
			memcpy(block->code + (size_t) (i / line_dims) * VK_LINE_SIZE +
				   4 * lane + i % line_dims * size, row + (size_t) i * size, size);
	}
	/* the rows cancel for every query whose halves are alike */
	if (pattern == CANCELLING)
	{
		vk_fill_pattern(run, 0, block->query, block->dim);
		memcpy(block->query + block->dim / 2, block->query,
			   block->dim / 2 * sizeof(float));
	}
	free(query_element);
}

static void
check_cut(VkCheckRun *run, const Block *block, int cut, const VkDots *want)
{
	VkDots	   *dots = vk_place(run, 2, sizeof(VkDots), 4);

	memset(dots, 0, sizeof(*dots));
	VK_CALL(run, scan_float[block->which]) (block->query, 0, block->code, cut,
											dots);
	VK_CALL(run, scan_float[block->which]) (block->query, cut, block->code +
											(size_t) cut * VK_LINE_SIZE,
											block->lines - cut, dots);
	vk_check(run, vk_buffer_intact(2, dots, sizeof(*dots)),
			 "scan_%s dim %d writes around its sums",
			 vk_element_names[block->element], block->dim);
	for (int lane = 0; lane < VK_LANES; lane++)
		vk_check(run, vk_same_f32(dots->f[lane], want->f[lane]),
				 "scan_%s dim %d %s cut at %d lane %d: %.9g, ref %.9g",
				 vk_element_names[block->element], block->dim, block->words, cut,
				 lane, dots->f[lane], want->f[lane]);
}

/* one fused rounding a dimension */
static void
check_truth(VkCheckRun *run, const Block *block, const VkDots *dots)
{
	static double values[VK_MAX_DIM];

	for (int lane = 0; lane < VK_LANES; lane++)
	{
		VkWide		sum = {0, 0};
		double		magnitude = 0;

		vk_widen(block->element, block->rows + (size_t) lane * block->dim *
				 vk_element_size[block->element], block->dim, values);
		for (int i = 0; i < block->dim; i++)
		{
			vk_wide_add(&sum, block->query[i] * values[i]); /* exact */
			magnitude += fabs(block->query[i] * values[i]);
		}
		if (!(magnitude <= FLT_MAX / 4))
			continue;
		vk_check(run, fabs(dots->f[lane] - sum.high) <=
				 vk_rounding(block->dim) * magnitude + block->dim * 0x1p-149 +
				 0x1p-90 * magnitude,
				 "scan_%s dim %d %s lane %d: %.9g, truth %.9g",
				 vk_element_names[block->element], block->dim, block->words, lane,
				 dots->f[lane], sum.high);
	}
}

static void
check_block(VkCheckRun *run, Block *block, int pattern)
{
	VkDots		want;

	fill_block(run, block, pattern);
	memset(&want, 0, sizeof(want));
	run->ref->scan_float[block->which] (block->query, 0, block->code,
										block->lines, &want);
	if (block->lines <= ALL_CUTS)
		for (int cut = 0; cut <= block->lines; cut++)
			check_cut(run, block, cut, &want);
	else
		check_cut(run, block, vk_random_below(run, block->lines + 1), &want);
	check_truth(run, block, &want);
}

void
vk_check_floats(VkCheckRun *run)
{
	for (int d = vk_check_first(run); d < vk_check_dim_count;
		 d += vk_check_step(run))
		for (int which = 0; which < VK_FLOAT_FORMATS; which++)
			for (int pattern = 0; pattern <= CANCELLING; pattern++)
			{
				Block		block;

				block.element = elements[which];
				block.which = which;
				block.dim = vk_check_dims[d];
				block.lines = vk_format_lines((VkFormat) (VK_FORMAT_F16 + which),
											  block.dim);
				block.query = vk_place(run, 0, (block.dim + 1) / 2 * 2 * sizeof(float),
									   4);
				block.code = vk_place(run, 1, (size_t) block.lines * VK_LINE_SIZE, 1);
				block.rows = malloc(VK_LANES * (size_t) block.dim * 4 + 1);
				check_block(run, &block, pattern);
				free(block.rows);
			}
}
