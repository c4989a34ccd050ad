/*-------------------------------------------------------------------------
 *
 * build_scan.c
 *	  CREATE INDEX: from the rows of the table to lists and segments.
 *
 * NOTES
 *	  Each process scans a part of the table.  Rows are handled in batches:
 *	  detoasted, rotated, assigned to the nearest centre (quant/assign.c) by the int8
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
#include "am/test_point.h"
#include "am/toast_reader.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "vk_compat.h"

#define MIN_SORT	(1024 * 1024)	/* for one process, whatever that costs */
#define MIN_SHARE	(256 * 1024)	/* for each of several */

/* one process's part of the heap scan */
typedef struct BuildScan
{
	VkBuild    *build;
	VkScanTotals totals;
	BlockNumber block;			/* of the last row, and its place there */
	int			place;

	int64		unreported;		/* rows not yet in the progress shown */
	VkRowBatch	batch;
	VkRowSort	sort;			/* not begun: rows go to segments as they come */

	/* the leader, without centres: the segment being filled */
	char	   *segment;		/* packed rows */
	ItemPointerData *segment_tids;
	int			segment_rows;
	int			segment_filled;
	uint32		segment_slot;
} BuildScan;

/* ---- rows ---- */

/*
 * vk_build_vectors -- vectors of a column value (see build.h)
 */
int
vk_build_vectors(VkBuild *build, Datum value, Datum **vectors)
{
	Datum	   *plain = palloc(sizeof(Datum));

	*plain = PointerGetDatum(build->toast != NULL ?
							 vk_toast_reader_try(build->toast, value) :
							 PG_DETOAST_DATUM(value));
	if (DatumGetPointer(*plain) == NULL)
		return 0;
	return vk_support_vectors(build->support, plain, vectors);
}

/*
 * vk_build_floats -- floats of a vector (see build.h)
 */
