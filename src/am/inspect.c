/*-------------------------------------------------------------------------
 *
 * inspect.c
 *	  SQL functions that show what an index, a scan or the library is like.
 *
 * IDENTIFICATION
 *	  src/am/inspect.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <float.h>
#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/index.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "port/pg_bitutils.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"

#include "am/upkeep.h"
#include "types/vec.h"

PG_FUNCTION_INFO_V1(vk_stats);
PG_FUNCTION_INFO_V1(vk_last_scan);
PG_FUNCTION_INFO_V1(vk_simd);
PG_FUNCTION_INFO_V1(vk_centroids);

#define STATS_COLUMNS		24
#define LAST_SCAN_COLUMNS	21
#define SIMD_COLUMNS		3
#define BUDGET_WANTED		10	/* rows that budget_rows of vk_stats is for */

/* ---- opening ---- */

/*
 * vk_index_gone -- an index was dropped before its lock, or its table's, was ours
 */
void
vk_index_gone(Oid index_oid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("index with OID %u does not exist", index_oid)));
}

void
vk_index_require_valid(Relation index)
{
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid",
						RelationGetRelationName(index))));
}

/*
 * vk_index_open -- open an index by its number, for a function of ours
 */
Relation
vk_index_open(Oid index_oid, LOCKMODE mode)
{
	Relation	index = try_relation_open(index_oid, mode);

	if (index == NULL)
		vk_index_gone(index_oid);
	/* is it an index at all? */
	relation_close(index, NoLock);
	index = index_open(index_oid, NoLock);

	if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" is partitioned",
						RelationGetRelationName(index)),
				 errhint("Name the index of a partition.")));
	if (index->rd_indam->amgettuple != vk_gettuple)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a vkflat or vkivf index",
						RelationGetRelationName(index))));
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	if (RecoveryInProgress() && index->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));
	/* what a concurrent build writes, or left that failed */
	if (!index->rd_index->indisready || RelationGetNumberOfBlocks(index) == 0)
		vk_index_require_valid(index);
	return index;
}

/* columns of the table that an index's first ones, and its choice of rows, depend on */
static Bitmapset *
columns_read(Relation index, int count)
{
	List	   *expressions = RelationGetIndexExpressions(index);
	int			expression = 0;
	Bitmapset  *columns = NULL;

	for (int i = 0; i < count; i++)
	{
		AttrNumber	column = index->rd_index->indkey.values[i];

		if (column != InvalidAttrNumber)
			columns = bms_add_member(columns, column - FirstLowInvalidHeapAttributeNumber);
		else
			pull_varattnos(list_nth(expressions, expression++), 1, &columns);
	}
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &columns);
	return columns;
}

bool
vk_may_select(Oid table, AttrNumber column, bool any)
{
	Oid			user = GetUserId();

	return pg_class_aclcheck(table, user, ACL_SELECT) == ACLCHECK_OK ||
		(column == 0 ?
		 pg_attribute_aclcheck_all(table, user, ACL_SELECT, any ? ACLMASK_ANY : ACLMASK_ALL) :
		 pg_attribute_aclcheck(table, column, user, ACL_SELECT)) == ACLCHECK_OK;
}

bool
vk_index_may_read(Relation index, int count)
{
	Oid			table = index->rd_index->indrelid;
	Bitmapset  *columns = columns_read(index, count);
	int			member = -1;

	while ((member = bms_next_member(columns, member)) >= 0)
		if (!vk_may_select(table, member + FirstLowInvalidHeapAttributeNumber, false))
			return false;
	return true;
}

void
vk_index_require_read(Relation index, int count)
{
	if (!vk_index_may_read(index, count))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE,
					   get_rel_name(index->rd_index->indrelid));
}

/* ---- the owner's rights ---- */

void
vk_become_owner(Relation relation, VkCaller *caller)
{
	GetUserIdAndSecContext(&caller->user, &caller->security);
	SetUserIdAndSecContext(relation->rd_rel->relowner,
						   caller->security | SECURITY_RESTRICTED_OPERATION);
	caller->settings = NewGUCNestLevel();
	if (!VK_OWNER_KEEPS_PATH || !vk_owns_relation(RelationGetRelid(relation), caller->user))
		vk_restrict_search_path();
}

void
vk_become_caller(const VkCaller *caller)
{
	if (caller->settings == 0)
		return;
	AtEOXact_GUC(false, caller->settings);
	SetUserIdAndSecContext(caller->user, caller->security);
}

/* ---- vk_stats ---- */

