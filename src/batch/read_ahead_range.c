/*-------------------------------------------------------------------------
 *
 * read_ahead_range.c
 *	  Plans of joins within a distance, in batches.
 *
 * NOTES
 *	  "a JOIN b ON a.v <-> b.v < r" is a nested loop whose inner side is an index
 *	  scan for a sphere about the outer row's vector.  Here the same loop is made
 *	  with a node that reads ahead on its outer side.
 *
 *	  A batch finds all rows within each sphere, in the whole index.  So it is
 *	  offered only where the scan would find all of them too, and conditions on
 *	  attribute columns become filters: its cost is compared with that of scans
 *	  that skip what these exclude.
 *
 *	  Where a loop may end early, a query that may raise an error is left to the
 *	  scan: it may be that of a row which the loop never comes to.
 *
 *	  Joins that may end before all rows of the inner side are read (EXISTS) are
 *	  left alone.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead_range.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/genam.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/lsyscache.h"

#include "batch/read_ahead.h"
#include "types/sphere.h"

IndexPath *
vk_range_scan(Path *path)
{
	if (IsA(path, BitmapHeapPath))
		path = ((BitmapHeapPath *) path)->bitmapqual;
	return IsA(path, IndexPath) ? (IndexPath *) path : NULL;
}

/* would a scan for this sphere miss nothing, as a batch does? */
static bool
is_exact(Oid index_oid, const Node *sphere)
{
	Relation	index = index_open(index_oid, NoLock);
	VkMeta		meta;
	bool		usable = vk_meta_peek(index, &meta);

	index_close(index, NoLock);
	if (!usable || vk_max_scan_rows > 0)
		return false;
	return meta.lists == 0 || (vk_target_recall >= 1.0 && vk_probes == 0) ||
		vk_makes_exact_sphere(sphere);
}

/* expression_tree_walker: is there something that errors may come from? */
static bool
may_fail(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_List:
		case T_Param:
		case T_RelabelType:
		case T_Var:
			break;
		case T_FuncExpr:
			if (!vk_makes_sphere(node) && !get_func_leakproof(((FuncExpr *) node)->funcid))
				return true;
			break;
		case T_OpExpr:
			set_opfuncid((OpExpr *) node);
			if (!get_func_leakproof(((OpExpr *) node)->opfuncid))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, may_fail, context);
}

/*
 * Do loops over these relations (NULL: any) end with the first row that an EXISTS, or
 * the like, was looking for?
 */
static bool
is_searched(const PlannerInfo *root, const RelOptInfo *outer)
{
	ListCell   *cell;

	foreach(cell, root->join_info_list)
	{
		const SpecialJoinInfo *join = lfirst_node(SpecialJoinInfo, cell);

		if ((join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI) &&
			(outer == NULL || bms_overlap(join->syn_righthand, outer->relids)))
			return true;
	}
	return false;
}

/* query_tree_walker: does a query lock the rows that it reads? */
static bool
locks_rows(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return ((Query *) node)->rowMarks != NIL ||
			query_tree_walker((Query *) node, locks_rows, context, 0);
	return expression_tree_walker(node, locks_rows, context);
}

static Query *
find_cte(PlannerInfo *root, const RangeTblEntry *rte)
{
	ListCell   *cell;

	for (Index up = rte->ctelevelsup; up > 0; up--)
		root = root->parent_root;
	foreach(cell, root->parse->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return castNode(Query, cte->ctequery);
	}
	return NULL;
}

/* may anybody notice that rows of outer were read which nobody asked for? */
static bool
reading_shows(PlannerInfo *root, const RelOptInfo *outer)
{
	int			relid = -1;

	while ((relid = bms_next_member(outer->relids, relid)) >= 0)
	{
		const RangeTblEntry *rte = root->simple_rte_array[relid];
		const RelOptInfo *rel = root->simple_rel_array[relid];
		Query	   *query = rte->rtekind == RTE_SUBQUERY ? rte->subquery :
			rte->rtekind == RTE_CTE && !rte->self_reference ? find_cte(root, rte) : NULL;

		if ((rel != NULL && contain_volatile_functions((Node *) rel->baserestrictinfo)) ||
			locks_rows((Node *) query, NULL) || contain_volatile_functions((Node *) query))
			return true;
	}
	return false;
}

