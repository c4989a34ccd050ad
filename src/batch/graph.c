/*-------------------------------------------------------------------------
 *
 * graph.c
 *	  All rows of an index as queries: vk_knn_graph, vk_similarity_graph.
 *
 * NOTES
 *	  Rows are taken in the order of the table, as many at a time as fit in
 *	  work_mem with what they find; so no matrix of all pairs exists, and results
 *	  go to a tuplestore that spills.  Where each pair comes once, the row that
 *	  lies first in the table asks for those behind it, and blocks of the index
 *	  with none of these are not scored: of an index as it was built, half.
 *
 *	  Rows without a vector, or whose distances are NaN, are not in the graph.
 *
 * IDENTIFICATION
 *	  src/batch/graph.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/tuplesort.h"

#include "batch/batch.h"

PG_FUNCTION_INFO_V1(vk_knn_graph);
PG_FUNCTION_INFO_V1(vk_similarity_graph);

#define KNN_COLUMNS		4
#define SIMILARITY_COLUMNS	3

typedef struct Graph
{
	VkBatchWork *work;
	VkBatchTarget *target;
	Tuplesortstate *rows;		/* all TIDs of the index, in order */
	int64		row_count;
	bool		pending;		/* the next of them is known, or that there is none */
	uint64		next;			/* PG_UINT64_MAX: there is none */
	int64		k;				/* 0: pairs within the radius */
	int			capacity;		/* rows that are answered together */
} Graph;

/* of that, what a chunk has: pages of a table have more rows or fewer, and what does
 * not fit is a batch of its own */
#define CHUNK_SHARE		0.9

/* ---- the rows ---- */

/* VkSlotAction */
static bool
list_rows(void *arg, uint32 number, const VkSlot *slot)
{
	Graph	   *graph = arg;
	VkBatchTarget *target = graph->target;
	VkBlockReader reader = {0};
	VkBlocks   *blocks = vk_blocks_create(target->vk);
	VkScanStats unused = {0};

	reader.index = target->index;
	reader.vk = target->vk;
	reader.snapshot = target->snapshot;
	reader.stats = &unused;
	vk_block_reader_begin(&reader, number, slot);
	while (vk_block_reader_next(&reader, blocks))
		for (int i = 0; i < blocks->count; i++)
			for (int lane = 0; lane < VK_LANES; lane++)
				if ((blocks->live[i] & 1U << lane) != 0)
				{
					tuplesort_putdatum(graph->rows,
									   Int64GetDatum((int64) vk_tid_encode(&blocks->tops[i].tids[lane])),
									   false);
					graph->row_count++;
				}
	vk_blocks_free(blocks);
	return true;
}

/* Take the next TID of the index where it lies before the end. */
static bool
next_tid(Graph *graph, uint64 end, uint64 *tid)
{
	Datum		number;
	bool		isnull;

	if (!graph->pending)
		graph->next = vk_tuplesort_getdatum(graph->rows, &number, &isnull) ?
			(uint64) DatumGetInt64(number) : PG_UINT64_MAX;
	*tid = graph->next;
	graph->pending = graph->next >= end;
	return !graph->pending;
}

/* Take the next rows before the end as queries, which the context keeps; how many
 * there are, and of how many TIDs. */
static int
next_rows(Graph *graph, uint64 end, VkBatchQuery *queries, int most, int *taken)
{
	VkBatchTarget *target = graph->target;
	int			count = 0;
	uint64		tid;

	while (count < most && next_tid(graph, end, &tid))
	{
		VkBatchQuery *query = &queries[count];
		ItemPointerData place;
		Datum		vector;

		CHECK_FOR_INTERRUPTS();
		(*taken)++;
		query->self = tid;
		if (!vk_heap_reader_value(target->reader, query->self, &vector, &place))
			continue;
		query->self_place = vk_tid_encode(&place);
		query->value = datumCopy(vector, false, -1);
		count++;
	}
	vk_heap_reader_unpin(target->reader);
	return count;
}

/* ---- results ---- */

static void
put_pair(Graph *graph, uint64 first, uint64 second, double distance)
{
	Datum		values[SIMILARITY_COLUMNS];
	bool		nulls[SIMILARITY_COLUMNS] = {0};
	ItemPointerData places[2];

	vk_tid_decode(first, &places[0]);
	vk_tid_decode(second, &places[1]);
	values[0] = PointerGetDatum(&places[0]);
	values[1] = PointerGetDatum(&places[1]);
	values[2] = Float8GetDatum(distance);
	vk_batch_put(graph->work, values, nulls);
}

