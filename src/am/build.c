/*-------------------------------------------------------------------------
 *
 * build.c
 *	  CREATE INDEX: ambuild and ambuildempty of both methods.
 *
 * NOTES
 *	  sample -> mean -> k-means (sample.c) -> heap scan -> lists in order
 *	  (build_scan.c, writer.c) -> calibration (calibrate.c) -> WAL, with the
 *	  help of parallel workers where there are any (build_parallel.c).
 *
 *	  Pages are not logged one by one: the whole fork is, at the end.  An error
 *	  or a cancel anywhere leaves a relation that the transaction's abort
 *	  removes; everything else belongs to memory contexts and resource owners.
 *
 * IDENTIFICATION
 *	  src/am/build.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "am/build.h"

#include "access/genam.h"
#include "access/xloginsert.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MIN_LISTS_ROWS		4096	/* fewer rows have no lists by themselves */
#define LOG_BLOCKS			4096	/* logged between two reports */

/* entries to be written */
typedef struct Entries
{
	const int8 *codes;			/* centres, by number */
	const float *scales;
	const int32 *members;		/* those that are entered; NULL: all */
	uint32		first_slot;		/* the slot of centre number 0 */
} Entries;

/*
 * A list of entries: scan code of each centre about the mean, and as refine code
 * the 8-bit code that the centre is decoded from.
 */
static void
write_entries(VkBuild *build, uint32 slot, const Entries *entries, int count)
{
	VkCoder		coder = vk_center_coder(build->vk);
	float	   *center = palloc(build->dim * sizeof(float));
	char	   *packed = palloc0(vk_packed_size(&coder));

	vk_writer_begin(&build->writer, &coder, slot, count);
	build->writer.lists.list.flags = slot == VK_SLOT_CENTERS ? 0 : VK_SLOT_GROUP;
	for (int i = 0; i < count; i++)
	{
		int			number = entries->members == NULL ? i : entries->members[i];
		ItemPointerData tid;
		VkRowCode	code;

		vk_packed_point(&coder, packed, &code);
		vk_center_row(&coder, entries->first_slot + number,
					  entries->codes + number * build->stride,
					  entries->scales[number], center, build->scratch, &tid,
					  &code);
		vk_list_writer_add(&build->writer.lists, &tid, &code, NULL);
	}
	vk_writer_end(&build->writer);
	pfree(packed);
	pfree(center);
}

/*
 * The centre list, in groups where there are many lists.  Groups take the slots
 * before those of the lists.
 */
static void
write_centers(VkBuild *build)
{
	Entries		entries = {build->center_codes, build->center_scales};
	VkGrouping	grouping = {
		.dim = build->dim, .lists = build->lists, .stride = build->stride,
		.center_codes = build->center_codes, .center_scales = build->center_scales,
		.seed = build->seed, .pause = vk_pause, .groups = vk_group_count(build->lists)
	};
	Entries		groups;
	MemoryContext context,
				old;

	build->first_list = entries.first_slot = VK_SLOT_FIRST_LIST;
	if (grouping.groups == 0)
	{
		write_entries(build, VK_SLOT_CENTERS, &entries, build->lists);
		return;
	}

	context = AllocSetContextCreate(CurrentMemoryContext, "vkindex groups",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	vk_group_centers(&grouping,
					 MemoryContextAllocHuge(context,
											vk_grouping_size(build->dim, build->lists,
															 grouping.groups,
															 build->stride)));
	build->meta.groups = grouping.groups;
	build->meta.grouped = build->lists;
	build->first_list += grouping.groups;
	groups = (Entries) {grouping.codes, grouping.scales, NULL, VK_SLOT_FIRST_LIST};
	write_entries(build, VK_SLOT_CENTERS, &groups, grouping.groups);
	entries.first_slot = build->first_list;
	for (int group = 0; group < grouping.groups; group++)
	{
		int			first = grouping.starts[group];

		entries.members = grouping.members + first;
		write_entries(build, VK_SLOT_FIRST_LIST + group, &entries,
					  grouping.starts[group + 1] - first);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * vk_rows_a_list -- rows that a list should have, of so many in all (measured on
 * SIFT: the cost of a search is flat between 250 and 500 rows a list)
 */
double
vk_rows_a_list(const VkIndex *vk, double rows)
{
	double		rows_a_list = rows > 1e6 ? 256 * pow(rows / 1e6, 0.1) :
		Min(Max(sqrt(rows) / 4, 64), 256);

	return Max(rows_a_list, (double) VK_LANES * VK_PAGE_LINES / vk->block_lines);
}

/*
 * vk_choose_lists -- how many lists so many rows get; 0: none.  wanted is the
 * option, 0 = automatic.
 */
int
vk_choose_lists(const VkIndex *vk, int wanted, double rows)
{
	if (vk->coder.flat)
		return 0;
	if (wanted > 0)
		return (int) Min(wanted, Max(rows, 1));
	if (rows < MIN_LISTS_ROWS)
		return 0;
	return (int) Min(Max(rows / vk_rows_a_list(vk, rows), 1), 4e6);
}

/* ---- the whole ---- */

/* one vector, and behind it a limited number of attributes */
static void
check_columns(Relation index, const char *method)
{
	if (!OidIsValid(index_getprocid(index, 1, VK_PROC_SUPPORT)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("first column of %s index is not a vector", method),
				 errdetail("The first column is the vector that is searched; those after it are values to filter by.")));
	if (RelationGetNumberOfAttributes(index) - 1 > VK_MAX_ATTRIBUTES)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("index cannot have more than %d attribute columns",
						VK_MAX_ATTRIBUTES)));
}

static int
checked_dimensions(Relation index, const VkSupport *support, const char *method)
{
	const FormData_pg_attribute *column = TupleDescAttr(RelationGetDescr(index), 0);
	int32		dim = column->atttypmod;

	/* that of an array is its elements' */
	(void) getBaseTypeAndTypmod(column->atttypid, &dim);
	if (dim < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions")));
	if (dim > support->layout->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %d dimensions for %s index",
						support->layout->max_dim, method)));
	return dim;
}

