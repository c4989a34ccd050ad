/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  SQL functions over many queries: vk_knn_batch, vk_knn_batch_rows,
 *	  vk_range_batch.
 *
 * NOTES
 *	  A query's rows are those of SELECT ... WHERE v IS NOT NULL ORDER BY
 *	  v <-> query LIMIT k: rows whose distance is NaN come last, rows without a
 *	  vector not at all.  A query that is NULL has no row.  Within a radius they are
 *	  those of WHERE v <-> query < radius, every one of them with both methods.
 *
 * IDENTIFICATION
 *	  src/batch/functions.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/heaptoast.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

#include "batch/batch.h"

PG_FUNCTION_INFO_V1(vk_knn_batch);
PG_FUNCTION_INFO_V1(vk_knn_batch_rows);
PG_FUNCTION_INFO_V1(vk_range_batch);

#define KNN_COLUMNS		4
#define RANGE_COLUMNS	3

/* the queries of an array, and where their rows go */
typedef struct Queries
{
	VkBatchWork *work;
	int64		k;
	Datum	   *values;
	bool	   *nulls;
	int64		first;			/* of the chunk at hand: numbers in it begin at 1 */
	TupleTableSlot *slot;		/* for whole rows; NULL: their TIDs are shown */
	EState	   *estate;			/* of these: */
	ExprState **computed;		/* columns that are computed when read; NULL: none */
	MemoryContext row_context;	/* of one of them */
	VkNeighbor *last;			/* rows at distance NaN, once they were wanted */
	int64		last_count;
} Queries;

/* ---- arguments ---- */

/* a vector that can be compared with those of the index, detoasted */
static Datum
read_vector(const VkBatchTarget *target, Datum value)
{
	Datum		vector = PointerGetDatum(PG_DETOAST_DATUM(value));

	vk_support_check_dims(target->support, target->vk->coder.dim,
						  target->support->layout->dim(vector));
	return vector;
}

static int
read_queries(const VkBatchTarget *target, ArrayType *array, Datum **values, bool **nulls)
{
	Oid			type = ARR_ELEMTYPE(array);
	Oid			wanted = target->index->rd_opcintype[0];
	int16		length;
	bool		by_value;
	char		align;
	int			count;

	if (getBaseType(type) != wanted)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("queries of type %s do not fit index \"%s\"",
						format_type_be(type), RelationGetRelationName(target->index)),
				 errdetail("The index is over values of type %s.",
						   format_type_be(wanted))));
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, values, nulls, &count);
	for (int i = 0; i < count; i++)
		if (!(*nulls)[i])
			(*values)[i] = read_vector(target, (*values)[i]);
	return count;
}

/* ---- results ---- */

/* Prepare the columns that no row of the table has: they are computed when read. */
static void
prepare_computed(Queries *queries, Relation heap)
{
	if (!VK_HAS_VIRTUAL(RelationGetDescr(heap)))
		return;
	queries->estate = CreateExecutorState();
	queries->computed = palloc0(RelationGetNumberOfAttributes(heap) * sizeof(ExprState *));
	for (int i = 0; i < RelationGetNumberOfAttributes(heap); i++)
		if (VK_IS_VIRTUAL(TupleDescAttr(RelationGetDescr(heap), i)))
			queries->computed[i] =
				ExecPrepareExpr((Expr *) vk_virtual_expression(heap, i + 1),
								queries->estate);
}

/* Compute them from the others of the row in the slot. */
static void
compute_columns(Queries *queries)
{
	TupleTableSlot *slot = queries->slot;
	ExprContext *context = GetPerTupleExprContext(queries->estate);

	ResetExprContext(context);
	context->ecxt_scantuple = slot;
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
		if (queries->computed[i] != NULL)
			slot->tts_values[i] =
				ExecEvalExprSwitchContext(queries->computed[i], context,
										  &slot->tts_isnull[i]);
}

/*
 * The row itself, as a value of the table's row type: what a whole-row reference
 * gives, with columns that the table got later, and nothing that lies elsewhere.
 */
static Datum
fetch_row(Queries *queries, uint64 number)
{
	const VkBatchTarget *target = queries->work->target;
	TupleTableSlot *slot = queries->slot;
	ItemPointerData tid;

	vk_tid_decode(number, &tid);
	if (!table_tuple_fetch_row_version(target->heap, &tid, target->snapshot, slot))
		elog(ERROR, "row that was seen is not there any more");
	slot_getallattrs(slot);
	if (queries->computed != NULL)
		compute_columns(queries);
	return HeapTupleGetDatum(toast_build_flattened_tuple(slot->tts_tupleDescriptor,
														 slot->tts_values,
														 slot->tts_isnull));
}

