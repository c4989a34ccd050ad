/*-------------------------------------------------------------------------
 *
 * row_set.c
 *	  Where the rows of a table lie that a snapshot sees: a bitmap.
 *
 * NOTES
 *	  A bit for each place that a row can have on a page.  With the number of
 *	  rows before each page kept beside, a row's number is found by counting the
 *	  bits before its own.
 *
 * IDENTIFICATION
 *	  src/batch/row_set.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "port/pg_bitutils.h"

#include "batch/graph.h"

#define PAGE_WORDS		(MaxHeapTuplesPerPage / 64 + 1)

typedef struct RowSetPage
{
	int64		before;			/* rows on earlier pages */
	uint64		words[PAGE_WORDS];
} RowSetPage;

struct VkRowSet
{
	BlockNumber pages;
	RowSetPage	page[FLEXIBLE_ARRAY_MEMBER];
};

Size
vk_row_set_size(BlockNumber pages)
{
	return offsetof(VkRowSet, page) + (Size) pages * sizeof(RowSetPage);
}

VkRowSet *
vk_row_set_create(BlockNumber pages)
{
	VkRowSet   *set = MemoryContextAllocExtended(CurrentMemoryContext,
												 vk_row_set_size(pages),
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	set->pages = pages;
	return set;
}

/* is there a bit for such a row? */
static inline bool
has_room(const VkRowSet *set, uint64 tid)
{
	return (tid >> 16) < set->pages && (tid & 0xFFFF) <= MaxHeapTuplesPerPage;
}

void
vk_row_set_add(VkRowSet *set, uint64 tid)
{
	uint64		offset = tid & 0xFFFF;

	if (!has_room(set, tid))
		elog(ERROR, "row (%u,%u) lies behind the end of its table",
			 (uint32) (tid >> 16), (uint32) offset);
	set->page[tid >> 16].words[offset / 64] |= UINT64CONST(1) << offset % 64;
}

int64
vk_row_set_number(VkRowSet *set)
{
	int64		rows = 0;

	for (BlockNumber i = 0; i < set->pages; i++)
	{
		set->page[i].before = rows;
		for (int word = 0; word < PAGE_WORDS; word++)
			rows += pg_popcount64(set->page[i].words[word]);
	}
	return rows;
}

int64
vk_row_set_find(const VkRowSet *set, uint64 tid)
{
	uint64		offset = tid & 0xFFFF;
	uint64		bit = UINT64CONST(1) << offset % 64;
	const RowSetPage *page;
	int64		number;

	if (!has_room(set, tid))
		return -1;
	page = &set->page[tid >> 16];
	if ((page->words[offset / 64] & bit) == 0)
		return -1;
	number = page->before + pg_popcount64(page->words[offset / 64] & (bit - 1));
	for (uint64 word = 0; word < offset / 64; word++)
		number += pg_popcount64(page->words[word]);
	return number;
}

uint64
vk_row_set_next(const VkRowSet *set, uint64 tid)
{
	uint64		offset = tid & 0xFFFF;

	for (uint64 page = tid >> 16; page < set->pages; page++, offset = 0)
		for (uint64 word = offset / 64; word < PAGE_WORDS; word++)
		{
			uint64		left = set->page[page].words[word];

			if (word == offset / 64)
				left &= ~UINT64CONST(0) << offset % 64;
			if (left != 0)
				return page << 16 | (word * 64 + pg_rightmost_one_pos64(left));
		}
	return 0;
}
