/*-------------------------------------------------------------------------
 *
 * directory.c
 *	  Directory slots: finding, reading, creating.
 *
 * NOTES
 *	  Slot s is a line of directory page s / 127; the number of that page is
 *	  an entry of a map page, and map pages are listed on the meta page.  All
 *	  of these only grow, and pages named there never move, so a copy of the
 *	  meta page may be old.
 *
 *	  Where the index has attribute columns, a slot also names its summary page,
 *	  which several slots share (summary.c): the first of them comes with a new
 *	  page, the others take it over from the slot before.
 *
 *	  Locks are taken in the order directory, map, meta.  Who creates a slot
 *	  learns its number from the meta page only, so it reads that first,
 *	  locks, and looks again.
 *
 *	  Slots that recycling has cleared are used again, or the directory would grow
 *	  with every row that comes and goes.  Only the holder of the upkeep lock takes
 *	  them, so that no two take one: a list operation, or an insert that wants a new
 *	  segment and finds that lock free.  It does not wait for it, but adds a slot.
 *
 * IDENTIFICATION
 *	  src/am/directory.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"

#include "am/upkeep.h"

/* block number of a directory page */
static BlockNumber
directory_block(Relation index, const VkMeta *meta, uint32 page)
{
	uint32		map = page / VK_MAP_ENTRIES;
	Buffer		buffer;
	BlockNumber block;

	if (map >= meta->maps)
		vk_corrupt(index, VK_META_BLOCK,
				   psprintf("The meta page lists %u map pages, slot map page %u is needed.",
							meta->maps, map));

	buffer = vk_read_page(index, meta->map[map], VK_PAGE_MAP,
						  BUFFER_LOCK_SHARE);
	block = ((BlockNumber *) vk_page_payload(BufferGetPage(buffer)))
		[page % VK_MAP_ENTRIES];
	UnlockReleaseBuffer(buffer);

	return block;
}

/*
 * vk_slot_lock -- pin and lock the directory page of a slot
 *
 * *slot points into that page.  meta may be NULL or old.
 */
Buffer
vk_slot_lock(Relation index, const VkMeta *meta, uint32 number, int mode,
			 VkSlot **slot)
{
	VkMeta		fresh;
	Buffer		buffer;

	if (meta == NULL || number >= meta->slots)
	{
		vk_meta_read(index, &fresh);
		meta = &fresh;
	}
	if (number >= meta->slots)
		vk_corrupt(index, VK_META_BLOCK,
				   psprintf("Slot %u is needed, but only %u slots are in use.",
							number, meta->slots));

	buffer = vk_read_page(index,
						  directory_block(index, meta, number / VK_PAGE_LINES),
						  VK_PAGE_DIRECTORY, mode);
	*slot = vk_slot_on_page(BufferGetPage(buffer), number);

	return buffer;
}

/*
 * vk_slot_read -- copy of a slot
 */
