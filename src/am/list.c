/*-------------------------------------------------------------------------
 *
 * list.c
 *	  Append a row to a list.
 *
 * NOTES
 *	  An appender locks the list's home: the page with the head of the open
 *	  block, which is the last page that has any head.  The lock is held until
 *	  the row is complete, so a list has one appender at a time and nobody
 *	  else changes the pages to the right of its home or its refine pages.
 *
 *	  Pages that a row needs are linked first, each with a record of its own;
 *	  then what does not fit in one record of four pages is written where no
 *	  reader looks yet; the last record holds the TID and the count, and
 *	  makes the row exist.  A crash in between leaves linked pages without
 *	  heads, which the next appender finds and uses, and bytes in a lane past
 *	  the count, which it overwrites.
 *
 *	  The list's summaries are widened in that last record, or in one before it.
 *	  Whether they must be is looked up before anything is locked: they never
 *	  become narrower while the list is the same.
 *
 *	  When a block is opened on a later page, that page becomes the home: the
 *	  old one gets VK_PAGE_FULL in the record that completes the row.
 *
 * IDENTIFICATION
 *	  src/am/list.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/list.h"

/* one append */
typedef struct VkAppend
{
	Relation	index;
	const VkIndex *vk;
	const VkRow *row;
	VkChainId	chain;			/* of the block pages */
	VkChainId	refine_chain;

	VkSlot	   *slot;			/* as it was read; its tail hint is renewed */
	bool		widens;			/* the list's summaries lack the row */

	Buffer		home;			/* as it was found */
	Buffer		target;			/* page of the block's head, may be home */
	int			line;			/* of the block's head */
	int			lane;
	bool		opening;		/* the row begins the block */

	/* where its refine code lies: bytes from the payload of a refine page */
	BlockNumber refine_page;
	uint32		refine_position;
	uint64		refine_bytes;
} VkAppend;

/* a WAL record in the making, and the buffers to release after it */
typedef struct VkRecord
{
	Relation	index;
	GenericXLogState *state;
	int			count;
	int			limit;			/* pages beside those of the last record */
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
} VkRecord;

/* write the record and release its buffers */
static void
record_finish(VkRecord *record)
{
	if (record->state != NULL)
		GenericXLogFinish(record->state);
	for (int i = 0; i < record->count; i++)
		UnlockReleaseBuffer(record->buffers[i]);
	record->state = NULL;
	record->count = 0;
}

/* add an exclusively locked page; returns the image to change */
static Page
record_add(VkRecord *record, Buffer buffer)
{
	if (record->state == NULL)
		record->state = GenericXLogStart(record->index);
	record->buffers[record->count++] = buffer;

	return GenericXLogRegisterBuffer(record->state, buffer, 0);
}

/* a page of payload: what is complete is written first where it would not fit */
static Page
record_add_payload(VkRecord *record, Buffer buffer)
{
	if (record->count == record->limit)
		record_finish(record);
	return record_add(record, buffer);
}

/* ---- finding the place ---- */

/*
 * Mark the pages between the home and the next block's page as full: all of
 * their lines belong to the home's last block.  The home itself is marked only
 * when that next block exists, for it is what stops other appenders.
 */
static void
mark_continuation_full(VkAppend *append, int pages)
{
	VkPageHead *head = vk_page_head(BufferGetPage(append->home));
	BlockNumber next = head->next;
	uint32		position = head->position;
	VkRecord	record = {append->index, .limit = MAX_GENERIC_XLOG_PAGES};

	for (int i = 1; i < pages; i++)
	{
		Buffer		buffer = vk_read_chain_page(append->index, next,
												append->chain.kind,
												append->chain.slot,
												append->chain.born, ++position,
												BUFFER_LOCK_EXCLUSIVE);

		next = vk_page_head(BufferGetPage(buffer))->next;
		vk_page_head(record_add_payload(&record, buffer))->flags |= VK_PAGE_FULL;
	}
	record_finish(&record);
}

