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
 *	  far the neighbours lie; the others visit the nearest lists up to a quarter
 *	  more than all but 0.2 % of as many neighbours took.  The curve ends at recall
 *	  0.995, so what lies still further away does not show in it.  Large numbers
 *	  of neighbours, which lie far, are looked for by every tenth query only: the
 *	  pools of those anchors are large enough.
 *
 *	  A query also tells how near the last list comes that is begun before so much
 *	  work, for some works: most of them come no nearer than the fringe (reach.c), once
 *	  it is known which work the curve asks for.
 *
 *	  Queries are drawn and their results pooled by the leader, in one order; in
 *	  between all processes measure what was drawn, a round of them at a time.
 *
 *	  Distances and the length of that difference are Euclidean, for L1 and bits
 *	  those of L1.  The inner product has no distance to a nearest neighbour.  There
 *	  d is the Euclidean distance to the nearest of the other sampled rows: these
 *	  are fewer, so d is larger, and the work measured errs on the safe side.
 *
 *	  Bits cannot be moved by less than 1.  Of a row's, some are turned where the
 *	  other two rows differ.  Such queries lie off the rows in a direction of their
 *	  own, so a quarter of d is enough: of 100,000 rows, queries that were never
 *	  rows need 28,000 (text, 768 bits) and 4,300 (SIFT, 128 bits) for recall .95;
 *	  so the curve has 40,000 and 8,000, and 71,000 and 14,000 if d bits are turned.
 *
 * IDENTIFICATION
 *	  src/am/calibrate.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "am/build.h"
#include "am/search.h"
#include "am/toast_reader.h"

#include "miscadmin.h"
#include "quant/random.h"
#include "utils/memutils.h"

#define LANES_MAX		1.5e9	/* rows scored by the whole calibration */
#define QUERIES_MIN		200		/* whatever that costs */
#define ANCHOR_MEMORY	32		/* a pool takes this part of the memory */
#define POOL_MAX		1000000 /* and no more entries than this */
#define NEAREST_PART	0.03	/* of all rows: where to look for d */
#define NEAREST_ROWS	10000	/* but in so many at least */
#define PILOT_QUERIES	32		/* these visit all lists */
#define ROUND_QUERIES	64		/* measured between drawing and pooling */
#define PILOT_PART		0.998	/* of their neighbours set the budget */
#define BUDGET_MARGIN	1.25	/* times that */
#define BUDGET_MAX		0.8		/* of all rows: for more, all are visited */
#define FAR_EVERY		10		/* queries that look for many neighbours */
#define NEAR_NEIGHBORS	100		/* neighbours that the others look for */
#define STREAM			3
#define TURNED_PART		0.25	/* of d, in bits */
#define RANDOM_SHARES	(1 << 30)
#define FRINGE_PART		0.85	/* of the queries make the fringe */
#define FRINGE_POINTS	32		/* works at which a query is measured: all rows, */
#define POINTS_A_HALF	2		/* half of them at that many points before, ... */

/* work of pooled neighbours, for one anchor of the curve */
typedef struct Pool
{
	float	   *work;
	int64		count;
	int64		capacity;
} Pool;

/* deviations of a query's neighbours from the last list, NaN: not measured */
typedef struct Profile
{
	float		deviations[VK_CURVE_ANCHORS][FRINGE_POINTS];
} Profile;

typedef struct Profiles
{
	Profile    *of;
	int64		count;
	int64		capacity;
} Profiles;

/* a query of the round */
typedef struct CalibrationQuery
{
	int64		row;			/* of the sample, as are the other two */
	int64		from;
	int64		to;
	bool		far;
	int			found;			/* neighbours whose work was measured */
	Profile		profile;
} CalibrationQuery;

/* shared: a round; work of MOST_NEIGHBORS a query lies behind it */
typedef struct Round
{
	VkMeta		meta;
	double		near_budget;	/* live rows that a query scans; 0: all */
	double		far_budget;
	CalibrationQuery		queries[ROUND_QUERIES];
} Round;

/* what a process measures with */
typedef struct Calibration
{
	VkBuild    *build;
	Round	   *round;
	VkSearch   *search;
	VkScanStats stats;
	float	   *query;
	float	   *scores;
} Calibration;

#define MOST_NEIGHBORS	(vk_curve_anchors[VK_CURVE_ANCHORS - 1])

