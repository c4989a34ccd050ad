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
/* rows are compared with a detoasted vector from now on, until context is reset */
extern void vk_heap_reader_query(VkHeapReader *reader, MemoryContext context,
								 Datum query);
/*
 * Rows must pass the conditions of this plan node from now on, which must have
 * some, and those of its index where they are to be checked again; NULL: there
 * are none.
 */
extern void vk_heap_reader_filter(VkHeapReader *reader, IndexScanState *node,
								  bool recheck);
/*
 * Both fetch a row; no index lock may be held.  passes: does the snapshot see it,
 * and does it pass the conditions?  distance: the operator's distance between
 * the query and the row, false where it does not pass (checked: it does).
 */
extern bool vk_heap_reader_passes(VkHeapReader *reader, uint64 tid);
extern bool vk_heap_reader_distance(VkHeapReader *reader, uint64 tid,
									bool checked, double *distance);
/*
 * Ask for the pages of rows that are fetched soon, VK_ASK_MOST at most; and how many
 * pages may be asked of the disk ahead of the row that is fetched: the tablespace's
 * effective_io_concurrency.
 */
#define VK_ASK_MOST 16
extern void vk_heap_reader_ask(VkHeapReader *reader, const uint64 *numbers, int count);
extern int	vk_heap_reader_window(const VkHeapReader *reader);
/*
 * For batches, in place of a query: fetch a row; its vector, detoasted and valid
 * until the next one, and where the version lies that the snapshot sees.  No
 * condition is asked.
 */
extern bool vk_heap_reader_value(VkHeapReader *reader, uint64 number,
								 Datum *vector, ItemPointer tid);
/*
 * Its distance from a detoasted vector in place of its own: where an index scan for
 * that vector has just returned the row, it has left it (distance_memo.c).
 */
extern bool vk_heap_reader_measure(VkHeapReader *reader, uint64 number, Datum vector,
								   double *distance, ItemPointer tid);
/* only where that version lies; false: the snapshot sees none */
extern bool vk_heap_reader_place(VkHeapReader *reader, uint64 number, ItemPointer tid);
/*
 * For upkeep, in place of a query: fetch a row as a snapshot sees it, without
 * conditions; then its vector, valid until the next one.  NULL: it is that of a
 * dead row, and the TOAST table does not have it any more.
 */
extern bool vk_heap_reader_fetch(VkHeapReader *reader,
								 const ItemPointerData *tid, Snapshot snapshot);
/*
 * The same of the newest version that there is, seen by anybody or not, but for those
 * that were taken back: whatever older ones have, its vector is that of the index.
 * *deleted: vacuum may take it away.
 */
extern bool vk_heap_reader_newest(VkHeapReader *reader, const ItemPointerData *tid,
								  bool *deleted);
/* is the vector that of an expression? */
extern bool vk_heap_reader_computes(const VkHeapReader *reader);
extern const float *vk_heap_reader_vector(VkHeapReader *reader);
/* raise an error where the table cannot have the row; the reader's is open */
extern void vk_heap_reader_check(VkHeapReader *reader, ItemPointer tid);
extern void vk_check_heap_tid(Relation index, Relation heap,
							  BlockNumber *heap_blocks, ItemPointer tid);
/* let go of the last row's page */
extern void vk_heap_reader_unpin(VkHeapReader *reader);
/* and of what the fetches keep between each other */
extern void vk_heap_reader_reset(VkHeapReader *reader);
extern void vk_heap_reader_close(VkHeapReader *reader);

#endif							/* VK_HEAP_READER_H */
