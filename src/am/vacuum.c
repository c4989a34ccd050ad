/*-------------------------------------------------------------------------
 *
 * vacuum.c
 *	  Clearing dead rows: ambulkdelete and amvacuumcleanup.
 *
 * NOTES
 *	  A pass holds the upkeep lock, so no list comes, goes or is rewritten
 *	  while it runs; only inserts go on, and those only append.  A dead row
 *	  loses its bit in its block's live mask; the lane stays, and no row ever
 *	  moves, so a scan that read the block before misses nothing.
 *
 *	  The validation phase of CREATE INDEX CONCURRENTLY comes here too, with a
 *	  callback that collects TIDs: each TID is shown to the callback once,
 *	  unless the callback claimed one of the same rest page.
 *
 *	  Refine pages and retired lists are not read.
 *
 *	  A pass also counts what it sees, for the planner and for upkeep (upkeep.c),
 *	  which amvacuumcleanup does last.
 *
 * IDENTIFICATION
 *	  src/am/vacuum.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "access/table.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "port/pg_bitutils.h"
#include "storage/indexfsm.h"

#include "am/list.h"
#include "am/upkeep.h"

/* blocks that may begin on one page: they have a line of code at least */
#define PAGE_BLOCKS		(VK_PAGE_LINES / (VK_BLOCK_HEAD_LINES + 1) + 1)

/* without dead rows lists are counted where the table has changed by this part */
#define COUNT_AGAIN		0.05

typedef struct VacuumPass
{
	/* unchanging state */
	Relation	index;
	const VkIndex *layout;
	VkMeta		meta;
	BufferAccessStrategy strategy;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	IndexBulkDeleteResult *stats;

	/* mutable state: rows of all lists so far, rest lists apart */
	double		live;
	double		dead;
	double		removed;
	double		residuals;		/* sum of |row - centre| of the live ones */
} VacuumPass;

/* what a pass found in the lists of one directory page */
typedef struct SlotCounts
{
	bool		seen;
	uint64		born;
	uint32		live;
	uint32		dead;
} SlotCounts;

/* core does not expect to be asked about a row that cannot exist */
static bool
row_is_dead(VacuumPass *pass, Buffer buffer, ItemPointer tid)
{
	if (unlikely(!ItemPointerIsValid(tid)))
		vk_corrupt(pass->index, BufferGetBlockNumber(buffer),
				   "A row has no place in the table.");
	return pass->callback != NULL && pass->callback(tid, pass->callback_state);
}

/*
 * find_dead -- ask the callback about the rows of all blocks on a page
 *
 * The page is share-locked.  dead[i] gets the dead lanes of its i-th block;
 * the result tells whether there are any.
 */
static bool
find_dead(VacuumPass *pass, Buffer buffer, uint16 *dead, SlotCounts *counts)
{
	Page		page = BufferGetPage(buffer);
	bool		found = false;
	int			line = vk_first_head(pass->index, pass->layout, buffer);

	for (int i = 0; line != 0; i++, line = vk_next_head(pass->layout, page, line))
	{
		VkBlockTop *top = vk_block_top(page, line);
		int			count = Min(top->head.count, VK_LANES);
		uint32		live = top->head.live & ((1U << count) - 1);
		int			kept;

		dead[i] = 0;
		for (uint32 lanes = live; lanes != 0; lanes &= lanes - 1)
		{
			int			lane = pg_rightmost_one_pos32(lanes);

			if (row_is_dead(pass, buffer, &top->tids[lane]))
				dead[i] |= 1 << lane;
		}
		found |= dead[i] != 0;
		live &= ~(uint32) dead[i];
		kept = pg_popcount32(live);
		pass->residuals +=
			vk_annotation_residuals(&pass->layout->coder,
									vk_page_line(page, line + pass->layout->annotation_line),
									top->head.scale, live);
		counts->live += kept;
		counts->dead += count - kept;
	}
	return found;
}

/*
 * clear_dead -- take the dead lanes out of the live masks of a page
 *
 * Between the locks inserts may have added lanes and blocks, but those that
 * were there are where they were.
 */
