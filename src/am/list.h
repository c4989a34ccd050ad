/*-------------------------------------------------------------------------
 *
 * list.h
 *	  Chains of pages, and the places of rows in them.
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
/*
 * The list's home, exclusively locked: the page with the head of the open block,
 * the last one that has any.  InvalidBuffer where the slot is not that of the
 * list any more.  slot may be old; a list without pages gets its first.
 */
extern Buffer vk_chain_home(Relation index, const VkChainId *chain,
							const VkSlot *slot);
/* InvalidBuffer also where the page is locked by another process: *busy is set */
extern Buffer vk_chain_try_home(Relation index, const VkChainId *chain,
								const VkSlot *slot, bool *busy);
extern void vk_chain_set_tail(Relation index, const VkChainId *chain,
							  BlockNumber block);
extern Buffer vk_chain_next(Relation index, const VkChainId *chain,
							Buffer buffer, int mode);
extern Buffer vk_chain_walk(Relation index, const VkChainId *chain,
							Buffer from, uint32 steps);
extern Buffer vk_chain_seek(Relation index, const VkChainId *chain,
							BlockNumber block, uint32 position, uint32 steps,
							int mode);

/* list.c */
extern void vk_list_replace(Relation index, const VkIndex *vk,
							const VkChainId *chain, Buffer buffer, int line,
							int lane, const VkRow *row);

#endif							/* VK_LIST_H */
