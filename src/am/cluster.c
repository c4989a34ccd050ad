/*-------------------------------------------------------------------------
 *
 * cluster.c
 *	  New centres for the rows of some lists: k-means over a sample of them.
 *
 * NOTES
 *	  A reservoir is filled with TIDs while the lists are walked, so the sample
 *	  is even over all of their rows; only the vectors of the rows that are left
 *	  in it are read, in the order of the table.  Then k-means runs in this
 *	  process, as in an index build.
 *
 * IDENTIFICATION
 *	  src/am/cluster.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/vacuum.h"
#include "quant/random.h"

#include "am/row_batch.h"
#include "am/upkeep.h"

#define ROWS_A_CENTER	64		/* looked at, if there is memory for them */
#define WALK_ROWS		256		/* copied from a list at a time */
#define STREAM			4		/* of random numbers, under the index's seed */
#define UNIFORM_ROWS	32		/* of a list that are looked at */
#define UNIFORM_SCALES	0x1p-12 /* nearer ones k-means' floats cannot tell */

/* ---- centres ---- */

void
vk_centers_init(VkCenters *centers, int dim)
{
	centers->stride = vk_row_stride(dim);
	centers->count = 0;
	centers->capacity = 64;
	centers->codes = palloc_extended(centers->capacity * centers->stride,
									 MCXT_ALLOC_HUGE);
	centers->scales = palloc(centers->capacity * sizeof(float));
}

void
vk_centers_add(VkCenters *centers, const int8 *code, float scale)
{
	if (centers->count == centers->capacity)
	{
		centers->capacity *= 2;
		centers->codes = repalloc_huge(centers->codes,
									   centers->capacity * centers->stride);
		centers->scales = repalloc_huge(centers->scales,
										centers->capacity * sizeof(float));
	}
	memcpy(centers->codes + centers->count * centers->stride, code,
		   centers->stride);
	centers->scales[centers->count++] = scale;
}

/* ---- the sample ---- */

typedef struct ListSample
{
	VkUpkeep   *upkeep;
	VkRandom	random;
	ItemPointerData *tids;
	int64		capacity;
	int64		count;
	int64		seen;
} ListSample;

static void
sample_row(ListSample *sample, ItemPointer tid)
{
	int64		place = sample->count;

	sample->seen++;
	if (sample->count < sample->capacity)
		sample->count++;
	else
	{
		place = vk_seeded_below(&sample->random, sample->seen);
		if (place >= sample->capacity)
			return;
	}
	sample->tids[place] = *tid;
}

static int
compare_tids(const void *a, const void *b)
{
	uint64		x = vk_tid_encode(a);
	uint64		y = vk_tid_encode(b);

	return x < y ? -1 : x > y;
}

/* fill the reservoir; then its rows are in the order of the table */
static void
sample_tids(ListSample *sample, const uint32 *lists, int64 count)
{
	Relation	index = sample->upkeep->index;
	VkListRow  *rows = palloc(WALK_ROWS * sizeof(VkListRow));

	for (int64 i = 0; i < count; i++)
	{
		VkSlot		slot;
		VkListWalk	walk;
		int			more;

		vk_slot_read(index, NULL, lists[i], &slot);
		vk_list_walk_begin(&walk, sample->upkeep->vk, lists[i], &slot);
		while ((more = vk_list_walk_next(&walk, index, rows, WALK_ROWS)) > 0)
			for (int j = 0; j < more; j++)
				sample_row(sample, &rows[j].tid);
	}
	pfree(rows);
	qsort(sample->tids, sample->count, sizeof(ItemPointerData), compare_tids);
}

/* read the rows of the sample; those without a sound vector are left out */
static int64
read_sample(ListSample *sample, int8 *codes, float *scales)
{
	VkUpkeep   *upkeep = sample->upkeep;
	int			dim = upkeep->vk->coder.dim;
	size_t		stride = vk_row_stride(dim);
	void	   *scratch = vk_aligned_alloc(vk_scratch_size(dim));
	float	   *rotated = palloc(sizeof(float) * dim);
	int64		count = 0;

	for (int64 i = 0; i < sample->count; i++)
	{
		const float *vector;
		double		norm2;
		bool		wild;

		VK_VACUUM_DELAY_POINT();
		if (vk_row_vector(upkeep, &sample->tids[i], &vector, &wild) != VK_ROW_LIVE ||
			wild)
			continue;
		vk_row_quantize(upkeep->vk, vector, rotated, &norm2,
						codes + count * stride, &scales[count], scratch);
		count++;
	}
	return count;
}

