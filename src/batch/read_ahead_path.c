/*-------------------------------------------------------------------------
 *
 * read_ahead_path.c
 *	  Plans of searches for the rows of another table, in batches.
 *
 * NOTES
 *	  What is looked for is a nested loop whose inner side is a subquery
 *	  "SELECT ... ORDER BY v <-> outer.q LIMIT k" by one of our indexes, or one
 *	  that reads all rows within a radius of outer.q, to count them say.  The same
 *	  loop with a node that reads ahead on its outer side is offered beside it,
 *	  cheaper by what a batch saves.  read_ahead_range.c has loops over tables.
 *
 *	  Conditions on the inner table, in the index or not, make the number of
 *	  neighbours that are needed unknown: such loops are left alone.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead_path.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"

#include "batch/read_ahead.h"

/* a LIMIT above this is not searched for in batches */
#define MOST_WANTED			1000

/* what a query of a large batch costs, as a share of one by itself (bench/batch.py) */
#define SHARE_IN_BATCH		0.25

static set_join_pathlist_hook_type previous_set_join_pathlist = NULL;

/* ---- what the inner side searches for ---- */

/* the value of a LIMIT or OFFSET; -1 where it is no constant */
static int64
constant_count(Node *node, int64 if_null)
{
	if (node == NULL)
		return if_null;
	if (!IsA(node, Const))
		return -1;
	return ((Const *) node)->constisnull ? if_null :
		DatumGetInt64(((Const *) node)->constvalue);
}

static int64
rows_wanted(const LimitPath *limit)
{
	int64		count = constant_count(limit->limitCount, -1);
	int64		offset = constant_count(limit->limitOffset, 0);

	if (count <= 0 || offset < 0 || count > MOST_WANTED || offset > MOST_WANTED)
		return 0;
	return count + offset;
}

/* what a subquery knows of the query around it */
typedef struct OuterItems
{
	List	   *items;			/* PlannerParamItem */
	bool		foreign;		/* it has other parameters too, of its own InitPlans
								 * say, or one that is no plain Var */
} OuterItems;

/* outer Vars in place of the parameters by which a subquery sees them */
static Node *
params_to_vars(Node *node, void *context)
{
	OuterItems *outer = context;
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
	{
		foreach(cell, outer->items)
		{
			PlannerParamItem *item = lfirst(cell);

			if (item->paramId != ((Param *) node)->paramid)
				continue;
			outer->foreign |= !IsA(item->item, Var);
			return copyObject(item->item);
		}
		outer->foreign = true;
	}
	return expression_tree_mutator(node, params_to_vars, context);
}

/* an expression of the subquery as the outer side has it, or NULL */
static Expr *
outer_query(PlannerInfo *root, RelOptInfo *inner, RelOptInfo *outer, Expr *expression)
{
	OuterItems	items = {.items = inner->subplan_params};
	Node	   *query = params_to_vars((Node *) expression, &items);
	Relids		relids;

	if (items.foreign || contain_volatile_functions(query) ||
		contain_subplans(query) || !vk_query_may_be_early(root, outer, (Expr *) query))
		return NULL;
	relids = pull_varnos(root, query);
	return bms_is_empty(relids) || !bms_is_subset(relids, outer->relids) ?
		NULL : (Expr *) query;
}

/* is it a search for neighbours by one of our indexes, under no condition? */
static bool
find_nearest(IndexPath *scan, VkInnerSearch *search)
{
	OpExpr	   *order;

	if (scan->indexinfo->amcostestimate != (void *) vk_costestimate ||
		vk_type_has_documents(scan->indexinfo->opcintype[0]) ||
		list_length(scan->indexorderbys) != 1 || scan->indexclauses != NIL ||
		scan->indexinfo->rel->baserestrictinfo != NIL)
		return false;
	order = linitial(scan->indexorderbys);
	if (!IsA(order, OpExpr) || list_length(order->args) != 2)
		return false;
	search->query = lsecond(order->args);
	search->type = InvalidOid;
	return true;
}

/* the path below one that reads all of its rows; NULL: it is none of these */
static Path *
below_reader(Path *path)
{
	switch (nodeTag(path))
	{
		case T_ProjectionPath:
			return ((ProjectionPath *) path)->subpath;
		case T_SubqueryScanPath:
			return ((SubqueryScanPath *) path)->subpath;
		case T_SortPath:
			return ((SortPath *) path)->subpath;
		case T_GroupPath:
			return ((GroupPath *) path)->subpath;
		case T_AggPath:
			return ((AggPath *) path)->subpath;
		case T_WindowAggPath:
			return ((WindowAggPath *) path)->subpath;
		default:
			return NULL;
	}
}

