/*-------------------------------------------------------------------------
 *
 * rank.c
 *	  The centroids of all lists by their distance from many queries.
 *
 * NOTES
 *	  What am/rank.c does for one query, for a group of them by tiles: the blocks of
 *	  the centre list are scored as those of segments are, by queries coded against
 *	  the mean.  The estimates are the same, and so are rankings.  A query that
 *	  wants more than were ranked goes on by itself.
 *
 *	  Where centroids lie in groups each query looks at other ones, and where their
 *	  8-bit codes rank them (bits of few dimensions) there are no tiles: queries are
 *	  ranked for one by one.
 *
 * IDENTIFICATION
 *	  src/batch/rank.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "batch/plan.h"

/* where the refine code of an entry lies, by its slot */
typedef struct CenterPlace
{
	uint64		location;		/* of VkCandidate */
	uint32		position;
} CenterPlace;

struct VkBatchRanking
{
	VkBatch    *batch;			/* that asks */
	MemoryContext context;
	MemoryContext rows_context; /* of the entries found for the queries at hand */
	VkSlot		root;			/* of the centre list */
	VkIndex		centers;		/* how its blocks lie on pages */
	VkCoder		coder;			/* and what is scored: no refine codes */
	VkBatchTarget target;		/* as if it were an index of its own */
	CenterPlace *places;
	int64		entries;

	/* the queries at hand */
	VkBatch		ranked;
	VkBatchQuery queries[VK_RANKED_QUERIES];
	int			first;			/* of the batch */
	int64		wanted;
	VkBatchScorer *scorer;
	VkBatchGroup *group;
};

