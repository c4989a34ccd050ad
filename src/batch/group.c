/*-------------------------------------------------------------------------
 *
 * group.c
 *	  Queries in groups: how they meet blocks, and their codes.
 *
 * NOTES
 *	  Coding a query against a list's centre costs as much as its tile with the
 *	  list.  Where bounds are statistical queries are coded once, against the mean,
 *	  and the centre is one more query of the group: <q - c, x'> is <q, x'> - <c, x'>,
 *	  off by the error of q's code, which is little beside that of one-bit rows.
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
	{"sme", {4, 4, 4, 4}},
};

static const char *const tile_slots[VK_INT_FORMATS] = {
	"tile_b1", "tile_b2", "tile_b4", "tile_b8"
};

/* queries from which on the centre as one of them is cheaper than their codes
 * against it */
#define BY_MEAN_PAYS	4
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

static bool
has_tile(const VkCoder *coder)
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
	if (!has_tile(coder))
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
vk_scorer_create(VkBatch *batch)
{
	VkBatchScorer *scorer = palloc0(sizeof(VkBatchScorer));
	const VkIndex *vk = batch->target->vk;
	const VkCoder *coder = &vk->coder;
	VkBlocks   *blocks = vk_blocks_create(vk, batch->blocks_size);
	int			lanes = blocks->capacity * VK_LANES;

	scorer->batch = batch;
	scorer->index = batch->target->index;
	scorer->coder = coder;
	scorer->proven = batch->strict;
	choose_tile(scorer);
	scorer->blocks = blocks;
	scorer->places = palloc(blocks->capacity * sizeof(int));
	scorer->live = palloc(blocks->capacity * sizeof(uint16));
	scorer->runs = palloc(blocks->capacity * sizeof(VkLineRun));
	scorer->rows = allocate_lines(blocks->capacity * sizeof(VkScreenRows));
	scorer->groups = palloc(block_groups(blocks->capacity) * sizeof(VkScreenBlocks));
	scorer->masks = palloc(block_groups(blocks->capacity) * sizeof(uint16));
	scorer->dots = allocate_lines((Size) (VK_GROUP_QUERIES + 1) * lanes * sizeof(int32));
	scorer->query_stride = TYPEALIGN(VK_LINE_SIZE, coder->dim);
	scorer->query_codes = allocate_lines((VK_GROUP_QUERIES + 1) * scorer->query_stride);
	vk_query_code_create(coder, &scorer->code);
	scorer->code.packed_scan = NULL;
	scorer->center_dots = palloc(lanes * sizeof(float));
	if (coder->refine_size > 0)
	{
		scorer->fresh = palloc(lanes * sizeof(FreshLane));
		scorer->uppers = palloc(lanes * sizeof(float));
		scorer->refine = palloc((Size) lanes * coder->refine_size);
		scorer->refine_read = palloc(lanes * sizeof(bool));
		scorer->refine_center = palloc(lanes * sizeof(double));
	}
	return scorer;
}

/* ---- groups ---- */

static Size
packed_size(const VkCoder *coder, int count)
{
	return has_tile(coder) ? VK_PACKED_TILE_SIZE(coder->format, count, coder->dim) : 0;
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
		size += coder->dim;
	return has_tile(coder) ? size : size + sizeof(VkQueryCode) + vk_query_code_size(coder);
}

