/*-------------------------------------------------------------------------
 *
 * row_mask.c
 *	  The rows of a table that may meet conditions, as other indexes know them.
 *
 * NOTES
 *	  A TIDBitmap is made to be read in the order of the table; the rows of a list
 *	  are anywhere in it.  So its pages go into a hash table, each with a bit a
 *	  row.  Most rows of a list are in none: nearly all of them are told by one of
 *	  as many bits as lie in the CPU's first cache, a Bloom filter with one hash
 *	  function.
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

/* bits of the filter a row, at least, where memory allows */
#define FILTER_SHARE	8
#define FILTER_MIN_LOG2	9
#define FILTER_MAX_LOG2	31

struct VkRowMask
{
	maskpages_hash *pages;
	int64		rows;
	bool		exact;			/* the bitmap knows that each of them is right */
	uint64	   *filter;			/* NULL: of some pages all rows may be wanted */
	int			filter_shift;	/* of hashes of 32 bits */
};

/* the place of a row in the filter */
static inline uint32
filter_place(const VkRowMask *mask, BlockNumber block, uint32 row)
{
	return (block * 0x9E3779B1U + row * 0x85EBCA6BU) >> mask->filter_shift;
}

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

/* Enter all rows into a filter of at most a quarter of work_mem. */
static void
make_filter(MemoryContext context, VkRowMask *mask)
{
	const uint64 most = (uint64) work_mem * 1024 / 4 * BITS_PER_BYTE;
	int			log2 = FILTER_MIN_LOG2;
	maskpages_iterator iterator;
	const MaskPage *page;

	while (log2 < FILTER_MAX_LOG2 &&
		   UINT64CONST(1) << log2 < (uint64) mask->rows * FILTER_SHARE &&
		   UINT64CONST(2) << log2 <= most)
		log2++;
	mask->filter_shift = 32 - log2;
	mask->filter = MemoryContextAllocZero(context, (Size) 1 << (log2 - 3));
	maskpages_start_iterate(mask->pages, &iterator);
	while ((page = maskpages_iterate(mask->pages, &iterator)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		for (int word = 0; word < PAGE_WORDS; word++)
			for (uint64 rows = page->rows[word]; rows != 0; rows &= rows - 1)
			{
				uint32		place = filter_place(mask, page->block,
												 word * WORD_ROWS + pg_rightmost_one_pos64(rows));

				mask->filter[place / WORD_ROWS] |= UINT64CONST(1) << place % WORD_ROWS;
			}
	}
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
	bool		exact;
	bool		fits = true;

	mask->exact = true;
	mask->pages = maskpages_create(context, 256, NULL);
	while (fits && vk_bitmap_next(iterator, &block, offsets, &count, &exact))
	{
		CHECK_FOR_INTERRUPTS();
		add_page(mask, block, offsets, count);
		mask->exact &= exact;
		fits = mask->pages->members <= Max(most, 1);
	}
	vk_bitmap_end(iterator);
	if (fits)
	{
		if (mask->rows >= 0)
			make_filter(context, mask);
		return mask;
	}
	maskpages_destroy(mask->pages);
	pfree(mask);
	return NULL;
}

static inline bool
has_row(const VkRowMask *mask, BlockNumber block, uint32 row)
{
	const MaskPage *page;

	if (mask->filter != NULL)
	{
		uint32		place = filter_place(mask, block, row);

		if ((mask->filter[place / WORD_ROWS] >> place % WORD_ROWS & 1) == 0)
			return false;
	}
	page = maskpages_lookup(mask->pages, block);
	return page != NULL && (page->rows[row / WORD_ROWS] >> row % WORD_ROWS & 1) != 0;
}

uint32
vk_row_mask_lanes(const VkRowMask *mask, const ItemPointerData *tids, uint32 lanes)
{
	uint32		result = 0;

	for (; lanes != 0; lanes &= lanes - 1)
	{
		int			lane = pg_rightmost_one_pos32(lanes);
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&tids[lane]);
		uint32		row = (uint32) ItemPointerGetOffsetNumberNoCheck(&tids[lane]) - 1;

		/* a row that cannot be is left to those who tell of it */
		if (row >= MaxHeapTuplesPerPage || has_row(mask, block, row))
			result |= 1U << lane;
	}
	return result;
}

int64
vk_row_mask_rows(const VkRowMask *mask)
{
	return mask->rows;
}

bool
vk_row_mask_exact(const VkRowMask *mask)
{
	return mask->exact;
}