VkBatchRanking *
vk_ranking_create(VkBatch *batch)
{
	const VkMeta *meta = &batch->target->meta;
	VkSearch   *search = batch->target->search;
	VkBatchRanking *ranking;
	MemoryContext old;

	if (batch->count == 1 || meta->groups > 0 || search->rank_refined ||
		!vk_has_tiles(&search->center_coder))
		return NULL;
	ranking = palloc0(sizeof(VkBatchRanking));
	ranking->batch = batch;
	ranking->context = AllocSetContextCreate(CurrentMemoryContext, "vkindex ranking",
											 ALLOCSET_DEFAULT_SIZES);
	ranking->rows_context = AllocSetContextCreate(ranking->context, "vkindex ranked",
												  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(ranking->context);
	ranking->centers = *batch->target->vk;
	ranking->coder = ranking->centers.coder = search->center_coder;
	ranking->coder.refine_bits = ranking->coder.refine_size = 0;
	ranking->target = *batch->target;
	ranking->target.vk = &ranking->centers;
	memset(&ranking->target.stats, 0, sizeof(VkScanStats));
	ranking->places = MemoryContextAllocHuge(ranking->context,
											 meta->slots * sizeof(CenterPlace));
	vk_batch_prepare(&ranking->ranked, &ranking->target, ranking->queries, 0);
	ranking->scorer = vk_scorer_create(&ranking->ranked, &ranking->coder,
										 VK_NO_SPREAD);
	ranking->group = vk_group_create(ranking->scorer, VK_RANKED_QUERIES);
	MemoryContextSwitchTo(old);
	return ranking;
}

int64
vk_ranking_query_size(int64 wanted)
{
	/* half of the room is for those that the threshold of the moment lets through */
	return (4 * wanted + 2 * VK_LANES) * sizeof(VkBatchCandidate);
}

void
vk_ranking_free(VkBatchRanking *ranking)
{
	MemoryContextDelete(ranking->context);
	pfree(ranking);
}

/* ---- ranking ---- */

/* where the entries of these blocks have their refine codes */
static void
note_places(VkBatchRanking *ranking, const VkBlocks *blocks)
{
	uint32		slots = ranking->target.meta.slots;

	for (int i = 0; i < blocks->count; i++)
	{
		const VkRefineStart *start = &blocks->refine[i];

		for (uint32 left = blocks->live[i]; left != 0; left &= left - 1)
		{
			int			lane = pg_rightmost_one_pos32(left);
			uint64		slot = vk_tid_encode(&blocks->tops[i].tids[lane]) >> 16;

			ranking->entries++;
			/* of a list that is newer than the meta page */
			if (slot >= slots)
				continue;
			ranking->places[slot].location = (uint64) start->page << 32 |
				(uint32) (start->bytes +
						  (uint64) lane * ranking->centers.coder.refine_size);
			ranking->places[slot].position = start->position;
		}
	}
}

/* the queries that are to be ranked for, as the scorer takes them */
static int
begin_queries(VkBatchRanking *ranking, int count, VkBatchQuery **members)
{
	int			member_count = 0;

	for (int i = 0; i < count; i++)
	{
		const VkBatchQuery *asked = &ranking->batch->queries[ranking->first + i];
		VkBatchQuery *query = &ranking->queries[i];

		memset(query, 0, sizeof(VkBatchQuery));
		if (asked->single)
			continue;
		query->query = asked->query;
		vk_nearest_begin(&ranking->ranked, query, ranking->wanted);
		members[member_count++] = query;
	}
	return member_count;
}

static void
score_entries(VkBatchRanking *ranking, int count)
{
	VkBatchTarget *target = &ranking->target;
	VkBlockReader reader = {0};
	VkBlocks   *blocks = vk_scorer_blocks(ranking->scorer, target->meta.root,
										  &ranking->root);

	reader.index = target->index;
	reader.vk = target->vk;
	reader.snapshot = target->snapshot;
	reader.stats = &target->stats;
	vk_block_reader_begin(&reader, target->meta.root, &ranking->root, InvalidBlockNumber);
	while (vk_block_reader_next(&reader, blocks))
	{
		note_places(ranking, blocks);
		vk_scorer_begin(ranking->scorer, count);
		vk_scorer_score(ranking->scorer, ranking->group);
	}
}

void
vk_ranking_make(VkBatchRanking *ranking, int first, int count, int64 wanted)
{
	const VkCenter mean = {0};
	VkBatchTarget *target = ranking->batch->target;
	VkBatchQuery *members[VK_RANKED_QUERIES];
	int			member_count;
	instr_time	start;
	instr_time	end;
	MemoryContext old;

	INSTR_TIME_SET_CURRENT(start);
	MemoryContextReset(ranking->rows_context);
	old = MemoryContextSwitchTo(ranking->rows_context);
	vk_batch_prepare(&ranking->ranked, &ranking->target, ranking->queries, count);
	ranking->first = first;
	ranking->wanted = wanted;
	ranking->entries = 0;
	member_count = begin_queries(ranking, count, members);
	MemoryContextSwitchTo(ranking->context);
	vk_rank_slot(target->search, target->meta.root, &ranking->root);
	vk_group_set(ranking->scorer, ranking->group, members, member_count, &mean);
	score_entries(ranking, member_count);
	for (int i = 0; i < member_count; i++)
		vk_nearest_prune(&ranking->ranked, members[i]);
	MemoryContextSwitchTo(old);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	target->stats.rank_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
	target->stats.pages += ranking->target.stats.pages;
	ranking->target.stats.pages = 0;
}

void
vk_ranking_take(VkBatchRanking *ranking, int query)
{
	const VkBatchQuery *ranked = &ranking->queries[query - ranking->first];
	VkCandidates *out = vk_rank_take(ranking->batch->target->search, &ranking->root,
									 ranking->wanted, ranking->entries,
									 ranked->open_count);

	for (int64 i = 0; i < ranked->open_count; i++)
	{
		const VkBatchCandidate *open = &ranked->open[i];
		uint64		slot = open->tid >> 16;
		VkCandidate *entry;

		if (slot >= ranking->target.meta.slots)
			continue;
		entry = vk_candidates_add(out, open->lower, open->upper, open->tid);
		entry->slot = 0;
		entry->location = ranking->places[slot].location;
		entry->position = ranking->places[slot].position;
	}
}
