/*-------------------------------------------------------------------------
 *
 * upkeep_rows.c
 *	  Rows of lists, and their vectors in the table.
 *
 * NOTES
 *	  A walk goes through a list page by page, holding one share lock at a time
 *	  and no pin in between, and copies what the rows' blocks say of them: TIDs
 *	  and attribute keys, which are never computed again.  Rows are only ever
 *	  appended, so a walk that has come to the end can go on later.
 *
 *	  Whether a row is still needed is not for a list operation to say: an entry
 *	  stays until vacuum takes it out, for a standby may have queries that see
 *	  its row long after nobody here does.  So every row is kept whose tuple is
 *	  there.  Its vector is that of the version that is seen here, or, where none is,
 *	  that of the newest one of its HOT chain that was not taken back.  Older ones may
 *	  be older than the index, and have other vectors: of an update, say, that was over
 *	  when the index was made, and not pruned yet.  VACUUM has no snapshot that keeps
 *	  anything, so the TOAST of a dead row may be gone at any time; then there is no
 *	  vector.
 *
 * IDENTIFICATION
 *	  src/am/upkeep_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "commands/vacuum.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"

#include "am/heap_reader.h"
#include "am/upkeep.h"

/* ---- walks ---- */

void
vk_list_walk_begin(VkListWalk *walk, const VkIndex *vk, uint32 number,
				   const VkSlot *slot)
{
	walk->vk = vk;
	walk->number = number;
	walk->born = slot->born;
	walk->block = slot->head;
	walk->position = 0;
	walk->line = 0;
	walk->lane = 0;
}

/* copy the live rows of a block from the walk's lane on; false: there was no room */
static bool
copy_block(VkListWalk *walk, const VkBlockTop *top, VkListRow *rows, int most,
		   int *count)
{
	int			lanes = Min(top->head.count, VK_LANES);

	for (; walk->lane < lanes; walk->lane++)
	{
		VkListRow  *row = &rows[*count];

		if ((top->head.live & 1 << walk->lane) == 0)
			continue;
		if (*count == most)
			return false;
		row->tid = top->tids[walk->lane];
		vk_attributes_get(walk->vk, top, walk->lane, &row->attributes);
		(*count)++;
	}
	return true;
}

/* the same for the blocks of a locked page, from the one at hand on */
static bool
copy_page(VkListWalk *walk, Relation index, Buffer buffer, VkListRow *rows,
		  int most, int *count)
{
	Page		page = BufferGetPage(buffer);
	int			line = vk_first_head(index, walk->vk, buffer);

	if (walk->line != 0)
		line = walk->line;
	while (line != 0)
	{
		walk->line = line;
		if (!copy_block(walk, vk_block_top(page, line), rows, most, count))
			return false;
		line = vk_next_head(walk->vk, page, line);
		if (line != 0)
			walk->lane = 0;
	}
	return true;
}

/* the page at hand; invalid where the list has none */
static BlockNumber
page_at_hand(VkListWalk *walk, Relation index)
{
	if (!BlockNumberIsValid(walk->block))
	{
		VkSlot		slot;

		vk_slot_read(index, NULL, walk->number, &slot);
		if (slot.born == walk->born)
			walk->block = slot.head;
	}
	return walk->block;
}

int
vk_list_walk_next(VkListWalk *walk, Relation index, VkListRow *rows, int most)
{
	int			count = 0;

	while (count == 0 && BlockNumberIsValid(page_at_hand(walk, index)))
	{
		Buffer		buffer;
		VkPageHead	head;
		bool		done;

		VK_VACUUM_DELAY_POINT();
		buffer = vk_read_chain_page(index, walk->block, VK_PAGE_BLOCK,
									walk->number, walk->born, walk->position,
									BUFFER_LOCK_SHARE);
		done = copy_page(walk, index, buffer, rows, most, &count);
		head = *vk_page_head(BufferGetPage(buffer));
		UnlockReleaseBuffer(buffer);

		/* a page that is not full may get more rows, even where it has a next */
		if (done && !(head.flags & VK_PAGE_FULL))
			break;
		if (done)
		{
			walk->block = head.next;
			walk->position++;
			walk->line = 0;
			walk->lane = 0;
		}
	}
	return count;
}

/* ---- vectors ---- */

struct VkRowReader
{
	MemoryContext context;		/* of this reader */
	VkHeapReader *heap;
	float	   *normalized;		/* cosine */
};

static struct VkRowReader *
open_reader(VkUpkeep *upkeep)
{
	MemoryContext context,
				old;
	struct VkRowReader *reader;
	int			dim = upkeep->vk->coder.dim;

	if (upkeep->rows != NULL)
		return upkeep->rows;
	context = AllocSetContextCreate(upkeep->context, "vkindex upkeep rows",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	reader = palloc(sizeof(struct VkRowReader));
	reader->context = context;
	reader->heap = vk_heap_reader_create(upkeep->index, upkeep->support, dim);
	reader->normalized = palloc(sizeof(float) * dim);
	vk_heap_reader_open(reader->heap, upkeep->heap, NULL);
	MemoryContextSwitchTo(old);
	upkeep->rows = reader;
	return reader;
}

static const float *
normalize(VkUpkeep *upkeep, ItemPointer tid, const float *vector, bool *wild)
{
	float	   *normalized = upkeep->rows->normalized;

	if (!vk_normalize(vector, upkeep->vk->coder.dim, normalized, wild))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has a code for a vector without a direction",
						RelationGetRelationName(upkeep->index)),
				 errdetail("Heap TID is (%u,%u).",
						   ItemPointerGetBlockNumberNoCheck(tid),
						   ItemPointerGetOffsetNumberNoCheck(tid)),
				 errhint("Please REINDEX it.")));
	return normalized;
}

VkRowState
vk_row_vector(VkUpkeep *upkeep, ItemPointer tid, const float **vector, bool *wild)
{
	struct VkRowReader *reader = open_reader(upkeep);
	bool		deleted = false;

	*wild = false;
	if (!vk_heap_reader_fetch(reader->heap, tid, SnapshotSelf) &&
		!vk_heap_reader_newest(reader->heap, tid, &deleted))
		return VK_ROW_GONE;
	/* an expression would detoast by itself what may not be there any more */
	if (deleted && vk_heap_reader_computes(reader->heap))
		return VK_ROW_DEAD;
	*vector = vk_heap_reader_vector(reader->heap);
	if (*vector == NULL)
		return VK_ROW_DEAD;
	if (upkeep->support->metric == VK_METRIC_COSINE)
		*vector = normalize(upkeep, tid, *vector, wild);
	return VK_ROW_LIVE;
}

void
vk_rows_release(VkUpkeep *upkeep)
{
	if (upkeep->rows == NULL)
		return;
	vk_heap_reader_close(upkeep->rows->heap);
	MemoryContextDelete(upkeep->rows->context);
	upkeep->rows = NULL;
}

/*
 * vk_rows_keep_toast -- let nobody vacuum values out of the table's TOAST table while
 * an expression of the index reads them
 *
 * Their row may die meanwhile, and VACUUM's own snapshot keeps none.  Where the column
 * itself is indexed, vk_row_vector looks for what is gone.
 */
void
vk_rows_keep_toast(const VkUpkeep *upkeep, bool lock)
{
	Oid			toast = upkeep->heap->rd_rel->reltoastrelid;

	if (upkeep->info->ii_Expressions == NIL || !OidIsValid(toast))
		return;
	if (lock)
		LockRelationOid(toast, ShareUpdateExclusiveLock);
	else
		UnlockRelationOid(toast, ShareUpdateExclusiveLock);
}
