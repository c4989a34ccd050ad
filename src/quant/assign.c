/*-------------------------------------------------------------------------
 *
 * assign.c
 *	  Nearest centroid of many int8 rows, by the tile over 8-bit lines.
 *
 * NOTES
 *	  Dots are exact integers and the rest is a handful of float operations in
 *	  one fixed order, so the answer is the same on every ISA.  Rows are packed
 *	  once a call, and centroids are taken a few blocks at a time: dots then
 *	  stay in the second-level cache.
 *
 *	  Above VK_GROUPED_LISTS centroids lie group after group (groups.c), and a row
 *	  is compared with those of the nearest NEAR_GROUPS groups alone: for a few
 *	  rows in a thousand another centroid is a little nearer.
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
#define NEAR_GROUPS		12		/* whose centroids a row is compared with */

static size_t
aligned(size_t size)
{
	return (size + 63) / 64 * 64;
}

/* blocks at most: each group ends with one that may be part empty */
static int
block_count(int lists)
{
	return (lists + VK_LANES - 1) / VK_LANES + vk_group_count(lists);
}

static size_t
own_stride(int dim)
{
	return ((size_t) dim + 3) / 4 * 4;
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

static void *
carve(char *base, size_t *used, size_t size)
{
	void	   *piece = base == NULL ? NULL : base + *used;

	*used += aligned(size);
	return piece;
}

/* the pieces of an assigner's memory; grouping: where groups are made */
static size_t
carve_assigner(VkAssigner *assigner, char *base, int dim, int lists, void **grouping)
{
	const int	groups = vk_group_count(lists);
	const int	blocks = block_count(lists);
	size_t		used = 0;

	assigner->lines = carve(base, &used, lines_size(dim, blocks));
	assigner->scales = carve(base, &used, sizeof(float) * VK_LANES * blocks);
	assigner->norms2 = carve(base, &used, sizeof(float) * VK_LANES * blocks);
	assigner->dots = carve(base, &used, dots_size(blocks));
	assigner->packed = carve(base, &used, packed_size(dim));
	assigner->runs = carve(base, &used, sizeof(VkLineRun) * blocks);
	if (groups > 0)
	{
		assigner->numbers = carve(base, &used, sizeof(int32_t) * VK_LANES * blocks);
		assigner->starts = carve(base, &used, sizeof(int32_t) * (groups + 1));
		assigner->group_scores = carve(base, &used, sizeof(float) * groups);
		assigner->coarse = carve(base, &used, sizeof(VkAssigner));
		assigner->coarse_memory = carve(base, &used, vk_assigner_size(dim, groups));
		*grouping = carve(base, &used, vk_grouping_size(dim, lists, own_stride(dim)));
	}
	return used;
}

size_t
vk_assigner_size(int dim, int lists)
{
	VkAssigner	assigner;
	void	   *grouping;

	return 64 + carve_assigner(&assigner, NULL, dim, lists, &grouping);
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

/* what the centroids are packed from */
typedef struct Source
{
	const int8_t *codes;
	size_t		stride;
	const float *scales;
} Source;

/* the next block: count centroids, those of members, or from first on */
static void
put_block(VkAssigner *assigner, const Source *source, const int32_t *members,
		  int first, int count)
{
	const int	dim = assigner->dim;
	const int	lines = vk_format_lines(VK_FORMAT_B8, dim);
	const int	block = assigner->blocks++;
	uint8_t    *to = assigner->lines + lines_size(dim, block);

	memset(to, 0, lines_size(dim, 1));
	assigner->runs[block] = (VkLineRun) {to, lines};
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		const int	place = block * VK_LANES + lane;
		int			list;
		const int8_t *code;

		if (lane >= count)
		{
			assigner->scales[place] = 0;
			assigner->norms2[place] = INFINITY;
			continue;
		}
		list = members == NULL ? first + lane : members[first + lane];
		code = source->codes + list * source->stride;
		put_lane(to, lane, code, dim);
		assigner->scales[place] = source->scales[list];
		assigner->norms2[place] = (float) ((double) source->scales[list] *
										   source->scales[list] *
										   (double) code_norm2(code, dim));
		if (members != NULL)
			assigner->numbers[place] = list;
	}
}

/* the centroids of members, or of all there are, from first to end - 1 */
static void
put_blocks(VkAssigner *assigner, const Source *source, const int32_t *members,
		   int first, int end)
{
	for (; first < end; first += VK_LANES)
		put_block(assigner, source, members, first,
				  end - first < VK_LANES ? end - first : VK_LANES);
}

static void
put_groups(VkAssigner *assigner, const Source *source, VkPause pause, void *memory)
{
	VkGrouping	grouping = {
		.dim = assigner->dim, .lists = assigner->lists, .stride = source->stride,
		.center_codes = source->codes, .center_scales = source->scales, .pause = pause
	};

	vk_group_centers(&grouping, memory);
	assigner->groups = grouping.groups;
	for (int group = 0; group < grouping.groups; group++)
	{
		assigner->starts[group] = assigner->blocks;
		put_blocks(assigner, source, grouping.members, grouping.starts[group],
				   grouping.starts[group + 1]);
	}
	assigner->starts[grouping.groups] = assigner->blocks;
	vk_assigner_init(assigner->coarse, assigner->dim, grouping.groups, grouping.codes,
					 grouping.stride, grouping.scales, pause, assigner->coarse_memory);
}

void
vk_assigner_init(VkAssigner *assigner, int dim, int lists, const int8_t *codes,
				 size_t stride, const float *scales, VkPause pause, void *memory)
{
	Source		source = {codes, stride, scales};
	void	   *grouping = NULL;

	carve_assigner(assigner, (char *) aligned((size_t) (uintptr_t) memory), dim,
				   lists, &grouping);
	assigner->dim = dim;
	assigner->lists = lists;
	assigner->blocks = 0;
	assigner->groups = 0;
	if (vk_group_count(lists) > 0)
		put_groups(assigner, &source, pause, grouping);
	else
		put_blocks(assigner, &source, NULL, 0, lists);
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

/* the nearest to m packed rows, as far as they are in some blocks */
static void
nearest_in_blocks(VkAssigner *assigner, int block, int end, int m,
				  const int32_t *corrections, const float *scales, Nearest *nearest)
{
	const int	dim = assigner->dim;

	for (; block < end; block += CHUNK_BLOCKS)
	{
		int			first = block * VK_LANES;
		int			blocks = end - block < CHUNK_BLOCKS ? end - block : CHUNK_BLOCKS;

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
}

/* |c|^2 - 2 <x,c> of a packed row x and the centroids of a chunk of blocks */
static void
score_chunk(VkAssigner *assigner, float scale, int32_t correction, int block,
			int blocks, float *scores)
{
	const int	dim = assigner->dim;
	const int	first = block * VK_LANES;

	vk_kernels->tile[VK_FORMAT_B8] (assigner->packed, 1, dim, assigner->runs + block,
									blocks, 0, vk_format_lines(VK_FORMAT_B8, dim),
									assigner->dots);
	for (int i = 0; i < blocks * VK_LANES; i++)
		scores[i] = assigner->norms2[first + i] -
			2 * scale * assigner->scales[first + i] * (assigner->dots[i] - correction);
}

/* all centroids, which are in no groups, by number */
static void
score_all(VkAssigner *assigner, const int8_t *code, float scale, float *scores)
{
	const int32_t correction = 128 * code_sum(code, assigner->dim);

	vk_kernels->pack_tile[VK_FORMAT_B8] (code, assigner->dim, 1, assigner->dim,
										 assigner->packed);
	for (int block = 0; block < assigner->blocks; block += CHUNK_BLOCKS)
	{
		int			left = assigner->blocks - block;
		int			blocks = left < CHUNK_BLOCKS ? left : CHUNK_BLOCKS;
		float		chunk[CHUNK_BLOCKS * VK_LANES];
		int			first = block * VK_LANES;

		score_chunk(assigner, scale, correction, block, blocks, chunk);
		for (int i = 0; i < blocks * VK_LANES && first + i < assigner->lists; i++)
			scores[first + i] = chunk[i];
	}
}

/* the groups nearest to a row, in order; returns how many */
static int
near_groups(VkAssigner *assigner, const int8_t *code, float scale, int *near)
{
	float	   *scores = assigner->group_scores;
	int			count = 0;

	score_all(assigner->coarse, code, scale, scores);
	for (int group = 0; group < assigner->groups; group++)
	{
		int			at = count;

		if (count == NEAR_GROUPS && !(scores[group] < scores[near[count - 1]]))
			continue;
		if (count < NEAR_GROUPS)
			count++;
		else
			at--;
		for (; at > 0 && scores[group] < scores[near[at - 1]]; at--)
			near[at] = near[at - 1];
		near[at] = group;
	}
	return count;
}

/* one row, which is packed: the nearest groups first */
static void
nearest_in_groups(VkAssigner *assigner, const int8_t *code, const int32_t *correction,
				  const float *scale, Nearest *nearest)
{
	int			near[NEAR_GROUPS];
	int			count = near_groups(assigner, code, *scale, near);

	for (int i = 0; i < count; i++)
		nearest_in_blocks(assigner, assigner->starts[near[i]],
						  assigner->starts[near[i] + 1], 1, correction, scale, nearest);
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
	if (assigner->groups == 0)
	{
		vk_kernels->pack_tile[VK_FORMAT_B8] (codes, stride, m, dim, assigner->packed);
		nearest_in_blocks(assigner, 0, assigner->blocks, m, corrections, scales, nearest);
	}
	for (int i = 0; i < m && assigner->groups > 0; i++)
	{
		vk_kernels->pack_tile[VK_FORMAT_B8] (codes + i * stride, stride, 1, dim,
											 assigner->packed);
		nearest_in_groups(assigner, codes + i * stride, &corrections[i], &scales[i],
						  &nearest[i]);
	}
	for (int i = 0; i < m; i++)
		list[i] = assigner->groups > 0 ? assigner->numbers[nearest[i].list] :
			nearest[i].list;
}

/* the best seen so far of several */
typedef struct Several
{
	int			wanted;
	int			count;
	int32_t    *list;
	float		scores[VK_ASSIGN_SEVERAL];
} Several;

static void
take_blocks(VkAssigner *assigner, float scale, int32_t correction, int block, int end,
			Several *best)
{
	for (; block < end; block += CHUNK_BLOCKS)
	{
		int			blocks = end - block < CHUNK_BLOCKS ? end - block : CHUNK_BLOCKS;
		float		scores[CHUNK_BLOCKS * VK_LANES];

		score_chunk(assigner, scale, correction, block, blocks, scores);
		for (int i = 0; i < blocks * VK_LANES; i++)
		{
			int			place = block * VK_LANES + i;
			int			at = best->count;

			if (assigner->norms2[place] == INFINITY ||
				(at == best->wanted && !(scores[i] < best->scores[at - 1])))
				continue;
			if (at < best->wanted)
				best->count++;
			else
				at--;
			for (; at > 0 && scores[i] < best->scores[at - 1]; at--)
			{
				best->scores[at] = best->scores[at - 1];
				best->list[at] = best->list[at - 1];
			}
			best->scores[at] = scores[i];
			best->list[at] = assigner->groups > 0 ? assigner->numbers[place] : place;
		}
	}
}

int
vk_assign_several(VkAssigner *assigner, const int8_t *code, float scale, int wanted,
				  int32_t *list)
{
	const int	dim = assigner->dim;
	const int32_t correction = 128 * code_sum(code, dim);
	Several		best = {wanted, 0, list, {0}};
	int			near[NEAR_GROUPS];
	int			count;

	vk_kernels->pack_tile[VK_FORMAT_B8] (code, dim, 1, dim, assigner->packed);
	if (assigner->groups == 0)
	{
		take_blocks(assigner, scale, correction, 0, assigner->blocks, &best);
		return best.count;
	}
	count = near_groups(assigner, code, scale, near);
	for (int i = 0; i < count; i++)
		take_blocks(assigner, scale, correction, assigner->starts[near[i]],
					assigner->starts[near[i] + 1], &best);
	return best.count;
}
