/*-------------------------------------------------------------------------
 *
 * build.c
 *	  CREATE INDEX: ambuild and ambuildempty of both methods.
 *
 * NOTES
 *	  sample -> mean -> k-means -> heap scan -> lists in order -> calibration
 *	  -> WAL.  Rows are handled in batches: detoasted, rotated, assigned to the
 *	  nearest of all centres by the int8 tile, encoded against it and sorted by
 *	  list.  Without centres (vkflat; few rows) there is nothing to sort by:
 *	  rows come in the order of the table and fill one segment after another.
 *
 *	  BuildScan is what one process needs to do the heap scan's part, beside
 *	  the facts in VkBuild that no longer change by then.
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
#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#define SEGMENT_BYTES		(8 * 1024 * 1024)	/* of one segment at most */
#define MIN_LISTS_ROWS		4096	/* fewer rows have no lists by themselves */
#define ALIGNMENT			64

/* columns of the tuples that are sorted */
#define SORT_KEY			1	/* list << 32 | heap block */
#define SORT_OFFSET			2	/* offset within that block */
#define SORT_ROW			3	/* packed row */
#define SORT_COLUMNS		3

/* one process's part of the heap scan */
typedef struct BuildScan
{
	VkBuild    *build;
	VkAssigner	assigner;
	VkCenter   *centers;		/* by list */
	int64	   *counts;			/* rows by list */
	double		rows;			/* entries made */
	double		coded;			/* those that are not in a rest list */

	/* the batch */
	int			batched;
	ItemPointerData tids[VK_ASSIGN_ROWS];
	bool		wild[VK_ASSIGN_ROWS];
	double		norm2[VK_ASSIGN_ROWS];
	float		scales[VK_ASSIGN_ROWS];
	int32		list[VK_ASSIGN_ROWS];
	VkAttributes attributes[VK_ASSIGN_ROWS];
	float	   *rotated;		/* dim floats a row */
	int8	   *codes;			/* stride bytes a row */

	/* with lists: the sort */
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	bytea	   *packed;			/* one packed row */

	/* without: the segment being filled */
	char	   *segment;		/* packed rows */
	ItemPointerData *segment_tids;
	int			segment_rows;
	int			segment_filled;
	uint32		segment_slot;
} BuildScan;

static void *
alloc_aligned(Size size)
{
	return (void *) TYPEALIGN(ALIGNMENT,
							  MemoryContextAllocHuge(CurrentMemoryContext,
													 size + ALIGNMENT));
}

/* ---- rows ---- */

/*
 * vk_build_vector -- floats of a column value (see build.h)
 */
