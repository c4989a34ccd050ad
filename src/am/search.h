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
/* this one that the score is known: VkCandidate.score */
#define VK_EXACT		0x40000000U
/* and this one that VkRound.check has been asked */
#define VK_CHECKED		0x20000000U
#define VK_VISIT(slot)	((slot) & ~(VK_REFINED | VK_EXACT | VK_CHECKED))

/* what one round of a scan asks for */
typedef struct VkRound
{
	int64		wanted;			/* candidates that matter; 0: all */
	double		radius;			/* greatest score that matters, or infinity */
	const VkFilter *filter;		/* NULL: none */
	const VkRowMask *mask;		/* no other rows are wanted; NULL: any */
	bool		exhaustive;		/* visit all lists; else: */
	double		budget;			/* live rows to see; 0: as the recall curve has it */
	double		total;			/* for rows to find, those of earlier rounds too */
	double		rows;			/* in the index, about */
	const double *last;			/* score of the last row wanted, NULL: not known yet */
	int64		probes;			/* lists to visit, 0: as recall asks */
	int64		max_rows;		/* seen by the scan, after which it ends; 0: none */
	bool		proven;			/* proven bounds (else statistical) */

	/* true for rows that are not to come again; NULL: none */
	bool		(*skip) (void *arg, uint64 tid);

	/*
	 * All three are called with no lock held.  check, where it is not NULL, says
	 * whether a row is visible and passes the conditions that the index does not
	 * know.  sharpen finds the exact scores of the most promising candidates that
	 * have none yet, `wanted` of them, so that the threshold comes close to the
	 * final one early.  tighten is for when candidates do not fit any more: it
	 * must bring candidates->count to at most half of the capacity.
	 */
	bool		(*check) (void *arg, uint64 tid);
	void		(*sharpen) (void *arg, VkCandidates *candidates);
	void		(*tighten) (void *arg, VkCandidates *candidates);
	void	   *arg;
	int64		max_candidates; /* entries that memory allows */
} VkRound;

/* does it leave out rows before they are scored? */
static inline bool
vk_round_selects(const VkRound *round)
{
	return round->filter != NULL || round->mask != NULL;
}

/* rows met, and those that passed: how selective conditions are */
typedef struct VkTally
{
	double		seen;			/* live rows of the lists visited */
	double		matched;		/* of them by filter and mask */
	double		checked;
	double		passed;			/* of them by VkRound.check */
	int64		summaries;		/* looked at */
	int64		excluded;		/* lists that they told not to visit */
} VkTally;

/*
 * Visit lists until the round's work is done.  The candidates are all rows
 * seen whose lower bound is not above the threshold; *exhaustive tells whether
 * every list was visited.
 */
extern VkCandidates *vk_search_collect(VkSearch *search, const VkRound *round,
									   bool *exhaustive);

/*
 * The same page by page, for rounds that want all rows: begin, then step until
 * it returns false.  Each step leaves the candidates of as many pages as have `least`
 * (> 0), or of the last; the caller takes them before the next.
 */
extern void vk_search_begin(VkSearch *search, const VkRound *round);
extern bool vk_search_step(VkSearch *search, int64 least, VkCandidates **candidates);

/* After the last step: an error if the centre list lacked some list. */
extern void vk_search_check_complete(const VkSearch *search);

/* has vkindex.max_scan_rows ended the last round? */
extern bool vk_search_cut(const VkSearch *search);

/* the MVCC snapshot that reads are for (old-snapshot tests); NULL: none */
extern void vk_search_snapshot(VkSearch *search, Snapshot snapshot);

/* a query without a vector: rows are not scored */
extern void vk_search_reset_unscored(VkSearch *search, const VkMeta *meta,
									 VkScanStats *stats);

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
typedef void (*VkByteScan) (const uint8_t *query, int first_line,
							const uint8_t *code, int lines, VkDots *dots);
typedef uint32_t (*VkListBound) (const VkBoundQuery *, const VkListAnnotation *,
								 float, const VkDots *, float, VkScores *);

/* where the refine code of lane 0 of a block starts: page.h */
typedef struct VkRefineStart
{
	BlockNumber page;
	uint32		position;
	uint64		bytes;
} VkRefineStart;

/* A block whose code runs on to the next page */
typedef struct VkCarry
{
	bool		open;			/* lines are still to come */
	uint32		lanes;			/* that match; 0: nothing below is set */
	int			done;			/* code lines seen */
	VkBlockTop	top;
	char		annotation[2 * VK_LINE_SIZE];
	VkDots		dots;
	VkRefineStart refine;
} VkCarry;

