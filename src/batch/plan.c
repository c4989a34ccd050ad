/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  Which lists with a centroid the queries of a batch visit.
 *
 * NOTES
 *	  The first lists of all queries come first: they give thresholds that leave
 *	  little of the rest.  Where nothing may be missed every query visits every list,
 *	  and what is planned is only the first lists of each; each list's other turn is
 *	  that of all others.
 *
 * IDENTIFICATION
 *	  src/batch/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "am/row_batch.h"
#include "batch/plan.h"

/*
 * Nearest lists of each query that are visited before all others: so many where all
 * are visited; else those with so many times as many rows as are wanted.
 */
#define FIRST_LISTS		4
#define FIRST_ROWS		3

/* of work_mem for queries that are ranked for together: one in so many parts */
#define RANKING_SHARE	8

/* a query visits a list */
typedef struct Visit
{
	uint32		number;			/* of the list's slot */
	int32		query;
} Visit;

/* all visits of one turn */
typedef struct Visits
{
	Visit	   *planned;		/* by query */
	int64		count;
	int64		capacity;
	int32	   *queries;		/* the same by list, and by query */
	int64	   *ends;			/* of each list's */
} Visits;

struct VkVisitPlan
{
	VkBatch    *batch;
	VkPlannedVisit *lists;
	int64		list_count;
	int64		list_capacity;
	int32	   *places;			/* in lists, of a slot, plus 1 */
	Visits		turns[VK_VISIT_TURNS];
	int32		query;			/* at hand */
	int			rank;			/* lists that it has so far */
	double		rows;			/* in them */
};

#define ST_SORT sort_lists
#define ST_ELEMENT_TYPE VkPlannedVisit
#define ST_COMPARE(a, b) \
	((a)->slot.head < (b)->slot.head ? -1 : (a)->slot.head > (b)->slot.head)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---- one query ---- */

static void
add_visit(VkVisitPlan *plan, uint32 number, VkVisitTurn turn)
{
	Visits	   *visits = &plan->turns[turn];

	visits->planned = vk_array_grow(plan->batch->context, visits->planned, visits->count,
									&visits->capacity, sizeof(Visit));
	visits->planned[visits->count++] = (Visit) {number, plan->query};
}

/* the turn of the next list of the query */
static VkVisitTurn
next_turn(VkVisitPlan *plan, const VkSlot *slot)
{
	const VkBatch *batch = plan->batch;
	bool		first = batch->strict ? plan->rank < FIRST_LISTS :
		plan->rows < (double) FIRST_ROWS * batch->queries[plan->query].wanted;

	plan->rank++;
	plan->rows += slot->live;
	return first ? VK_FIRST_TURN : VK_OTHER_TURN;
}

/* VkPlannedList */
static void
plan_list(void *arg, uint32 number, const VkSlot *slot, const VkCandidate *entry,
		  const VkCenterChain *chain)
{
	VkVisitPlan *plan = arg;
	VkVisitTurn turn = next_turn(plan, slot);

	if (plan->places[number] == 0)
	{
		plan->lists = vk_array_grow(plan->batch->context, plan->lists, plan->list_count,
									&plan->list_capacity, sizeof(VkPlannedVisit));
		plan->lists[plan->list_count++] = (VkPlannedVisit) {number, *slot, *entry, *chain};
		plan->places[number] = (int32) plan->list_count;
	}
	if (!plan->batch->strict || turn == VK_FIRST_TURN)
		add_visit(plan, number, turn);
}

/* what a query asks of its search; nothing is collected */
static VkRound
query_round(const VkVisitPlan *plan, const VkBatchQuery *query)
{
	bool		strict = plan->batch->strict;
	VkRound		round = {0};

	round.radius = get_float8_infinity();
	round.wanted = 1;
	round.proven = strict;
	round.rows = plan->batch->target->rows;
	round.budget = query->budget;
	/* where all lists are visited one query tells which there are */
	round.exhaustive = strict && plan->list_count == 0;
	if (strict)
		round.probes = round.exhaustive ? 0 : FIRST_LISTS;
	else
		round.probes = query->budget > 0 ? 0 : vk_probes;
	round.total = strict ? 1 : query->wanted;
	round.last = &query->last;
	return round;
}

static void
begin_search(const VkBatch *batch, const VkBatchQuery *query)
{
	VkBatchTarget *target = batch->target;
	VkSearch   *search = target->search;

	vk_search_reset_unscored(search, &target->meta, &target->stats);
	search->scored = true;
	search->query = query->query;
}

static void
plan_query(VkVisitPlan *plan, VkBatchRanking *ranking, int number)
{
	VkBatch    *batch = plan->batch;
	VkBatchQuery *query = &batch->queries[number];
	VkSearch   *search = batch->target->search;
	VkRound		round = query_round(plan, query);

	begin_search(batch, query);
	if (ranking != NULL)
		vk_ranking_take(ranking, number);
	plan->query = number;
	plan->rank = 0;
	plan->rows = 0;
	vk_search_plan(search, &round, plan_list, plan);
	if (batch->planned != NULL)
		batch->planned(batch->arg, query, search);
	query->center = vk_reach_last_center(search);
	query->exhaustive = batch->strict || search->probed >= batch->target->meta.lists;
}

/* ---- all of them ---- */

/* centroids that a query will likely want in order; it says so again when it is planned */
static int64
centers_wanted(const VkVisitPlan *plan, const VkBatchQuery *query)
{
	VkRound		round = query_round(plan, query);

	if (query->single || round.exhaustive)
		return 1;
	begin_search(plan->batch, query);
	return vk_search_expected(plan->batch->target->search, &round);
}

