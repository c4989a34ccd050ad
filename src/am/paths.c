/*-------------------------------------------------------------------------
 *
 * paths.c
 *	  Index paths that core does not build by itself.
 *
 * NOTES
 *	  - With ranges ("distance < radius"), NOT IN and bare boolean columns, which
 *	    clauses.c finds: as plain and as bitmap scan, and ordered by distance.
 *	  - With ranges inside OR, as bitmap scans: core builds them once it is shown
 *	    a sphere in place of each range.
 *	  - Ordered by distance with IN on an attribute column, and for an ORDER BY
 *	    that goes on after the distance; core builds these from 17 on or not at
 *	    all.
 *	  - Ordered by distance, with a bitmap of other indexes (prefilter_path.c).
 *	  - With a range whose center or radius comes from another table, as the
 *	    inner side of a nested loop.
 *	  - Partial ones, where nearly all the cost is the index's: core divides
 *	    only that of the rows among the workers.
 *
 *	  A range must not change what WHERE means.  An index that may be
 *	  approximate is asked for the exact answer, unless the user has asked for
 *	  an approximate one: by range_pushdown, or by an ORDER BY on the same
 *	  distance.  What is to be changed is always found exactly.
 *
 * IDENTIFICATION
 *	  src/am/paths.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/stratnum.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

#include "am/am.h"
#include "am/clauses.h"

/* what starting workers costs beside parallel_setup_cost, in units of it */
#define START_FACTOR	20.0

/* one index of one relation, for which paths are built */
typedef struct PathMaker
{
	PlannerInfo *root;
	RelOptInfo *rel;
	IndexOptInfo *index;
	bool		target;			/* of INSERT, UPDATE, DELETE, MERGE */
	bool		parallel;		/* workers may scan it */
	PathKey    *order;			/* by distance; NULL: the query asks for none */
	VkDistance	distance;		/* of that order */
} PathMaker;

static set_rel_pathlist_hook_type previous_set_rel_pathlist = NULL;

/*
 * find_order -- does the query order by a distance of the index's column?
 *
 * Not by one that an outer join makes NULL for some rows.  Before 16 it looks the same,
 * and a range of the join's own condition would be taken for one of that order.
 */
static void
find_order(PathMaker *maker)
{
	PathKey    *key;
	EquivalenceMember *member;

	maker->order = NULL;
	if (maker->root->query_pathkeys == NIL || vk_is_nullable(maker->root, maker->rel))
		return;
	key = linitial_node(PathKey, maker->root->query_pathkeys);
	if (!VK_PATHKEY_RISES(key) || key->pk_nulls_first ||
		key->pk_eclass->ec_has_volatile)
		return;

	vk_foreach_member(member, key->pk_eclass, maker->rel->relids)
	{
		if (bms_equal(member->em_relids, maker->rel->relids) &&
			vk_distance_match(maker->root, maker->index,
							  (Node *) member->em_expr, &maker->distance) &&
			get_op_opfamily_sortfamily(maker->distance.operator,
									   maker->index->opfamily[0]) == key->pk_opfamily)
		{
			maker->order = key;
			return;
		}
	}
}

/* min(distance), which core plans as ORDER BY distance LIMIT 1 (planagg.c) */
static bool
is_minimum(const Query *query)
{
	const TargetEntry *entry = query->limitCount == NULL || query->targetList == NIL ?
		NULL : linitial_node(TargetEntry, query->targetList);

	return entry != NULL && entry->resname != NULL &&
		strcmp(entry->resname, "agg_target") == 0;
}

/*
 * is_asked_for -- is the order that of ORDER BY?
 *
 * Others serve DISTINCT, groups, set operations or min(), which nobody expects to miss
 * rows.
 */
