/*-------------------------------------------------------------------------
 *
 * tids.c
 *	  Every live TID of an index, list by list.
 *
 * IDENTIFICATION
 *	  src/am/tids.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "am/search.h"

/* Hand out the live TIDs of one page, after its lock is gone. */
static void
give_tids(const uint64 *tids, int count, VkTidCallback callback, void *arg)
{
	for (int i = 0; i < count; i++)
		callback(arg, tids[i]);
}

static int
page_tids(Relation index, const VkIndex *vk, Buffer buffer, uint64 *tids)
{
	Page		page = BufferGetPage(buffer);
	int			count = 0;

	for (int line = vk_first_head(index, vk, buffer); line != 0;
		 line = vk_next_head(vk, page, line))
	{
		const VkBlockTop *top = vk_block_top(page, line);

		for (int lane = 0; lane < Min(top->head.count, VK_LANES); lane++)
			if (top->head.live & (1 << lane))
				tids[count++] = vk_tid_encode(&top->tids[lane]);
	}
	return count;
}

static int
rest_tids(Buffer buffer, uint64 *tids)
{
	Page		page = BufferGetPage(buffer);
	int			count = Min(vk_page_head(page)->count, VK_REST_ENTRIES);
	ItemPointer entries = vk_page_payload(page);

	for (int i = 0; i < count; i++)
		tids[i] = vk_tid_encode(&entries[i]);
	return count;
}

/* Hand out the live TIDs of one chain of block or rest pages. */
static void
chain_tids(Relation index, const VkIndex *vk, const VkMeta *meta,
		   uint32 number, uint16 kind, VkTidCallback callback, void *arg)
{
	uint64		tids[VK_REST_ENTRIES];
	VkSlot		slot;
	BlockNumber block;

	vk_slot_read(index, meta, number, &slot);
	if (!vk_slot_visible(&slot, meta->epoch))
		return;
	block = slot.head;
	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		int			count;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_chain_page(index, block, kind, number,
									slot.born, position, BUFFER_LOCK_SHARE);
		count = kind == VK_PAGE_REST ? rest_tids(buffer, tids) :
			page_tids(index, vk, buffer, tids);
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		give_tids(tids, count, callback, arg);
	}
}

void
vk_list_tids(Relation index, const VkIndex *vk, const VkMeta *meta,
			 VkTidCallback callback, void *arg)
{
	for (uint32 number = VK_SLOT_FIRST_LIST; number < meta->slots; number++)
		chain_tids(index, vk, meta, number, VK_PAGE_BLOCK, callback, arg);
}

void
vk_rest_tids(Relation index, const VkIndex *vk, const VkMeta *meta, uint32 slot,
			 VkTidCallback callback, void *arg)
{
	chain_tids(index, vk, meta, slot, VK_PAGE_REST, callback, arg);
}