const float *
vk_build_floats(VkBuild *build, Datum value, bool *wild)
{
	const VkLayout *layout = build->support->layout;
	const float *vector;
	int			dim = layout->dim(value);

	if (dim != build->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", build->dim, dim)));

	vector = layout->floats(value, build->floats);
	*wild = false;
	if (build->support->metric != VK_METRIC_COSINE)
		return vector;
	return vk_normalize(vector, dim, build->normalized, wild) ?
		build->normalized : NULL;
}

/* write a packed row to the list that the writer has begun */
static void
write_row(VkBuild *build, ItemPointer tid, char *packed)
{
	VkRow		row;

	vk_packed_row(build->vk, tid, packed, &row);
	vk_list_writer_add(&build->writer.lists, &row.tid, &row.code,
					   &row.attributes);
}

/* ---- segments: lists without a centre ---- */

static void
segment_init(BuildScan *scan)
{
	const VkIndex *vk = scan->build->vk;

	scan->segment_rows = vk_segment_rows(vk);
	scan->segment = MemoryContextAllocHuge(CurrentMemoryContext,
										   scan->segment_rows *
										   vk_packed_row_size(vk));
	scan->segment_tids = palloc(scan->segment_rows * sizeof(ItemPointerData));
	scan->segment_slot = VK_SLOT_FIRST_LIST;
}

static void
segment_write(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	Size		row_size = vk_packed_row_size(build->vk);

	if (scan->segment_filled == 0)
		return;

	vk_writer_begin(&build->writer, &build->vk->coder, scan->segment_slot,
					scan->segment_filled);
	build->writer.lists.list.flags = VK_SLOT_SEGMENT;
	for (int i = 0; i < scan->segment_filled; i++)
		write_row(build, &scan->segment_tids[i], scan->segment + i * row_size);
	vk_writer_end(&build->writer);
	build->meta.open_slot[0] = scan->segment_slot++;
	build->meta.segments++;
	scan->segment_filled = 0;
}

/* where the next row of the segment is packed */
static char *
segment_place(BuildScan *scan)
{
	return scan->segment +
		scan->segment_filled * vk_packed_row_size(scan->build->vk);
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

/* the sample and the centres, of which each process has a copy to assign rows by */
static Size
memory_held(const VkBuild *build, int processes)
{
	return vk_sample_size(build) + vk_centers_size(build, build->lists) +
		processes * vk_batch_size(build->dim, build->lists);
}

/*
 * What maintenance_work_mem has left for each sort.  An eighth stays free: a
 * sort takes somewhat more than it counts.
 */
static Size
sort_memory(const VkBuild *build)
{
	int			processes = vk_crew_size(build);
	Size		held = memory_held(build, processes);
	Size		left = build->memory > held ? (build->memory - held) / 8 * 7 : 0;
	Size		least = processes > 1 ? MIN_SHARE : MIN_SORT;

	return Max(left / processes, least);
}

/* ---- the heap scan ---- */

static void
put_row(BuildScan *scan, int i)
{
	VkBuild    *build = scan->build;
	VkRowBatch *batch = &scan->batch;

	if (build->lists > 0)
		pg_atomic_fetch_add_u64(&build->list_rows[batch->list[i]], 1);
	if (scan->sort.state != NULL)
		vk_sort_add(&scan->sort, batch, i);
	else
	{
		vk_batch_pack(batch, i, segment_place(scan));
		segment_add(scan, &batch->tids[i]);
	}
}

static void
flush_batch(BuildScan *scan)
{
	VkRowBatch *batch = &scan->batch;

	vk_batch_assign(batch);
	for (int i = 0; i < batch->count; i++)
		put_row(scan, i);
	batch->count = 0;
	vk_build_progress(scan->build, scan->unreported);
	scan->unreported = 0;
}

/* a row without a distance, in its turn */
static void
rest_row(BuildScan *scan, uint32 slot, ItemPointer tid)
{
	if (scan->sort.state == NULL)
	{
		flush_batch(scan);
		vk_writer_rest(&scan->build->writer, slot, tid);
		return;
	}
	vk_sort_add_rest(&scan->sort, scan->build->lists, tid, scan->place, slot);
}

/* a row's vectors; returns how many of them have a distance */
static int
batch_vectors(BuildScan *scan, ItemPointer tid, Datum *values, bool *isnull,
			  MemoryContext context)
{
	VkBuild    *build = scan->build;
	VkAttributes attributes;
	Datum	   *vectors;
	int			count = vk_build_vectors(build, values[0], &vectors);
	int			coded = 0;

	vk_attributes_form(build->vk, values, isnull, &attributes);
	for (int i = 0; i < count; i++)
	{
		bool		wild;
		const float *vector = vk_build_floats(build, vectors[i], &wild);
		int			added;

		if (vector == NULL)
			continue;
		if (scan->batch.count == VK_ASSIGN_ROWS)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			flush_batch(scan);
			MemoryContextSwitchTo(old);
		}
		added = vk_batch_add(&scan->batch, tid, vector, wild);
		scan->batch.attributes[added] = attributes;
		scan->batch.places[added] = scan->place;
		coded++;
	}
	return coded;
}

static void
batch_row(BuildScan *scan, ItemPointer tid, Datum *values, bool *isnull)
{
	VkBuild    *build = scan->build;
	MemoryContext old = MemoryContextSwitchTo(build->row_context);
	int			coded = batch_vectors(scan, tid, values, isnull, old);

	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row_context);

	scan->totals.coded += coded;
	scan->unreported += Max(coded, 1);
	if (coded == 0)
		rest_row(scan, VK_SLOT_REST_NAN, tid);
}

static void
build_row(Relation index, ItemPointer tid, Datum *values, bool *isnull,
		  bool alive, void *state)
{
	BuildScan  *scan = state;

	vk_test_point("build-row");
	scan->place++;
	if (scan->block != ItemPointerGetBlockNumber(tid))
	{
		scan->block = ItemPointerGetBlockNumber(tid);
		scan->place = 0;
	}
	scan->totals.rows++;
	if (isnull[0])
	{
		scan->unreported++;
		rest_row(scan, VK_SLOT_REST_NULL, tid);
	}
	else
		batch_row(scan, tid, values, isnull);
	if (scan->batch.count == VK_ASSIGN_ROWS || scan->unreported >= VK_SEGMENT_ROWS)
		flush_batch(scan);
}