static void
put_row(Queries *queries, int number, int64 rank, const VkNeighbor *row)
{
	Datum		values[KNN_COLUMNS];
	bool		nulls[KNN_COLUMNS] = {0};
	ItemPointerData tid;
	MemoryContext old = MemoryContextSwitchTo(queries->row_context);
	int			n = 0;

	values[n++] = Int32GetDatum((int32) (queries->first + number));
	values[n++] = Int32GetDatum((int32) rank);
	if (queries->slot != NULL)
	{
		values[n++] = Float8GetDatum(row->distance);
		values[n++] = fetch_row(queries, row->tid);
	}
	else
	{
		vk_tid_decode(row->tid, &tid);
		values[n++] = PointerGetDatum(&tid);
		values[n++] = Float8GetDatum(row->distance);
	}
	vk_batch_put(queries->work, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(queries->row_context);
}

/* Find the rows whose distance is NaN whatever the query is, up to k of them. */
static void
find_last(Queries *queries)
{
	VkBatchTarget *target = queries->work->target;
	MemoryContext old = MemoryContextSwitchTo(queries->work->context);
	VkRestWalk *walk = palloc(sizeof(VkRestWalk));
	int64		capacity = 0;

	queries->last = vk_array_grow(CurrentMemoryContext, NULL, 0, &capacity,
								  sizeof(VkNeighbor));
	vk_rest_begin(walk, target->index, &target->meta, target->snapshot, VK_SLOT_REST_NAN);
	while (queries->last_count < queries->k && vk_rest_step(walk))
		for (int i = 0; i < walk->count && queries->last_count < queries->k; i++)
		{
			Datum		vector;
			ItemPointerData tid;

			if (!vk_heap_reader_value(target->reader, walk->tids[i], &vector, &tid))
				continue;
			queries->last = vk_array_grow(CurrentMemoryContext, queries->last,
										  queries->last_count, &capacity,
										  sizeof(VkNeighbor));
			queries->last[queries->last_count++] =
				(VkNeighbor) {get_float8_nan(), vk_tid_encode(&tid)};
		}
	pfree(walk);
	MemoryContextSwitchTo(old);
}

static void
put_answer(Queries *queries, VkBatchQuery *query)
{
	int64		found = Min(query->row_count, queries->k);

	for (int64 i = 0; i < found; i++)
		put_row(queries, query->number, i + 1, &query->rows[i]);
	/* one by one they are among the rows */
	if (found == queries->k || query->single)
		return;
	if (queries->last == NULL)
		find_last(queries);
	for (int64 i = 0; i < queries->last_count && found < queries->k; i++)
		put_row(queries, query->number, ++found, &queries->last[i]);
}

/* VkBatchAnswer */
static void
answer_nearest(void *arg, VkBatch *batch)
{
	Queries    *queries = arg;

	vk_batch_nearest(batch, queries->k);
	for (int i = 0; i < batch->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_answer(queries, &batch->queries[i]);
	}
	vk_batch_done(queries->work, batch->count);
}

/* VkBatchFound */
static void
put_found(void *arg, const VkBatchQuery *query, uint64 tid, double distance)
{
	Queries    *queries = arg;
	Datum		values[RANGE_COLUMNS];
	bool		nulls[RANGE_COLUMNS] = {0};
	ItemPointerData place;

	vk_tid_decode(tid, &place);
	values[0] = Int32GetDatum((int32) (queries->first + query->number));
	values[1] = PointerGetDatum(&place);
	values[2] = Float8GetDatum(distance);
	vk_batch_put(queries->work, values, nulls);
}

/* VkBatchAnswer */
static void
answer_within(void *arg, VkBatch *batch)
{
	Queries    *queries = arg;

	vk_batch_within(batch, queries->work->request.radius, put_found, queries);
	vk_batch_done(queries->work, batch->count);
}

/* ---- VkBatchRoutine: units are queries ---- */

static void
check_row_type(const VkBatchTarget *target, Oid type)
{
	if (type != target->heap->rd_rel->reltype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("index \"%s\" is not on a table of row type %s",
						RelationGetRelationName(target->index), format_type_be(type)),
				 errhint("Use null::%s.", format_type_be(target->heap->rd_rel->reltype))));
}

static void *
begin_queries(VkBatchWork *work)
{
	Queries    *queries = palloc0(sizeof(Queries));

	queries->work = work;
	queries->k = work->request.k;
	queries->row_context = AllocSetContextCreate(CurrentMemoryContext, "vkindex row of batch",
												 ALLOCSET_DEFAULT_SIZES);
	if (OidIsValid(work->request.row_type))
	{
		check_row_type(work->target, work->request.row_type);
		queries->slot = table_slot_create(work->target->heap, NULL);
		prepare_computed(queries, work->target->heap);
	}
	work->units = read_queries(work->target, work->queries, &queries->values,
							   &queries->nulls);
	work->query_count = work->units;
	work->target->asked = work->query_count;
	work->capacity = vk_batch_capacity(work->target, queries->k, 0);
	return queries;
}

static void
answer_queries(void *state, int64 first, int64 end)
{
	Queries    *queries = state;

	queries->first = first;
	vk_batch_run(queries->work->target, queries->values + first, queries->nulls + first,
				 (int) (end - first), queries->k,
				 queries->k == 0 ? answer_within : answer_nearest, queries);
}

static void
end_queries(void *state)
{
	Queries    *queries = state;

	if (queries->slot != NULL)
		ExecDropSingleTupleTableSlot(queries->slot);
	if (queries->estate != NULL)
		FreeExecutorState(queries->estate);
}

const VkBatchRoutine vk_query_routine = {
	.begin = begin_queries,
	.answer = answer_queries,
	.end = end_queries
};

/* ---- the functions ---- */

void
vk_knn_batch_read(FunctionCallInfo fcinfo, VkBatchRequest *request)
{
	request->k = vk_batch_read_k(fcinfo, 2);
	if (request->function == VK_KNN_BATCH_ROWS)
		request->row_type = get_fn_expr_argtype(fcinfo->flinfo, 3);
}

void
vk_range_batch_read(FunctionCallInfo fcinfo, VkBatchRequest *request)
{
	request->radius = PG_GETARG_FLOAT8(2);
}

Datum
vk_knn_batch(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_KNN_BATCH);
}

Datum
vk_knn_batch_rows(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_KNN_BATCH_ROWS);
}

/*
 * vk_range_batch -- the rows within a radius of each query, all of them
 */
Datum
vk_range_batch(PG_FUNCTION_ARGS)
{
	return vk_batch_call(fcinfo, VK_RANGE_BATCH);
}