/* may conditions on the outer row alone keep a subquery from being run for it? */
static bool
may_not_run(const RelOptInfo *subquery)
{
	return subquery->subroot->hasPseudoConstantQuals;
}

/* below a subquery: all rows within a radius */
static bool
find_within(Path *path, VkInnerSearch *search)
{
	Path	   *below;

	while ((below = below_reader(path)) != NULL)
	{
		if (IsA(path, SubqueryScanPath) && may_not_run(path->parent))
			return false;
		path = below;
	}
	search->scan = vk_range_scan(path);
	search->wanted = 0;
	/* conditions in the index spare a scan what a batch does not know of */
	return search->scan != NULL && list_length(search->scan->indexclauses) == 1 &&
		vk_range_search(search->scan, linitial(search->scan->indexclauses), search);
}

/* below a subquery: as many rows as a LIMIT wants */
static bool
find_limited(Path *path, VkInnerSearch *search)
{
	search->wanted = 0;
	for (;;)
	{
		if (IsA(path, LimitPath) && search->wanted == 0)
		{
			search->wanted = rows_wanted((LimitPath *) path);
			path = ((LimitPath *) path)->subpath;
		}
		else if (IsA(path, ProjectionPath))
			path = ((ProjectionPath *) path)->subpath;
		else
			break;
	}
	search->scan = (IndexPath *) path;
	return search->wanted > 0 && IsA(path, IndexPath) &&
		find_nearest((IndexPath *) path, search);
}

static bool
find_search(PlannerInfo *root, RelOptInfo *outer, Path *inner, VkInnerSearch *search)
{
	Path	   *path;

	if (!IsA(inner, SubqueryScanPath) || may_not_run(inner->parent))
		return false;
	path = ((SubqueryScanPath *) inner)->subpath;
	if ((!find_limited(path, search) && !find_within(path, search)) ||
		search->scan->path.param_info != NULL || search->scan->path.parallel_aware)
		return false;
	search->query = outer_query(root, inner->parent, outer, search->query);
	return search->query != NULL;
}

/* ---- the path ---- */

static void
take_var(Var *var, const Var *output)
{
	if (output->varno == var->varno && output->varattno == var->varattno)
		VK_COPY_NULLING(var, output, varnullingrels);
}

static void
take_placeholder(PlaceHolderVar *holder, const PlaceHolderVar *output)
{
	if (output->phid == holder->phid)
		VK_COPY_NULLING(holder, output, phnullingrels);
}

/*
 * Give the query's variables what the child's have: a join clause may be that of a
 * join in another order, where they come from below other outer joins.
 */
static bool
take_nulling(Node *node, void *context)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Var) && !IsA(node, PlaceHolderVar))
		return expression_tree_walker(node, take_nulling, context);
	foreach(cell, (List *) context)
	{
		const Node *output = (const Node *) lfirst_node(TargetEntry, cell)->expr;

		if (IsA(node, Var) && IsA(output, Var))
			take_var((Var *) node, (const Var *) output);
		else if (IsA(node, PlaceHolderVar) && IsA(output, PlaceHolderVar))
			take_placeholder((PlaceHolderVar *) node, (const PlaceHolderVar *) output);
	}
	return false;
}

/*
 * PlanCustomPath: the node hands through what its child returns
 */
static Plan *
plan_read_ahead(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
				List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan	   *child = linitial(custom_plans);

	scan->scan.plan.targetlist = tlist;
	scan->custom_scan_tlist = copyObject(child->targetlist);
	scan->custom_plans = custom_plans;
	scan->custom_exprs = list_make1(copyObject(linitial(path->custom_private)));
	(void) take_nulling((Node *) scan->custom_exprs, child->targetlist);
	scan->custom_private = lsecond(path->custom_private);
	scan->methods = &vk_read_ahead_scan_methods;
	return &scan->scan.plan;
}

static const CustomPathMethods read_ahead_path_methods = {
	.CustomName = "vkindex batch",
	.PlanCustomPath = plan_read_ahead
};

