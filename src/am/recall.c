/*-------------------------------------------------------------------------
 *
 * recall.c
 *	  vk_recall: recall of an index, measured against exact search.
 *
 * NOTES
 *	  Both searches are plain SQL that the caller could have typed, run as the
 *	  caller: privileges, row security and the settings in force apply.  Only
 *	  over an index with an expression or a predicate they run as the owner.
 *	  Rows of the table itself serve as queries, so the nearest one is always
 *	  the query's own row; that is what makes k = 1 look better than it is.
 *
 *	  Ties are broken arbitrarily, so rows are not compared: a row that the
 *	  index found counts if it is no farther than the exact k-th.
 *
 * IDENTIFICATION
 *	  src/am/recall.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "am/am.h"

#define MAX_NEIGHBORS	10000
#define MAX_SAMPLES		100000

PG_FUNCTION_INFO_V1(vk_recall);

/* SQL fragments that name what is searched */
typedef struct SearchTarget
{
	char	   *table;			/* qualified */
	char	   *column;			/* index column, or its expression */
	char	   *operator;		/* OPERATOR(schema.name) */
	char	   *filter;			/* of a partial index, or "true" */
	Oid			type;
} SearchTarget;

/*
 * distance_operator -- the ordering operator of an index, as SQL
 */
static char *
distance_operator(Relation index, Oid *type)
{
	Oid			input = index->rd_opcintype[0];
	Oid			operator = get_opfamily_member(index->rd_opfamily[0], input,
											   input, VK_STRATEGY_DISTANCE);
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *sql;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	sql = psprintf("OPERATOR(%s.%s)",
				   quote_identifier(get_namespace_name(form->oprnamespace)),
				   NameStr(form->oprname));
	ReleaseSysCache(tuple);
	*type = input;
	return sql;
}

/*
 * partial_filter -- predicate of a partial index, or "true"
 */
static char *
partial_filter(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Datum		predicate;
	bool		is_null;
	char	   *sql = "true";

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
								&is_null);
	if (!is_null)
		sql = TextDatumGetCString(DirectFunctionCall2(pg_get_expr, predicate,
													  ObjectIdGetDatum(IndexGetRelation(index, false))));
	ReleaseSysCache(tuple);
	return sql;
}

/*
 * Expressions and predicates run as the owner, as in vk_check.  Policies would be the
 * owner's then.
 */
static void
run_as_owner(Relation index, VkCaller *caller)
{
	Oid			table = index->rd_index->indrelid;

	if (RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL)
		return;
	vk_index_require_read(index, 1);
	if (check_enable_rls(table, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("row-level security applies to table \"%s\"",
						get_rel_name(table)),
				 errdetail("Expressions and predicates of its indexes are evaluated as its owner, who may see other rows.")));
	vk_become_owner(index, caller);
}

static void
describe_target(Oid index_oid, SearchTarget *target, VkCaller *caller)
{
	Relation	index = vk_index_open(index_oid, AccessShareLock);
	Oid			table = index->rd_index->indrelid;
	VkMeta		meta;
	char	   *column;

	vk_index_require_valid(index);
	/* where it is damaged, that is the reason why it is not chosen */
	vk_meta_read(index, &meta);
	run_as_owner(index, caller);
	/* tables that inherit from it have indexes of their own */
	target->table = psprintf("ONLY %s",
							 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
														get_rel_name(table)));
	column = TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
															 ObjectIdGetDatum(index_oid),
															 Int32GetDatum(1),
															 BoolGetDatum(false)));
	target->column = psprintf("(%s)", column);
	target->operator = distance_operator(index, &target->type);
	target->filter = partial_filter(index_oid);
	index_close(index, AccessShareLock);
}

/*
 * search -- distances of the k rows that come first, under the settings at
 * hand; NaN and NULL are left out
 */
