/*-------------------------------------------------------------------------
 *
 * group.c
 *	  Queries in groups: how they meet blocks, and their codes.
 *
 * NOTES
 *	  Coding a query against a list's centre costs as much as its tile with the
 *	  list.  Where bounds are statistical queries are coded once, against the mean:
 *	  <q - c, x'> is <q, x'> - <c, x'>, which rows know, off by the error of q's code,
 *	  which is little beside that of one-bit rows.
 *
 * IDENTIFICATION
 *	  src/batch/group.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "batch/score.h"

/*
 * Queries from which on a tile is faster than as many scans of the same blocks,
 * by the instruction set of the tile and the format.  avx2 and avx512 were
 * measured (512 rows of 128 and 768 dimensions, bench/kernels.py); the others
 * follow from kernels/README.md.
 */
static const struct
{
	const char *isa;
	int			queries[VK_INT_FORMATS];	/* 1, 2, 4 and 8 bits */
}			tile_pays[] = {
	{"avx2", {2, 2, 2, 2}},
	{"avx512", {2, 4, 4, 2}},
	{"amx", {8, 6, 6, 6}},
	{"neon", {4, 4, 4, 4}},
	{"sve", {4, 4, 4, 4}},
	{"sme", {4, 4, 4, 4}},
};

static const char *const tile_slots[VK_INT_FORMATS] = {
	"tile_b1", "tile_b2", "tile_b4", "tile_b8"
};

/* dots with the centre, on the scale of a query's, above which sums might overflow */
#define CENTER_DOT_MAX	0x1p28

/* queries ahead that are asked for while one is coded */
#define CODED_AHEAD		1

static void *
allocate_lines(Size size)
{
	return (void *) TYPEALIGN(VK_LINE_SIZE,
							  MemoryContextAllocHuge(CurrentMemoryContext,
													 size + VK_LINE_SIZE));
}

static const char *
tile_isa(VkFormat format)
{
	for (int slot = 0; slot < vk_slot_count; slot++)
		if (strcmp(vk_slot_names[slot], tile_slots[format]) == 0)
			return vk_slot_isa(slot);
	return NULL;
}

bool
vk_has_tiles(const VkCoder *coder)
{
	return coder->format < VK_INT_FORMATS && coder->metric != VK_METRIC_L1 &&
		!vk_metric_of_bits(coder->metric);
}

/* Find out from how many queries on tiles pay, if there are any. */
static void
choose_tile(VkBatchScorer *scorer)
{
	const VkCoder *coder = scorer->coder;

	scorer->tile_pays = PG_INT32_MAX;
	if (!vk_has_tiles(coder))
		return;
	scorer->isa = tile_isa(coder->format);
	scorer->tile_pays = 1;
	for (size_t i = 0; i < lengthof(tile_pays); i++)
		if (scorer->isa != NULL && strcmp(tile_pays[i].isa, scorer->isa) == 0)
			scorer->tile_pays = tile_pays[i].queries[coder->format];
}

void
vk_scorer_path(const VkBatchScorer *scorer, int queries, char *path)
{
	if (queries >= scorer->tile_pays)
		snprintf(path, VK_PATH_SIZE, "tile %s", scorer->isa);
	else
		strlcpy(path, "blocks", VK_PATH_SIZE);
}

/* sixteen blocks each, for screen_blocks */
static int
block_groups(int blocks)
{
	return (blocks + VK_LANES - 1) / VK_LANES;
}

