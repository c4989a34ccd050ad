/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  What the files of an index scan share.
 *
 * IDENTIFICATION
 *	  src/am/scan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_SCAN_H
#define VK_SCAN_H

#include "am/heap_reader.h"
#include "am/search.h"

#include "executor/tuptable.h"
#include "lib/binaryheap.h"
#include "utils/tuplesort.h"

/* ---- scan_keys.c: what is asked for ---- */

typedef struct VkScanKeys
{
	bool		never;			/* no row can match */
	bool		recheck;		/* the executor must check every row again */
	bool		recheck_sphere; /* because of a sphere */
	bool		ordered;		/* there is an ORDER BY */
	bool		null_rows;		/* rows whose vector is NULL may match */
	bool		other_rows;		/* and others */
	const float *vector;		/* of the ORDER BY or the sphere, or NULL */
	int			vectors;		/* one, or those of an array, one after the other */
	Datum		query;			/* the same as the operator takes it, detoasted */

	/* a sphere about the vector */
	bool		ranged;
	bool		inclusive;		/* distance <= radius, not < */
	bool		exact;			/* no row may be missed */
	double		radius;

	VkFilter   *filter;			/* on attribute columns; NULL: none */
} VkScanKeys;

extern void vk_scan_keys_read(IndexScanDesc scan, VkScanKeys *keys);

static inline bool
vk_within_radius(const VkScanKeys *keys, double distance)
{
	return keys->inclusive ? distance <= keys->radius : distance < keys->radius;
}

/* ---- the state of a scan ---- */

/* An entry of the heap: a row with its exact score */
typedef struct VkEntry
{
	double		score;
	uint64		tid;
	bool		checked;		/* it is there, and passes the plan's conditions */
} VkEntry;

typedef enum VkPhase
{
	VK_PHASE_START,				/* nothing read yet */
	VK_PHASE_ROUND,				/* ordered: emitting from the heap */
	VK_PHASE_SORTED,			/* ordered: what is left, from the tuplesort */
	VK_PHASE_STREAM,			/* not ordered: page by page, then the rest lists */
	VK_PHASE_ANSWER,			/* not ordered: what somebody has found before */
	VK_PHASE_DONE
} VkPhase;

struct tidset_hash;

typedef struct VkScan
{
	/* Unchanging state */
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one rescan */
	MemoryContext index_context;	/* of vk and search */
	VkIndex    *vk;
	const VkSupport *support;
	VkSearch   *search;
	VkHeapReader *reader;

	/* Mutable state: one query */
	VkPhase		phase;
	VkMeta		meta;
	VkScanKeys	keys;
	const VkScanHint *hint;
	bool		filtered;		/* the plan's conditions are evaluated by the scan */
	bool		unordered;		/* distances are all NaN or NULL */
	bool		strict;			/* proven bounds over all lists */
	bool		answered;		/* rows so far are an answer; the search has no query */
	VkAnswer	answer;
	VkShare    *share;			/* of a parallel scan; NULL: all is ours */
	double		total;			/* rows in the index or the share of it, about */
	bool		scored;			/* bounds tell which rows lie in the radius */
	bool		cut;			/* the user has been told of vkindex.max_scan_rows */
	VkScanStats stats;

	/* rounds */
	int64		wanted;			/* new rows this round is for */
	int64		round_emitted;	/* rows emitted in it, not yet in emitted_set */
	bool		exhaustive;		/* this round saw every list */
	double		watermark;		/* smallest lower bound dropped */
	bool		left_out;		/* rows were, with bounds that nobody knows */
	int64		fetched;		/* rows of this round, from the table */
	int64		gone;			/* of them, those that the snapshot does not see */
	bool		gone_near;		/* many are: rounds ask for each row whether it is */
	VkCandidates *candidates;	/* by their lower bounds; NULL: rows alone */
	int64		sorted;			/* so many of them are */
	int64		taken;			/* so many have become rows */
	VkEntry    *entries;		/* rows, in no order */
	int64		entry_count;
	int64		entry_capacity;
	binaryheap *heap;			/* of them, those that are left */
	VkEntry   **settled;		/* below target 1: rows of the round, in order */
	int64		settled_count;
	int64		settled_next;	/* of them */
	int64		step;			/* so many are found together */
	double		last;			/* score of the last row emitted */
	int			window;			/* rows whose pages are asked for before they are
								 * fetched, at most */
	int			ahead;			/* those that are */
	int64		asked;			/* candidates before it are, or need not be */
	uint64	   *emitted;		/* TIDs in the order of emission */
	int64		emitted_count;
	int64		emitted_capacity;
	struct tidset_hash *emitted_set;	/* from the second round on */

	/* the tuplesort */
	Tuplesortstate *sort;
	TupleTableSlot *sort_slot;

	/* the stream */
	VkRound		round;
	int			ask;			/* so many rows are asked for together; 0: none are */
	VkCandidates *page;			/* candidates of the pages at hand, NULL: none */
	int64		next;			/* of these */
	VkRestWalk *rest;			/* NULL: still in the lists */
} VkScan;

