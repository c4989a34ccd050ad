/*-------------------------------------------------------------------------
 *
 * check_list.c
 *	  vk_check of one list: its blocks, its refine codes, its counts.
 *
 * NOTES
 *	  Inserts go on meanwhile, and they only append.  A page that is not full,
 *	  or whose last block is not, ends the list as it was when that page was
 *	  read.  Blocks on later pages are newer than the check then, and are not
 *	  looked at; but pages before them must say by now that they are full.
 *
 * IDENTIFICATION
 *	  src/am/check_list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "am/check.h"

/* where the refine code of the first row begun on some page starts */
typedef struct RefineStart
{
	BlockNumber block;			/* the block page that says so */
	BlockNumber page;
	uint32		position;
} RefineStart;

/* One chain being walked */
typedef struct ListWalk
{
	VkCheck    *check;
	uint32		number;
	const VkSlot *slot;
	int			refine_size;

	int			next_line;		/* of the next block, counted from line 1 of the
								 * next page to be read */
	int64		rows;			/* lanes in use */
	int64		blocks;
	bool		ended;			/* a block that is not full was seen */
	BlockNumber last;			/* page that said no block follows it */
	uint32		last_position;

	VkSummary	summaries[VK_MAX_ATTRIBUTES];	/* of the live rows */

	RefineStart *starts;
	int			start_count;
	int64		start_capacity;
} ListWalk;

/* ---- block pages ---- */

/*
 * check_full -- a block lies past the page that seemed to be the last; that
 * page, and those in between, must say by now that it does
 */
