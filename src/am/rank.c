/*-------------------------------------------------------------------------
 *
 * rank.c
 *	  Centroids in the order of their distance from a query, or from a row.
 *
 * NOTES
 *	  The centre list has entries of lists that the search does not see: not born
 *	  yet, or retired.  They are ranked with the others, and whoever asks for the
 *	  next list looks at its slot.  Entries come and go while a search runs, but
 *	  never those of lists that it sees.  So places in one ranking mean nothing in
 *	  a later one, and entries that were given are remembered by their slots.
 *
 *	  Where the entries lie in groups, the groups are ranked first, by the same
 *	  code of the query, and only so many of them are scanned, nearest first, that
 *	  few of the nearest centroids are missed.  Those come in a later ranking, which
 *	  looks at more groups; calibration goes by the same rankings and so allows for
 *	  it.
 *
 * IDENTIFICATION
 *	  src/am/rank.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "portability/instr_time.h"

#include "am/search.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/* how many times as many are ranked where the first ranking was too short */
#define RANK_AGAIN		16

/*
 * Entries looked at in groups: for a row, for a query that wants few lists, and for
 * each list that another wants.  Of 64 lists wanted out of 65,000 (128 dimensions,
 * clusters in 24 of them) so .957 are found, of the nearest 16 of these .997; of
 * 250,000 lists .999 and all.
 */
#define NEAREST_SEEN	2048
#define LEAST_SEEN		(VK_FEW_RANKED * SEEN_A_LIST)
#define SEEN_A_LIST		128

double
vk_rank_seen(const VkMeta *meta)
{
	return meta->groups > 0 ? (double) meta->groups + LEAST_SEEN : meta->centers;
}

/* ---- scanning entries ---- */

/* the query's code against the mean, which ranks all entries */
static void
set_center_code(VkSearch *search, const VkCoder *coder, bool refined)
{
	if (search->center_code.values == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(search->context);

		vk_query_code_create(coder, &search->center_code);
		MemoryContextSwitchTo(old);
	}
	if (search->center_coded)
		return;
	vk_query_code_set(coder, &search->query, &mean_center, true, &search->center_code);
	search->center_code.bound.epsilon = refined ? VK_EPSILON : VK_NO_SPREAD;
	search->center_coded = true;
}

/* candidates empty, with room to begin with */
static void
begin_candidates(VkSearch *search, VkCandidates *candidates, int64 wanted,
				 int64 known)
{
	vk_candidates_reserve(search->context, candidates,
						  Max(Min(wanted * 4, known), wanted) +
						  2 * vk_page_lanes(search->vk));
	vk_candidates_init(candidates, candidates->entries, candidates->scratch,
					   candidates->capacity, wanted);
}

void
vk_rank_slot(VkSearch *search, uint32 number, VkSlot *slot)
{
	vk_directory_slot(search->index, search->meta, &search->directory, number, slot);
	if (vk_slot_has_centers(number, slot))
		return;
	if (vk_began_in_recovery())
		vk_report_recycled(search->index);
	vk_corrupt(search->index, VK_META_BLOCK,
			   psprintf("Slot %u holds no centroids.", number));
}

/* Note a chain that entries lie in; returns its VkCandidate.slot. */
static uint32
add_chain(VkSearch *search, uint32 number, uint64 born)
{
	search->chains = vk_array_grow(search->context, search->chains,
								   search->chain_count, &search->chain_capacity,
								   sizeof(VkCenterChain));
	search->chains[search->chain_count] = (VkCenterChain) {number, born};
	return (uint32) search->chain_count++;
}

/* the entries of one list into scan->out; returns how many there are */
static int64
scan_entries(VkSearch *search, VkListScan *scan, uint32 number, bool refined)
{
	VkSlot		slot;

	vk_rank_slot(search, number, &slot);
	scan->slot = number;
	scan->born = slot.born;
	scan->visit = add_chain(search, number, slot.born);

	vk_list_begin(scan, &slot);
	while (vk_list_step(scan))
		;
	if (refined)
		vk_list_settle(scan);
	return scan->live;
}