void
vk_slot_read(Relation index, const VkMeta *meta, uint32 number, VkSlot *slot)
{
	VkSlot	   *stored;
	Buffer		buffer = vk_slot_lock(index, meta, number, BUFFER_LOCK_SHARE,
									  &stored);

	*slot = *stored;
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_directory_slot -- copy of a slot, its directory page being remembered
 */
void
vk_directory_slot(Relation index, const VkMeta *meta, VkDirectory *directory,
				  uint32 number, VkSlot *slot)
{
	uint32		page = number / VK_PAGE_LINES;
	Buffer		buffer;

	if (directory->known[page % VK_DIRECTORY_CACHE].page == page + 1)
		buffer = vk_read_page(index,
							  directory->known[page % VK_DIRECTORY_CACHE].block,
							  VK_PAGE_DIRECTORY, BUFFER_LOCK_SHARE);
	else
	{
		VkSlot	   *stored;

		buffer = vk_slot_lock(index, meta, number, BUFFER_LOCK_SHARE, &stored);
		directory->known[page % VK_DIRECTORY_CACHE].page = page + 1;
		directory->known[page % VK_DIRECTORY_CACHE].block =
			BufferGetBlockNumber(buffer);
	}
	*slot = *vk_slot_on_page(BufferGetPage(buffer), number);
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_directory_page -- copy the slots of one directory page
 *
 * first is a multiple of VK_PAGE_LINES.  Returns how many of them are in use by
 * the meta page given.
 */
int
vk_directory_page(Relation index, const VkMeta *meta, uint32 first, VkSlot *slots)
{
	int			count = Min(meta->slots - first, VK_PAGE_LINES);
	VkSlot	   *on_page;
	Buffer		buffer = vk_slot_lock(index, meta, first, BUFFER_LOCK_SHARE,
									  &on_page);

	memcpy(slots, on_page, count * sizeof(VkSlot));
	UnlockReleaseBuffer(buffer);

	return count;
}

/*
 * vk_slot_init -- the contents of a slot whose list has no page yet
 */
void
vk_slot_init(VkSlot *slot, uint64 born)
{
	memset(slot, 0, sizeof(VkSlot));
	slot->head = InvalidBlockNumber;
	slot->tail = InvalidBlockNumber;
	slot->born = born;
	slot->extent_start = InvalidBlockNumber;
	slot->refine_head = InvalidBlockNumber;
	slot->refine_tail = InvalidBlockNumber;
	slot->summary = InvalidBlockNumber;
}

/*
 * vk_slot_clear -- the contents of a slot that is unused again
 */
void
vk_slot_clear(VkSlot *slot)
{
	BlockNumber summary = slot->summary;

	vk_slot_init(slot, 0);
	slot->summary = summary;
}

/* ---- slots for new lists ---- */

/* what a slot is added for */
typedef struct NewSlot
{
	uint64		born;			/* 0: the epoch of the moment */
	uint16		flags;
	int			tail;			/* it becomes this open segment, or -1 */
	uint32		full;			/* in place of this one, 0 = none yet */
} NewSlot;

/* buffers that it touches */
typedef struct SlotPages
{
	Buffer		directory;
	Buffer		map;			/* InvalidBuffer: the directory page exists */
	Buffer		meta;
	bool		new_map;
	BlockNumber summary;		/* of the slot; invalid: none, or a new page */
} SlotPages;

/*
 * The summary page of slot number meta->slots, where that is the page of the
 * slot before it.  Summary pages never move, so no lock is needed.
 */
static BlockNumber
shared_summary(Relation index, const VkIndex *vk, const VkMeta *meta)
{
	VkSlot		slot;

	if (vk->attributes == 0 || vk_summary_first(vk, meta->slots) == meta->slots)
		return InvalidBlockNumber;

	vk_slot_read(index, meta, meta->slots - 1, &slot);
	if (!BlockNumberIsValid(slot.summary))
		vk_corrupt(index, VK_META_BLOCK,
				   psprintf("The list of slot %u has no summary.",
							meta->slots - 1));
	return slot.summary;
}

/*
 * vk_slot_unused -- the first slot from that number on that no list uses, 0 where
 * there is none
 *
 * It stays so if the caller holds the upkeep lock.
 */
uint32
vk_slot_unused(Relation index, const VkMeta *meta, uint32 from)
{
	uint32		next;

	for (uint32 first = from / VK_PAGE_LINES * VK_PAGE_LINES; first < meta->slots; first = next)
	{
		VkSlot		slots[VK_PAGE_LINES];

		CHECK_FOR_INTERRUPTS();
		next = first + vk_directory_page(index, meta, first, slots);
		for (uint32 number = Max(first, from); number < next; number++)
			if (slots[number - first].born == 0)
				return number;
	}
	return 0;
}

/* the summary page of an unused slot, where its summaries hold no rows any more */
static BlockNumber
emptied_summary(Relation index, const VkIndex *vk, const VkMeta *meta, uint32 number)
{
	VkSlot		slot;

	vk_slot_read(index, meta, number, &slot);
	vk_summary_empty(index, vk, number, &slot);
	return slot.summary;
}

/*
 * Lock what a slot needs that is unused, or number meta->slots, up to the meta page.
 * A directory, map or summary page that does not exist yet is made only once the
 * number is certain.
 */
static void
lock_slot_pages(Relation index, const VkIndex *vk, const VkMeta *meta,
				uint32 number, SlotPages *pages)
{
	uint32		page = number / VK_PAGE_LINES;
	bool		added = number == meta->slots;
	bool		new_directory = added && number % VK_PAGE_LINES == 0;

	pages->directory = InvalidBuffer;
	pages->map = InvalidBuffer;
	pages->summary = added ? shared_summary(index, vk, meta) :
		emptied_summary(index, vk, meta, number);
	pages->new_map = new_directory && page % VK_MAP_ENTRIES == 0;

	if (!new_directory)
		pages->directory = vk_read_page(index,
										directory_block(index, meta, page),
										VK_PAGE_DIRECTORY,
										BUFFER_LOCK_EXCLUSIVE);
	else if (!pages->new_map)
		pages->map = vk_read_page(index, meta->map[page / VK_MAP_ENTRIES],
								  VK_PAGE_MAP, BUFFER_LOCK_EXCLUSIVE);

	pages->meta = vk_read_page(index, VK_META_BLOCK, VK_PAGE_META,
							   BUFFER_LOCK_EXCLUSIVE);
}

static void
unlock_slot_pages(SlotPages *pages)
{
	UnlockReleaseBuffer(pages->meta);
	if (BufferIsValid(pages->map))
		UnlockReleaseBuffer(pages->map);
	if (BufferIsValid(pages->directory))
		UnlockReleaseBuffer(pages->directory);
}

/*
 * Write the slot, in one record: a crash leaves all of it or nothing but unused
 * pages.
 */
static void
write_slot(Relation index, const VkIndex *vk, uint32 number, const NewSlot *what,
		   SlotPages *pages)
{
	uint32		page_number = number / VK_PAGE_LINES;
	bool		new_directory = !BufferIsValid(pages->directory);
	bool		new_summary = vk->attributes > 0 &&
		!BlockNumberIsValid(pages->summary);
	Buffer		summary = InvalidBuffer;
	GenericXLogState *state;
	Page		directory;
	VkMeta	   *meta;

	if (new_directory)
		pages->directory = vk_new_page(index);
	if (pages->new_map)
		pages->map = vk_new_page(index);
	if (new_summary)
	{
		summary = vk_new_page(index);
		pages->summary = BufferGetBlockNumber(summary);
	}

	state = GenericXLogStart(index);
	directory = GenericXLogRegisterBuffer(state, pages->directory,
										  new_directory ? GENERIC_XLOG_FULL_IMAGE : 0);
	meta = vk_page_meta(GenericXLogRegisterBuffer(state, pages->meta, 0));

	if (new_directory)
	{
		Page		map = GenericXLogRegisterBuffer(state, pages->map,
													pages->new_map ? GENERIC_XLOG_FULL_IMAGE : 0);

		vk_page_init(directory, VK_PAGE_DIRECTORY, 0, 0, page_number);
		if (pages->new_map)
		{
			vk_page_init(map, VK_PAGE_MAP, 0, 0, meta->maps);
			meta->map[meta->maps++] = BufferGetBlockNumber(pages->map);
		}
		((BlockNumber *) vk_page_payload(map))[page_number % VK_MAP_ENTRIES] =
			BufferGetBlockNumber(pages->directory);
		vk_page_head(map)->count = page_number % VK_MAP_ENTRIES + 1;
	}

	if (new_summary)
		vk_summary_page_init(vk, GenericXLogRegisterBuffer(state, summary,
														   GENERIC_XLOG_FULL_IMAGE),
							 number);

	vk_slot_init(vk_slot_on_page(directory, number),
				 what->born != 0 ? what->born : meta->epoch);
	vk_slot_on_page(directory, number)->flags = what->flags;
	vk_slot_on_page(directory, number)->summary = pages->summary;
	meta->slots = Max(meta->slots, number + 1);
	if (what->tail >= 0)
	{
		meta->open_slot[what->tail] = number;
		meta->segments++;
	}
	GenericXLogFinish(state);

	if (new_summary)
		UnlockReleaseBuffer(summary);
}

/* has another inserter replaced the open segment already? */
static bool
is_replaced(const VkMeta *meta, const NewSlot *what)
{
	return what->tail >= 0 && meta->open_slot[what->tail] != what->full;
}

/* the number that a slot has which is added behind all others */
static uint32
next_number(Relation index, const VkMeta *meta)
{
	if (meta->slots >= VK_MAX_SLOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" has reached the limit of %u lists",
						RelationGetRelationName(index), (uint32) VK_MAX_SLOTS),
				 errhint("Please REINDEX it.")));
	return meta->slots;
}