const float *
vk_build_vector(VkBuild *build, Datum value, bool *wild)
{
	const float *vector;
	int			dim;

	value = PointerGetDatum(PG_DETOAST_DATUM(value));
	vector = build->support->values(value, &dim);
	if (dim != build->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", build->dim, dim)));

	*wild = false;
	if (build->support->metric != VK_METRIC_COSINE)
		return vector;
	return vk_normalize(vector, dim, build->normalized, wild) ?
		build->normalized : NULL;
}

/*
 * vk_build_rotate -- rotate about the mean and quantise (see build.h)
 *
 * A row out of the range in which arithmetic on it is safe counts as the mean.
 */
void
vk_build_rotate(VkBuild *build, const float *vector, float *rotated,
				double *norm2, int8 *code, float *scale)
{
	VkQuantized quantized;

	vk_row_rotate(&build->vk->coder, vector, rotated, norm2, build->scratch);
	memset(code, 0, build->stride);
	*scale = 0;
	if (*norm2 < 0x1p120)
	{
		vk_kernels->quantize_i8(rotated, build->dim, code, &quantized);
		*scale = quantized.scale;
	}
}

/* ---- packed rows ---- */

static Size
packed_row_size(const VkIndex *vk)
{
	return vk_packed_size(&vk->coder) + vk_packed_attributes(vk);
}

static void
pack_row(BuildScan *scan, int i, const VkCenter *center, char *packed)
{
	const VkIndex *vk = scan->build->vk;
	VkPackedHead head;
	VkRowCode	code;

	vk_packed_point(&vk->coder, packed, &code);
	vk_row_encode(&vk->coder, scan->rotated + (Size) i * vk->coder.dim,
				  scan->norm2[i], center, scan->wild[i], &code,
				  scan->build->scratch);
	head.norm2 = code.norm2;
	head.norm = code.norm;
	head.a = code.a;
	head.error = code.error;
	memcpy(packed, &head, sizeof(head));
	memcpy(packed + vk_packed_size(&vk->coder), &scan->attributes[i],
		   vk_packed_attributes(vk));
}

/* write a packed row to the list that the writer has begun */
static void
write_row(VkBuild *build, ItemPointer tid, char *packed)
{
	const VkIndex *vk = build->vk;
	VkPackedHead head;
	VkRowCode	code;
	VkAttributes attributes;

	memcpy(&head, packed, sizeof(head));
	code.norm2 = head.norm2;
	code.norm = head.norm;
	code.a = head.a;
	code.error = head.error;
	vk_packed_point(&vk->coder, packed, &code);
	memcpy(&attributes, packed + vk_packed_size(&vk->coder),
		   vk_packed_attributes(vk));
	vk_writer_add(&build->writer, tid, &code, &attributes);
}

/* ---- segments: lists without a centre ---- */

static void
segment_init(BuildScan *scan)
{
	Size		row_size = packed_row_size(scan->build->vk);
	int			rows = Min(SEGMENT_BYTES / row_size, VK_SEGMENT_ROWS);

	scan->segment_rows = Max(rows - rows % VK_LANES, VK_LANES);
	scan->segment = MemoryContextAllocHuge(CurrentMemoryContext,
										   scan->segment_rows * row_size);
	scan->segment_tids = palloc(scan->segment_rows * sizeof(ItemPointerData));
	scan->segment_slot = VK_SLOT_FIRST_LIST;
}

static void
segment_write(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	Size		row_size = packed_row_size(build->vk);

	if (scan->segment_filled == 0)
		return;

	vk_writer_begin(&build->writer, &build->vk->coder, scan->segment_slot,
					scan->segment_filled);
	for (int i = 0; i < scan->segment_filled; i++)
		write_row(build, &scan->segment_tids[i], scan->segment + i * row_size);
	vk_writer_end(&build->writer);
	build->meta.open_slot = scan->segment_slot++;
	scan->segment_filled = 0;
}

/* ---- the heap scan ---- */

static void
sort_row(BuildScan *scan, int i)
{
	int			list = scan->list[i];
	ItemPointer tid = &scan->tids[i];
	TupleTableSlot *slot = scan->slot;

	pack_row(scan, i, &scan->centers[list], VARDATA(scan->packed));
	scan->counts[list]++;

	ExecClearTuple(slot);
	slot->tts_values[SORT_KEY - 1] =
		Int64GetDatum((int64) list << 32 | ItemPointerGetBlockNumber(tid));
	slot->tts_values[SORT_OFFSET - 1] =
		Int32GetDatum(ItemPointerGetOffsetNumber(tid));
	slot->tts_values[SORT_ROW - 1] = PointerGetDatum(scan->packed);
	memset(slot->tts_isnull, false, SORT_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(scan->sort, slot);
}

static void
segment_row(BuildScan *scan, int i)
{
	static const VkCenter mean = {.a = 0, .norm = 0, .code = NULL};
	Size		row_size = packed_row_size(scan->build->vk);

	pack_row(scan, i, &mean, scan->segment + scan->segment_filled * row_size);
	scan->segment_tids[scan->segment_filled++] = scan->tids[i];
	if (scan->segment_filled == scan->segment_rows)
		segment_write(scan);
}

static void
flush_batch(BuildScan *scan)
{
	VkBuild    *build = scan->build;

	if (scan->batched == 0)
		return;
	if (build->lists > 0)
		vk_assign(&scan->assigner, scan->codes, build->stride, scan->scales,
				  scan->batched, scan->list);
	for (int i = 0; i < scan->batched; i++)
	{
		if (build->lists > 0)
			sort_row(scan, i);
		else
			segment_row(scan, i);
	}
	scan->batched = 0;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
								 (int64) scan->rows);
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		  bool alive, void *state)
{
	BuildScan  *scan = state;
	VkBuild    *build = scan->build;
	int			i = scan->batched;
	MemoryContext old;
	const float *vector;

	scan->rows++;
	if (isnull[0])
	{
		vk_writer_rest(&build->writer, VK_SLOT_REST_NULL, tid);
		return;
	}

	old = MemoryContextSwitchTo(build->row_context);
	vector = vk_build_vector(build, values[0], &scan->wild[i]);
	if (vector == NULL)
		vk_writer_rest(&build->writer, VK_SLOT_REST_NAN, tid);
	else
	{
		vk_build_rotate(build, vector, scan->rotated + (Size) i * build->dim,
						&scan->norm2[i], scan->codes + i * build->stride,
						&scan->scales[i]);
		vk_attributes_form(build->vk, values, isnull, &scan->attributes[i]);
		scan->tids[i] = *tid;
		scan->batched++;
		scan->coded++;
	}
	MemoryContextSwitchTo(old);

	if (scan->batched == VK_ASSIGN_ROWS)
		flush_batch(scan);
	MemoryContextReset(build->row_context);
}

static TupleDesc
sort_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(SORT_COLUMNS);

	TupleDescInitEntry(desc, SORT_KEY, "key", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SORT_OFFSET, "offset", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SORT_ROW, "row", BYTEAOID, -1, 0);
	vk_tuple_desc_finalize(desc);
	return desc;
}

