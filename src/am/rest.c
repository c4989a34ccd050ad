/*-------------------------------------------------------------------------
 *
 * rest.c
 *	  Rows without a distance: the TIDs on the rest lists, page by page.
 *
 * IDENTIFICATION
 *	  src/am/rest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "miscadmin.h"

#include "am/search.h"

void
vk_rest_begin(VkRestWalk *walk, Relation index, const VkMeta *meta,
			  Snapshot snapshot, uint32 number)
{
	VkSlot		slot;

	vk_slot_read(index, meta, number, &slot);
	walk->index = index;
	walk->snapshot = snapshot;
	walk->number = number;
	walk->born = slot.born;
	walk->block = vk_slot_visible(&slot, meta->epoch) ? slot.head : InvalidBlockNumber;
	walk->position = 0;
	walk->count = 0;
}

bool
vk_rest_step(VkRestWalk *walk)
{
	Buffer		buffer;
	Page		page;
	ItemPointer tids;

	if (!BlockNumberIsValid(walk->block))
		return false;
	CHECK_FOR_INTERRUPTS();
	buffer = vk_read_chain_page(walk->index, walk->block, VK_PAGE_REST,
								walk->number, walk->born, walk->position++,
								BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	vk_test_old_snapshot(walk->snapshot, walk->index, page);
	tids = vk_page_payload(page);
	walk->count = Min(vk_page_head(page)->count, VK_REST_ENTRIES);
	for (int i = 0; i < walk->count; i++)
		walk->tids[i] = vk_tid_encode(&tids[i]);
	walk->block = vk_page_head(page)->next;
	UnlockReleaseBuffer(buffer);
	return true;
}
