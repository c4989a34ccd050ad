/*-------------------------------------------------------------------------
 *
 * operation.c
 *	  A list operation on disk: old lists give way to new ones, all at once.
 *
 * NOTES
 *	  README, List operations.  New lists have slots and pages that are born
 *	  in the next epoch, so nobody sees them; old ones are closed, which stops
 *	  inserts, and retire in that same epoch; then one record on the meta page
 *	  begins the epoch.  A crash before that record leaves what
 *	  vk_operation_clean_up takes back; after it the operation stands.
 *
 *	  The XID that says when nobody can see an old list any more is stored after
 *	  the commit, for until then a scan may begin at the old epoch.  A crash in
 *	  between leaves retired slots without one; vk_recycle gives them one.
 *
 *	  All of this is done under the upkeep lock.  Inserts go on meanwhile: they
 *	  append to lists that are not closed, and add segments to the directory.
 *
 * IDENTIFICATION
 *	  src/am/operation.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#include "am/list.h"
#include "am/test_point.h"
#include "am/upkeep.h"

/*
 * The upkeep lock is that of a tuple which is not there: indexes have none to lock.
 * A page's lock would not do.  Releases up to 16 assert that it is the last lock a
 * process takes, so that some look for no deadlock which goes through it; but upkeep
 * opens the table's TOAST under it, and runs the functions of expressions.
 */
static ItemPointerData
upkeep_place(void)
{
	ItemPointerData place;

	ItemPointerSet(&place, VK_META_BLOCK, FirstOffsetNumber);
	return place;
}

void
vk_upkeep_lock(Relation index, LOCKMODE mode)
{
	ItemPointerData place = upkeep_place();

	LockTuple(index, &place, mode);
}

bool
vk_upkeep_try_lock(Relation index, LOCKMODE mode)
{
	ItemPointerData place = upkeep_place();

	return vk_try_lock_tuple(index, &place, mode);
}

void
vk_upkeep_unlock(Relation index, LOCKMODE mode)
{
	ItemPointerData place = upkeep_place();

	UnlockTuple(index, &place, mode);
}

/* ---- begin ---- */

void
vk_operation_begin(VkOperation *op, Relation index, Relation heap,
				   const VkIndex *vk)
{
	Buffer		buffer;
	GenericXLogState *state;

	memset(op, 0, sizeof(VkOperation));
	op->index = index;
	op->heap = heap;
	op->vk = vk;
	op->context = CurrentMemoryContext;
	op->next_free = VK_SLOT_FIRST_LIST;

	buffer = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META, BUFFER_LOCK_EXCLUSIVE);
	op->meta = *vk_page_meta(BufferGetPage(buffer));
	op->epoch = op->meta.epoch + 1;
	vk_meta_check(index, &op->meta);
	if (op->meta.op_in_progress != 0)
		elog(ERROR, "an earlier operation on index \"%s\" was not cleaned up",
			 RelationGetRelationName(index));
	state = GenericXLogStart(index);
	vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0))->op_in_progress = 1;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	vk_test_point("operation-begun");
}

/* ---- new lists ---- */

uint32
vk_operation_new_list(VkOperation *op, uint16 flags)
{
	/* only the holder of the upkeep lock takes or makes unused slots: none comes
	 * back behind op->next_free */
	uint32		number = vk_slot_unused(op->index, &op->meta, op->next_free);

	op->next_free = number != 0 ? number + 1 : op->meta.slots;
	if (number != 0)
		vk_slot_reuse(op->index, op->vk, &op->meta, number, op->epoch, flags);
	else
		number = vk_slot_add(op->index, op->vk, op->epoch, flags);

	op->made = vk_array_grow(op->context, op->made, op->made_count,
							 &op->made_capacity, sizeof(uint32));
	op->made[op->made_count++] = number;
	if (flags & VK_SLOT_SEGMENT)
		op->segments_made++;
	else if ((flags & VK_SLOT_GROUP) == 0)
		op->lists_made++;
	return number;
}