/*
 * Ask for lines of the page after this one while this one is read: pages lie
 * anywhere in the buffer pool, and the hardware's own prefetchers stop at every
 * jump.  Into the second-level cache, which can wait for more lines at once
 * than the first can (Zen 4, 8 kB pages in random order: 28 GB/s so, 13 into
 * the first level, 12 without).  Always inline: gcc 12 takes a function that
 * only prefetches for one without effect, and drops the calls.
 */
static pg_attribute_always_inline void
vk_prefetch_lines(const char *ahead, int line, int lines)
{
	const char *at;

	if (ahead == NULL)
		return;
	at = ahead + line * VK_LINE_SIZE;
	for (; lines >= 4; lines -= 4, at += 4 * VK_LINE_SIZE)
	{
		__builtin_prefetch(at, 0, 2);
		__builtin_prefetch(at + VK_LINE_SIZE, 0, 2);
		__builtin_prefetch(at + 2 * VK_LINE_SIZE, 0, 2);
		__builtin_prefetch(at + 3 * VK_LINE_SIZE, 0, 2);
	}
	for (; lines > 0; lines--, at += VK_LINE_SIZE)
		__builtin_prefetch(at, 0, 2);
}

/* pages behind a page that are asked for at once */
#define VK_STREAMS			8

/* One chain being scanned */
typedef struct VkListScan VkListScan;
struct VkListScan
{
	/* the same for all lists of a search */
	Relation	index;
	const VkIndex *vk;
	Snapshot	snapshot;		/* for old-snapshot tests; NULL: none */
	VkScanStats *stats;
	VkTally    *tally;
	MemoryContext context;		/* candidates grow in it */
	uint8	   *refine;			/* room for one refine code */
	VkScores	scores;			/* of the block at hand */

	/* this list */
	const VkCoder *coder;
	const VkQueryCode *code;	/* NULL: rows are not scored */
	bool		unbounded;		/* because their codes are about another mean */
	bool		prepared;		/* code is against this list's centre */
	void		(*prepare) (VkListScan *scan);	/* makes it so */
	void	   *arg;			/* prepare's */
	VkCandidates *out;
	VkListBound list_bound;		/* NULL: flat annotation */
	VkFlatBound flat_bound;		/* for it */
	VkByteScan	byte_scan;		/* of L1 and bits; else NULL */
	const VkBitScore *bit_score;	/* of bits; else NULL */
	const VkRound *round;		/* its callbacks; NULL: none */
	const VkFilter *filter;		/* NULL: none */
	const VkRowMask *mask;		/* NULL: none */
	bool		sparse;			/* it lets few rows through */
	uint32		visit;			/* goes into VkCandidate.slot */
	uint32		slot;
	uint64		born;
	BlockNumber after;			/* read after this list, if it is known */
	bool		proven;			/* for refine bounds */
	int64		live;			/* live lanes seen */
	int64		matched;		/* of them by filter and mask */
	int			run;			/* pages read that follow one another */
	const char *last;			/* the last of them */
	const char *ahead[VK_STREAMS];	/* the next of them, as far as one knows */

	/* the next page */
	BlockNumber block;
	BlockNumber extent_end;		/* behind the pages that follow one another */
	uint32		position;
	VkCarry		carry;
};

extern void vk_candidates_reserve(MemoryContext context, VkCandidates *candidates,
								  int64 capacity);
/*
 * Sort candidates by their lower bounds, ties by TID: an array; or as far as is
 * needed: *sorted of them are in order, sort the next part, at least as many again.
 * False where all are sorted.
 */
extern void vk_candidates_order(VkCandidate *entries, size_t count);
extern bool vk_candidates_sort(VkCandidates *candidates, int64 *sorted);
/*
 * Score every live row of one chain of blocks into scan->out: begin, then step
 * page by page until it returns false.
 */
extern void vk_list_begin(VkListScan *scan, const VkSlot *slot);
extern bool vk_list_step(VkListScan *scan);
/* ask the CPU for the first pages of a list, and an entry's refine code: both are
 * read soon */
extern void vk_list_prefetch(Relation index, const VkSlot *slot);
extern void vk_refine_prefetch(Relation index, BlockNumber page, uint32 bytes, int size);
/* the same of an entry's */
static inline void
vk_refine_prefetch_entry(Relation index, const VkCandidate *entry, int size)
{
	vk_refine_prefetch(index, (BlockNumber) (entry->location >> 32),
					   (uint32) entry->location, size);
}
/*
 * At the end of a list: tighten the threshold where enough candidates are new,
 * and refine and check those that the list has left, in batches, the bounds of
 * one batch tightening the threshold for the next.
 */
extern void vk_list_settle(VkListScan *scan);

/* ---- rest.c ---- */

