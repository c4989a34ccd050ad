/*-------------------------------------------------------------------------
 *
 * operation_pages.c
 *	  Pages of the lists that an operation makes.
 *
 * NOTES
 *	  A list is written as if its pages had contiguous numbers (list_writer.c).
 *	  Here pages of the index are found for these numbers, free ones first, and
 *	  the numbers within the pages are replaced by theirs.  Pages are written
 *	  some at a time: refine pages first, since block pages name them, and
 *	  each chain from its beginning, so that new pages lie in its order.
 *
 *	  A page is taken and written in one record, under its lock.  Only where a
 *	  page names one that is not complete yet, the latter is written without
 *	  contents first.  Nobody looks at these pages before the operation's
 *	  commit; what a crash leaves of them is found by the epoch that they carry.
 *
 * IDENTIFICATION
 *	  src/am/operation_pages.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/operation_pages.h"

#include "miscadmin.h"

static BlockNumber
reserve_pages(void *arg, BlockNumber count)
{
	VkOperationPages *pages = arg;
	BlockNumber first = (BlockNumber) pages->numbers;

	for (BlockNumber i = 0; i < count; i++)
	{
		pages->blocks = vk_array_grow(pages->context, pages->blocks,
									  pages->numbers, &pages->capacity,
									  sizeof(BlockNumber));
		pages->blocks[pages->numbers++] = InvalidBlockNumber;
	}
	return first;
}

/* block of a number that may stand for no page */
static BlockNumber
block_of(const VkOperationPages *pages, BlockNumber number)
{
	return BlockNumberIsValid(number) ? pages->blocks[number] :
		InvalidBlockNumber;
}

/* the page that a number stands for, exclusively locked; taken if there is none */
static Buffer
lock_page(VkOperationPages *pages, BlockNumber number)
{
	Buffer		buffer;

	if (BlockNumberIsValid(pages->blocks[number]))
		return vk_read_any_page(pages->index, pages->blocks[number],
								BUFFER_LOCK_EXCLUSIVE);
	buffer = vk_new_page(pages->index);
	pages->blocks[number] = BufferGetBlockNumber(buffer);
	return buffer;
}

/* see that there is a page for a number: one like `like`, without contents */
static void
name_page(VkOperationPages *pages, BlockNumber number, uint32 position,
		  uint16 kind, const VkPageHead *like)
{
	Buffer		buffer;
	GenericXLogState *state;
	Page		page;

	if (!BlockNumberIsValid(number) || BlockNumberIsValid(pages->blocks[number]))
		return;
	buffer = lock_page(pages, number);
	state = GenericXLogStart(pages->index);
	page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
	memset(page, 0, BLCKSZ);
	vk_page_init(page, kind, like->slot, like->born, position);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * Write pages that follow each other in their chain, at most as many as fit a
 * record.  *ahead: the first of them if it is locked already, then the one
 * after them, if that is to be written next.
 */
static void
write_record(VkOperationPages *pages, VkPendingPage *const *run, int count,
			 bool more, Buffer *ahead)
{
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
	GenericXLogState *state;

	for (int i = 0; i < count; i++)
		buffers[i] = i == 0 && BufferIsValid(*ahead) ? *ahead :
			lock_page(pages, run[i]->number);
	*ahead = more ? lock_page(pages, run[count]->number) : InvalidBuffer;

	state = GenericXLogStart(pages->index);
	for (int i = 0; i < count; i++)
	{
		Page		page = GenericXLogRegisterBuffer(state, buffers[i],
													 GENERIC_XLOG_FULL_IMAGE);
		VkPageHead *head = vk_page_head(page);

		memcpy(page, run[i]->image.data, BLCKSZ);
		head->next = block_of(pages, head->next);
		head->refine_page = block_of(pages, head->refine_page);
	}
	GenericXLogFinish(state);
	for (int i = 0; i < count; i++)
		UnlockReleaseBuffer(buffers[i]);
}

/* write the pending pages of one kind, which are the next ones of their chain */
static void
write_chain(VkOperationPages *pages, uint16 kind)
{
	VkPendingPage *run[VK_PENDING_PAGES];
	int			count = 0;
	Buffer		ahead = InvalidBuffer;

	for (int i = 0; i < pages->pending_count; i++)
	{
		VkPendingPage *pending = &pages->pending[i];
		const VkPageHead *head = vk_page_head((Page) pending->image.data);

		if (head->kind != kind)
			continue;
		name_page(pages, head->refine_page, head->refine_position,
				  VK_PAGE_REFINE, head);
		run[count++] = pending;
	}
	if (count > 0)
	{
		const VkPageHead *last = vk_page_head((Page) run[count - 1]->image.data);

		name_page(pages, last->next, last->position + 1, kind, last);
	}
	for (int i = 0; i < count; i += MAX_GENERIC_XLOG_PAGES)
	{
		int			n = Min(count - i, MAX_GENERIC_XLOG_PAGES);

		write_record(pages, run + i, n, i + n < count, &ahead);
	}
}

static void
write_pending(VkOperationPages *pages)
{
	CHECK_FOR_INTERRUPTS();
	write_chain(pages, VK_PAGE_REFINE);
	write_chain(pages, VK_PAGE_BLOCK);
	pages->pending_count = 0;
}

static void
put_page(void *arg, BlockNumber number, const char *image)
{
	VkOperationPages *pages = arg;
	VkPendingPage *pending;

	if (pages->pending_count == VK_PENDING_PAGES)
		write_pending(pages);
	pending = &pages->pending[pages->pending_count++];
	pending->number = number;
	memcpy(pending->image.data, image, BLCKSZ);
}

const VkPageSink vk_operation_sink = {reserve_pages, put_page};

void
vk_operation_pages_init(VkOperationPages *pages, Relation index)
{
	memset(pages, 0, sizeof(VkOperationPages));
	pages->index = index;
	pages->context = CurrentMemoryContext;
	pages->pending = palloc(VK_PENDING_PAGES * sizeof(VkPendingPage));
}

/*
 * vk_operation_pages_end -- write what is left of a list
 *
 * The list names its first and last pages by their numbers: they are replaced.
 */
void
vk_operation_pages_end(VkOperationPages *pages, VkSlot *list)
{
	write_pending(pages);
	list->head = block_of(pages, list->head);
	list->tail = block_of(pages, list->tail);
	list->refine_head = block_of(pages, list->refine_head);
	list->refine_tail = block_of(pages, list->refine_tail);
	list->extent_start = InvalidBlockNumber;
	list->extent_length = 0;
	pages->numbers = 0;
}