void
vk_operation_set_list(VkOperation *op, uint32 number, const VkSlot *slot)
{
	VkSlot	   *stored;
	Buffer		buffer = vk_slot_lock(op->index, NULL, number,
									  BUFFER_LOCK_EXCLUSIVE, &stored);
	GenericXLogState *state;

	if (stored->born != op->epoch || slot->born != op->epoch)
		elog(ERROR, "slot %u of index \"%s\" is not a new list's", number,
			 RelationGetRelationName(op->index));

	state = GenericXLogStart(op->index);
	stored = vk_slot_on_page(GenericXLogRegisterBuffer(state, buffer, 0), number);
	stored->head = slot->head;
	stored->tail = slot->tail;
	stored->live = slot->live;
	stored->dead = slot->dead;
	stored->born_blocks = slot->born_blocks;
	stored->extent_start = slot->extent_start;
	stored->extent_length = slot->extent_length;
	stored->refine_head = slot->refine_head;
	stored->refine_tail = slot->refine_tail;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

void
vk_operation_put_center(VkOperation *op, uint32 number, const int8 *code, float a)
{
	if (op->tree == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(op->context);

		op->tree = vk_center_tree_read(op->index, op->vk, &op->meta);
		MemoryContextSwitchTo(old);
	}
	vk_center_list_put(op->tree, number, code, a);
}

/* from the last page to the first: each is written once, with the next known */
BlockNumber
vk_operation_put_mean(VkOperation *op, const float *mean)
{
	int			dim = op->meta.dim;
	BlockNumber next = InvalidBlockNumber;

	for (int position = (dim - 1) / (int) VK_MEAN_ENTRIES; position >= 0; position--)
	{
		int			first = position * (int) VK_MEAN_ENTRIES;
		int			count = Min(dim - first, (int) VK_MEAN_ENTRIES);
		Buffer		buffer = vk_new_page(op->index);
		GenericXLogState *state = GenericXLogStart(op->index);
		Page		page = GenericXLogRegisterBuffer(state, buffer,
													 GENERIC_XLOG_FULL_IMAGE);

		vk_page_init(page, VK_PAGE_MEAN, 0, 0, position);
		vk_page_head(page)->next = next;
		vk_page_head(page)->count = count;
		memcpy(vk_page_payload(page), mean + first, count * sizeof(float));
		GenericXLogFinish(state);
		next = BufferGetBlockNumber(buffer);
		UnlockReleaseBuffer(buffer);
	}
	return next;
}

/* ---- old lists ---- */

VkOldList *
vk_operation_add_old(VkOperation *op, uint32 number)
{
	VkOldList  *old;
	VkSlot	   *slot;
	Buffer		buffer;
	BlockNumber block;

	op->old = vk_array_grow(op->context, op->old, op->old_count,
							&op->old_capacity, sizeof(VkOldList));
	old = &op->old[op->old_count];
	old->number = number;
	old->closed = false;
	buffer = vk_slot_lock(op->index, NULL, number, BUFFER_LOCK_SHARE, &slot);
	block = BufferGetBlockNumber(buffer);
	old->slot = *slot;
	UnlockReleaseBuffer(buffer);
	/* nobody else retires lists */
	if ((number < VK_SLOT_FIRST_LIST && number != op->meta.root) ||
		!vk_slot_visible(&old->slot, op->meta.epoch) || old->slot.retired != 0)
		vk_corrupt(op->index, block,
				   psprintf("Slot %u is not that of a list that can be rewritten.", number));
	op->old_count++;
	return old;
}

/*
 * The flag stops appenders that have chosen the list already, the slot all others.
 * Both are in one record, under the locks of both pages, like the last record of
 * an append that adds a page.
 */
void
vk_operation_close(VkOperation *op, VkOldList *old)
{
	VkChainId	chain = {old->number, VK_PAGE_BLOCK, old->slot.born};
	VkSlot		slot;
	VkSlot	   *stored;
	Buffer		home;
	Buffer		directory;
	GenericXLogState *state;

	vk_slot_read(op->index, NULL, old->number, &slot);
	home = vk_chain_home(op->index, &chain, &slot);
	if (!BufferIsValid(home))
		vk_corrupt(op->index, slot.head,
				   psprintf("The list of slot %u is closed already.", old->number));
	directory = vk_slot_lock(op->index, NULL, old->number, BUFFER_LOCK_EXCLUSIVE,
							 &stored);

	state = GenericXLogStart(op->index);
	vk_page_head(GenericXLogRegisterBuffer(state, home, 0))->flags |= VK_PAGE_CLOSED;
	stored = vk_slot_on_page(GenericXLogRegisterBuffer(state, directory, 0),
							 old->number);
	stored->retired = op->epoch;
	GenericXLogFinish(state);
	old->slot = *vk_slot_on_page(BufferGetPage(directory), old->number);
	old->closed = true;
	UnlockReleaseBuffer(directory);
	UnlockReleaseBuffer(home);
	vk_test_point("operation-closed");
}

/* ---- commit ---- */

/* the record that begins the new epoch, but for what changes in how rows are coded */
static void
count_lists(const VkOperation *op, VkMeta *meta)
{
	uint32		old_segments = 0;
	uint32		old_lists = 0;

	for (int64 i = 0; i < op->old_count; i++)
	{
		if (op->old[i].slot.flags & VK_SLOT_SEGMENT)
			old_segments++;
		else if (!vk_slot_has_centers(op->old[i].number, &op->old[i].slot))
			old_lists++;
		for (int tail = 0; tail < VK_OPEN_SEGMENTS; tail++)
			if (meta->open_slot[tail] == op->old[i].number)
				meta->open_slot[tail] = 0;
	}
	meta->segments += (uint32) op->segments_made - old_segments;
	meta->lists += (uint32) op->lists_made - old_lists;
	meta->centers += (uint32) op->lists_made;
}

static void
begin_epoch(const VkOperation *op, const VkOperationChange *change)
{
	Buffer		buffer = vk_read_page(op->index, VK_META_BLOCK, VK_PAGE_META,
									  BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = GenericXLogStart(op->index);
	VkMeta	   *meta = vk_page_meta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->epoch = op->epoch;
	meta->op_in_progress = 0;
	count_lists(op, meta);
	if (change->live_rows >= 0)
	{
		meta->live_rows = change->live_rows;
		meta->dead_rows = change->dead_rows;
	}
	if (change->root != VK_SLOT_CENTERS)
	{
		meta->groups = change->groups;
		meta->root = change->root;
		meta->centers = change->centers;
		meta->grouped = change->groups > 0 ? change->centers : 0;
	}
	if (change->coded)
	{
		meta->coded = op->epoch;
		meta->mean_head = change->mean_head;
		meta->step = change->step;
		meta->build_rows = meta->live_rows;
		meta->build_residual = meta->residual = change->residual;
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* when a retired list can be recycled: once nobody is as old as this */
static void
stamp_old(const VkOperation *op)
{
	uint64		xid = U64FromFullTransactionId(ReadNextFullTransactionId());

	for (int64 i = 0; i < op->old_count; i++)
	{
		VkSlot	   *slot;
		Buffer		buffer;
		GenericXLogState *state;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_slot_lock(op->index, &op->meta, op->old[i].number,
							  BUFFER_LOCK_EXCLUSIVE, &slot);
		state = GenericXLogStart(op->index);
		slot = vk_slot_on_page(GenericXLogRegisterBuffer(state, buffer, 0),
							   op->old[i].number);
		slot->retire_xid = xid;
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
	}
}

void
vk_operation_commit(VkOperation *op, const VkOperationChange *change)
{
	for (int64 i = 0; i < op->old_count; i++)
		if (!op->old[i].closed)
			elog(ERROR, "list of slot %u of index \"%s\" is not closed",
				 op->old[i].number, RelationGetRelationName(op->index));

	begin_epoch(op, change);
	vk_test_point("operation-committed");
	stamp_old(op);
	if (change->coded)
		vk_mean_free(op->index, op->meta.mean_head);
	vk_test_point("operation-stamped");
}
