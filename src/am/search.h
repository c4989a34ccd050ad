/*-------------------------------------------------------------------------
 *
 * search.h
 *	  From a query to candidates: what the files of a scan share.
 *
 * IDENTIFICATION
 *	  src/am/search.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_SEARCH_H
#define VK_SEARCH_H

#include "am/am.h"

#include "utils/snapshot.h"

/*
 * VkCandidate.slot numbers the lists that a round begins; this bit says that
 * the bounds are final: those of the refine code (or there is none), or exact.
 */
#define VK_REFINED		0x80000000U
/* and this one that the score is known: VkCandidate.score */
#define VK_EXACT		0x40000000U
#define VK_VISIT(slot)	((slot) & ~(VK_REFINED | VK_EXACT))

/* what one round of a scan asks for */
typedef struct VkRound
{
	int64		wanted;			/* candidates that matter */
	double		budget;			/* live rows to scan; infinity: all lists */
	int64		probes;			/* lists to visit instead, 0 = by budget */
	bool		proven;			/* proven bounds (else statistical) */

	/* true for rows that are not to come again; NULL: none */
	bool		(*skip) (void *arg, uint64 tid);

	/*
	 * Both are called with no lock held.  sharpen finds the exact scores of the
	 * most promising candidates that have none yet, `wanted` of them, so that
	 * the threshold comes close to the final one early.  tighten is for when
	 * candidates do not fit any more: it must bring candidates->count to at
	 * most half of the capacity.
	 */
	void		(*sharpen) (void *arg, VkCandidates *candidates);
	void		(*tighten) (void *arg, VkCandidates *candidates);
	void	   *arg;
	int64		max_candidates; /* entries that memory allows */
} VkRound;

/*
 * Visit lists until the round's work is done.  The candidates are all rows
 * seen whose lower bound is not above the threshold; *exhaustive tells whether
 * every list was visited.
 */
extern VkCandidates *vk_search_collect(VkSearch *search, const VkRound *round,
									   bool *exhaustive);

/* the MVCC snapshot that reads are for (old-snapshot tests); NULL: none */
extern void vk_search_snapshot(VkSearch *search, Snapshot snapshot);

/* no bound holds for this query: every row must be fetched */
extern bool vk_search_wild(const VkSearch *search);

/* ---- list_scan.c ---- */

/* lanes that one page can add at most: its blocks, and a carried one */
static inline int64
vk_page_lanes(const VkIndex *vk)
{
	return (VK_PAGE_LINES / vk->block_lines + 2) * VK_LANES;
}

typedef uint32_t (*VkFlatBound) (const VkBoundQuery *, const VkFlatAnnotation *,
								 const VkDots *, float, VkScores *);
typedef uint32_t (*VkListBound) (const VkBoundQuery *, const VkListAnnotation *,
								 float, const VkDots *, float, VkScores *);

/* One chain being scanned */
typedef struct VkListScan
{
	/* the same for all lists of a search */
	Relation	index;
	const VkIndex *vk;
	Snapshot	snapshot;		/* for old-snapshot tests; NULL: none */
	VkScanStats *stats;
	MemoryContext context;		/* candidates grow in it */
	uint8	   *refine;			/* room for one refine code */
	VkScores	scores;			/* of the block at hand */

	/* this list */
	const VkCoder *coder;
	const VkQueryCode *code;
	VkCandidates *out;
	VkListBound list_bound;		/* NULL: flat annotation */
	VkFlatBound flat_bound;		/* for it */
	const VkRound *round;		/* its callbacks; NULL: none */
	uint32		visit;			/* goes into VkCandidate.slot */
	uint32		slot;
	uint64		born;
	BlockNumber after;			/* read after this list, if it is known */
	bool		proven;			/* for refine bounds */
	int64		live;			/* live lanes scored */
	int			run;			/* pages read that follow one another in memory */
} VkListScan;

extern void vk_candidates_reserve(MemoryContext context, VkCandidates *candidates,
								  int64 capacity);
/* score every live row of one chain of blocks into scan->out */
extern void vk_list_scan(VkListScan *scan, const VkSlot *slot);
/* ask the CPU for an entry's refine code: it is read soon */
extern void vk_refine_prefetch(Relation index, const VkCandidate *entry, int size);
/*
 * At the end of a list: tighten the threshold where enough candidates are new,
 * and refine those that the list has left, in batches, the bounds of one batch
 * tightening the threshold for the next.
 */
extern void vk_list_settle(VkListScan *scan);

/* ---- tids.c ---- */

typedef void (*VkTidCallback) (void *arg, uint64 tid);

/* hand every live TID of all lists to the callback, no lock being held */
extern void vk_list_tids(Relation index, const VkIndex *vk, const VkMeta *meta,
						 VkTidCallback callback, void *arg);
/* the same for one of the rest lists (VK_SLOT_REST_...) */
extern void vk_rest_tids(Relation index, const VkIndex *vk, const VkMeta *meta,
						 uint32 slot, VkTidCallback callback, void *arg);

#endif							/* VK_SEARCH_H */
