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

#include "utils/memutils.h"

#include "am/search.h"

/* candidates that are sorted at once, at least */
#define FIRST_SORTED	64

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

/* smallest lower bound first; ties: TID */
int
vk_candidate_compare_lowers(const void *a, const void *b)
{
	const VkCandidate *x = a;
	const VkCandidate *y = b;

	if (x->lower != y->lower)
		return x->lower < y->lower ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
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
	qsort(rest, part, sizeof(VkCandidate), vk_candidate_compare_lowers);
	*sorted += part;
	return true;
}
