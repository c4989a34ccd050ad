/*-------------------------------------------------------------------------
 *
 * rewrite.c
 *	  Rewriting old lists into new ones: the one thing that changes lists.
 *
 * NOTES
 *	  The rows of the old lists are read in the order of their lists, with
 *	  their vectors from the table, assigned to the nearest of the operation's
 *	  centres, encoded and sorted (row_batch.c), as in an index build; then one
 *	  new list after the other is written.  Without centres the rows fill
 *	  segments in the order of the table.
 *
 *	  Rows go on coming to the old lists meanwhile.  Those are appended to the new
 *	  lists, which nobody sees yet, in rounds: each takes what came during the
 *	  one before.  When that is little, the old lists are closed one by one, and
 *	  the last rows follow.
 *
 *	  A centre that no row is nearest to gets no list, unless a row comes late.
 *
 * IDENTIFICATION
 *	  src/am/rewrite.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/vacuum.h"

#include "am/operation_pages.h"
#include "am/row_batch.h"
#include "am/test_point.h"
#include "am/upkeep.h"

#define WALK_ROWS		256		/* copied from a list at a time */
#define FEW_LATE_ROWS	256		/* then the old lists are closed */
#define LATE_ROUNDS		8		/* before they are closed anyway */

typedef struct Rewrite
{
	VkUpkeep   *upkeep;
	Relation	index;
	const VkIndex *vk;			/* how new lists are coded */
	const VkCenters *centers;	/* NULL: segments */
	VkRewriteStats *stats;
	VkOperation op;
	VkListWalk *walks;			/* of the old lists */
	VkListRow  *walked;			/* WALK_ROWS of them */
	VkRowBatch	batch;
	VkRowSort	sort;
	int64	   *rows;			/* sorted so far, of each list; segments: of all */
	VkOperationPages pages;
	VkListWriter writer;
	char	   *packed;			/* a late row */
	uint32	   *slots;			/* of each centre's list, 0: none; segments: of
								 * the last one */
} Rewrite;

typedef void (*PutRow) (Rewrite *rewrite, int i);	/* row i of the batch */

/* ---- reading old lists ---- */

static void
flush_batch(Rewrite *rewrite, PutRow put)
{
	vk_batch_assign(&rewrite->batch);
	for (int i = 0; i < rewrite->batch.count; i++)
		put(rewrite, i);
	rewrite->batch.count = 0;
}

/* returns whether the row is still there */
static bool
take_row(Rewrite *rewrite, VkListRow *row, PutRow put)
{
	const float *vector;
	bool		wild;
	VkRowState	state = vk_row_vector(rewrite->upkeep, &row->tid, &vector, &wild);
	int			i;

	if (state == VK_ROW_GONE)
	{
		rewrite->stats->gone++;
		return false;
	}
	i = vk_batch_add(&rewrite->batch, &row->tid,
					 state == VK_ROW_LIVE ? vector : NULL, wild);
	rewrite->batch.attributes[i] = row->attributes;
	if (rewrite->batch.count == VK_ASSIGN_ROWS)
		flush_batch(rewrite, put);
	return true;
}

/* go on with a walk to the end that its list has now; returns rows taken */
static int64
walk_list(Rewrite *rewrite, VkListWalk *walk, PutRow put)
{
	int64		taken = 0;
	int			count;

	while ((count = vk_list_walk_next(walk, rewrite->index, rewrite->walked,
									  WALK_ROWS)) > 0)
		for (int i = 0; i < count; i++)
		{
			VK_VACUUM_DELAY_POINT();
			taken += take_row(rewrite, &rewrite->walked[i], put);
		}
	return taken;
}

static int64
walk_lists(Rewrite *rewrite, PutRow put)
{
	int64		taken = 0;

	for (int64 i = 0; i < rewrite->op.old_count; i++)
		taken += walk_list(rewrite, &rewrite->walks[i], put);
	flush_batch(rewrite, put);
	return taken;
}

static void
sort_row(Rewrite *rewrite, int i)
{
	rewrite->rows[rewrite->batch.list[i]]++;
	vk_sort_add(&rewrite->sort, &rewrite->batch, i);
}

