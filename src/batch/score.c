/*-------------------------------------------------------------------------
 *
 * score.c
 *	  Blocks of codes against the queries of a batch: candidates.
 *
 * NOTES
 *	  Queries go in groups.  A group takes a few blocks at a time as one tile:
 *	  the dots of all its queries with all their rows, which stay in the
 *	  second-level cache; then the screen excludes, query by query, the blocks
 *	  that hold nothing below the query's threshold, and the bounds of the others
 *	  follow from the same dots.  No larger matrix is ever made.
 *
 *	  Where codes are not integers (or distances no dots, L1), and for groups so
 *	  small that a tile does not pay, queries are scored one by one, but still
 *	  block by block while it is in the cache.
 *
 * IDENTIFICATION
 *	  src/batch/score.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "batch/batch.h"
#include "kernels/rounding.h"

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

/* queries ahead that are asked for while one is coded */
#define CODED_AHEAD		1

/* masks of blocks are looked at so many at a time */
#define MASKS_AT_A_TIME	4

/* a lane that its scan code does not exclude, to be refined */
typedef struct FreshLane
{
	float		lower;
	float		upper;
	int			place;			/* block * VK_LANES + lane */
} FreshLane;

struct VkBatchScorer
{
	VkBatch    *batch;
	Relation	index;
	const VkCoder *coder;
	bool		proven;
	const char *isa;			/* of tiles; NULL: there are none */
	int			tile_pays;		/* queries */

	uint32		slot;			/* of the list at hand */
	uint64		born;
	VkBlocks   *blocks;			/* of it */
	/* of them those that have rows to be scored: */
	int			count;
	uint64		last;			/* the last of these rows, if pairs come once */
	int		   *places;			/* among the blocks */
	uint16	   *live;			/* zero past count */
	VkLineRun  *runs;
	VkScreenRows *rows;
	uint16	   *masks;			/* of one query */
	int32	   *dots;			/* of a group */

	int8	   *query_codes;	/* of a group, to be packed */
	size_t		query_stride;
	VkQueryCode code;			/* of one query */

	FreshLane  *fresh;			/* of one query */
	float	   *uppers;			/* theirs */
	int			fresh_count;
	uint8	   *refine;			/* refine codes of the blocks, once read */
	bool	   *refine_read;
};

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

