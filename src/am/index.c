/*-------------------------------------------------------------------------
 *
 * index.c
 *	  What a backend knows of one index: its coder and the layout of blocks.
 *
 * NOTES
 *	  The facts live in rd_amcache, in one chunk: VkIndex, then the rotation's
 *	  signs, the mean and the rotated mean, to which VkIndex points.  The
 *	  relation cache may free the chunk at any invalidation, so users get a
 *	  copy whose pointers are moved along.
 *
 *	  Mean and step change when upkeep codes all rows anew (VkMeta.coded), and the
 *	  pages of the old mean are freed at once.  So the meta page is read again
 *	  after those of a mean: if it says the same, they were what they should be.
 *
 * IDENTIFICATION
 *	  src/am/index.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/am.h"

#include "utils/memutils.h"

/* point the pointers of a chunk at its own parts */
static void
set_pointers(VkIndex *vk, int dim)
{
	char	   *memory = (char *) vk + MAXALIGN(sizeof(VkIndex));

	vk->coder.rotation.signs = (uint32 *) memory;
	memory += MAXALIGN(vk_rotation_size(dim));
	vk->coder.mean = (const float *) memory;
	memory += MAXALIGN(sizeof(float) * dim);
	vk->rotated_mean = (float *) memory;
}

/*
 * vk_index_make -- from explicit parts; mean NULL stands for zeros
 */
VkIndex *
vk_index_make(Relation index, int dim, VkMetric metric, VkFormat format,
			  int refine_bits, bool flat, uint64 seed, const float *mean,
			  float step, MemoryContext context)
{
	Size		size = MAXALIGN(sizeof(VkIndex)) +
		MAXALIGN(vk_rotation_size(dim)) + 2 * MAXALIGN(sizeof(float) * dim);
	VkIndex    *vk = (VkIndex *) MemoryContextAllocZero(context, size);

	vk->size = size;
	vk->seed = seed;
	set_pointers(vk, dim);
	if (mean != NULL)
		memcpy(unconstify(float *, vk->coder.mean), mean, sizeof(float) * dim);

	vk_coder_init(&vk->coder, dim, metric, format, refine_bits, flat, seed,
				  vk->coder.mean, vk->coder.rotation.signs);
	vk->coder.operator_error = vk_support(index)->operator_error(dim);
	vk->coder.step = step;
	vk_rotate(&vk->coder.rotation, vk->coder.mean, vk->rotated_mean);

	vk->head_lines = vk_attributes_describe(index, VK_BLOCK_HEAD_LINES,
											vk->attribute, &vk->attributes,
											&vk->attribute_bytes);
	vk->block_lines = vk->head_lines + vk->coder.lines;
	vk->annotation_line = sizeof(VkBlockTop) / VK_LINE_SIZE;

	return vk;
}

/*
 * The mean, from its chain of pages; palloc'd.  NULL, with the block number, where
 * one of them is none of the mean's.
 */
static float *
read_mean(Relation index, const VkMeta *meta, BlockNumber *block)
{
	float	   *mean = (float *) palloc0(sizeof(float) * meta->dim);
	int			done = 0;

	*block = meta->mean_head;
	for (uint32 position = 0; done < meta->dim && meta->mean_head != InvalidBlockNumber;
		 position++)
	{
		int			n = Min(meta->dim - done, (int) VK_MEAN_ENTRIES);
		Buffer		buffer = vk_read_any_page(index, *block, BUFFER_LOCK_SHARE);
		Page		page = BufferGetPage(buffer);

		if (PageIsNew(page) || !vk_page_is(page, VK_PAGE_MEAN, 0, 0) ||
			vk_page_head(page)->position != position)
		{
			UnlockReleaseBuffer(buffer);
			pfree(mean);
			return NULL;
		}
		memcpy(mean + done, vk_page_payload(page), sizeof(float) * n);
		*block = vk_page_head(page)->next;
		UnlockReleaseBuffer(buffer);
		done += n;
	}

	return mean;
}

