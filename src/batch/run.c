/*-------------------------------------------------------------------------
 *
 * run.c
 *	  Any number of queries, in batches that fit in work_mem.
 *
 * IDENTIFICATION
 *	  src/batch/run.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "miscadmin.h"
#include "utils/float.h"

#include "batch/batch.h"

/* candidates of a query at first, about (nearest.c) */
#define FEW_CANDIDATES	512

/* more queries at a time gain nothing */
#define MOST_QUERIES	16384

/* ---- how many queries at a time ---- */

static int64
memory_budget(void)
{
	return (int64) work_mem * 1024;
}

/* bytes of one query: its codes, candidates, rows and planned visits */
static double
query_size(const VkBatchTarget *target, int64 k)
{
	const VkCoder *coder = &target->vk->coder;
	double		rows = Min((double) k, target->rows);
	double		size = sizeof(VkBatchQuery) + sizeof(float) * (coder->dim + 1) +
		vk_scorer_query_size(coder);

	return size + rows * sizeof(VkNeighbor) + vk_batch_plan_size(target, k) +
		(k == 0 ? FEW_CANDIDATES : Min(4 * rows, FEW_CANDIDATES)) *
		(sizeof(VkBatchCandidate) + sizeof(VkBatchPair));
}

int
vk_batch_capacity(const VkBatchTarget *target, int64 k, Size more)
{
	double		count = memory_budget() / (query_size(target, k) + more);

	/* whole groups where there are some */
	if (count >= 2 * VK_GROUP_QUERIES)
		count -= (int) Min(count, MOST_QUERIES) % VK_GROUP_QUERIES;
	return (int) Max(Min(count, MOST_QUERIES), 1);
}

/* ---- one batch ---- */

/* What codes are compared with: the vector, rotated. */
void
vk_batch_set_query(VkBatchTarget *target, VkBatchQuery *query, const float *vector)
{
	VkSearch   *search = target->search;

	search->query.rotated = palloc(sizeof(float) * (target->vk->coder.dim + 1));
	query->single = !vk_search_reset(search, &target->meta, vector, &target->stats) ||
		vk_search_wild(search);
	query->query = search->query;
}

void
vk_batch_prepare(VkBatch *batch, VkBatchTarget *target, VkBatchQuery *queries, int count)
{
	memset(batch, 0, sizeof(VkBatch));
	batch->target = target;
	batch->rows_before = target->stats.rows;
	batch->context = CurrentMemoryContext;
	batch->queries = queries;
	batch->count = count;
	batch->memory_limit = memory_budget() / 2;
}

void
vk_batch_begin(VkBatch *batch, VkBatchTarget *target, VkBatchQuery *queries, int count)
{
	const VkLayout *layout = target->support->layout;
	float	   *floats = palloc(sizeof(float) * target->vk->coder.dim);

	vk_batch_prepare(batch, target, queries, count);
	batch->strict = vk_batch_strict(target);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		vk_batch_set_query(target, &queries[i], layout->floats(queries[i].value, floats));
	}
	pfree(floats);
}

void
vk_batch_run(VkBatchTarget *target, const Datum *values, const bool *nulls,
			 int count, int64 k, VkBatchAnswer answer, void *arg)
{
	int			size = vk_batch_capacity(target, k, 0);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex batch",
												  ALLOCSET_DEFAULT_SIZES);
	int			next = 0;

	while (next < count)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		VkBatchQuery *queries = palloc0(Min(size, count - next) * sizeof(VkBatchQuery));
		VkBatch		batch;
		int			members = 0;

		for (; next < count && members < size; next++)
			if (!nulls[next])
			{
				queries[members].number = next + 1;
				queries[members++].value = values[next];
			}
		if (members > 0)
		{
			vk_batch_begin(&batch, target, queries, members);
			answer(arg, &batch);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
}