static float *
query_work(Round *round, int query)
{
	return (float *) ((char *) round + MAXALIGN(sizeof(Round))) +
		query * MOST_NEIGHBORS;
}

static const float *
sample_row(VkBuild *build, int64 row)
{
	return build->sample.rows + row * build->dim;
}

/* is a distance, and its score, a sum over dimensions? */
static bool
is_sum(const VkBuild *build)
{
	return build->support->metric == VK_METRIC_L1 ||
		vk_metric_of_bits(build->support->metric);
}

static double
row_distance(const VkBuild *build, const float *a, const float *b)
{
	if (is_sum(build))
		return vk_kernels->pair_l1[VK_F32] (a, b, build->dim);
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
	double		rows = Max(NEAREST_PART * cal->round->meta.live_rows, NEAREST_ROWS);
	float		work,
				score;

	if (build->support->metric == VK_METRIC_IP)
		return nearest_sampled(build, row);
	if (!vk_search_reset(cal->search, &cal->round->meta, sample_row(build, row),
						 &cal->stats) ||
		vk_search_calibrate(cal->search, 1, rows, &build->sample.tids[row], &work, &score) == 0)
		return 0;
	score = Max(score, 0);
	return is_sum(build) ? score : sqrt(score);
}

/* turn a share of a row's bits where two others differ */
static void
turn_bits(Calibration *cal, const CalibrationQuery *query, double share)
{
	VkBuild    *build = cal->build;
	const float *row = sample_row(build, query->row);
	const float *from = sample_row(build, query->from);
	const float *to = sample_row(build, query->to);
	VkRandom	random = {build->seed + query->row};

	for (int i = 0; i < build->dim; i++)
		cal->query[i] = from[i] != to[i] &&
			vk_seeded_below(&random, RANDOM_SHARES) < share * RANDOM_SHARES ?
			1 - row[i] : row[i];
}

/* the vector of a query: row + d u */
static void
make_vector(Calibration *cal, const CalibrationQuery *query)
{
	VkBuild    *build = cal->build;
	const float *row = sample_row(build, query->row);
	const float *from = sample_row(build, query->from);
	const float *to = sample_row(build, query->to);
	double		length = row_distance(build, from, to);
	double		step = length > 0 ? nearest_distance(cal, query->row) / length : 0;

	if (vk_metric_of_bits(build->support->metric))
		turn_bits(cal, query, TURNED_PART * step);
	else
		for (int i = 0; i < build->dim; i++)
			cal->query[i] = (float) (row[i] +
									 step * ((double) to[i] - from[i]));
}

static double
point_work(double total, int point)
{
	return total * exp2((double) (point - (FRINGE_POINTS - 1)) / POINTS_A_HALF);
}

static void
measure_profile(Calibration *cal, CalibrationQuery *query)
{
	double		total = cal->round->meta.live_rows;
	int			found = vk_reach_known(cal->search) ? query->found : 0;

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		int			k = vk_curve_anchors[anchor];

		for (int point = 0; point < FRINGE_POINTS; point++)
			query->profile.deviations[anchor][point] = k > found ? NAN :
				vk_reach_deviations(cal->search, point_work(total, point),
									cal->scores[k - 1]);
	}
}

static void
measure_query(Calibration *cal, int i)
{
	VkBuild    *build = cal->build;
	CalibrationQuery	   *query = &cal->round->queries[i];
	double		live_rows = cal->round->meta.live_rows;
	int			most = query->far ? MOST_NEIGHBORS : NEAR_NEIGHBORS;
	double		budget = query->far ? cal->round->far_budget : cal->round->near_budget;

	make_vector(cal, query);
	query->found = 0;
	if (vk_search_reset(cal->search, &cal->round->meta, cal->query, &cal->stats))
		query->found = vk_search_calibrate(cal->search, (int) Min(most, live_rows),
										   budget, &build->sample.tids[query->row],
										   query_work(cal->round, i), cal->scores);
	measure_profile(cal, query);
}

static void *
calibrate_begin(VkBuild *build)
{
	Calibration *cal = palloc0(sizeof(Calibration));

	vk_sample_attach(build);
	vk_centers_attach(build);
	cal->build = build;
	cal->round = vk_arena(build, VK_ARENA_QUERIES);
	cal->search = vk_search_create(build->index, build->vk);
	cal->query = palloc(build->dim * sizeof(float));
	cal->scores = palloc(MOST_NEIGHBORS * sizeof(float));
	return cal;
}