typedef struct IndexCounts
{
	int64		rows;
	int64		dead;
	int64		rest;
	int			segments;
	int			retired;		/* lists that wait to be recycled */
	int64	   *lists;			/* live rows of each; where there are none with a
								 * centroid, of the segments */
	int			list_count;
} IndexCounts;

/*
 * count_page -- rows of one page; *dead is increased by those that are not live
 */
static int64
count_page(Relation index, const VkIndex *layout, Buffer buffer, int64 *dead)
{
	Page		page = BufferGetPage(buffer);
	int64		rows = 0;

	if (vk_page_head(page)->kind == VK_PAGE_REST)
		return vk_page_head(page)->count;

	for (int line = vk_first_head(index, layout, buffer); line != 0;
		 line = vk_next_head(layout, page, line))
	{
		VkBlockTop *top = vk_block_top(page, line);
		int			count = Min(top->head.count, VK_LANES);
		int			live = pg_popcount32(top->head.live & ((1U << count) - 1));

		rows += live;
		*dead += count - live;
	}
	return rows;
}

static int64
count_chain(Relation index, const VkIndex *layout, uint32 number,
			const VkSlot *slot, int64 *dead)
{
	uint16		kind = number < VK_SLOT_FIRST_LIST ? VK_PAGE_REST : VK_PAGE_BLOCK;
	BlockNumber block = slot->head;
	int64		rows = 0;

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_chain_page(index, block, kind, number, slot->born,
									position, BUFFER_LOCK_SHARE);
		rows += count_page(index, layout, buffer, dead);
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
	return rows;
}

static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/*
 * count_rows -- rows of every list; the stored counts know nothing of inserts
 */
static void
count_rows(Relation index, const VkMeta *meta, IndexCounts *counts)
{
	VkIndex    *layout = vk_index_copy(index, CurrentMemoryContext);

	memset(counts, 0, sizeof(IndexCounts));
	counts->lists = MemoryContextAllocHuge(CurrentMemoryContext,
										   meta->slots * sizeof(int64));
	for (uint32 number = VK_SLOT_REST_NAN; number < meta->slots; number++)
	{
		VkSlot		slot;
		int64		rows;
		bool		segment;

		vk_slot_read(index, meta, number, &slot);
		if (slot.retired != 0 && slot.retired <= meta->epoch)
			counts->retired++;
		if (!vk_slot_visible(&slot, meta->epoch) || vk_slot_has_centers(number, &slot))
			continue;
		rows = count_chain(index, layout, number, &slot, &counts->dead);
		if (number < VK_SLOT_FIRST_LIST)
		{
			counts->rest += rows;
			continue;
		}
		segment = meta->lists == 0 || (slot.flags & VK_SLOT_SEGMENT) != 0;
		counts->rows += rows;
		counts->segments += segment;
		if (!segment || meta->lists == 0)
			counts->lists[counts->list_count++] = rows;
	}
	qsort(counts->lists, counts->list_count, sizeof(int64), compare_int64);
}

/*
 * list_mean -- rows of a list; *spread: their standard deviation over that
 */
static double
list_mean(const IndexCounts *counts, double *spread)
{
	double		sum = 0;
	double		squares = 0;
	double		mean;

	for (int i = 0; i < counts->list_count; i++)
		sum += counts->lists[i];
	mean = sum / counts->list_count;
	for (int i = 0; i < counts->list_count; i++)
		squares += (counts->lists[i] - mean) * (counts->lists[i] - mean);
	*spread = mean > 0 ? sqrt(squares / counts->list_count) / mean : 0;
	return mean;
}

/*
 * drift_ratio -- of how things are to how they were; false where that is not
 * known
 */
static bool
drift_ratio(double now, double before, Datum *value)
{
	*value = Float8GetDatum(before > 0 ? now / before : 0);
	return before > 0;
}

/*
 * stats_budget -- rows that a search scans under the settings in force
 */
static double
stats_budget(const VkMeta *meta, double rows)
{
	if (meta->lists == 0)
		return rows;
	if (vk_probes > 0)
		return Min(rows, vk_probes * rows / meta->lists);
	return vk_curve_budget(&meta->curve, BUDGET_WANTED, vk_target_recall, rows);
}

static HeapTuple
form_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	description;

	if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return heap_form_tuple(BlessTupleDesc(description), values, nulls);
}