static bool
is_asked_for(const PathMaker *maker)
{
	const Query *query = maker->root->parse;

	return query->distinctClause == NIL && query->groupClause == NIL &&
		query->setOperations == NULL && !is_minimum(query) &&
		maker->root->sort_pathkeys != NIL &&
		linitial(maker->root->sort_pathkeys) == maker->order;
}

/*
 * must_be_exact -- may a range not be answered at the declared recall?
 */
static bool
must_be_exact(const PathMaker *maker, const VkClause *clause, bool ordered)
{
	if (maker->target)
		return true;
	if (ordered && is_asked_for(maker) &&
		clause->distance.operator == maker->distance.operator &&
		equal(clause->distance.center, maker->distance.center))
		return false;
	return vk_range_pushdown != VK_RANGE_APPROXIMATE;
}

static List *
index_clauses(PathMaker *maker, List *clauses, bool ordered)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		VkClause   *clause = lfirst(cell);
		IndexClause *index_clause = makeNode(IndexClause);

		index_clause->rinfo = clause->rinfo;
		index_clause->indexquals =
			vk_clause_quals(maker->root, maker->index, clause,
							must_be_exact(maker, clause, ordered));
		index_clause->lossy = false;
		index_clause->indexcol = clause->column;
		result = lappend(result, index_clause);
	}
	return result;
}

/*
 * scale_rows -- estimate rows by spheres where core guessed at ranges
 *
 * Core takes a third of the rows for "distance < radius", always.
 */
static void
scale_rows(PathMaker *maker, Path *path, List *clauses)
{
	RelOptInfo *rel = maker->rel;
	ParamPathInfo *param = path->param_info;
	List	   *estimated = NIL;
	List	   *ranges = NIL;
	ListCell   *cell;
	double		rows;

	foreach(cell, clauses)
	{
		VkClause   *clause = lfirst(cell);

		if (clause->range)
		{
			ranges = lappend(ranges, clause->rinfo);
			estimated = list_concat(estimated,
									vk_clause_quals(maker->root, maker->index,
													clause, maker->target));
		}
	}
	if (ranges == NIL)
		return;

	estimated = list_concat(estimated,
							list_difference_ptr(rel->baserestrictinfo, ranges));
	if (param != NULL)
		estimated = list_concat(estimated,
								list_difference_ptr(param->ppi_clauses, ranges));
	rows = rel->tuples * clauselist_selectivity(maker->root, estimated,
												param != NULL ? rel->relid : 0,
												JOIN_INNER, NULL);
	path->rows = clamp_row_est(path->rows * clamp_row_est(rows) /
							   (param != NULL ? param->ppi_rows : rel->rows));
}

static IndexPath *
make_path(PathMaker *maker, List *clauses, bool ordered, Relids outer,
		  double loops)
{
	List	   *orderbys = NIL;
	List	   *columns = NIL;
	List	   *pathkeys = NIL;
	IndexPath  *path;

	if (ordered)
	{
		orderbys = list_make1(make_opclause(maker->distance.operator,
											FLOAT8OID, false,
											maker->distance.operand,
											maker->distance.center,
											InvalidOid, InvalidOid));
		columns = list_make1_int(0);
		pathkeys = list_make1(maker->order);
	}
	path = create_index_path(maker->root, maker->index,
							 index_clauses(maker, clauses, ordered),
							 orderbys, columns, pathkeys, ForwardScanDirection,
							 false, outer, loops, false);
	scale_rows(maker, &path->path, clauses);
	return path;
}

/*
 * add_unordered -- a plain and a bitmap scan
 */
static void
add_unordered(PathMaker *maker, List *clauses, Relids outer, double loops)
{
	IndexPath  *path = make_path(maker, clauses, false, outer, loops);

	add_path(maker->rel, (Path *) path);
	if (maker->index->amhasgetbitmap)
	{
		BitmapHeapPath *bitmap = create_bitmap_heap_path(maker->root, maker->rel,
														 (Path *) path, outer,
														 loops, 0);

		scale_rows(maker, &bitmap->path, clauses);
		add_path(maker->rel, (Path *) bitmap);
	}
}

