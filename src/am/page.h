/*-------------------------------------------------------------------------
 *
 * page.h
 *	  On-disk format, version 1, of both access methods.
 *
 * NOTES
 *	  This header holds the format and nothing else.  A page is 8,192 bytes: a
 *	  64-byte head (PageHeaderData, VkPageHead) and 127 lines of 64 bytes,
 *	  numbered 1..127 (line n starts at byte 64 n).  There is no special space:
 *	  pd_lower = pd_upper = pd_special = BLCKSZ, so that full-page images keep
 *	  everything.
 *
 *	  Fork layout: block 0 meta, block 1 first map page, block 2 first
 *	  directory page; the others in any order.
 *
 *	  Block page								Lines of a block
 *	  OFFSET SIZE DESCRIPTION					LINES		DESCRIPTION
 *		   0   24 page header					1.5			TIDs, 16 x 6 bytes
 *		  24   40 VkPageHead					0.5			VkBlockHead
 *		  64 8128 lines of blocks				2			annotation
 *												a			attribute values: for each
 *													column 16 keys (attributes.h),
 *													lane after lane
 *												c			scan code lines
 *
 *	  All head lines (all but the code) of a block lie on one page; where fewer
 *	  lines are left, the block begins at line 1 of the next page.  Code lines
 *	  run on: from the end of one page to line 1 of the next, and the next
 *	  block follows the last of them.
 *
 *	  Refine page: payload of 8,128 bytes from line 1 on, a piece of the list's
 *	  byte stream of refine codes; row i of the list at byte i * refine_size,
 *	  which may be cut by a page end.
 *
 *	  Rest page: heap TIDs, 6 bytes each, from line 1 on; count in the head.
 *
 *	  Summary page: VkSummary of 5 lines each, from line 1 on; for each of its
 *	  slots one a column.
 *
 * IDENTIFICATION
 *	  src/am/page.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_PAGE_H
#define VK_PAGE_H

#include "postgres.h"

#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#include "quant/quant.h"

#define VK_PAGE_LINES		127
#define VK_PAGE_HEAD_SIZE	64
#define VK_PAYLOAD_SIZE		(VK_PAGE_LINES * VK_LINE_SIZE)	/* 8128 */

/* attribute columns of an index at most */
#define VK_MAX_ATTRIBUTES	12

#define VK_META_BLOCK		0
#define VK_MAP_BLOCK		1
#define VK_DIRECTORY_BLOCK	2

/* page kinds (VkPageHead.kind) */
#define VK_PAGE_META		0x5601
#define VK_PAGE_MAP			0x5602
#define VK_PAGE_DIRECTORY	0x5603
#define VK_PAGE_BLOCK		0x5604
#define VK_PAGE_REFINE		0x5605
#define VK_PAGE_REST		0x5606
#define VK_PAGE_MEAN		0x5607
#define VK_PAGE_FREE		0x5608
#define VK_PAGE_SUMMARY		0x5609

/* page flags */
#define VK_PAGE_FULL		0x0001	/* the next block head is on a later page */
#define VK_PAGE_CLOSED		0x0002	/* the list takes no more rows */

/*
 * OFFSET SIZE	(from byte 24 of the page)
 *		0	2	kind
 *		2	2	flags
 *		4	4	slot of the list this page belongs to; the first slot of a
 *				summary page
 *		8	8	birth epoch of that list; 0 where the page belongs to none
 *	   16	4	next page of the chain, InvalidBlockNumber at its end
 *	   20	4	position in the chain, from 0
 *	   24	4	refine page on which the code of the first row begun here starts
 *	   28	4	position of that refine page in its chain
 *	   32	2	its byte offset in that page's payload
 *	   34	1	line of the first block head on this page, 0 = none
 *	   35	1	line of the last one
 *	   36	2	entries (rest, map and mean pages)
 *	   38	2	zero
 */
typedef struct VkPageHead
{
	uint16		kind;
	uint16		flags;
	uint32		slot;
	uint64		born;
	BlockNumber next;
	uint32		position;
	BlockNumber refine_page;
	uint32		refine_position;
	uint16		refine_offset;
	uint8		first_head;
	uint8		last_head;
	uint16		count;
	uint16		zero;
} VkPageHead;

StaticAssertDecl(BLCKSZ == VK_PAGE_HEAD_SIZE + VK_PAYLOAD_SIZE, "pages must be 8 kB");
StaticAssertDecl(sizeof(VkPageHead) == 40, "VkPageHead must be 40 bytes");
StaticAssertDecl(sizeof(PageHeaderData) == 24, "page header must be 24 bytes");