VkBatchScorer *
vk_scorer_create(VkBatch *batch, const VkCoder *coder, float epsilon)
{
	VkBatchScorer *scorer = palloc0(sizeof(VkBatchScorer));
	VkBlocks   *blocks = vk_blocks_create(batch->target->vk, batch->blocks_size);
	int			lanes = blocks->capacity * VK_LANES;

	scorer->batch = batch;
	scorer->index = batch->target->index;
	scorer->coder = coder;
	scorer->proven = batch->strict;
	scorer->epsilon = epsilon;
	choose_tile(scorer);
	scorer->blocks = blocks;
	scorer->places = palloc(blocks->capacity * sizeof(int));
	scorer->live = palloc(blocks->capacity * sizeof(uint16));
	scorer->runs = palloc(blocks->capacity * sizeof(VkLineRun));
	scorer->rows = allocate_lines(blocks->capacity * sizeof(VkScreenRows));
	scorer->groups = palloc(block_groups(blocks->capacity) * sizeof(VkScreenBlocks));
	scorer->masks = palloc(block_groups(blocks->capacity) * sizeof(uint16));
	scorer->dots = allocate_lines((Size) VK_GROUP_QUERIES * lanes * sizeof(int32));
	scorer->query_stride = TYPEALIGN(VK_LINE_SIZE, coder->dim);
	scorer->query_codes = allocate_lines(VK_GROUP_QUERIES * scorer->query_stride);
	vk_query_code_create(coder, &scorer->code);
	scorer->code.packed_scan = NULL;
	scorer->center_dots = palloc(lanes * sizeof(float));
	if (coder->refine_size > 0)
	{
		for (int i = 0; i < 2; i++)
			scorer->fresh[i].lanes = palloc(lanes * sizeof(FreshLane));
		scorer->uppers = palloc(lanes * sizeof(float));
		scorer->refine = palloc((Size) lanes * coder->refine_size);
		scorer->refine_read = palloc(lanes * sizeof(bool));
	}
	return scorer;
}

/* ---- groups ---- */

static Size
packed_size(const VkCoder *coder, int count)
{
	return vk_has_tiles(coder) ? VK_PACKED_TILE_SIZE(coder->format, count, coder->dim) : 0;
}

/* must each query keep a code of its own? */
static bool
keeps_codes(const VkBatchScorer *scorer, int count)
{
	return scorer->coder->refine_size > 0 || count < scorer->tile_pays;
}

Size
vk_scorer_query_size(const VkCoder *coder)
{
	Size		size = sizeof(VkBatchGroup) / VK_GROUP_QUERIES +
		packed_size(coder, VK_GROUP_QUERIES) / VK_GROUP_QUERIES;

	if (!coder->flat)
		size += 2 * coder->dim;
	return vk_has_tiles(coder) ? size : size + sizeof(VkQueryCode) + vk_query_code_size(coder);
}

VkBatchGroup *
vk_group_create(const VkBatchScorer *scorer, int most)
{
	const VkCoder *coder = scorer->coder;
	VkBatchGroup *group = palloc0(sizeof(VkBatchGroup));

	if (vk_has_tiles(coder))
		group->packed = allocate_lines(packed_size(coder, most));
	/* lists have fewer queries than there are at most */
	group->codes = palloc0(most * sizeof(VkQueryCode));
	return group;
}

/* the code of a query of the group, with the forms that its path wants */
static VkQueryCode *
group_code(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	VkQueryCode *code = &group->codes[i];

	if (!keeps_codes(scorer, group->count))
		return &scorer->code;
	if (code->values == NULL)
	{
		vk_query_code_create(scorer->coder, code);
		group->packed_scan[i] = code->packed_scan;
	}
	code->packed_scan = group->tiled ? NULL : group->packed_scan[i];
	return code;
}

/*
 * Ask the CPU for a query that is coded soon: all of them together do not fit in
 * its cache.  Always inline: see vk_prefetch_lines.
 */
static pg_attribute_always_inline void
prefetch_query(const VkBatchQuery *query, int dim, bool moved)
{
	const char *start = (const char *) query->query.rotated;
	Size		size = dim * sizeof(float);

	if (moved && query->mean.code != NULL)
	{
		start = (const char *) query->mean.code;
		size = 2 * (Size) dim;
	}
	for (Size at = 0; at < size; at += VK_LINE_SIZE)
		__builtin_prefetch(start + at);
}

