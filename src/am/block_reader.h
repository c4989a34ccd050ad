/*-------------------------------------------------------------------------
 *
 * block_reader.h
 *	  Blocks of a list as copies, for who scores them more than once.
 *
 * IDENTIFICATION
 *	  src/am/block_reader.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_BLOCK_READER_H
#define VK_BLOCK_READER_H

#include "am/search.h"

/* bytes of codes for which any core has room */
#define VK_LEAST_BLOCKS_SIZE	(256 * 1024)

/* blocks copied at a time: heads, annotations, and whole codes */
typedef struct VkBlocks
{
	int			capacity;
	int			count;
	size_t		code_size;		/* bytes of one block's code */
	VkBlockTop *tops;
	uint32	   *live;			/* lanes with a live row */
	char	   *annotations;	/* two lines each */
	uint8	   *code;			/* aligned to lines */
	void	   *memory;			/* of the code */
	VkRefineStart *refine;
} VkBlocks;

static inline void *
vk_blocks_annotation(const VkBlocks *blocks, int block)
{
	return blocks->annotations + (size_t) block * 2 * VK_LINE_SIZE;
}

static inline uint8 *
vk_blocks_code(const VkBlocks *blocks, int block)
{
	return blocks->code + block * blocks->code_size;
}

/* the dots of a query by itself with the code of one block; they are 0 before */
extern void vk_block_dots(const VkCoder *coder, const VkQueryCode *query,
						  const uint8 *code, VkDots *dots);
/* bounds of a block's rows by its dots; the lanes that are not above the threshold */
extern uint32 vk_blocks_bounds(const VkBlocks *blocks, int block, const VkCoder *coder,
							   bool proven, const VkBoundQuery *query,
							   const VkDots *dots, float threshold, VkScores *scores);

/* room for so many bytes of codes; 0: as the cache of a core holds beside other work */
extern VkBlocks *vk_blocks_create(const VkIndex *vk, Size size);
extern void vk_blocks_free(VkBlocks *blocks);

typedef struct VkBlockReader
{
	Relation	index;
	const VkIndex *vk;
	Snapshot	snapshot;		/* for old-snapshot tests */
	VkScanStats *stats;
	uint32		slot;
	uint64		born;
	BlockNumber block;			/* the page at hand */
	uint32		position;
	int			line;			/* the next block head on it; 0: the first */
	bool		open;			/* the last block runs on to the next page */
	int			done;			/* code lines of it that are copied */
	BlockNumber after;			/* read next where the list ends; invalid: not known */
	const char *ahead;			/* what will be read after this page; NULL: not known */
} VkBlockReader;

/* index, vk, snapshot and stats are set already; block after is read next, as far as
 * is known */
extern void vk_block_reader_begin(VkBlockReader *reader, uint32 number,
								  const VkSlot *slot, BlockNumber after);
/* the next blocks of the list; false where there is none.  No lock is kept. */
extern bool vk_block_reader_next(VkBlockReader *reader, VkBlocks *blocks);

#endif							/* VK_BLOCK_READER_H */