/* the next group by rank, 0 after the last */
static uint32
next_group(VkSearch *search)
{
	if (search->groups_next == search->groups_sorted &&
		!vk_candidates_sort(&search->groups, &search->groups_sorted))
		return 0;
	return (uint32) (search->groups.entries[search->groups_next++].tid >> 16);
}

static void
rank_groups(VkSearch *search, const VkCoder *coder)
{
	VkListScan	scan = vk_search_list_scan(search, coder, false);
	int64		groups = search->meta->groups;

	begin_candidates(search, &search->groups, groups, groups);
	scan.code = &search->center_code;
	scan.prepared = true;
	scan.out = &search->groups;
	search->chain_count = 0;
	(void) scan_entries(search, &scan, search->meta->root, false);
	(void) vk_candidates_prune(&search->groups);
	search->groups_sorted = 0;
}

/*
 * Scan groups, nearest first, until enough entries are seen for the wanted; all of
 * them where that is as many as there are.  Returns the entries that there are,
 * as far as is known.
 */
static int64
scan_groups(VkSearch *search, VkListScan *scan, int64 wanted, int64 known,
			bool refined)
{
	int64		enough = wanted >= known ? PG_INT64_MAX :
		Max(refined ? NEAREST_SEEN : LEAST_SEEN, wanted * SEEN_A_LIST);
	int64		seen = 0;
	uint32		group;

	if (search->ranked_wanted == 0)
		rank_groups(search, scan->coder);
	search->groups_next = 0;
	search->chain_count = 0;
	while (seen < enough)
	{
		group = next_group(search);
		if (group == 0)
			return seen;
		seen += scan_entries(search, scan, group, refined);
	}
	return Max(known, seen + 1);
}

/*
 * Rank the centroids: the `wanted` nearest, in order, into search->ranked.
 * Estimates of the scan code alone rank lists for queries; for rows (refined)
 * the 8-bit codes decide.
 */
void
vk_rank_centers(VkSearch *search, const VkCoder *coder, int64 wanted, bool refined)
{
	VkListScan	scan = vk_search_list_scan(search, coder, false);
	int64		known = Max(search->meta->centers, search->centers);
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	wanted = Min(wanted, known);
	set_center_code(search, coder, refined);
	begin_candidates(search, &search->ranked, wanted, known);
	scan.code = &search->center_code;
	scan.prepared = true;
	scan.out = &search->ranked;
	if (search->meta->groups > 0)
		search->centers = scan_groups(search, &scan, wanted, known, refined);
	else
	{
		search->chain_count = 0;
		search->centers = scan_entries(search, &scan, search->meta->root, refined);
	}
	(void) vk_candidates_prune(&search->ranked);
	search->ranked_next = search->ranked_sorted = 0;
	search->ranked_wanted = wanted;
	(void) vk_candidates_sort(&search->ranked, &search->ranked_sorted);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	search->stats->rank_us += INSTR_TIME_GET_DOUBLE(end) * 1e6;
}

VkCandidates *
vk_rank_take(VkSearch *search, const VkSlot *chain, int64 wanted, int64 centers,
			 int64 room)
{
	VkCandidates *ranked = &search->ranked;

	vk_candidates_reserve(search->context, ranked, Max(room, 1));
	vk_candidates_init(ranked, ranked->entries, ranked->scratch, ranked->capacity, wanted);
	search->chain_count = 0;
	(void) add_chain(search, search->meta->root, chain->born);
	search->centers = centers;
	search->ranked_next = search->ranked_sorted = 0;
	search->ranked_wanted = wanted;
	return ranked;
}

