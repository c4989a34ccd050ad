/*-------------------------------------------------------------------------
 *
 * row_mask.c
 *	  The rows of a table that may meet conditions, as other indexes know them.
 *
 * NOTES
 *	  A TIDBitmap is made to be read in the order of the table; the rows of a list
 *	  are anywhere in it.  So its pages go into a hash table, each with a bit a
 *	  row.
 *
 * IDENTIFICATION
 *	  src/am/row_mask.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "am/row_mask.h"

#define WORD_ROWS		64
#define PAGE_WORDS		((MaxHeapTuplesPerPage + WORD_ROWS - 1) / WORD_ROWS)

/* the rows of one page of the table */
typedef struct MaskPage
{
	BlockNumber block;
	char		status;
	uint64		rows[PAGE_WORDS];	/* row at offset n + 1: bit n */
} MaskPage;

#define SH_PREFIX maskpages
#define SH_ELEMENT_TYPE MaskPage
#define SH_KEY_TYPE BlockNumber
#define SH_KEY block
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

struct VkRowMask
{
	maskpages_hash *pages;
	int64		rows;
};

/* Enter one page of a bitmap; count -1: all its rows. */
static void
add_page(VkRowMask *mask, BlockNumber block, const OffsetNumber *offsets, int count)
{
	bool		present;
	MaskPage   *page = maskpages_insert(mask->pages, block, &present);

	memset(page->rows, count < 0 ? 0xFF : 0, sizeof(page->rows));
	for (int i = 0; i < count; i++)
		page->rows[(offsets[i] - 1) / WORD_ROWS] |= UINT64CONST(1) << (offsets[i] - 1) % WORD_ROWS;
	if (count < 0)
		mask->rows = -1;
	else if (mask->rows >= 0)
		mask->rows += count;
}

VkRowMask *
vk_row_mask_create(MemoryContext context, TIDBitmap *bitmap)
{
	/* the table grows to twice what it holds */
	const uint64 most = (uint64) work_mem * 1024 / 2 / (2 * sizeof(MaskPage));
	VkRowMask  *mask = MemoryContextAllocZero(context, sizeof(VkRowMask));
	VkBitmapIterator *iterator = vk_bitmap_begin(bitmap);
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	BlockNumber block;
	int			count;
	bool		fits = true;

	mask->pages = maskpages_create(context, 256, NULL);
	while (fits && vk_bitmap_next(iterator, &block, offsets, &count))
	{
		CHECK_FOR_INTERRUPTS();
		add_page(mask, block, offsets, count);
		fits = mask->pages->members <= Max(most, 1);
	}
	vk_bitmap_end(iterator);
	if (fits)
		return mask;
	maskpages_destroy(mask->pages);
	pfree(mask);
	return NULL;
}

uint32
vk_row_mask_lanes(const VkRowMask *mask, const ItemPointerData *tids, uint32 lanes)
{
	uint32		result = 0;

	for (; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		uint32		row = (uint32) ItemPointerGetOffsetNumberNoCheck(&tids[lane]) - 1;
		const MaskPage *page = maskpages_lookup(mask->pages,
												ItemPointerGetBlockNumberNoCheck(&tids[lane]));

		/* a row that cannot be is left to those who tell of it */
		if (row >= MaxHeapTuplesPerPage ||
			(page != NULL && (page->rows[row / WORD_ROWS] >> row % WORD_ROWS & 1)))
			result |= 1U << lane;
	}
	return result;
}

int64
vk_row_mask_rows(const VkRowMask *mask)
{
	return mask->rows;
}
