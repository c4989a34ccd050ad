/*-------------------------------------------------------------------------
 *
 * graph.c
 *	  All rows of an index as queries: vk_knn_graph, vk_similarity_graph,
 *	  vk_similarity_degree.
 *
 * NOTES
 *	  Rows are taken in the order of the table, as many at a time as fit in
 *	  work_mem with what they find; so no matrix of all pairs exists, and results
 *	  go to a tuplestore that spills.  Where each pair comes once, the row that
 *	  lies first in the table asks for those behind it, and blocks of the index
 *	  with none of these are not scored: of an index as it was built, half.
 *
 *	  Pairs within a radius are found by codes where few are, or by tiles of the
 *	  vectors (dense.c).  A pair whose bounds lie within the radius belongs; its
 *	  rows are fetched only where its distance is wanted better than bounds
 *	  tell it.  That presumes that both are seen by the snapshot, so that is
 *	  looked up first, for all rows.
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
#include "utils/float.h"

#include "am/upkeep.h"
#include "batch/graph.h"
#include "kernels/rounding.h"

PG_FUNCTION_INFO_V1(vk_knn_graph);
PG_FUNCTION_INFO_V1(vk_similarity_graph);
PG_FUNCTION_INFO_V1(vk_similarity_degree);

#define KNN_COLUMNS		4
#define SIMILARITY_COLUMNS	3
#define DEGREE_COLUMNS	2

/* a set of visible rows, and their neighbors' numbers, take at most this share of
 * work_mem each */
#define MEMORY_SHARE	4

/* of the rows that are answered together what a chunk has: pages of a table have more
 * rows or fewer, and what does not fit is a batch of its own */
#define CHUNK_SHARE		0.9

/* rows of a chunk, by tiles of vectors, for which all others are read and converted */
#define ENOUGH_DENSE	2048

/* ---- the rows ---- */

/* VkSlotAction */
static bool
list_rows(void *arg, uint32 number, const VkSlot *slot)
{
	VkGraph    *graph = arg;
	VkBatchTarget *target = graph->target;
	VkBlockReader reader = {0};
	VkBlocks   *blocks = vk_blocks_create(target->vk, 0);
	VkScanStats unused = {0};

	reader.index = target->index;
	reader.vk = target->vk;
	reader.snapshot = target->snapshot;
	reader.stats = &unused;
	vk_block_reader_begin(&reader, number, slot, InvalidBlockNumber);
	while (vk_block_reader_next(&reader, blocks))
		for (int i = 0; i < blocks->count; i++)
			for (int lane = 0; lane < VK_LANES; lane++)
				if ((blocks->live[i] & 1U << lane) != 0)
				{
					uint64		tid = vk_tid_encode(&blocks->tops[i].tids[lane]);

					tuplesort_putdatum(graph->rows, Int64GetDatum((int64) tid), false);
					graph->row_count++;
				}
	vk_blocks_free(blocks);
	return true;
}

static void
sort_rows(VkGraph *graph)
{
	graph->rows = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
										work_mem, NULL, TUPLESORT_RANDOMACCESS);
	(void) vk_batch_walk(graph->target, list_rows, graph);
	vk_check_not_recycled(graph->target->index, graph->target->meta.epoch);
	tuplesort_performsort(graph->rows);
}

void
vk_graph_seek(VkGraph *graph, int64 position)
{
	if (position < graph->position)
	{
		tuplesort_rescan(graph->rows);
		graph->position = 0;
	}
	(void) tuplesort_skiptuples(graph->rows, position - graph->position, true);
	graph->position = position;
}

/* the TID of the next row before a position, as the index has it */
static bool
next_tid(VkGraph *graph, int64 end, uint64 *tid)
{
	Datum		number;
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	if (graph->position >= end ||
		!vk_tuplesort_getdatum(graph->rows, &number, &isnull))
		return false;
	graph->position++;
	*tid = (uint64) DatumGetInt64(number);
	return true;
}

bool
vk_graph_next(VkGraph *graph, int64 end, VkGraphRow *row)
{
	ItemPointerData place;

	while (next_tid(graph, end, &row->indexed))
		if (vk_heap_reader_value(graph->target->reader, row->indexed, &row->vector, &place))
		{
			row->place = vk_tid_encode(&place);
			return true;
		}
	return false;
}

int
vk_graph_queries(VkGraph *graph, int64 end, VkBatchQuery *queries)
{
	VkGraphRow	row;
	int			count = 0;

	while (vk_graph_next(graph, end, &row))
	{
		VkBatchQuery *query = &queries[count];

		query->self = row.indexed;
		query->self_place = row.place;
		query->value = datumCopy(row.vector, false, -1);
		query->number = (int) vk_graph_number(graph, row.place, count);
		count++;
	}
	vk_heap_reader_unpin(graph->target->reader);
	return count;
}