/* Rank centroids for the next queries together; returns the place behind the last. */
static int
rank_together(const VkVisitPlan *plan, VkBatchRanking *ranking, int first)
{
	VkBatch    *batch = plan->batch;
	int64		wanted = 1;
	int			end = first;

	while (end < batch->count && end - first < VK_RANKED_QUERIES)
	{
		int64		most = Max(wanted, centers_wanted(plan, &batch->queries[end]));

		if (end > first &&
			(end + 1 - first) * vk_ranking_query_size(most) > work_mem * INT64_C(1024) / RANKING_SHARE)
			break;
		wanted = most;
		end++;
	}
	vk_ranking_make(ranking, first, end - first, wanted);
	return end;
}

/* Order the visits of a turn by list: those of each keep their order. */
static void
group_visits(const VkVisitPlan *plan, Visits *visits)
{
	int64		before = 0;

	visits->ends = MemoryContextAllocExtended(plan->batch->context,
											  plan->list_count * sizeof(int64),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	visits->queries = MemoryContextAllocHuge(plan->batch->context,
											 visits->count * sizeof(int32));
	for (int64 i = 0; i < visits->count; i++)
		visits->ends[plan->places[visits->planned[i].number] - 1]++;
	for (int64 i = 0; i < plan->list_count; i++)
	{
		int64		count = visits->ends[i];

		visits->ends[i] = before;
		before += count;
	}
	for (int64 i = 0; i < visits->count; i++)
	{
		const Visit *visit = &visits->planned[i];

		visits->queries[visits->ends[plan->places[visit->number] - 1]++] = visit->query;
	}
}

/* Order lists by their place in the index, and the visits by list. */
static void
order_visits(VkVisitPlan *plan)
{
	sort_lists(plan->lists, plan->list_count);
	for (int64 i = 0; i < plan->list_count; i++)
		plan->places[plan->lists[i].number] = (int32) i + 1;
	for (int turn = 0; turn < VK_VISIT_TURNS; turn++)
		group_visits(plan, &plan->turns[turn]);
}

VkVisitPlan *
vk_visits_plan(VkBatch *batch)
{
	VkVisitPlan *plan = palloc0(sizeof(VkVisitPlan));
	VkBatchRanking *ranking;
	int			ranked = 0;

	plan->batch = batch;
	plan->places = MemoryContextAllocExtended(batch->context,
											  batch->target->meta.slots * sizeof(int32),
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ranking = vk_ranking_create(batch);
	for (int i = 0; i < batch->count; i++)
	{
		if (ranking != NULL && i == ranked)
			ranked = rank_together(plan, ranking, i);
		if (batch->queries[i].single)
			continue;
		vk_pause();
		plan_query(plan, ranking, i);
	}
	if (ranking != NULL)
		vk_ranking_free(ranking);
	order_visits(plan);
	return plan;
}

/* ---- what has been planned ---- */

/* the numbers of a list's queries in a turn, and how many they are */
static int
planned_queries(const Visits *visits, int64 list, const int32 **numbers)
{
	int64		begin = list > 0 ? visits->ends[list - 1] : 0;

	*numbers = visits->queries + begin;
	return (int) (visits->ends[list] - begin);
}

/* all queries but those that are planned, which are in their order */
static int
queries_left(const VkVisitPlan *plan, const int32 *planned, int planned_count,
			 VkBatchQuery **queries)
{
	VkBatch    *batch = plan->batch;
	int			next = 0;
	int			count = 0;

	for (int i = 0; i < batch->count; i++)
	{
		if (next < planned_count && planned[next] == i)
			next++;
		else if (!batch->queries[i].single)
			queries[count++] = &batch->queries[i];
	}
	return count;
}

/* are the queries of the turn all others? */
static bool
takes_others(const VkVisitPlan *plan, VkVisitTurn turn)
{
	return plan->batch->strict && turn == VK_OTHER_TURN;
}

const VkPlannedVisit *
vk_visits_next(const VkVisitPlan *plan, VkVisitTurn turn, const VkPlannedVisit *list)
{
	const int32 *numbers;
	int64		i = list == NULL ? 0 : list - plan->lists + 1;

	while (i < plan->list_count && !takes_others(plan, turn) &&
		   planned_queries(&plan->turns[turn], i, &numbers) == 0)
		i++;
	return i < plan->list_count ? &plan->lists[i] : NULL;
}

int
vk_visits_queries(const VkVisitPlan *plan, const VkPlannedVisit *list, VkVisitTurn turn,
				  VkBatchQuery **queries)
{
	const bool	others = takes_others(plan, turn);
	const int32 *numbers;
	int			count = planned_queries(&plan->turns[others ? VK_FIRST_TURN : turn],
										list - plan->lists, &numbers);

	if (others)
		return queries_left(plan, numbers, count, queries);
	for (int i = 0; i < count; i++)
		queries[i] = &plan->batch->queries[numbers[i]];
	return count;
}

double
vk_batch_visits(const VkBatchTarget *target, int64 k)
{
	const VkMeta *meta = &target->meta;
	double		rows;

	if (vk_batch_strict(target) || k == 0)
		return Min(FIRST_LISTS, meta->lists);
	if (vk_probes > 0)
		return Min(vk_probes, meta->lists);
	rows = vk_curve_budget(&meta->curve, k, vk_target_recall, target->rows);
	return Max(Min(rows / Max(target->rows, 1), 1) * meta->lists, 1);
}

double
vk_batch_plan_size(const VkBatchTarget *target, int64 k)
{
	/* an array that grows is copied into one of twice the size */
	return vk_batch_visits(target, k) * (3 * sizeof(Visit) + sizeof(int32));
}