/* the sort gets what maintenance_work_mem has left, at least 1 MB */
static void
sort_begin(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	AttrNumber	columns[] = {SORT_KEY, SORT_OFFSET};
	Oid			operators[] = {Int8LessOperator, Int4LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false};
	Size		held = build->sample.count * build->dim * sizeof(float) +
		build->lists * (build->stride + sizeof(float) + sizeof(VkCenter) +
						sizeof(int64)) +
		vk_assigner_size(build->dim, build->lists);
	Size		left = build->memory > held ? build->memory - held : 0;
	TupleDesc	desc = sort_descriptor();
	Size		size = VARHDRSZ + packed_row_size(build->vk);

	scan->sort = tuplesort_begin_heap(desc, lengthof(columns), columns,
									  operators, collations, nulls_first,
									  (int) Min(Max(left / 1024, 1024), MAX_KILOBYTES),
									  NULL, TUPLESORT_NONE);
	scan->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	scan->packed = palloc0(size);
	SET_VARSIZE(scan->packed, size);
}

/* centres as rows are coded against them, and the assigner */
static void
centers_init(BuildScan *scan)
{
	VkBuild    *build = scan->build;

	scan->centers = MemoryContextAllocHuge(CurrentMemoryContext,
										   build->lists * sizeof(VkCenter));
	scan->counts = MemoryContextAllocHuge(CurrentMemoryContext,
										  build->lists * sizeof(int64));
	memset(scan->counts, 0, build->lists * sizeof(int64));
	for (int i = 0; i < build->lists; i++)
	{
		VkCenter   *center = &scan->centers[i];

		center->code = build->center_codes + i * build->stride;
		center->a = build->center_scales[i];
		center->norm = vk_center_norm(center->code, center->a, build->dim);
	}
	vk_assigner_init(&scan->assigner, build->dim, build->lists,
					 build->center_codes, build->stride, build->center_scales,
					 alloc_aligned(vk_assigner_size(build->dim, build->lists)));
}

/*
 * Scan the heap.  Without lists the segments are written on the way, so rows
 * must come in the order of the table for the index to be reproducible.
 */