static void
calibrate_work(VkBuild *build, void *state)
{
	int64		piece;

	while ((piece = vk_stage_piece(build)) >= 0)
	{
		measure_query(state, (int) piece);
		vk_build_progress(build, 1);
	}
}

const VkStageRoutine vk_calibrate_stage = {calibrate_begin, calibrate_work};

/* ---- the leader ---- */

static void
init_pools(const VkBuild *build, Pool *pools, int64 queries)
{
	int64		most = Min((int64) (build->memory / ANCHOR_MEMORY / sizeof(float)),
						   POOL_MAX);

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		Pool	   *pool = &pools[anchor];

		pool->count = 0;
		pool->capacity = Max(Min(queries * vk_curve_anchors[anchor], most),
							 vk_curve_anchors[anchor]);
		pool->work = MemoryContextAllocHuge(CurrentMemoryContext,
											pool->capacity * sizeof(float));
	}
}

/* neighbours of a query go to the pools of the anchors they reach */
static void
pool_work(Pool *pools, const float *work, int found)
{
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		Pool	   *pool = &pools[anchor];
		int			k = vk_curve_anchors[anchor];

		if (found < k || pool->count + k > pool->capacity)
			continue;
		memcpy(pool->work + pool->count, work, k * sizeof(float));
		pool->count += k;
	}
}

static void
init_profiles(const VkBuild *build, Profiles *profiles, int64 queries)
{
	int64		most = (int64) (build->memory / ANCHOR_MEMORY / sizeof(Profile));

	profiles->count = 0;
	profiles->capacity = Min(queries, Max(most, 1));
	profiles->of = MemoryContextAllocHuge(CurrentMemoryContext,
										  profiles->capacity * sizeof(Profile));
}

/* of one query, at any work: linear between the points, NaN where not measured */
static double
profile_at(const float *deviations, double total, double work)
{
	double		place = FRINGE_POINTS - 1 + POINTS_A_HALF * log2(work / total);
	int			point = (int) Max(Min(place, FRINGE_POINTS - 2), 0);
	double		part = Max(Min(place - point, 1), 0);

	return deviations[point] + (deviations[point + 1] - deviations[point]) * part;
}

/*
 * The fringe at the work of the curve.  Values is room for one of each profile.
 */
static void
set_fringe(VkFringe *fringe, const VkCurve *curve, const Profiles *profiles,
		   double total, float *values)
{
	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		for (int level = 0; level < VK_CURVE_LEVELS; level++)
		{
			float		work = curve->rows[anchor][level];
			float	   *known = &fringe->deviations[anchor][level];
			int64		count = 0;

			*known = 0;
			for (int64 i = 0; i < profiles->count && work > 0; i++)
			{
				values[count] = profile_at(profiles->of[i].deviations[anchor], total, work);
				count += !isnan(values[count]);
			}
			if (count > 0)
				*known = vk_select_float(values, count,
										 (int64) ceil(FRINGE_PART * count) - 1);
			/* a higher recall never comes nearer */
			if (level > 0 && known[-1] != 0)
				*known = Min(*known, known[-1]);
		}
}

/* budget of the queries after the pilot ones that look for so many neighbours */
static double
choose_budget(Pool *pools, int neighbors, double total)
{
	double		budget = 0;

	for (int anchor = VK_CURVE_ANCHORS - 1; anchor >= 0; anchor--)
	{
		Pool	   *pool = &pools[anchor];

		if (pool->count == 0 || vk_curve_anchors[anchor] > neighbors)
			continue;
		budget = BUDGET_MARGIN *
			vk_select_float(pool->work, pool->count,
							(int64) (PILOT_PART * (pool->count - 1)));
		break;
	}
	return budget > BUDGET_MAX * total ? 0 : budget;
}

/*
 * Draw query number i.  Rows are drawn without repetition: order is shuffled
 * as far as needed.
 */
static CalibrationQuery
draw_query(VkRandom *random, int64 *order, int64 count, int64 i)
{
	int64		other = i + vk_seeded_below(random, count - i);
	CalibrationQuery		query = {.row = order[other]};

	order[other] = order[i];
	query.from = vk_seeded_below(random, count);
	query.to = vk_seeded_below(random, count);
	query.far = i < PILOT_QUERIES || i % FAR_EVERY == 0;
	return query;
}