/* can workers compute the distance that a path orders by, if it does? */
static bool
orders_in_workers(const PathMaker *maker, const IndexPath *path)
{
	return is_parallel_safe(maker->root, (Node *) path->indexorderbys);
}

/*
 * add_partial -- a path whose rows the workers of a Gather share
 *
 * The number of workers is that for the pages of the index, few as the table's
 * may be: there lies the work.  They share what is done before the first row
 * too.  Core divides neither that nor what the index takes for the others.
 *
 * parallel_setup_cost makes light of a start: 6 ms a worker on a machine that
 * reads pages of an index at half a microsecond each (Zen 4, virtual).
 */
static void
add_partial(PathMaker *maker, List *clauses, bool ordered)
{
	IndexPath  *index_path;
	Path	   *path;
	int			workers = compute_parallel_worker(maker->rel, -1, maker->index->pages,
												  max_parallel_workers_per_gather);
	double		processes = workers;
	double		leader = 1.0 - 0.3 * workers;
	Cost		startup;
	Cost		total;

	if (workers == 0)
		return;
	if (parallel_leader_participation && leader > 0)
		processes += leader;
	index_path = make_path(maker, clauses, ordered, NULL, 1.0);
	path = &index_path->path;
	if (!orders_in_workers(maker, index_path) ||
		!vk_cost_saved(maker->root, index_path, processes, NIL, &startup, &total))
		return;
	path->parallel_aware = true;
	path->parallel_workers = workers;
	path->rows = clamp_row_est(path->rows / processes);
	path->startup_cost += START_FACTOR * parallel_setup_cost - startup;
	path->total_cost += START_FACTOR * parallel_setup_cost - total;
	add_partial_path(maker->rel, path);
}

/* that of a subquery may be another for each row of the query above */
static bool
has_exec_param(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return true;
	return expression_tree_walker(node, has_exec_param, context);
}

/*
 * limits_are_fixed -- is every LIMIT the same however often its plan runs?
 *
 * Core tells workers once how many rows are wanted of them, and does not tell
 * them again when a plan is repeated: they would end too early under a LIMIT
 * that has grown meanwhile.
 */
static bool
limits_are_fixed(PlannerInfo *root)
{
	for (; root != NULL; root = root->parent_root)
	{
		const Query *query = root->parse;

		if (!is_parallel_safe(root, query->limitCount) ||
			!is_parallel_safe(root, query->limitOffset) ||
			(root->parent_root != NULL && (has_exec_param(query->limitCount, NULL) ||
										   has_exec_param(query->limitOffset, NULL))))
			return false;
	}
	return true;
}

/*
 * drop_partial -- remove core's partial paths of the index
 *
 * Some of them workers could not run: core looks at the conditions of a scan,
 * not at what it is ordered by, for no method of its own orders by an operator
 * in parallel.  The others would hide ours, since partial paths are compared by
 * their total cost alone.
 */
static void
drop_partial(PathMaker *maker)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, maker->rel->partial_pathlist)
	{
		IndexPath  *path = lfirst(cell);

		if (!IsA(path, IndexPath) || path->indexinfo != maker->index)
			kept = lappend(kept, path);
	}
	maker->rel->partial_pathlist = kept;
}

/*
 * keep_from_workers -- ordered paths of the index that no worker could run
 *
 * For core they are safe, as it looks at the conditions of a scan only: under a
 * Parallel Append a worker would order by a vector that it was not given.
 */
static void
keep_from_workers(const PathMaker *maker)
{
	ListCell   *cell;

	foreach(cell, maker->rel->pathlist)
	{
		IndexPath  *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexinfo == maker->index &&
			!orders_in_workers(maker, path))
			path->path.parallel_safe = false;
	}
}