/* ---- writing new lists ---- */

/* a new list for a centre, or a new segment */
static uint32
make_list(Rewrite *rewrite, int list)
{
	const VkCenters *centers = rewrite->centers;
	uint32		number = vk_operation_new_list(&rewrite->op,
											   centers == NULL ? VK_SLOT_SEGMENT :
											   vk_list_flags(&rewrite->vk->coder));

	if (centers != NULL)
		vk_operation_put_center(&rewrite->op, number,
								centers->codes + list * centers->stride,
								centers->scales[list]);
	rewrite->slots[list] = number;
	rewrite->stats->new_lists++;
	return number;
}

/* write the next sorted rows as a list of their own */
static void
write_list(Rewrite *rewrite, int list, int64 rows)
{
	VkListWriter *writer = &rewrite->writer;
	uint32		number = make_list(rewrite, list);
	VkSummary	summaries[VK_MAX_ATTRIBUTES];
	VkSlot		slot;

	for (int i = 0; i < rewrite->vk->attributes; i++)
		vk_summary_init(&summaries[i]);
	vk_slot_read(rewrite->index, NULL, number, &slot);
	vk_list_writer_begin(writer, &rewrite->vk->coder, number, rows, summaries);
	vk_sort_write(&rewrite->sort, writer, rows);
	vk_list_writer_end(writer);
	vk_operation_pages_end(&rewrite->pages, &writer->list);

	writer->list.flags = slot.flags;
	writer->list.summary = slot.summary;
	vk_summary_write(rewrite->index, rewrite->vk, number, &slot, summaries);
	vk_operation_set_list(&rewrite->op, number, &writer->list);
	rewrite->stats->rows += rows;
}

static void
write_lists(Rewrite *rewrite)
{
	const VkCenters *centers = rewrite->centers;
	int64		most = centers == NULL ? vk_segment_rows(rewrite->vk) : PG_INT64_MAX;
	int64		lists = centers == NULL ? 1 : centers->count;

	for (int64 list = 0; list < lists; list++)
		for (int64 left = rewrite->rows[list]; left > 0;)
		{
			int64		rows = Min(left, most);

			VK_VACUUM_DELAY_POINT();
			write_list(rewrite, (int) list, rows);
			left -= rows;
		}
}

/* ---- rows that come late ---- */

/* append to a new list; false: it is a segment that is full */
static bool
append_to(Rewrite *rewrite, uint32 number, const VkRow *row)
{
	int64		most = rewrite->centers == NULL ? VK_SEGMENT_ROWS : PG_INT64_MAX;
	VkSlot		slot;

	vk_slot_read(rewrite->index, NULL, number, &slot);
	return vk_list_try_append(rewrite->index, rewrite->vk, number, &slot, row,
							  most, true) == VK_APPENDED;
}

static void
append_row(Rewrite *rewrite, int i)
{
	VkRowBatch *batch = &rewrite->batch;
	int			list = batch->list[i];
	VkRow		row;

	vk_batch_pack(batch, i, rewrite->packed);
	vk_packed_row(rewrite->vk, &batch->tids[i], rewrite->packed, &row);
	if (rewrite->slots[list] != 0 &&
		append_to(rewrite, rewrite->slots[list], &row))
		return;
	/* no list yet, or the last segment is full */
	if (!append_to(rewrite, make_list(rewrite, list), &row))
		elog(ERROR, "new list of index \"%s\" takes no rows",
			 RelationGetRelationName(rewrite->index));
}

static void
take_late_rows(Rewrite *rewrite)
{
	VkRewriteStats *stats = rewrite->stats;
	int64		late = FEW_LATE_ROWS;

	for (int round = 0; round < LATE_ROUNDS && late >= FEW_LATE_ROWS; round++)
	{
		late = walk_lists(rewrite, append_row);
		stats->late_rows += late;
	}
	for (int64 i = 0; i < rewrite->op.old_count; i++)
	{
		vk_operation_close(&rewrite->op, &rewrite->op.old[i]);
		stats->late_rows += walk_list(rewrite, &rewrite->walks[i], append_row);
	}
	flush_batch(rewrite, append_row);
}

