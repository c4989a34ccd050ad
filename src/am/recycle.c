/*-------------------------------------------------------------------------
 *
 * recycle.c
 *	  Pages, slots and centres that no list needs any more become free.
 *
 * NOTES
 *	  Lists retire when an operation replaces them (operation.c).  They are
 *	  recycled once no snapshot is left that may see them, by the XID that their
 *	  slot was stamped with: first the epoch up to which lists may be gone is
 *	  stored, then their centres' lanes are freed, then their pages from the
 *	  first on, at last the slot.  Every step leaves what the next run, after a
 *	  crash, goes on with.
 *
 *	  A standby replays this whatever its own queries see (README, "Standby").
 *	  They find out by a page that is not the list's, or by the stored epoch.
 *
 *	  The free space map is not WAL-logged as it changes: who takes a page from it
 *	  looks at the page itself.  Here images of its pages are logged once pages have
 *	  been entered, or a crash would lose these for long, and a standby would know
 *	  of none.
 *
 * IDENTIFICATION
 *	  src/am/recycle.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/transam.h"
#include "access/xloginsert.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/snapmgr.h"

#include "am/test_point.h"
#include "am/upkeep.h"

/* pages freed in one record, which changes a directory page too */
#define FREED_AT_ONCE	(MAX_GENERIC_XLOG_PAGES - 1)

/* ---- free pages ---- */

/* make a page's image that of a free one; its payload stays, unread */
static void
set_free(Page page)
{
	VkPageHead *head = vk_page_head(page);

	memset(head, 0, sizeof(VkPageHead));
	head->kind = VK_PAGE_FREE;
	head->next = InvalidBlockNumber;
	head->refine_page = InvalidBlockNumber;
}

/* the same for one locked page, in a record of its own */
static void
free_page(Relation index, Buffer buffer)
{
	GenericXLogState *state = GenericXLogStart(index);

	if (PageIsNew(BufferGetPage(buffer)))
		vk_page_init(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE),
					 VK_PAGE_FREE, 0, 0, 0);
	else
		set_free(GenericXLogRegisterBuffer(state, buffer, 0));
	GenericXLogFinish(state);
}

/* log the free space map as it is */
static void
log_free_space_map(Relation index)
{
	BlockNumber blocks = 0;

	if (RelationNeedsWAL(index) && smgrexists(RelationGetSmgr(index), FSM_FORKNUM))
		blocks = RelationGetNumberOfBlocksInFork(index, FSM_FORKNUM);
	for (BlockNumber block = 0; block < blocks; block++)
	{
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(index, FSM_FORKNUM, block, RBM_ZERO_ON_ERROR, NULL);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		if (!PageIsNew(BufferGetPage(buffer)))
		{
			START_CRIT_SECTION();
			MarkBufferDirty(buffer);
			log_newpage_buffer(buffer, false);
			END_CRIT_SECTION();
		}
		UnlockReleaseBuffer(buffer);
	}
}

/* pages have been entered into the free space map */
static void
keep_free_pages(Relation index)
{
	IndexFreeSpaceMapVacuum(index);
	log_free_space_map(index);
}

/*
 * vk_mean_free -- free the pages of a mean that nothing names any more
 *
 * Readers of the mean look at the meta page afterwards (index.c).  A crash leaves
 * some pages that nothing refers to.
 */
void
vk_mean_free(Relation index, BlockNumber head)
{
	BlockNumber block = head;

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer = vk_read_chain_page(index, block, VK_PAGE_MEAN, 0, 0,
												position, BUFFER_LOCK_EXCLUSIVE);
		BlockNumber next = vk_page_head(BufferGetPage(buffer))->next;

		free_page(index, buffer);
		UnlockReleaseBuffer(buffer);
		RecordFreeIndexPage(index, block);
		block = next;
	}
	if (BlockNumberIsValid(head))
		keep_free_pages(index);
}

/* ---- retired lists ---- */

/* retired lists that nobody sees any more */
typedef struct Removable
{
	uint32	   *slots;
	int64		count;
	int64		capacity;
	uint64		newest;			/* epoch in which the last of them retired */
} Removable;

