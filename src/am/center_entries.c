/*-------------------------------------------------------------------------
 *
 * center_entries.c
 *	  The centre list: entries, and how they come and go.
 *
 * NOTES
 *	  The centre list is the list of slot 0.  The "TID" of an entry is the slot
 *	  of the list that it is the centre of; its scan code ranks lists, and its
 *	  8-bit refine code is the centre itself.  An entry is as visible as its
 *	  slot: those of lists that are not born yet, or retired, are passed over.
 *
 *	  Where there are many lists, their entries lie in groups (VkMeta.groups), in
 *	  that of the nearest centre, and the list in slot VkMeta.root has the entries
 *	  of the groups.  All of these lists are coded alike.  Groups are made, and
 *	  made anew, all at once (regroup.c); so is a centre list that has many free
 *	  lanes, which is in another slot from then on (VkMeta.root).
 *
 *	  Entries of slots that nobody sees any more lose their bit in the live mask,
 *	  and a later entry may take their lane.  A reader that still holds such an
 *	  entry may so read the code of another centre.  It does no harm: the entry's
 *	  slot is not visible to it, or the lane would not be free.
 *
 *	  All who change the list hold the upkeep lock.
 *
 * IDENTIFICATION
 *	  src/am/center_entries.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "utils/memutils.h"

#include "am/list.h"
#include "am/row_batch.h"
#include "am/upkeep.h"

/* the mean as a centre */
static const VkCenter mean_center = {0};

/*
 * vk_center_row -- encode an entry: the centre a * signed_code of a slot's list
 *
 * values holds dim floats, scratch vk_scratch_size.
 */
void
vk_center_row(const VkCoder *coder, uint32 number, const int8 *signed_code,
			  float a, float *values, void *scratch, ItemPointer tid,
			  VkRowCode *code)
{
	double		norm = vk_center_norm(signed_code, a, coder->dim);

	for (int i = 0; i < coder->dim; i++)
		values[i] = a * signed_code[i];
	vk_row_encode(coder, values, norm * norm, &mean_center, false, code, scratch);
	vk_refine_from_center(signed_code, a, coder->dim, code->refine);
	ItemPointerSet(tid, number, 1);
}

/* ---- a new entry ---- */

/* the first lane of a page that is in use and dead; false: there is none */
static bool
find_dead_lane(Relation index, const VkIndex *vk, Buffer buffer, int *line,
			   int *lane)
{
	Page		page = BufferGetPage(buffer);

	for (*line = vk_first_head(index, vk, buffer); *line != 0;
		 *line = vk_next_head(vk, page, *line))
	{
		const VkBlockHead *head = &vk_block_top(page, *line)->head;
		uint32		dead = ~(uint32) head->live &
			((1U << Min(head->count, VK_LANES)) - 1);

		if (dead != 0)
		{
			*lane = pg_rightmost_one_pos32(dead);
			return true;
		}
	}
	return false;
}

