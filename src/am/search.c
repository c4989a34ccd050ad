/*-------------------------------------------------------------------------
 *
 * search.c
 *	  From a query to candidates: visit lists, score, refine and check rows.
 *
 * NOTES
 *	  One share lock is held at a time and no pin is kept between pages
 *	  (README, Concurrency).  Kernels run under the page's share lock; they
 *	  are leaf functions.  The heap is touched by a round's callbacks only, with
 *	  no lock held.  Refine codes are read list by list, after the list's blocks,
 *	  while the query's code for that centre is at hand: the threshold that
 *	  refined bounds give is so tight that few rows of later lists get that far.
 *
 *	  Lists without a centroid (segments) are visited always, and first; then
 *	  the others, nearest first, until the work is done (work.c).
 *
 * IDENTIFICATION
 *	  src/am/search.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/search.h"
#include "kernels/rounding.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* dimensions of bit vectors up to which centres are ranked by their 8-bit codes */
#define REFINED_RANKING	256

/* summaries looked at before it is known whether that pays, and how many for one
 * list that need not be visited */
#define SUMMARIES_TRIED	32
#define SUMMARIES_WORTH	16

/* rows for one that matches, from which on their codes are not asked for early */
#define SPARSE_ROWS		32

/* relative error of an estimated score: annotations have 11 bits */
#define SCORE_ROUNDING	0x1p-10

/* ---- set-up ---- */

void
vk_query_code_create(const VkCoder *coder, VkQueryCode *code)
{
	char	   *memory = palloc0(vk_query_code_size(coder) + VK_LINE_SIZE);

	vk_query_code_init(coder, code,
					   (void *) TYPEALIGN(VK_LINE_SIZE, memory));
}

VkSearch *
vk_search_create(Relation index, const VkIndex *vk)
{
	VkSearch   *search = palloc0(sizeof(VkSearch));
	int			dim = vk->coder.dim;

	search->index = index;
	search->vk = vk;
	search->context = CurrentMemoryContext;
	search->center_coder = vk_center_coder(vk);
	/* one bit a dimension ranks centres, given many dimensions */
	search->rank_refined = vk_metric_of_bits(vk->coder.metric) &&
		dim <= REFINED_RANKING;
	search->nearest_coder = search->center_coder;
	if (search->nearest_coder.metric == VK_METRIC_IP)
		search->nearest_coder.metric = VK_METRIC_L2;

	search->query.rotated = palloc(sizeof(float) * (dim + 1));
	search->normalized = palloc(sizeof(float) * dim);
	search->scratch = palloc(vk_scratch_size(dim));
	search->center_values = palloc0(TYPEALIGN(4, dim) + 4);
	search->refine = palloc(vk_refine_size(8, dim));
	search->mean.rest = palloc(dim);
	vk_query_code_create(&vk->coder, &search->code);
	return search;
}

void
vk_search_snapshot(VkSearch *search, Snapshot snapshot)
{
	search->snapshot = snapshot;
}

void
vk_search_share(VkSearch *search, VkShare *share)
{
	search->share = share;
}

double
vk_search_rows(const VkSearch *search)
{
	return search->tally.seen - search->seen_before;
}

bool
vk_search_cut(const VkSearch *search)
{
	return search->cut;
}

bool
vk_search_wild(const VkSearch *search)
{
	return search->query.wild;
}

void
vk_search_reset_unscored(VkSearch *search, const VkMeta *meta, VkScanStats *stats)
{
	search->meta = meta;
	search->stats = stats;
	search->scored = search->cut = false;
	search->code_current = search->code_of_mean = search->code_moved = false;
	search->mean.code = NULL;
	search->center_coded = false;
	search->ranked_wanted = 0;
	search->visit_count = 0;
	memset(&search->tally, 0, sizeof(search->tally));
}

bool
vk_search_reset(VkSearch *search, const VkMeta *meta, const float *vector,
				VkScanStats *stats)
{
	const VkCoder *coder = &search->vk->coder;
	bool		wild = false;

	vk_search_reset_unscored(search, meta, stats);
	search->scored = true;
	if (coder->metric == VK_METRIC_COSINE)
	{
		if (!vk_normalize(vector, coder->dim, search->normalized, &wild))
			return false;
		vector = search->normalized;
	}
	vk_query_init(coder, vector, search->query.rotated, &search->query,
				  search->scratch);
	search->query.wild |= wild;
	return true;
}

