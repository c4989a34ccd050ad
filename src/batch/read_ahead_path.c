/*-------------------------------------------------------------------------
 *
 * read_ahead_path.c
 *	  Plans of k-NN searches for the rows of another table, in batches.
 *
 * NOTES
 *	  What is looked for is a nested loop whose inner side is
 *	  "SELECT ... ORDER BY v <-> outer.q LIMIT k" by one of our indexes.  The
 *	  same loop with a node that reads ahead on its outer side is offered beside
 *	  it, cheaper by what a batch saves.
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

#include "am/am.h"
#include "batch/batch.h"
#include "batch/read_ahead.h"

/* a LIMIT above this is not searched for in batches */
#define MOST_WANTED			1000

/* what a query of a large batch costs, as a share of one by itself (bench/batch.py) */
#define SHARE_IN_BATCH		0.25

/* the inner side of a loop that is worth a batch */
typedef struct InnerSearch
{
	IndexPath  *scan;
	Expr	   *query;			/* of Vars of the outer side */
	int64		wanted;
} InnerSearch;

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
	bool		foreign;		/* one of them is no plain Var */
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
	}
	return expression_tree_mutator(node, params_to_vars, context);
}

/* the query as the outer side has it, or NULL */
static Expr *
outer_query(PlannerInfo *root, RelOptInfo *inner, RelOptInfo *outer, Expr *order)
{
	OuterItems	items = {.items = inner->subplan_params};
	Node	   *query;
	Relids		relids;

	if (!IsA(order, OpExpr) || list_length(((OpExpr *) order)->args) != 2)
		return NULL;
	query = params_to_vars(lsecond(((OpExpr *) order)->args), &items);
	if (items.foreign || contain_volatile_functions(query) ||
		contain_subplans(query))
		return NULL;
	relids = pull_varnos(root, query);
	return bms_is_empty(relids) || !bms_is_subset(relids, outer->relids) ?
		NULL : (Expr *) query;
}

/* is it a search by one of our indexes, under no condition? */
static bool
is_plain_search(const IndexPath *scan)
{
	return scan->indexinfo->amcostestimate == (void *) vk_costestimate &&
		list_length(scan->indexorderbys) == 1 && scan->indexclauses == NIL &&
		scan->indexinfo->rel->baserestrictinfo == NIL &&
		scan->path.param_info == NULL && !scan->path.parallel_aware;
}

static bool
find_search(PlannerInfo *root, RelOptInfo *outer, Path *inner, InnerSearch *search)
{
	RelOptInfo *rel = inner->parent;
	Path	   *path;

	if (!IsA(inner, SubqueryScanPath))
		return false;
	path = ((SubqueryScanPath *) inner)->subpath;
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
	if (search->wanted == 0 || !IsA(path, IndexPath) ||
		!is_plain_search((IndexPath *) path))
		return false;
	search->scan = (IndexPath *) path;
	search->query = outer_query(root, rel, outer, linitial(search->scan->indexorderbys));
	return search->query != NULL;
}

/* ---- the path ---- */

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
	scan->custom_exprs = list_make1(linitial(path->custom_private));
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

static Path *
make_read_ahead(Path *outer, const InnerSearch *search)
{
	CustomPath *path = makeNode(CustomPath);
	List	   *members = list_make2(private_const(OIDOID, sizeof(Oid),
												   ObjectIdGetDatum(search->scan->indexinfo->indexoid)),
									 private_const(INT8OID, sizeof(int64),
												   Int64GetDatum(search->wanted)));

	StaticAssertStmt(READ_AHEAD_MEMBERS == 2, "members of custom_private");
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
 * add_batched -- the same loop, reading ahead
 *
 * The first query of a batch costs what it does by itself, the others a share.
 */
static void
add_batched(RelOptInfo *joinrel, const NestPath *loop, const InnerSearch *search)
{
	NestPath   *batched;
	Path	   *outer = loop->jpath.outerjoinpath;
	double		saved = (1 - SHARE_IN_BATCH) * search->scan->indextotalcost *
		(outer->rows - 1);

	if (outer->rows < 2)
		return;
	batched = makeNode(NestPath);
	*batched = *loop;
	batched->jpath.outerjoinpath = make_read_ahead(outer, search);
	batched->jpath.path.parallel_safe = false;
	batched->jpath.path.total_cost -= saved;
	add_path(joinrel, &batched->jpath.path);
}

static void
set_join_pathlist(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outer,
				  RelOptInfo *inner, JoinType type, JoinPathExtraData *extra)
{
	List	   *paths;
	ListCell   *cell;
	InnerSearch search;

	if (previous_set_join_pathlist)
		previous_set_join_pathlist(root, joinrel, outer, inner, type, extra);

	/* a row that is to be locked may be read again in another version */
	if (!vk_enable_batch || inner->rtekind != RTE_SUBQUERY ||
		root->parse->commandType != CMD_SELECT || root->rowMarks != NIL ||
		(type != JOIN_INNER && type != JOIN_LEFT))
		return;

	/* add_path changes the list, and frees what it takes out */
	paths = list_copy(joinrel->pathlist);
	foreach(cell, paths)
	{
		NestPath   *loop = lfirst(cell);

		if (list_member_ptr(joinrel->pathlist, loop) && IsA(loop, NestPath) &&
			loop->jpath.outerjoinpath->parent == outer &&
			!IsA(loop->jpath.outerjoinpath, CustomPath) &&
			find_search(root, outer, loop->jpath.innerjoinpath, &search))
			add_batched(joinrel, loop, &search);
	}
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
