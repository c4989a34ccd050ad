/*-------------------------------------------------------------------------
 *
 * toast_reader.h
 *	  Values of one table's TOAST, many of them one after the other.
 *
 * IDENTIFICATION
 *	  src/am/toast_reader.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_TOAST_READER_H
#define VK_TOAST_READER_H

#include "utils/relcache.h"

typedef struct VkToastReader VkToastReader;

/* in the current memory context; opens nothing before it has to */
extern VkToastReader *vk_toast_reader_create(Relation heap);
/*
 * The value as PG_DETOAST_DATUM would return it, but for its memory: it may be
 * the reader's, and is valid until the next call.  No pin is kept.
 */
extern struct varlena *vk_toast_reader_value(VkToastReader *reader, Datum value);
/*
 * The same for a row that may be dead: NULL where its chunks are not there any
 * more, or not all of them.
 */
extern struct varlena *vk_toast_reader_try(VkToastReader *reader, Datum value);
extern void vk_toast_reader_close(VkToastReader *reader);

#endif							/* VK_TOAST_READER_H */
