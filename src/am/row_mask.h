/*-------------------------------------------------------------------------
 *
 * row_mask.h
 *	  The rows of a table that may meet conditions, as other indexes know them.
 *
 * IDENTIFICATION
 *	  src/am/row_mask.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_ROW_MASK_H
#define VK_ROW_MASK_H

#include "nodes/tidbitmap.h"
#include "storage/itemptr.h"

typedef struct VkRowMask VkRowMask;

/*
 * The rows of a bitmap; of pages that it has lost count of, all rows.  NULL where
 * they would take more than half of work_mem.
 */
extern VkRowMask *vk_row_mask_create(MemoryContext context, TIDBitmap *bitmap);

/* those of the given lanes whose rows are among them; leaf */
extern uint32 vk_row_mask_lanes(const VkRowMask *mask, const ItemPointerData *tids,
								uint32 lanes);

/* how many there are, or -1 where that is not known of some page */
extern int64 vk_row_mask_rows(const VkRowMask *mask);

/* do all of them meet the bitmap's conditions? */
extern bool vk_row_mask_exact(const VkRowMask *mask);

#endif							/* VK_ROW_MASK_H */
