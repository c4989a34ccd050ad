/*-------------------------------------------------------------------------
 *
 * collect.c
 *	  The lists of an index, each read once for all queries that visit it.
 *
 * NOTES
 *	  Lists without a centroid are visited by every query: queries are coded
 *	  against the mean once, for all of them.  Of the others each query visits
 *	  those that recall asks for, and is coded against each.  The first lists of
 *	  all queries come first: they give thresholds that leave little of the rest.
 *	  Where nothing may be missed every query visits every list, and what is planned
 *	  is only the first lists of each, and one visit of each list by all others.
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
#include "batch/batch.h"

/* nearest lists of each query that are visited before all others */
#define FIRST_LISTS		4

/* the most promising rows of segments are looked at when so many times as many
 * rows have been scored since the last time */
#define SHARPEN_AGAIN	2

/* Visit.order of those others */
#define LATER_LISTS		(UINT64_C(1) << 32)

/* Visit.query: all that the list is not among the first of */
#define OTHER_QUERIES	(-1)

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* a list with a centroid that some query visits */
typedef struct PlannedList
{
	uint32		number;
	VkSlot		slot;
	VkCandidate entry;			/* of its centroid */
	VkCenterChain chain;		/* which lies there */
	int64		first;			/* visits by those that it is among the first of, */
	int64		first_count;	/* once they have been made */
} PlannedList;

/* a query visits a list */
typedef struct Visit
{
	uint64		order;			/* first lists, then by their place in the index */
	uint32		list;
	int32		query;
} Visit;

#define ST_SORT sort_visits
#define ST_ELEMENT_TYPE Visit
#define ST_COMPARE(a, b) \
	((a)->order != (b)->order ? ((a)->order < (b)->order ? -1 : 1) : \
	 (a)->list != (b)->list ? ((a)->list < (b)->list ? -1 : 1) : \
	 (a)->query - (b)->query)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct VisitPlan
{
	MemoryContext context;
	PlannedList *lists;
	int64		list_count;
	int64		list_capacity;
	int32	   *places;			/* in lists, of a slot, plus 1 */
	Visit	   *visits;
	int64		visit_count;
	int64		visit_capacity;
	bool		all;			/* all queries visit all lists */
	int32		query;			/* at hand */
	int			rank;			/* lists that it has so far */
} VisitPlan;

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

	vk_block_reader_begin(&reader, number, slot);
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

static void
add_visit(VisitPlan *plan, int32 list, bool later, int32 query)
{
	Visit	   *visit;

	plan->visits = vk_array_grow(plan->context, plan->visits, plan->visit_count,
								 &plan->visit_capacity, sizeof(Visit));
	visit = &plan->visits[plan->visit_count++];
	visit->order = (later ? LATER_LISTS : 0) | plan->lists[list].slot.head;
	visit->list = list;
	visit->query = query;
}

/* VkPlannedList */
static void
plan_list(void *arg, uint32 number, const VkSlot *slot, const VkCandidate *entry,
		  const VkCenterChain *chain)
{
	VisitPlan  *plan = arg;
	bool		later = plan->rank++ >= FIRST_LISTS;

	if (plan->places[number] == 0)
	{
		PlannedList *list;

		plan->lists = vk_array_grow(plan->context, plan->lists, plan->list_count,
									&plan->list_capacity, sizeof(PlannedList));
		list = &plan->lists[plan->list_count++];
		list->number = number;
		list->slot = *slot;
		list->entry = *entry;
		list->chain = *chain;
		list->first = list->first_count = 0;
		plan->places[number] = (int32) plan->list_count;
		if (plan->all)
			add_visit(plan, (int32) plan->list_count - 1, true, OTHER_QUERIES);
	}
	if (!plan->all || !later)
		add_visit(plan, plan->places[number] - 1, later, plan->query);
}

/* visits that are planned of a query for k rows, about; k of 0: within a radius */
static double
planned_visits(const VkBatchTarget *target, int64 k)
{
	const VkMeta *meta = &target->meta;
	double		rows;

	if (vk_batch_strict(target) || k == 0)
		return Min(FIRST_LISTS, meta->lists);
	if (vk_probes > 0)
		return Min(vk_probes, meta->lists);
	rows = vk_curve_budget(&meta->curve, k, vk_target_recall, target->rows);
	return Min(rows / Max(target->rows, 1), 1) * meta->lists;
}

double
vk_batch_plan_size(const VkBatchTarget *target, int64 k)
{
	/* an array that grows is copied into one of twice the size */
	return planned_visits(target, k) * 3 * sizeof(Visit);
}

