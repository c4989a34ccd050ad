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

#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "batch/batch.h"

PG_FUNCTION_INFO_V1(vk_knn_batch);
PG_FUNCTION_INFO_V1(vk_knn_batch_rows);
PG_FUNCTION_INFO_V1(vk_range_batch);

#define KNN_COLUMNS		4
#define RANGE_COLUMNS	3

/* where answers go */
typedef struct Output
{
	VkBatchTarget *target;
	ReturnSetInfo *result;
	int64		k;
	double		radius;
	bool		whole_rows;		/* not only their TIDs */
	TupleTableSlot *slot;		/* for whole rows */
	VkNeighbor *last;			/* rows at distance NaN, once they were wanted */
	int64		last_count;
} Output;

/* ---- arguments ---- */

/* a vector that can be compared with those of the index, detoasted */
static Datum
read_vector(const VkBatchTarget *target, Datum value)
{
	Datum		vector = PointerGetDatum(PG_DETOAST_DATUM(value));
	int			dim = target->support->layout->dim(vector);

	if (dim != target->vk->coder.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %d and %d",
						target->vk->coder.dim, dim)));
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

	if (type != wanted)
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

/* ---- results ---- */

/* the row itself, as a value of the table's row type */
static Datum
fetch_row(Output *output, uint64 number)
{
	ItemPointerData tid;

	vk_tid_decode(number, &tid);
	if (!table_tuple_fetch_row_version(output->target->heap, &tid,
									   output->target->snapshot, output->slot))
		elog(ERROR, "row that was seen is not there any more");
	return ExecFetchSlotHeapTupleDatum(output->slot);
}

static void
put_row(Output *output, int number, int64 rank, const VkNeighbor *row)
{
	Datum		values[KNN_COLUMNS];
	bool		nulls[KNN_COLUMNS] = {0};
	ItemPointerData tid;
	int			n = 0;

	values[n++] = Int32GetDatum(number);
	values[n++] = Int32GetDatum((int32) rank);
	if (output->whole_rows)
	{
		values[n++] = Float8GetDatum(row->distance);
		values[n++] = fetch_row(output, row->tid);
	}
	else
	{
		vk_tid_decode(row->tid, &tid);
		values[n++] = PointerGetDatum(&tid);
		values[n++] = Float8GetDatum(row->distance);
	}
	tuplestore_putvalues(output->result->setResult, output->result->setDesc, values, nulls);
	output->target->stats.emitted++;
}

/* Find the rows whose distance is NaN whatever the query is, up to k of them. */
static void
find_last(Output *output)
{
	VkBatchTarget *target = output->target;
	MemoryContext old = MemoryContextSwitchTo(output->result->econtext->ecxt_per_query_memory);
	VkRestWalk *walk = palloc(sizeof(VkRestWalk));
	int64		capacity = 0;

	output->last = vk_array_grow(CurrentMemoryContext, NULL, 0, &capacity, sizeof(VkNeighbor));
	vk_rest_begin(walk, target->index, &target->meta, VK_SLOT_REST_NAN);
	while (output->last_count < output->k && vk_rest_step(walk))
		for (int i = 0; i < walk->count && output->last_count < output->k; i++)
		{
			Datum		vector;
			ItemPointerData tid;

			if (!vk_heap_reader_value(target->reader, walk->tids[i], &vector, &tid))
				continue;
			output->last = vk_array_grow(CurrentMemoryContext, output->last,
										 output->last_count, &capacity, sizeof(VkNeighbor));
			output->last[output->last_count++] =
				(VkNeighbor) {get_float8_nan(), vk_tid_encode(&tid)};
		}
	pfree(walk);
	MemoryContextSwitchTo(old);
}