/* does a loop over outer come to all of its rows? */
static bool
is_read_whole(const PlannerInfo *root, const RelOptInfo *outer)
{
	/* of a subquery it is not known yet which relation of the query above it is */
	for (; root != NULL; root = root->parent_root, outer = NULL)
		if (root->tuple_fraction > 0 || is_searched(root, outer))
			return false;
	return true;
}

bool
vk_query_may_be_early(PlannerInfo *root, const RelOptInfo *outer, Expr *query)
{
	return is_read_whole(root, outer) ||
		(!may_fail((Node *) query, NULL) && !reading_shows(root, outer));
}

bool
vk_range_search(IndexPath *scan, const IndexClause *clause, VkInnerSearch *search)
{
	const IndexOptInfo *index = scan->indexinfo;
	const OpExpr *op = (const OpExpr *) linitial_node(RestrictInfo, clause->indexquals)->clause;

	if (index->amcostestimate != (void *) vk_costestimate || scan->indexorderbys != NIL ||
		clause->indexcol != 0 || !IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	search->scan = scan;
	search->query = lsecond(op->args);
	search->type = index->opcintype[0];
	search->wanted = 0;
	return !contain_subplans((Node *) search->query) &&
		is_exact(index->indexoid, (Node *) search->query);
}

/* the condition whose sphere depends on the outer side, and on nothing else */
static IndexClause *
outer_clause(PlannerInfo *root, IndexPath *scan, const RelOptInfo *outer,
			 VkInnerSearch *search)
{
	ListCell   *cell;

	foreach(cell, scan->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, cell);
		Relids		relids;

		if (!vk_range_search(scan, clause, search) ||
			!vk_query_may_be_early(root, outer, search->query))
			continue;
		relids = pull_varnos(root, (Node *) search->query);
		if (!bms_is_empty(relids) && bms_is_subset(relids, outer->relids))
			return clause;
	}
	return NULL;
}

/*
 * Find the search of an inner path: as a scan under no other condition, since a
 * batch looks at none.
 */
static bool
find_search(PlannerInfo *root, const RelOptInfo *outer, Path *inner,
			VkInnerSearch *search)
{
	IndexPath  *found = vk_range_scan(inner);
	Relids		needed = PATH_REQ_OUTER(inner);
	IndexClause *clause;

	if (found == NULL || found->path.parallel_aware || bms_is_empty(needed) ||
		!bms_is_subset(needed, outer->relids))
		return false;
	clause = outer_clause(root, found, outer, search);
	if (clause == NULL)
		return false;
	search->scan = create_index_path(root, found->indexinfo, list_make1(clause), NIL, NIL,
									 NIL, ForwardScanDirection, false, needed,
									 outer->rows, false);
	search->scan->path.rows = inner->rows;
	return true;
}

static void
add_loop(PlannerInfo *root, RelOptInfo *joinrel, Path *outer, JoinType type,
		 JoinPathExtraData *extra, const VkInnerSearch *search)
{
	Path	   *inner = &search->scan->path;
	Path	   *ahead = vk_read_ahead_path(root, outer, search);
	JoinCostWorkspace workspace;
	NestPath   *loop;

	vk_initial_cost_nestloop(root, &workspace, type, ahead, inner, extra);
	loop = create_nestloop_path(root, joinrel, type, &workspace, extra, ahead, inner,
								extra->restrictlist,
								build_join_pathkeys(root, joinrel, type, outer->pathkeys),
								PATH_REQ_OUTER(outer));
	loop->jpath.path.parallel_safe = false;
	vk_read_ahead_discount(root, loop, search);
	add_path(joinrel, &loop->jpath.path);
}

void
vk_read_ahead_ranges(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer,
					 RelOptInfo *inner, JoinType type, JoinPathExtraData *extra)
{
	VkInnerSearch search;
	ListCell   *cell;
	ListCell   *outer_cell;

	if (inner->reloptkind != RELOPT_BASEREL || outer->rows < 2)
		return;
	foreach(cell, inner->pathlist)
	{
		if (!find_search(root, outer, lfirst(cell), &search))
			continue;
		foreach(outer_cell, outer->pathlist)
		{
			Path	   *path = lfirst(outer_cell);

			if (bms_is_subset(PATH_REQ_OUTER(path), joinrel->lateral_relids))
				add_loop(root, joinrel, path, type, extra, &search);
		}
	}
}
