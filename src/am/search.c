/*-------------------------------------------------------------------------
 *
 * search.c
 *	  From a query to candidates: rank centroids, scan lists, refine.
 *
 * NOTES
 *	  Nothing here touches the heap.  One share lock is held at a time and no
 *	  pin is kept between pages (POSTGRES.md, protocol 5-9).  Kernels run under
 *	  the page's share lock; they are leaf functions.  Refine codes are read
 *	  list by list, after the list's blocks, while the query's code for that
 *	  centre is at hand: the threshold that refined bounds give is so tight
 *	  that few rows of later lists get that far.
 *
 * IDENTIFICATION
 *	  src/am/search.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "portability/instr_time.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "am/search.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* statistical bounds that are the estimate itself */
#define NO_SPREAD		0.0f

struct VkSearch
{
	Relation	index;
	const VkIndex *vk;
	const VkMeta *meta;
	VkScanStats *stats;
	Snapshot	snapshot;
	MemoryContext context;
	VkCoder		center_coder;	/* rank centroids for queries */
	VkCoder		nearest_coder;	/* rank centroids for rows: Euclidean, or L1 */

	/* the query */
	VkQuery		query;
	float	   *normalized;		/* cosine */
	VkQueryCode code;			/* against the list at hand */
	bool		code_current;	/* code.code is that of this query */
	VkQueryCode center_code;	/* against the mean, for the centre list */
	void	   *scratch;
	int8_t	   *center_values;	/* decoded code of the list at hand */
	uint8	   *refine;			/* one refine code */

	VkDirectory directory;		/* where slots are */

	/* centroids, nearest first; tid >> 16 is the slot */
	uint64		centers_born;
	VkCandidates ranked;
	int64		ranked_next;
	int64		ranked_wanted;

	VkCandidates candidates;
	double	   *visits;			/* live rows of the lists begun before each */
	int64		visit_count;
	int64		visit_capacity;
};

/* ---- set-up ---- */

/* memory for a query's code, 64-byte aligned, from the current context */
static void
query_code_create(const VkCoder *coder, VkQueryCode *code)
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
	search->nearest_coder = search->center_coder;
	if (search->nearest_coder.metric == VK_METRIC_IP)
		search->nearest_coder.metric = VK_METRIC_L2;

	search->query.rotated = palloc(sizeof(float) * (dim + 1));
	search->normalized = palloc(sizeof(float) * dim);
	search->scratch = palloc(vk_scratch_size(dim));
	search->center_values = palloc0(TYPEALIGN(4, dim) + 4);
	search->refine = palloc(vk_refine_size(8, dim));
	query_code_create(&vk->coder, &search->code);
	if (vk->lists > 0)
		query_code_create(&search->center_coder, &search->center_code);
	return search;
}

void
vk_search_snapshot(VkSearch *search, Snapshot snapshot)
{
	search->snapshot = snapshot;
}

bool
vk_search_wild(const VkSearch *search)
{
	return search->query.wild;
}

