/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  What the files of batches share.
 *
 * IDENTIFICATION
 *	  src/batch/batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_BATCH_H
#define VK_BATCH_H

#include "am/block_reader.h"
#include "am/heap_reader.h"

#include "funcapi.h"
#include "storage/dsm.h"
#include "storage/shm_toc.h"
#include "utils/array.h"
#include "utils/sharedtuplestore.h"
#include "utils/tuplestore.h"

/* ---- target.c: an index, its table, and what the user may ask of them ---- */

typedef struct VkBatchTarget
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;		/* of the statement */
	const VkSupport *support;
	VkIndex    *vk;
	VkMeta		meta;
	VkHeapReader *reader;
	FmgrInfo	operator;		/* distance of two vectors */
	double		rows;			/* in the index, about */
	double		asked;			/* queries of the whole call; 0: each batch is one */
	VkSearch   *search;			/* for what a query looks like, and its lists */
	VkScanStats stats;			/* becomes vk_last_scan's */
	bool		indexed_tids;	/* rows by the TIDs that the index has */
} VkBatchTarget;

/*
 * Open an index and its table for reading, in the current memory context; an
 * error where the index cannot be used now, or not by this user.  whole_rows:
 * all columns of the table are shown.
 */
extern VkBatchTarget *vk_batch_open(Oid index, bool whole_rows);
/* the same where that has been checked: for another process of this session */
extern VkBatchTarget *vk_batch_open_checked(Oid index);
/* or for a plan, whose index scans are to return the rows */
extern VkBatchTarget *vk_batch_open_planned(Oid index);
/* the TID by which a row is told: the index's, or that of the visible version */
static inline uint64
vk_batch_tid(const VkBatchTarget *target, uint64 indexed, const ItemPointerData *visible)
{
	return target->indexed_tids ? indexed : vk_tid_encode(visible);
}

/* the locks are kept to the end of the transaction, as a query keeps them */
extern void vk_batch_close(VkBatchTarget *target);
/* what a part of the work did, into the whole's statistics */
extern void vk_batch_add_statistics(VkScanStats *total, const VkScanStats *part);
/* do proven bounds over all lists answer, under the settings in force? */
extern bool vk_batch_strict(const VkBatchTarget *target);
/* target_recall for the rest of the function: a nest level for AtEOXact_GUC */
extern int	vk_batch_set_recall(FunctionCallInfo fcinfo, int argument);
/* the same for functions that must miss nothing */
extern int	vk_batch_set_exhaustive(void);

/* ---- nearest.c: the rows that may be nearest to one query ---- */

/* a row with bounds of its score */
typedef struct VkBatchCandidate
{
	float		lower;
	float		upper;
	uint64		tid;
} VkBatchCandidate;

typedef struct VkBatchQuery
{
	int			number;			/* in the caller's array, from 1 */
	Datum		value;			/* detoasted */
	uint64		self;			/* the row that it is the vector of, as the index
								 * has it; 0: none */
	uint64		self_place;		/* its version that the snapshot sees */
	bool		single;			/* no bound holds: it is answered one by one */
	bool		exhaustive;		/* every list was visited */
	double		center;			/* score of the last one's centre; infinite: none has one */
	double		last;			/* score of the last row wanted, if the lists visited for
								 * it were too few; else infinite */
	VkQuery		query;			/* as codes are compared with it */
	VkMeanCode	mean;			/* code: NULL, not made yet */
	int64		wanted;			/* rows */
	double		budget;			/* live rows to see; 0: as the recall curve has it */
	double		radius;			/* see own_radii */
	float		threshold;		/* scores above it do not matter */
	float		dropped;		/* smallest lower bound of what was dropped */
	VkBatchCandidate *open;		/* distances not known yet */
	int64		open_count;
	int64		open_capacity;
	VkNeighbor *rows;			/* the nearest that are known, a heap: the farthest
								 * first */
	int64		row_count;
	int64		row_capacity;
} VkBatchQuery;

typedef struct VkBatch VkBatch;

/* a row within the radius of a query */
typedef void (*VkBatchFound) (void *arg, const VkBatchQuery *query, uint64 tid,
							  double distance);

/*
 * A row of the list in a slot may be within the threshold, and this is what its code
 * tells of its score.  True: that is enough, its distance is not wanted.
 */
typedef bool (*VkBatchSettle) (void *arg, VkBatchQuery *query, uint32 slot, uint64 tid,
							   float lower, float upper);

/* the lists that a query visits are search->visits */
typedef void (*VkBatchPlanned) (void *arg, const VkBatchQuery *query,
								const VkSearch *search);

