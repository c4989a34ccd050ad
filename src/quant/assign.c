/*-------------------------------------------------------------------------
 *
 * assign.c
 *	  Nearest centroid of many int8 rows, by the tile over 8-bit lines.
 *
 * NOTES
 *	  Dots are exact integers and the rest is a handful of float operations in
 *	  one fixed order, so the answer is the same on every ISA.  Rows are packed
 *	  once a call, with groups once more for each, and centroids are taken a few
 *	  blocks at a time: dots then stay in the second-level cache.
 *
 *	  Above VK_ASSIGN_GROUPED centroids lie group after group (groups.c), and a row
 *	  is compared with those of the nearest NEAR_GROUPS groups alone: for a few
 *	  rows in a thousand another centroid is a little nearer.  Rows of a call that
 *	  have a group in common are one tile.
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

/* groups of so many centroids: it takes as long to find the near ones as to look in one */
static int
group_count(int lists)
{
	int			groups = (int) ceil(sqrt(lists));

	if (lists <= VK_ASSIGN_GROUPED)
		return 0;
	return groups > vk_group_count(lists) ? groups : vk_group_count(lists);
}

/* blocks at most: each group ends with one that may be part empty */
static int
block_count(int lists, int groups)
{
	return (lists + VK_LANES - 1) / VK_LANES + groups;
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

static void
carve_blocks(VkCenterBlocks *blocks, char *base, size_t *used, int dim, int count)
{
	blocks->lines = carve(base, used, lines_size(dim, count));
	blocks->scales = carve(base, used, sizeof(float) * VK_LANES * count);
	blocks->norms2 = carve(base, used, sizeof(float) * VK_LANES * count);
	blocks->runs = carve(base, used, sizeof(VkLineRun) * count);
}

/*
 * The pieces of an assigner's memory.  What the rows of a call take is not needed
 * while groups are made (grouping).
 */
static size_t
carve_assigner(VkAssigner *assigner, char *base, int dim, int lists, void **grouping)
{
	const int	groups = group_count(lists);
	const int	blocks = block_count(lists, groups);
	size_t		used = 0;
	size_t		grouped = 0;

	carve_blocks(&assigner->all, base, &used, dim, blocks);
	if (groups > 0)
	{
		carve_blocks(&assigner->coarse, base, &used, dim, block_count(groups, 0));
		assigner->numbers = carve(base, &used, sizeof(int32_t) * VK_LANES * blocks);
		assigner->starts = carve(base, &used, sizeof(int32_t) * (groups + 1));
		grouped = used;
		*grouping = carve(base, &grouped,
						  vk_grouping_size(dim, lists, groups, own_stride(dim)));
		assigner->group_scores = carve(base, &used, sizeof(float) * VK_ASSIGN_ROWS * groups);
		assigner->near = carve(base, &used, sizeof(int32_t) * VK_ASSIGN_ROWS * NEAR_GROUPS);
		assigner->pairs = carve(base, &used, VK_ASSIGN_ROWS * NEAR_GROUPS);
		assigner->pair_starts = carve(base, &used, sizeof(int32_t) * (groups + 1));
		assigner->gathered = carve(base, &used, VK_ASSIGN_ROWS * own_stride(dim));
	}
	assigner->dots = carve(base, &used, dots_size(blocks));
	assigner->packed = carve(base, &used, packed_size(dim));
	return used > grouped ? used : grouped;
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

/* what centroids are packed from */
typedef struct Source
{
	int			dim;
	const int8_t *codes;
	size_t		stride;
	const float *scales;
	const int32_t *members;		/* their order; NULL: as they are */
} Source;

/* the next block: count centroids, from first on */
static void
put_block(VkCenterBlocks *blocks, const Source *source, int first, int count)
{
	const int	dim = source->dim;
	const int	block = blocks->count++;
	uint8_t    *to = blocks->lines + lines_size(dim, block);

	memset(to, 0, lines_size(dim, 1));
	blocks->runs[block] = (VkLineRun) {to, vk_format_lines(VK_FORMAT_B8, dim)};
	for (int lane = 0; lane < VK_LANES; lane++)
	{
		const int	place = block * VK_LANES + lane;
		int			list;
		const int8_t *code;

		if (lane >= count)
		{
			blocks->scales[place] = 0;
			blocks->norms2[place] = INFINITY;
			continue;
		}
		list = source->members == NULL ? first + lane : source->members[first + lane];
		code = source->codes + list * source->stride;
		put_lane(to, lane, code, dim);
		blocks->scales[place] = source->scales[list];
		blocks->norms2[place] = (float) ((double) source->scales[list] *
										 source->scales[list] *
										 (double) code_norm2(code, dim));
	}
}

/* centroids from first to end - 1 */
static void
put_blocks(VkCenterBlocks *blocks, const Source *source, int first, int end)
{
	for (; first < end; first += VK_LANES)
		put_block(blocks, source, first, end - first < VK_LANES ? end - first : VK_LANES);
}

static void
put_groups(VkAssigner *assigner, const Source *source, VkPause pause, void *memory)
{
	VkGrouping	grouping = {
		.dim = assigner->dim, .lists = assigner->lists, .stride = source->stride,
		.center_codes = source->codes, .center_scales = source->scales, .pause = pause,
		.groups = assigner->groups
	};
	Source		members = *source;
	Source		centers = {assigner->dim};

	vk_group_centers(&grouping, memory);
	members.members = grouping.members;
	assigner->groups = grouping.groups;
	for (int group = 0; group < grouping.groups; group++)
	{
		int			first = grouping.starts[group];
		int			end = grouping.starts[group + 1];

		assigner->starts[group] = assigner->all.count;
		memcpy(assigner->numbers + assigner->all.count * VK_LANES,
			   grouping.members + first, sizeof(int32_t) * (end - first));
		put_blocks(&assigner->all, &members, first, end);
	}
	assigner->starts[grouping.groups] = assigner->all.count;
	centers.codes = grouping.codes;
	centers.stride = grouping.stride;
	centers.scales = grouping.scales;
	put_blocks(&assigner->coarse, &centers, 0, grouping.groups);
}

void
vk_assigner_init(VkAssigner *assigner, int dim, int lists, const int8_t *codes,
				 size_t stride, const float *scales, VkPause pause, void *memory)
{
	Source		source = {dim, codes, stride, scales, NULL};
	void	   *grouping = NULL;

	assigner->dim = dim;
	assigner->lists = lists;
	assigner->groups = group_count(lists);
	assigner->all.count = assigner->coarse.count = 0;
	carve_assigner(assigner, (char *) aligned((size_t) (uintptr_t) memory), dim, lists,
				   &grouping);
	if (assigner->groups > 0)
		put_groups(assigner, &source, pause, grouping);
	else
		put_blocks(&assigner->all, &source, 0, lists);
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

/* the rows of a call */
typedef struct Rows
{
	const int8_t *codes;
	size_t		stride;
	const float *scales;
	int			count;
	int32_t		corrections[VK_ASSIGN_ROWS];
} Rows;

static void
init_rows(Rows *rows, const VkAssigner *assigner, const int8_t *codes, size_t stride,
		  const float *scales, int count)
{
	rows->codes = codes;
	rows->stride = stride;
	rows->scales = scales;
	rows->count = count;
	for (int i = 0; i < count; i++)
		rows->corrections[i] = 128 * code_sum(codes + i * stride, assigner->dim);
}

static void
pack_rows(VkAssigner *assigner, const Rows *rows)
{
	vk_kernels->pack_tile[VK_FORMAT_B8] (rows->codes, rows->stride, rows->count,
										 assigner->dim, assigner->packed);
}

/* a chunk of blocks, from one on */
static int
chunk_blocks(int block, int end)
{
	return end - block < CHUNK_BLOCKS ? end - block : CHUNK_BLOCKS;
}

/* dots of packed rows with a chunk of blocks */
static void
make_dots(VkAssigner *assigner, const VkCenterBlocks *blocks, int rows, int block, int count)
{
	vk_kernels->tile[VK_FORMAT_B8] (assigner->packed, rows, assigner->dim,
									blocks->runs + block, count, 0,
									vk_format_lines(VK_FORMAT_B8, assigner->dim),
									assigner->dots);
}

/* the nearest to packed rows, as far as they are in some blocks */
static void
nearest_in_blocks(VkAssigner *assigner, int block, int end, const Rows *rows,
				  Nearest *nearest)
{
	const VkCenterBlocks *all = &assigner->all;

	for (; block < end; block += CHUNK_BLOCKS)
	{
		int			first = block * VK_LANES;
		int			lanes = chunk_blocks(block, end) * VK_LANES;

		make_dots(assigner, all, rows->count, block, chunk_blocks(block, end));
		for (int i = 0; i < rows->count; i++)
			vk_kernels->nearest(assigner->dots + (size_t) i * lanes,
								all->scales + first, all->norms2 + first, lanes,
								rows->corrections[i], 2 * rows->scales[i], first,
								&nearest[i].distance, &nearest[i].list);
	}
}

/* |c|^2 - 2 <x,c> of row i of the dots at hand and count centroids, from first on */
static void
score_dots(const VkAssigner *assigner, const VkCenterBlocks *blocks, const Rows *rows,
		   int i, int first, int lanes, int count, float *scores)
{
	const int32_t *dots = assigner->dots + (size_t) i * lanes;

	for (int j = 0; j < count; j++)
		scores[j] = blocks->norms2[first + j] -
			2 * rows->scales[i] * blocks->scales[first + j] *
			(dots[j] - rows->corrections[i]);
}

/* all rows with the centres of all groups */
static void
score_groups(VkAssigner *assigner, const Rows *rows)
{
	const VkCenterBlocks *coarse = &assigner->coarse;

	pack_rows(assigner, rows);
	for (int block = 0; block < coarse->count; block += CHUNK_BLOCKS)
	{
		int			first = block * VK_LANES;
		int			lanes = chunk_blocks(block, coarse->count) * VK_LANES;
		int			left = assigner->groups - first;

		make_dots(assigner, coarse, rows->count, block, lanes / VK_LANES);
		for (int i = 0; i < rows->count; i++)
			score_dots(assigner, coarse, rows, i, first, lanes, lanes < left ? lanes : left,
					   assigner->group_scores + (size_t) i * assigner->groups + first);
	}
}

/* the groups of the lowest scores, in order; returns how many */
static int
near_groups(const float *scores, int groups, int32_t *near)
{
	int			count = 0;

	for (int group = 0; group < groups; group++)
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

/* The groups that each row is compared with; returns how many, the same for all. */
static int
choose_groups(VkAssigner *assigner, const Rows *rows)
{
	int			count = 0;

	score_groups(assigner, rows);
	for (int i = 0; i < rows->count; i++)
		count = near_groups(assigner->group_scores + (size_t) i * assigner->groups,
							assigner->groups, assigner->near + i * NEAR_GROUPS);
	return count;
}

/* The rows of each group, where each row has so many: pairs, and where they start. */
static void
sort_pairs(VkAssigner *assigner, int rows, int near)
{
	int32_t    *starts = assigner->pair_starts;
	int32_t		sum = 0;

	memset(starts, 0, sizeof(int32_t) * (assigner->groups + 1));
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < near; j++)
			starts[assigner->near[i * NEAR_GROUPS + j]]++;
	for (int group = 0; group <= assigner->groups; group++)
	{
		sum += starts[group];
		starts[group] = sum;
	}
	/* filling from the end moves each end to its start */
	for (int i = rows - 1; i >= 0; i--)
		for (int j = 0; j < near; j++)
			assigner->pairs[--starts[assigner->near[i * NEAR_GROUPS + j]]] = (uint8_t) i;
}

/* the rows that are compared with a group, gathered */
static void
nearest_in_group(VkAssigner *assigner, const Rows *rows, int group, Nearest *nearest)
{
	const uint8_t *pairs = assigner->pairs + assigner->pair_starts[group];
	const size_t stride = own_stride(assigner->dim);
	float		scales[VK_ASSIGN_ROWS];
	Nearest		members[VK_ASSIGN_ROWS];
	Rows		part = {assigner->gathered, stride, scales};

	part.count = assigner->pair_starts[group + 1] - assigner->pair_starts[group];
	for (int i = 0; i < part.count; i++)
	{
		memcpy(assigner->gathered + i * stride, rows->codes + pairs[i] * rows->stride,
			   assigner->dim);
		scales[i] = rows->scales[pairs[i]];
		part.corrections[i] = rows->corrections[pairs[i]];
		members[i] = nearest[pairs[i]];
	}
	pack_rows(assigner, &part);
	nearest_in_blocks(assigner, assigner->starts[group], assigner->starts[group + 1], &part,
					  members);
	for (int i = 0; i < part.count; i++)
		nearest[pairs[i]] = members[i];
}

static void
nearest_in_groups(VkAssigner *assigner, const Rows *rows, Nearest *nearest)
{
	sort_pairs(assigner, rows->count, choose_groups(assigner, rows));
	for (int group = 0; group < assigner->groups; group++)
		if (assigner->pair_starts[group] < assigner->pair_starts[group + 1])
			nearest_in_group(assigner, rows, group, nearest);
}

void
vk_assign(VkAssigner *assigner, const int8_t *codes, size_t stride,
		  const float *scales, int m, int32_t *list)
{
	Nearest		nearest[VK_ASSIGN_ROWS];
	Rows		rows;

	init_rows(&rows, assigner, codes, stride, scales, m);
	for (int i = 0; i < m; i++)
		nearest[i] = (Nearest) {INFINITY, 0};
	if (assigner->groups == 0)
	{
		pack_rows(assigner, &rows);
		nearest_in_blocks(assigner, 0, assigner->all.count, &rows, nearest);
	}
	else
		nearest_in_groups(assigner, &rows, nearest);
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
take_blocks(VkAssigner *assigner, const Rows *row, int block, int end, Several *best)
{
	const VkCenterBlocks *all = &assigner->all;

	for (; block < end; block += CHUNK_BLOCKS)
	{
		int			lanes = chunk_blocks(block, end) * VK_LANES;
		float		scores[CHUNK_BLOCKS * VK_LANES];

		make_dots(assigner, all, 1, block, lanes / VK_LANES);
		score_dots(assigner, all, row, 0, block * VK_LANES, lanes, lanes, scores);
		for (int i = 0; i < lanes; i++)
		{
			int			place = block * VK_LANES + i;
			int			at = best->count;

			if (all->norms2[place] == INFINITY ||
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
	Several		best = {wanted, 0, list, {0}};
	Rows		row;
	int			count;

	init_rows(&row, assigner, code, own_stride(assigner->dim), &scale, 1);
	if (assigner->groups == 0)
	{
		pack_rows(assigner, &row);
		take_blocks(assigner, &row, 0, assigner->all.count, &best);
		return best.count;
	}
	/* it is packed for these, too */
	count = choose_groups(assigner, &row);
	for (int i = 0; i < count; i++)
		take_blocks(assigner, &row, assigner->starts[assigner->near[i]],
					assigner->starts[assigner->near[i] + 1], &best);
	return best.count;
}
