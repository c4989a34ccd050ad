/*-------------------------------------------------------------------------
 *
 * list.h
 *	  Chains of pages, as chain.c and list.c see them.
 *
 * IDENTIFICATION
 *	  src/am/list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_LIST_H
#define VK_LIST_H

#include "am/am.h"

/* what every page of a chain says of itself */
typedef struct VkChainId
{
	uint32		slot;
	uint16		kind;
	uint64		born;
} VkChainId;

extern BlockNumber vk_chain_start(Relation index, const VkChainId *chain);
extern void vk_chain_set_tail(Relation index, const VkChainId *chain,
							  BlockNumber block);
extern Buffer vk_chain_next(Relation index, const VkChainId *chain,
							Buffer buffer, int mode);
extern Buffer vk_chain_walk(Relation index, const VkChainId *chain,
							Buffer from, uint32 steps);
extern Buffer vk_chain_seek(Relation index, const VkChainId *chain,
							BlockNumber block, uint32 position, uint32 steps,
							int mode);

#endif							/* VK_LIST_H */