Datum
vk_stats(PG_FUNCTION_ARGS)
{
	Relation	index = vk_index_open(PG_GETARG_OID(0), AccessShareLock);
	Datum		values[STATS_COLUMNS];
	bool		nulls[STATS_COLUMNS] = {0};
	BlockNumber pages;
	IndexCounts counts;
	VkMeta		meta;
	double		mean = 0;
	double		spread = 0;
	int			n = 0;

	vk_index_require_read(index, index->rd_index->indnatts);
	vk_meta_read(index, &meta);
	count_rows(index, &meta, &counts);
	pages = RelationGetNumberOfBlocks(index);
	if (counts.list_count > 0)
		mean = list_mean(&counts, &spread);

	values[n++] = CStringGetTextDatum(get_am_name(index->rd_rel->relam));
	values[n++] = CStringGetTextDatum(vk_metric_name(meta.metric));
	values[n++] = Int32GetDatum(meta.dim);
	values[n++] = Int32GetDatum(meta.attributes);
	values[n++] = Int64GetDatum(counts.rows);
	values[n++] = Int64GetDatum(counts.dead);
	values[n++] = Int64GetDatum(counts.rest);
	values[n++] = Int32GetDatum(meta.lists);
	values[n++] = Int32GetDatum(vk_format_bits[meta.format]);
	values[n++] = Int32GetDatum(meta.refine_bits);
	if (counts.list_count > 0)
	{
		values[n++] = Int64GetDatum(counts.lists[0]);
		values[n++] = Float8GetDatum(mean);
		values[n++] = Int64GetDatum(counts.lists[((int64) counts.list_count * 99 + 99) / 100 - 1]);
		values[n++] = Int64GetDatum(counts.lists[counts.list_count - 1]);
	}
	else
	{
		memset(&nulls[n], true, 4);
		n += 4;
	}
	values[n++] = Int64GetDatum(pages);
	values[n++] = Int64GetDatum((int64) pages * BLCKSZ);
	values[n++] = Int64GetDatum((int64) meta.seed);
	values[n++] = Int64GetDatum((int64) meta.epoch);
	values[n++] = Float8GetDatum(stats_budget(&meta, counts.rows));
	values[n++] = Int32GetDatum(counts.segments);
	values[n++] = Int32GetDatum(counts.retired);
	nulls[n] = counts.list_count == 0;
	values[n++] = Float8GetDatum(spread);
	nulls[n] = meta.residual <= 0 ||
		!drift_ratio(meta.residual, meta.build_residual, &values[n]);
	n++;
	nulls[n] = !drift_ratio(meta.changed_rows, meta.curve_rows, &values[n]);
	n++;
	Assert(n == STATS_COLUMNS);

	index_close(index, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(form_row(fcinfo, values, nulls)));
}

/* ---- vk_last_scan and vk_simd ---- */

/*
 * isa_in_use -- the best ISA that any kernel in use comes from
 */
static const char *
isa_in_use(void)
{
	for (int isa = vk_isa_count - 1; isa > 0; isa--)
		for (int slot = 0; slot < vk_slot_count; slot++)
			if (strcmp(vk_slot_isa(slot), vk_isas[isa].name) == 0)
				return vk_isas[isa].name;
	return vk_isas[0].name;
}

/*
 * scan_recall -- recall of the last scan, as the search saw it or else its index's
 * curve has it; false where that is not known, or the index is gone
 */
static bool
scan_recall(const VkScanStats *stats, double *recall)
{
	Relation	index;
	VkMeta		meta;
	bool		known = false;

	*recall = 1;
	if (stats->exhaustive)
		return true;
	if (stats->reach > 0)
	{
		*recall = stats->reach;
		return true;
	}
	index = try_relation_open(stats->index, AccessShareLock);
	if (index == NULL)
		return false;
	if (stats->work_for > 0 && vk_meta_peek(index, &meta))
	{
		known = true;
		*recall = vk_curve_recall(&meta.curve, stats->work_for, stats->seen,
								  meta.curve_rows > 0 ? meta.curve_rows :
								  Max(meta.live_rows, 1));
	}
	relation_close(index, AccessShareLock);
	return known;
}