/* queries that are answered together */
struct VkBatch
{
	VkBatchTarget *target;
	MemoryContext context;		/* emptied between two batches */
	VkBatchQuery *queries;
	int			count;
	bool		strict;
	VkBatchFound found;			/* wanted are rows within a radius; NULL: the
								 * nearest */
	VkBatchSettle settle;		/* NULL: distances are always wanted */
	VkBatchPlanned planned;		/* NULL: nobody asks */
	void	   *arg;			/* for all three */
	Size		blocks_size;	/* of vk_blocks_create */
	double		radius;
	bool		once;			/* of rows as queries, each pair once */
	uint64		after;			/* rows at or before this one are not wanted; 0: all are */
	bool		own_radii;		/* each query has its radius */
	int64		rows_before;	/* that the call had scored when the batch began */
	int64		sharpen_at;		/* rows scored since when distances are looked at again */
	int64		memory;			/* bytes that candidates take */
	int64		memory_limit;
	float	   *scratch;		/* to select from */
	int64		scratch_capacity;
};

static inline double
vk_batch_radius(const VkBatch *batch, const VkBatchQuery *query)
{
	return batch->own_radii ? query->radius : batch->radius;
}

extern void vk_nearest_begin(VkBatch *batch, VkBatchQuery *query, int64 wanted);
/* make room for the rows of one more block */
extern void vk_nearest_make_room(VkBatch *batch, VkBatchQuery *query);
/* renew the threshold, and drop what lies beyond it */
extern void vk_nearest_prune(VkBatch *batch, VkBatchQuery *query);
/* a row whose distance is known */
extern void vk_nearest_add(VkBatch *batch, VkBatchQuery *query, double distance,
						   uint64 tid);
/* the rows in order, nearest first, in place */
extern void vk_nearest_sort(VkBatchQuery *query);
/* as many as are wanted of them and of others in order, each row once */
extern void vk_nearest_merge(VkBatch *batch, VkBatchQuery *query, const VkNeighbor *known,
							 int64 count);

static inline void
vk_nearest_candidate(VkBatchQuery *query, float lower, float upper, uint64 tid)
{
	VkBatchCandidate *entry = &query->open[query->open_count++];

	Assert(query->open_count <= query->open_capacity);
	entry->lower = lower;
	entry->upper = upper;
	entry->tid = tid;
}

/* ---- resolve.c: exact distances ---- */

/* a row that a query wants the distance of */
typedef struct VkBatchPair
{
	uint64		tid;
	float		lower;
	int32		query;
} VkBatchPair;

/* Find the distances of candidates: none is open afterwards. */
extern void vk_batch_resolve(VkBatch *batch);
/*
 * Only those of the most promising, so that thresholds come close to the final
 * ones early: bounds exclude far more rows by a distance than by another bound.
 */
extern void vk_batch_sharpen(VkBatch *batch);

/* ---- single.c ---- */

/* answer a query by an index scan: the nearest rows, or those within the radius */
extern void vk_batch_answer_one(VkBatch *batch, VkBatchQuery *query);

/* ---- group.c and score.c: blocks of codes against queries ---- */

#define VK_GROUP_QUERIES	64

/* queries that share a tile, coded against one centre */
typedef struct VkBatchGroup
{
	int			count;
	bool		tiled;
	uint64		after;			/* rows at or before this one none of them wants; 0: all
								 * are wanted */
	VkBatchQuery *queries[VK_GROUP_QUERIES];
	VkBoundQuery bounds[VK_GROUP_QUERIES];
	float		center_shares[VK_GROUP_QUERIES];	/* how much of the dots with the centre
													 * theirs are to lose; 0: nothing */
	/* tiled: */
	VkScreenQuery screens[VK_GROUP_QUERIES];
	float		thresholds[VK_GROUP_QUERIES];	/* that they are for */
	void	   *packed;
	const VkKernels *kernels;	/* that packed, and so must read */

	VkQueryCode *codes;			/* not tiled, or where rows have refine codes */
	void	   *packed_scan[VK_GROUP_QUERIES];	/* room of codes for it */
} VkBatchGroup;

typedef struct VkBatchScorer VkBatchScorer;

/*
 * For blocks of the target's layout; what is scored of them is the coder's to say.
 * epsilon: standard deviations that bounds are wide where they need not be proven.
 */