/* the kernels that read a coder's codes, and make bounds of their annotations */
static void
choose_kernels(VkListScan *scan, const VkCoder *coder, bool proven)
{
	const VkKernels *k = vk_kernels;
	const bool	l1 = coder->metric == VK_METRIC_L1;
	const VkByteScan byte_scans[VK_METRICS] = {
		[VK_METRIC_L1] = k->scan_l1, [VK_METRIC_HAMMING] = k->scan_hamming,
		[VK_METRIC_JACCARD] = k->scan_common
	};

	scan->coder = coder;
	scan->byte_scan = byte_scans[coder->metric];
	scan->bit_score = vk_bit_score(coder->metric);
	scan->flat_bound = l1 ? k->bound_flat_l1 : k->bound_flat;
	if (coder->flat)
		scan->list_bound = NULL;
	else if (proven)
		scan->list_bound = l1 ? k->bound_list_l1_proven : k->bound_list_proven;
	else
		scan->list_bound = l1 ? k->bound_list_l1 : k->bound_list;
}

VkListScan
vk_search_list_scan(VkSearch *search, const VkCoder *coder, bool proven)
{
	VkListScan	scan = {0};

	scan.index = search->index;
	scan.vk = search->vk;
	scan.snapshot = search->snapshot;
	scan.stats = search->stats;
	scan.tally = &search->tally;
	scan.context = search->context;
	scan.refine = search->refine;
	scan.after = InvalidBlockNumber;
	choose_kernels(&scan, coder, proven);
	return scan;
}

/* ---- one list ---- */

static uint32
add_visit(VkSearch *search, uint32 number, const VkCandidate *entry)
{
	VkVisit    *visit;

	search->visits = vk_array_grow(search->context, search->visits,
								   search->visit_count, &search->visit_capacity,
								   sizeof(VkVisit));
	visit = &search->visits[search->visit_count];
	visit->rows = search->rows;
	visit->seen = search->tally.seen;
	visit->matched = search->tally.matched;
	visit->center = entry != NULL ? entry->lower : get_float4_infinity();
	visit->found = vk_work_found(search);
	visit->probed = search->probed;
	visit->number = number;
	return (uint32) search->visit_count++;
}

/* the query's code against the mean, which centres were ranked by */
static const VkMeanCode *
mean_code(VkSearch *search)
{
	VkMeanCode *mean = &search->mean;

	if (mean->code == NULL)
		vk_mean_code_set(&search->vk->coder, &search->query, &search->center_code, mean,
						 search->scratch);
	return mean;
}

/*
 * Take that code for the list at hand too; false: it does not do.  So it is packed
 * once, where to code and to pack for each list would take as long as to score one.
 */
static bool
move_code(VkSearch *search)
{
	const VkCoder *coder = &search->vk->coder;

	if (search->list.proven || !(search->begun.flags & vk_list_flags(coder)) ||
		!vk_query_code_move(coder, &search->query, mean_code(search), &search->center,
							&search->code))
		return false;
	if (!search->code_of_mean)
		vk_query_code_pack(coder, search->mean.code, &search->code);
	search->code_of_mean = true;
	return true;
}

/* VkListScan.prepare */
static void
prepare_list(VkListScan *scan)
{
	VkSearch   *search = scan->arg;
	const VkCoder *coder = &search->vk->coder;
	bool		moved = search->centered && move_code(search);

	if (!moved && (search->centered || search->code_moved || !search->code_of_mean))
	{
		vk_query_code_set(coder, &search->query,
						  search->centered ? &search->center : &mean_center,
						  vk_metric_centered(coder->metric) || !search->code_current,
						  &search->code);
		search->code_of_mean = !search->centered;
	}
	search->code_current = true;
	search->code_moved = moved;
}

/*
 * May the list hold a row that the round's filter lets through?  Where summaries
 * hardly ever exclude a list only one in eight is looked at.
 */