static double
scan_heap(VkBuild *build, BuildScan *scan)
{
	double		tuples;

	scan->rotated = palloc_extended((Size) VK_ASSIGN_ROWS * build->dim * sizeof(float),
									MCXT_ALLOC_HUGE);
	scan->codes = palloc0((Size) VK_ASSIGN_ROWS * build->stride);
	if (build->lists > 0)
	{
		centers_init(scan);
		sort_begin(scan);
	}
	else
		segment_init(scan);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VK_PHASE_ASSIGN);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL,
								 (int64) build->rows);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
	tuples = table_index_build_scan(build->heap, build->index, build->info,
									build->lists > 0, true, build_row, scan,
									NULL);
	flush_batch(scan);
	return tuples;
}

/* ---- lists ---- */

static void
write_list(BuildScan *scan, int list, TupleTableSlot *slot)
{
	VkBuild    *build = scan->build;

	vk_writer_begin(&build->writer, &build->vk->coder,
					VK_SLOT_FIRST_LIST + list, scan->counts[list]);
	for (int64 i = 0; i < scan->counts[list]; i++)
	{
		ItemPointerData tid;
		bool		isnull;

		if (!tuplesort_gettupleslot(scan->sort, true, false, slot, NULL))
			elog(ERROR, "sorted rows end early");
		ItemPointerSet(&tid,
					   (BlockNumber) DatumGetInt64(slot_getattr(slot, SORT_KEY, &isnull)),
					   DatumGetInt32(slot_getattr(slot, SORT_OFFSET, &isnull)));
		write_row(build, &tid,
				  VARDATA_ANY(DatumGetPointer(slot_getattr(slot, SORT_ROW, &isnull))));
	}
	vk_writer_end(&build->writer);
}

static void
write_lists(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	TupleTableSlot *slot;
	double		done = 0;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, VK_PHASE_WRITE);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL,
								 (int64) scan->rows);
	if (build->lists == 0)
	{
		segment_write(scan);
		return;
	}

	tuplesort_performsort(scan->sort);
	slot = MakeSingleTupleTableSlot(scan->slot->tts_tupleDescriptor,
									&TTSOpsMinimalTuple);
	for (int list = 0; list < build->lists; list++)
	{
		write_list(scan, list, slot);
		done += scan->counts[list];
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 (int64) done);
	}
	ExecDropSingleTupleTableSlot(slot);
	ExecDropSingleTupleTableSlot(scan->slot);
	tuplesort_end(scan->sort);
}

/*
 * The centre list: scan code of each centre about the mean, and as refine
 * code the 8-bit code that the centre is decoded from.
 */
static void
write_centers(VkBuild *build)
{
	VkCoder		coder = vk_center_coder(build->vk);
	static const VkCenter mean = {.a = 0, .norm = 0, .code = NULL};
	float	   *center = palloc(build->dim * sizeof(float));
	char	   *packed = palloc0(vk_packed_size(&coder));

	vk_writer_begin(&build->writer, &coder, VK_SLOT_CENTERS, build->lists);
	for (int i = 0; i < build->lists; i++)
	{
		const int8 *signed_code = build->center_codes + i * build->stride;
		float		a = build->center_scales[i];
		double		norm = vk_center_norm(signed_code, a, build->dim);
		ItemPointerData tid;
		VkRowCode	code;

		for (int j = 0; j < build->dim; j++)
			center[j] = a * signed_code[j];
		vk_packed_point(&coder, packed, &code);
		vk_row_encode(&coder, center, norm * norm, &mean, false, &code,
					  build->scratch);
		vk_refine_from_center(signed_code, a, build->dim, code.refine);
		ItemPointerSet(&tid, VK_SLOT_FIRST_LIST + i, 1);
		vk_writer_add(&build->writer, &tid, &code, NULL);
	}
	vk_writer_end(&build->writer);
	pfree(packed);
	pfree(center);
}

/*
 * Lists for the rows estimated (NUMERICS.md, section 3); 0: none.
 */
