/*-------------------------------------------------------------------------
 *
 * calibrate.c
 *	  Measuring how many rows a search must scan for a recall.
 *
 * NOTES
 *	  Queries are made from sampled rows: row + d u, where d is the distance
 *	  from the row to its nearest neighbour and u the unit difference of two
 *	  other random rows; a row as it is would be too easy a query.  The row
 *	  itself is left out of its neighbours.  For every neighbour found by the
 *	  finest stored code the search tells how many live rows lie in lists
 *	  begun before its own; pooled over queries, that is the curve.
 *
 *	  Every query costs a scan of all lists at first.  The first few tell how
 *	  far the neighbours lie; the others visit the nearest lists up to twice
 *	  what all but 0.2 % of those took.  The curve ends at recall 0.995, so
 *	  what lies still further away does not show in it.  Large numbers of
 *	  neighbours are looked for by every fifth query only: the pools of those
 *	  anchors are large enough.
 *
 *	  Distances and the length of that difference are Euclidean, for L1 those of
 *	  L1.  The inner product has no distance to a nearest neighbour.  There d is the
 *	  Euclidean distance to the nearest of the other sampled rows: these are
 *	  fewer, so d is larger, and the work measured errs on the safe side.
 *
 * IDENTIFICATION
 *	  src/am/calibrate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "am/build.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quant/random.h"
#include "utils/memutils.h"

#define LANES_MAX		1.5e9	/* rows scored by the whole calibration */
#define QUERIES_MIN		200		/* whatever that costs */
#define ANCHOR_MEMORY	32		/* a pool takes this part of the memory */
#define POOL_MAX		1000000 /* and no more entries than this */
#define NEAREST_PART	0.1		/* of all rows: where to look for d */
#define PILOT_QUERIES	32		/* these visit all lists */
#define PILOT_PART		0.998	/* of their neighbours set the budget */
#define FAR_EVERY		5		/* queries that look for many neighbours */
#define NEAR_NEIGHBORS	100		/* neighbours that the others look for */
#define STREAM			3

/* work of pooled neighbours, for one anchor of the curve */
typedef struct Pool
{
	float	   *work;
	int64		count;
	int64		capacity;
} Pool;

typedef struct Calibration
{
	VkBuild    *build;
	VkSearch   *search;
	VkScanStats stats;
	VkRandom	random;
	double		budget;			/* live rows a query scans; 0: all */
	float	   *query;
	float	   *work;
	float	   *scores;
	Pool		pools[VK_CURVE_ANCHORS];
} Calibration;

static const float *
sample_row(VkBuild *build, int64 row)
{
	return build->sample.rows + row * build->dim;
}

/* Euclidean, but for L1 */
static double
row_distance(const VkBuild *build, const float *a, const float *b)
{
	if (build->support->metric == VK_METRIC_L1)
		return build->support->distance(a, b, build->dim);
	return sqrt(vk_kernels->pair_l2[VK_F32] (a, b, build->dim));
}

/* distance of a sampled row to the nearest of the others */
static double
nearest_sampled(VkBuild *build, int64 row)
{
	double		nearest = INFINITY;

	for (int64 i = 0; i < build->sample.count; i++)
	{
		if (i != row)
			nearest = Min(nearest, row_distance(build, sample_row(build, row),
												sample_row(build, i)));
	}
	return isfinite(nearest) ? nearest : 0;
}

/* the same to its nearest neighbour in the table */
static double
nearest_distance(Calibration *cal, int64 row)
{
	VkBuild    *build = cal->build;
	float		work,
				score;

	if (build->support->metric == VK_METRIC_IP)
		return nearest_sampled(build, row);
	if (!vk_search_reset(cal->search, &build->meta, sample_row(build, row),
						 &cal->stats) ||
		vk_search_calibrate(cal->search, 1, NEAREST_PART * build->meta.live_rows,
							&build->sample.tids[row], &work, &score) == 0)
		return 0;
	score = Max(score, 0);
	return build->support->metric == VK_METRIC_L1 ? score : sqrt(score);
}

/* query = row + d u */
static void
perturb(Calibration *cal, int64 row)
{
	VkBuild    *build = cal->build;
	const float *from = sample_row(build, vk_seeded_below(&cal->random,
														  build->sample.count));
	const float *to = sample_row(build, vk_seeded_below(&cal->random,
														build->sample.count));
	double		length = row_distance(build, from, to);
	double		step = length > 0 ? nearest_distance(cal, row) / length : 0;

	for (int i = 0; i < build->dim; i++)
		cal->query[i] = (float) (sample_row(build, row)[i] +
								 step * ((double) to[i] - from[i]));
}