static void
check_full(ListWalk *walk, uint32 until)
{
	VkCheck    *check = walk->check;
	BlockNumber block = walk->last;

	for (uint32 position = walk->last_position; position < until; position++)
	{
		Buffer		buffer;
		Page		page;
		VkPageHead	head;
		bool		open;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_chain_page(check->index, block, VK_PAGE_BLOCK,
									walk->number, walk->slot->born, position,
									BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		head = *vk_page_head(page);
		open = head.last_head != 0 &&
			vk_block_top(page, head.last_head)->head.count < VK_LANES;
		UnlockReleaseBuffer(buffer);
		if ((head.flags & VK_PAGE_FULL) == 0)
			vk_check_fail(check, block,
						  "Blocks follow on later pages, but the page is not marked full.");
		if (open)
			vk_check_fail(check, block,
						  "The block at line %d is not full, but others follow it.",
						  head.last_head);
		block = head.next;
	}
}

/* an entry: where there are groups, those of the root name them */
static void
check_center(ListWalk *walk, BlockNumber block, ItemPointer tid)
{
	VkCheck    *check = walk->check;
	bool		of_group = check->meta.groups > 0 && walk->number == check->meta.root;
	uint32		number = ItemPointerGetBlockNumberNoCheck(tid);

	if (number >= check->meta.slots && RecoveryInProgress())
		return;
	if (ItemPointerGetOffsetNumberNoCheck(tid) != 1 ||
		number < VK_SLOT_FIRST_LIST || number >= check->meta.slots)
		vk_check_fail(check, block, "A centroid names slot %u, which does not exist.",
					  number);
	if (check->centered[number] != 0)
		vk_check_fail(check, block, "Slot %u has more than one centroid.", number);
	check->centered[number] = of_group ? 2 : 1;
	if (!of_group)
		check->centers++;
}

static void
check_block(ListWalk *walk, BlockNumber block, const VkBlockTop *top, int line)
{
	VkCheck    *check = walk->check;
	int			count = top->head.count;

	if (count > VK_LANES)
		vk_check_fail(check, block, "The block at line %d has %d rows.", line, count);
	if (top->head.live >> count != 0)
		vk_check_fail(check, block,
					  "The block at line %d has %d rows, but live mask 0x%04X.",
					  line, count, top->head.live);
	if (walk->ended && count > 0)
		vk_check_fail(check, block,
					  "The block at line %d follows one that is not full.", line);
	walk->ended = count < VK_LANES;
	walk->rows += count;
	walk->blocks++;

	for (uint32 lanes = top->head.live; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		ItemPointerData tid = top->tids[lane];
		VkAttributes attributes;

		if (vk_slot_has_centers(walk->number, walk->slot))
		{
			check_center(walk, block, &tid);
			continue;
		}
		vk_attributes_get(check->layout, top, lane, &attributes);
		vk_summary_add_row(check->layout, walk->summaries, &attributes);
		if (vk_slot_visible(walk->slot, check->meta.epoch))
			vk_check_tid(check, block, &tid, &attributes);
	}
}

static void
check_refine_start(ListWalk *walk, BlockNumber block, const VkPageHead *head)
{
	int64		bytes = walk->blocks * VK_LANES * walk->refine_size;
	RefineStart *start;

	if (walk->refine_size == 0)
		return;
	if (head->refine_position != bytes / VK_PAYLOAD_SIZE ||
		head->refine_offset != bytes % VK_PAYLOAD_SIZE)
		vk_check_fail(walk->check, block,
					  "Refine codes are said to begin at byte %u of page %u of their chain, expected byte %d of page %d.",
					  head->refine_offset, head->refine_position,
					  (int) (bytes % VK_PAYLOAD_SIZE),
					  (int) (bytes / VK_PAYLOAD_SIZE));

	walk->starts = vk_array_grow(CurrentMemoryContext, walk->starts,
								 walk->start_count, &walk->start_capacity,
								 sizeof(RefineStart));
	start = &walk->starts[walk->start_count++];
	start->block = block;
	start->page = head->refine_page;
	start->position = head->refine_position;
}

/*
 * check_block_page -- one page, a copy: the heads on it are where the blocks
 * before them end
 */
static void
check_block_page(ListWalk *walk, BlockNumber block, Page page, int first_head)
{
	VkCheck    *check = walk->check;
	const VkPageHead *head = vk_page_head(page);

	if (first_head != 0)
	{
		if (first_head != walk->next_line)
			vk_check_fail(check, block,
						  "The first block is at line %d, expected line %d.",
						  first_head, walk->next_line);
		check_refine_start(walk, block, head);
	}

	for (int line = first_head; line != 0;
		 line = vk_next_head(check->layout, page, line))
	{
		check_block(walk, block, vk_block_top(page, line), line);
		walk->next_line = line + check->layout->block_lines;
	}

	if ((head->flags & VK_PAGE_FULL) == 0 || walk->ended)
	{
		walk->last = block;
		walk->last_position = head->position;
	}
	else if (walk->next_line + check->layout->head_lines - 1 <= VK_PAGE_LINES)
		vk_check_fail(check, block,
					  "The page is marked full, but a block fits at line %d.",
					  walk->next_line);
	/* a head that does not fit is at line 1 of the next page */
	walk->next_line = Max(1, walk->next_line - VK_PAGE_LINES);
}

/*
 * check_newer_page -- a page past the end of the list as it was
 */
static void
check_newer_page(ListWalk *walk, Page page, int first_head)
{
	if (first_head != 0 && vk_block_top(page, first_head)->head.count > 0)
		check_full(walk, vk_page_head(page)->position);
}

static void
walk_blocks(ListWalk *walk)
{
	VkCheck    *check = walk->check;
	const VkSlot *slot = walk->slot;
	BlockNumber block = slot->head;
	uint32		position = 0;
	bool		tail_seen = !BlockNumberIsValid(slot->tail);
	PGAlignedBlock copy;

	for (; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		int			first_head;

		CHECK_FOR_INTERRUPTS();
		vk_check_claim(check, block);
		buffer = vk_read_chain_page(check->index, block, VK_PAGE_BLOCK,
									walk->number, slot->born, position,
									BUFFER_LOCK_SHARE);
		first_head = vk_first_head(check->index, check->layout, buffer);
		memcpy(copy.data, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);

		if (position < slot->extent_length && block != slot->extent_start + position)
			vk_check_fail(check, block,
						  "The page is at position %u of its chain, which was built from block %u on.",
						  position, slot->extent_start);
		if (BlockNumberIsValid(walk->last))
			check_newer_page(walk, (Page) copy.data, first_head);
		else
			check_block_page(walk, block, (Page) copy.data, first_head);
		tail_seen |= block == slot->tail;
		block = vk_page_head((Page) copy.data)->next;
	}
	check->lengths[walk->number].blocks = position;
	if (!tail_seen)
		vk_check_fail(check, slot->tail,
					  "The page is named as the tail of slot %u, but is not in its chain.",
					  walk->number);
}

/* ---- refine pages ---- */

static void
check_starts(ListWalk *walk, BlockNumber block, uint32 position, int *next)
{
	while (*next < walk->start_count &&
		   walk->starts[*next].position == position)
	{
		const RefineStart *start = &walk->starts[(*next)++];

		if (start->page != block)
			vk_check_fail(walk->check, start->block,
						  "Refine codes are said to begin on block %u, but block %u is at that position of their chain.",
						  start->page, block);
	}
}

static void
walk_refine(ListWalk *walk)
{
	VkCheck    *check = walk->check;
	const VkSlot *slot = walk->slot;
	BlockNumber block = slot->refine_head;
	uint32		position = 0;
	int			next = 0;

	for (; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		BlockNumber following;

		CHECK_FOR_INTERRUPTS();
		vk_check_claim(check, block);
		buffer = vk_read_chain_page(check->index, block, VK_PAGE_REFINE,
									walk->number, slot->born, position,
									BUFFER_LOCK_SHARE);
		following = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		check_starts(walk, block, position, &next);
		block = following;
	}
	check->lengths[walk->number].refine = position;

	if (walk->rows * walk->refine_size > (int64) position * VK_PAYLOAD_SIZE)
		vk_check_fail(check, slot->head,
					  "The list of slot %u has " INT64_FORMAT " rows, but only %u pages of refine codes.",
					  walk->number, walk->rows, position);
}

/* ---- summaries ---- */

/*
 * vk_check_summary_page -- slots keep the page of their summaries for ever, and
 * those that follow each other share it
 */
void
vk_check_summary_page(VkCheck *check, uint32 number, const VkSlot *slot)
{
	BlockNumber block = slot->summary;
	uint32		first;

	if (check->layout->attributes == 0)
		return;
	first = vk_summary_first(check->layout, number);
	if (check->summary_first != first)
	{
		check->summary_first = first;
		check->summary = block;
		if (BlockNumberIsValid(block))
			vk_check_claim(check, block);
	}
	if (block != check->summary)
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "The summary of slot %u is on block %u, that of the slots before it on block %u.",
					  number, block, check->summary);
}

