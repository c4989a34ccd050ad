/*-------------------------------------------------------------------------
 *
 * list_writer.c
 *	  Writing whole lists, front to back, whatever becomes of their pages.
 *
 * NOTES
 *	  A page is made in local memory and handed over once it is complete.  The
 *	  number of rows of a list is known before it is written, so that its block
 *	  pages can be numbered contiguously, followed by its refine pages, although
 *	  both fill at the same time.  What numbers stand for is up to the sink: an
 *	  index build lays pages out by them (writer.c), a list operation finds other
 *	  pages for them (operation_pages.c).
 *
 * IDENTIFICATION
 *	  src/am/list_writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "am/list_writer.h"

/* ---- chains ---- */

void
vk_chain_init(VkChain *chain, const VkPageTarget *target, uint16 kind,
			  uint32 slot, uint64 born, BlockNumber reserve)
{
	chain->born = born;
	chain->kind = kind;
	chain->slot = slot;
	chain->head = chain->block = InvalidBlockNumber;
	chain->position = 0;
	chain->used = 0;
	chain->end = 0;
	if (reserve > 0)
	{
		chain->head = target->sink->reserve(target->arg, reserve);
		chain->end = chain->head + reserve;
	}
}

/* number of the chain's next page */
static BlockNumber
next_number(VkChain *chain, const VkPageTarget *target)
{
	if (chain->end == 0)
		return target->sink->reserve(target->arg, 1);
	if (chain->block == InvalidBlockNumber)
		return chain->head;
	if (chain->block + 1 >= chain->end)
		elog(ERROR, "list of slot %u is longer than its extent", chain->slot);
	return chain->block + 1;
}

void
vk_chain_put(VkChain *chain, const VkPageTarget *target)
{
	if (chain->block != InvalidBlockNumber)
		target->sink->put(target->arg, chain->block, chain->image.data);
}

/* complete the page in memory, if any, and begin the next */
static void
begin_page(VkChain *chain, const VkPageTarget *target)
{
	BlockNumber next = next_number(chain, target);

	if (chain->block == InvalidBlockNumber)
		chain->head = next;
	else
	{
		vk_page_head((Page) chain->image.data)->next = next;
		vk_chain_put(chain, target);
		chain->position++;
	}

	memset(chain->image.data, 0, BLCKSZ);
	vk_page_init((Page) chain->image.data, chain->kind, chain->slot,
				 chain->born, chain->position);
	chain->block = next;
	chain->used = 0;
}

static inline VkPageHead *
chain_head(VkChain *chain)
{
	return vk_page_head((Page) chain->image.data);
}

void
vk_chain_add(VkChain *chain, const VkPageTarget *target, const void *data,
			 Size size, Size limit, bool counted)
{
	const char *from = data;

	while (size > 0)
	{
		Size		piece;

		if (chain->block == InvalidBlockNumber || chain->used == limit)
			begin_page(chain, target);
		piece = Min(size, limit - chain->used);
		memcpy((char *) vk_page_payload((Page) chain->image.data) + chain->used,
			   from, piece);
		chain->used += piece;
		if (counted)
			chain_head(chain)->count++;
		from += piece;
		size -= piece;
	}
}

/* ---- lists ---- */

/* pages that a list of so many blocks takes */
static BlockNumber
block_pages(int head_lines, int block_lines, int64 blocks)
{
	BlockNumber page = 0;
	int			line = 1;

	for (int64 i = 0; i < blocks; i++)
	{
		if (line + head_lines - 1 > VK_PAGE_LINES)
		{
			page++;
			line = 1;
		}
		line += block_lines;
		page += (line - 1) / VK_PAGE_LINES;
		line = (line - 1) % VK_PAGE_LINES + 1;
	}
	return page + (line > 1 ? 1 : 0);
}

void
vk_list_writer_init(VkListWriter *writer, const VkIndex *vk,
					const VkPageSink *sink, void *arg, uint64 born)
{
	memset(writer, 0, sizeof(VkListWriter));
	writer->vk = vk;
	writer->target.sink = sink;
	writer->target.arg = arg;
	writer->born = born;
	writer->block = palloc0(vk->block_lines * VK_LINE_SIZE);
}