/*
 * OFFSET SIZE	(32 bytes, after the TIDs)
 *		0	2	live: bit per lane, cleared by vacuum
 *		2	1	count: lanes in use; lanes at or past it are garbage
 *		3	1	flags, zero
 *		4	4	scale: what annotation norms are relative to (vkivf)
 *		8  24	nulls: for each attribute column the lanes whose value is NULL
 */
typedef struct VkBlockHead
{
	uint16		live;
	uint8		count;
	uint8		flags;
	float4		scale;
	uint16		nulls[VK_MAX_ATTRIBUTES];
} VkBlockHead;

typedef struct VkBlockTop		/* the first two lines of a block */
{
	ItemPointerData tids[VK_LANES];
	VkBlockHead head;
} VkBlockTop;

StaticAssertDecl(sizeof(VkBlockHead) == 32, "VkBlockHead must be 32 bytes");
StaticAssertDecl(sizeof(VkBlockTop) == 2 * VK_LINE_SIZE, "block top must be two lines");
StaticAssertDecl(sizeof(VkFlatAnnotation) == 128, "vkflat annotation must be 128 bytes");
StaticAssertDecl(sizeof(VkListAnnotation) == 128, "vkivf annotation must be 128 bytes");

#define VK_BLOCK_HEAD_LINES		4	/* without attribute lines */
#define VK_MAX_HEAD_LINES		96

StaticAssertDecl(VK_BLOCK_HEAD_LINES + VK_MAX_ATTRIBUTES * 16 * VK_LANES / VK_LINE_SIZE <= VK_MAX_HEAD_LINES,
				 "the head lines of a block must leave room for code");

/*
 * Directory slot: one line.  Slot s is line 1 + s mod 127 of directory page
 * s div 127.
 */
typedef struct VkSlot
{
	BlockNumber head;			/* InvalidBlockNumber: no page yet */
	BlockNumber tail;			/* hint: the last page known (of rest lists: the first
								 * with room); step right */
	uint64		born;			/* epoch; 0: slot unused */
	uint64		retired;		/* epoch, 0 = not */
	uint64		retire_xid;		/* full XID, 0 = not stamped */
	uint32		live;			/* as of the last build or vacuum; of the centre
								 * list as of its last recycling */
	uint32		dead;
	uint16		flags;
	uint16		born_blocks;	/* blocks that it was made with, at most 65,535; 0: an
								 * earlier version made it, or it was made empty */
	BlockNumber extent_start;	/* block pages built contiguous */
	uint32		extent_length;
	BlockNumber refine_head;
	BlockNumber refine_tail;	/* hint, like tail */
	BlockNumber summary;		/* page of its summaries, or invalid */
} VkSlot;

StaticAssertDecl(sizeof(VkSlot) == VK_LINE_SIZE, "VkSlot must be one line");

/*
 * What the attribute values of one list's rows have in common: one VkSummary for
 * each attribute column, on the page that VkSlot.summary names.  A summary page
 * holds those of n = VK_PAGE_LINES / (attributes x VK_SUMMARY_LINES) slots whose
 * numbers follow each other, from VK_SLOT_FIRST_LIST on: slot s is entry
 * (s - VK_SLOT_FIRST_LIST) mod n of its page.  Summaries only ever widen: they
 * are what a list may hold.
 *
 * A key sets up to four bits of one of the 64 words of the Bloom filter.  With h =
 * splitmix64 (quant/random.h) of (splitmix64 of the key's high 8 bytes) xor its
 * low 8 bytes, that is word (h mod 2^32) mod 64, and bits (h div 2^(32 + 5 i)) mod
 * 32 for i = 0..3.
 *
 * OFFSET SIZE
 *		0  16	least key (attributes.h): low 8 bytes, high 8 bytes
 *	   16  16	greatest key; less than the least: no values
 *	   32	1	nulls: 1 if there are any
 *	   33  31	zero
 *	   64 256	Bloom filter of the keys, NULLs left out: words of 4 bytes
 */
#define VK_BLOOM_SIZE		256
#define VK_SUMMARY_LINES	5

typedef struct VkStoredKey
{
	uint64		low;
	int64		high;
} VkStoredKey;

typedef struct VkSummary
{
	VkStoredKey least;
	VkStoredKey greatest;
	uint8		nulls;
	uint8		zero[31];
	uint32		bloom[VK_BLOOM_SIZE / 4];
} VkSummary;

StaticAssertDecl(sizeof(VkSummary) == VK_SUMMARY_LINES * VK_LINE_SIZE, "VkSummary must be five lines");

/* VkSlot.flags */
#define VK_SLOT_SEGMENT			0x0001	/* no centroid: every scan visits it */
#define VK_SLOT_GROUP			0x0002	/* no rows: entries of the centre list */
#define VK_SLOT_CENTER_DOTS		0x0004	/* codes know their dot with the centre */

