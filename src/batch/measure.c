/*-------------------------------------------------------------------------
 *
 * measure.c
 *	  How much work finds the nearest rows of queries: for calibration.
 *
 * NOTES
 *	  The queries are a batch, but nothing is fetched from the table: estimates of
 *	  the finest stored codes stand for distances, and of a row is kept which list
 *	  it was found in.  What the bounds leave is the same on every CPU, with any of
 *	  its instruction sets, so that an index is, too: blocks are taken as many at a
 *	  time on all of them.
 *
 * IDENTIFICATION
 *	  src/batch/measure.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "am/calibrate.h"
#include "batch/batch.h"

/* candidates that there is room for, for each row wanted, and at least */
#define ROOM_A_ROW		4
#define LEAST_ROOM		256

/* bytes of a visit of a list, planned and noted, in arrays that grow */
#define VISIT_BYTES		64

/* a list that a query visits, and the live rows in those begun before */
typedef struct VisitedList
{
	uint32		number;
	float		work;
} VisitedList;

/* what is known of a query so far */
typedef struct Measured
{
	VkMeasuredQuery *asked;
	VisitedList *lists;			/* by number */
	int64		list_count;
	VkCandidates found;
} Measured;

typedef struct Measure
{
	const VkMeasuredIndex *index;
	VkBatchTarget target;
	VkBatch		batch;
	Measured   *queries;
} Measure;

static inline Measured *
measured_query(Measure *measure, const VkBatchQuery *query)
{
	return &measure->queries[query->number - 1];
}

static int
compare_lists(const void *a, const void *b)
{
	uint32		x = ((const VisitedList *) a)->number;
	uint32		y = ((const VisitedList *) b)->number;

	return x < y ? -1 : x > y;
}

/* VkBatchPlanned */
static void
note_lists(void *arg, const VkBatchQuery *query, const VkSearch *search)
{
	Measure    *measure = arg;
	const VkMeasuredIndex *index = measure->index;
	Measured   *measured = measured_query(measure, query);
	float	   *centers = measured->asked->centers;

	measured->list_count = search->visit_count;
	measured->lists = MemoryContextAllocHuge(measure->batch.context,
											 Max(search->visit_count, 1) *
											 sizeof(VisitedList));
	for (int64 i = 0; i < search->visit_count; i++)
		measured->lists[i] = (VisitedList) {search->visits[i].number,
		search->visits[i].rows};
	qsort(measured->lists, measured->list_count, sizeof(VisitedList), compare_lists);
	for (int i = 0; i < index->point_count && centers != NULL; i++)
		centers[i] = vk_reach_center(search, index->points[i]);
}

/* twice the score, about; nothing is known of rows without a distance */
static inline double
double_estimate(const VkCandidate *entry)
{
	return isinf(entry->upper) ? get_float8_infinity() :
		(double) entry->lower + entry->upper;
}

static int
compare_estimates(const void *a, const void *b)
{
	const VkCandidate *x = a;
	const VkCandidate *y = b;
	double		p = double_estimate(x);
	double		q = double_estimate(y);

	if (p != q)
		return p < q ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

/*
 * Keep no more than are wanted, by their estimates: where many rows are as near, or
 * codes tell little, bounds leave more than there is room for.
 */
static void
keep_nearest(VkCandidates *found)
{
	qsort(found->entries, found->count, sizeof(VkCandidate), compare_estimates);
	found->count = Min(found->count, found->wanted);
	(void) vk_candidates_prune(found);
}

/* VkBatchSettle: all that bounds do not exclude is kept here */
static bool
keep_row(void *arg, VkBatchQuery *query, uint32 slot, uint64 tid, float lower, float upper)
{
	Measure    *measure = arg;
	VkCandidates *found = &measured_query(measure, query)->found;

	found->entries[found->count++] =
		(VkCandidate) {.lower = lower, .upper = upper, .tid = tid, .slot = slot};
	if (found->count >= found->prune_at)
	{
		if (!vk_candidates_prune(found))
			keep_nearest(found);
		query->threshold = found->threshold;
	}
	return true;
}

/* live rows in the lists begun before this one; segments come first */
static float
list_work(const Measured *measured, uint32 number)
{
	VisitedList key = {.number = number};
	const VisitedList *list = bsearch(&key, measured->lists, measured->list_count,
									  sizeof(VisitedList), compare_lists);

	return list != NULL ? list->work : 0;
}

static void
take_found(Measured *measured)
{
	VkMeasuredQuery *asked = measured->asked;
	VkCandidates *found = &measured->found;

	keep_nearest(found);
	asked->found = (int) found->count;
	for (int i = 0; i < asked->found; i++)
	{
		const VkCandidate *entry = &found->entries[i];

		asked->work[i] = list_work(measured, entry->slot) + 1;
		asked->scores[i] = double_estimate(entry) / 2;
	}
}

static void
begin_query(Measure *measure, VkBatchQuery *query, VkMeasuredQuery *asked)
{
	Measured   *measured = measured_query(measure, query);
	VkCandidates *found = &measured->found;

	vk_batch_set_query(&measure->target, query, asked->vector);
	vk_nearest_begin(&measure->batch, query, asked->wanted);
	query->self = asked->self;
	query->budget = asked->budget > 0 ? asked->budget : get_float8_infinity();
	asked->found = 0;
	asked->norm2 = query->query.norm2;
	measured->asked = asked;
	vk_candidates_reserve(measure->batch.context, found,
						  Max(ROOM_A_ROW * asked->wanted, LEAST_ROOM));
	vk_candidates_init(found, found->entries, found->scratch, found->capacity,
					   asked->wanted);
}

double
vk_measure_query_size(const VkIndex *vk, int wanted, double lists)
{
	const VkCoder *coder = &vk->coder;

	return vk_scorer_query_size(coder) + vk_query_code_size(coder) +
		2 * coder->dim * sizeof(float) +
		Max(ROOM_A_ROW * wanted, LEAST_ROOM) * (sizeof(VkCandidate) + sizeof(float)) +
		lists * VISIT_BYTES;
}

void
vk_measure(const VkMeasuredIndex *measured, VkMeasuredQuery *queries, int count)
{
	Measure    *measure = palloc0(sizeof(Measure));
	VkBatch    *batch = &measure->batch;

	measure->index = measured;
	measure->target.index = measured->index;
	measure->target.vk = measured->vk;
	measure->target.meta = *measured->meta;
	measure->target.support = measured->support;
	measure->target.search = measured->search;
	measure->target.rows = measured->meta->live_rows;
	measure->queries = palloc0(count * sizeof(Measured));
	vk_batch_prepare(batch, &measure->target, palloc0(count * sizeof(VkBatchQuery)), count);
	batch->settle = keep_row;
	batch->planned = note_lists;
	batch->arg = measure;
	batch->blocks_size = VK_LEAST_BLOCKS_SIZE;
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		batch->queries[i].number = i + 1;
		begin_query(measure, &batch->queries[i], &queries[i]);
	}
	vk_batch_collect_coded(batch);
	for (int i = 0; i < count; i++)
		take_found(&measure->queries[i]);
}