VkBatchGroup *
vk_group_create(const VkBatchScorer *scorer, int most)
{
	const VkCoder *coder = scorer->coder;
	VkBatchGroup *group = palloc0(sizeof(VkBatchGroup));

	if (has_tile(coder))
		group->packed = allocate_lines(packed_size(coder, most + 1));
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
 * its cache.  Always inline: see prefetch_lines in list_scan.c.
 */
static pg_attribute_always_inline void
prefetch_query(const VkBatchQuery *query, int dim, bool by_mean)
{
	const char *start = (const char *) query->query.rotated;
	Size		size = dim * sizeof(float);

	if (by_mean && query->mean_code != NULL)
	{
		start = (const char *) query->mean_code;
		size = dim;
	}
	for (Size at = 0; at < size; at += VK_LINE_SIZE)
		__builtin_prefetch(start + at);
}

/* a query's code against the mean, made once */
static void
set_mean_code(VkBatchScorer *scorer, VkBatchQuery *query)
{
	const VkCenter mean = {0};
	VkQueryCode *code = &scorer->code;

	vk_query_code_set(scorer->coder, &query->query, &mean, true, code);
	query->mean_code = MemoryContextAlloc(scorer->batch->context, scorer->coder->dim);
	memcpy(query->mean_code, code->code, scorer->coder->dim);
	query->quantized = code->quantized;
}

/*
 * Are the queries' codes against the mean good for this centre?  Not those of one
 * so near the mean that its scale has no room for dots with the centre, nor that of
 * the mean itself, which has no scale.
 */
static bool
codes_reach(VkBatchScorer *scorer, VkBatchQuery **queries, int count,
			const VkCenter *center)
{
	double		greatest = scorer->coder->dim * 127.0 *
		vk_batch_zero_code(scorer->coder) * center->a;

	for (int i = 0; i < count; i++)
	{
		if (queries[i]->mean_code == NULL)
			set_mean_code(scorer, queries[i]);
		if (!(queries[i]->quantized.scale > 0) ||
			!(greatest <= CENTER_DOT_MAX * queries[i]->quantized.scale))
			return false;
	}
	return true;
}

/* Code a query of the group by its code against the mean. */
static void
move_code(VkBatchScorer *scorer, VkBatchGroup *group, int i, const VkCenter *center,
		  VkQueryCode *code)
{
	const VkCoder *coder = scorer->coder;
	VkBatchQuery *query = group->queries[i];

	memcpy(scorer->query_codes + i * scorer->query_stride, query->mean_code, coder->dim);
	vk_query_code_pack(coder, query->mean_code, code);
	vk_query_code_move(coder, &query->query, &query->quantized, query->mean_code, center,
					   code);
	group->center_shares[i] = center->a / code->quantized.scale;
}

/* Make the centre one more query of the group. */
static void
add_center(VkBatchScorer *scorer, VkBatchGroup *group, const VkCenter *center)
{
	const VkCoder *coder = scorer->coder;
	VkQueryCode *code = &group->center;

	if (code->values == NULL)
	{
		vk_query_code_create(coder, code);
		group->center_scan = code->packed_scan;
	}
	code->packed_scan = group->tiled ? NULL : group->center_scan;
	code->quantized.scale = center->a;
	code->quantized.sum = 0;
	for (int d = 0; d < coder->dim; d++)
		code->quantized.sum += center->code[d];
	vk_query_code_pack(coder, center->code, code);
	memcpy(scorer->query_codes + group->count * scorer->query_stride, center->code,
		   coder->dim);
}

void
vk_group_set(VkBatchScorer *scorer, VkBatchGroup *group, VkBatchQuery **queries,
			 int count, const VkCenter *center)
{
	const VkCoder *coder = scorer->coder;

	group->count = count;
	group->tiled = count >= scorer->tile_pays;
	group->after = scorer->batch->once ? PG_UINT64_MAX : 0;
	group->by_mean = has_tile(coder) && count >= BY_MEAN_PAYS && !scorer->proven &&
		center->code != NULL && vk_metric_centered(coder->metric) &&
		codes_reach(scorer, queries, count, center);
	if (group->by_mean)
		add_center(scorer, group, center);
	for (int i = 0; i < count; i++)
	{
		VkQueryCode *code = group_code(scorer, group, i);

		if (i + CODED_AHEAD < count)
			prefetch_query(queries[i + CODED_AHEAD], coder->dim, group->by_mean);
		group->queries[i] = queries[i];
		group->after = Min(group->after, queries[i]->self);
		if (group->by_mean)
			move_code(scorer, group, i, center, code);
		else
		{
			vk_query_code_set(coder, &queries[i]->query, center, true, code);
			memcpy(scorer->query_codes + i * scorer->query_stride, code->code, coder->dim);
		}
		group->bounds[i] = code->bound;
		if (group->tiled)
		{
			vk_screen_query(&code->bound, scorer->proven, queries[i]->threshold,
							&group->screens[i]);
			group->thresholds[i] = queries[i]->threshold;
		}
	}
	group->kernels = vk_kernels;
	if (group->tiled)
		group->kernels->pack_tile[coder->format] (scorer->query_codes,
												  scorer->query_stride,
												  count + group->by_mean, coder->dim,
												  group->packed);
}