static bool
list_may_match(VkSearch *search, uint32 number, const VkSlot *slot)
{
	const VkFilter *filter = search->round->filter;
	VkTally    *tally = &search->tally;

	if (filter == NULL ||
		(tally->summaries >= SUMMARIES_TRIED && search->visit_count % 8 != 0 &&
		 tally->excluded * SUMMARIES_WORTH < tally->summaries))
		return true;
	tally->summaries++;
	if (vk_summary_may_match(search->index, search->vk, number, slot, filter))
		return true;
	tally->excluded++;
	return false;
}

/* has the round looked at as many rows as the user allows? */
static inline bool
is_at_limit(const VkSearch *search)
{
	int64		max_rows = search->round->max_rows;

	return max_rows > 0 && search->stats->rows >= max_rows;
}

bool
vk_search_open_list(VkSearch *search, uint32 number, const VkSlot *slot,
					const VkCandidate *entry, BlockNumber after)
{
	VkListScan *list = &search->list;

	if (!vk_slot_visible(slot, search->meta->epoch) ||
		!BlockNumberIsValid(slot->head))
		return false;
	if (!list_may_match(search, number, slot))
	{
		search->stats->skipped++;
		search->tally.seen += slot->live;
		if (entry != NULL)
			search->rows += vk_work_list(search, slot, 0);
		return false;
	}
	if (is_at_limit(search))
	{
		search->cut = true;
		return false;
	}
	search->centered = entry != NULL;
	if (search->centered)
		search->center = vk_rank_center(search, entry);
	list->visit = add_visit(search, number, entry);
	search->begun = *slot;
	list->slot = number;
	list->born = slot->born;
	list->after = after;
	list->unbounded = search->scored && slot->born < search->meta->coded;
	list->code = search->scored && !list->unbounded ? &search->code : NULL;
	list->prepared = false;
	list->sparse = vk_round_selects(search->round) &&
		search->tally.matched * SPARSE_ROWS < search->tally.seen;
	vk_list_begin(list, slot);
	if (list->code != NULL && !vk_round_selects(search->round))
	{
		list->prepared = true;
		prepare_list(list);
	}
	return true;
}

static void
close_list(VkSearch *search)
{
	const VkListScan *list = &search->list;

	search->stats->lists++;
	search->stats->rows += list->live;
	search->stats->matched += list->matched;
	search->tally.seen += list->live;
	search->tally.matched += list->matched;
	if (search->centered)
		search->rows += vk_work_list(search, &search->begun, list->live);
}

/* ---- which list comes next ---- */

/* the number of the next slot to look at; false: there is none */
static bool
next_slot(VkSearch *search, uint32 *number)
{
	uint32		end = search->meta->slots;

	if (search->share != NULL)
		return vk_share_next(search->share, end, number);
	*number = search->next_slot;
	if (*number >= end)
		return false;
	search->next_slot++;
	return true;
}

/*
 * The next list by its slot: segments, or all lists where rows are not scored.
 * Slots are copied a directory page at a time.
 */
static bool
open_by_slot(VkSearch *search)
{
	const VkMeta *meta = search->meta;
	uint32		number;

	while (!search->cut && next_slot(search, &number))
	{
		uint32		first = number / VK_PAGE_LINES * VK_PAGE_LINES;
		const VkSlot *slot = &search->slots[number - first];

		CHECK_FOR_INTERRUPTS();
		if (first != search->slots_first)
		{
			(void) vk_directory_page(search->index, meta, first, search->slots);
			search->slots_first = first;
		}
		if ((slot->flags & VK_SLOT_GROUP) == 0 &&
			(meta->lists == 0 || !search->scored || (slot->flags & VK_SLOT_SEGMENT)) &&
			vk_search_open_list(search, number, slot, NULL, InvalidBlockNumber))
			return true;
	}
	return false;
}

static VkRankedList
read_ranked(VkSearch *search, const VkCandidate *entry)
{
	VkRankedList list = {0};

	list.entry = entry;
	list.slot.head = InvalidBlockNumber;
	if (entry != NULL)
	{
		list.number = (uint32) (entry->tid >> 16);
		vk_directory_slot(search->index, search->meta, &search->directory,
						  list.number, &list.slot);
	}
	return list;
}