extern VkBatchScorer *vk_scorer_create(VkBatch *batch, const VkCoder *coder, float epsilon);
/* are there tiles of such codes? */
extern bool vk_has_tiles(const VkCoder *coder);
/* bytes of memory that each query of a group takes, about */
extern Size vk_scorer_query_size(const VkCoder *coder);
/* for groups of up to so many queries */
extern VkBatchGroup *vk_group_create(const VkBatchScorer *scorer, int most);
/* code queries against a centre */
extern void vk_group_set(VkBatchScorer *scorer, VkBatchGroup *group,
						 VkBatchQuery **queries, int count, const VkCenter *center);
/* the blocks that are scored next, to be filled by the caller, of this list; before
 * queries are coded against its centre */
extern VkBlocks *vk_scorer_blocks(VkBatchScorer *scorer, uint32 number,
								  const VkSlot *slot);
/* decode them once for all groups, which have so many queries together */
extern void vk_scorer_begin(VkBatchScorer *scorer, int queries);
/* score them: what may be among the nearest becomes candidates */
extern void vk_scorer_score(VkBatchScorer *scorer, VkBatchGroup *group);
/* how blocks are scored, for vk_last_scan */
extern void vk_scorer_path(const VkBatchScorer *scorer, int queries, char *path);

/* ---- collect.c ---- */

/*
 * What is done with each visible list that has rows, by its slot; a walk ends
 * where it returns false, and returns the same.
 */
typedef bool (*VkSlotAction) (void *arg, uint32 number, const VkSlot *slot);

extern bool vk_batch_walk(VkBatchTarget *target, VkSlotAction action, void *arg);

/* do codes tell anything?  Else every query must be answered one by one. */
extern bool vk_batch_collectable(VkBatchTarget *target);
/* Candidates of all queries.  False, with nothing collected, where codes do not. */
extern bool vk_batch_collect(VkBatch *batch);
/* the same, but for rows that codes tell nothing of */
extern void vk_batch_collect_coded(VkBatch *batch);

/* ---- plan.c: plan.h has the rest ---- */

/* visits that are planned of a query for k rows, about; k of 0: within a radius */
extern double vk_batch_visits(const VkBatchTarget *target, int64 k);
/* bytes that it takes to plan which lists a query visits, about */
extern double vk_batch_plan_size(const VkBatchTarget *target, int64 k);

/* ---- search.c ---- */

/* the k nearest rows of each query of a batch, sorted: query->rows */
extern void vk_batch_nearest(VkBatch *batch, int64 k);
/* the rows within a radius of each, all of them, in no order: found */
extern void vk_batch_within(VkBatch *batch, double radius, VkBatchFound found,
							void *arg);
/* only prepare for that: what vk_batch_collect makes candidates is left to do */
extern void vk_batch_within_begin(VkBatch *batch, double radius, VkBatchFound found,
								  void *arg);

/* ---- run.c: any number of queries, in batches ---- */

/* how many queries are answered together; k = 0: rows within a radius.  Each may
 * take some more memory of the caller's. */
extern int	vk_batch_capacity(const VkBatchTarget *target, int64 k, Size more);
/* a batch of queries with their numbers, values and, if they are rows, selves */
extern void vk_batch_begin(VkBatch *batch, VkBatchTarget *target,
						   VkBatchQuery *queries, int count);
/* the same, before they have vectors; and a query's vector */
extern void vk_batch_prepare(VkBatch *batch, VkBatchTarget *target,
						  VkBatchQuery *queries, int count);
extern void vk_batch_set_query(VkBatchTarget *target, VkBatchQuery *query,
							   const float *vector);

/* what is done with a batch that has begun */
typedef void (*VkBatchAnswer) (void *arg, VkBatch *batch);

/*
 * Answer queries: detoasted vectors of the index's type and dimension, number 1
 * being the first; those that are null have no answer.
 */
extern void vk_batch_run(VkBatchTarget *target, const Datum *values,
						 const bool *nulls, int count, int64 k,
						 VkBatchAnswer answer, void *arg);

/* ---- request.c: what a function is asked, from its call to its rows ---- */

/* SQL functions, by their place in the table of request.c */
typedef enum VkBatchFunctionNumber
{
	VK_KNN_BATCH,
	VK_KNN_BATCH_ROWS,
	VK_RANGE_BATCH,
	VK_KNN_GRAPH,
	VK_SIMILARITY_GRAPH,
	VK_SIMILARITY_DEGREE,
	VK_BATCH_FUNCTIONS
} VkBatchFunctionNumber;