/* Find out from how many queries on tiles pay, if there are any. */
static void
choose_tile(VkBatchScorer *scorer)
{
	const VkCoder *coder = scorer->coder;

	scorer->tile_pays = PG_INT32_MAX;
	if (coder->format >= VK_INT_FORMATS || coder->metric == VK_METRIC_L1)
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

VkBatchScorer *
vk_scorer_create(VkBatch *batch)
{
	VkBatchScorer *scorer = palloc0(sizeof(VkBatchScorer));
	const VkIndex *vk = batch->target->vk;
	const VkCoder *coder = &vk->coder;
	VkBlocks   *blocks = vk_blocks_create(vk);
	int			lanes = blocks->capacity * VK_LANES;

	scorer->batch = batch;
	scorer->index = batch->target->index;
	scorer->coder = coder;
	scorer->proven = batch->strict;
	choose_tile(scorer);
	scorer->blocks = blocks;
	scorer->places = palloc(blocks->capacity * sizeof(int));
	scorer->live = palloc0(TYPEALIGN(MASKS_AT_A_TIME, blocks->capacity) * sizeof(uint16));
	scorer->runs = palloc(blocks->capacity * sizeof(VkLineRun));
	scorer->rows = allocate_lines(blocks->capacity * sizeof(VkScreenRows));
	scorer->masks = palloc0(TYPEALIGN(MASKS_AT_A_TIME, blocks->capacity) * sizeof(uint16));
	scorer->dots = allocate_lines((Size) VK_GROUP_QUERIES * lanes * sizeof(int32));
	scorer->query_stride = TYPEALIGN(VK_LINE_SIZE, coder->dim);
	scorer->query_codes = allocate_lines(VK_GROUP_QUERIES * scorer->query_stride);
	vk_query_code_create(coder, &scorer->code);
	scorer->code.packed_scan = NULL;
	if (coder->refine_size > 0)
	{
		scorer->fresh = palloc(lanes * sizeof(FreshLane));
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
	return coder->format < VK_INT_FORMATS ?
		VK_PACKED_TILE_SIZE(coder->format, count, coder->dim) : 0;
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
	bool		tiled = coder->format < VK_INT_FORMATS && coder->metric != VK_METRIC_L1;
	Size		size = sizeof(VkBatchGroup) / VK_GROUP_QUERIES +
		packed_size(coder, VK_GROUP_QUERIES) / VK_GROUP_QUERIES;

	return tiled ? size : size + sizeof(VkQueryCode) + vk_query_code_size(coder);
}

VkBatchGroup *
vk_group_create(const VkBatchScorer *scorer, int most)
{
	const VkCoder *coder = scorer->coder;
	VkBatchGroup *group = palloc0(sizeof(VkBatchGroup));

	if (coder->format < VK_INT_FORMATS)
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
 * its cache.  Always inline: see prefetch_lines in list_scan.c.
 */
static pg_attribute_always_inline void
prefetch_query(const VkBatchQuery *query, int dim)
{
	const char *rotated = (const char *) query->query.rotated;

	for (Size at = 0; at < dim * sizeof(float); at += VK_LINE_SIZE)
		__builtin_prefetch(rotated + at);
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
		VkQueryCode *code = group_code(scorer, group, i);

		if (i + CODED_AHEAD < count)
			prefetch_query(queries[i + CODED_AHEAD], coder->dim);
		group->queries[i] = queries[i];
		group->after = Min(group->after, queries[i]->self);
		vk_query_code_set(coder, &queries[i]->query, center, true, code);
		code->bound.epsilon = VK_EPSILON;
		group->bounds[i] = code->bound;
		if (group->tiled)
		{
			memcpy(scorer->query_codes + i * scorer->query_stride, code->code, coder->dim);
			vk_screen_query(&code->bound, scorer->proven, queries[i]->threshold,
							&group->screens[i]);
		}
	}
	if (group->tiled)
		vk_kernels->pack_tile[coder->format] (scorer->query_codes, scorer->query_stride,
											  count, coder->dim, group->packed);
}

/* ---- blocks ---- */

VkBlocks *
vk_scorer_blocks(VkBatchScorer *scorer, uint32 slot, uint64 born)
{
	scorer->slot = slot;
	scorer->born = born;
	return scorer->blocks;
}

/* the live lanes of a block whose rows lie behind a place in the table; *last
 * becomes the last of them, if it is after that */
static uint32
lanes_after(const VkBlocks *blocks, int block, uint64 after, uint64 *last)
{
	uint32		lanes = blocks->live[block];

	if (after == 0)
		return lanes;
	for (uint32 left = lanes; left != 0; left &= left - 1)
	{
		int			lane = pg_rightmost_one_pos32(left);
		uint64		tid = vk_tid_encode(&blocks->tops[block].tids[lane]);

		if (tid <= after)
			lanes &= ~(1U << lane);
		*last = Max(*last, tid);
	}
	return lanes;
}

void
vk_scorer_begin(VkBatchScorer *scorer)
{
	const VkCoder *coder = scorer->coder;
	const VkBlocks *blocks = scorer->blocks;

	scorer->count = 0;
	scorer->last = 0;
	memset(scorer->live, 0, blocks->capacity * sizeof(uint16));
	if (scorer->refine_read != NULL)
		memset(scorer->refine_read, false, blocks->count * VK_LANES * sizeof(bool));
	for (int i = 0; i < blocks->count; i++)
	{
		const void *annotation = vk_blocks_annotation(blocks, i);
		float		scale = blocks->tops[i].head.scale;
		VkScreenRows *rows = &scorer->rows[scorer->count];
		uint32		live = lanes_after(blocks, i, scorer->batch->after, &scorer->last);

		if (live == 0)
			continue;
		scorer->places[scorer->count] = i;
		scorer->live[scorer->count] = live;
		scorer->runs[scorer->count++] = (VkLineRun) {vk_blocks_code(blocks, i), coder->lines};
		if (scorer->isa == NULL)
			continue;
		if (coder->flat)
			vk_kernels->screen_flat(annotation, rows);
		else if (scorer->proven)
			vk_kernels->screen_list_proven(annotation, scale, rows);
		else
			vk_kernels->screen_list(annotation, scale, rows);
	}
}

/* bounds of one block's rows; the lanes that are not above the threshold */
static uint32
bound_block(const VkBatchScorer *scorer, const VkBoundQuery *bound, int block,
			const VkDots *dots, float threshold, VkScores *scores)
{
	const VkKernels *k = vk_kernels;
	const VkCoder *coder = scorer->coder;
	const bool	l1 = coder->metric == VK_METRIC_L1;
	const void *annotation = vk_blocks_annotation(scorer->blocks, block);
	float		scale = scorer->blocks->tops[block].head.scale;

	if (coder->flat)
		return (l1 ? k->bound_flat_l1 : k->bound_flat) (bound, annotation, dots,
														threshold, scores);
	if (scorer->proven)
		return (l1 ? k->bound_list_l1_proven : k->bound_list_proven)
			(bound, annotation, scale, dots, threshold, scores);
	return (l1 ? k->bound_list_l1 : k->bound_list) (bound, annotation, scale, dots,
													threshold, scores);
}

/* the lanes of a block that are not the query's own row, or one before it */
static uint32
lanes_of_others(const VkBatchScorer *scorer, const VkBatchQuery *query,
				const VkBlockTop *top, uint32 lanes)
{
	bool		once = scorer->batch->once;

	for (uint32 left = lanes; left != 0; left &= left - 1)
	{
		int			lane = pg_rightmost_one_pos32(left);
		uint64		tid = vk_tid_encode(&top->tids[lane]);

		if (once ? tid <= query->self : tid == query->self)
			lanes &= ~(1U << lane);
	}
	return lanes;
}

/* a row becomes a candidate, unless its bounds are enough */
static inline void
add_candidate(VkBatch *batch, VkBatchQuery *query, float lower, float upper, uint64 tid)
{
	if (batch->settle != NULL && batch->settle(batch->arg, query, tid, lower, upper))
		return;
	vk_nearest_make_room(batch, query);
	vk_nearest_candidate(query, lower, upper, tid);
}

/* Take those lanes of a block that may be among a query's nearest. */
static void
take_block(VkBatchScorer *scorer, VkBatchGroup *group, int i, int block,
		   uint32 lanes, const VkDots *dots)
{
	VkBatchQuery *query = group->queries[i];
	const VkBlockTop *top = &scorer->blocks->tops[block];
	VkScores	scores;
	uint32		left;

	left = lanes & bound_block(scorer, &group->bounds[i], block, dots, query->threshold,
							   &scores);
	if (left != lanes)
		query->dropped = Min(query->dropped, query->threshold);
	if (query->self != 0)
		left = lanes_of_others(scorer, query, top, left);
	for (; left != 0; left &= left - 1)
	{
		int			lane = pg_rightmost_one_pos32(left);

		if (scorer->fresh == NULL)
			add_candidate(scorer->batch, query, scores.lower[lane], scores.upper[lane],
						  vk_tid_encode(&top->tids[lane]));
		else
			scorer->fresh[scorer->fresh_count++] =
				(FreshLane) {scores.lower[lane], scores.upper[lane],
			block * VK_LANES + lane};
	}
}

/* ---- refine codes ---- */

static const uint8 *
refine_code(VkBatchScorer *scorer, int place)
{
	int			size = scorer->coder->refine_size;
	uint8	   *code = scorer->refine + (Size) place * size;
	const VkRefineStart *start = &scorer->blocks->refine[place / VK_LANES];

	if (!scorer->refine_read[place])
	{
		CHECK_FOR_INTERRUPTS();
		vk_refine_read(scorer->index, scorer->slot, scorer->born, start->page,
					   start->position,
					   (uint32) (start->bytes + (uint64) (place % VK_LANES) * size),
					   size, code);
		scorer->refine_read[place] = true;
	}
	return code;
}

/* Narrow the bounds of a fresh lane, which becomes a candidate if they allow it. */
static void
refine_lane(VkBatchScorer *scorer, VkBatchGroup *group, int i, const FreshLane *fresh)
{
	VkBatchQuery *query = group->queries[i];
	const VkBlockTop *top = &scorer->blocks->tops[fresh->place / VK_LANES];
	double		lower;
	double		upper;

	vk_refine_bounds(scorer->coder, &group->codes[i], refine_code(scorer, fresh->place),
					 scorer->proven, &lower, &upper);
	scorer->batch->target->stats.refined++;
	if (vk_round_down(lower) <= query->threshold)
		add_candidate(scorer->batch, query, vk_round_down(lower), vk_round_up(upper),
					  vk_tid_encode(&top->tids[fresh->place % VK_LANES]));
	else
		query->dropped = Min(query->dropped, vk_round_down(lower));
}

/*
 * Refine what the scan codes have left of the blocks: first those lanes that would
 * be the answer by themselves, then those that they do not exclude.
 */
static void
refine_fresh(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	VkBatchQuery *query = group->queries[i];
	FreshLane  *fresh = scorer->fresh;
	int			count = scorer->fresh_count;
	float		first = query->threshold;
	int			left = 0;

	if (count > query->wanted)
	{
		float	   *uppers = scorer->uppers;

		for (int j = 0; j < count; j++)
			uppers[j] = fresh[j].upper;
		first = Min(first, vk_select_float(uppers, count, query->wanted - 1));
	}
	for (int j = 0; j < count; j++)
	{
		if (fresh[j].upper <= first)
			refine_lane(scorer, group, i, &fresh[j]);
		else
			fresh[left++] = fresh[j];
	}
	if (left > 0)
		vk_nearest_prune(scorer->batch, query);
	for (int j = 0; j < left; j++)
	{
		if (fresh[j].lower <= query->threshold)
			refine_lane(scorer, group, i, &fresh[j]);
		else
			query->dropped = Min(query->dropped, fresh[j].lower);
	}
}

/* ---- scoring ---- */

/* one query of a tile: its dots are there */
static void
score_tiled(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	VkBatchQuery *query = group->queries[i];
	const int32 *dots = scorer->dots + (Size) i * scorer->count * VK_LANES;

	vk_screen_threshold(&group->bounds[i], scorer->proven, query->threshold,
						&group->screens[i]);
	vk_kernels->screen(dots, scorer->rows, scorer->count, &group->screens[i],
					   scorer->masks);
	query->dropped = Min(query->dropped, query->threshold);
	for (int first = 0; first < scorer->count; first += MASKS_AT_A_TIME)
	{
		uint64		live;
		uint64		masks;

		memcpy(&live, &scorer->live[first], sizeof(live));
		memcpy(&masks, &scorer->masks[first], sizeof(masks));
		if ((live & masks) == 0)
			continue;
		for (int j = first; j < first + MASKS_AT_A_TIME; j++)
		{
			uint32		lanes = scorer->masks[j] & scorer->live[j];

			if (lanes != 0)
				take_block(scorer, group, i, scorer->places[j], lanes,
						   (const VkDots *) (dots + j * VK_LANES));
		}
	}
}

/* one query by itself */
static void
score_alone(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	const VkCoder *coder = scorer->coder;
	const VkQueryCode *query = &group->codes[i];

	for (int j = 0; j < scorer->count; j++)
	{
		const uint8 *code = scorer->runs[j].code;
		VkDots		dots = {0};

		if (coder->metric == VK_METRIC_L1)
			vk_kernels->scan_l1((const uint8 *) query->code, 0, code, coder->lines, &dots);
		else if (coder->format < VK_INT_FORMATS)
			vk_kernels->scan[coder->format] (query->packed_scan, 0, code, coder->lines,
											 &dots);
		else
			vk_kernels->scan_float[coder->format - VK_FORMAT_F16] (query->values, 0, code,
																   coder->lines, &dots);
		take_block(scorer, group, i, scorer->places[j], scorer->live[j], &dots);
	}
}

void
vk_scorer_score(VkBatchScorer *scorer, VkBatchGroup *group)
{
	const VkCoder *coder = scorer->coder;

	CHECK_FOR_INTERRUPTS();
	if (scorer->count == 0 || (group->after != 0 && scorer->last <= group->after))
		return;
	if (group->tiled)
		vk_kernels->tile[coder->format] (group->packed, group->count, coder->dim,
										 scorer->runs, scorer->count, 0, coder->lines,
										 scorer->dots);
	for (int i = 0; i < group->count; i++)
	{
		scorer->fresh_count = 0;
		if (group->tiled)
			score_tiled(scorer, group, i);
		else
			score_alone(scorer, group, i);
		if (scorer->fresh_count > 0)
			refine_fresh(scorer, group, i);
	}
}