bool
vk_search_reset(VkSearch *search, const VkMeta *meta, const float *vector,
				VkScanStats *stats)
{
	const VkCoder *coder = &search->vk->coder;
	bool		wild = false;

	search->meta = meta;
	search->stats = stats;
	search->code_current = false;
	search->ranked_wanted = 0;
	search->visit_count = 0;
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

static VkListScan
new_list_scan(VkSearch *search)
{
	VkListScan	scan = {0};

	scan.index = search->index;
	scan.vk = search->vk;
	scan.snapshot = search->snapshot;
	scan.stats = search->stats;
	scan.context = search->context;
	scan.refine = search->refine;
	scan.after = InvalidBlockNumber;
	return scan;
}

/* the kernels that make bounds of the annotations of a coder's codes */
static void
choose_bounds(VkListScan *scan, const VkCoder *coder, bool proven)
{
	const VkKernels *k = vk_kernels;
	const bool	l1 = coder->metric == VK_METRIC_L1;

	scan->coder = coder;
	scan->flat_bound = l1 ? k->bound_flat_l1 : k->bound_flat;
	if (coder->flat)
		scan->list_bound = NULL;
	else if (proven)
		scan->list_bound = l1 ? k->bound_list_l1_proven : k->bound_list_proven;
	else
		scan->list_bound = l1 ? k->bound_list_l1 : k->bound_list;
}

/* ---- centroids ---- */

static int
compare_candidates(const void *a, const void *b)
{
	const VkCandidate *x = a;
	const VkCandidate *y = b;

	if (x->lower != y->lower)
		return x->lower < y->lower ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/*
 * Rank the centroids: the `wanted` nearest, in order, into search->ranked.
 * Estimates of the scan code alone rank lists for queries; for rows (refined)
 * the 8-bit codes decide.
 */
static void
rank_centers(VkSearch *search, const VkCoder *coder, int64 wanted, bool refined)
{
	VkCandidates *ranked = &search->ranked;
	VkListScan	scan = new_list_scan(search);
	VkSlot		slot;
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	wanted = Min(wanted, search->meta->lists);
	if (search->ranked_wanted == 0)
	{
		vk_query_code_set(coder, &search->query, &mean_center, true,
						  &search->center_code);
		search->center_code.bound.epsilon = refined ? VK_EPSILON : NO_SPREAD;
	}
	vk_candidates_reserve(search->context, ranked,
						  Max(Min(wanted * 4, search->meta->lists), wanted) +
						  2 * vk_page_lanes(search->vk));
	vk_candidates_init(ranked, ranked->entries, ranked->scratch,
					   ranked->capacity, wanted);

	vk_directory_slot(search->index, search->meta, &search->directory,
					  VK_SLOT_CENTERS, &slot);
	search->centers_born = slot.born;
	choose_bounds(&scan, coder, false);
	scan.code = &search->center_code;
	scan.out = ranked;
	scan.slot = VK_SLOT_CENTERS;
	scan.born = slot.born;
	vk_list_scan(&scan, &slot);
	if (refined)
		vk_list_settle(&scan);
	(void) vk_candidates_prune(ranked);
	qsort(ranked->entries, ranked->count, sizeof(VkCandidate), compare_candidates);
	ranked->count = Min(ranked->count, wanted);
	search->ranked_next = 0;
	search->ranked_wanted = wanted;
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	search->stats->rank_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

/* Decode the centre that a ranked entry stands for: its refine code. */
static VkCenter
read_center(VkSearch *search, const VkCandidate *entry)
{
	VkCenter	center;
	int			dim = search->vk->coder.dim;

	vk_refine_read(search->index, VK_SLOT_CENTERS, search->centers_born,
				   (BlockNumber) (entry->location >> 32), entry->position,
				   (uint32) entry->location, search->center_coder.refine_size,
				   search->refine);
	center.norm = vk_refine_center(search->refine, dim, search->center_values,
								   &center.a);
	center.code = search->center_values;
	return center;
}

/*
 * The next list by rank, NULL after the last.  Where the ranking ends before
 * the work does, it is made again for four times as many.
 */
static const VkCandidate *
next_ranked(VkSearch *search, const VkCoder *coder, bool refined)
{
	int64		next = search->ranked_next;

	if (next == search->ranked.count)
	{
		if (search->ranked_wanted >= search->meta->lists)
			return NULL;
		rank_centers(search, coder, search->ranked_wanted * 4, refined);
		if (next >= search->ranked.count)
			return NULL;
	}
	search->ranked_next = next + 1;
	return &search->ranked.entries[next];
}

/* ---- a round ---- */

static uint32
add_visit(VkSearch *search, double rows_before)
{
	if (search->visit_count == search->visit_capacity)
	{
		Size		size;

		search->visit_capacity = Max(search->visit_capacity * 2, 64);
		size = search->visit_capacity * sizeof(double);
		search->visits = search->visits == NULL ?
			MemoryContextAllocHuge(search->context, size) :
			repalloc_huge(search->visits, size);
	}
	search->visits[search->visit_count] = rows_before;
	return (uint32) search->visit_count++;
}

/*
 * Scan one list against its centre (NULL: the mean) and refine what is left.
 * Block after will be read next, as far as is known.  Returns its live rows.
 */
static int64
visit_list(VkSearch *search, const VkRound *round, float epsilon, uint32 number,
		   const VkSlot *slot, const VkCenter *center, BlockNumber after,
		   double rows_before)
{
	const VkCoder *coder = &search->vk->coder;
	VkListScan	scan = new_list_scan(search);

	if (!vk_slot_visible(slot, search->meta->epoch) ||
		!BlockNumberIsValid(slot->head))
		return 0;
	if (center != NULL || !search->code_current)
	{
		vk_query_code_set(coder, &search->query,
						  center != NULL ? center : &mean_center,
						  vk_metric_centered(coder->metric) || !search->code_current,
						  &search->code);
		search->code_current = true;
	}
	search->code.bound.epsilon = epsilon;

	choose_bounds(&scan, coder, round->proven);
	scan.code = &search->code;
	scan.out = &search->candidates;
	scan.round = round;
	scan.visit = add_visit(search, rows_before);
	scan.slot = number;
	scan.born = slot->born;
	scan.after = after;
	scan.proven = round->proven || coder->flat;
	vk_list_scan(&scan, slot);
	vk_list_settle(&scan);
	search->stats->lists++;
	search->stats->rows += scan.live;
	return scan.live;
}

/* Visit the segments: lists without a centroid, which every scan reads. */
static double
visit_segments(VkSearch *search, const VkRound *round, float epsilon)
{
	const VkMeta *meta = search->meta;
	VkSlot		slots[VK_PAGE_LINES];
	double		rows = 0;
	uint32		number = VK_SLOT_FIRST_LIST;

	search->code_current = false;
	while (number < meta->slots)
	{
		uint32		last = Min(meta->slots, (number / VK_PAGE_LINES + 1) * VK_PAGE_LINES);
		uint32		first = number;
		VkSlot	   *slot;
		Buffer		buffer = vk_slot_lock(search->index, meta, number,
										  BUFFER_LOCK_SHARE, &slot);

		memcpy(slots, slot, (last - first) * sizeof(VkSlot));
		UnlockReleaseBuffer(buffer);
		for (; number < last; number++)
		{
			const VkSlot *segment = &slots[number - first];

			if (meta->lists == 0 || (segment->flags & VK_SLOT_SEGMENT))
				rows += visit_list(search, round, epsilon, number, segment,
								   NULL, InvalidBlockNumber, rows);
		}
	}
	search->code_current = false;
	return rows;
}

/* One list of the ranking */
typedef struct RankedList
{
	const VkCandidate *entry;	/* NULL: there is none */
	uint32		number;
	VkSlot		slot;
} RankedList;

static RankedList
read_ranked(VkSearch *search, const VkCandidate *entry)
{
	RankedList	list = {0};

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

/*
 * The list after this one, unless the ranking must go on first.  Its centre and
 * its first page are likely in no cache of the CPU: ask for them in time.
 */
static RankedList
look_ahead(VkSearch *search)
{
	RankedList	list = read_ranked(search,
								   search->ranked_next < search->ranked.count ?
								   &search->ranked.entries[search->ranked_next] : NULL);

	if (list.entry != NULL)
		vk_refine_prefetch(search->index, list.entry,
						   search->center_coder.refine_size);
	return list;
}

/* Visit the lists nearest the query until the work is done. */
static bool
visit_ranked(VkSearch *search, const VkRound *round, float epsilon, double rows)
{
	const VkMeta *meta = search->meta;
	double		rows_a_list = Max(meta->live_rows, 1.0) / meta->lists;
	double		expected = round->budget / rows_a_list * 1.3 + 8;
	int64		visited = 0;
	RankedList	next = {0};

	if (round->probes > 0)
		expected = round->probes;
	expected = Min(expected, (double) meta->lists);
	if (search->ranked_wanted < expected)
		rank_centers(search, &search->center_coder, (int64) ceil(expected), false);
	search->ranked_next = 0;

	while (round->probes > 0 ? visited < round->probes : rows < round->budget)
	{
		const VkCandidate *entry = next_ranked(search, &search->center_coder, false);
		RankedList	list = next.entry != NULL ? next : read_ranked(search, entry);
		VkCenter	center;

		if (entry == NULL)
			break;
		next = look_ahead(search);
		center = read_center(search, entry);
		rows += visit_list(search, round, epsilon, list.number, &list.slot, &center,
						   next.slot.head, rows);
		visited++;
	}
	return visited >= meta->lists;
}

static bool
collect(VkSearch *search, const VkRound *round, float epsilon)
{
	VkCandidates *candidates = &search->candidates;
	int64		capacity = Max(round->wanted * 4, 1024);
	instr_time	start;
	instr_time	end;
	double		rank_us = search->stats->rank_us;
	double		rows = 0;
	bool		exhaustive = true;

	INSTR_TIME_SET_CURRENT(start);
	if (round->max_candidates > 0)
		capacity = Min(capacity, round->max_candidates);
	vk_candidates_reserve(search->context, candidates,
						  capacity + 2 * vk_page_lanes(search->vk));
	vk_candidates_init(candidates, candidates->entries, candidates->scratch,
					   candidates->capacity, round->wanted);
	search->visit_count = 0;
	if (search->meta->lists == 0 || search->meta->open_slot != 0)
		rows = visit_segments(search, round, epsilon);
	if (search->meta->lists > 0)
		exhaustive = visit_ranked(search, round, epsilon, rows);
	(void) vk_candidates_prune(candidates);

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	search->stats->scan_us += INSTR_TIME_GET_DOUBLE(end) * 1e6 -
		(search->stats->rank_us - rank_us);
	return exhaustive;
}

VkCandidates *
vk_search_collect(VkSearch *search, const VkRound *round, bool *exhaustive)
{
	*exhaustive = collect(search, round, VK_EPSILON);
	return &search->candidates;
}

/* ---- calibration ---- */

static bool
skip_self(void *arg, uint64 tid)
{
	return tid == *(uint64 *) arg;
}

static int
compare_estimates(const void *a, const void *b)
{
	const VkCandidate *x = a;
	const VkCandidate *y = b;
	double		p = (double) x->lower + x->upper;
	double		q = (double) y->lower + y->upper;

	if (p != q)
		return p < q ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

int
vk_search_calibrate(VkSearch *search, int k, double budget, ItemPointer self,
					float *work, float *scores)
{
	VkRound		round = {0};
	uint64		tid = vk_tid_encode(self);
	VkCandidates *found = &search->candidates;
	int			count;

	round.wanted = k;
	round.budget = budget > 0 ? budget : get_float8_infinity();
	round.skip = skip_self;
	round.arg = &tid;
	/* without refine codes the scan code's estimate is the finest there is */
	(void) collect(search, &round,
				   search->vk->coder.refine_size > 0 ? VK_EPSILON : NO_SPREAD);
	qsort(found->entries, found->count, sizeof(VkCandidate), compare_estimates);
	count = (int) Min(found->count, k);
	for (int i = 0; i < count; i++)
	{
		const VkCandidate *entry = &found->entries[i];

		work[i] = search->visits[VK_VISIT(entry->slot)] + 1;
		if (scores != NULL)
			scores[i] = ((double) entry->lower + entry->upper) / 2;
	}
	return count;
}

/* ---- inserts ---- */

uint32
vk_search_nearest(VkSearch *search, const VkMeta *meta, const float *vector,
				  int nth, VkCenter *center)
{
	static VkScanStats unused;
	/* L1: the scan codes have 8 bits themselves */
	const bool	refined = search->nearest_coder.metric != VK_METRIC_L1;
	const VkCandidate *entry;

	if (nth == 0)
	{
		search->meta = meta;
		search->stats = &unused;
		vk_query_init(&search->nearest_coder, vector, search->query.rotated,
					  &search->query, search->scratch);
		search->ranked_wanted = 0;
		rank_centers(search, &search->nearest_coder, 4, refined);
	}
	entry = next_ranked(search, &search->nearest_coder, refined);
	if (entry == NULL)
		return 0;
	*center = read_center(search, entry);
	return (uint32) (entry->tid >> 16);
}