/*
 * Fixed slots.  The "TID" of an entry of the centre list is the slot of the list
 * that it is the centre of.  Where there are many, the entries lie in groups, which
 * are lists themselves, and the list in slot VkMeta.root has the groups' centres:
 * there a "TID" is the slot of a group.
 */
#define VK_SLOT_CENTERS		0
#define VK_SLOT_REST_NAN	1	/* rows whose distance is NaN */
#define VK_SLOT_REST_NULL	2	/* NULL rows */
#define VK_SLOT_FIRST_LIST	3

#define VK_MAP_ENTRIES		(VK_PAYLOAD_SIZE / sizeof(BlockNumber))	/* 2032 */
#define VK_META_MAPS		64
#define VK_OPEN_SEGMENTS	8	/* segments that take appends side by side */
#define VK_MAX_SLOTS		(VK_META_MAPS * VK_MAP_ENTRIES * VK_PAGE_LINES)

#define VK_REST_ENTRIES		(VK_PAYLOAD_SIZE / sizeof(ItemPointerData))	/* 1354 */
#define VK_MEAN_ENTRIES		(VK_PAYLOAD_SIZE / sizeof(float4))	/* 2032 */

#define VK_MAGIC			0x564B4958	/* "VKIX" */
/*
 * Format versions: 1 (1.0.0) first release.
 */
#define VK_FORMAT_VERSION	1

/* meta page, from byte 64 */
typedef struct VkMeta
{
	uint32		magic;
	uint32		version;
	uint16		dim;
	uint8		metric;			/* VkMetric */
	uint8		format;			/* VkFormat of scan codes */
	uint8		refine_bits;	/* 0, 4, 8 */
	uint8		flat;			/* 1: vkflat annotation, no lists */
	uint8		element;		/* VkStoredElement of the column's type */
	uint8		attributes;		/* attribute columns */
	uint64		seed;			/* of the rotation and of k-means */
	uint64		epoch;			/* lists are visible by it: README, Concurrency */
	uint32		op_in_progress;
	uint32		slots;			/* directory slots in use, fixed ones included */
	uint32		lists;			/* lists with centroids, visible; 0: segments only */
	uint32		centers;		/* entries of the centre list, visible or not */
	uint32		segments;		/* visible lists without a centroid */
	uint32		groups;			/* of entries of the centre list; 0: it is one list */
	uint64		coded;			/* epoch from which mean and step hold; rows of older
								 * lists are coded by others */
	uint64		recycled;		/* no list that retired after this epoch is recycled */
	uint32		open_slot[VK_OPEN_SEGMENTS];	/* segments that take appends; 0 =
												 * none yet */
	float8		build_rows;		/* live rows at build, or when they were coded anew */
	float8		live_rows;		/* as of the last build or vacuum */
	float8		dead_rows;
	BlockNumber mean_head;		/* InvalidBlockNumber: the mean is zero */
	uint32		maps;
	BlockNumber map[VK_META_MAPS];
	VkCurve		curve;
	float8		curve_rows;		/* live rows when it was measured */
	float8		changed_rows;	/* since then: appended and deleted, as of the last
								 * vacuum */
	float8		build_residual; /* mean |row - centre| of all rows at build */
	float8		residual;		/* as of the last vacuum */
	float4		step;			/* L1: of the grid of codes; else 0 */
	uint8		attribute_width[VK_MAX_ATTRIBUTES]; /* bytes a lane: 4, 8, 16 */
	uint32		root;			/* slot of the centre list, or of the list of its
								 * groups; as built VK_SLOT_CENTERS */
	uint32		grouped;		/* lists that the groups were made for */
	VkFringe	fringe;			/* measured with the curve */
} VkMeta;

/*
 * Element types of indexed columns (VkMeta.element): those of kernels, in their
 * order, from 1 on.
 */
typedef enum VkStoredElement
{
	VK_ELEMENT_F32 = 1,			/* f32vec and what is laid out like it, and so on */
	VK_ELEMENT_F16,
	VK_ELEMENT_BF16,
	VK_ELEMENT_I8,
	VK_ELEMENT_BIT				/* PostgreSQL's type bit */
} VkStoredElement;

#define VK_ELEMENT_LAST		VK_ELEMENT_BIT

static inline VkPageHead *
vk_page_head(Page page)
{
	return (VkPageHead *) ((char *) page + SizeOfPageHeaderData);
}

static inline void *
vk_page_line(Page page, int line)
{
	return (char *) page + line * VK_LINE_SIZE;
}

static inline void *
vk_page_payload(Page page)
{
	return (char *) page + VK_PAGE_HEAD_SIZE;
}

static inline VkMeta *
vk_page_meta(Page page)
{
	return (VkMeta *) vk_page_payload(page);
}

#endif							/* VK_PAGE_H */
