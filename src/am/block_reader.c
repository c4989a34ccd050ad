/*-------------------------------------------------------------------------
 *
 * block_reader.c
 *	  Blocks of a list as copies, for who scores them more than once; and one query
 *	  against one of them.
 *
 * NOTES
 *	  A batch of queries works on a block for far longer than a page should be
 *	  locked, and on codes that lie together.  Copying costs one reading of the
 *	  list, whatever the number of queries.
 *
 *	  One share lock is held at a time and no pin is kept (README,
 *	  Concurrency).  Where the blocks of a page do not all fit, the page is locked again
 *	  later: by then it may have more rows, which the snapshot does not see, and
 *	  fewer that are live, which it does not see either.
 *
 * IDENTIFICATION
 *	  src/am/block_reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <unistd.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "am/block_reader.h"

/* blocks at most; whole groups of those that a tile's kernel takes at a time */
#define BLOCKS			48
#define BLOCKS_AT_A_TIME 3

/*
 * cached_size -- bytes of the blocks' codes at most: half of a core's second-level cache
 *
 * All queries of a batch come by for each copy of blocks, mostly from the caches
 * behind that one, so the copy should be as large as stays in it.
 */
static Size
cached_size(void)
{
	long		cache = 0;

#ifdef _SC_LEVEL2_CACHE_SIZE
	cache = sysconf(_SC_LEVEL2_CACHE_SIZE); /* 0 or -1: not known */
#endif
	return Max(Min(cache / 2, 1024 * 1024), VK_LEAST_BLOCKS_SIZE);
}

VkBlocks *
vk_blocks_create(const VkIndex *vk, Size size)
{
	VkBlocks   *blocks = palloc0(sizeof(VkBlocks));

	blocks->code_size = (size_t) vk->coder.lines * VK_LINE_SIZE;
	blocks->capacity = (int) Max(Min((size > 0 ? size : cached_size()) / blocks->code_size,
									   BLOCKS), 1);
	if (blocks->capacity > BLOCKS_AT_A_TIME)
		blocks->capacity -= blocks->capacity % BLOCKS_AT_A_TIME;
	blocks->tops = palloc(blocks->capacity * sizeof(VkBlockTop));
	blocks->live = palloc(blocks->capacity * sizeof(uint32));
	blocks->annotations = palloc(blocks->capacity * 2 * VK_LINE_SIZE);
	blocks->refine = palloc(blocks->capacity * sizeof(VkRefineStart));
	blocks->memory = palloc(blocks->capacity * blocks->code_size + VK_LINE_SIZE);
	blocks->code = (uint8 *) TYPEALIGN(VK_LINE_SIZE, blocks->memory);
	return blocks;
}

void
vk_blocks_free(VkBlocks *blocks)
{
	pfree(blocks->tops);
	pfree(blocks->live);
	pfree(blocks->annotations);
	pfree(blocks->refine);
	pfree(blocks->memory);
	pfree(blocks);
}

void
vk_block_dots(const VkCoder *coder, const VkQueryCode *query, const uint8 *code,
			  VkDots *dots)
{
	const VkKernels *k = vk_kernels;

	if (coder->metric == VK_METRIC_L1)
		k->scan_l1((const uint8 *) query->code, 0, code, coder->lines, dots);
	else if (coder->metric == VK_METRIC_HAMMING)
		k->scan_hamming((const uint8 *) query->code, 0, code, coder->lines, dots);
	else if (coder->metric == VK_METRIC_JACCARD)
		k->scan_common((const uint8 *) query->code, 0, code, coder->lines, dots);
	else if (coder->format < VK_INT_FORMATS)
		query->kernels->scan[coder->format] (query->packed_scan, 0, code, coder->lines,
											 dots);
	else
		k->scan_float[coder->format - VK_FORMAT_F16] (query->values, 0, code,
													   coder->lines, dots);
}

uint32
vk_blocks_bounds(const VkBlocks *blocks, int block, const VkCoder *coder, bool proven,
				 const VkBoundQuery *query, const VkDots *dots, float threshold,
				 VkScores *scores)
{
	const VkKernels *k = vk_kernels;
	const bool	l1 = coder->metric == VK_METRIC_L1;
	const void *annotation = vk_blocks_annotation(blocks, block);
	float		scale = blocks->tops[block].head.scale;

	if (coder->flat)
		return (l1 ? k->bound_flat_l1 : k->bound_flat) (query, annotation, dots,
														threshold, scores);
	if (proven)
		return (l1 ? k->bound_list_l1_proven : k->bound_list_proven)
			(query, annotation, scale, dots, threshold, scores);
	return (l1 ? k->bound_list_l1 : k->bound_list) (query, annotation, scale, dots,
													threshold, scores);
}

