/*-------------------------------------------------------------------------
 *
 * refusal_plan.c
 *	  Plans a query to see what becomes of our indexes.
 *
 * NOTES
 *	  While it is planned, the planner's hook notes what each of our indexes
 *	  looks like to it (refusal_reason.c).  Or it prefers some of them: every
 *	  other path of their tables is made very dear, and costs are those of a
 *	  plan with the index wherever there is one.
 *
 *	  Functions that the planner evaluates may have queries of their own, whose
 *	  planning must not be meddled with.  Ours is known by its parameters: an
 *	  empty list made for it.
 *
 * IDENTIFICATION
 *	  src/am/refusal_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "miscadmin.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "tcop/tcopprot.h"

#include "am/am.h"
#include "am/refusal.h"

static VkPlanning *planning = NULL;	/* the one in progress */
static set_rel_pathlist_hook_type next_set_rel_pathlist = NULL;

/* ---- what a plan uses ---- */

static void find_in_plan(Plan *plan, VkPlanIndexes *found);

static void
find_in_plans(List *plans, VkPlanIndexes *found)
{
	ListCell   *cell;

	foreach(cell, plans)
		find_in_plan(lfirst(cell), found);
}

static void
find_in_plan(Plan *plan, VkPlanIndexes *found)
{
	if (plan == NULL)
		return;

	check_stack_depth();

	switch (nodeTag(plan))
	{
		case T_IndexScan:
			found->used = lappend_oid(found->used, ((IndexScan *) plan)->indexid);
			break;
		case T_BitmapIndexScan:
			found->used = lappend_oid(found->used, ((BitmapIndexScan *) plan)->indexid);
			found->bitmaps = lappend_oid(found->bitmaps, ((BitmapIndexScan *) plan)->indexid);
			break;
		case T_Append:
			find_in_plans(((Append *) plan)->appendplans, found);
			break;
		case T_MergeAppend:
			find_in_plans(((MergeAppend *) plan)->mergeplans, found);
			break;
		case T_BitmapAnd:
			find_in_plans(((BitmapAnd *) plan)->bitmapplans, found);
			break;
		case T_BitmapOr:
			find_in_plans(((BitmapOr *) plan)->bitmapplans, found);
			break;
		case T_SubqueryScan:
			find_in_plan(((SubqueryScan *) plan)->subplan, found);
			break;
		case T_CustomScan:
			find_in_plans(((CustomScan *) plan)->custom_plans, found);
			break;
		default:
			break;
	}
	find_in_plan(plan->lefttree, found);
	find_in_plan(plan->righttree, found);
}

/* ---- the planner's hook ---- */

static bool
path_uses(Path *path, List *indexes)
{
	List	   *children = NIL;
	ListCell   *cell;

	check_stack_depth();

	switch (nodeTag(path))
	{
		case T_IndexPath:
			return list_member_oid(indexes, ((IndexPath *) path)->indexinfo->indexoid);
		case T_BitmapHeapPath:
			return path_uses(((BitmapHeapPath *) path)->bitmapqual, indexes);
		case T_BitmapAndPath:
			children = ((BitmapAndPath *) path)->bitmapquals;
			break;
		case T_BitmapOrPath:
			children = ((BitmapOrPath *) path)->bitmapquals;
			break;
		case T_CustomPath:
			children = ((CustomPath *) path)->custom_paths;
			break;
		default:
			break;
	}
	foreach(cell, children)
		if (path_uses(lfirst(cell), indexes))
			return true;
	return false;
}

/*
 * prefer -- paths with the index, then all others, which become very dear unless
 * they have it, too
 */
static List *
prefer(List *with_index, List *others, List *index)
{
	List	   *paths = NIL;
	ListCell   *cell;

	foreach(cell, with_index)
		if (path_uses(lfirst(cell), index))
			paths = lappend(paths, lfirst(cell));
	foreach(cell, others)
	{
		Path	   *path = lfirst(cell);

		if (!path_uses(path, index))
			vk_make_path_dear(path);
		paths = lappend(paths, path);
	}
	return paths;
}

/*
 * make_paths -- new paths of a table, by some of its indexes only
 */