/*
 * Find the place for the block after the last one, and see that all of its
 * lines exist.
 */
static void
open_block(VkAppend *append, int last_line)
{
	const VkIndex *vk = append->vk;
	int			line = last_line - 1 + vk->block_lines;
	int			pages = line / VK_PAGE_LINES;
	int			more;

	line = line % VK_PAGE_LINES + 1;
	if (line + vk->head_lines - 1 > VK_PAGE_LINES)
	{
		line = 1;
		pages++;
	}
	append->line = line;
	append->lane = 0;
	append->opening = true;
	mark_continuation_full(append, pages);
	append->target = vk_chain_walk(append->index, &append->chain,
								   append->home, pages);

	more = (line - 1 + vk->block_lines - 1) / VK_PAGE_LINES;
	if (more > 0)
		UnlockReleaseBuffer(vk_chain_walk(append->index, &append->chain,
										  append->target, more));
}

/* where a row's refine code begins, from the refine page that the page names */
static uint64
refine_bytes(const VkIndex *vk, const VkPageHead *head, int line, int lane)
{
	return head->refine_offset +
		(uint64) ((line - head->first_head) / vk->block_lines * VK_LANES + lane) *
		vk->coder.refine_size;
}

/*
 * Find the row's place, from the home.  Returns false where a new block would
 * bring the list above max_rows.
 */
static bool
place_row(VkAppend *append, int64 max_rows)
{
	const VkIndex *vk = append->vk;
	Page		page = BufferGetPage(append->home);
	VkPageHead *head = vk_page_head(page);
	int			first = vk_first_head(append->index, vk, append->home);
	int			last = head->last_head;
	int			count;
	int64		end;

	append->target = append->home;
	append->refine_page = head->refine_page;
	append->refine_position = head->refine_position;

	if (first == 0)
	{
		/* the list's first row */
		append->refine_page = InvalidBlockNumber;
		append->refine_position = 0;
		append->refine_bytes = 0;
		open_block(append, 1 - vk->block_lines);
		return true;
	}

	count = vk_block_top(page, last)->head.count;
	if (count > VK_LANES)
		vk_corrupt(append->index, BufferGetBlockNumber(append->home),
				   psprintf("The block at line %d has %d rows.", last, count));

	append->refine_bytes = refine_bytes(vk, head, last, count);

	if (count < VK_LANES)
	{
		append->line = last;
		append->lane = count;
		append->opening = false;
		return true;
	}

	end = (int64) head->position * VK_PAGE_LINES + last - 1 + vk->block_lines;
	if (end / vk->block_lines * VK_LANES >= max_rows)
		return false;

	open_block(append, last);
	return true;
}

/* ---- writing ---- */

/* write the row's lanes of `count` code lines, the first of them at line */
static void
put_lanes(Page page, int line, int lane, const uint8 *from, int count)
{
	char	   *to = (char *) vk_page_line(page, line) + 4 * lane;

	for (int i = 0; i < count; i++)
		memcpy(to + i * VK_LINE_SIZE, from + 4 * i, 4);
}

/* code lines that lie on the head's own page */
static int
lines_at_head(const VkAppend *append)
{
	return Min(append->vk->coder.lines,
			   VK_PAGE_LINES - (append->line + append->vk->head_lines - 1));
}

/* write the code lines that lie on the pages after the head's */
static void
put_continuation(VkAppend *append, VkRecord *record)
{
	int			lines = append->vk->coder.lines;
	int			done = lines_at_head(append);
	VkPageHead *head = vk_page_head(BufferGetPage(append->target));
	BlockNumber next = head->next;
	uint32		position = head->position;

	while (done < lines)
	{
		int			count = Min(lines - done, VK_PAGE_LINES);
		Buffer		buffer = vk_read_chain_page(append->index, next,
												append->chain.kind,
												append->chain.slot,
												append->chain.born, ++position,
												BUFFER_LOCK_EXCLUSIVE);

		next = vk_page_head(BufferGetPage(buffer))->next;
		put_lanes(record_add_payload(record, buffer), 1, append->lane,
				  append->row->code.lane + 4 * done, count);
		done += count;
	}
}

