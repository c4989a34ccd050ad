/*-------------------------------------------------------------------------
 *
 * request.c
 *	  A call of a function over many queries, from its arguments to its rows.
 *
 * NOTES
 *	  All of them begin and end alike: the settings that they run under, the
 *	  index, who takes part (parallel.c), what is told of it (progress.c).  What
 *	  they differ in is a row of a table.
 *
 * IDENTIFICATION
 *	  src/batch/request.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "utils/guc.h"

#include "batch/batch.h"

const VkBatchFunction vk_batch_functions[VK_BATCH_FUNCTIONS] = {
	[VK_KNN_BATCH] = {
		.name = "vk_knn_batch", .required = 3, .recall = 3, .queries = true,
		.read = vk_knn_batch_read, .routine = &vk_query_routine
	},
	[VK_KNN_BATCH_ROWS] = {
		.name = "vk_knn_batch_rows", .required = 3, .recall = 4, .queries = true,
		.read = vk_knn_batch_read, .routine = &vk_query_routine
	},
	[VK_RANGE_BATCH] = {
		.name = "vk_range_batch", .required = 3, .queries = true,
		.read = vk_range_batch_read, .routine = &vk_query_routine
	},
	[VK_KNN_GRAPH] = {
		.name = "vk_knn_graph", .required = 2, .recall = 2,
		.read = vk_knn_graph_read, .routine = &vk_graph_routine
	},
	[VK_SIMILARITY_GRAPH] = {
		.name = "vk_similarity_graph", .required = 4,
		.read = vk_similarity_graph_read, .routine = &vk_graph_routine
	},
	[VK_SIMILARITY_DEGREE] = {
		.name = "vk_similarity_degree", .required = 2,
		.read = vk_similarity_degree_read, .routine = &vk_graph_routine
	},
};

/* ---- arguments ---- */

int64
vk_batch_read_k(FunctionCallInfo fcinfo, int argument)
{
	int			k = PG_GETARG_INT32(argument);

	if (k < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be greater than 0")));
	return k;
}

static bool
has_null(FunctionCallInfo fcinfo, int required)
{
	for (int i = 0; i < required; i++)
		if (PG_ARGISNULL(i))
			return true;
	return false;
}

/* ---- rows ---- */

void
vk_batch_put(VkBatchWork *work, Datum *values, bool *nulls)
{
	if (work->shared == NULL)
		tuplestore_putvalues(work->store, work->desc, values, nulls);
	else
	{
		/* its file lasts as long as the work */
		MemoryContext old = MemoryContextSwitchTo(work->context);
		MinimalTuple tuple = vk_form_minimal_tuple(work->desc, values, nulls);

		sts_puttuple(work->shared, &work->chunk, tuple);
		pfree(tuple);
		MemoryContextSwitchTo(old);
	}
	work->target->stats.emitted++;
}

void
vk_batch_done(VkBatchWork *work, int count)
{
	pg_atomic_fetch_add_u64(work->done, count);
	vk_progress_update(work);
}

/* ---- the call ---- */

static void
work_alone(VkBatchWork *work, void *state)
{
	const VkBatchRoutine *routine = vk_batch_functions[work->request.function].routine;

	if (work->sum_count > 0)
		vk_batch_sums_init(work, MemoryContextAllocHuge(work->context,
														vk_batch_sums_size(work)));
	routine->answer(state, 0, work->units);
	if (work->sum_count > 0)
	{
		routine->add_sums(state);
		routine->take_sums(state);
	}
}

static void
do_work(VkBatchWork *work)
{
	const VkBatchRoutine *routine = vk_batch_functions[work->request.function].routine;
	void	   *state = routine->begin(work);
	int			workers = vk_batch_plan_workers(work);

	vk_progress_begin(work);
	if (workers == 0 || !vk_batch_share(work, state, workers))
		work_alone(work, state);
	vk_progress_end(work);
	routine->end(state);
}

/* expressions run with the rights that they have when rows are indexed */
static void
do_work_safely(VkBatchWork *work)
{
	VkCaller	caller = {0};

	if (RelationGetIndexExpressions(work->target->index) != NIL)
		vk_become_owner(work->target->heap, &caller);
	do_work(work);
	vk_become_caller(&caller);
}

Datum
vk_batch_call(FunctionCallInfo fcinfo, VkBatchFunctionNumber number)
{
	const VkBatchFunction *function = &vk_batch_functions[number];
	ReturnSetInfo *result;
	VkBatchWork work = {.request = {.function = number}};
	pg_atomic_uint64 done;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	if (has_null(fcinfo, function->required))
		return (Datum) 0;
	level = function->recall > 0 ? vk_batch_set_recall(fcinfo, function->recall) :
		vk_batch_set_exhaustive();
	pg_atomic_init_u64(&done, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	work.store = result->setResult;
	work.desc = result->setDesc;
	work.context = CurrentMemoryContext;
	work.done = &done;
	work.request.index = PG_GETARG_OID(0);
	if (function->queries)
		work.queries = PG_GETARG_ARRAYTYPE_P(1);
	function->read(fcinfo, &work.request);
	work.target = vk_batch_open(work.request.index, OidIsValid(work.request.row_type));
	work.target->stats.wanted = work.request.k;
	do_work_safely(&work);
	vk_batch_close(work.target);
	AtEOXact_GUC(false, level);
	return (Datum) 0;
}
