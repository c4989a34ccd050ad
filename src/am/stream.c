/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  Scans without an ORDER BY: every row that matches, in no order.
 *
 * NOTES
 *	  Pages are read until some rows are found, whose pages in the table are asked
 *	  for together, and these are returned before the next is read, so any number of
 *	  rows takes no memory.  Where there is a radius, bounds
 *	  decide on most rows; the others are decided by their exact distance, or
 *	  left to the executor in a bitmap scan, which has no table to look into.
 *	  On a standby that lists were missing is known at the end only; the rows that
 *	  were returned until then are right.
 *
 *	  Where somebody has found the rows within the radius before (VkAnswer), they
 *	  are the stream.  Conditions on attribute columns were not looked at then:
 *	  the executor does.
 *
 * IDENTIFICATION
 *	  src/am/stream.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "nodes/tidbitmap.h"

#include "am/scan.h"
#include "am/upkeep.h"
#include "kernels/rounding.h"

void
vk_stream_start(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	vk_scan_init_round(scan, &so->round);
	if (!so->scored)
		vk_search_reset_unscored(so->search, &so->meta, &so->stats);
	vk_search_begin(so->search, &so->round);
	so->stats.exhaustive = so->strict || !so->scored;
	so->page = NULL;
	so->rest = NULL;
	so->ask = 0;
	if (scan->heapRelation != NULL)
		vk_scan_ask_begin(so);
	so->phase = VK_PHASE_STREAM;
}

/* is a row's distance known to lie inside the radius, or of no interest? */
static bool
is_sure(const VkScan *so, const VkCandidate *entry)
{
	if (!so->keys.ranged)
		return true;
	return so->scored &&
		(so->round.proven || vk_metric_of_bits(so->vk->coder.metric)) &&
		entry->upper < vk_round_down(so->round.radius);
}

/* the next pages of the lists, then one of the rest lists; false: there is none */
static bool
next_page(IndexScanDesc scan)
{
	VkScan	   *so = scan->opaque;

	so->next = 0;
	if (so->rest == NULL)
	{
		if (so->keys.other_rows && vk_search_step(so->search, Max(so->ask, 1), &so->page))
			return true;
		so->page = NULL;
		vk_check_not_recycled(scan->indexRelation, so->meta.epoch);
		vk_search_check_complete(so->search);
		vk_scan_note_cut(scan);
		so->rest = MemoryContextAlloc(so->query_context, sizeof(VkRestWalk));
		so->rest->number = vk_share_take_rest(so->share) ?
			VK_SLOT_REST_NAN - 1 : VK_SLOT_REST_NULL;
		so->rest->block = InvalidBlockNumber;
	}
	while (!vk_rest_step(so->rest))
	{
		uint32		number = so->rest->number + 1;

		so->rest->count = 0;
		if (number > VK_SLOT_REST_NULL || so->cut)
			return false;
		vk_rest_begin(so->rest, scan->indexRelation, &so->meta, scan->xs_snapshot, number);
		if (!vk_scan_wants_rest(so, number))
			so->rest->block = InvalidBlockNumber;
	}
	return true;
}

bool
vk_stream_next(IndexScanDesc scan, uint64 *tid, bool *recheck)
{
	VkScan	   *so = scan->opaque;
	double		distance;

	do
	{
		while (so->page != NULL && so->next < so->page->count)
		{
			const VkCandidate *entry = &so->page->entries[so->next];

			CHECK_FOR_INTERRUPTS();
			vk_scan_ask(so, so->page, so->next++);
			if (!is_sure(so, entry) &&
				!vk_scan_distance(scan, entry->tid, false, &distance))
				continue;
			*tid = entry->tid;
			*recheck = so->keys.recheck;
			return true;
		}
		if (so->rest != NULL && so->next < so->rest->count)
		{
			*tid = so->rest->tids[so->next++];
			*recheck = true;
			return true;
		}
	} while (next_page(scan));
	so->phase = VK_PHASE_DONE;
	return false;
}

/* a bitmap in the making */
typedef struct BitmapTarget
{
	Relation	index;
	Relation	heap;
	BlockNumber heap_blocks;	/* when we last looked */
	TIDBitmap  *bitmap;
} BitmapTarget;

static void
add_tid(BitmapTarget *target, uint64 number, bool recheck)
{
	ItemPointerData tid;

	vk_tid_decode(number, &tid);
	vk_check_heap_tid(target->index, target->heap, &target->heap_blocks, &tid);
	tbm_add_tuples(target->bitmap, &tid, 1, recheck);
}

void
vk_stream_answer(VkScan *so)
{
	so->stats.exhaustive = true;
	so->next = 0;
	so->phase = VK_PHASE_ANSWER;
}

bool
vk_stream_answer_next(VkScan *so, uint64 *tid, bool *recheck)
{
	while (so->next < so->answer.count)
	{
		const VkNeighbor *row = &so->answer.rows[so->next++];

		CHECK_FOR_INTERRUPTS();
		if (!vk_within_radius(&so->keys, row->distance))
			continue;
		*tid = row->tid;
		*recheck = so->keys.recheck || so->keys.filter != NULL;
		return true;
	}
	so->phase = VK_PHASE_DONE;
	return false;
}

int64
vk_stream_bitmap(IndexScanDesc scan, TIDBitmap *bitmap)
{
	VkScan	   *so = scan->opaque;
	BitmapTarget target = {.index = scan->indexRelation,.bitmap = bitmap};
	int64		count = 0;
	uint64		tid;
	bool		recheck;

	/* the executor has it open, but does not tell */
	target.heap = table_open(scan->indexRelation->rd_index->indrelid, NoLock);
	for (; so->phase == VK_PHASE_ANSWER && vk_stream_answer_next(so, &tid, &recheck); count++)
		add_tid(&target, tid, recheck);
	while (so->phase == VK_PHASE_STREAM && next_page(scan))
	{
		for (int64 i = 0; so->page != NULL && i < so->page->count; i++, count++)
		{
			const VkCandidate *entry = &so->page->entries[i];

			add_tid(&target, entry->tid, so->keys.recheck || !is_sure(so, entry));
		}
		for (int i = 0; so->rest != NULL && i < so->rest->count; i++, count++)
			add_tid(&target, so->rest->tids[i], true);
	}
	table_close(target.heap, NoLock);
	so->phase = VK_PHASE_DONE;
	return count;
}
