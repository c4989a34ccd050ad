/*-------------------------------------------------------------------------
 *
 * graph.h
 *	  What the files of graphs share: all rows of an index as queries.
 *
 * IDENTIFICATION
 *	  src/batch/graph.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_GRAPH_H
#define VK_GRAPH_H

#include "utils/tuplesort.h"

#include "batch/batch.h"

/* ---- row_set.c: where the rows lie that a snapshot sees ---- */

typedef struct VkRowSet VkRowSet;

/* bytes of memory, for a table of so many pages */
extern Size vk_row_set_size(BlockNumber pages);
extern VkRowSet *vk_row_set_create(BlockNumber pages);
extern void vk_row_set_add(VkRowSet *set, uint64 tid);
/* number the rows, in TID order, after the last was added; how many there are */
extern int64 vk_row_set_number(VkRowSet *set);
/* a row's number, from 0; -1: it is not in the set */
extern int64 vk_row_set_find(const VkRowSet *set, uint64 tid);
/* the first row at or behind a place in the table; 0: there is none */
extern uint64 vk_row_set_next(const VkRowSet *set, uint64 tid);

typedef struct VkOpenPairs VkOpenPairs;

/* ---- graph.c ---- */

typedef struct VkGraph
{
	VkBatchWork *work;
	VkBatchTarget *target;
	Tuplesortstate *rows;		/* all TIDs of the index, in order */
	int64		row_count;
	int64		position;		/* of the next of them */
	int64		chunk_end;		/* where the last chunk ended */
	int64		capacity;		/* rows that are answered together */
	struct VkDenseGraph *dense; /* NULL: pairs are found by codes */

	int64		k;				/* 0: pairs within the radius */
	double		radius;
	float		inside;			/* scores below it are of pairs within */
	double		tolerance;		/* distances may be off by as much */
	bool		both_ways;

	VkRowSet   *visible;		/* NULL: it would take too much memory */
	VkOpenPairs *open;			/* of the queries at hand; NULL where visible is */
	bool		counting;		/* neighbors, no pairs are returned */
	bool		once;			/* each pair is looked at once */
	int64	   *neighbors;		/* counting: of each row by its number if once, else
								 * of those that are answered together */
} VkGraph;

/* a row that the snapshot sees */
typedef struct VkGraphRow
{
	uint64		indexed;		/* TID in the index */
	uint64		place;			/* of the version that is seen */
	Datum		vector;			/* valid until the next row */
} VkGraphRow;

extern void vk_graph_seek(VkGraph *graph, int64 position);
/* the next row before a position; false where there is none */
extern bool vk_graph_next(VkGraph *graph, int64 end, VkGraphRow *row);
/* take the rows before a position as queries, which the context keeps */
extern int	vk_graph_queries(VkGraph *graph, int64 end, VkBatchQuery *queries);
/* the number that neighbors are counted by; -1: they are not */
extern int64 vk_graph_number(const VkGraph *graph, uint64 place, int64 place_in_chunk);
/* a row is within the radius of a query, both by those numbers */
extern void vk_graph_count(VkGraph *graph, int64 query, int64 row);
/* return a pair of rows, by their places */
extern void vk_graph_put(VkGraph *graph, uint64 a, uint64 b, double distance);
/* the same where the distance lies between two; false: it must be known better */
extern bool vk_graph_put_between(VkGraph *graph, uint64 a, uint64 b, double lower,
								 double upper);

/*
 * Do the bounds of a pair tell what is wanted?  It is within the radius then, and
 * lower and upper become those of its distance.
 */
static inline bool
vk_graph_bounds_suffice(const VkGraph *graph, double *lower, double *upper)
{
	const VkSupport *support = graph->target->support;

	if (!(*upper < graph->inside))
		return false;
	if (graph->counting)
		return true;
	*lower = support->distance(*lower);
	*upper = support->distance(*upper);
	return *upper - *lower <= 2 * graph->tolerance;
}

/* ---- graph_choice.c ---- */

/* are tiles of vectors faster than codes for its radius? */
extern bool vk_graph_is_dense(VkGraph *graph);

/* ---- open_pairs.c: pairs whose distance must be known ---- */

/* of so many queries, in the current memory context */
extern VkOpenPairs *vk_open_pairs_create(VkGraph *graph, const VkBatchQuery *queries,
										 int count);
/* row: its number among the visible ones */
extern void vk_open_pairs_add(VkOpenPairs *open, int64 row, const VkBatchQuery *query);
/* return or count those that are within the radius: none is left */
extern void vk_open_pairs_resolve(VkOpenPairs *open);

/* ---- dense.c: pairs by tiles of vectors ---- */

typedef struct VkDenseGraph VkDenseGraph;

/* can tiles tell anything of these distances? */
extern bool vk_dense_serves(const VkBatchTarget *target);
extern VkDenseGraph *vk_dense_create(VkGraph *graph);
/* rows that are answered together, as many as work_mem has room for */
extern int64 vk_dense_capacity(const VkDenseGraph *dense);
/* the pairs of these rows (positions from first to end) with each other, and with
 * those behind them, or all others if they are not looked at once */
extern void vk_dense_answer(VkDenseGraph *dense, int64 first, int64 end);
/* how, for vk_last_scan */
extern void vk_dense_path(const VkDenseGraph *dense, char *path);

#endif							/* VK_GRAPH_H */
