/*-------------------------------------------------------------------------
 *
 * upkeep.h
 *	  Keeping an index well: list operations, and what decides on them.
 *
 * NOTES
 *	  Everything that changes lists is one primitive: a set of old lists is
 *	  rewritten into a set of new ones (README, List operations).  The
 *	  files, from the bottom:
 *
 *	  center_entries.c
 *					entries of the centre list
 *	  operation.c	an operation on disk: begin, new slots, close, commit
 *	  recycle.c		retired lists, and what a broken operation has left, back to
 *					free pages
 *	  upkeep_rows.c	rows of old lists, and their vectors in the table
 *	  cluster.c		k-means over rows of lists
 *	  operation_pages.c	pages of new lists (operation_pages.h)
 *	  rewrite.c		rows of old lists into new ones, by an operation
 *	  upkeep.c		which lists to split, merge, compact; when to code anew
 *
 * IDENTIFICATION
 *	  src/am/upkeep.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_UPKEEP_H
#define VK_UPKEEP_H

#include "am/am.h"

/* a set of slots */
typedef struct VkSlotSet
{
	uint32		slots;			/* that there are */
	uint8	   *bits;
} VkSlotSet;

static inline VkSlotSet
vk_slot_set_make(uint32 slots)
{
	VkSlotSet	set = {slots, palloc0(slots / 8 + 1)};

	return set;
}

static inline void
vk_slot_set_add(VkSlotSet *set, uint32 slot)
{
	set->bits[slot / 8] |= 1 << slot % 8;
}

static inline bool
vk_slot_set_has(const VkSlotSet *set, uint32 slot)
{
	return slot < set->slots && (set->bits[slot / 8] & 1 << slot % 8) != 0;
}

/* ---- center_entries.c: entries of the centre list ---- */

/* centres as int8 codes in the rotated space about the mean, as in VkBuild */
typedef struct VkCenters
{
	size_t		stride;
	int64		count;
	int64		capacity;
	int8	   *codes;			/* stride bytes each */
	float	   *scales;
} VkCenters;

/* a page of a list, from which on lanes may be free; none: there are none */
typedef struct VkFreeLanes
{
	BlockNumber block;
	uint32		position;		/* of the page in its chain */
} VkFreeLanes;

/* the lists that hold entries: one, or the groups */
typedef struct VkCenterTree
{
	Relation	index;
	const VkIndex *vk;
	MemoryContext context;		/* of all that is here */
	int			count;
	int			capacity;
	uint32	   *slots;
	VkFreeLanes *free;			/* of each */
	VkCenters	centers;		/* of groups */
	VkAssigner	assigner;		/* among them */
} VkCenterTree;

extern VkCenterTree *vk_center_tree_read(Relation index, const VkIndex *vk,
										 const VkMeta *meta);
extern void vk_center_tree_free(VkCenterTree *tree);
extern void vk_center_list_put(VkCenterTree *tree, uint32 number,
							   const int8 *code, float a);
/* lanes of all entries: of lists that are seen, of others, and free ones */
extern double vk_center_list_lanes(Relation index, const VkIndex *vk,
								   const VkMeta *meta);
extern void vk_center_list_drop(Relation index, const VkIndex *vk,
								const VkSlotSet *drop, bool counted);
/* a list, and the int8 code and scale of its centre */
typedef void (*VkCenterCallback) (void *arg, uint32 number, const int8 *code,
								  float a);
extern void vk_center_list_read(Relation index, const VkIndex *vk,
								const VkMeta *meta, VkCenterCallback callback,
								void *arg);

/* ---- operation.c: the protocol's steps 16-21, no row is looked at ---- */

/* an old list of an operation */
typedef struct VkOldList
{
	uint32		number;			/* slot */
	VkSlot		slot;			/* as the operation found it */
	bool		closed;
} VkOldList;

typedef struct VkOperation
{
	Relation	index;
	Relation	heap;
	const VkIndex *vk;			/* how new lists are coded */
	VkMeta		meta;			/* as the operation found it */
	uint64		epoch;			/* from which on its lists are seen */
	MemoryContext context;
	VkOldList  *old;
	int64		old_count;
	int64		old_capacity;
	uint32	   *made;			/* slots of new lists */
	int64		made_count;
	int64		made_capacity;
	int64		lists_made;		/* of them with a centroid */
	int64		segments_made;
	uint32		next_free;		/* slots below are known to be in use */
	VkCenterTree *tree;			/* where centres are entered; NULL: none were yet */
} VkOperation;