/* one dead entry less */
static void
count_replaced(Relation index, uint32 number)
{
	VkSlot	   *slot;
	Buffer		buffer = vk_slot_lock(index, NULL, number,
									  BUFFER_LOCK_EXCLUSIVE, &slot);

	if (slot->dead > 0)
	{
		GenericXLogState *state = GenericXLogStart(index);
		Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

		slot = vk_slot_on_page(page, number);
		slot->dead--;
		slot->live++;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

/* write an entry over a dead one, if there is any */
static bool
replace_dead(Relation index, const VkIndex *centers, uint32 number,
			 const VkSlot *slot, const VkRow *row, VkFreeLanes *free)
{
	VkChainId	chain = {number, VK_PAGE_BLOCK, slot->born};

	while (BlockNumberIsValid(free->block))
	{
		Buffer		buffer = vk_read_chain_page(index, free->block, VK_PAGE_BLOCK,
												number, slot->born, free->position,
												BUFFER_LOCK_SHARE);
		int			line;
		int			lane;

		CHECK_FOR_INTERRUPTS();
		if (find_dead_lane(index, centers, buffer, &line, &lane))
		{
			/* nobody else makes entries: the lane stays what it is */
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
			vk_list_replace(index, centers, &chain, buffer, line, lane, row);
			count_replaced(index, number);
			return true;
		}
		free->block = vk_page_head(BufferGetPage(buffer))->next;
		free->position++;
		UnlockReleaseBuffer(buffer);
	}
	return false;
}

/* ---- entries of lists that are no more ---- */

/* what a walk over the list has found */
typedef struct EntryCounts
{
	uint32		live;
	uint32		dead;
	uint32		dropped;
} EntryCounts;

/* lanes of a block whose entry is to go */
static uint32
lanes_to_drop(const VkBlockTop *top, const VkSlotSet *drop)
{
	uint32		live = top->head.live & ((1U << Min(top->head.count, VK_LANES)) - 1);
	uint32		lanes = 0;

	for (; live != 0; live &= live - 1)
	{
		int			lane = pg_rightmost_one_pos32(live);

		if (vk_slot_set_has(drop, ItemPointerGetBlockNumberNoCheck(&top->tids[lane])))
			lanes |= 1U << lane;
	}
	return lanes;
}

/* count the entries of a page, those to go apart */
static void
count_entries(Relation index, const VkIndex *vk, Buffer buffer,
			  const VkSlotSet *drop, EntryCounts *counts)
{
	Page		page = BufferGetPage(buffer);

	for (int line = vk_first_head(index, vk, buffer); line != 0;
		 line = vk_next_head(vk, page, line))
	{
		const VkBlockTop *top = vk_block_top(page, line);
		int			count = Min(top->head.count, VK_LANES);
		int			live = pg_popcount32(top->head.live & ((1U << count) - 1));
		int			dropped = pg_popcount32(lanes_to_drop(top, drop));

		counts->live += live - dropped;
		counts->dead += count - live + dropped;
		counts->dropped += dropped;
	}
}

/* take entries out of a page, in one record with the meta page's count of them */
static void
drop_entries(Relation index, const VkIndex *vk, Buffer buffer,
			 const VkSlotSet *drop, uint32 counted)
{
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	Buffer		meta = InvalidBuffer;

	for (int line = vk_page_head(page)->first_head; line != 0;
		 line = vk_next_head(vk, page, line))
	{
		VkBlockTop *top = vk_block_top(page, line);

		top->head.live &= ~lanes_to_drop(top, drop);
	}
	if (counted > 0)
	{
		meta = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
							BUFFER_LOCK_EXCLUSIVE);
		vk_page_meta(GenericXLogRegisterBuffer(state, meta, 0))->centers -= counted;
	}
	GenericXLogFinish(state);
	if (BufferIsValid(meta))
		UnlockReleaseBuffer(meta);
}

/* what the slot says of its entries; put_center looks for lanes only if any died */
static void
store_counts(Relation index, uint32 number, const EntryCounts *counts)
{
	VkSlot	   *slot;
	Buffer		buffer = vk_slot_lock(index, NULL, number,
									  BUFFER_LOCK_EXCLUSIVE, &slot);
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

	slot = vk_slot_on_page(page, number);
	slot->live = counts->live;
	slot->dead = counts->dead;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* the same in one list of entries */
static void
drop_in_list(Relation index, const VkIndex *vk, uint32 number,
			 const VkSlotSet *drop, bool counted)
{
	EntryCounts counts = {0};
	BlockNumber block;
	VkSlot		slot;

	vk_slot_read(index, NULL, number, &slot);
	block = slot.head;
	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		uint32		before = counts.dropped;

		VK_VACUUM_DELAY_POINT();
		buffer = vk_read_chain_page(index, block, VK_PAGE_BLOCK, number,
									slot.born, position, BUFFER_LOCK_SHARE);
		count_entries(index, vk, buffer, drop, &counts);
		if (counts.dropped > before)
		{
			/* nobody else changes entries: they are as they were */
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
			drop_entries(index, vk, buffer, drop,
						 counted ? counts.dropped - before : 0);
		}
		block = vk_page_head(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
	if (slot.live != counts.live || slot.dead != counts.dead)
		store_counts(index, number, &counts);
}

/*
 * vk_center_list_drop -- free the lanes of the entries of some slots
 *
 * counted: the meta page counts them.
 */
void
vk_center_list_drop(Relation index, const VkIndex *vk, const VkSlotSet *drop,
					bool counted)
{
	VkMeta		meta;
	VkCenterTree *tree;

	vk_meta_read(index, &meta);
	tree = vk_center_tree_read(index, vk, &meta);
	for (int part = 0; part < tree->count; part++)
		drop_in_list(index, vk, tree->slots[part], drop, counted);
	vk_center_tree_free(tree);
}

/* the lanes in use of one list of entries */
static double
count_lanes(Relation index, const VkIndex *vk, const VkMeta *meta, uint32 number)
{
	double		lanes = 0;
	BlockNumber block;
	VkSlot		slot;

	vk_slot_read(index, meta, number, &slot);
	block = slot.head;
	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		Page		page;

		VK_VACUUM_DELAY_POINT();
		buffer = vk_read_chain_page(index, block, VK_PAGE_BLOCK, number,
									slot.born, position, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		for (int line = vk_first_head(index, vk, buffer); line != 0;
			 line = vk_next_head(vk, page, line))
			lanes += Min(vk_block_top(page, line)->head.count, VK_LANES);
		block = vk_page_head(page)->next;
		UnlockReleaseBuffer(buffer);
	}
	return lanes;
}

double
vk_center_list_lanes(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	VkCenterTree *tree = vk_center_tree_read(index, vk, meta);
	double		lanes = 0;

	for (int part = 0; part < tree->count; part++)
		lanes += count_lanes(index, vk, meta, tree->slots[part]);
	vk_center_tree_free(tree);
	return lanes;
}

/* ---- reading ---- */

typedef struct CenterReader
{
	Relation	index;
	const VkIndex *vk;
	const VkMeta *meta;
	VkCoder		coder;			/* of entries */
	uint32		number;			/* the list at hand */
	VkSlot		slot;
	uint32		kind;			/* VK_SLOT_GROUP where its entries are groups */
	VkDirectory *directory;
	uint8	   *refine;
	int8	   *code;
	VkCenterCallback callback;
	void	   *arg;
} CenterReader;

/* one entry, whose refine code begins so many bytes after that page */
static void
read_entry(CenterReader *reader, uint32 number, const VkPageHead *head, uint32 bytes)
{
	VkSlot		slot;
	float		a;

	if (number < VK_SLOT_FIRST_LIST)
		return;
	vk_directory_slot(reader->index, reader->meta, reader->directory, number, &slot);
	if (!vk_slot_visible(&slot, reader->meta->epoch) ||
		(slot.flags & VK_SLOT_GROUP) != reader->kind)
		return;
	vk_refine_read(reader->index, reader->number, reader->slot.born,
				   head->refine_page, head->refine_position, bytes,
				   reader->coder.refine_size, reader->refine);
	vk_refine_center(reader->refine, reader->coder.dim, reader->code, &a);
	reader->callback(reader->arg, number, reader->code, a);
}

/*
 * The entries of the blocks that begin on one page, of which this is a copy:
 * other pages are read in between, and no two locks are held at a time.
 */
static void
read_entries(CenterReader *reader, Page page, int first_head)
{
	const VkPageHead *head = vk_page_head(page);
	uint32		bytes = head->refine_offset;

	for (int line = first_head; line != 0; line = vk_next_head(reader->vk, page, line))
	{
		VkBlockTop *top = vk_block_top(page, line);

		for (int lane = 0; lane < Min(top->head.count, VK_LANES); lane++)
			if (top->head.live & (1 << lane))
				read_entry(reader, ItemPointerGetBlockNumberNoCheck(&top->tids[lane]),
						   head, bytes + lane * reader->coder.refine_size);
		bytes += VK_LANES * reader->coder.refine_size;
	}
}

static void
read_list(CenterReader *reader, uint32 number)
{
	PGAlignedBlock copy;
	BlockNumber block;

	reader->number = number;
	vk_slot_read(reader->index, reader->meta, number, &reader->slot);
	block = reader->slot.head;
	for (uint32 position = 0; BlockNumberIsValid(block); position++)
	{
		Buffer		buffer;
		int			first_head;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_chain_page(reader->index, block, VK_PAGE_BLOCK, number,
									reader->slot.born, position, BUFFER_LOCK_SHARE);
		first_head = vk_first_head(reader->index, reader->vk, buffer);
		memcpy(copy.data, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);

		read_entries(reader, (Page) copy.data, first_head);
		block = vk_page_head((Page) copy.data)->next;
	}
}

static void
begin_reader(CenterReader *reader, Relation index, const VkIndex *vk,
			 const VkMeta *meta, VkCenterCallback callback, void *arg)
{
	memset(reader, 0, sizeof(CenterReader));
	reader->index = index;
	reader->vk = vk;
	reader->meta = meta;
	reader->coder = vk_center_coder(vk);
	reader->directory = palloc0(sizeof(VkDirectory));
	reader->refine = palloc(reader->coder.refine_size);
	reader->code = palloc0(TYPEALIGN(4, reader->coder.dim));
	reader->callback = callback;
	reader->arg = arg;
}

static void
end_reader(CenterReader *reader)
{
	pfree(reader->directory);
	pfree(reader->refine);
	pfree(reader->code);
}

/*
 * vk_center_list_read -- show the callback every list's centre
 *
 * Only lists that are seen at meta's epoch; in the order of the centre list.
 */
void
vk_center_list_read(Relation index, const VkIndex *vk, const VkMeta *meta,
					VkCenterCallback callback, void *arg)
{
	VkCenterTree *tree = vk_center_tree_read(index, vk, meta);
	CenterReader reader;

	begin_reader(&reader, index, vk, meta, callback, arg);
	for (int part = 0; part < tree->count; part++)
		read_list(&reader, tree->slots[part]);
	end_reader(&reader);
	vk_center_tree_free(tree);
}

/* ---- groups ---- */

/* VkCenterCallback */
static void
note_group(void *arg, uint32 number, const int8 *code, float a)
{
	VkCenterTree *tree = arg;

	if (tree->count == tree->capacity)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has more than %d groups of centroids",
						RelationGetRelationName(tree->index), tree->capacity),
				 errhint("Please REINDEX it.")));
	tree->slots[tree->count++] = number;
	vk_centers_add(&tree->centers, code, a);
}