/* ---- the whole ---- */

static void
begin_rewrite(Rewrite *rewrite, const uint32 *lists, int64 count)
{
	VkUpkeep   *upkeep = rewrite->upkeep;
	const VkCenters *centers = rewrite->centers;
	const VkIndex *vk = rewrite->vk;
	int			new_lists = centers == NULL ? 0 : (int) centers->count;

	vk_operation_begin(&rewrite->op, upkeep->index, upkeep->heap, vk);
	rewrite->walks = MemoryContextAllocHuge(CurrentMemoryContext,
											(count + 1) * sizeof(VkListWalk));
	rewrite->walked = palloc(WALK_ROWS * sizeof(VkListRow));
	for (int64 i = 0; i < count; i++)
	{
		VkOldList  *old = vk_operation_add_old(&rewrite->op, lists[i]);

		vk_list_walk_begin(&rewrite->walks[i], upkeep->vk, lists[i], &old->slot);
	}
	rewrite->stats->old_lists += count;

	vk_batch_init(&rewrite->batch, vk, vk_aligned_alloc(vk_scratch_size(vk->coder.dim)),
				  new_lists, new_lists == 0 ? NULL : centers->codes,
				  new_lists == 0 ? NULL : centers->scales);
	vk_sort_init(&rewrite->sort, vk);
	rewrite->rows = MemoryContextAllocExtended(CurrentMemoryContext,
											   (new_lists + 1) * sizeof(int64),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	rewrite->slots = MemoryContextAllocExtended(CurrentMemoryContext,
												(new_lists + 1) * sizeof(uint32),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	vk_operation_pages_init(&rewrite->pages, upkeep->index);
	vk_list_writer_init(&rewrite->writer, vk, &vk_operation_sink, &rewrite->pages,
						rewrite->op.epoch);
	rewrite->packed = palloc(vk_packed_row_size(vk));
}

/* what the rest has left of the memory; an eighth stays free, as in a build */
static Size
sort_memory(const Rewrite *rewrite)
{
	int			lists = rewrite->batch.lists;
	Size		held = vk_batch_size(rewrite->vk->coder.dim, lists) +
		lists * (sizeof(int64) + sizeof(uint32)) +
		rewrite->op.old_count * (sizeof(VkListWalk) + sizeof(VkOldList)) +
		VK_PENDING_PAGES * sizeof(VkPendingPage);
	Size		memory = rewrite->upkeep->memory;

	return memory > held ? (memory - held) / 8 * 7 : 0;
}

void
vk_rewrite(VkUpkeep *upkeep, const VkIndex *vk, const uint32 *lists, int64 count,
		   const VkCenters *centers, const VkOperationChange *change,
		   VkRewriteStats *stats)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex rewrite",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Rewrite	   *rewrite = palloc0(sizeof(Rewrite));
	VkOperationChange made = *change;
	const int64 rows_before = stats->rows;

	Assert(centers == NULL || centers->count > 0);
	rewrite->upkeep = upkeep;
	rewrite->index = upkeep->index;
	rewrite->vk = vk;
	rewrite->centers = centers;
	rewrite->stats = stats;
	begin_rewrite(rewrite, lists, count);

	vk_sort_begin(&rewrite->sort, sort_memory(rewrite), NULL);
	walk_lists(rewrite, sort_row);
	vk_sort_perform(&rewrite->sort);
	write_lists(rewrite);
	vk_sort_end(&rewrite->sort);
	vk_sort_drop(&rewrite->sort);
	vk_rows_release(upkeep);
	vk_test_point("operation-made");

	take_late_rows(rewrite);
	vk_rows_release(upkeep);
	stats->residual += rewrite->writer.residual;
	made.residual = rewrite->writer.residual / Max(stats->rows - rows_before, 1);
	if (made.coded)
		made.mean_head = vk_operation_put_mean(&rewrite->op, vk->coder.mean);
	vk_operation_commit(&rewrite->op, &made);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