/* Decode the centre that a ranked entry stands for: its refine code. */
VkCenter
vk_rank_center(VkSearch *search, const VkCandidate *entry)
{
	const VkCenterChain *chain = &search->chains[VK_VISIT(entry->slot)];
	VkCenter	center;
	int			dim = search->vk->coder.dim;

	vk_refine_read(search->index, chain->slot, chain->born,
				   (BlockNumber) (entry->location >> 32), entry->position,
				   (uint32) entry->location, search->center_coder.refine_size,
				   search->refine);
	center.norm = vk_refine_center(search->refine, dim, search->center_values,
								   &center.a);
	center.code = search->center_values;
	return center;
}

/*
 * Is an entry of no use to the search?  Its list was made after the meta page was
 * read, or an earlier ranking has given it.
 */
static bool
is_spent(const VkSearch *search, const VkCandidate *entry)
{
	uint32		number = (uint32) (entry->tid >> 16);

	return number >= search->meta->slots ||
		(search->ranked_again && (search->given[number / 8] & 1 << number % 8) != 0);
}

/* Remember the entries that this ranking has given, before it is made again. */
static void
note_given(VkSearch *search)
{
	Size		size = search->meta->slots / 8 + 1;

	if (search->given_size < size)
	{
		search->given = search->given == NULL ?
			MemoryContextAlloc(search->context, size) :
			repalloc(search->given, size);
		search->given_size = size;
	}
	if (!search->ranked_again)
		memset(search->given, 0, search->given_size);
	search->ranked_again = true;
	for (int64 i = 0; i < search->ranked_next; i++)
	{
		uint32		number = (uint32) (search->ranked.entries[i].tid >> 16);

		if (number < search->meta->slots)
			search->given[number / 8] |= 1 << number % 8;
	}
}

void
vk_rank_restart(VkSearch *search)
{
	search->ranked_next = 0;
	search->ranked_again = false;
}

const VkCandidate *
vk_rank_peek(VkSearch *search)
{
	for (;; search->ranked_next++)
	{
		const VkCandidate *entry;

		if (search->ranked_next == search->ranked_sorted &&
			!vk_candidates_sort(&search->ranked, &search->ranked_sorted))
			return NULL;
		entry = &search->ranked.entries[search->ranked_next];
		if (!is_spent(search, entry))
			return entry;
	}
}

/*
 * The next list by rank, NULL after the last.  Where the ranking ends before
 * the work does, it is made again for many times as many.
 */
const VkCandidate *
vk_rank_next(VkSearch *search, const VkCoder *coder, bool refined)
{
	const VkCandidate *entry;

	while ((entry = vk_rank_peek(search)) == NULL)
	{
		if (search->ranked_wanted >= search->centers)
			return NULL;
		note_given(search);
		vk_rank_centers(search, coder, search->ranked_wanted * RANK_AGAIN, refined);
	}
	search->ranked_next++;
	return entry;
}

/* ---- inserts ---- */

/*
 * The next list that may take rows, NULL after the last.  One that has retired is among
 * them: it tells that there are others, which the meta page at hand does not show.
 */
static const VkCandidate *
next_open(VkSearch *search, bool refined)
{
	const VkCandidate *entry;

	while ((entry = vk_rank_next(search, &search->nearest_coder, refined)) != NULL)
	{
		VkSlot		slot;

		CHECK_FOR_INTERRUPTS();
		vk_directory_slot(search->index, search->meta, &search->directory,
						  (uint32) (entry->tid >> 16), &slot);
		/* the ranking may be older than what is in the slot by now */
		if (vk_slot_visible(&slot, search->meta->epoch) &&
			(slot.flags & (VK_SLOT_SEGMENT | VK_SLOT_GROUP)) == 0)
			break;
	}
	return entry;
}

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
		search->center_coded = false;
		search->ranked_wanted = 0;
		vk_rank_centers(search, &search->nearest_coder, 4, refined);
		vk_rank_restart(search);
	}
	entry = next_open(search, refined);
	if (entry == NULL)
		return 0;
	*center = vk_rank_center(search, entry);
	return (uint32) (entry->tid >> 16);
}
