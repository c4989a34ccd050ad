/*-------------------------------------------------------------------------
 *
 * search.c
 *	  Answer the queries of a batch: collect candidates, find their distances.
 *
 * NOTES
 *	  What a batch found is complete where nothing was dropped that may be nearer
 *	  than the last row (round.c has the same rule), or, below target 1, where the
 *	  last list visited is as far out as it should be (reach.c); else those queries
 *	  are asked again, for more rows or in more lists, and at last one by one.
 *
 * IDENTIFICATION
 *	  src/batch/search.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/float.h"

#include "am/upkeep.h"
#include "batch/batch.h"
#include "kernels/rounding.h"

/* times as many rows are asked for where dead rows hid those wanted, how often */
#define AGAIN_ROWS		4
#define AGAIN			2

/*
 * Queries, and visits of each list by them, from which on it pays to answer queries
 * of few lists together: measured, on 20,000 to 1,000,000 rows (README, Which path).
 */
#define TOGETHER_QUERIES	128
#define TOGETHER_VISITS		2.0

/* ---- is an answer complete? ---- */

/* the score of the k-th row */
static double
last_score(const VkBatch *batch, const VkBatchQuery *query, int64 k)
{
	return vk_exact_score(batch->target->support, query->rows[k - 1].distance);
}

static bool
is_complete(const VkBatch *batch, const VkBatchQuery *query, int64 k)
{
	double		last;

	if (query->single)
		return false;
	if (query->row_count < k)
		return isinf(query->dropped) && (batch->strict || query->exhaustive);
	last = last_score(batch, query, k);
	if (batch->strict)
		return isnan(last) ? isinf(query->dropped) : last <= query->dropped;
	return isnan(last) ||
		(last <= query->dropped &&
		 (query->exhaustive || vk_probes > 0 ||
		  vk_reach_usual(batch->target->search, &query->query, k, query->center, last)));
}

/*
 * What to look for where that much was found before: more rows, where those that are
 * dead have hidden others, or the same in more lists, up to those that the last of
 * them asks for.
 */
static void
begin_query(VkBatch *batch, VkBatchQuery *query, int64 k, int64 wanted)
{
	bool		enough = !batch->strict && query->row_count >= k &&
		last_score(batch, query, k) <= query->dropped;

	query->last = enough ? last_score(batch, query, k) : get_float8_infinity();
	vk_nearest_begin(batch, query, enough ? k : wanted);
}

/* Look for the rows of all queries. */
static bool
search_together(VkBatch *batch, int64 k, int64 wanted)
{
	VkScanStats *stats = &batch->target->stats;
	instr_time	times[3];

	for (int i = 0; i < batch->count; i++)
		begin_query(batch, &batch->queries[i], k, wanted);
	INSTR_TIME_SET_CURRENT(times[0]);
	if (!vk_batch_collect(batch))
		return false;
	INSTR_TIME_SET_CURRENT(times[1]);
	vk_batch_resolve(batch);
	INSTR_TIME_SET_CURRENT(times[2]);
	INSTR_TIME_SUBTRACT(times[2], times[1]);
	INSTR_TIME_SUBTRACT(times[1], times[0]);
	stats->scan_us += INSTR_TIME_GET_DOUBLE(times[1]) * 1e6;
	stats->fetch_us += INSTR_TIME_GET_DOUBLE(times[2]) * 1e6;
	stats->rounds++;
	for (int i = 0; i < batch->count; i++)
		vk_nearest_sort(&batch->queries[i]);
	return true;
}

/*
 * Search again for the queries whose answers are not complete.  Their number; they
 * come back with the rows of the new search.
 */
