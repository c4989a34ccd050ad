/*-------------------------------------------------------------------------
 *
 * candidates.c
 *	  Hybrid top-k: a growing batch of bounded rows, pruned now and then.
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
#include <string.h>

#include "quant/quant.h"

/* a prune before this many entries is not worth its fixed cost */
#define SMALLEST_BATCH	512

/* floats that are compared before their counts are widened */
#define COUNTED_AT_ONCE	1024

/* numbers of the floats in their order, and back */
static int32_t
float_rank(float x)
{
	int32_t		bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits ^ (bits < 0 ? INT32_MAX : 0);
}

static float
ranked_float(int32_t rank)
{
	int32_t		bits = rank ^ (rank < 0 ? INT32_MAX : 0);
	float		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static int64_t
count_not_above(const float *v, int64_t n, float limit)
{
	int64_t		count = 0;

	for (int64_t i = 0; i < n; i += COUNTED_AT_ONCE)
	{
		const float *run = v + i;
		int			length = n - i < COUNTED_AT_ONCE ? (int) (n - i) : COUNTED_AT_ONCE;
		int			found = 0;

		for (int j = 0; j < length; j++)
			found += run[j] <= limit;
		count += found;
	}
	return count;
}

/* by ranks and masks, which compilers make vectors of, and not of the extremes of floats */
static float
largest_not_above(const float *v, int64_t n, float limit)
{
	int32_t		largest = INT32_MIN;

	for (int64_t i = 0; i < n; i++)
	{
		int32_t		mask = -(v[i] <= limit);
		int32_t		rank = (float_rank(v[i]) & mask) | (INT32_MIN & ~mask);

		largest = rank > largest ? rank : largest;
	}
	return ranked_float(largest);
}

/*
 * By halving the range of floats in which it lies: counting has no branch that a
 * CPU could guess wrong, as partitions have.  Infinities are fine, NaN is not.
 */
float
vk_select_float(const float *v, int64_t n, int64_t k)
{
	int32_t		least = INT32_MAX;
	int32_t		most = INT32_MIN;
	int64_t		low;
	int64_t		high;

	for (int64_t i = 0; i < n; i++)
	{
		int32_t		rank = float_rank(v[i]);

		least = rank < least ? rank : least;
		most = rank > most ? rank : most;
	}
	low = least;
	high = most;
	while (low < high)
	{
		int64_t		middle = low + (high - low) / 2;
		float		limit = ranked_float((int32_t) middle);
		int64_t		count = count_not_above(v, n, limit);

		if (count == k + 1)
			return largest_not_above(v, n, limit);
		if (count > k)
			high = middle;
		else
			low = middle + 1;
	}
	return ranked_float((int32_t) high);
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
	candidates->dropped = candidates->left_out = INFINITY;
	schedule_prune(candidates);
}

bool
vk_candidates_prune(VkCandidates *candidates)
{
	VkCandidate *entries = candidates->entries;
	const int64_t count = candidates->count;
	float		threshold = candidates->threshold;
	float		dropped = candidates->dropped;
	int64_t		kept = 0;

	if (count >= candidates->wanted && candidates->wanted > 0)
	{
		float		last;

		for (int64_t i = 0; i < count; i++)
			candidates->scratch[i] = entries[i].upper;
		last = vk_select_float(candidates->scratch, count, candidates->wanted - 1);
		threshold = last < threshold ? last : threshold;
		candidates->threshold = threshold;
	}
	/* no branch: a CPU could not guess what is kept */
	for (int64_t i = 0; i < count; i++)
	{
		VkCandidate entry = entries[i];
		bool		keep = entry.lower <= threshold;
		float		lower = keep ? INFINITY : entry.lower;

		entries[kept] = entry;
		kept += keep;
		dropped = lower < dropped ? lower : dropped;
	}
	candidates->dropped = dropped;
	candidates->count = kept;
	schedule_prune(candidates);
	return kept <= candidates->capacity / 2;
}