static void
put_answer(Output *output, VkBatchQuery *query)
{
	int64		found = Min(query->row_count, output->k);

	for (int64 i = 0; i < found; i++)
		put_row(output, query->number, i + 1, &query->rows[i]);
	/* one by one they are among the rows */
	if (found == output->k || query->single)
		return;
	if (output->last == NULL)
		find_last(output);
	for (int64 i = 0; i < output->last_count && found < output->k; i++)
		put_row(output, query->number, ++found, &output->last[i]);
}

/* VkBatchAnswer */
static void
answer_nearest(void *arg, VkBatch *batch)
{
	Output	   *output = arg;

	vk_batch_nearest(batch, output->k);
	for (int i = 0; i < batch->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_answer(output, &batch->queries[i]);
	}
}

/* VkBatchFound */
static void
put_found(void *arg, const VkBatchQuery *query, uint64 tid, double distance)
{
	Output	   *output = arg;
	Datum		values[RANGE_COLUMNS];
	bool		nulls[RANGE_COLUMNS] = {0};
	ItemPointerData place;

	vk_tid_decode(tid, &place);
	values[0] = Int32GetDatum(query->number);
	values[1] = PointerGetDatum(&place);
	values[2] = Float8GetDatum(distance);
	tuplestore_putvalues(output->result->setResult, output->result->setDesc, values, nulls);
	output->target->stats.emitted++;
}

/* VkBatchAnswer */
static void
answer_within(void *arg, VkBatch *batch)
{
	Output	   *output = arg;

	vk_batch_within(batch, output->radius, put_found, output);
}

static void
check_row_type(FunctionCallInfo fcinfo, int argument, const VkBatchTarget *target)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argument);

	if (type != target->heap->rd_rel->reltype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("index \"%s\" is not on a table of row type %s",
						RelationGetRelationName(target->index), format_type_be(type)),
				 errhint("Use null::%s.", quote_identifier(RelationGetRelationName(target->heap)))));
}

/* ---- the functions ---- */

static Datum
knn_batch(FunctionCallInfo fcinfo, bool whole_rows)
{
	Output		output = {0};
	int			recall_argument = whole_rows ? 4 : 3;
	int			level;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	level = vk_batch_set_recall(fcinfo, recall_argument);
	output.result = (ReturnSetInfo *) fcinfo->resultinfo;
	output.k = vk_batch_read_k(fcinfo, 2);
	output.whole_rows = whole_rows;
	output.target = vk_batch_open(PG_GETARG_OID(0), whole_rows);
	if (whole_rows)
	{
		check_row_type(fcinfo, 3, output.target);
		output.slot = table_slot_create(output.target->heap, NULL);
	}
	count = read_queries(output.target, PG_GETARG_ARRAYTYPE_P(1), &values, &nulls);
	output.target->stats.wanted = output.k;
	vk_batch_run(output.target, values, nulls, count, output.k, answer_nearest, &output);
	if (whole_rows)
		ExecDropSingleTupleTableSlot(output.slot);
	vk_batch_close(output.target);
	AtEOXact_GUC(false, level);
	return (Datum) 0;
}

Datum
vk_knn_batch(PG_FUNCTION_ARGS)
{
	return knn_batch(fcinfo, false);
}

Datum
vk_knn_batch_rows(PG_FUNCTION_ARGS)
{
	return knn_batch(fcinfo, true);
}

/*
 * vk_range_batch -- the rows within a radius of each query, all of them
 */
Datum
vk_range_batch(PG_FUNCTION_ARGS)
{
	Output		output = {0};
	int			level;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return (Datum) 0;
	level = vk_batch_set_exhaustive();
	output.result = (ReturnSetInfo *) fcinfo->resultinfo;
	output.radius = PG_GETARG_FLOAT8(2);
	output.target = vk_batch_open(PG_GETARG_OID(0), false);
	count = read_queries(output.target, PG_GETARG_ARRAYTYPE_P(1), &values, &nulls);
	vk_batch_run(output.target, values, nulls, count, 0, answer_within, &output);
	vk_batch_close(output.target);
	AtEOXact_GUC(false, level);
	return (Datum) 0;
}