Datum
vk_last_scan(PG_FUNCTION_ARGS)
{
	const VkScanStats *stats = &vk_last_stats;
	Datum		values[LAST_SCAN_COLUMNS];
	bool		nulls[LAST_SCAN_COLUMNS] = {0};
	double		recall = 0;
	int			n = 0;

	if (!stats->valid)
		PG_RETURN_NULL();

	values[n++] = ObjectIdGetDatum(stats->index);
	values[n++] = CStringGetTextDatum(isa_in_use());
	values[n++] = Int64GetDatum(stats->wanted);
	values[n++] = Int64GetDatum(stats->emitted);
	values[n++] = Int64GetDatum(stats->rounds);
	values[n++] = BoolGetDatum(stats->exhaustive);
	values[n++] = Float8GetDatum(stats->budget);
	values[n++] = Int64GetDatum(stats->lists);
	values[n++] = Int64GetDatum(stats->pages);
	values[n++] = Int64GetDatum(stats->rows);
	values[n++] = Int64GetDatum(stats->refined);
	values[n++] = Int64GetDatum(stats->fetched);
	values[n++] = Float8GetDatum(stats->rank_us);
	values[n++] = Float8GetDatum(stats->scan_us);
	values[n++] = Float8GetDatum(stats->fetch_us);
	values[n++] = Int64GetDatum(stats->skipped);
	values[n++] = Int64GetDatum(stats->matched);
	values[n++] = Int64GetDatum(stats->checked);
	nulls[n] = !scan_recall(stats, &recall);
	values[n++] = Float8GetDatum(recall);
	values[n++] = CStringGetTextDatum(stats->path);
	values[n++] = Int32GetDatum(stats->workers);
	Assert(n == LAST_SCAN_COLUMNS);

	PG_RETURN_DATUM(HeapTupleGetDatum(form_row(fcinfo, values, nulls)));
}

/*
 * available_isas -- the ISAs that could run a kernel here, as text[]
 */
static Datum
available_isas(int slot)
{
	ArrayBuildState *names = NULL;

	for (int isa = 0; isa < vk_isa_count; isa++)
	{
		const char *name = vk_slot_available(slot, isa);

		if (name != NULL)
			names = accumArrayResult(names, CStringGetTextDatum(name), false,
									 TEXTOID, CurrentMemoryContext);
	}
	if (names == NULL)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	return makeArrayResult(names, CurrentMemoryContext);
}

Datum
vk_simd(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int slot = 0; slot < vk_slot_count; slot++)
	{
		Datum		values[SIMD_COLUMNS];
		bool		nulls[SIMD_COLUMNS] = {0};

		values[0] = CStringGetTextDatum(vk_slot_names[slot]);
		values[1] = CStringGetTextDatum(vk_slot_isa(slot));
		values[2] = available_isas(slot);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- vk_centroids ---- */

typedef struct CentroidRows
{
	const VkIndex *vk;
	ReturnSetInfo *result;
	float	   *rotated;		/* scratch */
} CentroidRows;

/*
 * give_centroid -- decode one centroid and return it as a row; VkCenterCallback
 */
static void
give_centroid(void *arg, uint32 number, const int8 *code, float a)
{
	CentroidRows *rows = arg;
	const VkCoder *coder = &rows->vk->coder;
	Vec		   *vec = vec_alloc(&vec_types[VK_F32], coder->dim);
	float	   *center = (float *) vec->x;
	Datum		value = PointerGetDatum(vec);
	bool		is_null = false;

	/* scaled last: sums on the way back may be greater than any element */
	for (int i = 0; i < coder->dim; i++)
		rows->rotated[i] = code[i];
	vk_rotate_back(&coder->rotation, rows->rotated, center);
	for (int i = 0; i < coder->dim; i++)
	{
		double		value = (double) a * center[i] + coder->mean[i];

		center[i] = (float) Max(Min(value, FLT_MAX), -FLT_MAX);
	}

	tuplestore_putvalues(rows->result->setResult, rows->result->setDesc,
						 &value, &is_null);
	pfree(vec);
}

/*
 * vk_centroids -- centroids of an index, one a row; none where it has no lists
 *
 * They are means of rows, so whoever reads them must be allowed to read all
 * rows.
 */
Datum
vk_centroids(PG_FUNCTION_ARGS)
{
	CentroidRows rows = {0};
	Relation	index;
	VkMeta		meta;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	rows.result = (ReturnSetInfo *) fcinfo->resultinfo;
	index = vk_index_open(PG_GETARG_OID(0), AccessShareLock);
	vk_index_require_read(index, index->rd_index->indnatts);
	if (check_enable_rls(index->rd_index->indrelid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("centroids of table \"%s\" are not shown where row-level security applies",
						get_rel_name(index->rd_index->indrelid))));

	rows.vk = vk_index_current(index, &meta, CurrentMemoryContext);
	if (meta.lists > 0)
	{
		rows.rotated = palloc(rows.vk->coder.dim * sizeof(float));
		vk_center_list_read(index, rows.vk, &meta, give_centroid, &rows);
		vk_check_not_recycled(index, meta.epoch);
	}
	index_close(index, AccessShareLock);
	return (Datum) 0;
}