/*
 * loop_count -- how often a scan with parameters will be repeated, as core
 * guesses it: by the smallest of the relations that they come from
 */
static double
loop_count(PlannerInfo *root, Relids outer)
{
	double		loops = 0;
	int			relid = -1;

	while ((relid = bms_next_member(outer, relid)) >= 0)
	{
		RelOptInfo *rel = relid < root->simple_rel_array_size ?
			root->simple_rel_array[relid] : NULL;

		if (rel != NULL && rel->rows > 0 && (loops == 0 || rel->rows < loops))
			loops = rel->rows;
	}
	return loops > 0 ? loops : 1.0;
}

/*
 * add_prefiltered -- ordered by distance, with what other indexes know of conditions
 */
static void
add_prefiltered(PathMaker *maker, List *clauses)
{
	BitmapHeapPath *bitmap;
	Path	   *path;
	ListCell   *cell;

	if (vk_prefilter == VK_PREFILTER_OFF || vk_type_has_documents(maker->index->opcintype[0]))
		return;
	bitmap = vk_prefilter_bitmap(maker->root, maker->rel);
	if (bitmap == NULL)
		return;
	path = vk_prefilter_path(maker->root, maker->rel, bitmap,
							 make_path(maker, clauses, true, NULL, 1.0));
	if (path == NULL)
		return;
	if (vk_prefilter == VK_PREFILTER_ON)
		foreach(cell, maker->rel->pathlist)
		{
			IndexPath  *other = lfirst(cell);

			if (IsA(other, IndexPath) && other->indexinfo == maker->index &&
				other->indexorderbys != NIL)
				maker->rel->pathlist = foreach_delete_current(maker->rel->pathlist, cell);
		}
	add_path(maker->rel, path);
}

/* does core build no ordered path with these conditions? */
static bool
order_beyond_core(const PathMaker *maker, List *clauses)
{
	ListCell   *cell;

	if (list_length(maker->root->query_pathkeys) > 1)
		return true;
	foreach(cell, clauses)
	{
		const VkClause *clause = lfirst(cell);

		if (clause->beyond_core ||
			(clause->column > 0 && IsA(clause->rinfo->clause, ScalarArrayOpExpr)))
			return true;
	}
	return false;
}

static bool
any_beyond_core(List *clauses)
{
	ListCell   *cell;

	foreach(cell, clauses)
		if (((const VkClause *) lfirst(cell))->beyond_core)
			return true;
	return false;
}

static void
add_base_paths(PathMaker *maker)
{
	Relids		outer = maker->rel->lateral_relids;
	List	   *clauses = vk_clauses_match(maker->root, maker->index,
										   maker->index->indrestrictinfo);
	double		loops = loop_count(maker->root, outer);

	if (any_beyond_core(clauses))
		add_unordered(maker, clauses, outer, loops);
	if (maker->parallel && (clauses != NIL || maker->index->indpred != NIL))
		add_partial(maker, clauses, false);

	if (maker->order == NULL)
		return;
	if (order_beyond_core(maker, clauses))
		add_path(maker->rel, (Path *) make_path(maker, clauses, true, outer,
												loops));
	add_prefiltered(maker, clauses);
	if (maker->parallel)
		add_partial(maker, clauses, true);
}

static bool
any_equal(List *sets, Relids set)
{
	ListCell   *cell;

	foreach(cell, sets)
		if (bms_equal(lfirst(cell), set))
			return true;
	return false;
}

/*
 * add_join_paths -- for ranges that need other relations
 *
 * A path takes all conditions that hold once the other relations are known.
 */
