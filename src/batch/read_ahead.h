/*-------------------------------------------------------------------------
 *
 * read_ahead.h
 *	  Nested loops over k-NN searches, searched in batches.
 *
 * NOTES
 *	  read_ahead_path.c plans
 *
 *		Nested Loop
 *		  ->  Custom Scan (vkindex batch)		reads many outer rows ahead,
 *				->  outer plan					and searches for all at once
 *		  ->  Limit
 *				->  Index Scan					finds its rows there
 *
 *	  read_ahead.c executes it.  The loop, the limit and the index scan are those
 *	  of a plan without batches; the index scan takes the nearest rows of its
 *	  query from the node where they are, and searches by itself where they are
 *	  not, or where more of them are asked for.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_READ_AHEAD_H
#define VK_READ_AHEAD_H

#include "nodes/extensible.h"

/* members of CustomScan.custom_private */
enum
{
	READ_AHEAD_INDEX,			/* OID */
	READ_AHEAD_WANTED,			/* rows a query */
	READ_AHEAD_MEMBERS
};

extern const CustomScanMethods vk_read_ahead_scan_methods;

extern void vk_read_ahead_init(void);
extern void vk_read_ahead_path_init(void);

#endif							/* VK_READ_AHEAD_H */