/* the meta page, without rows, of an index that the catalogs describe */
static void
define_meta(Relation index, bool flat, VkMeta *meta)
{
	const char *method = flat ? "vkflat" : "vkivf";
	VkOptions	options = vk_options_get(index);
	const VkSupport *support;
	VkFormat	format;
	int			refine_bits;

	check_columns(index, method);
	support = vk_support(index);
	memset(meta, 0, sizeof(VkMeta));
	meta->magic = VK_MAGIC;
	meta->version = VK_FORMAT_VERSION;
	meta->dim = checked_dimensions(index, support, method);
	meta->metric = support->metric;
	meta->flat = flat || !vk_may_have_lists(support->metric, meta->dim);
	if (meta->flat && options.lists > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d of option \"%s\" is not supported for index \"%s\"",
						options.lists, "lists", RelationGetRelationName(index)),
				 errdetail("Indexes for Jaccard distance, and those of more than %d dimensions, have no lists.",
						   VK_MAX_DIM)));
	vk_choose_codes(index, meta->flat, meta->dim, &format, &refine_bits);
	meta->format = format;
	meta->refine_bits = refine_bits;
	meta->element = support->layout->element;
	meta->seed = options.seed;
	meta->epoch = meta->coded = 1;
	meta->mean_head = InvalidBlockNumber;
	meta->attributes = vk_attribute_widths(index, meta->attribute_width);
	if (support->metric == VK_METRIC_L1)
		meta->step = vk_grid_step(NULL, 0, meta->dim, NULL);
}

void
vk_build_init(VkBuild *build, Relation index, const VkMeta *meta)
{
	VkOptions	options = vk_options_get(index);

	memset(build, 0, sizeof(VkBuild));
	build->index = index;
	build->support = vk_support(index);
	build->dim = meta->dim;
	build->flat = meta->flat;
	build->wanted_lists = options.lists;
	build->calibrate = build->flat ? 0 : options.calibrate;
	build->format = meta->format;
	build->refine_bits = meta->refine_bits;
	build->seed = meta->seed;
	build->memory = (Size) maintenance_work_mem * 1024;
	build->stride = vk_row_stride(build->dim);
	build->meta = *meta;
}

void
vk_build_make_scratch(VkBuild *build)
{
	build->row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "vkindex build rows",
											   ALLOCSET_DEFAULT_SIZES);
	build->floats = palloc(build->dim * sizeof(float));
	build->normalized = palloc(build->dim * sizeof(float));
	build->scratch = vk_aligned_alloc(vk_scratch_size(build->dim));
}