/* a query's code against the mean, made once */
static void
set_mean_code(VkBatchScorer *scorer, VkBatchQuery *query)
{
	const VkCenter mean = {0};
	const int	dim = scorer->coder->dim;
	VkQueryCode *code = &scorer->code;
	int8	   *memory = MemoryContextAlloc(scorer->batch->context, 2 * (Size) dim);

	vk_query_code_set(scorer->coder, &query->query, &mean, true, code);
	query->mean.rest = memory + dim;
	vk_mean_code_set(scorer->coder, &query->query, code, &query->mean, code->values);
	query->mean.code = memcpy(memory, code->code, dim);
}

/*
 * Code a query of the group by its code against the mean; false: that does not do.
 * Dots with the centre are taken off a tile's as integers on the scale of the query's
 * code, which has no room for them where the query is next to the mean, and is none
 * where it is the mean itself.
 */
static bool
move_code(VkBatchScorer *scorer, VkBatchGroup *group, int i, const VkCenter *center,
		  VkQueryCode *code)
{
	const VkCoder *coder = scorer->coder;
	VkBatchQuery *query = group->queries[i];
	double		greatest = coder->dim * 127.0 * vk_format_offset(coder->format) /
		vk_format_mult(coder->format) * center->a;

	if (query->mean.code == NULL)
		set_mean_code(scorer, query);
	if (!(query->mean.quantized.scale > 0) ||
		!(greatest <= CENTER_DOT_MAX * query->mean.quantized.scale) ||
		!vk_query_code_move(coder, &query->query, &query->mean, center, code))
		return false;
	vk_query_code_pack(coder, query->mean.code, code);
	memcpy(scorer->query_codes + i * scorer->query_stride, query->mean.code, coder->dim);
	return true;
}

/* Code a query of the group against a centre. */
static void
set_code(VkBatchScorer *scorer, VkBatchGroup *group, int i, const VkCenter *center)
{
	const VkCoder *coder = scorer->coder;
	VkBatchQuery *query = group->queries[i];
	VkQueryCode *code = group_code(scorer, group, i);
	bool		moved = scorer->center_dots_known && center->code != NULL &&
		move_code(scorer, group, i, center, code);

	if (!moved)
	{
		vk_query_code_set(coder, &query->query, center, true, code);
		memcpy(scorer->query_codes + i * scorer->query_stride, code->code, coder->dim);
	}
	code->bound.epsilon = scorer->epsilon;
	/* dots will be less those with the centre: by tiles or not, bounds are the same */
	group->center_shares[i] = moved ? code->bound.center_weight / code->quantized.scale : 0;
	group->bounds[i] = code->bound;
	group->bounds[i].center_weight = 0;
	if (!group->tiled)
		return;
	vk_screen_query(&code->bound, scorer->proven, query->threshold, &group->screens[i]);
	group->thresholds[i] = query->threshold;
}

void
vk_group_set(VkBatchScorer *scorer, VkBatchGroup *group, VkBatchQuery **queries,
			 int count, const VkCenter *center)
{
	const VkCoder *coder = scorer->coder;

	group->count = count;
	group->tiled = count >= scorer->tile_pays;
	group->after = scorer->batch->once ? PG_UINT64_MAX : 0;
	for (int i = 0; i < count; i++)
	{
		if (i + CODED_AHEAD < count)
			prefetch_query(queries[i + CODED_AHEAD], coder->dim,
						   scorer->center_dots_known);
		group->queries[i] = queries[i];
		group->after = Min(group->after, queries[i]->self);
		set_code(scorer, group, i, center);
	}
	group->kernels = vk_kernels;
	if (group->tiled)
		group->kernels->pack_tile[coder->format] (scorer->query_codes,
												  scorer->query_stride, count,
												  coder->dim, group->packed);
}