/* the operator's distance of a row; false: it is not visible, does not pass the
 * plan's conditions (checked: it does) or lies outside the radius */
extern bool vk_scan_distance(IndexScanDesc scan, uint64 tid, bool checked,
							 double *distance);
/* tell the user, once a scan, that vkindex.max_scan_rows has ended a search */
extern void vk_scan_note_cut(IndexScanDesc scan);
extern void vk_scan_begin_search(VkScan *so);
/*
 * For scans that fetch every row they find: begin asking for their pages, and ask
 * for some of the candidates, from the one at hand on, unless that was done.
 */
extern void vk_scan_ask_begin(VkScan *so);
extern void vk_scan_ask(VkScan *so, const VkCandidates *page, int64 next);
/* rows on a rest list: may they match? */
extern bool vk_scan_wants_rest(const VkScan *so, uint32 number);
/* what rounds of every kind have in common */
extern void vk_scan_init_round(IndexScanDesc scan, VkRound *round);

/* each of these returns the next row, or false where there is none */

/* ---- round.c ---- */
extern void vk_round_start(IndexScanDesc scan, int64 wanted);
/* what rounds for so many more rows have in common; each adds what it collects */
extern void vk_round_init(IndexScanDesc scan, int64 wanted, VkRound *round);
extern void vk_round_answer(VkScan *so, const VkNeighbor *rows, int64 wanted);
extern bool vk_round_next(IndexScanDesc scan, uint64 *tid, bool *recheck);
/* once a round has no more rows: another round, or all the rest, or the end */
extern void vk_round_go_on(IndexScanDesc scan);
extern void vk_round_note_emitted(VkScan *so);
extern bool vk_round_was_emitted(const VkScan *so, uint64 tid);
/* is it too late for a row of this score, since the order is relied on? */
extern bool vk_round_is_late(const VkScan *so, double score);
/* would a round for this many rows leave the memory that it may have? */
extern bool vk_round_too_large(const VkScan *so, int64 wanted);

/* a round of these rows, of which those beyond the watermark must wait for a later
 * one; infinity: there are no others in the lists */
extern void vk_round_load(VkScan *so, const VkNeighbor *rows, int64 count,
						  double watermark, int64 wanted);

/* ---- documents.c: a round over arrays of vectors; false: all that is left is to
 * be sorted ---- */
extern bool vk_documents_round(IndexScanDesc scan, int64 wanted);

/* ---- sorted.c: all rows not emitted yet; listed: those of the lists too ---- */
extern void vk_sorted_start(IndexScanDesc scan, bool listed);
extern bool vk_sorted_next(VkScan *so, uint64 *tid, bool *recheck);

/* ---- stream.c ---- */
extern void vk_stream_start(IndexScanDesc scan);
extern bool vk_stream_next(IndexScanDesc scan, uint64 *tid, bool *recheck);
extern int64 vk_stream_bitmap(IndexScanDesc scan, TIDBitmap *bitmap);
extern void vk_stream_answer(VkScan *so);
extern bool vk_stream_answer_next(VkScan *so, uint64 *tid, bool *recheck);

#endif							/* VK_SCAN_H */