static int
search_again(VkBatch *batch, int64 k, int64 wanted)
{
	VkBatch		again = *batch;
	int		   *places = palloc(batch->count * sizeof(int));
	char		path[VK_PATH_SIZE];

	strlcpy(path, batch->target->stats.path, VK_PATH_SIZE);
	again.queries = palloc(batch->count * sizeof(VkBatchQuery));
	again.count = 0;
	for (int i = 0; i < batch->count; i++)
		if (!batch->queries[i].single && !is_complete(batch, &batch->queries[i], k))
		{
			places[again.count] = i;
			again.queries[again.count++] = batch->queries[i];
		}
	if (again.count > 0 && search_together(&again, k, wanted))
		for (int i = 0; i < again.count; i++)
			batch->queries[places[i]] = again.queries[i];
	/* few queries may go another way, which is not that of the batch */
	strlcpy(batch->target->stats.path, path, VK_PATH_SIZE);
	batch->memory = again.memory;
	batch->scratch = again.scratch;
	batch->scratch_capacity = again.scratch_capacity;
	return again.count;
}

/*
 * Do so many queries visit the same lists that to read these once for all of them
 * saves more than copies and groups cost?  Of a call all batches go the same way,
 * whoever answers them: below target 1 the rows found are not quite the same.
 */
static bool
pays_together(const VkBatch *batch, int64 k)
{
	const VkBatchTarget *target = batch->target;
	double		queries = Max(batch->count,
							  Min(target->asked, vk_batch_capacity(target, k, 0)));

	return batch->strict || target->meta.lists == 0 ||
		(queries >= TOGETHER_QUERIES &&
		 queries * vk_batch_visits(target, k) >= TOGETHER_VISITS * target->meta.lists);
}

/* Answer a query by a scan; what is known of it already is not forgotten. */
static void
answer_alone(VkBatch *batch, VkBatchQuery *query, int64 k)
{
	VkNeighbor *known = query->rows;
	int64		known_count = query->row_count;

	query->rows = NULL;
	query->row_count = query->row_capacity = 0;
	query->wanted = k;
	vk_batch_answer_one(batch, query);
	vk_nearest_sort(query);
	vk_nearest_merge(batch, query, known, known_count);
	query->single = true;
}

void
vk_batch_nearest(VkBatch *batch, int64 k)
{
	VkBatchTarget *target = batch->target;
	int64		wanted = k;
	bool		together = pays_together(batch, k) && search_together(batch, k, wanted);

	for (int i = 0; i < AGAIN && together; i++)
	{
		wanted *= AGAIN_ROWS;
		if (search_again(batch, k, wanted) == 0)
			break;
	}
	for (int i = 0; i < batch->count; i++)
	{
		VkBatchQuery *query = &batch->queries[i];

		if (together && is_complete(batch, query, k))
			continue;
		answer_alone(batch, query, k);
		if (!together)
			strlcpy(target->stats.path, "one by one", VK_PATH_SIZE);
	}
	vk_check_not_recycled(target->index, target->meta.epoch);
}

/*
 * The greatest score that a row within the radius can have.  A distance is less
 * than NaN where it is any number, as float8 is ordered.
 */
static float
greatest_score(const VkBatch *batch, const VkBatchQuery *query)
{
	double		radius = vk_batch_radius(batch, query);

	return isnan(radius) ? get_float4_infinity() :
		vk_round_up(batch->target->support->score(radius));
}

void
vk_batch_within_begin(VkBatch *batch, double radius, VkBatchFound found, void *arg)
{
	batch->found = found;
	batch->arg = arg;
	batch->radius = radius;
	batch->strict = true;
	for (int i = 0; i < batch->count; i++)
	{
		vk_nearest_begin(batch, &batch->queries[i], PG_INT64_MAX);
		batch->queries[i].threshold = greatest_score(batch, &batch->queries[i]);
	}
}

void
vk_batch_within(VkBatch *batch, double radius, VkBatchFound found, void *arg)
{
	VkScanStats *stats = &batch->target->stats;
	bool		together;

	vk_batch_within_begin(batch, radius, found, arg);
	together = vk_batch_collect(batch);
	if (together)
		vk_batch_resolve(batch);
	else
		strlcpy(stats->path, "one by one", VK_PATH_SIZE);
	stats->rounds++;
	for (int i = 0; i < batch->count; i++)
		if (!together || batch->queries[i].single)
			vk_batch_answer_one(batch, &batch->queries[i]);
	vk_check_not_recycled(batch->target->index, batch->target->meta.epoch);
}