/* what it is asked; copied byte by byte to the processes that take part */
typedef struct VkBatchRequest
{
	VkBatchFunctionNumber function;
	Oid			index;
	Oid			row_type;		/* of the rows shown; InvalidOid: only their TIDs are */
	int64		k;				/* 0: all within the radius */
	double		radius;
	double		tolerance;		/* distances may be off by this share of the radius */
	bool		both_ways;
	BlockNumber pages;			/* of the table, as the first process finds it: all that
								 * the snapshot sees lies there; graphs only */
} VkBatchRequest;

/* one process's part of it */
typedef struct VkBatchWork
{
	VkBatchRequest request;
	ArrayType  *queries;		/* as given; NULL: the rows of the index are */
	VkBatchTarget *target;
	MemoryContext context;		/* for as long as the function runs */

	/* set when the routine begins */
	int64		units;			/* pieces that the work can be divided into */
	double		query_count;	/* of all of them, about */
	double		capacity;		/* queries that are answered together at most */
	double		enough;			/* that a chunk is to have, if more than usual */
	int64		sum_count;		/* numbers that all processes add up; 0: none */
	pg_atomic_uint64 *sums;		/* these numbers */

	/* where rows go */
	TupleDesc	desc;
	Tuplestorestate *store;		/* of the function's result */
	SharedTuplestoreAccessor *shared;	/* instead, where several processes work */
	uint64		chunk;			/* the units at hand, for their order */

	/* progress */
	pg_atomic_uint64 *done;		/* queries, of all processes */
	bool		shows_progress;
} VkBatchWork;

/* how a function does its work; one state in each process that takes part */
typedef struct VkBatchRoutine
{
	void	   *(*begin) (VkBatchWork *work);
	/* the rows of units from first on and before end; called with rising units */
	void		(*answer) (void *state, int64 first, int64 end);
	/* only where there are sums: in each process, after its last units; and once,
	 * when all have added */
	void		(*add_sums) (void *state);
	void		(*take_sums) (void *state);
	void		(*end) (void *state);
} VkBatchRoutine;

typedef struct VkBatchFunction
{
	const char *name;
	int			required;		/* arguments, from the first, that are not NULL */
	int			recall;			/* the argument that is target_recall; 0: none, and no
								 * row is missed */
	bool		queries;		/* the second argument is an array of them */
	void		(*read) (FunctionCallInfo fcinfo, VkBatchRequest *request);
	const VkBatchRoutine *routine;
} VkBatchFunction;

extern const VkBatchFunction vk_batch_functions[VK_BATCH_FUNCTIONS];

/* a call of one of them, as fmgr makes it */
extern Datum vk_batch_call(FunctionCallInfo fcinfo, VkBatchFunctionNumber number);
/* a row of the result */
extern void vk_batch_put(VkBatchWork *work, Datum *values, bool *nulls);
/* so many queries more have been answered */
extern void vk_batch_done(VkBatchWork *work, int count);
/* an argument that says how many rows are wanted */
extern int64 vk_batch_read_k(FunctionCallInfo fcinfo, int argument);

/* ---- functions.c, graph.c: how they do it ---- */

extern void vk_knn_batch_read(FunctionCallInfo fcinfo, VkBatchRequest *request);
extern void vk_range_batch_read(FunctionCallInfo fcinfo, VkBatchRequest *request);
extern void vk_knn_graph_read(FunctionCallInfo fcinfo, VkBatchRequest *request);
extern void vk_similarity_graph_read(FunctionCallInfo fcinfo, VkBatchRequest *request);
extern void vk_similarity_degree_read(FunctionCallInfo fcinfo, VkBatchRequest *request);
extern const VkBatchRoutine vk_query_routine;
extern const VkBatchRoutine vk_graph_routine;

/* ---- parallel.c: work that several processes share ---- */

/* how many workers pay; the routine has begun */
extern int	vk_batch_plan_workers(const VkBatchWork *work);
/* bytes of the sums, and how they begin */
extern Size vk_batch_sums_size(const VkBatchWork *work);
extern void vk_batch_sums_init(VkBatchWork *work, void *memory);
/*
 * Do the work with so many workers or as many of them as there are.  False, with
 * nothing done, where there is none.
 */
extern bool vk_batch_share(VkBatchWork *work, void *state, int workers);
extern PGDLLEXPORT void vk_batch_worker(dsm_segment *segment, shm_toc *toc);

/* ---- progress.c: what vk_progress shows of the work ---- */

extern void vk_progress_begin(VkBatchWork *work);
extern void vk_progress_workers(const VkBatchWork *work, int workers);
extern void vk_progress_update(const VkBatchWork *work);
extern void vk_progress_end(const VkBatchWork *work);

#endif							/* VK_BATCH_H */
