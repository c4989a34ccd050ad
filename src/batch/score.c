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
 *	  Where codes are not integers (or distances no dots: L1), for bits, of which
 *	  a scan counts as many at a time as a tile, and for groups so small that a
 *	  tile does not pay, queries are scored one by one, but still block by block
 *	  while it is in the cache.
 *
 * IDENTIFICATION
 *	  src/batch/score.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"

#include "batch/score.h"
#include "kernels/rounding.h"

/* queries from which on limits of whole blocks are worth their making */
#define BLOCKS_PAY		32

/* refine codes of one query that are asked for at once, at most */
#define REFINE_ASKED	16

/* dots beyond it are none of a sane page, and might overflow */
#define DOT_MAX			0x1p30f

/* ---- blocks ---- */

VkBlocks *
vk_scorer_blocks(VkBatchScorer *scorer, uint32 number, const VkSlot *slot)
{
	scorer->slot = number;
	scorer->born = slot->born;
	scorer->center_dots_known = !scorer->proven &&
		(slot->flags & vk_list_flags(scorer->coder)) != 0;
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

/* the dots of a block's rows with the centre, of their codes */
static void
set_center_dots(const VkCoder *coder, const VkListAnnotation *annotation, float *dots)
{
	const int	mult = vk_format_mult(coder->format);
	float		a[VK_LANES];

	vk_kernels->half_to_float(annotation->a, VK_LANES, a);
	vk_kernels->half_to_float(annotation->center, VK_LANES, dots);
	for (int lane = 0; lane < VK_LANES; lane++)
		dots[lane] = a[lane] != 0 ? dots[lane] / (a[lane] * coder->code_unit * mult) : 0;
}

/*
 * Take a share of the dots with the centre off those of a query, rounded, which is
 * nothing beside what its code has lost.  Pointers that may be the same would keep the
 * loop from being vectorised; what a damaged page says of a dot fits no integer.
 */
static void
subtract_share(int32 *pg_restrict dots, const float *pg_restrict center, float share,
			   int lanes)
{
	for (int lane = 0; lane < lanes; lane++)
	{
		float		dot = share * center[lane];

		dot = dot < DOT_MAX ? dot : DOT_MAX;
		/* cppcheck forgets the line above */
		/* cppcheck-suppress floatConversionOverflow */
		dots[lane] -= (int32) (dot > -DOT_MAX ? dot : -DOT_MAX);
	}
}

void
vk_scorer_begin(VkBatchScorer *scorer, int queries)
{
	const VkCoder *coder = scorer->coder;
	const VkBlocks *blocks = scorer->blocks;

	scorer->count = 0;
	scorer->last = 0;
	scorer->by_blocks = scorer->isa != NULL && queries >= Max(BLOCKS_PAY, scorer->tile_pays);
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
		if (scorer->center_dots_known)
			set_center_dots(coder, annotation,
							scorer->center_dots + (scorer->count - 1) * VK_LANES);
		if (queries < scorer->tile_pays)
			continue;
		if (coder->flat)
			vk_kernels->screen_flat(annotation, rows);
		else if (scorer->proven)
			vk_kernels->screen_list_proven(annotation, scale, rows);
		else
			vk_kernels->screen_list(annotation, scale, rows);
	}
	for (int i = 0; i < scorer->count && scorer->by_blocks; i += VK_LANES)
		vk_screen_blocks_fill(scorer->rows + i, scorer->live + i,
							  Min(scorer->count - i, VK_LANES),
							  &scorer->groups[i / VK_LANES]);
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

/* the lanes that are left of those asked for; what was excluded is remembered */
static uint32
lanes_left(const VkBatchScorer *scorer, VkBatchQuery *query, const VkBlockTop *top,
		   uint32 asked, uint32 left)
{
	if (left != asked)
		query->dropped = Min(query->dropped, query->threshold);
	return query->self != 0 ? lanes_of_others(scorer, query, top, left) : left;
}

/* a row becomes a candidate, unless its bounds are enough */
static inline void
add_candidate(const VkBatchScorer *scorer, VkBatchQuery *query, float lower, float upper,
			  uint64 tid)
{
	VkBatch    *batch = scorer->batch;

	if (batch->settle != NULL &&
		batch->settle(batch->arg, query, scorer->slot, tid, lower, upper))
		return;
	vk_nearest_make_room(batch, query);
	vk_nearest_candidate(query, lower, upper, tid);
}

/* of a query of the group, by its place there */
static inline FreshLanes *
fresh_lanes(VkBatchScorer *scorer, int i)
{
	return &scorer->fresh[i % 2];
}

/* Take those lanes of a block that may be among a query's nearest. */
static void
take_block(VkBatchScorer *scorer, VkBatchGroup *group, int i, int block,
		   uint32 lanes, const VkDots *dots)
{
	VkBatchQuery *query = group->queries[i];
	FreshLanes *fresh = fresh_lanes(scorer, i);
	const VkBlockTop *top = &scorer->blocks->tops[block];
	VkScores	scores;
	uint32		left;

	left = lanes & vk_blocks_bounds(scorer->blocks, block, scorer->coder, scorer->proven,
									&group->bounds[i], dots, query->threshold, &scores);
	left = lanes_left(scorer, query, top, lanes, left);
	for (; left != 0; left &= left - 1)
	{
		int			lane = pg_rightmost_one_pos32(left);

		if (fresh->lanes == NULL)
			add_candidate(scorer, query, scores.lower[lane], scores.upper[lane],
						  vk_tid_encode(&top->tids[lane]));
		else
			fresh->lanes[fresh->count++] = (FreshLane) {scores.lower[lane],
			scores.upper[lane], block * VK_LANES + lane};
	}
}

/*
 * The same of bits.  Their scores are no bounds but the distances themselves, of
 * which many are equal; where the nearest are wanted, one as great as the
 * threshold need not be among them, as there are others.
 */
static void
take_bits(VkBatchScorer *scorer, VkBatchGroup *group, int i, int block,
		  uint32 lanes, const VkDots *dots)
{
	VkBatchQuery *query = group->queries[i];
	VkBatch    *batch = scorer->batch;
	const VkCoder *coder = scorer->coder;
	const VkBitScore *bits = vk_bit_score(coder->metric);
	const VkBlockTop *top = &scorer->blocks->tops[block];
	const void *annotation = vk_blocks_annotation(scorer->blocks, block);
	uint32		unknown = lanes & vk_bits_unknown(coder, annotation);
	uint32		left = lanes & (unknown | bits->screen(&group->codes[i], annotation, dots,
													   query->threshold));

	left = lanes_left(scorer, query, top, lanes, left);
	for (; left != 0; left &= left - 1)
	{
		int			lane = pg_rightmost_one_pos32(left);
		uint64		tid = vk_tid_encode(&top->tids[lane]);
		double		score;

		if (unknown & (1U << lane))
		{
			add_candidate(scorer, query, -get_float4_infinity(), get_float4_infinity(), tid);
			continue;
		}
		score = bits->score(&group->codes[i], annotation, dots, lane);
		if (score > query->threshold ||
			(score == query->threshold && batch->found == NULL && batch->settle == NULL))
			query->dropped = Min(query->dropped, vk_round_down(score));
		else
			add_candidate(scorer, query, vk_round_down(score), vk_round_up(score), tid);
	}
}

/* ---- refine codes ---- */

/* where a lane's code begins, in bytes of the chain's pages from the block's first on */
static uint32
refine_bytes(const VkBatchScorer *scorer, int place)
{
	return (uint32) (scorer->blocks->refine[place / VK_LANES].bytes +
					 (uint64) (place % VK_LANES) * scorer->coder->refine_size);
}

/* Ask for codes that are not read yet. */
static void
prefetch_refine(VkBatchScorer *scorer, const FreshLanes *fresh)
{
	for (int j = 0; j < Min(fresh->count, REFINE_ASKED); j++)
	{
		int			place = fresh->lanes[j].place;

		if (!scorer->refine_read[place])
			vk_refine_prefetch(scorer->index, scorer->blocks->refine[place / VK_LANES].page,
							   refine_bytes(scorer, place), scorer->coder->refine_size);
	}
}

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
					   start->position, refine_bytes(scorer, place), size, code);
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
	const uint8 *refine = refine_code(scorer, fresh->place);
	double		lower;
	double		upper;

	vk_refine_bounds(scorer->coder, &group->codes[i], refine, scorer->proven, &lower,
					 &upper);
	scorer->batch->target->stats.refined++;
	if (vk_round_down(lower) <= query->threshold)
		add_candidate(scorer, query, vk_round_down(lower), vk_round_up(upper),
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
	FreshLane  *fresh = fresh_lanes(scorer, i)->lanes;
	int			count = fresh_lanes(scorer, i)->count;
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

/* which of the blocks, 16 a mask, a query of a tile may want rows of */
static void
screen_tiled(VkBatchScorer *scorer, const int32 *dots, const VkScreenQuery *screen)
{
	if (scorer->by_blocks)
		vk_kernels->screen_blocks(dots, scorer->groups, scorer->count, screen,
								  scorer->masks);
	else
		for (int i = 0; i < scorer->count; i += VK_LANES)
			scorer->masks[i / VK_LANES] =
				(uint16) ((1U << Min(scorer->count - i, VK_LANES)) - 1);
}

/* one query of a tile: its dots are there */
static void
score_tiled(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	VkBatchQuery *query = group->queries[i];
	VkScreenQuery *screen = &group->screens[i];
	const int32 *dots = scorer->dots + (Size) i * scorer->count * VK_LANES;
	bool		excluded = false;

	if (query->threshold != group->thresholds[i])
	{
		group->thresholds[i] = query->threshold;
		vk_screen_threshold(&group->bounds[i], scorer->proven, query->threshold, screen);
	}
	screen_tiled(scorer, dots, screen);
	for (int first = 0; first < scorer->count; first += VK_LANES)
	{
		uint32		left = scorer->masks[first / VK_LANES];

		excluded |= left != (1U << Min(scorer->count - first, VK_LANES)) - 1;
		for (; left != 0; left &= left - 1)
		{
			int			j = first + pg_rightmost_one_pos32(left);
			uint16		lanes;

			vk_kernels->screen(dots + j * VK_LANES, &scorer->rows[j], 1, screen, &lanes);
			lanes &= scorer->live[j];
			excluded |= lanes != scorer->live[j];
			if (lanes != 0)
				take_block(scorer, group, i, scorer->places[j], lanes,
						   (const VkDots *) (dots + j * VK_LANES));
		}
	}
	if (excluded)
		query->dropped = Min(query->dropped, group->thresholds[i]);
}

/* one query by itself */
static void
score_alone(VkBatchScorer *scorer, VkBatchGroup *group, int i)
{
	const VkCoder *coder = scorer->coder;
	bool		bits = vk_metric_of_bits(coder->metric);

	for (int j = 0; j < scorer->count; j++)
	{
		VkDots		dots = {0};

		vk_block_dots(coder, &group->codes[i], scorer->runs[j].code, &dots);
		if (group->center_shares[i] != 0)
			subtract_share(dots.i, scorer->center_dots + j * VK_LANES,
						   group->center_shares[i], VK_LANES);
		(bits ? take_bits : take_block) (scorer, group, i, scorer->places[j],
										 scorer->live[j], &dots);
	}
}

/* dots of all queries of a group with all rows, as of codes against the centre */
static void
make_tile(VkBatchScorer *scorer, VkBatchGroup *group)
{
	const VkCoder *coder = scorer->coder;
	int			lanes = scorer->count * VK_LANES;

	group->kernels->tile[coder->format] (group->packed, group->count, coder->dim,
										 scorer->runs, scorer->count, 0, coder->lines,
										 scorer->dots);
	for (int i = 0; i < group->count; i++)
		if (group->center_shares[i] != 0)
			subtract_share(scorer->dots + (Size) i * lanes, scorer->center_dots,
						   group->center_shares[i], lanes);
}

void
vk_scorer_score(VkBatchScorer *scorer, VkBatchGroup *group)
{
	CHECK_FOR_INTERRUPTS();
	if (scorer->count == 0 || (group->after != 0 && scorer->last <= group->after))
		return;
	if (group->tiled)
		make_tile(scorer, group);
	/* the codes that a query wants are asked for while the next one is scored */
	for (int i = 0; i <= group->count; i++)
	{
		if (i < group->count)
		{
			fresh_lanes(scorer, i)->count = 0;
			(group->tiled ? score_tiled : score_alone) (scorer, group, i);
			prefetch_refine(scorer, fresh_lanes(scorer, i));
		}
		if (i > 0 && fresh_lanes(scorer, i - 1)->count > 0)
			refine_fresh(scorer, group, i - 1);
	}
}