/* the format of rows, with the mean that the sample has */
static void
make_format(VkBuild *build)
{
	/* bits are coded as they are, only their centres are about the mean */
	bool		about_mean = !build->flat || !vk_metric_of_bits(build->support->metric);
	float	   *mean = about_mean ? vk_mean_of(build->sample.rows, build->sample.count,
											   build->dim) : NULL;

	if (build->support->metric == VK_METRIC_L1)
		build->meta.step = vk_grid_step(build->sample.rows, build->sample.count,
										build->dim, mean);
	build->vk = vk_index_make(build->index, build->dim, build->support->metric,
							  build->format, build->refine_bits, build->flat,
							  build->seed, mean, build->meta.step,
							  CurrentMemoryContext);
	vk_writer_init(&build->writer, build->vk, build->index);
	if (mean != NULL)
		build->meta.mean_head = vk_writer_mean(&build->writer, mean, build->dim);
}

/* mean, centres, rows: everything but calibration and WAL */
static VkScanTotals
build_lists(VkBuild *build)
{
	VkScanTotals totals;
	bool		loaded;
	int			lists;

	vk_sample_table(build);
	make_format(build);
	loaded = vk_load_centers(build);
	vk_crew_start(build);
	lists = build->sample.count == 0 ? 0 :
		vk_choose_lists(build->vk, build->wanted_lists, build->rows);
	if (!loaded && lists > 0)
		vk_sample_centers(build, lists);
	build->meta.lists = build->meta.centers = build->lists;
	if (build->lists > 0)
		write_centers(build);
	if (build->lists == 0 || build->calibrate == 0)
		vk_sample_drop(build);

	totals = vk_build_rows(build);
	build->meta.build_rows = build->meta.live_rows = totals.coded;
	build->meta.build_residual = build->meta.residual =
		build->writer.lists.residual / Max(totals.coded, 1.0);
	vk_writer_finish(&build->writer, &build->meta);
	return totals;
}

static void
log_index(Relation index)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(index);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VK_PHASE_LOG);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, 0);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, blocks);
	for (BlockNumber block = 0; block < blocks;)
	{
		BlockNumber end = blocks - block > LOG_BLOCKS ? block + LOG_BLOCKS : blocks;

		log_newpage_range(index, MAIN_FORKNUM, block, end, true);
		block = end;
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block);
	}
}

/*
 * keep_toast -- let nobody vacuum the vectors of the rows that a build reads
 *
 * It reads rows too that were deleted and that somebody might still have seen when it
 * began.  Once nobody does, vacuum may take their values out of the TOAST table, which
 * the lock of the table itself does not prevent.  A concurrent build has a snapshot.
 */
static void
keep_toast(Relation heap, const IndexInfo *info)
{
	Oid			toast = heap->rd_rel->reltoastrelid;

	if (!info->ii_Concurrent && OidIsValid(toast))
		LockRelationOid(toast, ShareLock);
}

static IndexBuildResult *
build_index(Relation heap, Relation index, IndexInfo *info, bool flat)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	MemoryContext context,
				old;
	VkScanTotals totals;
	VkMeta		meta;
	VkBuild		build;

	if (info->ii_ExclusionOps != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support exclusion constraints",
						flat ? "vkflat" : "vkivf")));
	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data",
			 RelationGetRelationName(index));
	vk_block_forget();

	context = AllocSetContextCreate(CurrentMemoryContext, "vkindex build",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	define_meta(index, flat, &meta);
	vk_build_init(&build, index, &meta);
	build.heap = heap;
	build.info = info;
	vk_build_make_scratch(&build);
	keep_toast(heap, info);
	vk_crew_plan(&build, false);

	totals = build_lists(&build);
	if (build.lists > 0 && build.calibrate > 0)
	{
		vk_calibrate(&build);
		vk_writer_meta(index, &build.meta);
	}
	vk_crew_end(&build);
	if (RelationNeedsWAL(index))
		log_index(index);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	result->heap_tuples = totals.tuples;
	result->index_tuples = totals.rows;
	return result;
}

IndexBuildResult *
vkflat_build(Relation heap, Relation index, IndexInfo *info)
{
	return build_index(heap, index, info, true);
}

IndexBuildResult *
vkivf_build(Relation heap, Relation index, IndexInfo *info)
{
	return build_index(heap, index, info, false);
}

static void
build_empty(Relation index, bool flat)
{
	VkMeta		meta;

	define_meta(index, flat, &meta);
	vk_writer_empty(index, INIT_FORKNUM, &meta);
}

void
vkflat_buildempty(Relation index)
{
	build_empty(index, true);
}

void
vkivf_buildempty(Relation index)
{
	build_empty(index, false);
}
