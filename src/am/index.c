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
 * IDENTIFICATION
 *	  src/am/index.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "am/am.h"

#include "utils/memutils.h"

/* floats on a page of the mean */
#define VK_MEAN_ENTRIES		(VK_PAYLOAD_SIZE / sizeof(float4))

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
	vk->coder.step = step;
	vk_rotate(&vk->coder.rotation, vk->coder.mean, vk->rotated_mean);

	vk->head_lines = vk_attributes_describe(index, VK_BLOCK_HEAD_LINES,
											vk->attribute, &vk->attributes,
											&vk->attribute_bytes);
	vk->block_lines = vk->head_lines + vk->coder.lines;
	vk->annotation_line = sizeof(VkBlockTop) / VK_LINE_SIZE;

	return vk;
}

/* the mean, from its chain of pages; palloc'd */
static float *
read_mean(Relation index, const VkMeta *meta)
{
	float	   *mean = (float *) palloc0(sizeof(float) * meta->dim);
	BlockNumber block = meta->mean_head;
	int			done = 0;

	for (uint32 position = 0; done < meta->dim && meta->mean_head != InvalidBlockNumber;
		 position++)
	{
		int			n = Min(meta->dim - done, (int) VK_MEAN_ENTRIES);
		Buffer		buffer = vk_read_page(index, block, VK_PAGE_MEAN,
										  BUFFER_LOCK_SHARE);
		Page		page = BufferGetPage(buffer);

		if (vk_page_head(page)->position != position)
			vk_corrupt(index, block, "The pages of the mean are out of order.");
		memcpy(mean + done, vk_page_payload(page), sizeof(float) * n);
		block = vk_page_head(page)->next;
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

/* load the facts into rd_amcache */
static void
load_index(Relation index)
{
	VkMeta		meta;
	float	   *mean;
	VkIndex    *vk;

	vk_meta_read(index, &meta);
	check_attributes(index, &meta);
	mean = read_mean(index, &meta);
	vk = vk_index_make(index, meta.dim, (VkMetric) meta.metric,
					   (VkFormat) meta.format, meta.refine_bits,
					   meta.flat != 0, meta.seed, mean, meta.step,
					   index->rd_indexcxt);
	vk->lists = meta.lists;
	pfree(mean);
	index->rd_amcache = vk;
}

/*
 * vk_index_copy -- the facts of an index, in the caller's memory
 */
VkIndex *
vk_index_copy(Relation index, MemoryContext context)
{
	VkIndex    *cached;
	VkIndex    *copy;

	if (index->rd_amcache == NULL)
		load_index(index);
	cached = (VkIndex *) index->rd_amcache;

	copy = (VkIndex *) MemoryContextAlloc(context, cached->size);
	memcpy(copy, cached, cached->size);
	set_pointers(copy, copy->coder.dim);

	return copy;
}

/*
 * vk_center_coder -- the coder of the centre list
 *
 * As that of the rows, but every entry has an 8-bit refine code, from which
 * the centre itself is decoded.
 */
VkCoder
vk_center_coder(const VkIndex *vk)
{
	VkCoder		coder = vk->coder;

	coder.refine_bits = 8;
	coder.refine_size = vk_refine_size(coder.refine_bits, coder.dim);

	return coder;
}