/* neighbours of a query go to the pools of the anchors they reach */
static void
pool_work(Calibration *cal, int found)
{
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		Pool	   *pool = &cal->pools[anchor];
		int			k = vk_curve_anchors[anchor];

		if (found < k || pool->count + k > pool->capacity)
			continue;
		memcpy(pool->work + pool->count, cal->work, k * sizeof(float));
		pool->count += k;
	}
}

/* budget of the queries after the pilot ones */
static void
set_budget(Calibration *cal)
{
	double		total = cal->build->meta.live_rows;

	for (int anchor = VK_CURVE_ANCHORS - 1; anchor >= 0; anchor--)
	{
		Pool	   *pool = &cal->pools[anchor];

		if (pool->count == 0)
			continue;
		cal->budget = 2 * vk_select_float(pool->work, pool->count,
										  (int64) (PILOT_PART * (pool->count - 1)));
		break;
	}
	if (cal->budget > total / 2)
		cal->budget = 0;
}

/* one query, made from a sampled row */
static void
measure_row(Calibration *cal, int64 row, bool far)
{
	VkBuild    *build = cal->build;
	int			most = far ? vk_curve_anchors[VK_CURVE_ANCHORS - 1] : NEAR_NEIGHBORS;

	perturb(cal, row);
	if (vk_search_reset(cal->search, &build->meta, cal->query, &cal->stats))
		pool_work(cal, vk_search_calibrate(cal->search,
										   (int) Min(most, build->meta.live_rows),
										   cal->budget,
										   &build->sample.tids[row],
										   cal->work, cal->scores));
}

static int64
choose_queries(VkBuild *build)
{
	int64		queries = Min(build->calibrate, build->sample.count);
	int64		affordable = (int64) (LANES_MAX / Max(build->meta.live_rows, 1.0));

	return Min(queries, Max(affordable, QUERIES_MIN));
}

static void
calibration_init(Calibration *cal, VkBuild *build, int64 queries)
{
	int			most = vk_curve_anchors[VK_CURVE_ANCHORS - 1];
	int64		pool_max = Min((int64) (build->memory / ANCHOR_MEMORY / sizeof(float)),
							   POOL_MAX);

	memset(cal, 0, sizeof(Calibration));
	cal->build = build;
	cal->search = vk_search_create(build->index, build->vk);
	cal->random.state = build->seed + STREAM;
	cal->query = palloc(build->dim * sizeof(float));
	cal->work = palloc(most * sizeof(float));
	cal->scores = palloc(most * sizeof(float));
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		Pool	   *pool = &cal->pools[anchor];

		pool->capacity = Max(Min(queries * vk_curve_anchors[anchor], pool_max),
							 vk_curve_anchors[anchor]);
		pool->work = MemoryContextAllocHuge(CurrentMemoryContext,
											pool->capacity * sizeof(float));
	}
}

/*
 * vk_calibrate -- fill the recall curve of build->meta
 *
 * The lists and the meta page are written already.  Rows are drawn from the
 * sample without repetition: it is shuffled as far as needed.
 */
void
vk_calibrate(VkBuild *build)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex calibration",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int64		queries = choose_queries(build);
	int64	   *order = palloc(build->sample.count * sizeof(int64));
	Calibration cal;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE,
								 VK_PHASE_CALIBRATE);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, queries);
	calibration_init(&cal, build, queries);
	for (int64 i = 0; i < build->sample.count; i++)
		order[i] = i;

	for (int64 i = 0; i < queries; i++)
	{
		int64		other = i + vk_seeded_below(&cal.random,
												build->sample.count - i);
		int64		row = order[other];

		CHECK_FOR_INTERRUPTS();
		order[other] = order[i];
		if (i == PILOT_QUERIES)
			set_budget(&cal);
		measure_row(&cal, row, i < PILOT_QUERIES || i % FAR_EVERY == 0);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, i + 1);
	}

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		vk_curve_set_anchor(&build->meta.curve, anchor, cal.pools[anchor].work,
							cal.pools[anchor].count);
	vk_curve_finish(&build->meta.curve);
	build->meta.curve_rows = build->meta.live_rows;

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
