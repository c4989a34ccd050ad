/*-------------------------------------------------------------------------
 *
 * assign.c
 *	  Nearest centroid of many int8 rows, by the tile over 8-bit lines.
 *
 * NOTES
 *	  Dots are exact integers and the rest is a handful of float operations in
 *	  one fixed order, so the answer is the same on every ISA.  Rows are packed
 *	  once a call, and centroids are taken a few blocks at a time: dots then
 *	  stay in the first-level cache.
 *
 * IDENTIFICATION
 *	  src/quant/assign.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "quant/quant.h"

#define CHUNK_BLOCKS	16		/* blocks of centroids a tile */

static size_t
aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

static int
block_count(int lists)
{
	return (lists + VK_LANES - 1) / VK_LANES;
}

static size_t
lines_size(int dim, int blocks)
{
	return (size_t) blocks * vk_format_lines(VK_FORMAT_B8, dim) * VK_LINE_SIZE;
}

static size_t
dots_size(int blocks)
{
	int			chunk = blocks < CHUNK_BLOCKS ? blocks : CHUNK_BLOCKS;

	return (size_t) VK_ASSIGN_ROWS * VK_LANES * chunk * sizeof(int32_t);
}

static size_t
packed_size(int dim)
{
	return VK_PACKED_TILE_SIZE(VK_FORMAT_B8, VK_ASSIGN_ROWS, dim);
}

size_t
vk_assigner_size(int dim, int lists)
{
	int			blocks = block_count(lists);

	return 64 + lines_size(dim, blocks) +
		2 * aligned(sizeof(float) * VK_LANES * blocks) +
		aligned(dots_size(blocks)) + aligned(packed_size(dim)) +
		aligned(sizeof(VkLineRun) * blocks);
}

static int64_t
code_norm2(const int8_t *code, int dim)
{
	int64_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += code[i] * code[i];
	return sum;
}

/* a centroid's bytes into its lane, flipped to unsigned */
static void
put_lane(uint8_t *block, int lane, const int8_t *code, int dim)
{
	for (int i = 0; i < dim; i++)
		block[(size_t) (i / 4) * VK_LINE_SIZE + lane * 4 + i % 4] =
			(uint8_t) (code[i] + 128);
}

void
vk_assigner_init(VkAssigner *assigner, int dim, int lists, const int8_t *codes,
				 size_t stride, const float *scales, void *memory)
{
	int			blocks = block_count(lists);
	char	   *next = (char *) aligned((size_t) (uintptr_t) memory);

	assigner->dim = dim;
	assigner->lists = lists;
	assigner->blocks = blocks;
	assigner->lines = (uint8_t *) next;
	next += lines_size(dim, blocks);
	assigner->scales = (float *) next;
	next += aligned(sizeof(float) * VK_LANES * blocks);
	assigner->norms2 = (float *) next;
	next += aligned(sizeof(float) * VK_LANES * blocks);
	assigner->dots = (int32_t *) next;
	next += aligned(dots_size(blocks));
	assigner->packed = next;
	next += aligned(packed_size(dim));
	assigner->runs = (VkLineRun *) next;

	for (int block = 0; block < blocks; block++)
		assigner->runs[block] =
			(VkLineRun) {assigner->lines + lines_size(dim, block),
						 vk_format_lines(VK_FORMAT_B8, dim)};
	memset(assigner->lines, 0, lines_size(dim, blocks));
	for (int list = 0; list < VK_LANES * blocks; list++)
	{
		const int8_t *code = codes + list * stride;

		if (list >= lists)
		{
			assigner->scales[list] = 0;
			assigner->norms2[list] = INFINITY;
			continue;
		}
		put_lane(assigner->lines + lines_size(dim, list / VK_LANES),
				 list % VK_LANES, code, dim);
		assigner->scales[list] = scales[list];
		assigner->norms2[list] = (float) ((double) scales[list] * scales[list] *
										  (double) code_norm2(code, dim));
	}
}

/* the best seen so far for one row */
typedef struct Nearest
{
	float		distance;		/* |c|^2 - 2 <x,c> */
	int32_t		list;
} Nearest;

static int32_t
code_sum(const int8_t *code, int dim)
{
	int32_t		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += code[i];
	return sum;
}

void
vk_assign(VkAssigner *assigner, const int8_t *codes, size_t stride,
		  const float *scales, int m, int32_t *list)
{
	const int	dim = assigner->dim;
	Nearest		nearest[VK_ASSIGN_ROWS];
	int32_t		corrections[VK_ASSIGN_ROWS];

	for (int i = 0; i < m; i++)
	{
		nearest[i] = (Nearest) {INFINITY, 0};
		corrections[i] = 128 * code_sum(codes + i * stride, dim);
	}
	vk_kernels->pack_tile[VK_FORMAT_B8] (codes, stride, m, dim, assigner->packed);
	for (int block = 0; block < assigner->blocks; block += CHUNK_BLOCKS)
	{
		int			first = block * VK_LANES;
		int			blocks = assigner->blocks - block;

		if (blocks > CHUNK_BLOCKS)
			blocks = CHUNK_BLOCKS;
		vk_kernels->tile[VK_FORMAT_B8] (assigner->packed, m, dim,
										assigner->runs + block, blocks, 0,
										vk_format_lines(VK_FORMAT_B8, dim),
										assigner->dots);
		for (int i = 0; i < m; i++)
			vk_kernels->nearest(assigner->dots + (size_t) i * blocks * VK_LANES,
								assigner->scales + first,
								assigner->norms2 + first, blocks * VK_LANES,
								corrections[i], 2 * scales[i], first,
								&nearest[i].distance, &nearest[i].list);
	}
	for (int i = 0; i < m; i++)
		list[i] = nearest[i].list;
}