/*
 * Write the refine code, making pages that do not exist.  On return the
 * place's refine page is the very page on which the code begins.
 */
static void
put_refine(VkAppend *append, VkRecord *record)
{
	VkChainId  *chain = &append->refine_chain;
	int			size = append->vk->coder.refine_size;
	int			offset = append->refine_bytes % VK_PAYLOAD_SIZE;
	uint32		steps = append->refine_bytes / VK_PAYLOAD_SIZE;
	int			more = (offset + size - 1) / VK_PAYLOAD_SIZE;
	Buffer		buffer;
	int			done = 0;

	if (append->refine_page == InvalidBlockNumber)
		append->refine_page = vk_chain_start(append->index, chain);
	buffer = vk_chain_seek(append->index, chain, append->refine_page,
						   append->refine_position, steps,
						   BUFFER_LOCK_EXCLUSIVE);
	if (more > 0)
		UnlockReleaseBuffer(vk_chain_walk(append->index, chain, buffer, more));

	append->refine_page = BufferGetBlockNumber(buffer);
	append->refine_position += steps;
	append->refine_bytes = offset;

	for (;;)
	{
		int			piece = Min(size - done, VK_PAYLOAD_SIZE - offset);
		VkPageHead	head = *vk_page_head(BufferGetPage(buffer));
		Page		page = record_add_payload(record, buffer);

		memcpy((char *) vk_page_payload(page) + offset,
			   append->row->code.refine + done, piece);
		done += piece;
		if (done == size)
			return;
		offset = 0;
		buffer = vk_read_chain_page(append->index, head.next, chain->kind,
									chain->slot, chain->born,
									head.position + 1, BUFFER_LOCK_EXCLUSIVE);
	}
}

/* widen the list's summaries */
static void
put_summary(VkAppend *append, VkRecord *record)
{
	const VkIndex *vk = append->vk;
	uint32		number = append->chain.slot;
	Buffer		buffer = vk_summary_lock(append->index, vk, number, append->slot);
	Page		page = record_add_payload(record, buffer);

	vk_summary_widen_row(vk, vk_summary_on_page(vk, page, number),
						 &append->row->attributes);
}

/* begin a block on its page's image; the first head says where refine codes are */
static void
put_block_head(VkAppend *append, Page page)
{
	VkPageHead *head = vk_page_head(page);
	VkBlockTop *top = vk_block_top(page, append->line);

	memset(top, 0, append->vk->head_lines * VK_LINE_SIZE);
	top->head.scale = vk_block_scale(&append->row->code);

	if (head->first_head == 0)
	{
		head->first_head = append->line;
		if (append->vk->coder.refine_size > 0)
		{
			head->refine_page = append->refine_page;
			head->refine_position = append->refine_position;
			head->refine_offset = append->refine_bytes;
		}
	}
	head->last_head = append->line;
}

/* what is left: the head's page, and the home where that is another */
static void
put_head(VkAppend *append, VkRecord *record)
{
	const VkIndex *vk = append->vk;
	const VkRow *row = append->row;
	Page		page = record_add(record, append->target);
	VkBlockTop *top = vk_block_top(page, append->line);

	if (append->opening)
		put_block_head(append, page);

	put_lanes(page, append->line + vk->head_lines, append->lane,
			  row->code.lane, lines_at_head(append));
	vk_annotation_put(&vk->coder,
					  vk_page_line(page, append->line + vk->annotation_line),
					  top->head.scale, append->lane, &row->code);
	vk_attributes_put(vk, top, append->lane, &row->attributes);
	top->tids[append->lane] = row->tid;
	top->head.live |= 1 << append->lane;
	top->head.count = Max(top->head.count, append->lane + 1);

	if (append->target != append->home)
		vk_page_head(record_add(record, append->home))->flags |= VK_PAGE_FULL;
}