static int
choose_lists(VkBuild *build)
{
	double		rows_a_list;

	if (build->flat || build->sample.count == 0)
		return 0;
	if (build->wanted_lists > 0)
		return (int) Min(build->wanted_lists, Max(build->rows, 1));
	if (build->rows < MIN_LISTS_ROWS)
		return 0;

	rows_a_list = build->rows > 1e6 ? 256 * pow(build->rows / 1e6, 0.1) :
		Min(Max(sqrt(build->rows) / 4, 64), 256);
	rows_a_list = Max(rows_a_list, (double) VK_LANES * VK_PAGE_LINES /
					  build->vk->block_lines);
	return (int) Min(Max(build->rows / rows_a_list, 1), 4e6);
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
	int			dim = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;

	if (dim < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions")));
	if (dim > support->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %d dimensions for %s index",
						support->max_dim, method)));
	return dim;
}

/* what the catalogs say about an index, and its meta page without rows */
static void
build_init(VkBuild *build, Relation index, bool flat)
{
	VkOptions	options = vk_options_get(index);
	VkMeta	   *meta = &build->meta;

	check_columns(index, flat ? "vkflat" : "vkivf");
	memset(build, 0, sizeof(VkBuild));
	build->index = index;
	build->flat = flat;
	build->support = vk_support(index);
	build->dim = checked_dimensions(index, build->support,
									flat ? "vkflat" : "vkivf");
	build->wanted_lists = options.lists;
	build->calibrate = flat ? 0 : options.calibrate;
	build->seed = options.seed;
	build->memory = (Size) maintenance_work_mem * 1024;
	build->stride = TYPEALIGN(4, build->dim);
	vk_choose_codes(index, flat, build->dim, &build->format,
					&build->refine_bits);

	meta->magic = VK_MAGIC;
	meta->version = VK_FORMAT_VERSION;
	meta->dim = build->dim;
	meta->metric = build->support->metric;
	meta->format = build->format;
	meta->refine_bits = build->refine_bits;
	meta->flat = flat;
	meta->element = build->support->element;
	meta->seed = build->seed;
	meta->epoch = 1;
	meta->mean_head = InvalidBlockNumber;
	meta->attributes = vk_attribute_widths(index, meta->attribute_width);
	if (build->support->metric == VK_METRIC_L1)
		meta->step = vk_grid_step(NULL, 0, build->dim, NULL);
}

/* mean, centres, rows: everything but calibration and WAL */
static double
build_lists(VkBuild *build, double *entries)
{
	BuildScan	scan = {.build = build};
	float	   *mean;
	double		tuples;
	int			lists;

	vk_sample_table(build);
	mean = vk_sample_mean(build);
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

	if (!vk_load_centers(build))
	{
		lists = choose_lists(build);
		if (lists > 0)
			vk_sample_centers(build, lists);
	}
	if (build->lists > 0)
		write_centers(build);
	build->vk->lists = build->lists;
	build->meta.lists = build->lists;

	tuples = scan_heap(build, &scan);
	write_lists(&scan);
	build->meta.build_rows = build->meta.live_rows = scan.coded;
	vk_writer_finish(&build->writer, &build->meta);

	*entries = scan.rows;
	return tuples;
}

static IndexBuildResult *
build_index(Relation heap, Relation index, IndexInfo *info, bool flat)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	MemoryContext context,
				old;
	VkBuild		build;

	if (info->ii_ExclusionOps != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" does not support exclusion constraints",
						flat ? "vkflat" : "vkivf")));
	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data",
			 RelationGetRelationName(index));

	context = AllocSetContextCreate(CurrentMemoryContext, "vkindex build",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	build_init(&build, index, flat);
	build.heap = heap;
	build.info = info;
	build.row_context = AllocSetContextCreate(context, "vkindex build rows",
											  ALLOCSET_DEFAULT_SIZES);
	build.normalized = palloc(build.dim * sizeof(float));
	build.scratch = alloc_aligned(vk_scratch_size(build.dim));

	result->heap_tuples = build_lists(&build, &result->index_tuples);
	if (build.lists > 0 && build.calibrate > 0)
	{
		vk_calibrate(&build);
		vk_writer_meta(index, &build.meta);
	}
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, 0,
						  RelationGetNumberOfBlocks(index), true);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
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
	VkBuild		build;

	build_init(&build, index, flat);
	vk_writer_empty(index, INIT_FORKNUM, &build.meta);
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
