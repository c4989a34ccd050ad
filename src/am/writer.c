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
 *	  Pages lie where their numbers say: a list's block pages one after the
 *	  other, then its refine pages (list_writer.c).
 *
 * IDENTIFICATION
 *	  src/am/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/build.h"
#include "am/test_point.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define BORN	1				/* epoch of everything that a build makes */

/* copy a complete page to its block, extending the fork up to there */
static void
put_page(void *arg, BlockNumber block, const char *image)
{
	VkWriter   *writer = arg;
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();

	/* over pages given out that come later: as many as a list or more */
	for (; writer->extended < block; writer->extended++)
	{
		CHECK_FOR_INTERRUPTS();
		ReleaseBuffer(ReadBuffer(writer->index, P_NEW));
	}

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

static BlockNumber
reserve_pages(void *arg, BlockNumber pages)
{
	VkWriter   *writer = arg;
	BlockNumber first = writer->allocated;

	writer->allocated += pages;
	return first;
}

static const VkPageSink build_sink = {reserve_pages, put_page};

/* ---- lists ---- */

/*
 * The summaries of the list to begin, on a new page where its slot is the first
 * of one.  Lists are written in the order of their slots.
 */
static VkSummary *
begin_summaries(VkWriter *writer, uint32 number)
{
	VkChain    *chain = &writer->summary;
	const VkIndex *vk = writer->lists.vk;
	Page		page = (Page) chain->image.data;

	if (vk_summary_first(vk, number) == number)
	{
		vk_chain_put(chain, &writer->lists.target);
		chain->block = writer->allocated++;
		vk_summary_page_init(vk, page, number);
	}
	return vk_summary_on_page(vk, page, number);
}

/*
 * vk_writer_begin -- begin the list of a slot, which will hold `rows` rows
 */
void
vk_writer_begin(VkWriter *writer, const VkCoder *coder, uint32 slot, int64 rows)
{
	VkListWriter *lists = &writer->lists;
	bool		summarized = lists->vk->attributes > 0 && slot >= VK_SLOT_FIRST_LIST;
	VkSummary  *summaries = summarized ? begin_summaries(writer, slot) : NULL;

	vk_list_writer_begin(lists, coder, slot, rows, summaries);
	if (summarized)
		lists->list.summary = writer->summary.block;
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
		vk_chain_put(chain, &writer->lists.target);

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
	vk_list_writer_end(&writer->lists);
	put_slot(writer, writer->lists.number, &writer->lists.list);
	vk_test_point("list-written");
}

/*
 * vk_writer_rest -- append a row without a distance to its rest list
 */
void
vk_writer_rest(VkWriter *writer, uint32 slot, ItemPointer tid)
{
	int			i = slot - VK_SLOT_REST_NAN;

	vk_chain_add(&writer->rest[i], &writer->lists.target, tid,
				 sizeof(ItemPointerData),
				 VK_REST_ENTRIES * sizeof(ItemPointerData), true);
	writer->rest_rows[i]++;
}

/*
 * vk_writer_mean -- write the mean to pages of its own; returns the first
 */
BlockNumber
vk_writer_mean(VkWriter *writer, const float *mean, int dim)
{
	const VkPageTarget *target = &writer->lists.target;
	VkChain		chain;

	vk_chain_init(&chain, target, VK_PAGE_MEAN, 0, 0, 0);
	for (int i = 0; i < dim; i++)
		vk_chain_add(&chain, target, &mean[i], sizeof(float), VK_PAYLOAD_SIZE,
					 true);
	vk_chain_put(&chain, target);

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
	writer->allocated = VK_DIRECTORY_BLOCK + 1;
	vk_list_writer_init(&writer->lists, vk, &build_sink, writer, BORN);
	writer->summary.block = InvalidBlockNumber;

	for (int i = 0; i < 2; i++)
		vk_chain_init(&writer->rest[i], &writer->lists.target, VK_PAGE_REST,
					  VK_SLOT_REST_NAN + i, BORN, 0);

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
	const VkPageTarget *target = &writer->lists.target;
	PGAlignedBlock image;

	for (int i = 0; i < 2; i++)
	{
		VkChain    *chain = &writer->rest[i];
		VkSlot		slot;

		vk_slot_init(&slot, BORN);
		slot.head = chain->head;
		slot.tail = chain->block;
		slot.live = writer->rest_rows[i];
		vk_chain_put(chain, target);
		put_slot(writer, VK_SLOT_REST_NAN + i, &slot);
	}

	vk_chain_put(&writer->summary, target);
	vk_chain_put(&writer->directory, target);
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
