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
 *	  between all processes measure what was drawn, a round of them at a time.  A
 *	  process takes many queries at once, as a batch: each list is read and scored for
 *	  all that visit it (batch/measure.c).
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
#include "am/calibrate.h"
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
#define ROUND_QUERIES	256		/* measured between drawing and pooling, at most */
#define ROUND_MEMORY	32		/* their results take this part of the memory */
#define PIECE_QUERIES	64		/* measured together by a process, at most */
#define PIECE_MEMORY	8		/* which takes this part of the memory */
#define PILOT_PIECE		8		/* of the pilot ones, at most */
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
	int			count;
	int			piece;			/* queries that are measured together */
	CalibrationQuery queries[ROUND_QUERIES];
} Round;

/* what a process measures with */
typedef struct Calibration
{
	VkBuild    *build;
	Round	   *round;
	MemoryContext context;		/* emptied after each piece */
	VkMeasuredIndex index;
	double		points[FRINGE_POINTS];
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

/* ---- the vectors of queries ---- */

/* what is asked of some queries: nothing yet but the rows that they are made from */
static VkMeasuredQuery *
begin_queries(Calibration *cal, const CalibrationQuery *queries, int count)
{
	VkMeasuredQuery *asked = palloc0(count * sizeof(VkMeasuredQuery));

	for (int i = 0; i < count; i++)
	{
		asked[i].vector = sample_row(cal->build, queries[i].row);
		asked[i].self = vk_tid_encode(&cal->build->sample.tids[queries[i].row]);
	}
	return asked;
}

/* distances from their rows to the nearest neighbours in the table; 0: not found */
static void
nearest_distances(Calibration *cal, const CalibrationQuery *queries, int count,
				  double *distances)
{
	VkBuild    *build = cal->build;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex nearest neighbors",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkMeasuredQuery *asked = begin_queries(cal, queries, count);

	for (int i = 0; i < count; i++)
	{
		asked[i].wanted = 1;
		asked[i].budget = Max(NEAREST_PART * cal->round->meta.live_rows, NEAREST_ROWS);
		asked[i].work = palloc(sizeof(float));
		asked[i].scores = palloc(sizeof(float));
	}
	vk_measure(&cal->index, asked, count);
	for (int i = 0; i < count; i++)
	{
		double		score = asked[i].found > 0 ? Max(asked[i].scores[0], 0) : 0;

		distances[i] = is_sum(build) ? score : sqrt(score);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* turn a share of a row's bits where two others differ */
static void
turn_bits(VkBuild *build, const CalibrationQuery *query, double share, float *vector)
{
	const float *row = sample_row(build, query->row);
	const float *from = sample_row(build, query->from);
	const float *to = sample_row(build, query->to);
	VkRandom	random = {build->seed + query->row};

	for (int i = 0; i < build->dim; i++)
		vector[i] = from[i] != to[i] &&
			vk_seeded_below(&random, RANDOM_SHARES) < share * RANDOM_SHARES ?
			1 - row[i] : row[i];
}

/* the vector of a query, row + d u, from its row's nearest neighbour's distance */
static float *
make_vector(VkBuild *build, const CalibrationQuery *query, double distance)
{
	const float *row = sample_row(build, query->row);
	const float *from = sample_row(build, query->from);
	const float *to = sample_row(build, query->to);
	float	   *vector = palloc(build->dim * sizeof(float));
	double		length = row_distance(build, from, to);
	double		step = length > 0 ? distance / length : 0;

	if (vk_metric_of_bits(build->support->metric))
		turn_bits(build, query, TURNED_PART * step, vector);
	else
		for (int i = 0; i < build->dim; i++)
			vector[i] = (float) (row[i] + step * ((double) to[i] - from[i]));
	return vector;
}

static void
make_vectors(Calibration *cal, const CalibrationQuery *queries, int count,
			 VkMeasuredQuery *asked)
{
	VkBuild    *build = cal->build;
	double	   *distances = palloc(count * sizeof(double));

	if (build->support->metric != VK_METRIC_IP)
		nearest_distances(cal, queries, count, distances);
	for (int i = 0; i < count; i++)
	{
		vk_pause();
		if (build->support->metric == VK_METRIC_IP)
			distances[i] = nearest_sampled(build, queries[i].row);
		asked[i].vector = make_vector(build, &queries[i], distances[i]);
	}
}

/* ---- measuring ---- */

static void
set_points(double *points, double total)
{
	for (int i = 0; i < FRINGE_POINTS; i++)
		points[i] = total * exp2((double) (i - (FRINGE_POINTS - 1)) / POINTS_A_HALF);
}

static void
take_profile(Calibration *cal, const VkMeasuredQuery *asked, Profile *profile)
{
	int			found = vk_reach_known(cal->index.search) ? asked->found : 0;

	for (int anchor = 0; anchor < VK_CURVE_ANCHORS; anchor++)
	{
		int			k = vk_curve_anchors[anchor];

		for (int point = 0; point < FRINGE_POINTS; point++)
			profile->deviations[anchor][point] = k > found ? NAN :
				vk_reach_deviations(cal->index.search, asked->norm2,
									asked->centers[point], asked->scores[k - 1]);
	}
}

/* measure some queries of the round, from the first on */
static void
measure_queries(Calibration *cal, int first, int count)
{
	Round	   *round = cal->round;
	CalibrationQuery *queries = &round->queries[first];
	VkMeasuredQuery *asked = begin_queries(cal, queries, count);

	make_vectors(cal, queries, count, asked);
	for (int i = 0; i < count; i++)
	{
		int			most = queries[i].far ? MOST_NEIGHBORS : NEAR_NEIGHBORS;

		asked[i].wanted = (int) Min(most, Max(round->meta.live_rows, 1));
		asked[i].budget = queries[i].far ? round->far_budget : round->near_budget;
		asked[i].work = query_work(round, first + i);
		asked[i].scores = palloc(asked[i].wanted * sizeof(float));
		asked[i].centers = palloc(FRINGE_POINTS * sizeof(float));
	}
	vk_measure(&cal->index, asked, count);
	for (int i = 0; i < count; i++)
	{
		queries[i].found = asked[i].found;
		take_profile(cal, &asked[i], &queries[i].profile);
	}
}

static void *
calibrate_begin(VkBuild *build)
{
	Calibration *cal = palloc0(sizeof(Calibration));

	vk_sample_attach(build);
	vk_centers_attach(build);
	cal->build = build;
	cal->round = vk_arena(build, VK_ARENA_QUERIES);
	cal->context = AllocSetContextCreate(CurrentMemoryContext, "vkindex calibration piece",
										 ALLOCSET_DEFAULT_SIZES);
	set_points(cal->points, cal->round->meta.live_rows);
	cal->index.index = build->index;
	cal->index.vk = build->vk;
	cal->index.meta = &cal->round->meta;
	cal->index.support = build->support;
	cal->index.search = vk_search_create(build->index, build->vk);
	cal->index.points = cal->points;
	cal->index.point_count = FRINGE_POINTS;
	return cal;
}

static void
calibrate_work(VkBuild *build, void *state)
{
	Calibration *cal = state;
	const Round *round = cal->round;
	int64		piece;

	while ((piece = vk_stage_piece(build)) >= 0)
	{
		MemoryContext old = MemoryContextSwitchTo(cal->context);
		int			first = (int) piece * round->piece;
		int			count = Min(round->piece, round->count - first);

		measure_queries(cal, first, count);
		MemoryContextSwitchTo(old);
		MemoryContextReset(cal->context);
		vk_build_progress(build, count);
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

/* bytes of a query for so many neighbours within a budget */
static double
query_size(const VkBuild *build, const Round *round, int neighbors, double budget)
{
	double		lists = budget > 0 ? budget / round->meta.live_rows * round->meta.lists :
		round->meta.lists;

	return vk_measure_query_size(build->vk, neighbors, lists);
}

/*
 * Queries that are measured together by a process.  It is the same whatever the number
 * of processes, and so is the curve.
 */
static int
choose_piece(const VkBuild *build, const Round *round, bool pilot)
{
	double		far_part = pilot ? 1 : 1.0 / FAR_EVERY;
	double		size = (1 - far_part) * query_size(build, round, NEAR_NEIGHBORS, round->near_budget) +
		far_part * query_size(build, round, MOST_NEIGHBORS, round->far_budget);
	double		memory = (double) build->memory / PIECE_MEMORY -
		(double) round->meta.lists * VK_MEASURED_LIST_SIZE;

	return (int) Max(Min(memory / size, pilot ? PILOT_PIECE : PIECE_QUERIES), 1);
}

/* measure the queries drawn */
static void
run_round(VkBuild *build, Pool *pools, Profiles *profiles)
{
	Round	   *round = vk_arena(build, VK_ARENA_QUERIES);

	vk_stage_run(build, (round->count + round->piece - 1) / round->piece);
	for (int i = 0; i < round->count; i++)
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
	Size		work_size = MOST_NEIGHBORS * sizeof(float);
	int64		most = Max(Min(build->memory / ROUND_MEMORY / work_size, ROUND_QUERIES),
						   PILOT_QUERIES);
	Round	   *round = vk_arena_make(build, VK_ARENA_QUERIES,
									  MAXALIGN(sizeof(Round)) + most * work_size, true);

	vk_build_phase(build, VK_PHASE_CALIBRATE, queries);
	init_pools(build, pools, queries);
	init_profiles(build, &profiles, queries);
	for (int64 i = 0; i < count; i++)
		order[i] = i;

	round->meta = build->meta;
	round->near_budget = round->far_budget = 0;
	round->piece = choose_piece(build, round, true);
	vk_stage_begin(build, VK_STAGE_CALIBRATE, false);
	for (int64 i = 0; i < queries;)
	{
		int64		end = i == 0 ? PILOT_QUERIES : i + most;

		if (i == PILOT_QUERIES)
		{
			round->near_budget = choose_budget(pools, NEAR_NEIGHBORS,
											   build->meta.live_rows);
			round->far_budget = choose_budget(pools, MOST_NEIGHBORS,
											  build->meta.live_rows);
			round->piece = choose_piece(build, round, false);
		}
		for (round->count = 0; i < Min(end, queries); i++)
			round->queries[round->count++] = draw_query(&random, order, count, i);
		run_round(build, pools, &profiles);
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

/*
 * vk_curve_store -- put a curve that was measured on the meta page
 */
void
vk_curve_store(Relation index, const VkMeta *measured)
{
	Buffer		buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = GenericXLogStart(index);
	VkMeta	   *meta = vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->curve = measured->curve;
	meta->fringe = measured->fringe;
	meta->curve_rows = measured->curve_rows;
	meta->changed_rows = 0;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}
