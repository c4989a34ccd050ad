/*-------------------------------------------------------------------------
 *
 * writer.c
 *	  Writing a new index front to back: lists, rest, directory, meta.
 *
 * NOTES
 *	  Nobody else sees the index meanwhile.  A page is made in local memory
 *	  and copied into its buffer once it is complete; nothing is WAL-logged
 *	  here, the build logs the whole fork at its end.
 *
 *	  The number of rows of a list is known before it is written, so that its
 *	  block pages can be laid out contiguously, followed by its refine pages,
 *	  although both fill at the same time.
 *
 * IDENTIFICATION
 *	  src/am/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/build.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define BORN	1				/* epoch of everything that a build makes */

/* copy a complete page to its block, extending the fork up to there */
static void
put_page(VkWriter *writer, BlockNumber block, const char *image)
{
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();

	for (; writer->extended < block; writer->extended++)
		ReleaseBuffer(ReadBuffer(writer->index, P_NEW));

	buffer = ReadBufferExtended(writer->index, MAIN_FORKNUM,
								block == writer->extended ? P_NEW : block,
								RBM_ZERO_AND_LOCK, NULL);
	if (block == writer->extended)
		writer->extended++;
	if (BufferGetBlockNumber(buffer) != block)
		elog(ERROR, "index \"%s\" was extended by somebody else",
			 RelationGetRelationName(writer->index));

	memcpy(BufferGetPage(buffer), image, BLCKSZ);
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* ---- chains ---- */

/* a chain without pages; reserve > 0 gives it that many contiguous blocks */
static void
chain_init(VkWriter *writer, VkChain *chain, uint16 kind, uint32 slot,
		   BlockNumber reserve)
{
	chain->kind = kind;
	chain->slot = slot;
	chain->head = chain->block = InvalidBlockNumber;
	chain->position = 0;
	chain->used = 0;
	chain->end = 0;
	if (reserve > 0)
	{
		chain->head = writer->allocated;
		writer->allocated += reserve;
		chain->end = writer->allocated;
	}
}

/* number of the chain's next page */
static BlockNumber
chain_next(VkWriter *writer, VkChain *chain)
{
	if (chain->end == 0)
		return writer->allocated++;
	if (chain->block == InvalidBlockNumber)
		return chain->head;
	if (chain->block + 1 >= chain->end)
		elog(ERROR, "list of slot %u is longer than its extent", chain->slot);
	return chain->block + 1;
}

static void
chain_put(VkWriter *writer, VkChain *chain)
{
	if (chain->block != InvalidBlockNumber)
		put_page(writer, chain->block, chain->image.data);
}

/* complete the page in memory, if any, and begin the next */
static void
chain_page(VkWriter *writer, VkChain *chain, uint64 born)
{
	BlockNumber next = chain_next(writer, chain);

	if (chain->block == InvalidBlockNumber)
		chain->head = next;
	else
	{
		vk_page_head((Page) chain->image.data)->next = next;
		chain_put(writer, chain);
		chain->position++;
	}

	memset(chain->image.data, 0, BLCKSZ);
	vk_page_init((Page) chain->image.data, chain->kind, chain->slot, born,
				 chain->position);
	chain->block = next;
	chain->used = 0;
}

static inline VkPageHead *
chain_head(VkChain *chain)
{
	return vk_page_head((Page) chain->image.data);
}

/*
 * Append bytes to a chain whose pages hold `limit` payload bytes each; count
 * says what one entry is (0: entries are not counted).
 */
static void
chain_append(VkWriter *writer, VkChain *chain, uint64 born,
			 const void *data, Size size, Size limit, bool counted)
{
	const char *from = data;

	while (size > 0)
	{
		Size		piece;

		if (chain->block == InvalidBlockNumber || chain->used == limit)
			chain_page(writer, chain, born);
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

/*
 * The summaries of the list begun, on a new page where its slot is the first of
 * one.  Lists are written in the order of their slots.
 */
static void
begin_summaries(VkWriter *writer)
{
	VkChain    *chain = &writer->summary;
	Page		page = (Page) chain->image.data;

	if (vk_summary_first(writer->vk, writer->number) == writer->number)
	{
		chain_put(writer, chain);
		chain->block = writer->allocated++;
		vk_summary_page_init(writer->vk, page, writer->number);
	}
	writer->summaries = vk_summary_on_page(writer->vk, page, writer->number);
	writer->list.summary = chain->block;
}

/*
 * vk_writer_begin -- begin the list of a slot, which will hold `rows` rows
 */
void
vk_writer_begin(VkWriter *writer, const VkCoder *coder, uint32 slot, int64 rows)
{
	int64		blocks = (rows + VK_LANES - 1) / VK_LANES;
	int64		refine_bytes = rows * coder->refine_size;

	writer->coder = coder;
	writer->number = slot;
	writer->rows = rows;
	vk_slot_init(&writer->list, BORN);
	if (writer->vk->attributes > 0 && slot >= VK_SLOT_FIRST_LIST)
		begin_summaries(writer);
	chain_init(writer, &writer->blocks, VK_PAGE_BLOCK, slot,
			   block_pages(writer->vk->head_lines, writer->vk->block_lines, blocks));
	chain_init(writer, &writer->refine, VK_PAGE_REFINE, slot,
			   (refine_bytes + VK_PAYLOAD_SIZE - 1) / VK_PAYLOAD_SIZE);
	if (rows > 0)
	{
		writer->list.head = writer->blocks.head;
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
open_block_head(VkWriter *writer, int64 first_row)
{
	VkChain    *chain = &writer->blocks;
	VkPageHead *head;
	int			line;

	if (chain->block == InvalidBlockNumber ||
		chain->used + writer->vk->head_lines > VK_PAGE_LINES)
	{
		if (chain->block != InvalidBlockNumber)
			chain_head(chain)->flags |= VK_PAGE_FULL;
		chain_page(writer, chain, BORN);
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
put_block(VkWriter *writer, int64 first_row, bool last)
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
			chain_page(writer, chain, BORN);
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

/*
 * vk_writer_add -- append a row to the list begun
 */
void
vk_writer_add(VkWriter *writer, ItemPointer tid, const VkRowCode *code,
			  const VkAttributes *attributes)
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
		if (writer->vk->attributes > 0)
			vk_summary_add_row(writer->vk, writer->summaries, attributes);
	}

	to = writer->block + writer->vk->head_lines * VK_LINE_SIZE + 4 * lane;
	for (int i = 0; i < coder->lines; i++)
		memcpy(to + i * VK_LINE_SIZE, code->lane + 4 * i, 4);

	if (coder->refine_size > 0)
		chain_append(writer, &writer->refine, BORN, code->refine,
					 coder->refine_size, VK_PAYLOAD_SIZE, false);

	writer->list.live++;
	if (lane == VK_LANES - 1 || row == writer->rows - 1)
		put_block(writer, row - lane, row == writer->rows - 1);
}

/* ---- directory ---- */

/* begin a directory page; its number goes to the map at the end */
static void
directory_page(VkWriter *writer)
{
	VkChain    *chain = &writer->directory;

	if (chain->block == VK_DIRECTORY_BLOCK)
		memcpy(writer->first_directory.data, chain->image.data, BLCKSZ);
	else
		chain_put(writer, chain);

	if (writer->ndirectories == writer->max_directories)
	{
		writer->max_directories *= 2;
		writer->directories = repalloc(writer->directories,
									   writer->max_directories * sizeof(BlockNumber));
	}
	chain->block = writer->ndirectories == 0 ? VK_DIRECTORY_BLOCK :
		writer->allocated++;
	memset(chain->image.data, 0, BLCKSZ);
	vk_page_init((Page) chain->image.data, VK_PAGE_DIRECTORY, 0, 0,
				 writer->ndirectories);
	writer->directories[writer->ndirectories++] = chain->block;
}

/* slots come in rising order; the fixed ones may be set again at any time */
static void
put_slot(VkWriter *writer, uint32 number, const VkSlot *slot)
{
	char	   *image = writer->directory.image.data;

	if (number >= VK_MAX_SLOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" has reached the limit of %u lists",
						RelationGetRelationName(writer->index),
						(uint32) VK_MAX_SLOTS)));

	if (number / VK_PAGE_LINES == (uint32) writer->ndirectories)
		directory_page(writer);
	else if (number / VK_PAGE_LINES == 0 && writer->ndirectories > 1)
		image = writer->first_directory.data;

	*vk_slot_on_page((Page) image, number) = *slot;
	writer->slots = Max(writer->slots, number + 1);
}

/*
 * vk_writer_end -- complete the list begun and enter it into the directory
 */
void
vk_writer_end(VkWriter *writer)
{
	if (writer->list.live != writer->rows)
		elog(ERROR, "list of slot %u has %u rows, expected " INT64_FORMAT,
			 writer->number, writer->list.live, writer->rows);

	chain_put(writer, &writer->blocks);
	chain_put(writer, &writer->refine);
	put_slot(writer, writer->number, &writer->list);
}

/*
 * vk_writer_rest -- append a row without a distance to its rest list
 */
void
vk_writer_rest(VkWriter *writer, uint32 slot, ItemPointer tid)
{
	int			i = slot - VK_SLOT_REST_NAN;

	chain_append(writer, &writer->rest[i], BORN, tid, sizeof(ItemPointerData),
				 VK_REST_ENTRIES * sizeof(ItemPointerData), true);
	writer->rest_rows[i]++;
}

/*
 * vk_writer_mean -- write the mean to pages of its own; returns the first
 */
BlockNumber
vk_writer_mean(VkWriter *writer, const float *mean, int dim)
{
	VkChain		chain;

	chain_init(writer, &chain, VK_PAGE_MEAN, 0, 0);
	for (int i = 0; i < dim; i++)
		chain_append(writer, &chain, 0, &mean[i], sizeof(float),
					 VK_PAYLOAD_SIZE, true);
	chain_put(writer, &chain);

	return chain.head;
}

/*
 * vk_writer_init -- set up for an index whose fork is empty
 */
void
vk_writer_init(VkWriter *writer, const VkIndex *vk, Relation index)
{
	VkSlot		empty;

	memset(writer, 0, sizeof(VkWriter));
	writer->index = index;
	writer->vk = vk;
	writer->allocated = VK_DIRECTORY_BLOCK + 1;
	writer->block = palloc0(vk->block_lines * VK_LINE_SIZE);
	writer->summary.block = InvalidBlockNumber;

	for (int i = 0; i < 2; i++)
		chain_init(writer, &writer->rest[i], VK_PAGE_REST,
				   VK_SLOT_REST_NAN + i, 0);

	writer->directory.block = InvalidBlockNumber;
	writer->max_directories = 64;
	writer->directories = palloc(writer->max_directories * sizeof(BlockNumber));
	vk_slot_init(&empty, BORN);
	for (uint32 slot = 0; slot < VK_SLOT_FIRST_LIST; slot++)
		put_slot(writer, slot, &empty);
}

/* map pages: block numbers of the directory pages */
static void
put_maps(VkWriter *writer, VkMeta *meta)
{
	int			done = 0;

	meta->maps = 0;
	while (done < writer->ndirectories)
	{
		int			count = Min(writer->ndirectories - done,
								(int) VK_MAP_ENTRIES);
		BlockNumber block = meta->maps == 0 ? VK_MAP_BLOCK :
			writer->allocated++;
		PGAlignedBlock image;

		memset(image.data, 0, BLCKSZ);
		vk_page_init((Page) image.data, VK_PAGE_MAP, 0, 0, meta->maps);
		memcpy(vk_page_payload((Page) image.data), writer->directories + done,
			   count * sizeof(BlockNumber));
		vk_page_head((Page) image.data)->count = count;
		put_page(writer, block, image.data);

		meta->map[meta->maps++] = block;
		done += count;
	}
}

static void
meta_page(Page page, const VkMeta *meta)
{
	memset(page, 0, BLCKSZ);
	vk_page_init(page, VK_PAGE_META, 0, 0, 0);
	*vk_page_meta(page) = *meta;
}

/*
 * vk_writer_meta -- (re)write the meta page
 */
void
vk_writer_meta(Relation index, const VkMeta *meta)
{
	Buffer		buffer = ReadBuffer(index, VK_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	meta_page(BufferGetPage(buffer), meta);
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/*
 * vk_writer_finish -- write what is left: rest, summaries, directory, maps and
 * meta
 */
void
vk_writer_finish(VkWriter *writer, VkMeta *meta)
{
	PGAlignedBlock image;

	for (int i = 0; i < 2; i++)
	{
		VkChain    *chain = &writer->rest[i];
		VkSlot		slot;

		vk_slot_init(&slot, BORN);
		slot.head = chain->head;
		slot.tail = chain->block;
		slot.live = writer->rest_rows[i];
		chain_put(writer, chain);
		put_slot(writer, VK_SLOT_REST_NAN + i, &slot);
	}

	chain_put(writer, &writer->summary);
	chain_put(writer, &writer->directory);
	if (writer->ndirectories > 1)
		put_page(writer, VK_DIRECTORY_BLOCK, writer->first_directory.data);
	put_maps(writer, meta);

	meta->slots = writer->slots;
	meta_page((Page) image.data, meta);
	put_page(writer, VK_META_BLOCK, image.data);
}

/* write one page of a fork outside the build; always logged where need be */
static void
put_empty_page(Relation index, ForkNumber fork, BlockNumber block,
			   const char *image)
{
	Buffer		buffer = ReadBufferExtended(index, fork, P_NEW,
											RBM_ZERO_AND_LOCK, NULL);

	if (BufferGetBlockNumber(buffer) != block)
		elog(ERROR, "index \"%s\" is not empty", RelationGetRelationName(index));

	START_CRIT_SECTION();
	memcpy(BufferGetPage(buffer), image, BLCKSZ);
	MarkBufferDirty(buffer);
	log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
}

/*
 * vk_writer_empty -- write an index without rows into a fork, WAL-logged
 *
 * For the init fork, which is logged even though the index is not.
 */
void
vk_writer_empty(Relation index, ForkNumber fork, VkMeta *meta)
{
	PGAlignedBlock image;
	VkSlot		slot;

	meta->slots = VK_SLOT_FIRST_LIST;
	meta->maps = 1;
	meta->map[0] = VK_MAP_BLOCK;
	meta_page((Page) image.data, meta);
	put_empty_page(index, fork, VK_META_BLOCK, image.data);

	memset(image.data, 0, BLCKSZ);
	vk_page_init((Page) image.data, VK_PAGE_MAP, 0, 0, 0);
	*(BlockNumber *) vk_page_payload((Page) image.data) = VK_DIRECTORY_BLOCK;
	vk_page_head((Page) image.data)->count = 1;
	put_empty_page(index, fork, VK_MAP_BLOCK, image.data);

	memset(image.data, 0, BLCKSZ);
	vk_page_init((Page) image.data, VK_PAGE_DIRECTORY, 0, 0, 0);
	vk_slot_init(&slot, BORN);
	for (uint32 i = 0; i < VK_SLOT_FIRST_LIST; i++)
		*vk_slot_on_page((Page) image.data, i) = slot;
	put_empty_page(index, fork, VK_DIRECTORY_BLOCK, image.data);
}