/* give those retired lists of a directory page an XID that have none */
static void
stamp_page(Relation index, const VkMeta *meta, uint32 first, int count)
{
	uint64		xid = U64FromFullTransactionId(ReadNextFullTransactionId());
	VkSlot	   *slot;
	Buffer		buffer = vk_slot_lock(index, meta, first, BUFFER_LOCK_EXCLUSIVE,
									  &slot);
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

	for (int i = 0; i < count; i++)
	{
		slot = vk_slot_on_page(page, first + i);
		if (slot->retired != 0 && slot->retired <= meta->epoch && slot->retire_xid == 0)
			slot->retire_xid = xid;
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * May anybody see lists that retired when this XID was the next?
 *
 * For a temporary table core asks the session's own XID, not its snapshots: rows
 * that one of them sees are deleted under that XID.  Lists retire without one,
 * and others' XIDs pass by while a cursor is open.  But nobody else reads such an
 * index, and whoever reads it has opened it, as our caller has once.
 */
static bool
may_be_seen(Relation index, Relation heap, uint64 retire_xid)
{
	if (RelationUsesLocalBuffers(index) && index->rd_refcnt > 1)
		return true;
	return retire_xid == 0 ||
		!GlobalVisCheckRemovableFullXid(heap, FullTransactionIdFromU64(retire_xid));
}

/* find retired lists; those that may be seen are counted */
static Removable
find_removable(Relation index, Relation heap, const VkMeta *meta, int64 *waiting)
{
	Removable	found = {0};

	for (uint32 first = 0; first < meta->slots; first += VK_PAGE_LINES)
	{
		VkSlot		slots[VK_PAGE_LINES];
		int			count;
		bool		unstamped = false;

		VK_VACUUM_DELAY_POINT();
		count = vk_directory_page(index, meta, first, slots);
		for (int i = 0; i < count; i++)
		{
			const VkSlot *slot = &slots[i];

			if (slot->retired == 0 || slot->retired > meta->epoch)
				continue;
			unstamped |= slot->retire_xid == 0;
			if (may_be_seen(index, heap, slot->retire_xid))
			{
				(*waiting)++;
				continue;
			}
			found.slots = vk_array_grow(CurrentMemoryContext, found.slots,
										found.count, &found.capacity,
										sizeof(uint32));
			found.slots[found.count++] = first + i;
			found.newest = Max(found.newest, slot->retired);
		}
		if (unstamped)
			stamp_page(index, meta, first, count);
	}
	return found;
}

/* from now on lists that retired up to this epoch may be gone */
static void
store_recycled(Relation index, uint64 epoch)
{
	Buffer		buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_EXCLUSIVE);

	if (vk_page_meta(BufferGetPage(buffer))->recycled < epoch)
	{
		GenericXLogState *state = GenericXLogStart(index);

		vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0))->recycled = epoch;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * Lock the first pages of a list's chains, blocks before refine codes, and find
 * what the chains begin with after them.
 */
static int
lock_first_pages(Relation index, uint32 number, VkSlot *slot, Buffer *buffers)
{
	static const uint16 kinds[] = {VK_PAGE_BLOCK, VK_PAGE_REFINE};
	BlockNumber *heads[] = {&slot->head, &slot->refine_head};
	int			count = 0;

	for (int chain = 0; chain < 2; chain++)
		while (count < FREED_AT_ONCE && BlockNumberIsValid(*heads[chain]))
		{
			Buffer		buffer = vk_read_page(index, *heads[chain], kinds[chain],
											  BUFFER_LOCK_EXCLUSIVE);
			Page		page = BufferGetPage(buffer);

			if (!vk_page_is(page, kinds[chain], number, slot->born))
				vk_corrupt(index, *heads[chain],
						   psprintf("The page does not belong to the list of slot %u.",
									number));
			*heads[chain] = vk_page_head(page)->next;
			buffers[count++] = buffer;
		}
	return count;
}

/*
 * Free the first pages of a retired list, and its slot with the last.  Returns how
 * many, and whether that was all.
 */
static int
free_first_pages(Relation index, const VkMeta *meta, uint32 number, bool *done)
{
	Buffer		buffers[FREED_AT_ONCE];
	BlockNumber blocks[FREED_AT_ONCE];
	int			count;
	VkSlot		slot;
	VkSlot	   *stored;
	Buffer		directory;
	GenericXLogState *state;

	vk_slot_read(index, meta, number, &slot);
	count = lock_first_pages(index, number, &slot, buffers);
	directory = vk_slot_lock(index, meta, number, BUFFER_LOCK_EXCLUSIVE, &stored);
	*done = !BlockNumberIsValid(slot.head) && !BlockNumberIsValid(slot.refine_head);

	state = GenericXLogStart(index);
	for (int i = 0; i < count; i++)
	{
		blocks[i] = BufferGetBlockNumber(buffers[i]);
		set_free(GenericXLogRegisterBuffer(state, buffers[i], 0));
	}
	stored = vk_slot_on_page(GenericXLogRegisterBuffer(state, directory, 0), number);
	stored->head = slot.head;
	stored->refine_head = slot.refine_head;
	if (*done)
		vk_slot_clear(stored);
	GenericXLogFinish(state);

	UnlockReleaseBuffer(directory);
	for (int i = 0; i < count; i++)
	{
		UnlockReleaseBuffer(buffers[i]);
		RecordFreeIndexPage(index, blocks[i]);
	}
	return count;
}

VkRecycled
vk_recycle(Relation index, Relation heap)
{
	VkRecycled	result = {0};
	Removable	removable;
	VkSlotSet	set;
	VkMeta		meta;

	vk_meta_read(index, &meta);
	removable = find_removable(index, heap, &meta, &result.waiting);
	if (removable.count == 0)
		return result;

	store_recycled(index, removable.newest);
	vk_test_point("recycle-begun");
	set = vk_slot_set_make(meta.slots);
	for (int64 i = 0; i < removable.count; i++)
		vk_slot_set_add(&set, removable.slots[i]);
	vk_center_list_drop(index, vk_index_copy(index, CurrentMemoryContext), &set, true);
	vk_test_point("recycle-centers");

	for (int64 i = 0; i < removable.count; i++)
	{
		bool		done = false;

		while (!done)
		{
			VK_VACUUM_DELAY_POINT();
			result.pages += free_first_pages(index, &meta, removable.slots[i], &done);
			vk_test_point("recycle-pages");
		}
		result.lists++;
	}
	keep_free_pages(index);
	pfree(set.bits);
	pfree(removable.slots);
	return result;
}

void
vk_check_not_recycled(Relation index, uint64 epoch)
{
	VkMeta		meta;

	if (!vk_began_in_recovery())
		return;
	vk_meta_read(index, &meta);
	if (meta.recycled > epoch)
		vk_report_recycled(index);
}

/* ---- what a broken operation has left ---- */

typedef struct CleanUp
{
	Relation	index;
	VkMeta		meta;
	VkSlotSet	unborn;			/* slots that the operation made */
	VkSlotSet	retired;		/* those whose lists stay closed */
	BlockNumber *mean;			/* pages of the mean */
	int64		mean_count;
	int64		mean_capacity;
} CleanUp;

static void
read_slots(CleanUp *clean)
{
	clean->unborn = vk_slot_set_make(clean->meta.slots);
	clean->retired = vk_slot_set_make(clean->meta.slots);
	for (uint32 first = 0; first < clean->meta.slots; first += VK_PAGE_LINES)
	{
		VkSlot		slots[VK_PAGE_LINES];
		int			count = vk_directory_page(clean->index, &clean->meta, first,
											  slots);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
		{
			if (slots[i].born > clean->meta.epoch)
				vk_slot_set_add(&clean->unborn, first + i);
			else if (slots[i].retired != 0 && slots[i].retired <= clean->meta.epoch)
				vk_slot_set_add(&clean->retired, first + i);
		}
	}
}

static void
read_mean_pages(CleanUp *clean)
{
	BlockNumber block = clean->meta.mean_head;

	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer = vk_read_chain_page(clean->index, block, VK_PAGE_MEAN,
												0, 0, position, BUFFER_LOCK_SHARE);

		clean->mean = vk_array_grow(CurrentMemoryContext, clean->mean,
									clean->mean_count, &clean->mean_capacity,
									sizeof(BlockNumber));
		clean->mean[clean->mean_count++] = block;
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
}

/* does a page, that is not new, belong to nothing but the operation? */
static bool
is_left_over(const CleanUp *clean, BlockNumber block, const VkPageHead *head)
{
	if (head->kind == VK_PAGE_BLOCK || head->kind == VK_PAGE_REFINE)
		return head->born > clean->meta.epoch;
	if (head->kind != VK_PAGE_MEAN)
		return false;
	for (int64 i = 0; i < clean->mean_count; i++)
		if (clean->mean[i] == block)
			return false;
	return true;
}

/* was its list closed by the operation? */
static bool
is_closed_in_vain(const CleanUp *clean, const VkPageHead *head)
{
	return head->kind == VK_PAGE_BLOCK && (head->flags & VK_PAGE_CLOSED) != 0 &&
		!vk_slot_set_has(&clean->retired, head->slot);
}

/*
 * A page of zeros was added by somebody who then failed, or it is being added:
 * that is done under the lock for extension, until the page is locked itself.
 * Returns whether it is free now.
 */
static bool
take_new_page(Relation index, BlockNumber block)
{
	bool		need_lock = !RELATION_IS_LOCAL(index);
	Buffer		buffer = ReadBuffer(index, block);
	bool		taken = false;

	if (need_lock)
		LockRelationForExtension(index, ExclusiveLock);
	if (ConditionalLockBuffer(buffer))
	{
		taken = PageIsNew(BufferGetPage(buffer));
		if (taken)
			free_page(index, buffer);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	if (need_lock)
		UnlockRelationForExtension(index, ExclusiveLock);
	ReleaseBuffer(buffer);
	return taken;
}

/* look at one page, change it where it is the operation's, note it where it is free */
static void
sweep_page(const CleanUp *clean, BlockNumber block, BufferAccessStrategy strategy)
{
	Relation	index = clean->index;
	Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL,
											strategy);
	Page		page = BufferGetPage(buffer);
	VkPageHead	head;
	bool		is_new,
				is_free;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	is_new = PageIsNew(page);
	head = *vk_page_head(page);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);

	/* pages of an operation are nobody's but its own, and the flag is its as well */
	is_free = !is_new && (head.kind == VK_PAGE_FREE || is_left_over(clean, block, &head));
	if (!is_new && head.kind != VK_PAGE_FREE &&
		(is_free || is_closed_in_vain(clean, &head)))
	{
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		if (is_free)
			free_page(index, buffer);
		else
		{
			GenericXLogState *state = GenericXLogStart(index);

			page = GenericXLogRegisterBuffer(state, buffer, 0);
			vk_page_head(page)->flags &= ~VK_PAGE_CLOSED;
			GenericXLogFinish(state);
		}
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	ReleaseBuffer(buffer);

	if (is_new)
		is_free = take_new_page(index, block);
	if (is_free)
		RecordFreeIndexPage(index, block);
}

static void
sweep(const CleanUp *clean)
{
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockNumber blocks = RelationGetNumberOfBlocks(clean->index);

	for (BlockNumber block = 0; block < blocks; block++)
	{
		VK_VACUUM_DELAY_POINT();
		sweep_page(clean, block, strategy);
	}
	FreeAccessStrategy(strategy);
	keep_free_pages(clean->index);
}

/* slots that were made become unused again, those that were to retire stay */
static void
reset_slots(const CleanUp *clean, uint32 first)
{
	VkSlot	   *slot;
	Buffer		buffer = vk_slot_lock(clean->index, &clean->meta, first,
									  BUFFER_LOCK_EXCLUSIVE, &slot);
	GenericXLogState *state = GenericXLogStart(clean->index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool		changed = false;

	for (int i = 0; i < VK_PAGE_LINES && first + i < clean->meta.slots; i++)
	{
		slot = vk_slot_on_page(page, first + i);
		if (slot->born > clean->meta.epoch)
			vk_slot_clear(slot);
		else if (slot->retired > clean->meta.epoch)
			slot->retired = 0;
		else
			continue;
		changed = true;
	}
	if (changed)
		GenericXLogFinish(state);
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
}

static void
end_operation(Relation index)
{
	Buffer		buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = GenericXLogStart(index);

	vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0))->op_in_progress = 0;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_operation_clean_up -- undo what an operation that did not end has left
 *
 * Slots tell what was the operation's, so they come last.
 */
void
vk_operation_clean_up(Relation index)
{
	CleanUp		clean = {index};

	vk_meta_read(index, &clean.meta);
	if (clean.meta.op_in_progress == 0)
		return;

	read_slots(&clean);
	read_mean_pages(&clean);
	vk_center_list_drop(index, vk_index_copy(index, CurrentMemoryContext),
						&clean.unborn, false);
	vk_test_point("clean-up-begun");
	sweep(&clean);
	vk_test_point("clean-up-swept");
	for (uint32 first = 0; first < clean.meta.slots; first += VK_PAGE_LINES)
	{
		CHECK_FOR_INTERRUPTS();
		reset_slots(&clean, first);
	}
	end_operation(index);

	pfree(clean.unborn.bits);
	pfree(clean.retired.bits);
	if (clean.mean != NULL)
		pfree(clean.mean);
}
