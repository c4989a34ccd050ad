/*-------------------------------------------------------------------------
 *
 * check.h
 *	  What the files of vk_check share: check.c (pages, directory, heap),
 *	  check_list.c (one list) and check_codes.c.
 *
 * IDENTIFICATION
 *	  src/am/check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_CHECK_H
#define VK_CHECK_H

#include "am/am.h"

#include "utils/tuplesort.h"

/* pages of a slot's chains, as walked */
typedef struct VkChainLengths
{
	uint32		blocks;			/* or rest pages */
	uint32		refine;
} VkChainLengths;

typedef struct VkCheck
{
	/* unchanging state */
	Relation	heap;
	Relation	index;
	const VkIndex *layout;
	VkMeta		meta;
	BlockNumber blocks;			/* of the index, when the check began */
	bool		unsettled;		/* there may be what belongs to an operation that did
								 * not end, or that a standby replays */

	/* mutable state */
	uint8	   *claimed;		/* a bit a block: some chain holds it */
	uint8	   *centered;		/* a byte a slot: it has a centroid (1), or it is a
								 * group that the root names (2) */
	VkChainLengths *lengths;	/* by slot */
	Tuplesortstate *tids;		/* entries (see check.c) of all visible lists */
	int64		centers;		/* entries of the centre list */
	int64		groups;			/* visible ones of it */
	int64		lists;			/* visible lists with a centroid, and without */
	int64		segments;
	uint32		summary_first;	/* the summary page last met: its first slot */
	BlockNumber summary;
} VkCheck;

/* raises corruption with the block number; arguments as of psprintf */
pg_noreturn extern void vk_check_fail(VkCheck *check, BlockNumber block,
									  const char *format,...)
			__attribute__((format(printf, 3, 4)));
/* the same of a row: block, offset, table and index are the message's arguments */
pg_noreturn extern void vk_check_report_row(VkCheck *check, uint64 row, const char *message);
/* note that a chain holds this page; no other may */
extern void vk_check_claim(VkCheck *check, BlockNumber block);
/* note a heap TID that is in the index; attributes: NULL where it has none */
extern void vk_check_tid(VkCheck *check, BlockNumber block, ItemPointer tid,
						 const VkAttributes *attributes);

extern void vk_check_list(VkCheck *check, uint32 number, const VkSlot *slot);
extern void vk_check_retired(VkCheck *check, uint32 number, const VkSlot *slot);
/* the page of a slot's summaries, whether it has a list or not */
extern void vk_check_summary_page(VkCheck *check, uint32 number,
								  const VkSlot *slot);
extern void vk_check_rest(VkCheck *check, uint32 number, const VkSlot *slot);
/* check_codes.c: of the rows that the snapshot sees, which is not older than the check */
extern void vk_check_codes(VkCheck *check, Snapshot snapshot);

#endif							/* VK_CHECK_H */
