/*-------------------------------------------------------------------------
 *
 * prefilter.h
 *	  What the plan and the node of a prefilter share.
 *
 * IDENTIFICATION
 *	  src/am/prefilter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_PREFILTER_H
#define VK_PREFILTER_H

#include "nodes/extensible.h"

#define VK_PREFILTER_NAME	"vkindex prefilter"

/* CustomScan.custom_private: 1 where the bitmap tells of all conditions that our
 * index does not know, and is right */
extern const CustomScanMethods vk_prefilter_scan_methods;

#endif							/* VK_PREFILTER_H */