/*
 * check_summaries -- the summaries of a list, read after its rows: they were
 * widened before any of those came
 */
static void
check_summaries(ListWalk *walk)
{
	VkCheck    *check = walk->check;
	VkSummary	stored[VK_MAX_ATTRIBUTES];

	if (!vk_summary_read(check->index, check->layout, walk->number, walk->slot,
						 stored))
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "The list of slot %u has no summary.", walk->number);

	for (int i = 0; i < check->layout->attributes; i++)
		if (!vk_summary_covers(&stored[i], &walk->summaries[i]))
			vk_check_fail(check, walk->slot->summary,
						  "The summary of slot %u excludes values of attribute column %d that are in its list.",
						  walk->number, i + 1);
}

/* ---- lists ---- */

/*
 * vk_check_list -- a list of entries of the centre list, a list or a segment
 *
 * slot may be older than the chain.  The rows that it counts are those of the
 * last build or vacuum; inserts have added to them since.
 */
void
vk_check_list(VkCheck *check, uint32 number, const VkSlot *slot)
{
	VkCoder		center_coder = vk_center_coder(check->layout);
	const bool	centers = vk_slot_has_centers(number, slot);
	const VkCoder *coder = centers ? &center_coder : &check->layout->coder;
	ListWalk	walk = {0};
	VkSlot		fresh;

	walk.check = check;
	walk.number = number;
	walk.slot = slot;
	walk.refine_size = coder->refine_size;
	walk.next_line = 1;
	walk.last = InvalidBlockNumber;
	for (int i = 0; i < VK_MAX_ATTRIBUTES; i++)
		vk_summary_init(&walk.summaries[i]);

	walk_blocks(&walk);
	if (check->layout->attributes > 0 && !centers)
		check_summaries(&walk);
	if ((int64) slot->live + slot->dead > walk.rows)
		vk_check_fail(check, VK_DIRECTORY_BLOCK,
					  "Slot %u counts %u live and %u dead rows, but its list has " INT64_FORMAT ".",
					  number, slot->live, slot->dead, walk.rows);

	/* the first row may have brought the refine chain since the slot was read */
	vk_slot_read(check->index, &check->meta, number, &fresh);
	walk.slot = &fresh;
	walk_refine(&walk);
	if (walk.starts != NULL)
		pfree(walk.starts);
}

/*
 * check_retired_chain -- pages that nobody reads any more
 *
 * The first ones may be free already, and the chain begins past them.
 */
static uint32
check_retired_chain(VkCheck *check, uint32 number, const VkSlot *slot,
					uint16 kind, BlockNumber head)
{
	BlockNumber block = head;
	uint32		position = 0;

	for (; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		vk_check_claim(check, block);
		buffer = vk_read_any_page(check->index, block, BUFFER_LOCK_SHARE);
		if (block == head && slot->retired <= check->meta.recycled)
			position = vk_page_head(BufferGetPage(buffer))->position;
		vk_check_chain_page(check->index, buffer, kind, number, slot->born, position);
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
	return position;
}

/*
 * vk_check_retired -- a list that waits to be recycled: its pages are its own
 */
void
vk_check_retired(VkCheck *check, uint32 number, const VkSlot *slot)
{
	check->lengths[number].blocks =
		check_retired_chain(check, number, slot, VK_PAGE_BLOCK, slot->head);
	check->lengths[number].refine =
		check_retired_chain(check, number, slot, VK_PAGE_REFINE, slot->refine_head);
}

/*
 * vk_check_rest -- one rest list
 */
void
vk_check_rest(VkCheck *check, uint32 number, const VkSlot *slot)
{
	BlockNumber block = slot->head;
	uint32		position = 0;
	PGAlignedBlock copy;

	for (; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		const VkPageHead *head = vk_page_head((Page) copy.data);
		ItemPointerData *tids = vk_page_payload((Page) copy.data);

		CHECK_FOR_INTERRUPTS();
		vk_check_claim(check, block);
		buffer = vk_read_chain_page(check->index, block, VK_PAGE_REST, number,
									slot->born, position, BUFFER_LOCK_SHARE);
		memcpy(copy.data, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);

		if (head->count > VK_REST_ENTRIES)
			vk_check_fail(check, block, "The page counts %u rows.", head->count);
		for (int i = 0; i < head->count; i++)
			vk_check_tid(check, block, &tids[i], NULL);
		block = head->next;
	}
	check->lengths[number].blocks = position;
}
