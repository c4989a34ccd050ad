/*-------------------------------------------------------------------------
 *
 * nearest.c
 *	  The rows that may be nearest to one query of a batch.
 *
 * NOTES
 *	  A query has candidates, whose scores are known within bounds, and rows
 *	  whose distances are known.  Its threshold is the score that as many of
 *	  them as are wanted do not exceed.  What is dropped has a lower bound above
 *	  it; the smallest of these is kept, for the rows behind the threshold may
 *	  turn out to be dead (round.c).
 *
 * IDENTIFICATION
 *	  src/batch/nearest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/float.h"

#include "batch/batch.h"
#include "kernels/rounding.h"

/* candidates that there is room for at first, at most */
#define FIRST_CAPACITY	512

void
vk_nearest_begin(VkBatch *batch, VkBatchQuery *query, int64 wanted)
{
	query->wanted = wanted;
	query->threshold = query->dropped = get_float4_infinity();
	query->mean.code = NULL;
	query->open = NULL;
	query->rows = NULL;
	query->open_count = query->open_capacity = 0;
	query->row_count = query->row_capacity = 0;
}

/* an array of a query with room for so many elements; memory is counted */
static void *
grow(VkBatch *batch, void *array, int64 *capacity, int64 wanted, Size element_size)
{
	batch->memory += (wanted - *capacity) * element_size;
	*capacity = wanted;
	return array == NULL ?
		MemoryContextAllocHuge(batch->context, wanted * element_size) :
		repalloc_huge(array, wanted * element_size);
}

void
vk_nearest_make_room(VkBatch *batch, VkBatchQuery *query)
{
	int64		least;

	if (query->open_count + VK_LANES <= query->open_capacity)
		return;
	if (query->open_capacity > 0)
		vk_nearest_prune(batch, query);
	if (query->open_count <= query->open_capacity / 2 && query->open_capacity > 0)
		return;
	/* half of it has room for a block */
	least = 4 * Min(query->wanted, FIRST_CAPACITY / 4) + 2 * VK_LANES;
	query->open = grow(batch, query->open, &query->open_capacity,
					   Max(2 * query->open_capacity, least),
					   sizeof(VkBatchCandidate));
}

/* ---- the threshold ---- */

static float
score_above(const VkBatch *batch, double distance)
{
	return isnan(distance) ? get_float4_infinity() :
		vk_round_up(batch->target->support->score(distance));
}

static float *
scratch_floats(VkBatch *batch, int64 count)
{
	if (count > batch->scratch_capacity)
	{
		if (batch->scratch != NULL)
			pfree(batch->scratch);
		batch->scratch_capacity = count * 2;
		batch->scratch = MemoryContextAllocHuge(batch->context,
												batch->scratch_capacity * sizeof(float));
	}
	return batch->scratch;
}

/*
 * Lower the threshold to the score that as many candidates and rows as are wanted
 * do not exceed.  Only what is below it can: mostly too few for a selection.
 */
static void
renew_threshold(VkBatch *batch, VkBatchQuery *query)
{
	float	   *scores = scratch_floats(batch, query->open_count + query->row_count);
	int64		count = 0;

	for (int64 i = 0; i < query->open_count; i++)
	{
		scores[count] = query->open[i].upper;
		count += query->open[i].upper < query->threshold;
	}
	for (int64 i = 0; i < query->row_count && count + query->row_count - i >= query->wanted; i++)
	{
		scores[count] = score_above(batch, query->rows[i].distance);
		count += scores[count] < query->threshold;
	}
	if (count >= query->wanted)
		query->threshold = vk_select_float(scores, count, query->wanted - 1);
}

void
vk_nearest_prune(VkBatch *batch, VkBatchQuery *query)
{
	VkBatchCandidate *open = query->open;
	const int64 count = query->open_count;
	float		dropped = query->dropped;
	float		threshold;
	int64		kept = 0;

	renew_threshold(batch, query);
	threshold = query->threshold;
	/* no branch: a CPU could not guess what is kept */
	for (int64 i = 0; i < count; i++)
	{
		VkBatchCandidate entry = open[i];
		bool		keep = entry.lower <= threshold;
		float		lower = keep ? get_float4_infinity() : entry.lower;

		open[kept] = entry;
		kept += keep;
		dropped = lower < dropped ? lower : dropped;
	}
	query->open_count = kept;
	query->dropped = dropped;
}

/* ---- rows whose distance is known ---- */

/* the order of the answer: NaN last, ties by their place in the table */
static inline int
compare_rows(const void *a, const void *b)
{
	const VkNeighbor *x = a;
	const VkNeighbor *y = b;
	int			order = float8_cmp_internal(x->distance, y->distance);

	if (order == 0)
		order = x->tid < y->tid ? -1 : x->tid > y->tid;
	return order;
}

static void
sift_up(VkNeighbor *rows, int64 place)
{
	VkNeighbor	row = rows[place];

	while (place > 0 && compare_rows(&row, &rows[(place - 1) / 2]) > 0)
	{
		rows[place] = rows[(place - 1) / 2];
		place = (place - 1) / 2;
	}
	rows[place] = row;
}

static void
sift_down(VkNeighbor *rows, int64 count)
{
	VkNeighbor	row = rows[0];
	int64		place = 0;

	for (;;)
	{
		int64		child = 2 * place + 1;

		if (child + 1 < count && compare_rows(&rows[child + 1], &rows[child]) > 0)
			child++;
		if (child >= count || compare_rows(&rows[child], &row) <= 0)
			break;
		rows[place] = rows[child];
		place = child;
	}
	rows[place] = row;
}

void
vk_nearest_add(VkBatch *batch, VkBatchQuery *query, double distance, uint64 tid)
{
	VkNeighbor	row = {distance, tid};

	if (query->row_count < query->wanted)
	{
		if (query->row_count == query->row_capacity)
			query->rows = grow(batch, query->rows, &query->row_capacity,
							   Max(2 * query->row_capacity, Min(query->wanted, 16)),
							   sizeof(VkNeighbor));
		query->rows[query->row_count] = row;
		sift_up(query->rows, query->row_count++);
	}
	else if (compare_rows(&row, &query->rows[0]) < 0)
	{
		query->rows[0] = row;
		sift_down(query->rows, query->row_count);
	}
	else
		return;
	if (query->row_count == query->wanted)
		query->threshold = Min(query->threshold,
							   score_above(batch, query->rows[0].distance));
}

void
vk_nearest_sort(VkBatchQuery *query)
{
	if (query->row_count > 1)
		qsort(query->rows, query->row_count, sizeof(VkNeighbor), compare_rows);
}

void
vk_nearest_merge(VkBatch *batch, VkBatchQuery *query, const VkNeighbor *known, int64 count)
{
	const VkNeighbor *found = query->rows;
	int64		found_count = query->row_count;
	int64		room = Min(found_count + count, query->wanted);
	VkNeighbor *rows;
	int64		next = 0;
	int64		i = 0;

	if (count == 0)
		return;
	rows = MemoryContextAllocHuge(batch->context, room * sizeof(VkNeighbor));
	query->rows = rows;
	query->row_count = 0;
	query->row_capacity = room;
	while (query->row_count < room && (i < found_count || next < count))
	{
		int			order = i == found_count ? 1 : next == count ? -1 :
			compare_rows(&found[i], &known[next]);

		rows[query->row_count++] = order <= 0 ? found[i] : known[next];
		i += order <= 0;
		next += order >= 0;
	}
}
