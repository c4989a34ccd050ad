/*-------------------------------------------------------------------------
 *
 * sample.c
 *	  Rows sampled for the mean, for k-means and for calibration.
 *
 * NOTES
 *	  Two samples are taken, each of randomly chosen heap blocks, read through
 *	  the table access method's index build scan so that index expressions and
 *	  predicates apply; a reservoir thins out what the blocks give.  The first
 *	  is small and keeps vectors as they are: it yields the mean, an estimate
 *	  of the number of rows, and the rows for calibration.  The second feeds
 *	  k-means: 64 rows a list, rotated about that mean and quantised at once,
 *	  so that it takes a byte a dimension.  A table that the first sample
 *	  holds completely is not read again.
 *
 *	  Only live rows are sampled, in an order fixed by the seed.
 *
 * IDENTIFICATION
 *	  src/am/sample.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/build.h"

#include "access/tableam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "quant/random.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#define FIRST_ROWS			10000	/* rows of the first sample */
#define FIRST_BLOCKS		1000	/* blocks of it at least */
#define ROWS_A_LIST			64	/* of the second */
#define MIN_ROWS_A_LIST		16	/* below that: a notice */

/* rotation, k-means and block choice draw from streams of their own */
#define STREAM_FIRST		1
#define STREAM_SECOND		2

/* one pass over random blocks */
typedef struct TableSample
{
	VkBuild    *build;
	VkRandom	random;
	int64		capacity;
	int64		count;			/* rows kept, at most capacity */
	double		seen;			/* live rows that have a value */
	void		(*keep) (struct TableSample *scan, int64 place,
						 ItemPointer tid, const float *vector);
	void	   *arg;
} TableSample;

/*
 * Reservoir: place of the next row among those kept, or -1.  The caller
 * raises count if the row goes to place count.
 */
static int64
reservoir_place(TableSample *scan)
{
	int64		place;

	scan->seen++;
	if (scan->count < scan->capacity)
		return scan->count;
	place = vk_seeded_below(&scan->random, (int64) scan->seen);
	return place < scan->capacity ? place : -1;
}

static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		   bool alive, void *state)
{
	TableSample *scan = state;
	VkBuild    *build = scan->build;
	MemoryContext old;
	const float *vector;
	int64		place;
	bool		wild;

	if (!alive || isnull[0])
		return;
	place = reservoir_place(scan);
	if (place < 0)
		return;

	old = MemoryContextSwitchTo(build->row_context);
	vector = vk_build_vector(build, values[0], &wild);
	if (vector != NULL && !wild)
	{
		scan->keep(scan, place, tid, vector);
		if (place == scan->count)
			scan->count++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);
}

/*
 * Read `blocks` random blocks of the table, neighbouring ones in one go.
 * Returns the number of blocks of the table.
 */
static BlockNumber
sample_blocks(TableSample *scan, double blocks, uint32 seed)
{
	VkBuild    *build = scan->build;
	BlockNumber total = RelationGetNumberOfBlocks(build->heap);
	BlockNumber first = InvalidBlockNumber,
				count = 0;
	BlockSamplerData sampler;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL,
								 scan->capacity);
	BlockSampler_Init(&sampler, total,
					  (int) Min(Min(blocks, total), INT_MAX), seed);
	while (BlockSampler_HasMore(&sampler) || count > 0)
	{
		BlockNumber next = BlockSampler_HasMore(&sampler) ?
			BlockSampler_Next(&sampler) : InvalidBlockNumber;

		if (count > 0 && next == first + count)
		{
			count++;
			continue;
		}
		if (count > 0)
		{
			CHECK_FOR_INTERRUPTS();
			table_index_build_range_scan(build->heap, build->index, build->info,
										 false, false, false, first, count,
										 sample_row, scan, NULL);
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
										 scan->count);
		}
		first = next;
		count = next == InvalidBlockNumber ? 0 : 1;
	}
	return total;
}

/* ---- the first sample ---- */

static void
keep_vector(TableSample *scan, int64 place, ItemPointer tid, const float *vector)
{
	VkSample   *sample = scan->arg;
	int			dim = scan->build->dim;

	memcpy(sample->rows + place * dim, vector, dim * sizeof(float));
	sample->tids[place] = *tid;
}

/*
 * vk_sample_table -- take the first sample; sets build->sample and build->rows
 */
void
vk_sample_table(VkBuild *build)
{
	VkSample   *sample = &build->sample;
	Size		row_size = build->dim * sizeof(float) + sizeof(ItemPointerData);
	int64		wanted = Max(FIRST_ROWS, build->calibrate);
	TableSample	scan = {.build = build};
	BlockNumber pages;
	double		tuples,
				all_visible,
				blocks;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VK_PHASE_SAMPLE);

	/* a fair estimate of rows a block will do: it only sets how many to read */
	estimate_rel_size(build->heap, NULL, &pages, &tuples, &all_visible);
	scan.capacity = Max(Min(wanted, (int64) (build->memory / 4 / row_size)), 64);
	scan.capacity = Min(scan.capacity,
						(int64) pages * MaxHeapTuplesPerPage + 1);
	blocks = Max(FIRST_BLOCKS,
				 1.2 * scan.capacity * pages / Max(tuples, 1.0));

	sample->rows = MemoryContextAllocHuge(CurrentMemoryContext,
										  scan.capacity * build->dim * sizeof(float));
	sample->tids = MemoryContextAllocHuge(CurrentMemoryContext,
										  scan.capacity * sizeof(ItemPointerData));
	scan.random.state = build->seed + STREAM_FIRST;
	scan.keep = keep_vector;
	scan.arg = sample;
	pages = sample_blocks(&scan, blocks, (uint32) vk_seeded_next(&scan.random));

	sample->count = scan.count;
	sample->complete = pages <= blocks && scan.seen <= scan.capacity;
	build->rows = pages <= blocks ? scan.seen : scan.seen * (pages / blocks);
}

