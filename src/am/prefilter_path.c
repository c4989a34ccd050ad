/*-------------------------------------------------------------------------
 *
 * prefilter_path.c
 *	  Plans of an ordered scan with what other indexes know of its conditions.
 *
 * NOTES
 *	  Conditions on columns that are not in our index can be evaluated on rows of
 *	  the table only.  Where other indexes make a bitmap of the rows that meet
 *	  them, the scan leaves out all others before it scores them:
 *
 *		Custom Scan (vkindex prefilter)
 *		  ->  Index Scan				ours, ORDER BY the distance
 *		  ->  Bitmap Index Scan			or a tree of BitmapAnd and BitmapOr
 *
 *	  Which bitmap is best is core's to find: it is shown the relation without our
 *	  indexes, and without what it could do but bitmaps.  The scan has all
 *	  conditions as its filter, as if there were no bitmap.
 *
 * IDENTIFICATION
 *	  src/am/prefilter_path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "nodes/extensible.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

#include "am/am.h"
#include "am/prefilter.h"

/* what a bitmap tells of a relation's conditions */
typedef struct MaskedConditions
{
	List	   *masked;			/* RestrictInfo */
	bool		exact;			/* rows in the bitmap meet them */
} MaskedConditions;

/* the indexes of others, for bitmaps only */
static List *
bitmap_indexes(const RelOptInfo *rel)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		const IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);
		IndexOptInfo *copy;

		if (!index->amhasgetbitmap || index->amcostestimate == (void *) vk_costestimate)
			continue;
		copy = makeNode(IndexOptInfo);
		*copy = *index;
		copy->amhasgettuple = false;
		result = lappend(result, copy);
	}
	return result;
}

BitmapHeapPath *
vk_prefilter_bitmap(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *indexes;
	RelOptInfo *copy;
	ListCell   *cell;

	/* a Result above the scan would evaluate conditions without a variable */
	if (rel->baserestrictinfo == NIL || !bms_is_empty(rel->lateral_relids) ||
		root->hasPseudoConstantQuals)
		return NULL;
	indexes = bitmap_indexes(rel);
	if (indexes == NIL)
		return NULL;
	copy = makeNode(RelOptInfo);
	*copy = *rel;
	copy->indexlist = indexes;
	copy->pathlist = copy->partial_pathlist = NIL;
	copy->joininfo = NIL;
	copy->ppilist = list_copy(rel->ppilist);
	copy->consider_parallel = false;
	create_index_paths(root, copy);
	foreach(cell, copy->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (IsA(path, BitmapHeapPath) && path->param_info == NULL)
			return (BitmapHeapPath *) path;
	}
	return NULL;
}

static void
read_bitmap(const RelOptInfo *rel, Path *bitmap, MaskedConditions *conditions)
{
	ListCell   *cell;

	if (IsA(bitmap, IndexPath))
		foreach(cell, ((IndexPath *) bitmap)->indexclauses)
		{
			const IndexClause *clause = lfirst_node(IndexClause, cell);

			conditions->masked = list_append_unique_ptr(conditions->masked, clause->rinfo);
			conditions->exact &= !clause->lossy;
		}
	else if (IsA(bitmap, BitmapAndPath))
		foreach(cell, ((BitmapAndPath *) bitmap)->bitmapquals)
			read_bitmap(rel, lfirst(cell), conditions);
	else
	{
		/* of which OR it is, a path does not say */
		conditions->exact = false;
		foreach(cell, rel->baserestrictinfo)
		{
			RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

			if (restriction_is_or_clause(rinfo))
				conditions->masked = list_append_unique_ptr(conditions->masked, rinfo);
		}
	}
}

/* is there no condition but those of the index and of the bitmap? */
static bool
is_complete(const IndexPath *ordered, const MaskedConditions *conditions)
{
	ListCell   *cell;

	foreach(cell, ordered->indexinfo->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (!list_member_ptr(conditions->masked, rinfo) &&
			!is_redundant_with_indexclauses(rinfo, ordered->indexclauses))
			return false;
	}
	return conditions->exact;
}

/* without the conditions that our index knows */
static List *
beyond_index(const IndexPath *ordered, List *masked)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, masked)
		if (!is_redundant_with_indexclauses(lfirst_node(RestrictInfo, cell),
											ordered->indexclauses))
			result = lappend(result, lfirst(cell));
	return result;
}

/*
 * PlanCustomPath: both children, of which the scan makes the rows, and of the
 * bitmap's the part that makes the bitmap.  The node cannot project, so its target
 * list is the scan's.
 */
static Plan *
plan_prefilter(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
			   List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	Plan	   *scan = linitial(custom_plans);
	Plan	   *bitmap = lsecond(custom_plans);

	plan->scan.plan.targetlist = tlist;
	plan->scan.scanrelid = rel->relid;
	plan->custom_plans = list_make2(scan, outerPlan(bitmap));
	plan->custom_private = path->custom_private;
	plan->methods = &vk_prefilter_scan_methods;
	return &plan->scan.plan;
}

static const CustomPathMethods prefilter_path_methods = {
	.CustomName = VK_PREFILTER_NAME,
	.PlanCustomPath = plan_prefilter
};

/* what the bitmap costs, and what the scan saves by it; false: it cannot be run */
static bool
set_cost(PlannerInfo *root, Path *path, IndexPath *ordered, Path *bitmap, List *masked)
{
	Cost		startup;
	Cost		total;
	Cost		bitmap_cost;
	Selectivity selectivity;

	if (!vk_cost_saved(root, ordered, 1.0, masked, &startup, &total))
		return false;
	cost_bitmap_tree_node(bitmap, &bitmap_cost, &selectivity);
	/* core takes a bitmap for cheaper than it is: entering a row, and again here */
	bitmap_cost += clamp_row_est(selectivity * path->parent->tuples) *
		(cpu_tuple_cost + cpu_index_tuple_cost);
	path->startup_cost = ordered->path.startup_cost - startup + bitmap_cost;
	path->total_cost = ordered->path.total_cost - total + bitmap_cost;
	return true;
}

Path *
vk_prefilter_path(PlannerInfo *root, RelOptInfo *rel, BitmapHeapPath *bitmap,
				  IndexPath *ordered)
{
	MaskedConditions conditions = {.exact = true};
	CustomPath *path;
	List	   *masked;

	read_bitmap(rel, bitmap->bitmapqual, &conditions);
	masked = beyond_index(ordered, conditions.masked);
	if (masked == NIL)
		return NULL;

	path = makeNode(CustomPath);
	path->path = ordered->path;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->path.parallel_safe = false;
	path->custom_paths = list_make2(ordered, bitmap);
	path->custom_private = list_make1_int(is_complete(ordered, &conditions));
	path->methods = &prefilter_path_methods;
	return set_cost(root, &path->path, ordered, bitmap->bitmapqual, masked) ?
		&path->path : NULL;
}