static void
clear_dead(VacuumPass *pass, Buffer buffer, const uint16 *dead)
{
	GenericXLogState *state = GenericXLogStart(pass->index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	int			line = vk_page_head(page)->first_head;

	for (int i = 0; i < PAGE_BLOCKS && line != 0; i++)
	{
		VkBlockTop *top = vk_block_top(page, line);

		pass->removed += pg_popcount32(top->head.live & dead[i]);
		top->head.live &= ~dead[i];
		line = vk_next_head(pass->layout, page, line);
	}
	GenericXLogFinish(state);
}

/*
 * vacuum_list -- one chain of blocks
 */
static void
vacuum_list(VacuumPass *pass, uint32 number, const VkSlot *slot,
			SlotCounts *counts)
{
	BlockNumber block = slot->head;
	uint16		dead[PAGE_BLOCKS];

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;

		VK_VACUUM_DELAY_POINT();
		buffer = vk_read_chain_page_once(pass->index, block, VK_PAGE_BLOCK, number,
										 slot->born, position, BUFFER_LOCK_SHARE,
										 pass->strategy);
		memset(dead, 0, sizeof(dead));
		if (find_dead(pass, buffer, dead, counts))
		{
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
			vk_check_chain_page(pass->index, buffer, VK_PAGE_BLOCK, number,
								slot->born, position);
			clear_dead(pass, buffer, dead);
		}
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * find_dead_rest -- does a rest page hold dead rows?
 */
static bool
find_dead_rest(VacuumPass *pass, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	ItemPointerData *tids = vk_page_payload(page);
	int			count = Min(vk_page_head(page)->count, VK_REST_ENTRIES);
	bool		found = false;

	for (int i = 0; i < count; i++)
		found |= row_is_dead(pass, buffer, &tids[i]);
	return found;
}

/*
 * clear_dead_rest -- take the dead rows out of a rest page
 */
static void
clear_dead_rest(VacuumPass *pass, Buffer buffer)
{
	GenericXLogState *state = GenericXLogStart(pass->index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	VkPageHead *head = vk_page_head(page);
	ItemPointerData *tids = vk_page_payload(page);
	int			count = Min(head->count, VK_REST_ENTRIES);
	int			kept = 0;

	for (int i = 0; i < count; i++)
		if (!row_is_dead(pass, buffer, &tids[i]))
			tids[kept++] = tids[i];
	memset(&tids[kept], 0, (count - kept) * sizeof(ItemPointerData));
	head->count = kept;
	pass->removed += count - kept;
	GenericXLogFinish(state);
}

/*
 * vacuum_rest -- one rest list
 *
 * Appenders begin at the tail hint and go right, so what becomes free to the left
 * of it is of use only where the hint goes back.  Those at work meanwhile may still
 * fill pages further on, and set the hint there; the next such pass finds the room.
 */
static void
vacuum_rest(VacuumPass *pass, uint32 number, const VkSlot *slot,
			SlotCounts *counts)
{
	VkChainId	chain = {number, VK_PAGE_REST, slot->born};
	BlockNumber block = slot->head;
	BlockNumber first_room = InvalidBlockNumber;
	double		removed = pass->removed;

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		Page		page;

		VK_VACUUM_DELAY_POINT();
		buffer = vk_read_chain_page_once(pass->index, block, VK_PAGE_REST, number,
										 slot->born, position, BUFFER_LOCK_SHARE,
										 pass->strategy);
		page = BufferGetPage(buffer);
		if (find_dead_rest(pass, buffer))
		{
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
			vk_check_chain_page(pass->index, buffer, VK_PAGE_REST, number,
								slot->born, position);
			clear_dead_rest(pass, buffer);
		}
		counts->live += vk_page_head(page)->count;
		if (!BlockNumberIsValid(first_room) &&
			vk_page_head(page)->count < VK_REST_ENTRIES)
			first_room = block;
		block = vk_page_head(page)->next;
		UnlockReleaseBuffer(buffer);
	}
	if (pass->removed > removed)
		vk_chain_set_tail(pass->index, &chain, first_room);
}

/*
 * write_counts -- store what a pass found in the slots of one directory page
 */
static void
write_counts(VacuumPass *pass, uint32 first, const SlotCounts *counts)
{
	VkSlot	   *slot;
	Buffer		buffer = vk_slot_lock(pass->index, &pass->meta, first,
									  BUFFER_LOCK_EXCLUSIVE, &slot);
	GenericXLogState *state = GenericXLogStart(pass->index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool		changed = false;

	for (int i = 0; i < VK_PAGE_LINES; i++)
	{
		slot = vk_slot_on_page(page, first + i);
		if (!counts[i].seen || slot->born != counts[i].born ||
			(slot->live == counts[i].live && slot->dead == counts[i].dead))
			continue;
		slot->live = counts[i].live;
		slot->dead = counts[i].dead;
		changed = true;
	}

	if (changed)
		GenericXLogFinish(state);
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * vacuum_directory_page -- the lists of one directory page, rest lists too
 */
static void
vacuum_directory_page(VacuumPass *pass, uint32 first)
{
	SlotCounts	counts[VK_PAGE_LINES] = {{0}};

	for (int i = 0; i < VK_PAGE_LINES; i++)
	{
		uint32		number = first + i;
		VkSlot		slot;

		if (number >= pass->meta.slots)
			break;
		vk_slot_read(pass->index, &pass->meta, number, &slot);
		if (vk_slot_has_centers(number, &slot) ||
			!vk_slot_visible(&slot, pass->meta.epoch))
			continue;

		counts[i].seen = true;
		counts[i].born = slot.born;
		if (number < VK_SLOT_FIRST_LIST)
			vacuum_rest(pass, number, &slot, &counts[i]);
		else
		{
			vacuum_list(pass, number, &slot, &counts[i]);
			pass->live += counts[i].live;
			pass->dead += counts[i].dead;
		}
		pass->stats->num_index_tuples += counts[i].live;
	}
	write_counts(pass, first, counts);
}

/*
 * write_totals -- store what a pass found in all lists
 *
 * Rows that were appended since the last pass are those that there are more of,
 * dead or alive; operations keep the counts up to date.
 */
static void
write_totals(VacuumPass *pass)
{
	Buffer		buffer = vk_read_page(pass->index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = GenericXLogStart(pass->index);
	VkMeta	   *meta = vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0));
	double		appended = pass->live + pass->dead - meta->live_rows - meta->dead_rows;

	if (meta->live_rows != pass->live || meta->dead_rows != pass->dead)
	{
		meta->live_rows = pass->live;
		meta->dead_rows = pass->dead;
		meta->changed_rows += Max(appended, 0) + pass->removed;
		meta->residual = pass->live > 0 ? pass->residuals / pass->live : 0;
		GenericXLogFinish(state);
	}
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * pass_over -- show all rows to the callback (NULL: none is dead), and count
 *
 * Pages are read by the strategy, so that other ones keep their buffers.
 */
static void
pass_over(Relation index, BufferAccessStrategy strategy, IndexBulkDeleteResult *stats,
		  IndexBulkDeleteCallback callback, void *state)
{
	VacuumPass	pass = {0};

	vk_upkeep_lock(index, ExclusiveLock);
	vk_operation_clean_up(index);

	pass.index = index;
	pass.layout = vk_index_copy(index, CurrentMemoryContext);
	vk_meta_read(index, &pass.meta);
	pass.strategy = strategy;
	pass.callback = callback;
	pass.callback_state = state;
	pass.stats = stats;
	stats->num_index_tuples = 0;

	for (uint32 first = 0; first < pass.meta.slots; first += VK_PAGE_LINES)
		vacuum_directory_page(&pass, first);
	write_totals(&pass);

	vk_upkeep_unlock(index, ExclusiveLock);

	stats->tuples_removed += pass.removed;
	stats->num_pages = RelationGetNumberOfBlocks(index);
	stats->estimated_count = false;
}

/*
 * vk_bulkdelete -- ambulkdelete
 */
IndexBulkDeleteResult *
vk_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			  IndexBulkDeleteCallback callback, void *state)
{
	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	pass_over(info->index, info->strategy, stats, callback, state);
	return stats;
}

void
vk_count_lists(Relation index)
{
	IndexBulkDeleteResult unused = {0};

	pass_over(index, NULL, &unused, NULL, NULL);
}

/*
 * Rows of the table.  A vacuum that found nearly all pages visible to all (as
 * COPY FREEZE leaves them, and from 19 on mere reading) knows no more than the
 * last one did; the planner's estimate follows the size of the table.
 */
static double
table_rows(IndexVacuumInfo *info, Relation heap)
{
	BlockNumber pages;
	double		estimate;
	double		all_visible;

	if (!info->estimated_count)
		return info->num_heap_tuples;
	estimate_rel_size(heap, NULL, &pages, &estimate, &all_visible);
	return Max(info->num_heap_tuples, estimate);
}

/* has the table grown or shrunk so much that the counts are out of date? */
static bool
counts_are_old(IndexVacuumInfo *info, Relation heap)
{
	VkMeta		meta;

	vk_meta_read(info->index, &meta);
	/* how many vectors documents have is not known */
	if (vk_support(info->index)->documents)
		return true;
	return fabs(table_rows(info, heap) - meta.live_rows) >
		COUNT_AGAIN * Max(meta.live_rows, 1);
}

/* upkeep, as far as the table's state asks for it */
static void
keep_well(IndexVacuumInfo *info, Relation heap)
{
	VkUpkeepReport report;

	vk_upkeep_run(info->index, heap, &report);
	if (report.operations > 0)
		ereport(info->message_level,
				(errcode(ERRCODE_SUCCESSFUL_COMPLETION),
				 errmsg("index \"%s\": " INT64_FORMAT " rows of " INT64_FORMAT
						" lists were rewritten into " INT64_FORMAT " lists",
						RelationGetRelationName(info->index),
						report.rewritten.rows, report.rewritten.old_lists,
						report.rewritten.new_lists)));
}

/*
 * vk_vacuumcleanup -- amvacuumcleanup
 */
IndexBulkDeleteResult *
vk_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	Relation	heap;
	VkMeta		meta;

	if (info->analyze_only)
		return stats;

	heap = table_open(info->index->rd_index->indrelid, NoLock);
	if (stats == NULL)
	{
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->estimated_count = true;
		if (counts_are_old(info, heap))
			pass_over(info->index, info->strategy, stats, NULL, NULL);
	}
	keep_well(info, heap);
	table_close(heap, NoLock);

	vk_meta_read(info->index, &meta);
	if (vk_support(info->index)->documents)
	{
		/* rows, as a build reports them, not their vectors */
		stats->num_index_tuples = Max(info->num_heap_tuples, 0);
		stats->estimated_count = info->estimated_count ||
			RelationGetIndexPredicate(info->index) != NIL;
	}
	else if (stats->estimated_count)
		stats->num_index_tuples = meta.live_rows;
	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}