/*
 * vk_attribute_widths -- bytes a lane of each attribute column by the index's
 * definition, as they are on the meta page; returns the number of columns
 */
int
vk_attribute_widths(Relation index, uint8 *widths)
{
	VkAttribute attribute[VK_MAX_ATTRIBUTES];
	int			count,
				bytes;

	vk_attributes_describe(index, VK_BLOCK_HEAD_LINES, attribute, &count, &bytes);
	memset(widths, 0, VK_MAX_ATTRIBUTES);
	for (int i = 0; i < count; i++)
		widths[i] = attribute[i].width;
	return count;
}

/* where attribute values lie follows from the catalogs: does the file agree? */
static void
check_attributes(Relation index, const VkMeta *meta)
{
	uint8		widths[VK_MAX_ATTRIBUTES];

	if (vk_attribute_widths(index, widths) != meta->attributes ||
		memcmp(widths, meta->attribute_width, sizeof(widths)) != 0)
		vk_corrupt(index, VK_META_BLOCK,
				   "The attribute columns are not those of the index's definition.");
}

/* load the facts into rd_amcache, and the meta page that they go with */
static VkIndex *
load_index(Relation index, VkMeta *meta)
{
	static uint64 serial = 0;
	BlockNumber block;
	float	   *mean;
	uint64		coded;
	VkIndex    *vk;

	vk_meta_read(index, meta);
	check_attributes(index, meta);
	for (;;)
	{
		coded = meta->coded;
		mean = read_mean(index, meta, &block);
		vk_meta_read(index, meta);
		if (meta->coded == coded)
			break;
		if (mean != NULL)
			pfree(mean);
	}
	if (mean == NULL)
		vk_corrupt(index, block, "The page is none of the mean's.");

	vk = vk_index_make(index, meta->dim, (VkMetric) meta->metric,
					   (VkFormat) meta->format, meta->refine_bits,
					   meta->flat != 0, meta->seed, mean, meta->step,
					   index->rd_indexcxt);
	vk->coded = coded;
	vk->serial = ++serial;
	pfree(mean);
	if (index->rd_amcache != NULL)
		pfree(index->rd_amcache);
	index->rd_amcache = vk;
	return vk;
}

/*
 * vk_index_cached -- the facts of an index as the relation cache has them, and the
 * meta page that they go with
 */
const VkIndex *
vk_index_cached(Relation index, VkMeta *meta)
{
	const VkIndex *cached = (const VkIndex *) index->rd_amcache;

	vk_meta_read(index, meta);
	if (cached == NULL || cached->coded != meta->coded)
		cached = load_index(index, meta);
	return cached;
}

/*
 * vk_index_current -- the same in the caller's memory
 */
VkIndex *
vk_index_current(Relation index, VkMeta *meta, MemoryContext context)
{
	const VkIndex *cached = vk_index_cached(index, meta);
	VkIndex    *copy = (VkIndex *) MemoryContextAlloc(context, cached->size);

	memcpy(copy, cached, cached->size);
	set_pointers(copy, copy->coder.dim);

	return copy;
}

/*
 * vk_index_copy -- the same for who has no use for the meta page
 */
VkIndex *
vk_index_copy(Relation index, MemoryContext context)
{
	VkMeta		meta;

	return vk_index_current(index, &meta, context);
}

/*
 * vk_center_coder -- the coder of the centre list
 *
 * As that of the rows, but every entry has an 8-bit refine code, from which
 * the centre itself is decoded; and centres of bits are no bits.
 */
VkCoder
vk_center_coder(const VkIndex *vk)
{
	VkCoder		coder = vk->coder;

	coder.metric = vk_metric_of_centers(coder.metric);
	coder.refine_bits = 8;
	coder.refine_size = vk_refine_size(coder.refine_bits, coder.dim);

	return coder;
}
