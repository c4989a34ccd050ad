/*-------------------------------------------------------------------------
 *
 * chain.c
 *	  Chains of pages: the first page, further pages, walking; rest lists.
 *
 * NOTES
 *	  A chain's first page is named in its directory slot, under whose lock it
 *	  is made.  A later page is initialised and linked in one record, under
 *	  the lock of the page before it.
 *
 * IDENTIFICATION
 *	  src/am/chain.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "am/list.h"

#include "miscadmin.h"

/* the fields of a slot that a chain of this kind begins and ends in */
static void
slot_ends(VkSlot *slot, uint16 kind, BlockNumber **head, BlockNumber **tail)
{
	*head = kind == VK_PAGE_REFINE ? &slot->refine_head : &slot->head;
	*tail = kind == VK_PAGE_REFINE ? &slot->refine_tail : &slot->tail;
}

/*
 * vk_chain_start -- the first page of a chain, made where there is none yet
 *
 * Returns InvalidBlockNumber where the slot is not that of the list any more.
 * The caller may hold locks on pages of the list.
 */
BlockNumber
vk_chain_start(Relation index, const VkChainId *chain)
{
	VkSlot	   *slot;
	BlockNumber *head,
			   *tail;
	BlockNumber block = InvalidBlockNumber;
	Buffer		directory = vk_slot_lock(index, NULL, chain->slot,
										 BUFFER_LOCK_EXCLUSIVE, &slot);

	slot_ends(slot, chain->kind, &head, &tail);
	if (slot->born == chain->born)
		block = *head;

	if (slot->born == chain->born && block == InvalidBlockNumber)
	{
		Buffer		buffer = vk_new_page(index);
		GenericXLogState *state = GenericXLogStart(index);
		Page		page = GenericXLogRegisterBuffer(state, directory, 0);

		block = BufferGetBlockNumber(buffer);
		slot_ends(vk_slot_on_page(page, chain->slot), chain->kind, &head, &tail);
		*head = *tail = block;

		page = GenericXLogRegisterBuffer(state, buffer,
										 GENERIC_XLOG_FULL_IMAGE);
		vk_page_init(page, chain->kind, chain->slot, chain->born, 0);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
	}
	UnlockReleaseBuffer(directory);

	return block;
}

/*
 * vk_chain_set_tail -- renew a chain's tail hint in its slot
 */
void
vk_chain_set_tail(Relation index, const VkChainId *chain, BlockNumber block)
{
	VkSlot	   *slot;
	Buffer		directory = vk_slot_lock(index, NULL, chain->slot,
										 BUFFER_LOCK_EXCLUSIVE, &slot);

	if (slot->born == chain->born)
	{
		GenericXLogState *state = GenericXLogStart(index);
		Page		page = GenericXLogRegisterBuffer(state, directory, 0);
		BlockNumber *head,
				   *tail;

		slot_ends(vk_slot_on_page(page, chain->slot), chain->kind, &head, &tail);
		*tail = block;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(directory);
}

/* link up to three new pages behind last, which is exclusively locked */
static void
link_pages(Relation index, Buffer last, int count)
{
	VkPageHead	known = *vk_page_head(BufferGetPage(last));
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES - 1];
	GenericXLogState *state;
	Page		page;

	count = Min(count, MAX_GENERIC_XLOG_PAGES - 1);
	for (int i = 0; i < count; i++)
		buffers[i] = vk_new_page(index);

	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, last, 0);
	for (int i = 0; i < count; i++)
	{
		vk_page_head(page)->next = BufferGetBlockNumber(buffers[i]);
		page = GenericXLogRegisterBuffer(state, buffers[i],
										 GENERIC_XLOG_FULL_IMAGE);
		vk_page_init(page, known.kind, known.slot, known.born,
					 known.position + 1 + i);
	}
	GenericXLogFinish(state);

	for (int i = 0; i < count; i++)
		UnlockReleaseBuffer(buffers[i]);
}

/*
 * vk_chain_next -- the page after one that is locked, locked in the same mode
 *
 * The page given stays locked.
 */
Buffer
vk_chain_next(Relation index, const VkChainId *chain, Buffer buffer, int mode)
{
	VkPageHead *head = vk_page_head(BufferGetPage(buffer));

	return vk_read_chain_page(index, head->next, chain->kind, chain->slot,
							  chain->born, head->position + 1, mode);
}

/*
 * vk_chain_walk -- the page `steps` pages after one, both exclusively locked
 *
 * Pages that do not exist are made.  The page given stays locked; it is the
 * result where steps is 0.
 */
