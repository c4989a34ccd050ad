/*-------------------------------------------------------------------------
 *
 * refusal.h
 *	  What the files of vk_explain_refusal share.
 *
 * IDENTIFICATION
 *	  src/am/refusal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef VK_REFUSAL_H
#define VK_REFUSAL_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/pathnodes.h"

/* how near to being used an index is in one place of a query; nearest last */
typedef enum VkFit
{
	VK_FIT_NOT_READ,			/* no row of the table is asked for */
	VK_FIT_NO_DISTANCE,			/* nothing says that the distance matters */
	VK_FIT_WRONG,				/* but it is not written so that it helps */
	VK_FIT_RIGHT				/* as far as can be seen */
} VkFit;

/* an index in one place of a query */
typedef struct VkSighting
{
	Oid			index;
	VkFit		fit;
	bool		limited;		/* there is a LIMIT in the same SELECT */
	bool		ordered;		/* it has the distance in ORDER BY */
	bool		order_lost;		/* even a plan with the index must sort */
	bool		order_continued;	/* ORDER BY goes on after the distance */
	char	   *reason;
} VkSighting;

/* what is planned, and how */
typedef struct VkPlanning
{
	const char *text;
	List	   *queries;		/* rewritten; they stay as they are */
	ParamListInfo mark;			/* an empty list by which it is known */
	List	   *preferred;		/* OIDs of indexes, at most one a table, or NIL */
	List	   *sightings;		/* VkSighting; made where none is preferred */
} VkPlanning;

/* the index scans of plans */
typedef struct VkPlanIndexes
{
	List	   *used;			/* OIDs */
	List	   *bitmaps;		/* those that make bitmaps */
	Cost		cost;			/* of all plans */
} VkPlanIndexes;

/* ---- refusal_plan.c ---- */

extern List *vk_refusal_plan(VkPlanning *planning);
extern VkPlanIndexes vk_refusal_read(List *plans);

/* ---- refusal_reason.c ---- */

/* called from set_rel_pathlist_hook for an index of ours on rel */
extern VkSighting *vk_refusal_sight(PlannerInfo *root, RelOptInfo *rel,
									RangeTblEntry *rte, IndexOptInfo *info);

#endif							/* VK_REFUSAL_H */