static void *
scan_begin(VkBuild *build)
{
	BuildScan  *scan = palloc0(sizeof(BuildScan));

	vk_centers_attach(build);
	/* for its size: what all hold in common is no sort's (sort_memory) */
	vk_sample_attach(build);
	scan->build = build;
	scan->block = InvalidBlockNumber;
	vk_batch_init(&scan->batch, build->vk, build->scratch, build->lists,
				  build->center_codes, build->center_scales);
	vk_sort_init(&scan->sort, build->vk);
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
	TableScanDesc shared = vk_crew_scan(build);

	if (vk_crew_sorted(build))
		vk_sort_begin(&scan->sort, sort_memory(build), coordinate);
	scan->totals.tuples =
		table_index_build_scan(build->heap, build->index, build->info,
							   build->lists > 0 || shared != NULL,
							   vk_crew_leads(build), build_row, scan, shared);
	flush_batch(scan);
	scan->totals.broken_hot = build->info->ii_BrokenHotChain;
	vk_crew_add_totals(build, &scan->totals);
	if (scan->sort.state != NULL)
		vk_sort_perform(&scan->sort);
	if (coordinate != NULL)
		vk_sort_end(&scan->sort);
}

const VkStageRoutine vk_scan_stage = {scan_begin, scan_work};

/* ---- the leader: writing what was sorted ---- */

static void
write_list(BuildScan *scan, int list)
{
	VkBuild    *build = scan->build;
	int64		rows = pg_atomic_read_u64(&build->list_rows[list]);

	vk_writer_begin(&build->writer, &build->vk->coder,
					build->first_list + list, rows);
	build->writer.lists.list.flags = vk_list_flags(&build->vk->coder);
	vk_sort_write(&scan->sort, &build->writer.lists, rows);
	vk_writer_end(&build->writer);
	vk_build_progress(build, rows);
}

static void
write_sorted(BuildScan *scan)
{
	VkBuild    *build = scan->build;
	ItemPointerData tid;
	char	   *packed;
	uint32		rest_slot;

	for (int list = 0; list < build->lists; list++)
		write_list(scan, list);
	while (vk_sort_next(&scan->sort, &tid, &packed, &rest_slot))
	{
		vk_build_progress(build, 1);
		if (packed == NULL)
		{
			vk_writer_rest(&build->writer, rest_slot, &tid);
			continue;
		}
		if (build->lists > 0)
			elog(ERROR, "sorted rows do not end");
		memcpy(segment_place(scan), packed, vk_packed_row_size(build->vk));
		segment_add(scan, &tid);
	}
	vk_sort_end(&scan->sort);
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
	int			processes = vk_crew_size(build);
	bool		alone = build->memory < memory_held(build, processes) +
		processes * (Size) MIN_SHARE;

	vk_crew_set_sorted(build, build->lists > 0 || processes > 1);
	vk_build_phase(build, VK_PHASE_ASSIGN, (int64) build->rows);
	scan = vk_stage_begin(build, VK_STAGE_SCAN, alone);
	if (build->lists == 0)
		segment_init(scan);
	vk_stage_run(build, 1);
	totals = vk_crew_totals(build);
	build->info->ii_BrokenHotChain = totals.broken_hot;

	vk_build_phase(build, VK_PHASE_WRITE, (int64) Max(totals.rows, totals.coded));
	merge = vk_crew_merge(build);
	if (merge != NULL)
	{
		vk_sort_begin(&scan->sort, sort_memory(build), merge);
		vk_sort_perform(&scan->sort);
	}
	if (scan->sort.state != NULL)
		write_sorted(scan);
	segment_write(scan);
	vk_sort_drop(&scan->sort);
	vk_stage_end(build);
	return totals;
}