typedef struct VkRestWalk
{
	Relation	index;
	Snapshot	snapshot;		/* raises an error where too old for a page */
	uint32		number;			/* slot: VK_SLOT_REST_... */
	uint64		born;
	BlockNumber block;			/* the next page */
	uint32		position;
	int			count;			/* TIDs of the page at hand */
	uint64		tids[VK_REST_ENTRIES];
} VkRestWalk;

/* the TIDs of a rest list: begin, then step page by page until it returns false */
extern void vk_rest_begin(VkRestWalk *walk, Relation index, const VkMeta *meta,
						  Snapshot snapshot, uint32 number);
extern bool vk_rest_step(VkRestWalk *walk);

/* ---- parallel.c: what one process reads of a scan that several share ---- */

typedef struct VkShare VkShare;

/* join the scan, with a meta page just read; NULL where this process is alone */
extern VkShare *vk_share_join(IndexScanDesc scan, VkMeta *meta,
							  MemoryContext context);
/* its slots below the end, from the first, until it returns false */
extern void vk_share_begin(VkShare *share);
extern bool vk_share_next(VkShare *share, uint32 end, uint32 *slot);
/* do the rest lists fall to this process? */
extern bool vk_share_take_rest(VkShare *share);

/* the search visits this share of the segments from now on; NULL: all */
extern void vk_search_share(VkSearch *search, VkShare *share);
/* live rows of the lists that the last round visited or could leave out */
extern double vk_search_rows(const VkSearch *search);

/* ---- search.c, rank.c: what they share ---- */

/* One list of the ranking */
typedef struct VkRankedList
{
	const VkCandidate *entry;	/* NULL: there is none */
	uint32		number;
	VkSlot		slot;
} VkRankedList;

/* a list of entries of the centre list */
typedef struct VkCenterChain
{
	uint32		slot;
	uint64		born;
} VkCenterChain;

/* what had been done when a list was begun */
typedef struct VkVisit
{
	double		rows;
	double		seen;			/* of VkTally */
	double		matched;
	double		found;			/* candidates, those taken included */
	int64		probed;			/* this list included */
	float		center;			/* its centre's score; infinite if it has none */
	uint32		number;			/* its slot */
} VkVisit;

struct VkSearch
{
	Relation	index;
	const VkIndex *vk;
	const VkMeta *meta;
	VkScanStats *stats;
	Snapshot	snapshot;
	VkShare    *share;			/* NULL: all segments */
	MemoryContext context;
	VkCoder		center_coder;	/* rank centroids for queries */
	bool		rank_refined;	/* by their 8-bit codes */
	VkCoder		nearest_coder;	/* rank centroids for rows: Euclidean, or L1 */
	void	   *scratch;
	uint8	   *refine;			/* one refine code */
	VkDirectory directory;		/* where slots are */

	/* the query */
	bool		scored;			/* there is a vector */
	VkQuery		query;
	float	   *normalized;		/* cosine */
	VkQueryCode code;			/* against the list at hand */
	bool		code_current;	/* code.code is that of this query */
	bool		code_of_mean;	/* and against the mean */
	bool		code_moved;		/* but its bounds are against the list's centre */
	VkMeanCode	mean;			/* of center_code; code: NULL, not made yet */
	VkQueryCode center_code;	/* against the mean, for the centre list, */
	bool		center_coded;	/* if it is that of this query */
	VkTally		tally;

	/* centroids, nearest first; tid >> 16 is the slot */
	VkCenterChain *chains;		/* that entries lie in, by VkCandidate.slot */
	int64		chain_count;
	int64		chain_capacity;
	int64		centers;		/* entries of the centre list when last ranked */
	VkCandidates ranked;
	int64		ranked_next;
	int64		ranked_sorted;	/* entries in order; the others come after them */
	int64		ranked_wanted;
	uint8	   *given;			/* a bit a slot: earlier rankings of the round gave
								 * its entry */
	Size		given_size;
	bool		ranked_again;	/* else there was none, and given is garbage */

	/* groups of centroids, in the same way */
	VkCandidates groups;
	int64		groups_next;
	int64		groups_sorted;

	/* the round */
	const VkRound *round;
	uint32		next_slot;		/* of segments, or of all lists */
	uint32		slots_first;	/* of the directory page at hand */
	VkSlot		slots[VK_PAGE_LINES];	/* on it */
	int64		probed;			/* lists visited by rank */
	VkRankedList ahead;			/* the next by rank, if it is known */
	double		work;			/* rows to see */
	double		rows;			/* of the lists ranked and begun so far, see
								 * vk_work_list */
	double		seen_before;	/* tally.seen when the round began */
	double		rows_estimated; /* as of the last estimate of the work */
	double		taken;			/* candidates that the caller has taken */
	bool		cut;			/* by vkindex.max_scan_rows */
	bool		ran_out;		/* of entries of the centre list, before the work was done */
	bool		over;			/* the last page has been seen */
	VkCandidates candidates;
	VkVisit    *visits;			/* one a list begun */
	int64		visit_count;
	int64		visit_capacity;