int64
vk_sample_lists(VkUpkeep *upkeep, const uint32 *lists, int64 count, int64 wanted,
				float *rows)
{
	ListSample	sample = {.upkeep = upkeep, .capacity = wanted};
	int			dim = upkeep->vk->coder.dim;
	int64		taken = 0;

	sample.random.state = upkeep->vk->seed + STREAM;
	sample.tids = MemoryContextAllocHuge(CurrentMemoryContext,
										 wanted * sizeof(ItemPointerData));
	sample_tids(&sample, lists, count);
	for (int64 i = 0; i < sample.count; i++)
	{
		const float *vector;
		bool		wild;

		VK_VACUUM_DELAY_POINT();
		if (vk_row_vector(upkeep, &sample.tids[i], &vector, &wild) != VK_ROW_LIVE || wild)
			continue;
		memcpy(rows + taken++ * dim, vector, dim * sizeof(float));
	}
	vk_rows_release(upkeep);
	pfree(sample.tids);
	return taken;
}

bool
vk_list_is_uniform(VkUpkeep *upkeep, uint32 list)
{
	const VkIndex *vk = upkeep->vk;
	int			dim = vk->coder.dim;
	size_t		stride = vk_row_stride(dim);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex sample of a list",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	float	   *rows = palloc(UNIFORM_ROWS * dim * sizeof(float));
	float	   *rotated = palloc(dim * sizeof(float));
	int8	   *codes = palloc(2 * stride);
	void	   *scratch = vk_aligned_alloc(vk_scratch_size(dim));
	float		scales[2];
	double		norm2;
	int64		count = vk_sample_lists(upkeep, &list, 1, UNIFORM_ROWS, rows);
	bool		uniform = true;

	for (int64 i = 0; i < count && uniform; i++)
	{
		int			place = i > 0;

		vk_row_quantize(vk, rows + i * dim, rotated, &norm2, codes + place * stride,
						&scales[place], scratch);
		uniform = place == 0 || (memcmp(codes, codes + stride, stride) == 0 &&
								 fabsf(scales[1] - scales[0]) <= UNIFORM_SCALES * scales[0]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return uniform;
}

/* ---- k-means ---- */

static void
run_kmeans(const VkIndex *vk, int8 *codes, float *scales, int64 rows, int wanted,
		   VkCenters *centers)
{
	int			dim = vk->coder.dim;
	size_t		stride = vk_row_stride(dim);
	VkKmeans	kmeans = {0};
	int			made;

	kmeans.dim = dim;
	kmeans.metric = vk->coder.metric;
	kmeans.lists = wanted;
	kmeans.rows = rows;
	kmeans.codes = codes;
	kmeans.stride = stride;
	kmeans.scales = scales;
	kmeans.rotated_mean = vk->rotated_mean;
	kmeans.seed = vk->seed;
	kmeans.center_codes = vk_aligned_alloc(wanted * stride);
	kmeans.center_scales = MemoryContextAllocHuge(CurrentMemoryContext,
												  wanted * sizeof(float));
	kmeans.shared = vk_aligned_alloc(vk_kmeans_memory(dim, wanted, rows));
	kmeans.scratch = vk_aligned_alloc(vk_kmeans_scratch(dim, wanted));
	kmeans.pause = vk_pause;

	made = vk_kmeans(vk_kmeans_join(&kmeans));
	for (int i = 0; i < made; i++)
		vk_centers_add(centers, kmeans.center_codes + i * stride,
					   kmeans.center_scales[i]);
}

static Size
memory_needed(int dim, int wanted, int64 rows)
{
	return rows * (vk_row_stride(dim) + sizeof(float) + sizeof(ItemPointerData)) +
		wanted * (2 * vk_row_stride(dim) + 2 * sizeof(float)) +
		vk_kmeans_memory(dim, wanted, rows) + vk_kmeans_scratch(dim, wanted);
}

/*
 * Rows that there is memory for; where it holds not even one a centre, fewer
 * centres are made.
 */
static int64
fit_memory(const VkUpkeep *upkeep, int *wanted)
{
	int			dim = upkeep->vk->coder.dim;
	int64		rows = (int64) *wanted * ROWS_A_CENTER;

	while (memory_needed(dim, *wanted, rows) > upkeep->memory && rows > 1)
	{
		if (rows > *wanted)
			rows = Max(rows - rows / 16 - 1, *wanted);
		else
			rows = *wanted -= (*wanted + 15) / 16;
	}
	return rows;
}

int
vk_cluster(VkUpkeep *upkeep, const uint32 *lists, int64 count, int wanted,
		   VkCenters *centers)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex clustering",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ListSample	sample = {.upkeep = upkeep};
	int64		before = centers->count;
	int64		rows;
	int8	   *codes;
	float	   *scales;

	sample.capacity = fit_memory(upkeep, &wanted);
	sample.random.state = upkeep->vk->seed + STREAM;
	sample.tids = MemoryContextAllocHuge(context, sample.capacity *
										 sizeof(ItemPointerData));
	sample_tids(&sample, lists, count);

	codes = vk_aligned_alloc(sample.count * vk_row_stride(upkeep->vk->coder.dim));
	scales = MemoryContextAllocHuge(context, (sample.count + 1) * sizeof(float));
	rows = read_sample(&sample, codes, scales);
	vk_rows_release(upkeep);
	if (rows > 0)
		run_kmeans(upkeep->vk, codes, scales, rows, wanted, centers);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return (int) (centers->count - before);
}
