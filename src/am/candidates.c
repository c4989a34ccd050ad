/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  Room for candidates, and their order.
 *
 * NOTES
 *	  What they are and how they are pruned is in quant/candidates.c, which knows
 *	  no server.
 *
 * IDENTIFICATION
 *	  src/am/candidates.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "am/search.h"

/* candidates that are sorted at once, at least */
#define FIRST_SORTED	64

#define ST_SORT vk_candidates_order
#define ST_ELEMENT_TYPE VkCandidate
#define ST_COMPARE(a, b) \
	((a)->lower != (b)->lower ? ((a)->lower < (b)->lower ? -1 : 1) : \
	 (a)->tid < (b)->tid ? -1 : (a)->tid > (b)->tid)
#define ST_SCOPE
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Give candidates room for that many entries, keeping what they hold.  An earlier
 * query may have left more room, which changes nothing.
 */
void
vk_candidates_reserve(MemoryContext context, VkCandidates *candidates,
					  int64 capacity)
{
	Size		entries = capacity * sizeof(VkCandidate);
	Size		scratch = capacity * sizeof(float);

	candidates->capacity = capacity;
	if (candidates->reserved >= capacity)
		return;
	candidates->reserved = capacity;
	if (candidates->entries == NULL)
	{
		candidates->entries = MemoryContextAllocHuge(context, entries);
		candidates->scratch = MemoryContextAllocHuge(context, scratch);
	}
	else
	{
		candidates->entries = repalloc_huge(candidates->entries, entries);
		candidates->scratch = repalloc_huge(candidates->scratch, scratch);
	}
}

/* most searches end long before the last candidate */
bool
vk_candidates_sort(VkCandidates *candidates, int64 *sorted)
{
	VkCandidate *rest = candidates->entries + *sorted;
	int64		left = candidates->count - *sorted;
	int64		part = Max(*sorted, FIRST_SORTED);

	if (left == 0)
		return false;
	if (part < left)
	{
		float		last;
		int64		count = 0;

		for (int64 i = 0; i < left; i++)
			candidates->scratch[i] = rest[i].lower;
		last = vk_select_float(candidates->scratch, left, part - 1);
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
	vk_candidates_order(rest, part);
	*sorted += part;
	return true;
}