static void
add_join_paths(PathMaker *maker)
{
	RelOptInfo *rel = maker->rel;
	List	   *done = NIL;
	ListCell   *cell;

	foreach(cell, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		Relids		outer;
		ParamPathInfo *param;
		List	   *conditions;

		if (!join_clause_is_movable_to(rinfo, rel) ||
			!vk_clause_is_range(maker->root, maker->index, rinfo))
			continue;

		outer = bms_union(bms_difference(rinfo->clause_relids, rel->relids),
						  rel->lateral_relids);
		if (any_equal(done, outer))
			continue;
		done = lappend(done, outer);

		param = get_baserel_parampathinfo(maker->root, rel, outer);
		conditions = list_concat_copy(maker->index->indrestrictinfo,
									  param->ppi_clauses);
		add_unordered(maker,
					  vk_clauses_match(maker->root, maker->index, conditions),
					  outer, loop_count(maker->root, outer));
	}
}

/*
 * with_spheres -- conditions of a relation, with spheres for the index's ranges
 * in every OR; the list itself where there are none
 */
static List *
with_spheres(PathMaker *maker, List *conditions)
{
	bool		exact = maker->target || vk_range_pushdown != VK_RANGE_APPROXIMATE;
	List	   *result = NIL;
	bool		changed = false;
	ListCell   *cell;

	foreach(cell, conditions)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (restriction_is_or_clause(rinfo) &&
			restriction_is_securely_promotable(rinfo, maker->rel))
		{
			Expr	   *clause = vk_clause_with_spheres(maker->root, maker->index,
														rinfo->clause, exact);

			if (clause != rinfo->clause)
			{
				rinfo = make_simple_restrictinfo(maker->root, clause);
				changed = true;
			}
		}
		result = lappend(result, rinfo);
	}
	return changed ? result : conditions;
}

/*
 * add_or_paths -- bitmap scans for ORs of conditions, ranges among them
 *
 * Core combines what the table's indexes can do, ours and others.  It is shown
 * conditions that say the same as the query's; rows are checked by the latter.
 */
static void
add_or_paths(PlannerInfo *root, RelOptInfo *rel, List *makers)
{
	List	   *conditions = rel->baserestrictinfo;
	List	   *shown = conditions;
	ListCell   *cell;

	foreach(cell, makers)
		shown = with_spheres(lfirst(cell), shown);
	if (shown == conditions)
		return;
	rel->baserestrictinfo = shown;
	create_index_paths(root, rel);
	rel->baserestrictinfo = conditions;
}

/*
 * path_makers -- one for each index of ours on a relation that may be used
 */
static List *
path_makers(PlannerInfo *root, RelOptInfo *rel, Index relid)
{
	List	   *makers = NIL;
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);
		PathMaker  *maker;

		if (index->amcostestimate != (void *) vk_costestimate ||
			index->hypothetical || (index->indpred != NIL && !index->predOK))
			continue;
		maker = palloc0(sizeof(PathMaker));
		maker->root = root;
		maker->rel = rel;
		maker->index = index;
		maker->target = bms_is_member(relid, root->all_result_relids);
		/* the entries of a document may be anywhere, also in two shares */
		maker->parallel = index->amcanparallel && rel->consider_parallel &&
			!vk_type_has_documents(index->opcintype[0]) &&
			bms_is_empty(rel->lateral_relids) && limits_are_fixed(root);
		find_order(maker);
		makers = lappend(makers, maker);
	}
	return makers;
}

static void
set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index relid,
				 RangeTblEntry *rte)
{
	List	   *makers;
	ListCell   *cell;

	if (previous_set_rel_pathlist)
		previous_set_rel_pathlist(root, rel, relid, rte);

	if (rel->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL ||
		IS_DUMMY_REL(rel))
		return;

	makers = path_makers(root, rel, relid);
	add_or_paths(root, rel, makers);
	foreach(cell, makers)
	{
		PathMaker  *maker = lfirst(cell);

		drop_partial(maker);
		add_base_paths(maker);
		add_join_paths(maker);
		keep_from_workers(maker);
	}
}

/*
 * vk_paths_init -- set the hook, once a process
 */
void
vk_paths_init(void)
{
	previous_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = set_rel_pathlist;
}