static int64
choose_queries(VkBuild *build)
{
	int64		queries = Min(build->calibrate, build->sample.count);
	int64		affordable = (int64) (LANES_MAX / Max(build->meta.live_rows, 1.0));

	return Min(queries, Max(affordable, QUERIES_MIN));
}

/* measure the queries drawn */
static void
run_round(VkBuild *build, Pool *pools, Profiles *profiles, int queries)
{
	Round	   *round = vk_arena(build, VK_ARENA_QUERIES);

	vk_stage_run(build, queries);
	for (int i = 0; i < queries; i++)
	{
		pool_work(pools, query_work(round, i), round->queries[i].found);
		if (profiles->count < profiles->capacity)
			profiles->of[profiles->count++] = round->queries[i].profile;
	}
}

/*
 * vk_calibrate -- fill the recall curve of build->meta, and the fringe
 *
 * The lists and the meta page are written already.
 */
void
vk_calibrate(VkBuild *build)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex calibration",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkRandom	random = {build->seed + STREAM};
	int64		queries = choose_queries(build);
	int64		count = build->sample.count;
	int64	   *order = palloc(count * sizeof(int64));
	Pool		pools[VK_CURVE_ANCHORS];
	Profiles	profiles;
	Round	   *round = vk_arena_make(build, VK_ARENA_QUERIES,
									  MAXALIGN(sizeof(Round)) + ROUND_QUERIES *
									  MOST_NEIGHBORS * sizeof(float), true);

	vk_build_phase(build, VK_PHASE_CALIBRATE, queries);
	init_pools(build, pools, queries);
	init_profiles(build, &profiles, queries);
	for (int64 i = 0; i < count; i++)
		order[i] = i;

	round->meta = build->meta;
	round->near_budget = round->far_budget = 0;
	vk_stage_begin(build, VK_STAGE_CALIBRATE, false);
	for (int64 i = 0; i < queries;)
	{
		int64		end = i == 0 ? PILOT_QUERIES : i + ROUND_QUERIES;
		int			drawn = 0;

		if (i == PILOT_QUERIES)
		{
			round->near_budget = choose_budget(pools, NEAR_NEIGHBORS,
											   build->meta.live_rows);
			round->far_budget = choose_budget(pools, MOST_NEIGHBORS,
											  build->meta.live_rows);
		}
		for (; i < Min(end, queries); i++)
			round->queries[drawn++] = draw_query(&random, order, count, i);
		run_round(build, pools, &profiles, drawn);
	}
	vk_stage_end(build);
	vk_arena_drop(build, VK_ARENA_QUERIES);

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
		vk_curve_set_anchor(&build->meta.curve, anchor, pools[anchor].work,
							pools[anchor].count);
	vk_curve_finish(&build->meta.curve);
	set_fringe(&build->meta.fringe, &build->meta.curve, &profiles, build->meta.live_rows,
			   palloc(profiles.capacity * sizeof(float)));
	build->meta.fringe.residual = build->meta.residual;
	build->meta.curve_rows = build->meta.live_rows;

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * vk_recalibrate -- refresh the curve of an index that exists (see build.h)
 *
 * Only rows that a snapshot sees are sampled: an index build's warnings about
 * rows that change meanwhile are not for us.
 */
void
vk_recalibrate(Relation index, Relation heap, IndexInfo *info, Size memory,
			   VkMeta *meta)
{
	MemoryContext context,
				old;
	IndexInfo	own = *info;
	VkBuild		build;
	VkMeta		now;

	if (meta->lists == 0 || vk_options_get(index).calibrate == 0)
		return;

	context = AllocSetContextCreate(CurrentMemoryContext, "vkindex recalibration",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	own.ii_Concurrent = true;
	own.ii_ExpressionsState = NIL;
	own.ii_PredicateState = NULL;
	vk_build_init(&build, index, meta);
	build.heap = heap;
	build.info = &own;
	build.memory = memory;
	/* lists count for the rows that they have now */
	build.meta.curve_rows = 0;
	vk_build_make_scratch(&build);
	build.toast = vk_toast_reader_create(heap);
	build.vk = vk_index_current(index, &now, context);
	vk_crew_plan(&build, true);
	vk_sample_table(&build);
	vk_toast_reader_close(build.toast);
	if (build.sample.count > 0)
	{
		vk_calibrate(&build);
		meta->curve = build.meta.curve;
		meta->fringe = build.meta.fringe;
		meta->curve_rows = build.meta.curve_rows;
	}
	vk_crew_end(&build);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