/* Choose each query's lists. */
static void
plan_lists(VkBatch *batch, VisitPlan *plan)
{
	VkBatchTarget *target = batch->target;
	VkSearch   *search = target->search;
	VkRound		round = {0};

	plan->context = batch->context;
	plan->all = batch->strict;
	plan->places = MemoryContextAllocExtended(batch->context,
											  target->meta.slots * sizeof(int32),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	round.radius = get_float8_infinity();
	/* nothing is collected */
	round.wanted = 1;
	round.proven = batch->strict;
	round.rows = target->rows;
	for (int i = 0; i < batch->count; i++)
	{
		VkBatchQuery *query = &batch->queries[i];

		if (query->single)
			continue;
		vk_pause();
		/* where all lists are visited one query tells which there are */
		round.exhaustive = batch->strict && plan->list_count == 0;
		round.budget = query->budget;
		if (batch->strict)
			round.probes = round.exhaustive ? 0 : FIRST_LISTS;
		else
			round.probes = query->budget > 0 ? 0 : vk_probes;
		round.total = batch->strict ? 1 : query->wanted;
		round.last = &query->last;
		vk_search_reset_unscored(search, &target->meta, &target->stats);
		search->scored = true;
		search->query = query->query;
		plan->query = i;
		plan->rank = 0;
		vk_search_plan(search, &round, plan_list, plan);
		if (batch->planned != NULL)
			batch->planned(batch->arg, query, search);
		query->center = vk_reach_last_center(search);
		query->exhaustive = batch->strict || search->probed >= target->meta.lists;
	}
	sort_visits(plan->visits, plan->visit_count);
}

/* the centre of a list, decoded into code */
static VkCenter
read_center(VkBatchTarget *target, const PlannedList *list, uint8 *refine, int8 *code)
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

/* The queries of these visits; returns how many they are. */
static int
queries_of(VkBatch *batch, const Visit *visits, int64 count, VkBatchQuery **queries)
{
	for (int64 i = 0; i < count; i++)
		queries[i] = &batch->queries[visits[i].query];
	return (int) count;
}

/* All queries but those of the list's first visits, which are in their order. */
static int
queries_left(VkBatch *batch, const VisitPlan *plan, const PlannedList *list,
			 VkBatchQuery **queries)
{
	const Visit *first = plan->visits + list->first;
	int64		next = 0;
	int			count = 0;

	for (int i = 0; i < batch->count; i++)
	{
		if (next < list->first_count && first[next].query == i)
			next++;
		else if (!batch->queries[i].single)
			queries[count++] = &batch->queries[i];
	}
	return count;
}

/* Score a list for these queries, all of it. */
static void
visit_list(VkBatch *batch, VkBatchScorer *scorer, VkBatchGroup *group,
		   const PlannedList *list, const VkCenter *center, VkBatchQuery **queries,
		   int count)
{
	VkBlockReader reader = block_reader(batch->target);
	VkBlocks   *blocks = vk_scorer_blocks(scorer, list->number, &list->slot);

	if (!is_current(&batch->target->meta, list->number, &list->slot))
		return;
	for (int first = 0; first < count; first += VK_GROUP_QUERIES)
	{
		int			members = Min(count - first, VK_GROUP_QUERIES);

		vk_group_set(scorer, group, queries + first, members, center);
		vk_block_reader_begin(&reader, list->number, &list->slot);
		while (vk_block_reader_next(&reader, blocks))
		{
			vk_scorer_begin(scorer, members);
			vk_scorer_score(scorer, group);
		}
	}
	batch->target->stats.lists++;
}

static void
visit_lists(VkBatch *batch, VkBatchScorer *scorer, const VisitPlan *plan)
{
	VkBatchTarget *target = batch->target;
	VkBatchGroup *group = vk_group_create(scorer, VK_GROUP_QUERIES);
	int			dim = target->vk->coder.dim;
	uint8	   *refine = palloc(vk_refine_size(8, dim));
	int8	   *code = palloc0(TYPEALIGN(4, dim) + 4);
	VkBatchQuery **queries = palloc(batch->count * sizeof(VkBatchQuery *));
	int64		next;

	for (int64 first = 0; first < plan->visit_count; first = next)
	{
		PlannedList *list = &plan->lists[plan->visits[first].list];
		int			count;
		VkCenter	center = read_center(target, list, refine, code);

		for (next = first + 1; next < plan->visit_count; next++)
			if (plan->visits[next].order != plan->visits[first].order ||
				plan->visits[next].list != plan->visits[first].list)
				break;
		if (plan->visits[first].query == OTHER_QUERIES)
			count = queries_left(batch, plan, list, queries);
		else
		{
			count = queries_of(batch, plan->visits + first, next - first, queries);
			list->first = first;
			list->first_count = count;
		}
		visit_list(batch, scorer, group, list, &center, queries, count);
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
	VkBatchScorer *scorer = vk_scorer_create(batch);
	SegmentWalk walk = {.batch = batch, .scorer = scorer};
	VisitPlan	plan = {0};

	if (target->meta.lists == 0 || target->meta.segments > 0)
		(void) vk_batch_walk(target, take_segment, &walk);
	if (target->meta.lists > 0)
	{
		plan_lists(batch, &plan);
		visit_lists(batch, scorer, &plan);
	}
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
