/*-------------------------------------------------------------------------
 *
 * build_scan.c
 *	  CREATE INDEX: from the rows of the table to lists and segments.
 *
 * NOTES
 *	  Each process scans a part of the table.  Rows are handled in batches:
 *	  detoasted, rotated, assigned to the nearest of all centres by the int8
 *	  tile, encoded against it and sorted by list; then the leader merges what
 *	  the processes have sorted and writes it.
 *
 *	  Within a list rows lie in the order of the table, as one process alone
 *	  would meet them, so the index has the same pages whoever scanned what.
 *	  Without centres (vkflat; few rows) that order is the only one: rows fill
 *	  one segment after another, and where there is one process they need no
 *	  sort.  Rows without a distance come at the end, or, without centres, when
 *	  their turn comes.
 *
 * IDENTIFICATION
 *	  src/am/build_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/build.h"

#include "access/tableam.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "vk_compat.h"

#define SEGMENT_BYTES		(8 * 1024 * 1024)	/* of one segment at most */
#define MIN_SORT_KILOBYTES	1024	/* whatever that costs, one process */
#define MIN_SHARE_KILOBYTES	256 /* each of several */

/* columns of the tuples that are sorted */
#define SORT_KEY			1	/* list << 32 | heap block */
#define SORT_PLACE			2	/* place among the block's rows << 16 | offset */
#define SORT_ROW			3	/* packed row; rest rows: their slot, one byte */
#define SORT_COLUMNS		3

/* one process's part of the heap scan */
typedef struct BuildScan
{
	VkBuild    *build;
	VkAssigner	assigner;
	VkCenter   *centers;		/* by list */
	VkScanTotals totals;
	BlockNumber block;			/* of the last row, and its place there */
	int			place;

	/* the batch */
	int			batched;
	ItemPointerData tids[VK_ASSIGN_ROWS];
	int			places[VK_ASSIGN_ROWS];
	bool		wild[VK_ASSIGN_ROWS];
	double		norm2[VK_ASSIGN_ROWS];
	float		scales[VK_ASSIGN_ROWS];
	int32		list[VK_ASSIGN_ROWS];
	VkAttributes attributes[VK_ASSIGN_ROWS];
	float	   *rotated;		/* dim floats a row */
	int8	   *codes;			/* stride bytes a row */
	int64		unreported;		/* rows not yet in the progress shown */

	/* the sort */
	Tuplesortstate *sort;		/* NULL: rows go to segments as they come */
	TupleTableSlot *slot;
	bytea	   *packed;			/* one packed row */
	bytea	   *rest;			/* what stands for a rest row */

	/* the leader, without centres: the segment being filled */
	char	   *segment;		/* packed rows */
	ItemPointerData *segment_tids;
	int			segment_rows;
	int			segment_filled;
	uint32		segment_slot;
} BuildScan;

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

/* where the next row of the segment is packed */
static char *
segment_place(BuildScan *scan)
{
	return scan->segment +
		scan->segment_filled * packed_row_size(scan->build->vk);
}

/* it has been */
static void
segment_add(BuildScan *scan, ItemPointer tid)
{
	scan->segment_tids[scan->segment_filled++] = *tid;
	if (scan->segment_filled == scan->segment_rows)
		segment_write(scan);
}

/* ---- the sort ---- */

static TupleDesc
sort_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(SORT_COLUMNS);

	TupleDescInitEntry(desc, SORT_KEY, "key", INT8OID, -1, 0);
	TupleDescInitEntry(desc, SORT_PLACE, "place", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SORT_ROW, "row", BYTEAOID, -1, 0);
	vk_tuple_desc_finalize(desc);
	return desc;
}