/* Find out which rows are visible, if there is room to remember it. */
static void
mark_visible(VkGraph *graph)
{
	VkBatchTarget *target = graph->target;
	BlockNumber pages = graph->work->request.pages;
	Size		limit = (Size) work_mem * 1024 / MEMORY_SHARE;
	uint64		tid;
	ItemPointerData place;
	int64		count;

	if (vk_row_set_size(pages) > limit)
		return;
	graph->visible = vk_row_set_create(pages);
	vk_graph_seek(graph, 0);
	while (next_tid(graph, graph->row_count, &tid))
		if (vk_heap_reader_place(target->reader, tid, &place))
			vk_row_set_add(graph->visible, vk_tid_encode(&place));
	vk_heap_reader_unpin(target->reader);
	count = vk_row_set_number(graph->visible);
	if (graph->counting)
		graph->once = count <= (int64) Min(limit / sizeof(int64), PG_INT32_MAX);
	if (graph->counting && graph->once)
	{
		graph->work->sum_count = Max(count, 1);
		graph->neighbors = MemoryContextAllocExtended(CurrentMemoryContext,
													  graph->work->sum_count * sizeof(int64),
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
}

int64
vk_graph_number(const VkGraph *graph, uint64 place, int64 place_in_chunk)
{
	if (!graph->counting)
		return -1;
	return graph->once ? vk_row_set_find(graph->visible, place) : place_in_chunk;
}

/* ---- results ---- */

static void
put_pair(VkGraph *graph, uint64 first, uint64 second, double distance)
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

void
vk_graph_put(VkGraph *graph, uint64 a, uint64 b, double distance)
{
	put_pair(graph, Min(a, b), Max(a, b), distance);
	if (graph->both_ways)
		put_pair(graph, Max(a, b), Min(a, b), distance);
}

bool
vk_graph_put_between(VkGraph *graph, uint64 a, uint64 b, double lower, double upper)
{
	if (!(upper - lower <= 2 * graph->tolerance))
		return false;
	vk_graph_put(graph, a, b, lower + (upper - lower) / 2);
	return true;
}

void
vk_graph_count(VkGraph *graph, int64 query, int64 row)
{
	graph->neighbors[query]++;
	if (graph->once)
		graph->neighbors[row]++;
}

/* VkBatchFound */
static void
put_found(void *arg, const VkBatchQuery *query, uint64 place, double distance)
{
	VkGraph    *graph = arg;

	if (graph->counting)
		vk_graph_count(graph, query->number,
					   graph->once ? vk_row_set_find(graph->visible, place) : -1);
	else
		vk_graph_put(graph, query->self_place, place, distance);
}

/*
 * VkBatchSettle
 *
 * The row is known to be visible, or it moved on its page since it was indexed,
 * or it is dead: then it is fetched as any candidate.
 */
static bool
settle_pair(void *arg, VkBatchQuery *query, uint32 slot, uint64 tid, float lower,
			float upper)
{
	VkGraph    *graph = arg;
	int64		row = graph->visible != NULL ? vk_row_set_find(graph->visible, tid) : -1;
	double		least = lower;
	double		greatest = upper;

	if (row < 0)
		return false;
	if (!vk_graph_bounds_suffice(graph, &least, &greatest))
		vk_open_pairs_add(graph->open, row, query);
	else if (graph->counting)
		vk_graph_count(graph, query->number, row);
	else
		(void) vk_graph_put_between(graph, query->self_place, tid, least, greatest);
	return true;
}

static void
put_neighbors(VkGraph *graph, const VkBatchQuery *query)
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

static void
put_degree(VkGraph *graph, uint64 place, int64 neighbors)
{
	Datum		values[DEGREE_COLUMNS];
	bool		nulls[DEGREE_COLUMNS] = {0};
	ItemPointerData row;

	CHECK_FOR_INTERRUPTS();
	vk_tid_decode(place, &row);
	values[0] = PointerGetDatum(&row);
	values[1] = Int64GetDatum(neighbors);
	vk_batch_put(graph->work, values, nulls);
}

/* the neighbors of all rows, once all pairs have been looked at */
static void
put_degrees(void *state)
{
	VkGraph    *graph = state;
	int64		number = 0;

	for (uint64 place = vk_row_set_next(graph->visible, 0); place != 0;
		 place = vk_row_set_next(graph->visible, place + 1))
		put_degree(graph, place,
				   (int64) pg_atomic_read_u64(&graph->work->sums[number++]));
}

/* ---- a chunk of rows ---- */

static void
answer_queries(VkGraph *graph, VkBatchQuery *queries, int count)
{
	VkBatch		batch;

	vk_batch_begin(&batch, graph->target, queries, count);
	if (graph->k == 0)
	{
		batch.once = graph->once;
		batch.after = graph->once ? queries[0].self : 0;
		batch.settle = settle_pair;
		if (graph->visible != NULL)
			graph->open = vk_open_pairs_create(graph, queries, count);
		vk_batch_within(&batch, graph->radius, put_found, graph);
		if (graph->visible != NULL)
			vk_open_pairs_resolve(graph->open);
		return;
	}
	vk_batch_nearest(&batch, graph->k);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_neighbors(graph, &queries[i]);
	}
}

/* Answer the rows from one position to another together, by codes. */
static void
answer_by_codes(VkGraph *graph, int64 first, int64 end)
{
	VkBatchQuery *queries = palloc0((end - first) * sizeof(VkBatchQuery));
	int			count;

	vk_graph_seek(graph, first);
	count = vk_graph_queries(graph, end, queries);
	if (count > 0)
		answer_queries(graph, queries, count);
}

/* the neighbors of the rows from one position to another, all counted */
static void
put_chunk_degrees(VkGraph *graph, int64 first, int64 end)
{
	uint64		tid;
	ItemPointerData place;
	int64		number = 0;

	vk_graph_seek(graph, first);
	while (next_tid(graph, end, &tid))
		if (vk_heap_reader_place(graph->target->reader, tid, &place))
			put_degree(graph, vk_tid_encode(&place), graph->neighbors[number++]);
	vk_heap_reader_unpin(graph->target->reader);
}

/* Answer the rows from one position to another together. */
static void
answer_rows(VkGraph *graph, int64 first, int64 end)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vkindex graph",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (graph->counting && !graph->once)
		graph->neighbors = palloc0((end - first) * sizeof(int64));
	if (graph->dense != NULL)
		vk_dense_answer(graph->dense, first, end);
	else
		answer_by_codes(graph, first, end);
	if (graph->counting && !graph->once)
		put_chunk_degrees(graph, first, end);
	vk_batch_done(graph->work, end - first);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- VkBatchRoutine: units are pages of the table ---- */

/*
 * Each process sorts all TIDs for itself, and asks for those of its pages.  How much
 * memory the table's pages take decides how neighbors are counted, so all go by the
 * number that the first one has found, while the table may grow.
 */
static void *
begin_graph(VkBatchWork *work)
{
	VkGraph    *graph = palloc0(sizeof(VkGraph));
	VkBatchTarget *target = work->target;
	VkBatchRequest *request = &work->request;
	Size		vector_size = sizeof(float) * target->vk->coder.dim;

	if (request->pages == 0)
		request->pages = RelationGetNumberOfBlocks(target->heap);
	graph->work = work;
	graph->target = target;
	graph->k = request->k;
	graph->radius = request->radius;
	graph->inside = vk_round_down(target->support->score(request->radius));
	graph->tolerance = request->tolerance * fabs(request->radius);
	graph->both_ways = request->both_ways;
	graph->counting = request->function == VK_SIMILARITY_DEGREE;
	graph->once = request->function == VK_SIMILARITY_GRAPH;
	graph->capacity = vk_batch_capacity(target, graph->k, vector_size);
	sort_rows(graph);
	if (graph->k == 0)
	{
		mark_visible(graph);
		/* queries have few candidates then; but open pairs take their share */
		if (graph->visible != NULL)
			graph->capacity = Max(vk_batch_capacity(target, 1, vector_size) * INT64CONST(3) / 4,
								  graph->capacity);
		if (vk_graph_is_dense(graph))
		{
			graph->dense = vk_dense_create(graph);
			graph->capacity = vk_dense_capacity(graph->dense);
		}
	}
	work->units = request->pages;
	work->query_count = graph->row_count;
	work->target->asked = work->query_count;
	work->capacity = CHUNK_SHARE * graph->capacity;
	work->enough = graph->dense != NULL ? ENOUGH_DENSE : 0;
	return graph;
}

/* the position of the first row on a page or behind it, from the last chunk on */
static int64
position_of(VkGraph *graph, int64 page)
{
	uint64		tid;

	vk_graph_seek(graph, graph->chunk_end);
	while (next_tid(graph, graph->row_count, &tid))
		if (tid >= (uint64) page << 16)
			return graph->position - 1;
	return graph->row_count;
}

static void
answer_pages(void *state, int64 first, int64 end)
{
	VkGraph    *graph = state;
	int64		next = position_of(graph, first);

	graph->chunk_end = end < graph->work->units ? position_of(graph, end) : graph->row_count;
	for (; next < graph->chunk_end; next += graph->capacity)
		answer_rows(graph, next, Min(next + graph->capacity, graph->chunk_end));
	if (graph->dense != NULL)
		vk_dense_path(graph->dense, graph->target->stats.path);
}

/* the neighbors that this process has counted, where each pair is looked at once */
static void
add_neighbors(void *state)
{
	VkGraph    *graph = state;

	for (int64 i = 0; i < graph->work->sum_count; i++)
		pg_atomic_fetch_add_u64(&graph->work->sums[i], graph->neighbors[i]);
}

static void
end_graph(void *state)
{
	tuplesort_end(((VkGraph *) state)->rows);
}

const VkBatchRoutine vk_graph_routine = {
	.begin = begin_graph,
	.answer = answer_pages,
	.add_sums = add_neighbors,
	.take_sums = put_degrees,
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
	request->tolerance = PG_GETARG_FLOAT8(3);
	if (!(request->tolerance >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tolerance must not be negative")));
}

void
vk_similarity_degree_read(FunctionCallInfo fcinfo, VkBatchRequest *request)
{
	request->radius = PG_GETARG_FLOAT8(1);
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

/*
 * vk_similarity_degree -- how many rows lie within a radius of each
 */
Datum
vk_similarity_degree(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_SIMILARITY_DEGREE);
}
