/*-------------------------------------------------------------------------
 *
 * rank.c
 *	  Centroids in the order of their distance from a query, or from a row.
 *
 * IDENTIFICATION
 *	  src/am/rank.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "portability/instr_time.h"

#include "am/search.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* statistical bounds that are the estimate itself */
#define NO_SPREAD		0.0f

/* how many times as many are ranked where the first ranking was too short */
#define RANK_AGAIN		16

/* centroids that are sorted at once, at least */
#define FIRST_SORTED	64

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
 * Sort the next part of the ranking: as many again as are sorted already.  Most
 * searches end long before the last list.  False where all are sorted.
 */
static bool
sort_more(VkSearch *search)
{
	VkCandidates *ranked = &search->ranked;
	VkCandidate *rest = ranked->entries + search->ranked_sorted;
	int64		left = ranked->count - search->ranked_sorted;
	int64		part = Max(search->ranked_sorted, FIRST_SORTED);

	if (left == 0)
		return false;
	if (part < left)
	{
		float		last;
		int64		count = 0;

		for (int64 i = 0; i < left; i++)
			ranked->scratch[i] = rest[i].lower;
		last = vk_select_float(ranked->scratch, left, part - 1);
		for (int64 i = 0; i < left; i++)
			if (rest[i].lower <= last)
			{
				VkCandidate entry = rest[i];

				rest[i] = rest[count];
				rest[count++] = entry;
			}
		part = count;
	}
	part = Min(part, left);
	qsort(rest, part, sizeof(VkCandidate), compare_candidates);
	search->ranked_sorted += part;
	return true;
}

/*
 * Rank the centroids: the `wanted` nearest, in order, into search->ranked.
 * Estimates of the scan code alone rank lists for queries; for rows (refined)
 * the 8-bit codes decide.
 */
void
vk_rank_centers(VkSearch *search, const VkCoder *coder, int64 wanted, bool refined)
{
	VkCandidates *ranked = &search->ranked;
	VkListScan	scan = vk_search_list_scan(search, coder, false);
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
	scan.code = &search->center_code;
	scan.prepared = true;
	scan.out = ranked;
	scan.slot = VK_SLOT_CENTERS;
	scan.born = slot.born;
	vk_list_begin(&scan, &slot);
	while (vk_list_step(&scan))
		;
	if (refined)
		vk_list_settle(&scan);
	(void) vk_candidates_prune(ranked);
	search->ranked_next = search->ranked_sorted = 0;
	search->ranked_wanted = wanted;
	(void) sort_more(search);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	search->stats->rank_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

/* Decode the centre that a ranked entry stands for: its refine code. */
VkCenter
vk_rank_center(VkSearch *search, const VkCandidate *entry)
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

const VkCandidate *
vk_rank_peek(VkSearch *search)
{
	if (search->ranked_next == search->ranked_sorted && !sort_more(search))
		return NULL;
	return &search->ranked.entries[search->ranked_next];
}

/*
 * The next list by rank, NULL after the last.  Where the ranking ends before
 * the work does, it is made again for many times as many.
 */
const VkCandidate *
vk_rank_next(VkSearch *search, const VkCoder *coder, bool refined)
{
	int64		next = search->ranked_next;

	if (vk_rank_peek(search) == NULL)
	{
		if (search->ranked_wanted >= search->meta->lists)
			return NULL;
		vk_rank_centers(search, coder, search->ranked_wanted * RANK_AGAIN, refined);
		while (search->ranked_sorted <= next)
			if (!sort_more(search))
				return NULL;
	}
	search->ranked_next = next + 1;
	return &search->ranked.entries[next];
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
		vk_rank_centers(search, &search->nearest_coder, 4, refined);
	}
	entry = vk_rank_next(search, &search->nearest_coder, refined);
	if (entry == NULL)
		return 0;
	*center = vk_rank_center(search, entry);
	return (uint32) (entry->tid >> 16);
}