/*
 * Put a slot into the directory: an unused one, where `reuse` says that the upkeep
 * lock is held, else behind all others.  Its number, or 0 where the open segment
 * that it was to replace is another one by now.  The caller holds no other lock.
 */
static uint32
put_slot(Relation index, const VkIndex *vk, const NewSlot *what, bool reuse)
{
	for (;;)
	{
		VkMeta		meta;
		VkMeta	   *stored;
		SlotPages	pages;
		uint32		number = 0;
		bool		replaced,
					moved;

		CHECK_FOR_INTERRUPTS();
		vk_meta_read(index, &meta);
		if (is_replaced(&meta, what))
			return 0;
		if (reuse)
			number = vk_slot_unused(index, &meta, VK_SLOT_FIRST_LIST);
		if (number == 0)
			number = next_number(index, &meta);

		lock_slot_pages(index, vk, &meta, number, &pages);
		stored = vk_page_meta(BufferGetPage(pages.meta));
		replaced = is_replaced(stored, what);
		moved = number == meta.slots && stored->slots != meta.slots;
		if (!replaced && !moved)
			write_slot(index, vk, number, what, &pages);
		unlock_slot_pages(&pages);

		if (replaced)
			return 0;
		if (!moved)
			return number;
	}
}

/*
 * vk_slot_add -- a new slot for a list that is not seen yet
 */