void
vk_block_reader_begin(VkBlockReader *reader, uint32 number, const VkSlot *slot,
					  BlockNumber after)
{
	reader->slot = number;
	reader->born = slot->born;
	reader->block = slot->head;
	reader->position = 0;
	reader->line = 0;
	reader->open = false;
	reader->after = after;
}

/* Copy what a page has of the block that an earlier one began. */
static void
copy_rest(VkBlockReader *reader, VkBlocks *blocks, Buffer buffer)
{
	const VkIndex *vk = reader->vk;
	Page		page = BufferGetPage(buffer);
	int			lines = Min(vk->coder.lines - reader->done, VK_PAGE_LINES);

	vk_prefetch_lines(reader->ahead, 0, 1 + lines);
	memcpy(vk_blocks_code(blocks, blocks->count - 1) + (size_t) reader->done * VK_LINE_SIZE,
		   vk_page_line(page, 1), (size_t) lines * VK_LINE_SIZE);
	reader->done += lines;
	reader->open = reader->done < vk->coder.lines;
	if (reader->open && vk_page_head(page)->first_head != 0)
		vk_corrupt(reader->index, BufferGetBlockNumber(buffer),
				   "A block begins before the one before it ends.");
}

/* Copy the block whose head is on this line, as far as this page has it. */
static void
copy_block(VkBlockReader *reader, VkBlocks *blocks, Page page, int line, int place)
{
	const VkIndex *vk = reader->vk;
	const VkPageHead *head = vk_page_head(page);
	const VkBlockTop *top = vk_block_top(page, line);
	int			block = blocks->count++;
	int			first = line + vk->head_lines;
	int			lines = Min(vk->coder.lines, VK_PAGE_LINES - first + 1);
	VkRefineStart *refine = &blocks->refine[block];

	vk_prefetch_lines(reader->ahead, line > 1 ? line : 0, first + lines - line);
	blocks->tops[block] = *top;
	blocks->live[block] = top->head.live & ((1U << Min(top->head.count, VK_LANES)) - 1);
	memcpy(vk_blocks_annotation(blocks, block),
		   vk_page_line(page, line + vk->annotation_line), 2 * VK_LINE_SIZE);
	memcpy(vk_blocks_code(blocks, block), vk_page_line(page, first),
		   (size_t) lines * VK_LINE_SIZE);
	refine->page = head->refine_page;
	refine->position = head->refine_position;
	refine->bytes = head->refine_offset +
		(uint64) place * VK_LANES * vk->coder.refine_size;
	reader->open = lines < vk->coder.lines;
	reader->done = lines;
	reader->stats->rows += pg_popcount32(blocks->live[block]);
}

/* Copy blocks of the page at hand; true where it has no more for us. */
static bool
copy_page(VkBlockReader *reader, VkBlocks *blocks, Buffer buffer)
{
	const VkIndex *vk = reader->vk;
	Page		page = BufferGetPage(buffer);
	int			first;
	int			line;

	if (reader->open)
		copy_rest(reader, blocks, buffer);
	if (reader->open)
		return true;
	first = vk_first_head(reader->index, vk, buffer);
	for (line = reader->line != 0 ? reader->line : first;
		 line != 0 && blocks->count < blocks->capacity && !reader->open;
		 line = vk_next_head(vk, page, line))
		copy_block(reader, blocks, page, line, (line - first) / vk->block_lines);
	reader->line = line;
	return line == 0;
}

bool
vk_block_reader_next(VkBlockReader *reader, VkBlocks *blocks)
{
	blocks->count = 0;
	while (BlockNumberIsValid(reader->block))
	{
		Buffer		buffer;
		BlockNumber next;
		bool		finished;

		CHECK_FOR_INTERRUPTS();
		buffer = vk_read_chain_page(reader->index, reader->block, VK_PAGE_BLOCK,
									reader->slot, reader->born, reader->position,
									BUFFER_LOCK_SHARE);
		vk_test_old_snapshot(reader->snapshot, reader->index, BufferGetPage(buffer));
		next = vk_page_head(BufferGetPage(buffer))->next;
		reader->ahead = vk_page_ahead(reader->index,
									  BlockNumberIsValid(next) ? next : reader->after);
		finished = copy_page(reader, blocks, buffer);
		UnlockReleaseBuffer(buffer);
		if (finished)
		{
			reader->block = next;
			reader->position++;
			reader->line = 0;
			reader->stats->pages++;
		}
		if (blocks->count == blocks->capacity && !reader->open)
			return true;
	}
	if (reader->open)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" contains a list that ends inside a block",
						RelationGetRelationName(reader->index)),
				 errdetail("The list in slot %u has %u pages.",
						   reader->slot, reader->position),
				 errhint("Please REINDEX it.")));
	return blocks->count > 0;
}