/* what a commit changes on the meta page beside the epoch */
typedef struct VkOperationChange
{
	bool		coded;			/* mean and step are new from this epoch on */
	BlockNumber mean_head;
	float4		step;
	double		residual;		/* mean |row - centre| of rows coded anew */
	double		live_rows;		/* of the whole index; less than 0: as it was */
	double		dead_rows;
	uint32		root;			/* slot of a new centre list, or of the list of its
								 * groups; 0: as it was */
	uint32		groups;			/* that it has */
	uint32		centers;		/* entries in it, or in them */
} VkOperationChange;

/*
 * The lock that all upkeep holds in exclusive mode, and vk_check in share mode.
 * Inserts never wait for it (protocol 16), but take it for a moment where it is
 * free (vk_segment_open).
 */
extern void vk_upkeep_lock(Relation index, LOCKMODE mode);
/* without waiting; false: somebody else has it */
extern bool vk_upkeep_try_lock(Relation index, LOCKMODE mode);
extern void vk_upkeep_unlock(Relation index, LOCKMODE mode);

/*
 * Begin: the caller holds the upkeep lock and has cleaned up.  op is filled;
 * memory is the current context.
 */
extern void vk_operation_begin(VkOperation *op, Relation index, Relation heap,
							   const VkIndex *vk);
/* an unborn slot without pages; flags: VK_SLOT_SEGMENT, VK_SLOT_GROUP or those
 * of vk_list_flags */
extern uint32 vk_operation_new_list(VkOperation *op, uint16 flags);
/* store the pages and counts of a new list; number and born are checked */
extern void vk_operation_set_list(VkOperation *op, uint32 number,
								  const VkSlot *slot);
/* enter the centre of a new list into the centre list */
extern void vk_operation_put_center(VkOperation *op, uint32 number,
									const int8 *code, float a);
/* write a mean that vectors are taken about from the commit on; its first page */
extern BlockNumber vk_operation_put_mean(VkOperation *op, const float *mean);
/* name a list that the operation replaces (not closed yet); a visible one */
extern VkOldList *vk_operation_add_old(VkOperation *op, uint32 number);
/* close a list: no row is appended to it from now on (step 19) */
extern void vk_operation_close(VkOperation *op, VkOldList *old);
/* all old lists are closed: make the new lists the ones that are seen (20, 21) */
extern void vk_operation_commit(VkOperation *op, const VkOperationChange *change);

/* ---- recycle.c ---- */

/*
 * Undo what an operation that did not end has left: the caller holds the upkeep
 * lock.  Does nothing where there is nothing of the kind.  Pages that belong to
 * no list any more are found by reading the whole index.
 */
extern void vk_operation_clean_up(Relation index);

typedef struct VkRecycled
{
	int64		lists;			/* recycled */
	int64		pages;			/* that became free */
	int64		waiting;		/* retired lists that somebody may still read */
} VkRecycled;

/*
 * Free the pages, slots and centres of lists that nobody can see any more, and
 * stamp retired lists that have no XID yet.  The caller holds the upkeep lock.
 */
extern VkRecycled vk_recycle(Relation index, Relation heap);
/*
 * In recovery, after lists were read: an error where one of those visible at the
 * epoch may have been recycled meanwhile (README, List operations, "Standby").
 */
extern void vk_check_not_recycled(Relation index, uint64 epoch);
/* free the pages of a mean that nothing names any more */
extern void vk_mean_free(Relation index, BlockNumber head);

/* ---- upkeep_rows.c ---- */

/* upkeep of one index, in one process */
typedef struct VkUpkeep
{
	Relation	index;
	Relation	heap;
	IndexInfo  *info;
	const VkSupport *support;
	VkIndex    *vk;				/* how lists are coded; layout of all of them */
	Size		memory;			/* that may be used, in bytes */
	MemoryContext context;
	struct VkRowReader *rows;	/* vectors in the table; made when first needed */
} VkUpkeep;

/* where a walk over the rows of a list is; it can go on where it ended */
typedef struct VkListWalk
{
	const VkIndex *vk;
	uint32		number;
	uint64		born;
	BlockNumber block;			/* page at hand */
	uint32		position;
	int			line;			/* block at hand, 0 = none yet */
	int			lane;			/* next lane */
} VkListWalk;

