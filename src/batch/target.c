/*-------------------------------------------------------------------------
 *
 * target.c
 *	  What a batch is about: an index and its table, opened for this user.
 *
 * NOTES
 *	  The functions of a batch read a table without a plan.  So what the planner
 *	  and the executor check for a query is checked here: privileges, row
 *	  security, whether the index can be used in this transaction.
 *
 * IDENTIFICATION
 *	  src/batch/target.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/predicate.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "batch/batch.h"

static void
check_rights(Relation index, bool whole_rows)
{
	Oid			table = index->rd_index->indrelid;

	/* distances are of the first column */
	if (whole_rows ? !vk_may_select(table, 0, false) : !vk_index_may_read(index, 1))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(table));
	if (check_enable_rls(table, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("row-level security applies to table \"%s\"",
						get_rel_name(table)),
				 errhint("Join the queries with LATERAL (SELECT ... ORDER BY ... LIMIT ...) instead.")));
}

static void
check_usable(Relation index)
{
	vk_index_require_valid(index);
	/* rows of broken HOT chains are missing for older snapshots */
	if (index->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   TransactionXmin))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" cannot be used by transactions as old as this one",
						RelationGetRelationName(index)),
				 errhint("Try again when the transactions that are open now have ended.")));
}

/* as the executor does when it opens a table */
static void
check_populated(Relation heap)
{
	if (!RelationIsScannable(heap))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("materialized view \"%s\" has not been populated",
						RelationGetRelationName(heap)),
				 errhint("Use the REFRESH MATERIALIZED VIEW command.")));
}

/* batches know of one distance an entry */
static void
check_no_documents(Relation index)
{
	if (vk_support(index)->documents)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" over arrays of vectors cannot be searched in batches",
						RelationGetRelationName(index)),
				 errhint("Use ORDER BY with LIMIT in a LATERAL subquery.")));
}

static Relation
open_table(Oid index)
{
	Oid			table = IndexGetRelation(index, true);

	/* what is no index is told so by vk_index_open */
	return OidIsValid(table) ? table_open(table, AccessShareLock) : NULL;
}

static VkBatchTarget *
open_target(Oid index)
{
	VkBatchTarget *target = palloc0(sizeof(VkBatchTarget));

	target->heap = open_table(index);
	target->index = vk_index_open(index, AccessShareLock);
	if (target->heap == NULL ||
		RelationGetRelid(target->heap) != target->index->rd_index->indrelid)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open the table of index \"%s\"",
						RelationGetRelationName(target->index))));
	target->snapshot = GetActiveSnapshot();
	if (!IsMVCCSnapshot(target->snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" can be scanned with an MVCC snapshot only",
						RelationGetRelationName(target->index))));
	return target;
}

/* what reading it takes */
static VkBatchTarget *
prepare_target(VkBatchTarget *target)
{
	/* before the first look at a page; the method has no finer locks (ampredlocks) */
	PredicateLockRelation(target->index, target->snapshot);
	target->support = vk_support(target->index);
	target->vk = vk_index_current(target->index, &target->meta, CurrentMemoryContext);
	vk_meta_test_snapshot(target->index, target->snapshot);
	target->rows = vk_estimate_rows(target->index, target->vk, &target->meta);
	vk_support_operator(target->index, &target->operator, CurrentMemoryContext);
	target->reader = vk_heap_reader_create(target->index, target->support,
										   target->vk->coder.dim);
	vk_heap_reader_open(target->reader, target->heap, target->snapshot);
	target->search = vk_search_create(target->index, target->vk);
	vk_search_snapshot(target->search, target->snapshot);
	pgstat_count_index_scan(target->index);
	target->stats.exhaustive = vk_batch_strict(target);
	target->stats.index = RelationGetRelid(target->index);
	return target;
}

VkBatchTarget *
vk_batch_open(Oid index, bool whole_rows)
{
	VkBatchTarget *target = open_target(index);

	check_rights(target->index, whole_rows);
	check_usable(target->index);
	check_populated(target->heap);
	check_no_documents(target->index);
	return prepare_target(target);
}

VkBatchTarget *
vk_batch_open_checked(Oid index)
{
	return prepare_target(open_target(index));
}

VkBatchTarget *
vk_batch_open_planned(Oid index)
{
	VkBatchTarget *target = vk_batch_open_checked(index);

	target->indexed_tids = true;
	return target;
}

void
vk_batch_close(VkBatchTarget *target)
{
	vk_heap_reader_close(target->reader);
	target->stats.valid = true;
	vk_last_stats = target->stats;
	index_close(target->index, NoLock);
	table_close(target->heap, NoLock);
}

void
vk_batch_add_statistics(VkScanStats *total, const VkScanStats *part)
{
	total->lists += part->lists;
	total->rows += part->rows;
	total->pages += part->pages;
	total->refined += part->refined;
	total->fetched += part->fetched;
	total->rounds += part->rounds;
	total->rank_us += part->rank_us;
	total->scan_us += part->scan_us;
	total->fetch_us += part->fetch_us;
	total->exhaustive = part->exhaustive;
	total->budget = part->budget;
	total->work_for = part->work_for;
	total->seen = part->seen;
}

bool
vk_batch_strict(const VkBatchTarget *target)
{
	return target->vk->coder.flat || target->meta.lists == 0 ||
		(vk_target_recall >= 1.0 && vk_probes == 0);
}

static void
set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

int
vk_batch_set_recall(FunctionCallInfo fcinfo, int argument)
{
	int			level = NewGUCNestLevel();

	if (!PG_ARGISNULL(argument))
	{
		set_option("vkindex.target_recall",
				   psprintf("%.17g", PG_GETARG_FLOAT8(argument)));
		set_option("vkindex.probes", "0");
	}
	return level;
}

int
vk_batch_set_exhaustive(void)
{
	int			level = NewGUCNestLevel();

	set_option("vkindex.target_recall", "1");
	set_option("vkindex.probes", "0");
	set_option("vkindex.max_scan_rows", "0");
	return level;
}