Buffer
vk_chain_walk(Relation index, const VkChainId *chain, Buffer from, uint32 steps)
{
	Buffer		buffer = from;

	for (; steps > 0; steps--)
	{
		Buffer		next;

		if (vk_page_head(BufferGetPage(buffer))->next == InvalidBlockNumber)
			link_pages(index, buffer, steps);
		next = vk_chain_next(index, chain, buffer, BUFFER_LOCK_EXCLUSIVE);
		if (buffer != from)
			UnlockReleaseBuffer(buffer);
		buffer = next;
	}

	return buffer;
}

/* ---- the home of a list ---- */

/*
 * Lock a pinned page exclusively.  Where busy is not NULL this never waits:
 * *busy tells whether somebody else has it locked, and the pin is gone then.
 */
static bool
lock_or_leave(Relation index, Buffer buffer, bool *busy)
{
	/* by a damaged link: we would wait for ourselves, beyond any interrupt */
	if (unlikely(vk_buffer_is_locked(buffer)))
		vk_corrupt(index, BufferGetBlockNumber(buffer),
				   "The page is referred to twice.");
	if (busy == NULL)
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	else if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		*busy = true;
		return false;
	}
	return true;
}

/*
 * The tail hint's page, exclusively locked, or InvalidBuffer where it does not
 * belong to the list: the slot was retired and reused after it was read.
 */
static Buffer
lock_hint(Relation index, const VkChainId *chain, BlockNumber block, bool *busy)
{
	Buffer		buffer = vk_pin_page(index, block);
	VkSlot		slot;

	if (!lock_or_leave(index, buffer, busy))
		return InvalidBuffer;
	if (vk_page_is(BufferGetPage(buffer), chain->kind, chain->slot, chain->born))
	{
		vk_check_page(index, buffer, chain->kind);
		return buffer;
	}
	UnlockReleaseBuffer(buffer);

	vk_slot_read(index, NULL, chain->slot, &slot);
	if (slot.born == chain->born && slot.retired == 0)
		vk_corrupt(index, block,
				   psprintf("The page does not belong to the list of slot %u.",
							chain->slot));
	return InvalidBuffer;
}

/*
 * The next page to the right that has a block head, exclusively locked; the
 * page given is released then.  Where there is none, it is the result.
 * InvalidBuffer where that would have to wait: nothing is locked any more.
 */
static Buffer
step_right(Relation index, const VkChainId *chain, Buffer home, bool *busy)
{
	Buffer		buffer = home;

	while (vk_page_head(BufferGetPage(buffer))->next != InvalidBlockNumber)
	{
		const VkPageHead *head = vk_page_head(BufferGetPage(buffer));
		Buffer		next = vk_pin_page(index, head->next);
		bool		locked = lock_or_leave(index, next, busy);

		if (locked)
			vk_check_chain_page(index, next, chain->kind, chain->slot,
								chain->born, head->position + 1);
		if (buffer != home)
			UnlockReleaseBuffer(buffer);
		if (!locked || vk_page_head(BufferGetPage(next))->first_head != 0)
		{
			UnlockReleaseBuffer(home);
			return locked ? next : InvalidBuffer;
		}
		buffer = next;
	}
	if (buffer != home)
		UnlockReleaseBuffer(buffer);
	return home;
}

/*
 * vk_chain_try_home -- the home of a list, unless somebody else is at it
 */
Buffer
vk_chain_try_home(Relation index, const VkChainId *chain, const VkSlot *slot,
				  bool *busy)
{
	BlockNumber block = slot->tail;
	Buffer		home;
	VkPageHead *head;

	if (block == InvalidBlockNumber)
		block = vk_chain_start(index, chain);
	if (block == InvalidBlockNumber)
		return InvalidBuffer;

	home = lock_hint(index, chain, block, busy);
	if (!BufferIsValid(home))
		return InvalidBuffer;

	/* appenders never make such a page the tail, but it would do no harm */
	head = vk_page_head(BufferGetPage(home));
	if (head->first_head == 0 && head->position != 0)
	{
		UnlockReleaseBuffer(home);
		home = vk_read_chain_page(index, slot->head, chain->kind, chain->slot,
								  chain->born, 0, BUFFER_LOCK_EXCLUSIVE);
	}

	while (vk_page_head(BufferGetPage(home))->flags & VK_PAGE_FULL)
	{
		Buffer		next = step_right(index, chain, home, busy);

		if (next == home)
			break;
		home = next;
		if (!BufferIsValid(home))
			break;
	}
	return home;
}

/*
 * vk_chain_home -- the same, with waiting
 */
Buffer
vk_chain_home(Relation index, const VkChainId *chain, const VkSlot *slot)
{
	return vk_chain_try_home(index, chain, slot, NULL);
}

/* ---- any page of a chain ---- */