/* the row's place is found and locked: write it */
static void
write_row(VkAppend *append)
{
	VkRecord	record = {append->index, .limit = MAX_GENERIC_XLOG_PAGES - 1};
	const bool	refined = append->vk->coder.refine_size > 0;
	BlockNumber target = BufferGetBlockNumber(append->target);
	bool		moved = append->target != append->home;

	if (moved)
		record.limit--;

	put_continuation(append, &record);
	if (refined)
		put_refine(append, &record);
	if (append->widens)
		put_summary(append, &record);
	put_head(append, &record);
	record_finish(&record);

	append->slot->tail = target;
	if (moved)
	{
		vk_chain_set_tail(append->index, &append->chain, target);
		if (refined)
			vk_chain_set_tail(append->index, &append->refine_chain,
							  append->refine_page);
	}
}

/*
 * vk_list_try_append -- append a row to the list of a slot
 *
 * The slot may be an old copy; its tail hint is renewed.  The list may have at
 * most max_rows rows, rounded to blocks.
 */
VkAppended
vk_list_try_append(Relation index, const VkIndex *vk, uint32 number,
				   VkSlot *slot, const VkRow *row, int64 max_rows, bool wait)
{
	VkAppend	append;
	bool		busy = false;

	if (slot->born == 0 || slot->retired != 0)
		return VK_APPEND_REFUSED;

	append.index = index;
	append.vk = vk;
	append.row = row;
	append.slot = slot;
	append.chain = (VkChainId) {number, VK_PAGE_BLOCK, slot->born};
	append.refine_chain = (VkChainId) {number, VK_PAGE_REFINE, slot->born};
	append.widens = vk_summary_lacks(index, vk, number, slot, &row->attributes);

	append.home = vk_chain_try_home(index, &append.chain, slot,
									wait ? NULL : &busy);
	if (!BufferIsValid(append.home))
		return busy ? VK_APPEND_BUSY : VK_APPEND_REFUSED;
	if ((vk_page_head(BufferGetPage(append.home))->flags & VK_PAGE_CLOSED) ||
		!place_row(&append, max_rows))
	{
		UnlockReleaseBuffer(append.home);
		return VK_APPEND_REFUSED;
	}

	write_row(&append);
	return VK_APPENDED;
}

/*
 * vk_list_replace -- write a row over one that is dead
 *
 * buffer is the page of the block's head, exclusively locked, and is released.
 * For the centre list alone: who replaces holds the upkeep lock, and readers see
 * by the row's TID whether it means anything to them (center_entries.c).
 */
void
vk_list_replace(Relation index, const VkIndex *vk, const VkChainId *chain,
				Buffer buffer, int line, int lane, const VkRow *row)
{
	const VkPageHead *head = vk_page_head(BufferGetPage(buffer));
	VkRecord	record = {index, .limit = MAX_GENERIC_XLOG_PAGES - 1};
	VkAppend	append = {
		.index = index, .vk = vk, .row = row, .chain = *chain,
		.refine_chain = {chain->slot, VK_PAGE_REFINE, chain->born},
		.home = buffer, .target = buffer, .line = line, .lane = lane,
		.refine_page = head->refine_page,
		.refine_position = head->refine_position,
		.refine_bytes = refine_bytes(vk, head, line, lane)
	};

	put_continuation(&append, &record);
	if (vk->coder.refine_size > 0)
		put_refine(&append, &record);
	put_head(&append, &record);
	record_finish(&record);
}

/*
 * vk_list_append -- append a row to a list, whatever its length
 */
bool
vk_list_append(Relation index, const VkIndex *vk, uint32 number,
			   const VkRow *row)
{
	VkSlot		slot;

	vk_slot_read(index, NULL, number, &slot);
	return vk_list_try_append(index, vk, number, &slot, row, PG_INT64_MAX,
							  true) == VK_APPENDED;
}
