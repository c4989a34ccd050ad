/*-------------------------------------------------------------------------
 *
 * heap_reader.h
 *	  Exact distances of rows of the table.
 *
 * IDENTIFICATION
 *	  src/am/heap_reader.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_HEAP_READER_H
#define VK_HEAP_READER_H

#include "am/am.h"

#include "utils/snapshot.h"

typedef struct VkHeapReader VkHeapReader;

/* in the current memory context; opened before its first use */
extern VkHeapReader *vk_heap_reader_create(Relation index,
										   const VkSupport *support, int dim);
extern void vk_heap_reader_open(VkHeapReader *reader, Relation heap,
								Snapshot snapshot);
/* rows are compared with vector from now on, until context is reset */
extern void vk_heap_reader_query(VkHeapReader *reader, MemoryContext context,
								 const float *vector);
/*
 * The operator's distance between the query and the row, false where the
 * snapshot does not see it.  No index lock may be held.
 */
extern bool vk_heap_reader_distance(VkHeapReader *reader, uint64 tid,
									double *distance);
/* let go of the last row's page */
extern void vk_heap_reader_unpin(VkHeapReader *reader);
/* and of what the fetches keep between each other */
extern void vk_heap_reader_reset(VkHeapReader *reader);
extern void vk_heap_reader_close(VkHeapReader *reader);

#endif							/* VK_HEAP_READER_H */