/*
 * vk_center_tree_read -- the lists that entries lie in at meta's epoch
 */
VkCenterTree *
vk_center_tree_read(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "vkindex centre list",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VkCenterTree *tree = palloc0(sizeof(VkCenterTree));
	int			dim = vk->coder.dim;

	tree->context = context;
	tree->index = index;
	tree->vk = vk;
	tree->capacity = Max((int) meta->groups, 1);
	tree->slots = palloc_extended(tree->capacity * sizeof(uint32), MCXT_ALLOC_HUGE);
	tree->free = palloc_extended(tree->capacity * sizeof(VkFreeLanes), MCXT_ALLOC_HUGE);
	if (meta->groups == 0)
		tree->slots[tree->count++] = meta->root;
	else
	{
		CenterReader reader;

		vk_centers_init(&tree->centers, dim);
		begin_reader(&reader, index, vk, meta, note_group, tree);
		reader.kind = VK_SLOT_GROUP;
		read_list(&reader, meta->root);
		end_reader(&reader);
		if (tree->count == 0)
			vk_corrupt(index, VK_META_BLOCK, "The centre list has no groups.");
		vk_assigner_init(&tree->assigner, dim, tree->count, tree->centers.codes,
						 tree->centers.stride, tree->centers.scales, vk_pause,
						 vk_aligned_alloc(vk_assigner_size(dim, tree->count)));
	}

	/* lanes of entries that were recycled are used first */
	for (int part = 0; part < tree->count; part++)
	{
		VkSlot		slot;

		vk_slot_read(index, meta, tree->slots[part], &slot);
		tree->free[part].block = slot.dead > 0 ? slot.head : InvalidBlockNumber;
		tree->free[part].position = 0;
	}
	MemoryContextSwitchTo(old);
	return tree;
}