	/* the list at hand */
	bool		open;
	VkSlot		begun;			/* its slot */
	VkListScan	list;
	VkCenter	center;
	bool		centered;		/* else its centre is the mean */
	int8_t	   *center_values;	/* decoded code */
};

/*
 * The lists with a centroid that a round without conditions is going to visit,
 * nearest first: nothing of them is read.  entry is that of the centroid in the
 * chain; both are valid for the call.
 */
typedef void (*VkPlannedList) (void *arg, uint32 number, const VkSlot *slot,
							   const VkCandidate *entry,
							   const VkCenterChain *chain);
extern void vk_search_plan(VkSearch *search, const VkRound *round,
						   VkPlannedList planned, void *arg);
/* how many centroids it will rank for that */
extern int64 vk_search_expected(VkSearch *search, const VkRound *round);

/* memory for a query's code, 64-byte aligned, from the current context */
extern void vk_query_code_create(const VkCoder *coder, VkQueryCode *code);
extern VkListScan vk_search_list_scan(VkSearch *search, const VkCoder *coder,
									  bool proven);
/*
 * Begin a list of the round that has begun; vk_list_step(&search->list) reads it.
 * entry is its centroid, NULL for a segment or where rows are not scored; block
 * after will be read next, as far as is known.  Returns false where there is
 * nothing to read.
 */
extern bool vk_search_open_list(VkSearch *search, uint32 number,
								const VkSlot *slot, const VkCandidate *entry,
								BlockNumber after);

/* work.c: candidates found so far, those that the caller has taken included */
extern double vk_work_found(const VkSearch *search);
/* what a list with that many live rows counts for */
extern double vk_work_list(const VkSearch *search, const VkSlot *slot, double live);
/* the first list begun when that much work had been done, or as that list by rank */
extern int64 vk_work_visit_after(const VkSearch *search, double rows, double probed);
/* rows that the recall curve is about */
extern double vk_work_total(const VkSearch *search);
/* does the round ask for rows that meet conditions, or lie within a radius? */
extern bool vk_work_conditional(const VkRound *round);
extern double vk_work_wanted(VkSearch *search);
extern bool vk_work_left(VkSearch *search);
/* into the statistics */
extern void vk_work_note(VkSearch *search);

/*
 * reach.c: under conditions, do the lists visited hold enough of the answer?  Known:
 * can that be told?
 */
extern bool vk_reach_known(const VkSearch *search);
extern bool vk_reach_settled(VkSearch *search);

/*
 * The same without conditions: is the last list visited as far out as for queries like
 * the rows?  Usual: where its centre has that score, and the k-th neighbour that one.
 */
extern bool vk_reach_enough(const VkSearch *search);
/* the score of the centre of the last list visited; infinite: it has none */
extern double vk_reach_last_center(const VkSearch *search);
extern bool vk_reach_usual(const VkSearch *search, const VkQuery *query, double k,
						   double center, double limit);

/*
 * The score of the centre of the last list begun before that much work; infinite: not
 * so much is done, or it has none.
 */
extern double vk_reach_center(const VkSearch *search, double rows);
/*
 * Standard deviations from the mean row of a list with that centre to a score, for a
 * query of that squared norm; NaN where the centre is infinite.
 */
extern double vk_reach_deviations(const VkSearch *search, double norm2, double center,
								  double limit);

/* lists that may be wanted before ranking looks at more groups than at least */
#define VK_FEW_RANKED	64

/*
 * rank.c: the wanted nearest centroids; refined: by their 8-bit codes.  Those of
 * lists that are not visible are among them.
 */
extern void vk_rank_centers(VkSearch *search, const VkCoder *coder, int64 wanted,
							bool refined);
/*
 * Take a ranking of the entries in the chain of that slot that was made otherwise:
 * the wanted nearest of so many.  The caller adds them, `room` at most, in any order.
 */
extern VkCandidates *vk_rank_take(VkSearch *search, const VkSlot *chain, int64 wanted,
								  int64 centers, int64 room);
/* the slot of a list of entries */
extern void vk_rank_slot(VkSearch *search, uint32 number, VkSlot *slot);
/* begin with the nearest again */
extern void vk_rank_restart(VkSearch *search);
/* the list that vk_rank_next will return, NULL if it must rank again */
extern const VkCandidate *vk_rank_peek(VkSearch *search);
extern const VkCandidate *vk_rank_next(VkSearch *search, const VkCoder *coder,
									   bool refined);
/* decode the centre that a ranked entry stands for */
extern VkCenter vk_rank_center(VkSearch *search, const VkCandidate *entry);

#endif							/* VK_SEARCH_H */
