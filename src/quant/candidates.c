/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  Hybrid top-k: a growing batch of bounded rows pruned by quickselect.
 *
 * NOTES
 *	  While candidates are many, appending to an array and selecting now and
 *	  then costs less than a heap operation for each.  What is dropped is
 *	  remembered by its smallest lower bound: every answer up to that score is
 *	  still complete.
 *
 * IDENTIFICATION
 *	  src/quant/candidates.c
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "quant/quant.h"

/* a prune before this many entries is not worth its fixed cost */
#define SMALLEST_BATCH	512

static inline void
swap_floats(float *a, float *b)
{
	float		t = *a;

	*a = *b;
	*b = t;
}

/* median of three, left in v[middle] */
static float
choose_pivot(float *v, int64_t low, int64_t high)
{
	int64_t		middle = low + (high - low) / 2;

	if (v[middle] < v[low])
		swap_floats(&v[middle], &v[low]);
	if (v[high] < v[low])
		swap_floats(&v[high], &v[low]);
	if (v[high] < v[middle])
		swap_floats(&v[high], &v[middle]);
	return v[middle];
}

/* Hoare's quickselect; infinities are fine, NaN is not */
float
vk_select_float(float *v, int64_t n, int64_t k)
{
	int64_t		low = 0;
	int64_t		high = n - 1;

	while (low < high)
	{
		float		pivot = choose_pivot(v, low, high);
		int64_t		i = low;
		int64_t		j = high;

		while (i <= j)
		{
			while (v[i] < pivot)
				i++;
			while (pivot < v[j])
				j--;
			if (i <= j)
				swap_floats(&v[i++], &v[j--]);
		}
		if (k <= j)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return v[k];
}

/* next prune once the batch has doubled: constant work an entry */
static void
schedule_prune(VkCandidates *candidates)
{
	int64_t		batch = candidates->count;

	candidates->pruned_count = candidates->count;
	if (batch < candidates->wanted)
		batch = candidates->wanted;
	if (batch < SMALLEST_BATCH)
		batch = SMALLEST_BATCH;
	candidates->prune_at = candidates->count + batch;
	if (candidates->prune_at > candidates->capacity)
		candidates->prune_at = candidates->capacity;
}

void
vk_candidates_init(VkCandidates *candidates, VkCandidate *entries,
				   float *scratch, int64_t capacity, int64_t wanted)
{
	candidates->entries = entries;
	candidates->scratch = scratch;
	candidates->count = 0;
	candidates->capacity = capacity;
	candidates->wanted = wanted;
	candidates->sharpen_at = 0;
	candidates->threshold = INFINITY;
	candidates->dropped = INFINITY;
	schedule_prune(candidates);
}

bool
vk_candidates_prune(VkCandidates *candidates)
{
	VkCandidate *entries = candidates->entries;
	const int64_t count = candidates->count;
	int64_t		kept = 0;

	if (count >= candidates->wanted && candidates->wanted > 0)
	{
		float		threshold;

		for (int64_t i = 0; i < count; i++)
			candidates->scratch[i] = entries[i].upper;
		threshold = vk_select_float(candidates->scratch, count,
									candidates->wanted - 1);
		if (threshold < candidates->threshold)
			candidates->threshold = threshold;
	}
	for (int64_t i = 0; i < count; i++)
	{
		if (entries[i].lower <= candidates->threshold)
			entries[kept++] = entries[i];
		else if (entries[i].lower < candidates->dropped)
			candidates->dropped = entries[i].lower;
	}
	candidates->count = kept;
	schedule_prune(candidates);
	return kept <= candidates->capacity / 2;
}