void
vk_list_writer_begin(VkListWriter *writer, const VkCoder *coder, uint32 number,
					 int64 rows, VkSummary *summaries)
{
	int64		blocks = (rows + VK_LANES - 1) / VK_LANES;
	int64		refine_bytes = rows * coder->refine_size;

	writer->coder = coder;
	writer->number = number;
	writer->rows = rows;
	writer->summaries = summaries;
	vk_slot_init(&writer->list, writer->born);
	vk_chain_init(&writer->blocks, &writer->target, VK_PAGE_BLOCK, number,
				  writer->born, block_pages(writer->vk->head_lines,
											writer->vk->block_lines, blocks));
	vk_chain_init(&writer->refine, &writer->target, VK_PAGE_REFINE, number,
				  writer->born,
				  (refine_bytes + VK_PAYLOAD_SIZE - 1) / VK_PAYLOAD_SIZE);
	if (rows > 0)
	{
		writer->list.head = writer->blocks.head;
		writer->list.born_blocks = Min(blocks, PG_UINT16_MAX);
		writer->list.extent_start = writer->blocks.head;
		writer->list.extent_length = writer->blocks.end - writer->blocks.head;
		writer->list.refine_head = writer->refine.head;
		if (writer->refine.end > 0)
			writer->list.refine_tail = writer->refine.end - 1;
	}
}

/*
 * Find the line that the block in memory begins at, on a new page where its
 * head does not fit, and note on the page where the block is.
 */
static void
open_block_head(VkListWriter *writer, int64 first_row)
{
	VkChain    *chain = &writer->blocks;
	VkPageHead *head;
	int			line;

	if (chain->block == InvalidBlockNumber ||
		chain->used + writer->vk->head_lines > VK_PAGE_LINES)
	{
		if (chain->block != InvalidBlockNumber)
			chain_head(chain)->flags |= VK_PAGE_FULL;
		begin_page(chain, &writer->target);
	}

	head = chain_head(chain);
	line = chain->used + 1;
	if (head->first_head == 0)
	{
		head->first_head = line;
		if (writer->coder->refine_size > 0)
		{
			int64		byte = first_row * writer->coder->refine_size;

			head->refine_position = byte / VK_PAYLOAD_SIZE;
			head->refine_page = writer->refine.head + head->refine_position;
			head->refine_offset = byte % VK_PAYLOAD_SIZE;
		}
	}
	head->last_head = line;
	writer->list.tail = chain->block;
}

/* write the block in memory, whose first row is row first_row of the list */
static void
put_block(VkListWriter *writer, int64 first_row, bool last)
{
	VkChain    *chain = &writer->blocks;
	const char *from = writer->block;
	int			lines = writer->vk->block_lines;

	open_block_head(writer, first_row);
	while (lines > 0)
	{
		int			piece;

		if (chain->used == VK_PAGE_LINES)
		{
			if (!last)
				chain_head(chain)->flags |= VK_PAGE_FULL;
			begin_page(chain, &writer->target);
		}
		piece = Min(lines, VK_PAGE_LINES - (int) chain->used);
		memcpy(vk_page_line((Page) chain->image.data, chain->used + 1), from,
			   piece * VK_LINE_SIZE);
		chain->used += piece;
		from += piece * VK_LINE_SIZE;
		lines -= piece;
	}
	memset(writer->block, 0, writer->vk->block_lines * VK_LINE_SIZE);
}

void
vk_list_writer_add(VkListWriter *writer, ItemPointer tid,
				   const VkRowCode *code, const VkAttributes *attributes)
{
	const VkCoder *coder = writer->coder;
	VkBlockTop *top = (VkBlockTop *) writer->block;
	int64		row = writer->list.live;
	int			lane = row % VK_LANES;
	char	   *to;

	if (row >= writer->rows)
		elog(ERROR, "more rows than expected in list of slot %u",
			 writer->number);

	if (lane == 0)
		top->head.scale = vk_block_scale(code);
	top->tids[lane] = *tid;
	top->head.live |= 1 << lane;
	top->head.count = lane + 1;
	vk_annotation_put(coder,
					  writer->block + writer->vk->annotation_line * VK_LINE_SIZE,
					  top->head.scale, lane, code);
	if (attributes != NULL)
	{
		vk_attributes_put(writer->vk, top, lane, attributes);
		vk_summary_add_row(writer->vk, writer->summaries, attributes);
		if (!isinf(code->error))
			writer->residual += sqrt(code->norm2);
	}

	to = writer->block + writer->vk->head_lines * VK_LINE_SIZE + 4 * lane;
	for (int i = 0; i < coder->lines; i++)
		memcpy(to + i * VK_LINE_SIZE, code->lane + 4 * i, 4);

	if (coder->refine_size > 0)
		vk_chain_add(&writer->refine, &writer->target, code->refine,
					 coder->refine_size, VK_PAYLOAD_SIZE, false);

	writer->list.live++;
	if (lane == VK_LANES - 1 || row == writer->rows - 1)
		put_block(writer, row - lane, row == writer->rows - 1);
}

void
vk_list_writer_end(VkListWriter *writer)
{
	if (writer->list.live != writer->rows)
		elog(ERROR, "list of slot %u has %u rows, expected " INT64_FORMAT,
			 writer->number, writer->list.live, writer->rows);

	vk_chain_put(&writer->blocks, &writer->target);
	vk_chain_put(&writer->refine, &writer->target);
}
