/*-------------------------------------------------------------------------
 *
 * collect.c
 *	  The lists of an index, each read once for all queries that visit it.
 *
 * NOTES
 *	  Lists without a centroid are visited by every query: queries are coded
 *	  against the mean once, for all of them.  Of the others each query visits
 *	  those that plan.c chooses, and is coded against each.
 *
 * IDENTIFICATION
 *	  src/batch/collect.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "am/row_batch.h"
#include "am/upkeep.h"
#include "batch/plan.h"

/* the most promising rows of segments are looked at when so many times as many
 * rows have been scored since the last time */
#define SHARPEN_AGAIN	2

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* ---- memory ---- */

/* Find the distances of all candidates where they take too much memory. */
static void
limit_memory(VkBatch *batch)
{
	if (batch->memory <= batch->memory_limit)
		return;
	vk_batch_resolve(batch);
	for (int i = 0; i < batch->count; i++)
	{
		VkBatchQuery *query = &batch->queries[i];

		if (query->open == NULL)
			continue;
		pfree(query->open);
		batch->memory -= query->open_capacity * sizeof(VkBatchCandidate);
		query->open = NULL;
		query->open_capacity = 0;
	}
	/* the rows themselves may take most of it */
	batch->memory_limit = Max(batch->memory_limit, 2 * batch->memory);
}

/* ---- segments ---- */

static bool
is_segment(const VkMeta *meta, const VkSlot *slot)
{
	return meta->lists == 0 || (slot->flags & VK_SLOT_SEGMENT) != 0;
}

static VkBlockReader
block_reader(VkBatchTarget *target)
{
	VkBlockReader reader = {0};

	reader.index = target->index;
	reader.vk = target->vk;
	reader.snapshot = target->snapshot;
	reader.stats = &target->stats;
	return reader;
}

/* all queries of the batch that bounds hold for, coded against the mean */
static VkBatchGroup **
group_queries(VkBatch *batch, VkBatchScorer *scorer, int *count)
{
	VkBatchQuery **queries = palloc(batch->count * sizeof(VkBatchQuery *));
	int			total = 0;
	VkBatchGroup **groups;

	for (int i = 0; i < batch->count; i++)
		if (!batch->queries[i].single)
			queries[total++] = &batch->queries[i];
	*count = (total + VK_GROUP_QUERIES - 1) / VK_GROUP_QUERIES;
	groups = palloc(Max(*count, 1) * sizeof(VkBatchGroup *));
	for (int i = 0; i < *count; i++)
	{
		int			first = i * VK_GROUP_QUERIES;
		int			members = Min(total - first, VK_GROUP_QUERIES);

		CHECK_FOR_INTERRUPTS();
		groups[i] = vk_group_create(scorer, members);
		vk_group_set(scorer, groups[i], queries + first, members, &mean_center);
	}
	return groups;
}

static void
visit_segment(VkBatch *batch, VkBatchScorer *scorer, VkBatchGroup **groups,
			  int group_count, uint32 number, const VkSlot *slot)
{
	VkBlockReader reader = block_reader(batch->target);
	VkBlocks   *blocks = vk_scorer_blocks(scorer, number, slot);
	int64		scored;

	vk_block_reader_begin(&reader, number, slot, InvalidBlockNumber);
	while (vk_block_reader_next(&reader, blocks))
	{
		vk_scorer_begin(scorer, batch->count);
		for (int i = 0; i < group_count; i++)
			vk_scorer_score(scorer, groups[i]);
		limit_memory(batch);
		vk_pause();
		scored = batch->target->stats.rows - batch->rows_before;
		if (batch->found == NULL && batch->settle == NULL && scored >= batch->sharpen_at)
		{
			vk_batch_sharpen(batch);
			batch->sharpen_at = SHARPEN_AGAIN * scored;
		}
	}
	batch->target->stats.lists++;
}

bool
vk_batch_walk(VkBatchTarget *target, VkSlotAction action, void *arg)
{
	const VkMeta *meta = &target->meta;
	VkSlot	   *slots = palloc(VK_PAGE_LINES * sizeof(VkSlot));
	bool		whole = true;

	for (uint32 first = 0; first < meta->slots && whole; first += VK_PAGE_LINES)
	{
		int			count = vk_directory_page(target->index, meta, first, slots);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count && whole; i++)
			if (first + i >= VK_SLOT_FIRST_LIST && first + i < meta->slots &&
				(slots[i].flags & VK_SLOT_GROUP) == 0 &&
				vk_slot_visible(&slots[i], meta->epoch) &&
				BlockNumberIsValid(slots[i].head))
				whole = action(arg, first + i, &slots[i]);
	}
	pfree(slots);
	return whole;
}

