/*-------------------------------------------------------------------------
 *
 * tune.c
 *	  vk_tune: the upkeep of an index, now.
 *
 * IDENTIFICATION
 *	  src/am/tune.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "am/upkeep.h"

#define TUNE_COLUMNS	7

PG_FUNCTION_INFO_V1(vk_tune);

/*
 * As the owner of the table, like every command that may run the functions of an
 * index's expressions.
 */
static void
tune(Oid index_oid, Relation heap, VkUpkeepReport *report)
{
	Relation	index = vk_index_open(index_oid, RowExclusiveLock);

	/* the index may have been dropped and its number used again before the lock */
	if (index->rd_index->indrelid != RelationGetRelid(heap))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open parent table of index \"%s\"",
						RelationGetRelationName(index))));
	vk_index_require_valid(index);
	vk_count_lists(index);
	vk_upkeep_run(index, heap, report);
	index_close(index, RowExclusiveLock);
}

static Datum
report_row(FunctionCallInfo fcinfo, const VkUpkeepReport *report)
{
	TupleDesc	desc;
	Datum		values[TUNE_COLUMNS] = {
		Int32GetDatum(report->lists_before),
		Int32GetDatum(report->lists_after),
		Int64GetDatum(report->rewritten.old_lists),
		Int64GetDatum(report->rewritten.rows),
		Int64GetDatum(report->recycled.pages),
		Int64GetDatum(report->recycled.waiting),
		BoolGetDatum(report->calibrated)
	};
	bool		nulls[TUNE_COLUMNS] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * vk_tune -- do the upkeep of an index that vacuum would do, and say what it was
 */
Datum
vk_tune(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	char	   *name = get_rel_name(index_oid);
	Oid			heap_oid;
	VkCaller	caller;
	Relation	heap;
	VkUpkeepReport report;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Indexes cannot be tuned during recovery.")));

	/* the lock that vacuum takes; and the table's comes before the index's */
	heap_oid = IndexGetRelation(index_oid, true);
	if (name == NULL)
		vk_index_gone(index_oid);
	if (!OidIsValid(heap_oid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", name)));
	if (!vk_owns_relation(index_oid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, name);
	heap = try_table_open(heap_oid, ShareUpdateExclusiveLock);
	if (heap == NULL)
		vk_index_gone(index_oid);

	vk_become_owner(heap, &caller);
	tune(index_oid, heap, &report);
	vk_become_caller(&caller);
	table_close(heap, ShareUpdateExclusiveLock);
	PG_RETURN_DATUM(report_row(fcinfo, &report));
}
