/*-------------------------------------------------------------------------
 *
 * operation_pages.h
 *	  Pages of the lists that an operation makes.
 *
 * IDENTIFICATION
 *	  src/am/operation_pages.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_OPERATION_PAGES_H
#define VK_OPERATION_PAGES_H

#include "am/list_writer.h"

#define VK_PENDING_PAGES	256		/* kept before they are written */

/* a page that was handed over, by the number that its list knows it by */
typedef struct VkPendingPage
{
	BlockNumber number;
	PGAlignedBlock image;
} VkPendingPage;

typedef struct VkOperationPages
{
	Relation	index;
	MemoryContext context;
	BlockNumber *blocks;		/* by number; invalid: none yet */
	int64		numbers;		/* given out for this list */
	int64		capacity;
	VkPendingPage *pending;
	int			pending_count;
} VkOperationPages;

extern const VkPageSink vk_operation_sink;	/* its arg: VkOperationPages */

/* in the current memory context */
extern void vk_operation_pages_init(VkOperationPages *pages, Relation index);
/* all pages of a list have been handed over: write them, and begin anew */
extern void vk_operation_pages_end(VkOperationPages *pages, VkSlot *list);

#endif							/* VK_OPERATION_PAGES_H */