static void
make_paths(PlannerInfo *root, RelOptInfo *rel, Index relid, RangeTblEntry *rte,
		   List *indexes)
{
	List	   *all = rel->indexlist;

	rel->indexlist = indexes;
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	create_index_paths(root, rel);
	if (next_set_rel_pathlist)
		next_set_rel_pathlist(root, rel, relid, rte);
	rel->indexlist = all;
}

/*
 * prefer_index -- let the plan read a table by one index if that can be
 *
 * Paths with the index may have been dropped for better ones, so they are made
 * again, with no other index about; but an OR may need others beside it.
 */
static void
prefer_index(PlannerInfo *root, RelOptInfo *rel, Index relid, RangeTblEntry *rte,
			 IndexOptInfo *info)
{
	List	   *index = list_make1_oid(info->indexoid);
	List	   *paths = rel->pathlist;
	List	   *partial = rel->partial_pathlist;

	make_paths(root, rel, relid, rte, list_make1(info));
	if (prefer(rel->pathlist, NIL, index) == NIL)
		make_paths(root, rel, relid, rte, rel->indexlist);
	rel->pathlist = prefer(rel->pathlist, paths, index);
	rel->partial_pathlist = prefer(rel->partial_pathlist, partial, index);
}

/*
 * look_at_rel -- set_rel_pathlist_hook while a query is explained
 */
static void
look_at_rel(PlannerInfo *root, RelOptInfo *rel, Index relid, RangeTblEntry *rte)
{
	bool		ours = root->glob->boundParams == planning->mark &&
		rte->rtekind == RTE_RELATION && !rte->inh;
	ListCell   *cell;

	if (ours && !IS_DUMMY_REL(rel) && rte->tablesample == NULL)
	{
		foreach(cell, rel->indexlist)
		{
			IndexOptInfo *info = lfirst(cell);

			if (list_member_oid(planning->preferred, info->indexoid))
			{
				prefer_index(root, rel, relid, rte, info);
				return;
			}
		}
	}

	if (next_set_rel_pathlist)
		next_set_rel_pathlist(root, rel, relid, rte);

	if (!ours || planning->preferred != NIL)
		return;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *info = lfirst(cell);

		if (info->amcostestimate == vk_costestimate)
			planning->sightings = lappend(planning->sightings,
										  vk_refusal_sight(root, rel, rte, info));
	}
}

/*
 * vk_refusal_plan -- plan all queries; returns a list of PlannedStmt
 */
List *
vk_refusal_plan(VkPlanning *state)
{
	VkPlanning *outer = planning;
	set_rel_pathlist_hook_type outer_next = next_set_rel_pathlist;
	set_rel_pathlist_hook_type outer_hook = set_rel_pathlist_hook;
	List	   *volatile plans = NIL;
	ListCell   *cell;

	/* a query that planning runs may call us again: chain to it only once */
	if (set_rel_pathlist_hook != look_at_rel)
		next_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = look_at_rel;
	planning = state;
	PG_TRY();
	{
		foreach(cell, state->queries)
		{
			Query	   *query = lfirst(cell);

			/* rules may add NOTIFY */
			if (query->commandType == CMD_UTILITY)
				continue;
			plans = lappend(plans, vk_plan_query(copyObject(query), state->text,
												 CURSOR_OPT_PARALLEL_OK,
												 state->mark));
		}
	}
	PG_FINALLY();
	{
		planning = outer;
		next_set_rel_pathlist = outer_next;
		set_rel_pathlist_hook = outer_hook;
	}
	PG_END_TRY();
	return plans;
}

/*
 * vk_refusal_read -- the index scans of plans, and what they cost together
 */
VkPlanIndexes
vk_refusal_read(List *plans)
{
	VkPlanIndexes found = {0};
	ListCell   *cell;

	foreach(cell, plans)
	{
		PlannedStmt *plan = lfirst_node(PlannedStmt, cell);

		find_in_plan(plan->planTree, &found);
		find_in_plans(plan->subplans, &found);
		found.cost += plan->planTree->total_cost;
	}
	return found;
}
