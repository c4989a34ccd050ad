/*-------------------------------------------------------------------------
 *
 * read_ahead.h
 *	  Nested loops over searches, searched in batches.
 *
 * NOTES
 *	  read_ahead_path.c and read_ahead_range.c plan
 *
 *		Nested Loop
 *		  ->  Custom Scan (vkindex batch)		reads many outer rows ahead,
 *				->  outer plan					and searches for all at once
 *		  ->  Limit
 *				->  Index Scan					finds its rows there
 *
 *	  read_ahead.c executes it; read_ahead_queries.c has the queries of the rows
 *	  at hand and their answers.  The loop and what is on its inner side are those
 *	  of a plan without batches.  The index scan takes the nearest rows of its
 *	  query, or those within its sphere, from the node where they are, and
 *	  searches by itself where they are not, or where more of them are asked for.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_READ_AHEAD_H
#define VK_READ_AHEAD_H

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "utils/snapshot.h"

#include "am/am.h"

/* rows of a batch: the first, where not all may be asked for, and the largest */
#define VK_FIRST_AHEAD	32
#define VK_MOST_AHEAD	1024

/* ---- read_ahead.c: the node ---- */

/* members of CustomScan.custom_private */
enum
{
	READ_AHEAD_INDEX,			/* OID */
	READ_AHEAD_TYPE,			/* of vectors, where queries are spheres of them; OID */
	READ_AHEAD_WANTED,			/* rows a query; 0: all within a sphere */
	READ_AHEAD_FIRST,			/* rows of the first batch */
	READ_AHEAD_MEMBERS
};

extern const CustomScanMethods vk_read_ahead_scan_methods;

extern void vk_read_ahead_init(void);

/* ---- read_ahead_queries.c: queries and answers ---- */

/* a query, and the rows that are its answer */
typedef struct VkAheadQuery
{
	Datum		vector;			/* detoasted; 0: there is none */
	double		radius;			/* rows are wanted up to it, itself included */
	bool		exact;			/* however approximate the index */
	bool		answered;
	VkNeighbor *rows;
	int64		count;
	int64		capacity;
} VkAheadQuery;

/* the queries of the rows at hand */
typedef struct VkAheadBatch
{
	Oid			index;
	Oid			type;
	int64		wanted;
	MemoryContext context;		/* of rows, queries and answers */
	int			count;
	Size		memory;			/* that answers within spheres take */
	int64		found;			/* rows in them, forgotten ones too */
	int64		forgotten;		/* answers that took too much memory, of all batches */
	VkAheadQuery queries[VK_MOST_AHEAD];
} VkAheadBatch;

extern void vk_ahead_reset(VkAheadBatch *batch);
/* one more query: a vector or, where rows within one are wanted, a sphere */
extern void vk_ahead_add(VkAheadBatch *batch, Datum value, bool isnull);
/* answer all; false: there was nothing to search for at once */
extern bool vk_ahead_search(VkAheadBatch *batch, Snapshot snapshot);
/* so many queries at a time have answers that fit in memory, by those at hand */
extern int	vk_ahead_fitting(const VkAheadBatch *batch);
/* the answer, if it is one to this query */
extern bool vk_ahead_nearest(const VkAheadQuery *query, Datum vector, int64 wanted,
							 VkAnswer *answer);
extern bool vk_ahead_within(const VkAheadQuery *query, Datum vector, double radius,
							VkAnswer *answer);

/* ---- read_ahead_path.c ---- */

/* what the inner side of a loop searches for */
typedef struct VkInnerSearch
{
	IndexPath  *scan;
	Expr	   *query;			/* of Vars of the outer side */
	Oid			type;			/* see READ_AHEAD_TYPE */
	int64		wanted;
} VkInnerSearch;

extern void vk_read_ahead_path_init(void);
/* a path that returns what outer does, reading ahead */
extern Path *vk_read_ahead_path(PlannerInfo *root, Path *outer,
								const VkInnerSearch *search);
/* take from the cost of a loop what searching in batches saves */
extern void vk_read_ahead_discount(PlannerInfo *root, NestPath *loop,
								   const VkInnerSearch *search);

/* ---- read_ahead_range.c ---- */

/* may a query be made of rows that a loop over outer may never come to? */
extern bool vk_query_may_be_early(PlannerInfo *root, const RelOptInfo *outer,
								  Expr *query);
/* the index scan that a path is, or a bitmap's of one index; NULL: neither */
extern IndexPath *vk_range_scan(Path *path);
/*
 * Does a condition ask for a sphere, and would a batch answer it as the scan does?
 * The query is the sphere.
 */
extern bool vk_range_search(IndexPath *scan, const IndexClause *clause,
							VkInnerSearch *search);
/* add paths for ranges to those of a join */
extern void vk_read_ahead_ranges(PlannerInfo *root, RelOptInfo *joinrel,
								 RelOptInfo *outer, RelOptInfo *inner, JoinType type,
								 JoinPathExtraData *extra);

#endif							/* VK_READ_AHEAD_H */