uint32
vk_slot_add(Relation index, const VkIndex *vk, uint64 born, uint16 flags)
{
	NewSlot		what = {.born = born, .flags = flags, .tail = -1};

	return put_slot(index, vk, &what, false);
}

/*
 * vk_slot_reuse -- an unused slot for a list that is not seen yet
 *
 * The caller holds the upkeep lock.  Its summaries, which nobody looks at, are
 * emptied first.
 */
void
vk_slot_reuse(Relation index, const VkIndex *vk, const VkMeta *meta,
			  uint32 number, uint64 born, uint16 flags)
{
	BlockNumber summary = emptied_summary(index, vk, meta, number);
	VkSlot	   *stored;
	Buffer		buffer;
	GenericXLogState *state;

	buffer = vk_slot_lock(index, meta, number, BUFFER_LOCK_EXCLUSIVE, &stored);
	state = GenericXLogStart(index);
	stored = vk_slot_on_page(GenericXLogRegisterBuffer(state, buffer, 0), number);
	vk_slot_init(stored, born);
	stored->flags = flags;
	stored->summary = summary;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_segment_open -- replace an open segment by a new one
 *
 * full is the segment that the caller found full or closed (0: none).  Where
 * another inserter replaced it already, nothing is done.  The caller reads
 * the meta page again, and holds no lock.
 */
void
vk_segment_open(Relation index, const VkIndex *vk, int tail, uint32 full)
{
	NewSlot		what = {.flags = VK_SLOT_SEGMENT, .tail = tail, .full = full};
	bool		locked = vk_upkeep_try_lock(index, ExclusiveLock);

	(void) put_slot(index, vk, &what, locked);
	if (locked)
		vk_upkeep_unlock(index, ExclusiveLock);
}