/* VkBatchFound */
static void
put_found(void *arg, const VkBatchQuery *query, uint64 tid, double distance)
{
	Graph	   *graph = arg;

	put_pair(graph, Min(query->self_place, tid), Max(query->self_place, tid), distance);
	if (graph->work->request.both_ways)
		put_pair(graph, Max(query->self_place, tid), Min(query->self_place, tid), distance);
}

static void
put_neighbors(Graph *graph, const VkBatchQuery *query)
{
	int64		count = Min(query->row_count, graph->k);

	for (int64 i = 0; i < count && !isnan(query->rows[i].distance); i++)
	{
		Datum		values[KNN_COLUMNS];
		bool		nulls[KNN_COLUMNS] = {0};
		ItemPointerData places[2];

		vk_tid_decode(query->self_place, &places[0]);
		vk_tid_decode(query->rows[i].tid, &places[1]);
		values[0] = PointerGetDatum(&places[0]);
		values[1] = Int32GetDatum((int32) (i + 1));
		values[2] = PointerGetDatum(&places[1]);
		values[3] = Float8GetDatum(query->rows[i].distance);
		vk_batch_put(graph->work, values, nulls);
	}
}

/* ---- VkBatchRoutine: units are pages of the table ---- */

static void
answer_rows(Graph *graph, VkBatchQuery *queries, int count)
{
	VkBatch		batch;

	vk_batch_begin(&batch, graph->target, queries, count);
	if (graph->k == 0)
	{
		batch.once = true;
		batch.after = queries[0].self;
		vk_batch_within(&batch, graph->work->request.radius, put_found, graph);
		return;
	}
	vk_batch_nearest(&batch, graph->k);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_neighbors(graph, &queries[i]);
	}
}

/* the least number of a TID on a page */
static uint64
first_tid(int64 page)
{
	return (uint64) page << 16;
}

/* Each process sorts all TIDs for itself, and asks for those of its pages. */
static void *
begin_graph(VkBatchWork *work)
{
	Graph	   *graph = palloc0(sizeof(Graph));
	Size		vector_size = sizeof(float) * work->target->vk->coder.dim;

	graph->work = work;
	graph->target = work->target;
	graph->k = work->request.k;
	graph->rows = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
										work_mem, NULL, TUPLESORT_NONE);
	(void) vk_batch_walk(work->target, list_rows, graph);
	tuplesort_performsort(graph->rows);
	work->units = RelationGetNumberOfBlocks(work->target->heap);
	work->query_count = graph->row_count;
	graph->capacity = vk_batch_capacity(work->target, graph->k, vector_size);
	work->capacity = CHUNK_SHARE * graph->capacity;
	return graph;
}

static void
answer_pages(void *state, int64 first, int64 end)
{
	Graph	   *graph = state;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex graph",
												  ALLOCSET_DEFAULT_SIZES);
	uint64		tid;
	int			count;

	while (next_tid(graph, first_tid(first), &tid))
		CHECK_FOR_INTERRUPTS();
	do
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		VkBatchQuery *queries = palloc0(graph->capacity * sizeof(VkBatchQuery));
		int			taken = 0;

		count = next_rows(graph, first_tid(end), queries, graph->capacity, &taken);
		if (count > 0)
			answer_rows(graph, queries, count);
		vk_batch_done(graph->work, taken);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	} while (count > 0);
	MemoryContextDelete(context);
}

static void
end_graph(void *state)
{
	tuplesort_end(((Graph *) state)->rows);
}

const VkBatchRoutine vk_graph_routine = {
	.begin = begin_graph,
	.answer = answer_pages,
	.end = end_graph
};

/* ---- the functions ---- */

void
vk_knn_graph_read(FunctionCallInfo fcinfo, VkBatchRequest *request)
{
	request->k = vk_batch_read_k(fcinfo, 1);
}

void
vk_similarity_graph_read(FunctionCallInfo fcinfo, VkBatchRequest *request)
{
	request->radius = PG_GETARG_FLOAT8(1);
	request->both_ways = PG_GETARG_BOOL(2);
}

/*
 * vk_knn_graph -- the k nearest other rows of each row
 */
Datum
vk_knn_graph(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_KNN_GRAPH);
}

/*
 * vk_similarity_graph -- all pairs of rows within a radius
 */
Datum
vk_similarity_graph(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_SIMILARITY_GRAPH);
}