/* were its rows coded about the mean of today? */
static bool
is_current(void *arg, uint32 number, const VkSlot *slot)
{
	return slot->born >= ((const VkMeta *) arg)->coded;
}

typedef struct SegmentWalk
{
	VkBatch    *batch;
	VkBatchScorer *scorer;
	VkBatchGroup **groups;		/* NULL: not coded yet */
	int			group_count;
} SegmentWalk;

static bool
take_segment(void *arg, uint32 number, const VkSlot *slot)
{
	SegmentWalk *walk = arg;
	VkMeta	   *meta = &walk->batch->target->meta;

	if (!is_segment(meta, slot) || !is_current(meta, number, slot))
		return true;
	if (walk->groups == NULL)
		walk->groups = group_queries(walk->batch, walk->scorer, &walk->group_count);
	visit_segment(walk->batch, walk->scorer, walk->groups, walk->group_count,
				  number, slot);
	return true;
}

/* ---- lists with a centroid ---- */

/* the centre of a list, decoded into code */
static VkCenter
read_center(VkBatchTarget *target, const VkPlannedVisit *list, uint8 *refine, int8 *code)
{
	int			dim = target->vk->coder.dim;
	VkCenter	center;

	vk_refine_read(target->index, list->chain.slot, list->chain.born,
				   (BlockNumber) (list->entry.location >> 32), list->entry.position,
				   (uint32) list->entry.location, vk_refine_size(8, dim), refine);
	center.norm = vk_refine_center(refine, dim, code, &center.a);
	center.code = code;
	return center;
}

/* Score a list for these queries, all of it. */
static void
visit_list(VkBatch *batch, VkBatchScorer *scorer, VkBatchGroup *group,
		   const VkPlannedVisit *list, const VkCenter *center, VkBatchQuery **queries,
		   int count, BlockNumber after)
{
	VkBlockReader reader = block_reader(batch->target);
	VkBlocks   *blocks = vk_scorer_blocks(scorer, list->number, &list->slot);

	if (!is_current(&batch->target->meta, list->number, &list->slot))
		return;
	for (int first = 0; first < count; first += VK_GROUP_QUERIES)
	{
		int			members = Min(count - first, VK_GROUP_QUERIES);

		vk_group_set(scorer, group, queries + first, members, center);
		vk_block_reader_begin(&reader, list->number, &list->slot, after);
		while (vk_block_reader_next(&reader, blocks))
		{
			vk_scorer_begin(scorer, members);
			vk_scorer_score(scorer, group);
		}
	}
	batch->target->stats.lists++;
}

static void
visit_lists(VkBatch *batch, VkBatchScorer *scorer, const VkVisitPlan *plan)
{
	VkBatchTarget *target = batch->target;
	VkBatchGroup *group = vk_group_create(scorer, VK_GROUP_QUERIES);
	int			dim = target->vk->coder.dim;
	uint8	   *refine = palloc(vk_refine_size(8, dim));
	int8	   *code = palloc0(TYPEALIGN(4, dim) + 4);
	VkBatchQuery **queries = palloc(batch->count * sizeof(VkBatchQuery *));
	const VkPlannedVisit *list;
	const VkPlannedVisit *next;

	for (int turn = 0; turn < VK_VISIT_TURNS; turn++)
		for (list = vk_visits_next(plan, turn, NULL); list != NULL; list = next)
		{
			int			count = vk_visits_queries(plan, list, turn, queries);
			VkCenter	center = read_center(target, list, refine, code);

			next = vk_visits_next(plan, turn, list);
			if (next != NULL)
				vk_list_prefetch(target->index, &next->slot);
			visit_list(batch, scorer, group, list, &center, queries, count,
					   next != NULL ? next->slot.head : InvalidBlockNumber);
			limit_memory(batch);
			vk_pause();
		}
}

/* a scan ends where its setting says, with a warning; a batch has no such end */
bool
vk_batch_collectable(VkBatchTarget *target)
{
	return vk_max_scan_rows == 0 && vk_batch_walk(target, is_current, &target->meta);
}

void
vk_batch_collect_coded(VkBatch *batch)
{
	VkBatchTarget *target = batch->target;
	VkBatchScorer *scorer = vk_scorer_create(batch, &target->vk->coder, VK_EPSILON);
	SegmentWalk walk = {.batch = batch, .scorer = scorer};

	if (target->meta.lists == 0 || target->meta.segments > 0)
		(void) vk_batch_walk(target, take_segment, &walk);
	if (target->meta.lists > 0)
		visit_lists(batch, scorer, vk_visits_plan(batch));
	vk_scorer_path(scorer, batch->count, target->stats.path);
}

bool
vk_batch_collect(VkBatch *batch)
{
	if (!vk_batch_collectable(batch->target))
		return false;
	vk_batch_collect_coded(batch);
	return true;
}
