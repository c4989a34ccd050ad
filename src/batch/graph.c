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
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "batch/batch.h"

PG_FUNCTION_INFO_V1(vk_knn_graph);
PG_FUNCTION_INFO_V1(vk_similarity_graph);

#define KNN_COLUMNS		4
#define SIMILARITY_COLUMNS	3

typedef struct Graph
{
	VkBatchTarget *target;
	ReturnSetInfo *result;
	Tuplesortstate *rows;		/* all TIDs of the index, in order */
	int64		k;				/* 0: pairs within the radius */
	double		radius;
	bool		both_ways;
} Graph;

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
					tuplesort_putdatum(graph->rows,
									   Int64GetDatum((int64) vk_tid_encode(&blocks->tops[i].tids[lane])),
									   false);
	vk_blocks_free(blocks);
	return true;
}

/* Take the next rows as queries, which the context keeps; how many there are. */
static int
next_rows(Graph *graph, VkBatchQuery *queries, int most)
{
	VkBatchTarget *target = graph->target;
	int			count = 0;
	Datum		number;
	bool		isnull;

	while (count < most && vk_tuplesort_getdatum(graph->rows, &number, &isnull))
	{
		VkBatchQuery *query = &queries[count];
		ItemPointerData place;
		Datum		vector;

		CHECK_FOR_INTERRUPTS();
		query->self = (uint64) DatumGetInt64(number);
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
	tuplestore_putvalues(graph->result->setResult, graph->result->setDesc, values, nulls);
	graph->target->stats.emitted++;
}

/* VkBatchFound */
static void
put_found(void *arg, const VkBatchQuery *query, uint64 tid, double distance)
{
	Graph	   *graph = arg;

	put_pair(graph, Min(query->self_place, tid), Max(query->self_place, tid), distance);
	if (graph->both_ways)
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
		tuplestore_putvalues(graph->result->setResult, graph->result->setDesc, values, nulls);
		graph->target->stats.emitted++;
	}
}

/* ---- the functions ---- */

static void
answer_rows(Graph *graph, VkBatchQuery *queries, int count)
{
	VkBatch		batch;

	vk_batch_begin(&batch, graph->target, queries, count);
	if (graph->k == 0)
	{
		batch.once = true;
		batch.after = queries[0].self;
		vk_batch_within(&batch, graph->radius, put_found, graph);
		return;
	}
	vk_batch_nearest(&batch, graph->k);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_neighbors(graph, &queries[i]);
	}
}

static void
run_graph(Graph *graph)
{
	VkBatchTarget *target = graph->target;
	Size		vector_size = sizeof(float) * target->vk->coder.dim;
	int			most = vk_batch_capacity(target, graph->k, vector_size);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex graph",
												  ALLOCSET_DEFAULT_SIZES);
	int			count;

	target->stats.wanted = graph->k;
	graph->rows = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
										work_mem, NULL, TUPLESORT_NONE);
	(void) vk_batch_walk(target, list_rows, graph);
	tuplesort_performsort(graph->rows);
	do
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		VkBatchQuery *queries = palloc0(most * sizeof(VkBatchQuery));

		count = next_rows(graph, queries, most);
		if (count > 0)
			answer_rows(graph, queries, count);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	} while (count > 0);
	tuplesort_end(graph->rows);
	MemoryContextDelete(context);
}

/*
 * vk_knn_graph -- the k nearest other rows of each row
 */
Datum
vk_knn_graph(PG_FUNCTION_ARGS)
{
	Graph		graph = {0};
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	level = vk_batch_set_recall(fcinfo, 2);
	graph.result = (ReturnSetInfo *) fcinfo->resultinfo;
	graph.k = vk_batch_read_k(fcinfo, 1);
	graph.target = vk_batch_open(PG_GETARG_OID(0), false);
	run_graph(&graph);
	vk_batch_close(graph.target);
	AtEOXact_GUC(false, level);
	return (Datum) 0;
}

/*
 * vk_similarity_graph -- all pairs of rows within a radius
 */
Datum
vk_similarity_graph(PG_FUNCTION_ARGS)
{
	Graph		graph = {0};
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	level = vk_batch_set_exhaustive();
	graph.result = (ReturnSetInfo *) fcinfo->resultinfo;
	graph.radius = PG_GETARG_FLOAT8(1);
	graph.both_ways = PG_GETARG_BOOL(2);
	graph.target = vk_batch_open(PG_GETARG_OID(0), false);
	run_graph(&graph);
	vk_batch_close(graph.target);
	AtEOXact_GUC(false, level);
	return (Datum) 0;
}