static int
search(const char *sql, const SearchTarget *target, Datum query, int k,
	   double *distances)
{
	Oid			types[2] = {target->type, INT8OID};
	Datum		values[2] = {query, Int64GetDatum(k)};
	int			count = 0;

	if (SPI_execute_with_args(sql, 2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "search for recall failed");

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		is_null;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, 1, &is_null);

		if (!is_null && !isnan(DatumGetFloat8(value)))
			distances[count++] = DatumGetFloat8(value);
	}
	SPI_freetuptable(SPI_tuptable);
	return count;
}

static void
change_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * search_both -- share of the exact neighbors that the index finds
 *
 * Returns false where the query has no neighbor at a distance.
 */
static bool
search_both(Oid index, const char *sql, const SearchTarget *target,
			Datum query, int k, double *distances, double *recall)
{
	int			level = NewGUCNestLevel();
	int			wanted,
				found,
				hits = 0;
	double		limit;

	change_setting("enable_seqscan", "on");
	change_setting("enable_indexscan", "off");
	change_setting("enable_bitmapscan", "off");
	wanted = search(sql, target, query, k, distances);
	AtEOXact_GUC(false, level);
	if (wanted == 0)
		return false;
	limit = distances[wanted - 1];

	level = NewGUCNestLevel();
	change_setting("enable_seqscan", "off");
	change_setting("enable_sort", "off");
	/* what a worker has scanned this process does not see */
	change_setting("max_parallel_workers_per_gather", "0");
	vk_last_stats.valid = false;
	found = search(sql, target, query, k, distances);
	AtEOXact_GUC(false, level);
	if (!vk_last_stats.valid || vk_last_stats.index != index)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the planner does not choose index \"%s\"",
						get_rel_name(index)),
				 errhint("Another index on the same column may have to be dropped first.")));

	for (int i = 0; i < found; i++)
		hits += distances[i] <= limit;
	*recall = (double) Min(hits, wanted) / wanted;
	return true;
}

/*
 * sample_queries -- some rows of the table, as queries
 *
 * Rows are drawn by TID, so that long values are read for those drawn only.
 */
static SPITupleTable *
sample_queries(const SearchTarget *target, int samples, uint64 *count)
{
	char	   *sql = psprintf("SELECT %s FROM %s WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
							   "SELECT ctid FROM %s WHERE (%s) AND (%s) IS NOT NULL "
							   "ORDER BY pg_catalog.random() LIMIT %d))",
							   target->column, target->table, target->table,
							   target->filter, target->column, samples);

	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "sampling for recall failed");
	*count = SPI_processed;
	return SPI_tuptable;
}

static void
check_arguments(int k, int samples)
{
	if (k < 1 || k > MAX_NEIGHBORS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be between 1 and %d", MAX_NEIGHBORS)));
	if (samples < 1 || samples > MAX_SAMPLES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("samples must be between 1 and %d", MAX_SAMPLES)));
}

/*
 * vk_recall -- mean recall over sampled rows; NULL where there are none
 */
Datum
vk_recall(PG_FUNCTION_ARGS)
{
	Oid			index = PG_GETARG_OID(0);
	int			k = PG_GETARG_INT32(1);
	int			samples = PG_GETARG_INT32(2);
	double	   *distances;
	double		sum = 0.0;
	int64		measured = 0;
	uint64		count;
	SearchTarget target;
	SPITupleTable *queries;
	char	   *sql;
	VkCaller	caller = {0};

	check_arguments(k, samples);
	SPI_connect();
	distances = palloc(k * sizeof(double));
	describe_target(index, &target, &caller);
	sql = psprintf("SELECT %s %s $1 FROM %s WHERE %s ORDER BY %s %s $1 LIMIT $2",
				   target.column, target.operator, target.table, target.filter,
				   target.column, target.operator);

	queries = sample_queries(&target, samples, &count);
	for (uint64 i = 0; i < count; i++)
	{
		double		recall;
		bool		is_null;
		Datum		query = SPI_getbinval(queries->vals[i], queries->tupdesc, 1,
										  &is_null);

		CHECK_FOR_INTERRUPTS();
		if (is_null || !search_both(index, sql, &target, query, k, distances,
									&recall))
			continue;
		sum += recall;
		measured++;
	}
	SPI_finish();
	vk_become_caller(&caller);

	if (measured == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sum / measured);
}