static Const *
private_const(Oid type, int length, Datum value)
{
	return makeConst(type, -1, InvalidOid, length, value, false, true);
}

/* where all rows are wanted there is no need to begin with a few */
static int
first_batch(PlannerInfo *root)
{
	return root->tuple_fraction > 0 ? VK_FIRST_AHEAD : VK_MOST_AHEAD;
}

Path *
vk_read_ahead_path(PlannerInfo *root, Path *outer, const VkInnerSearch *search)
{
	CustomPath *path = makeNode(CustomPath);
	Oid			index = search->scan->indexinfo->indexoid;
	List	   *members;

	StaticAssertStmt(READ_AHEAD_MEMBERS == 4, "members of custom_private");
	members = list_make4(private_const(OIDOID, sizeof(Oid), ObjectIdGetDatum(index)),
						 private_const(OIDOID, sizeof(Oid), ObjectIdGetDatum(search->type)),
						 private_const(INT8OID, sizeof(int64), Int64GetDatum(search->wanted)),
						 private_const(INT4OID, sizeof(int32), Int32GetDatum(first_batch(root))));
	path->path = *outer;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	path->path.parallel_aware = false;
	path->path.parallel_safe = false;
	path->custom_paths = list_make1(outer);
	path->custom_private = list_make2(search->query, members);
	path->methods = &read_ahead_path_methods;
	return &path->path;
}

/*
 * The first query of a batch costs what it does by itself, the others a share.
 * Where a few rows may be enough, those of the first batch are searched for before
 * the first comes out.
 */
void
vk_read_ahead_discount(PlannerInfo *root, NestPath *loop, const VkInnerSearch *search)
{
	Path	   *path = &loop->jpath.path;
	/* under a LIMIT the index is not read to its end */
	Cost		cost = Min(search->scan->indextotalcost,
						   loop->jpath.innerjoinpath->total_cost);
	double		rows = loop->jpath.outerjoinpath->rows;

	path->total_cost -= (1 - SHARE_IN_BATCH) * cost * (rows - 1);
	if (root->tuple_fraction > 0)
		path->startup_cost += SHARE_IN_BATCH * cost * (Min(rows, VK_FIRST_AHEAD) - 1);
	path->total_cost = Max(path->total_cost, path->startup_cost);
}

/* the same loop, reading ahead */
static void
add_batched(PlannerInfo *root, RelOptInfo *joinrel, const NestPath *loop,
			const VkInnerSearch *search)
{
	Path	   *outer = loop->jpath.outerjoinpath;
	NestPath   *batched;

	if (outer->rows < 2)
		return;
	batched = makeNode(NestPath);
	*batched = *loop;
	batched->jpath.outerjoinpath = vk_read_ahead_path(root, outer, search);
	batched->jpath.path.parallel_safe = false;
	vk_read_ahead_discount(root, batched, search);
	add_path(joinrel, &batched->jpath.path);
}

static void
add_subqueries(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer)
{
	List	   *paths = list_copy(joinrel->pathlist);
	ListCell   *cell;
	VkInnerSearch search;

	/* add_path changes the list, and frees what it takes out */
	foreach(cell, paths)
	{
		NestPath   *loop = lfirst(cell);

		if (list_member_ptr(joinrel->pathlist, loop) && IsA(loop, NestPath) &&
			loop->jpath.outerjoinpath->parent == outer &&
			!IsA(loop->jpath.outerjoinpath, CustomPath) &&
			find_search(root, outer, loop->jpath.innerjoinpath, &search))
			add_batched(root, joinrel, loop, &search);
	}
}

static void
set_join_pathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer,
				  RelOptInfo *inner, JoinType type, JoinPathExtraData *extra)
{
	if (previous_set_join_pathlist)
		previous_set_join_pathlist(root, joinrel, outer, inner, type, extra);

	if (!vk_enable_batch || (type != JOIN_INNER && type != JOIN_LEFT))
		return;
	if (inner->rtekind == RTE_SUBQUERY)
		add_subqueries(root, joinrel, outer);
	else if (inner->rtekind == RTE_RELATION)
		vk_read_ahead_ranges(root, joinrel, outer, inner, type, extra);
}

/*
 * vk_read_ahead_path_init -- set the hook, once a process
 */
void
vk_read_ahead_path_init(void)
{
	previous_set_join_pathlist = set_join_pathlist_hook;
	set_join_pathlist_hook = set_join_pathlist;
}
