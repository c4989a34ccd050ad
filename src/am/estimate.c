/*-------------------------------------------------------------------------
 *
 * estimate.c
 *	  How many rows lie within a radius: a look into a few lists, for planning.
 *
 * NOTES
 *	  Rows near a vector are in the lists whose centroids are near it, so lists
 *	  are looked into at growing steps by rank, each standing for those up to the
 *	  next.  Without centroids a few pages of some segments are a sample of the
 *	  table.  A row counts by the estimate of its scan code.
 *
 * IDENTIFICATION
 *	  src/am/estimate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "am/search.h"

/* lists that are ranked at most, and by how much a step of the ranks grows */
#define RANKED_LISTS	1024
#define RANK_STEP		1.6

/* segments looked into, and pages of each */
#define SAMPLED_SEGMENTS	32
#define SAMPLED_PAGES	2

typedef struct Sample
{
	double		rows;			/* looked at */
	double		within;			/* of them in the radius */
} Sample;

/* look at the first pages of a list; entry: its centroid, or NULL; false where
 * there is nothing to see */
static bool
look_into(VkSearch *search, uint32 number, const VkCandidate *entry, int pages,
		  Sample *sample)
{
	const VkRound *round = search->round;
	VkCandidates *found = &search->candidates;
	VkSlot		slot;

	vk_directory_slot(search->index, search->meta, &search->directory, number, &slot);
	if (!vk_search_open_list(search, number, &slot, entry, InvalidBlockNumber))
		return false;
	search->code.bound.epsilon = 0;
	while (pages-- > 0 && vk_list_step(&search->list))
	{
		for (int64 i = 0; i < found->count; i++)
		{
			const VkCandidate *row = &found->entries[i];

			if (((double) row->lower + row->upper) / 2 <= round->radius)
				sample->within++;
		}
		found->count = 0;
	}
	sample->rows += search->list.live;
	return true;
}

/* the share of a list's rows that lie in the radius; false where it has none */
static bool
share_of_list(VkSearch *search, const VkCandidate *entry, double *share)
{
	Sample		sample = {0};

	if (!look_into(search, (uint32) (entry->tid >> 16), entry, PG_INT32_MAX, &sample))
		return false;
	*share = sample.rows > 0 ? sample.within / sample.rows : 0;
	return true;
}

/*
 * The share of all rows, as if all lists were equally long.  Lists past the last
 * rank hold half as many as that one, about.
 */
static double
share_of_lists(VkSearch *search)
{
	int64		lists = search->meta->lists;
	int64		ranked = Min(lists, RANKED_LISTS);
	int64		next = 0;
	double		share = 0;
	double		sum = 0;

	vk_rank_centers(search, &search->center_coder, ranked, search->rank_refined);
	for (int64 rank = 0; rank < ranked; rank++)
	{
		const VkCandidate *entry = vk_rank_next(search, &search->center_coder,
												   search->rank_refined);

		if (entry == NULL)
			break;
		/* entries of lists that are not visible are passed over where it counts */
		if (rank == next)
		{
			if (share_of_list(search, entry, &share))
				next = Max(rank + 1, (int64) (rank * RANK_STEP));
			else
				next++;
		}
		sum += share;
	}
	return (sum + share / 2 * (lists - ranked)) / lists;
}

static double
share_of_segments(VkSearch *search)
{
	uint32		slots = search->meta->slots - VK_SLOT_FIRST_LIST;
	uint32		count = Min(slots, SAMPLED_SEGMENTS);
	Sample		sample = {0};

	for (uint32 i = 0; i < count; i++)
		(void) look_into(search, VK_SLOT_FIRST_LIST + (uint32) ((uint64) slots * i / count),
				  NULL, SAMPLED_PAGES, &sample);
	return sample.rows > 0 ? sample.within / sample.rows : 0;
}

double
vk_estimate_within(Relation index, const float *vector, double radius)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex estimate",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkMeta		meta;
	VkIndex    *vk = vk_index_current(index, &meta, context);
	VkSearch   *search = vk_search_create(index, vk);
	VkRound		round = {0};
	VkScanStats stats = {0};
	double		share = 0;

	round.radius = vk_support(index)->score(radius);
	round.budget = 1;
	if (vk_search_reset(search, &meta, vector, &stats) && !vk_search_wild(search))
	{
		vk_search_begin(search, &round);
		share = meta.lists > 0 ? share_of_lists(search) : share_of_segments(search);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return share;
}