/*
 * vk_sample_mean -- mean of the first sample, NULL where there are no rows
 */
float *
vk_sample_mean(VkBuild *build)
{
	VkSample   *sample = &build->sample;
	float	   *mean;

	if (sample->count == 0)
		return NULL;

	mean = palloc(build->dim * sizeof(float));
	for (int i = 0; i < build->dim; i++)
	{
		double		sum = 0;

		for (int64 row = 0; row < sample->count; row++)
			sum += sample->rows[row * build->dim + i];
		mean[i] = (float) (sum / sample->count);
	}
	return mean;
}

/* ---- the second sample, and k-means ---- */

typedef struct Training
{
	int8	   *codes;
	float	   *scales;
	float	   *rotated;		/* scratch */
} Training;

static void
keep_code(TableSample *scan, int64 place, ItemPointer tid, const float *vector)
{
	VkBuild    *build = scan->build;
	Training   *training = scan->arg;
	double		norm2;

	vk_build_rotate(build, vector, training->rotated, &norm2,
					training->codes + place * build->stride,
					&training->scales[place]);
}

/*
 * Rows for k-means within the memory that is left, at best 64 a list.
 */
static int64
training_rows(VkBuild *build, int lists)
{
	Size		row_size = build->stride + sizeof(float);
	Size		fixed = lists * row_size +
		build->sample.count * build->dim * sizeof(float);
	int64		rows = (int64) Min((double) ROWS_A_LIST * lists, build->rows);

	while (rows > lists &&
		   fixed + rows * row_size +
		   vk_kmeans_memory(build->dim, lists, rows) > build->memory)
		rows = Max(rows - rows / 8 - 1, lists);

	if (fixed + rows * row_size +
		vk_kmeans_memory(build->dim, lists, rows) > build->memory)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory required is %zu MB, maintenance_work_mem is %zu MB",
						(fixed + rows * row_size +
						 vk_kmeans_memory(build->dim, lists, rows)) / (1024 * 1024) + 1,
						build->memory / (1024 * 1024))));

	if (rows < (int64) MIN_ROWS_A_LIST * lists && rows < (int64) build->rows)
		ereport(NOTICE,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("lists of index \"%s\" are made from few rows",
						RelationGetRelationName(build->index)),
				 errdetail("maintenance_work_mem holds " INT64_FORMAT " rows for %d lists.",
						   rows, lists),
				 errhint("Increase maintenance_work_mem.")));
	return rows;
}

static int64
take_training(VkBuild *build, Training *training, int64 capacity)
{
	VkSample   *sample = &build->sample;
	TableSample	scan = {.build = build, .capacity = capacity};
	double		pages;

	scan.keep = keep_code;
	scan.arg = training;
	scan.random.state = build->seed + STREAM_SECOND;

	if (sample->complete)
	{
		scan.count = Min(sample->count, capacity);
		for (int64 i = 0; i < scan.count; i++)
			keep_code(&scan, i, &sample->tids[i], sample->rows + i * build->dim);
		return scan.count;
	}

	pages = RelationGetNumberOfBlocks(build->heap);
	sample_blocks(&scan, 1.05 * capacity * pages / Max(build->rows, 1.0) + 1,
				  (uint32) vk_seeded_next(&scan.random));
	return scan.count;
}

static void
kmeans_progress(void *arg, int64_t done, int64_t total)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, total);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, done);
}

static void *
kmeans_alloc(void *arg, size_t size)
{
	return MemoryContextAllocHuge((MemoryContext) arg, Max(size, 1));
}

static void
kmeans_release(void *arg, void *memory)
{
	pfree(memory);
}

/*
 * vk_sample_centers -- take the second sample and cluster it
 *
 * Sets build->lists, center_codes and center_scales; fewer lists than wanted
 * come back where there are fewer rows.
 */
void
vk_sample_centers(VkBuild *build, int lists)
{
	MemoryContext context = CurrentMemoryContext;
	int64		capacity = training_rows(build, lists);
	Training	training;
	VkKmeans	kmeans = {0};

	training.codes = MemoryContextAllocHuge(context, capacity * build->stride);
	training.scales = MemoryContextAllocHuge(context, capacity * sizeof(float));
	training.rotated = palloc(build->dim * sizeof(float));
	build->center_codes = MemoryContextAllocHuge(context, lists * build->stride);
	build->center_scales = MemoryContextAllocHuge(context, lists * sizeof(float));

	kmeans.rows = take_training(build, &training, capacity);
	kmeans.dim = build->dim;
	kmeans.metric = build->support->metric;
	kmeans.lists = lists;
	kmeans.codes = training.codes;
	kmeans.stride = build->stride;
	kmeans.scales = training.scales;
	kmeans.rotated_mean = build->vk->rotated_mean;
	kmeans.seed = build->seed;
	kmeans.progress = kmeans_progress;
	kmeans.alloc = kmeans_alloc;
	kmeans.release = kmeans_release;
	kmeans.arg = context;
	kmeans.center_codes = build->center_codes;
	kmeans.center_scales = build->center_scales;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VK_PHASE_KMEANS);
	build->lists = kmeans.rows == 0 ? 0 : vk_kmeans(&kmeans);

	pfree(training.codes);
	pfree(training.scales);
	pfree(training.rotated);
}