static bytea *
make_bytea(Size size)
{
	bytea	   *value = palloc0(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	return value;
}

/*
 * What maintenance_work_mem has left for each sort, in kilobytes.  An eighth
 * stays free: a sort takes somewhat more than it counts.
 */
static int
sort_memory(const VkBuild *build)
{
	int			processes = vk_crew_size(build);
	Size		held = vk_sample_size(build) +
		vk_centers_size(build, build->lists) +
		processes * (build->lists * sizeof(VkCenter) +
					 vk_assigner_size(build->dim, build->lists));
	Size		left = build->memory > held ? (build->memory - held) / 8 * 7 : 0;
	Size		least = processes > 1 ? MIN_SHARE_KILOBYTES : MIN_SORT_KILOBYTES;

	return (int) Min(Max(left / 1024 / processes, least), MAX_KILOBYTES);
}

static Tuplesortstate *
sort_begin(TupleDesc desc, int kilobytes, SortCoordinate coordinate)
{
	AttrNumber	columns[] = {SORT_KEY, SORT_PLACE};
	Oid			operators[] = {Int8LessOperator, Int4LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false};

	return tuplesort_begin_heap(desc, lengthof(columns), columns, operators,
								collations, nulls_first, kilobytes,
								coordinate, TUPLESORT_NONE);
}

static void
sort_put(BuildScan *scan, int list, ItemPointer tid, int place, bytea *row)
{
	TupleTableSlot *slot = scan->slot;

	ExecClearTuple(slot);
	slot->tts_values[SORT_KEY - 1] =
		Int64GetDatum((int64) list << 32 | ItemPointerGetBlockNumber(tid));
	slot->tts_values[SORT_PLACE - 1] =
		Int32GetDatum(place << 16 | ItemPointerGetOffsetNumber(tid));
	slot->tts_values[SORT_ROW - 1] = PointerGetDatum(row);
	memset(slot->tts_isnull, false, SORT_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(scan->sort, slot);
}

/* ---- the heap scan ---- */

static void
sort_row(BuildScan *scan, int i)
{
	static const VkCenter mean = {.a = 0, .norm = 0, .code = NULL};
	VkBuild    *build = scan->build;
	int			list = build->lists > 0 ? scan->list[i] : 0;

	pack_row(scan, i, build->lists > 0 ? &scan->centers[list] : &mean,
			 VARDATA(scan->packed));
	if (build->lists > 0)
		pg_atomic_fetch_add_u64(&build->list_rows[list], 1);
	sort_put(scan, list, &scan->tids[i], scan->places[i], scan->packed);
}

static void
segment_row(BuildScan *scan, int i)
{
	static const VkCenter mean = {.a = 0, .norm = 0, .code = NULL};

	pack_row(scan, i, &mean, segment_place(scan));
	segment_add(scan, &scan->tids[i]);
}

static void
flush_batch(BuildScan *scan)
{
	VkBuild    *build = scan->build;

	if (scan->batched > 0 && build->lists > 0)
		vk_assign(&scan->assigner, scan->codes, build->stride, scan->scales,
				  scan->batched, scan->list);
	for (int i = 0; i < scan->batched; i++)
	{
		if (scan->sort != NULL)
			sort_row(scan, i);
		else
			segment_row(scan, i);
	}
	scan->batched = 0;
	vk_build_progress(build, scan->unreported);
	scan->unreported = 0;
}

/* a row without a distance, in its turn */
static void
rest_row(BuildScan *scan, uint32 slot, ItemPointer tid)
{
	if (scan->sort == NULL)
	{
		flush_batch(scan);
		vk_writer_rest(&scan->build->writer, slot, tid);
		return;
	}
	*VARDATA(scan->rest) = (char) slot;
	sort_put(scan, scan->build->lists, tid, scan->place, scan->rest);
}

static void
batch_row(BuildScan *scan, ItemPointer tid, Datum *values, bool *isnull)
{
	VkBuild    *build = scan->build;
	int			i = scan->batched;
	MemoryContext old = MemoryContextSwitchTo(build->row_context);
	const float *vector = vk_build_vector(build, values[0], &scan->wild[i]);

	if (vector != NULL)
	{
		vk_build_rotate(build, vector, scan->rotated + (Size) i * build->dim,
						&scan->norm2[i], scan->codes + i * build->stride,
						&scan->scales[i]);
		vk_attributes_form(build->vk, values, isnull, &scan->attributes[i]);
		scan->tids[i] = *tid;
		scan->places[i] = scan->place;
		scan->batched++;
		scan->totals.coded++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);

	if (vector == NULL)
		rest_row(scan, VK_SLOT_REST_NAN, tid);
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		  bool alive, void *state)
{
	BuildScan  *scan = state;

	scan->place++;
	if (scan->block != ItemPointerGetBlockNumber(tid))
	{
		scan->block = ItemPointerGetBlockNumber(tid);
		scan->place = 0;
	}
	scan->totals.rows++;
	scan->unreported++;
	if (isnull[0])
		rest_row(scan, VK_SLOT_REST_NULL, tid);
	else
		batch_row(scan, tid, values, isnull);
	if (scan->batched == VK_ASSIGN_ROWS || scan->unreported >= VK_SEGMENT_ROWS)
		flush_batch(scan);
}

/* centres as rows are coded against them, and the assigner */
static void
centers_init(BuildScan *scan)
{
	VkBuild    *build = scan->build;

	scan->centers = MemoryContextAllocHuge(CurrentMemoryContext,
										   build->lists * sizeof(VkCenter));
	for (int i = 0; i < build->lists; i++)
	{
		VkCenter   *center = &scan->centers[i];

		center->code = build->center_codes + i * build->stride;
		center->a = build->center_scales[i];
		center->norm = vk_center_norm(center->code, center->a, build->dim);
	}
	vk_assigner_init(&scan->assigner, build->dim, build->lists,
					 build->center_codes, build->stride, build->center_scales,
					 vk_build_alloc(vk_assigner_size(build->dim, build->lists)));
}

static void *
scan_begin(VkBuild *build)
{
	BuildScan  *scan = palloc0(sizeof(BuildScan));

	vk_centers_attach(build);
	scan->build = build;
	scan->block = InvalidBlockNumber;
	scan->rotated = palloc_extended((Size) VK_ASSIGN_ROWS * build->dim * sizeof(float),
									MCXT_ALLOC_HUGE);
	scan->codes = palloc0((Size) VK_ASSIGN_ROWS * build->stride);
	if (build->lists > 0)
		centers_init(scan);
	scan->slot = MakeSingleTupleTableSlot(sort_descriptor(), &TTSOpsVirtual);
	scan->packed = make_bytea(packed_row_size(build->vk));
	scan->rest = make_bytea(1);
	return scan;
}

/*
 * A sort of several is begun and ended by each process within the job; what it
 * sorted stays on tape.
 */
static void
scan_work(VkBuild *build, void *state)
{
	BuildScan  *scan = state;
	SortCoordinate coordinate = vk_crew_sort(build);

	if (vk_crew_sorted(build))
		scan->sort = sort_begin(scan->slot->tts_tupleDescriptor,
								sort_memory(build),
								coordinate);
	scan->totals.tuples =
		table_index_build_scan(build->heap, build->index, build->info,
							   build->lists > 0, vk_crew_leads(build), build_row,
							   scan, vk_crew_scan(build));
	flush_batch(scan);
	scan->totals.broken_hot = build->info->ii_BrokenHotChain;
	vk_crew_add_totals(build, &scan->totals);
	if (scan->sort != NULL)
		tuplesort_performsort(scan->sort);
	if (coordinate != NULL)
	{
		tuplesort_end(scan->sort);
		scan->sort = NULL;
	}
}

const VkStageRoutine vk_scan_stage = {scan_begin, scan_work};

/* ---- the leader: writing what was sorted ---- */

/* the next sorted row; returns false at the end, *row is NULL for rest rows */
static bool
next_sorted(BuildScan *scan, TupleTableSlot *slot, ItemPointer tid, char **row)
{
	bool		isnull;
	bytea	   *value;

	if (!tuplesort_gettupleslot(scan->sort, true, false, slot, NULL))
		return false;
	ItemPointerSet(tid,
				   (BlockNumber) DatumGetInt64(slot_getattr(slot, SORT_KEY, &isnull)),
				   (OffsetNumber) DatumGetInt32(slot_getattr(slot, SORT_PLACE, &isnull)));
	value = (bytea *) DatumGetPointer(slot_getattr(slot, SORT_ROW, &isnull));
	*row = VARDATA_ANY(value);
	if (VARSIZE_ANY_EXHDR(value) == 1)
	{
		vk_writer_rest(&scan->build->writer, **row, tid);
		*row = NULL;
	}
	vk_build_progress(scan->build, 1);
	return true;
}

static void
write_list(BuildScan *scan, int list, TupleTableSlot *slot)
{
	VkBuild    *build = scan->build;
	int64		rows = pg_atomic_read_u64(&build->list_rows[list]);

	vk_writer_begin(&build->writer, &build->vk->coder,
					VK_SLOT_FIRST_LIST + list, rows);
	for (int64 i = 0; i < rows; i++)
	{
		ItemPointerData tid;
		char	   *row;

		if (!next_sorted(scan, slot, &tid, &row) || row == NULL)
			elog(ERROR, "sorted rows end early");
		write_row(build, &tid, row);
	}
	vk_writer_end(&build->writer);
}

static void
write_sorted(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(scan->slot->tts_tupleDescriptor,
													&TTSOpsMinimalTuple);
	ItemPointerData tid;
	char	   *row;

	for (int list = 0; list < build->lists; list++)
		write_list(scan, list, slot);
	while (next_sorted(scan, slot, &tid, &row))
	{
		if (row == NULL)
			continue;
		if (build->lists > 0)
			elog(ERROR, "sorted rows do not end");
		memcpy(segment_place(scan), row, packed_row_size(build->vk));
		segment_add(scan, &tid);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_end(scan->sort);
}

/*
 * vk_build_rows -- scan the table and write what it holds (see build.h)
 */
VkScanTotals
vk_build_rows(VkBuild *build)
{
	VkScanTotals totals;
	BuildScan  *scan;
	SortCoordinate merge;

	vk_crew_set_sorted(build, build->lists > 0 || vk_crew_size(build) > 1);
	vk_build_phase(build, VK_PHASE_ASSIGN, (int64) build->rows);
	scan = vk_stage_begin(build, VK_STAGE_SCAN, false);
	if (build->lists == 0)
		segment_init(scan);
	vk_stage_run(build, 1);
	totals = vk_crew_totals(build);
	build->info->ii_BrokenHotChain = totals.broken_hot;

	vk_build_phase(build, VK_PHASE_WRITE, (int64) totals.rows);
	merge = vk_crew_merge(build);
	if (merge != NULL)
	{
		scan->sort = sort_begin(scan->slot->tts_tupleDescriptor,
								sort_memory(build), merge);
		tuplesort_performsort(scan->sort);
	}
	if (scan->sort != NULL)
		write_sorted(scan);
	segment_write(scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	vk_stage_end(build);
	return totals;
}