void
vk_center_tree_free(VkCenterTree *tree)
{
	MemoryContextDelete(tree->context);
}

/* where an entry belongs */
static int
nearest_part(VkCenterTree *tree, const int8 *code, float a)
{
	int32		part = 0;

	if (tree->centers.count > 0)
		vk_assign(&tree->assigner, code, tree->centers.stride, &a, 1, &part);
	return part;
}

/*
 * vk_center_list_put -- enter the centre of a list
 */
void
vk_center_list_put(VkCenterTree *tree, uint32 number, const int8 *code, float a)
{
	Relation	index = tree->index;
	VkIndex		centers = *tree->vk;
	int			dim = centers.coder.dim;
	float	   *values = palloc(dim * sizeof(float));
	void	   *scratch = palloc(vk_scratch_size(dim));
	int			part = nearest_part(tree, code, a);
	uint32		list = tree->slots[part];
	VkRow		row = {0};
	VkSlot		slot;

	centers.coder = vk_center_coder(tree->vk);
	row.code.lane = palloc(4 * centers.coder.lines);
	row.code.refine = palloc(centers.coder.refine_size);
	vk_center_row(&centers.coder, number, code, a, values, scratch, &row.tid,
				  &row.code);

	vk_slot_read(index, NULL, list, &slot);
	if (!replace_dead(index, &centers, list, &slot, &row, &tree->free[part]) &&
		!vk_list_append(index, &centers, list, &row))
		vk_corrupt(index, slot.head,
				   psprintf("The centre list of slot %u takes no entries.", list));

	pfree(row.code.refine);
	pfree(row.code.lane);
	pfree(scratch);
	pfree(values);
}