/* a live row as its list has it */
typedef struct VkListRow
{
	ItemPointerData tid;
	VkAttributes attributes;
} VkListRow;

extern void vk_list_walk_begin(VkListWalk *walk, const VkIndex *vk, uint32 number,
							   const VkSlot *slot);
/*
 * The live rows of the list from where the walk is, at most `most` of them and
 * at least one page's; returns how many.  0: there are no more now.
 */
extern int	vk_list_walk_next(VkListWalk *walk, Relation index, VkListRow *rows,
							  int most);

typedef enum VkRowState
{
	VK_ROW_LIVE,				/* its vector was read */
	VK_ROW_DEAD,				/* there, so that a standby may see it, if nobody
								 * here; but its vector is not */
	VK_ROW_GONE					/* nobody can see it */
} VkRowState;

/*
 * The vector of a row (normalised for cosine), valid until the next call.  wild:
 * bounds must say nothing of it (vk_row_encode).
 */
extern VkRowState vk_row_vector(VkUpkeep *upkeep, ItemPointer tid,
								const float **vector, bool *wild);
/* let go of the table's pages, and of its TOAST table; at the end of all use */
extern void vk_rows_release(VkUpkeep *upkeep);
/* while that reads expressions: true to begin, false to end it */
extern void vk_rows_keep_toast(const VkUpkeep *upkeep, bool lock);

/* ---- cluster.c ---- */

extern void vk_centers_init(VkCenters *centers, int dim);
extern void vk_centers_add(VkCenters *centers, const int8 *code, float scale);
/*
 * Vectors of rows of some lists, drawn evenly; `wanted` at most, and returns how
 * many.
 */
extern int64 vk_sample_lists(VkUpkeep *upkeep, const uint32 *lists, int64 count,
							 int64 wanted, float *rows);
/*
 * Are the rows of a list all the same to k-means, as far as a few of them show?  Then
 * there is nothing to split.
 */
extern bool vk_list_is_uniform(VkUpkeep *upkeep, uint32 list);
/*
 * Cluster the rows of some lists by k-means and add at most `wanted` centres;
 * returns how many.  At most 64 rows a centre are looked at, fewer where memory
 * asks for it.
 */
extern int	vk_cluster(VkUpkeep *upkeep, const uint32 *lists, int64 count,
					   int wanted, VkCenters *centers);

/* ---- rewrite.c ---- */

typedef struct VkRewriteStats
{
	int64		old_lists;
	int64		new_lists;
	int64		rows;
	int64		late_rows;		/* appended to old lists while they were rewritten */
	int64		gone;			/* rows that nobody can see, left out */
	double		residual;		/* sum of |row - centre|, late rows left out */
} VkRewriteStats;

/*
 * Rewrite old lists (and segments) into one list for each centre, every row to
 * the nearest; without centres into segments.  One operation, from its begin to
 * its commit.  vk: how the new lists are coded, upkeep->vk or one with another
 * mean, about which the centres are; those that no row is nearest to get no list.
 * Where the change says that rows are coded anew, vk's mean is written here.
 * stats are added to.  The caller holds the upkeep lock.
 */
extern void vk_rewrite(VkUpkeep *upkeep, const VkIndex *vk, const uint32 *lists,
					   int64 count, const VkCenters *centers,
					   const VkOperationChange *change, VkRewriteStats *stats);

/* ---- regroup.c ---- */

/*
 * Write the centre list anew where its entries are too many for the groups that
 * there are, or where many of its lanes are free or of retired lists.  One
 * operation, that no row has part in; returns whether there are other groups now,
 * so that searches find other lists.  The caller holds the upkeep lock.
 */
extern bool vk_regroup(VkUpkeep *upkeep);

/* ---- upkeep.c ---- */

typedef struct VkUpkeepReport
{
	uint32		lists_before;	/* with centroids */
	uint32		lists_after;
	VkRewriteStats rewritten;	/* by all operations */
	int64		operations;
	VkRecycled	recycled;
	bool		calibrated;
} VkUpkeepReport;

/* do what there is to do; the counts of all lists are those of now */
extern void vk_upkeep_run(Relation index, Relation heap, VkUpkeepReport *report);

/* ---- vacuum.c ---- */

/* count the rows of all lists anew: a pass of vacuum that finds nothing dead */
extern void vk_count_lists(Relation index);

#endif							/* VK_UPKEEP_H */