/* Ask the CPU for the summaries that the filter will look at. */
static pg_attribute_always_inline void
prefetch_summaries(VkSearch *search, uint32 number, const VkSlot *slot)
{
	const VkFilter *filter = search->round->filter;
	const char *page = vk_page_ahead(search->index, slot->summary);
	const VkSummary *summaries;

	if (page == NULL)
		return;
	summaries = vk_summary_on_page(search->vk, (Page) page, number);
	for (int i = 0; i < filter->count; i++)
		__builtin_prefetch(&summaries[filter->conditions[i].column]);
}

/*
 * The list after this one, unless the ranking must go on first.  Its centre and
 * its first pages are likely in no cache of the CPU: ask for them in time.
 */
static VkRankedList
look_ahead(VkSearch *search)
{
	VkRankedList list = read_ranked(search, vk_rank_peek(search));

	if (list.entry != NULL)
	{
		vk_refine_prefetch_entry(search->index, list.entry,
								 search->center_coder.refine_size);
		vk_list_prefetch(search->index, &list.slot);
		if (search->round->filter != NULL && BlockNumberIsValid(list.slot.summary))
			prefetch_summaries(search, list.number, &list.slot);
	}
	return list;
}

/*
 * The centroids that the round will likely need.  Where they lie in groups and recall
 * is measured, or all lists are wanted, the ranking begins with few, as it does for a
 * query that wants no more.
 */
static int64
centers_expected(const VkSearch *search)
{
	const VkRound *round = search->round;
	const VkMeta *meta = search->meta;
	double		rows_a_list = Max(vk_work_total(search), 1.0) / meta->lists;
	double		expected = round->probes > 0 ? round->probes :
		search->work / rows_a_list * (vk_work_conditional(round) ? 4 : 1.3) + 8;

	/* among the entries there may be some of lists that nobody sees any more */
	expected = Min(expected, (double) meta->lists) *
		Max((double) meta->centers / meta->lists, 1);
	if ((round->exhaustive || round->budget > 0) && meta->groups > 0)
		expected = Min(expected, VK_FEW_RANKED);
	return (int64) ceil(expected);
}

int64
vk_search_expected(VkSearch *search, const VkRound *round)
{
	search->round = round;
	search->work = vk_work_wanted(search);
	return centers_expected(search);
}

static void
begin_ranking(VkSearch *search)
{
	int64		expected = centers_expected(search);

	if (search->ranked_wanted < expected)
		vk_rank_centers(search, &search->center_coder, expected, search->rank_refined);
	vk_rank_restart(search);
}

/* The next list by rank, until the work is done. */
static bool
open_by_rank(VkSearch *search)
{
	if (!search->scored || search->meta->lists == 0)
		return false;
	if (search->probed == 0)
		begin_ranking(search);
	for (;;)
	{
		const VkCandidate *entry;
		VkRankedList list;

		if (search->cut || search->probed >= search->meta->lists || !vk_work_left(search))
			return false;
		CHECK_FOR_INTERRUPTS();
		entry = vk_rank_next(search, &search->center_coder, search->rank_refined);
		if (entry == NULL)
		{
			search->ran_out = true;
			return false;
		}
		list = search->ahead.entry != NULL ? search->ahead : read_ranked(search, entry);
		search->ahead = look_ahead(search);
		if (!vk_slot_visible(&list.slot, search->meta->epoch))
			continue;
		search->probed++;
		if (vk_search_open_list(search, list.number, &list.slot, entry,
								search->ahead.slot.head))
			return true;
	}
}

static bool
open_next(VkSearch *search)
{
	return open_by_slot(search) || open_by_rank(search);
}

/* ---- a round ---- */

/*
 * The radius, where bounds are statistical with room for the rounding of scores,
 * which they leave out: a row may lie just on the radius.
 */
static double
outer_radius(const VkSearch *search, const VkRound *round)
{
	if (round->proven || isinf(round->radius))
		return round->radius;
	return round->radius +
		SCORE_ROUNDING * (fabs(round->radius) + search->query.norm2);
}