/*
 * Where a chain was built in one piece, the page `steps` after block is
 * block + steps.  Returns it locked, or InvalidBuffer if it is something else.
 *
 * It may be any page, even one that an appender has locked itself, so that
 * appenders do not wait for it.
 */
static Buffer
try_contiguous(Relation index, const VkChainId *chain, BlockNumber block,
			   uint32 position, uint32 steps, int mode)
{
	Buffer		buffer;
	Page		page;

	if (steps == 0 || block + steps < block ||
		!vk_block_exists(index, block + steps))
		return InvalidBuffer;

	buffer = vk_pin_page(index, block + steps);
	if (mode == BUFFER_LOCK_SHARE)
		LockBuffer(buffer, mode);
	else if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}

	page = BufferGetPage(buffer);
	if (vk_page_is(page, chain->kind, chain->slot, chain->born) &&
		vk_page_head(page)->position == position + steps)
	{
		vk_check_page(index, buffer, chain->kind);
		return buffer;
	}
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * vk_chain_seek -- the page `steps` pages after block, locked in mode
 *
 * block is at `position` in its chain.  In exclusive mode pages that do not
 * exist are made.  At most one lock is held at a time.
 */
Buffer
vk_chain_seek(Relation index, const VkChainId *chain, BlockNumber block,
			  uint32 position, uint32 steps, int mode)
{
	Buffer		buffer = try_contiguous(index, chain, block, position, steps,
										mode);

	if (BufferIsValid(buffer))
		return buffer;

	for (;;)
	{
		buffer = vk_read_chain_page(index, block, chain->kind, chain->slot,
									chain->born, position, mode);
		if (steps == 0)
			return buffer;
		block = vk_page_head(BufferGetPage(buffer))->next;
		if (block == InvalidBlockNumber && mode == BUFFER_LOCK_EXCLUSIVE)
		{
			link_pages(index, buffer, 1);
			block = vk_page_head(BufferGetPage(buffer))->next;
		}
		if (block == InvalidBlockNumber)
			vk_corrupt(index, BufferGetBlockNumber(buffer),
					   "The chain of pages ends too early.");
		UnlockReleaseBuffer(buffer);
		position++;
		steps--;
	}
}

/*
 * vk_refine_read -- refine code of one row
 */
void
vk_refine_read(Relation index, uint32 slot, uint64 born, BlockNumber page,
			   uint32 position, uint32 bytes, int size, uint8 *out)
{
	VkChainId	chain = {slot, VK_PAGE_REFINE, born};
	int			offset = bytes % VK_PAYLOAD_SIZE;
	Buffer		buffer = vk_chain_seek(index, &chain, page, position,
									   bytes / VK_PAYLOAD_SIZE,
									   BUFFER_LOCK_SHARE);

	for (;;)
	{
		int			piece = Min(size, VK_PAYLOAD_SIZE - offset);

		memcpy(out, (char *) vk_page_payload(BufferGetPage(buffer)) + offset,
			   piece);
		out += piece;
		size -= piece;
		page = vk_page_head(BufferGetPage(buffer))->next;
		position = vk_page_head(BufferGetPage(buffer))->position + 1;
		UnlockReleaseBuffer(buffer);
		if (size == 0)
			break;
		buffer = vk_read_chain_page(index, page, chain.kind, slot, born,
									position, BUFFER_LOCK_SHARE);
		offset = 0;
	}
}

/*
 * vk_rest_append -- enter a row that has no distance into a rest list
 */
void
vk_rest_append(Relation index, uint32 number, ItemPointer tid)
{
	VkSlot		slot;
	VkChainId	chain;
	Buffer		buffer;
	GenericXLogState *state;
	Page		page;
	BlockNumber grown = InvalidBlockNumber;

	vk_slot_read(index, NULL, number, &slot);
	chain = (VkChainId) {number, VK_PAGE_REST, slot.born};
	if (slot.tail == InvalidBlockNumber)
		slot.tail = vk_chain_start(index, &chain);

	buffer = vk_read_page(index, slot.tail, VK_PAGE_REST,
						  BUFFER_LOCK_EXCLUSIVE);
	vk_check_chain_page(index, buffer, VK_PAGE_REST, number, slot.born,
						vk_page_head(BufferGetPage(buffer))->position);
	while (vk_page_head(BufferGetPage(buffer))->count >= VK_REST_ENTRIES)
	{
		Buffer		next = vk_chain_walk(index, &chain, buffer, 1);

		UnlockReleaseBuffer(buffer);
		buffer = next;
		grown = BufferGetBlockNumber(buffer);
	}

	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	((ItemPointerData *) vk_page_payload(page))[vk_page_head(page)->count++] = *tid;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);

	if (grown != InvalidBlockNumber)
		vk_chain_set_tail(index, &chain, grown);
}
