/*-------------------------------------------------------------------------
 *
 * list_writer.h
 *	  Writing whole lists, front to back, whatever becomes of their pages.
 *
 * IDENTIFICATION
 *	  src/am/list_writer.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_LIST_WRITER_H
#define VK_LIST_WRITER_H

#include "am/am.h"

/* where pages go */
typedef struct VkPageSink
{
	/* numbers for so many pages: the first, from which they go up by one */
	BlockNumber (*reserve) (void *arg, BlockNumber pages);
	/* a complete page */
	void		(*put) (void *arg, BlockNumber block, const char *image);
} VkPageSink;

typedef struct VkPageTarget
{
	const VkPageSink *sink;
	void	   *arg;
} VkPageTarget;

/* chain of pages of one kind, its last page still in memory */
typedef struct VkChain
{
	PGAlignedBlock image;
	BlockNumber head;			/* InvalidBlockNumber: no page yet */
	BlockNumber block;			/* of the page in image */
	BlockNumber end;			/* past the last block reserved; 0: none are */
	uint64		born;
	uint16		kind;
	uint32		slot;
	uint32		position;
	uint32		used;			/* lines, bytes or entries on that page */
} VkChain;

/* a chain without pages; reserve > 0 gives it that many contiguous blocks */
extern void vk_chain_init(VkChain *chain, const VkPageTarget *target,
						  uint16 kind, uint32 slot, uint64 born,
						  BlockNumber reserve);
/*
 * Append bytes to a chain whose pages hold `limit` payload bytes each; counted:
 * they are one entry of their page.
 */
extern void vk_chain_add(VkChain *chain, const VkPageTarget *target,
						 const void *data, Size size, Size limit, bool counted);
/* the page in memory is complete */
extern void vk_chain_put(VkChain *chain, const VkPageTarget *target);

/* writes one list after the other */
typedef struct VkListWriter
{
	const VkIndex *vk;
	VkPageTarget target;
	uint64		born;			/* epoch of all its lists */
	double		residual;		/* sum of |row - centre| of the rows that have one */
	char	   *block;			/* lines of the block being filled */

	/* the list being written */
	const VkCoder *coder;
	VkSlot		list;
	uint32		number;			/* its slot */
	int64		rows;			/* announced */
	VkChain		blocks;
	VkChain		refine;
	VkSummary  *summaries;		/* the caller's, one a column */
} VkListWriter;

extern void vk_list_writer_init(VkListWriter *writer, const VkIndex *vk,
								const VkPageSink *sink, void *arg, uint64 born);
/*
 * Begin the list of a slot, which will hold `rows` rows.  summaries: of its
 * attribute columns, to be widened by each row.
 */
extern void vk_list_writer_begin(VkListWriter *writer, const VkCoder *coder,
								 uint32 number, int64 rows,
								 VkSummary *summaries);
/* attributes: NULL for the entries of the centre list */
extern void vk_list_writer_add(VkListWriter *writer, ItemPointer tid,
							   const VkRowCode *code,
							   const VkAttributes *attributes);
/* all rows are there; writer->list is what its slot is to say */
extern void vk_list_writer_end(VkListWriter *writer);

#endif							/* VK_LIST_WRITER_H */
