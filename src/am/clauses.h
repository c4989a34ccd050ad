/*-------------------------------------------------------------------------
 *
 * clauses.h
 *	  Conditions of a query that one of our indexes can answer.
 *
 * IDENTIFICATION
 *	  src/am/clauses.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_CLAUSES_H
#define VK_CLAUSES_H

#include "nodes/pathnodes.h"

/* "operand <operator> center": a distance of an index's vector column */
typedef struct VkDistance
{
	Oid			operator;
	Expr	   *operand;		/* matches the column */
	Expr	   *center;			/* knows nothing of the relation */
} VkDistance;

/* one condition of the query, and what the index is asked instead */
typedef struct VkClause
{
	RestrictInfo *rinfo;		/* the query's own */
	int			column;			/* of the index, from 0 */
	bool		beyond_core;	/* core does not find it by itself */
	List	   *quals;			/* what the index is asked: RestrictInfos, all of
								 * which must hold; a range: see below */

	/* "distance < radius", or <= */
	bool		range;
	VkDistance	distance;
	Expr	   *radius;			/* float8 */
	Oid			within;			/* the sphere operator */
	RestrictInfo *spheres[2];	/* not exact, exact; made on demand */
} VkClause;

/* a relation as joins know it: a partition by its topmost parent */
extern Relids vk_joined_relids(const RelOptInfo *rel);
/* may an outer join make rows of NULLs of a relation's? */
extern bool vk_is_nullable(const PlannerInfo *root, const RelOptInfo *rel);

/* the vector column's distance that an expression is, if any */
extern bool vk_distance_match(PlannerInfo *root, IndexOptInfo *index,
							  Node *expression, VkDistance *distance);
/* those of a list of RestrictInfos that the index can answer, as VkClauses in
 * the order of columns */
extern List *vk_clauses_match(PlannerInfo *root, IndexOptInfo *index,
							  List *rinfos);
/* does a join condition bound a distance? */
extern bool vk_clause_is_range(PlannerInfo *root, IndexOptInfo *index,
							   RestrictInfo *rinfo);
/* what the index is asked, as RestrictInfos; exact counts for ranges only */
extern List *vk_clause_quals(PlannerInfo *root, IndexOptInfo *index,
							 VkClause *clause, bool exact);
/* an OR or AND with spheres in place of ranges; itself if it has none */
extern Expr *vk_clause_with_spheres(PlannerInfo *root, IndexOptInfo *index,
									Expr *expression, bool exact);

#endif							/* VK_CLAUSES_H */