void
vk_search_begin(VkSearch *search, const VkRound *round)
{
	VkCandidates *candidates = &search->candidates;
	const VkMeta *meta = search->meta;
	int64		capacity = Max(round->wanted * 4, 1024);

	if (round->max_candidates > 0)
		capacity = Min(capacity, round->max_candidates);
	vk_candidates_reserve(search->context, candidates,
						  capacity + 2 * vk_page_lanes(search->vk));
	vk_candidates_init(candidates, candidates->entries, candidates->scratch,
					   candidates->capacity, round->wanted);
	candidates->threshold = vk_round_up(outer_radius(search, round));

	search->round = round;
	search->next_slot = !search->scored || meta->lists == 0 || meta->segments != 0 ?
		VK_SLOT_FIRST_LIST : meta->slots;
	search->slots_first = PG_UINT32_MAX;
	if (search->share != NULL)
		vk_share_begin(search->share);
	search->probed = 0;
	search->ahead.entry = NULL;
	search->rows = search->taken = 0;
	search->seen_before = search->tally.seen;
	search->visit_count = 0;
	search->cut = search->ran_out = search->over = false;
	search->open = false;
	search->stats->reach = 0;
	search->work = vk_work_wanted(search);

	search->list = vk_search_list_scan(search, &search->vk->coder, round->proven);
	search->list.prepare = prepare_list;
	search->list.arg = search;
	search->list.out = candidates;
	search->list.round = round;
	search->list.filter = round->filter;
	search->list.mask = round->mask;
	search->list.proven = round->proven || search->vk->coder.flat;
}

void
vk_search_plan(VkSearch *search, const VkRound *round, VkPlannedList planned,
			   void *arg)
{
	const VkMeta *meta = search->meta;

	vk_search_begin(search, round);
	if (meta->lists > 0)
		begin_ranking(search);
	while (search->probed < meta->lists && vk_work_left(search))
	{
		const VkCandidate *entry = vk_rank_next(search, &search->center_coder,
												search->rank_refined);
		VkRankedList list;

		CHECK_FOR_INTERRUPTS();
		if (entry == NULL)
			break;
		list = read_ranked(search, entry);
		if (!vk_slot_visible(&list.slot, meta->epoch))
			continue;
		search->probed++;
		(void) add_visit(search, list.number, entry);
		search->rows += vk_work_list(search, &list.slot, list.slot.live);
		if (BlockNumberIsValid(list.slot.head))
			planned(arg, list.number, &list.slot, entry,
					&search->chains[VK_VISIT(entry->slot)]);
	}
	vk_work_note(search);
}

VkCandidates *
vk_search_collect(VkSearch *search, const VkRound *round, bool *exhaustive)
{
	instr_time	start;
	instr_time	end;
	double		rank_us = search->stats->rank_us;

	INSTR_TIME_SET_CURRENT(start);
	vk_search_begin(search, round);
	while (open_next(search))
	{
		while (vk_list_step(&search->list))
			;
		vk_list_settle(&search->list);
		close_list(search);
	}
	(void) vk_candidates_prune(&search->candidates);

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	search->stats->scan_us += INSTR_TIME_GET_DOUBLE(end) * 1e6 -
		(search->stats->rank_us - rank_us);
	vk_work_note(search);
	*exhaustive = !search->cut && search->probed >= search->meta->lists;
	return &search->candidates;
}

/* scan the next page; false: there is none */
static bool
step_page(VkSearch *search)
{
	while (!search->over && (!search->open || !vk_list_step(&search->list)))
	{
		if (search->open)
			close_list(search);
		search->open = open_next(search);
		search->over = !search->open;
		if (search->over)
			vk_work_note(search);
	}
	return !search->over;
}

bool
vk_search_step(VkSearch *search, int64 least, VkCandidates **candidates)
{
	VkCandidates *found = &search->candidates;

	search->taken += found->count;
	found->count = found->pruned_count = 0;
	while (found->count < least && step_page(search))
	{
		vk_list_settle(&search->list);
		(void) vk_candidates_prune(found);
	}
	*candidates = found;
	return found->count > 0;
}

void
vk_search_check_complete(const VkSearch *search)
{
	if (search->ran_out)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" contains lists without a centroid",
						RelationGetRelationName(search->index)),
				 errdetail("Of %u lists " INT64_FORMAT " have one.",
						   search->meta->lists, search->probed),
				 errhint("Please REINDEX it.")));
}
