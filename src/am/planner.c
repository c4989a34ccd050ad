/*-------------------------------------------------------------------------
 *
 * planner.c
 *	  Tells index scans of the plan around them: LIMIT and conditions.
 *
 * NOTES
 *	  An access method learns nothing of LIMIT from the executor, nor of the
 *	  conditions that the index does not know.  After the plan tree of a query
 *	  has been initialised, each scan of one of our indexes gets a hint, in a
 *	  field of its first key that nobody else uses: the LimitState that it feeds,
 *	  if any, and its own plan node.  The limit is read when the scan starts: the
 *	  Limit has computed its expressions by then, on the first scan as on every
 *	  rescan.  There is no Limit in a parallel worker; how many rows the Limit
 *	  may want of one is what the worker is told to run its plan for.
 *
 *	  The limit is a hint only.  Filters, ties and joins may make the scan return
 *	  more rows or fewer, and a scan must go on when asked to.
 *
 *	  A node that compares each row with the one before it (groups, DISTINCT, ranks,
 *	  ties ...) gives wrong results where a row comes late, as it may from a scan that
 *	  misses rows at first and goes on.  Such a scan must keep the order: it misses
 *	  nothing, unless it is known how many rows are wanted of it, and none of those
 *	  is dropped on the way.
 *
 *	  The node's conditions let a scan drop rows that the executor would drop,
 *	  before it spends more on them.  Only conditions that can be evaluated more
 *	  than once, and cheaply, are offered.  The executor evaluates them again.
 *
 * IDENTIFICATION
 *	  src/am/planner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "access/parallel.h"
#include "catalog/pg_class.h"
#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

#include "am/am.h"

#define HINT_MAGIC		0x564B4C48

/* a condition that costs more, in units of cpu_operator_cost, is left to the
 * executor, which evaluates it on fewer rows */
#define CHEAP_OPERATORS		8

/* what a node wants of the scans that feed it */
typedef struct Demand
{
	const LimitState *limit;	/* ends the demand for rows; NULL: none does */
	int64		rows;			/* of a worker; 0: unknown */
	int64		more;			/* rows that are looked at beyond the limit */
	bool		drops;			/* a node on the way drops some */
	bool		order;			/* it relies on that, and demands nothing else */
} Demand;

struct VkScanHint
{
	uint32		magic;
	Demand		demand;
	bool		ordered;		/* a node relies on the order */
	IndexScanState *node;
	bool		cheap_filter;	/* the node has conditions, fit for the scan, */
	bool		leaks;			/* but none that may see rows hidden by a policy */
	VkAnswerSource *source;		/* NULL: none */
	const VkRowMask *mask;		/* NULL: none */
	bool		mask_complete;	/* it stands for all conditions of the node */
};

void		(*vk_plan_visitor) (PlanState *node) = NULL;

static ExecutorStart_hook_type previous_executor_start = NULL;
static ExecutorRun_hook_type previous_executor_run = NULL;

static void give_demand(PlanState *node, Demand demand);

static void
give_demand_to_all(PlanState **nodes, int count, Demand demand)
{
	for (int i = 0; i < count; i++)
		give_demand(nodes[i], demand);
}

/*
 * has_cheap_filter -- does a scan node have conditions, and may they be evaluated
 * by the scan as well?
 */
static bool
has_cheap_filter(IndexScanState *scan)
{
	Node	   *qual = (Node *) scan->ss.ps.plan->qual;
	QualCost	cost;

	if (scan->ss.ps.qual == NULL || contain_volatile_functions(qual) ||
		contain_subplans(qual))
		return false;
	cost_qual_eval(&cost, (List *) qual, NULL);
	return cost.per_tuple <= CHEAP_OPERATORS * cpu_operator_cost;
}

/*
 * May policies hide rows of a table of the statement, or a security barrier, whose
 * conditions are the table's own where an UPDATE or DELETE goes through it?  A plan
 * does not tell of which.
 */
static bool
hides_rows(const EState *estate)
{
	ListCell   *cell;

	foreach(cell, estate->es_range_table)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Relation	relation = OidIsValid(entry->relid) ?
			RelationIdGetRelation(entry->relid) : NULL;
		bool		found;

		if (relation == NULL)
			continue;
		found = relation->rd_rel->relrowsecurity ||
			(relation->rd_rel->relkind == RELKIND_VIEW && RelationIsSecurityView(relation));
		RelationClose(relation);
		if (found)
			return true;
	}
	return false;
}

/*
 * may_leak -- may the conditions tell of rows that a policy or a security barrier
 * hides, as an index condition beside them?
 */
static bool
may_leak(IndexScanState *scan)
{
	return contain_leaked_vars((Node *) scan->ss.ps.plan->qual) &&
		hides_rows(scan->ss.ps.state);
}

/*
 * make_hint -- the hint that a key carries, made where there is none; NULL where
 * the scan is not ours or has no key to carry it
 */
static VkScanHint *
make_hint(const PlanState *scan, Relation index, ScanKey key)
{
	VkScanHint *hint;

	/* there is no relation where the plan is only to be explained */
	if (key == NULL || index == NULL || index->rd_indam->amgettuple != vk_gettuple)
		return NULL;
	hint = key->sk_func.fn_extra;
	if (hint == NULL)
	{
		hint = MemoryContextAllocZero(scan->state->es_query_cxt, sizeof(VkScanHint));
		hint->magic = HINT_MAGIC;
		key->sk_func.fn_extra = hint;
	}
	return hint;
}

static VkScanHint *
get_hint(IndexScanState *scan)
{
	VkScanHint *hint = make_hint(&scan->ss.ps, scan->iss_RelationDesc,
								 scan->iss_NumOrderByKeys > 0 ? scan->iss_OrderByKeys :
								 scan->iss_NumScanKeys > 0 ? scan->iss_ScanKeys : NULL);

	if (hint != NULL && hint->node == NULL)
	{
		hint->node = scan;
		hint->cheap_filter = has_cheap_filter(scan);
		hint->leaks = hint->cheap_filter && may_leak(scan);
	}
	return hint;
}

static VkScanHint *
get_bitmap_hint(BitmapIndexScanState *scan)
{
	return make_hint(&scan->ss.ps, scan->biss_RelationDesc,
					 scan->biss_NumScanKeys > 0 ? scan->biss_ScanKeys : NULL);
}

static void
give_demand_to_scan(IndexScanState *scan, Demand demand)
{
	VkScanHint *hint = get_hint(scan);

	if (hint == NULL)
		return;
	if (demand.order)
		hint->ordered = true;
	else
		hint->demand = demand;
}

/* by its frame, does a window function's node read one row beyond the one at hand? */
static bool
window_is_narrow(const WindowAgg *window)
{
	return window->ordNumCols > 0 &&
		(window->frameOptions & FRAMEOPTION_END_CURRENT_ROW) != 0;
}

/* what feeds a custom node row by row: of ours, or with its order of any */
static PlanState *
custom_child(CustomScanState *node, bool order)
{
	PlanState  *scan = vk_prefilter_scan(&node->ss.ps);

	return scan != NULL || !order || list_length(node->custom_ps) != 1 ? scan :
		linitial(node->custom_ps);
}

/*
 * give_demand -- find scans that feed this node row by row
 *
 * Only nodes that neither drop nor reorder rows by themselves are descended;
 * below any other, the number of rows asked for is unknown.  Those that compare
 * rows with their neighbors read one more, and see to the order themselves
 * (relies_on_order).
 */
static void
give_demand(PlanState *node, Demand demand)
{
	if (node == NULL)
		return;

	check_stack_depth();

	/* by conditions, or because others have locked or changed them */
	demand.drops |= IsA(node, LockRowsState) ||
		(node->qual != NULL && !IsA(node, IndexScanState));
	switch (nodeTag(node))
	{
		case T_IndexScanState:
			give_demand_to_scan((IndexScanState *) node, demand);
			break;
		case T_AppendState:
			give_demand_to_all(((AppendState *) node)->appendplans,
							   ((AppendState *) node)->as_nplans, demand);
			break;
		case T_MergeAppendState:
			give_demand_to_all(((MergeAppendState *) node)->mergeplans,
							   ((MergeAppendState *) node)->ms_nplans, demand);
			break;
		case T_SubqueryScanState:
			give_demand(((SubqueryScanState *) node)->subplan, demand);
			break;
		case T_ResultState:
		case T_LockRowsState:
		case T_GatherState:
		case T_GatherMergeState:
			give_demand(outerPlanState(node), demand);
			break;
		case T_LimitState:
		case T_MaterialState:
		case T_ProjectSetState:
		case T_NestLoopState:
			if (demand.order)
				give_demand(outerPlanState(node), demand);
			break;
		case T_CteScanState:
			if (demand.order)
				give_demand(((CteScanState *) node)->cteplanstate, demand);
			break;
		case T_IncrementalSortState:
		case T_WindowAggState:
			if (demand.order || (IsA(node, WindowAggState) &&
								 !window_is_narrow((const WindowAgg *) node->plan)))
				break;
			demand.more = 1;
			give_demand(outerPlanState(node), demand);
			break;
		case T_CustomScanState:
			give_demand(custom_child((CustomScanState *) node, demand.order), demand);
			break;
		default:
			break;
	}
}

/* does an aggregate of all rows take them as sorted for ORDER BY or DISTINCT? */
static bool
has_presorted(const AggState *node)
{
	ListCell   *cell;

	foreach(cell, node->aggs)
		if (VK_AGGREF_PRESORTED(lfirst_node(Aggref, cell)))
			return true;
	return false;
}

/* does a node compare each row with the one before it? */
static bool
relies_on_order(const PlanState *node)
{
	AggStrategy strategy;

	switch (nodeTag(node))
	{
		case T_AggState:
			strategy = ((const Agg *) node->plan)->aggstrategy;
			return strategy == AGG_SORTED || strategy == AGG_MIXED ||
				has_presorted((const AggState *) node);
		case T_SetOpState:
			return ((const SetOp *) node->plan)->strategy == SETOP_SORTED;
		case T_LimitState:
			return ((const Limit *) node->plan)->limitOption == LIMIT_OPTION_WITH_TIES;
		case T_GroupState:
		case T_IncrementalSortState:
		case T_MergeJoinState:
		case T_UniqueState:
		case T_WindowAggState:
			return true;
		default:
			return false;
	}
}

/*
 * give_hints -- walker over a whole plan, subplans and init plans included
 */
static bool
give_hints(PlanState *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, IndexScanState))
		(void) get_hint((IndexScanState *) node);
	if (IsA(node, LimitState))
		give_demand(outerPlanState(node),
					(Demand) {.limit = (const LimitState *) node});
	if (relies_on_order(node))
	{
		give_demand(outerPlanState(node), (Demand) {.order = true});
		give_demand(innerPlanState(node), (Demand) {.order = true});
	}
	if (vk_plan_visitor != NULL)
		vk_plan_visitor(node);
	return planstate_tree_walker(node, give_hints, context);
}

static void
executor_start(QueryDesc *query, int flags)
{
	if (previous_executor_start)
		previous_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);

	give_hints(query->planstate, NULL);
}

static void
executor_run(VK_RUN_PARAMETERS)
{
	/* what the leader wants them for, if not for so many rows, is not known here */
	Demand		demand = {.rows = (int64) Min(count, PG_INT64_MAX), .order = count == 0};

	if (IsParallelWorker())
		give_demand(query->planstate, demand);

	if (previous_executor_run)
		previous_executor_run(VK_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(VK_RUN_ARGUMENTS);
}

/*
 * vk_scan_hint_rows -- tell a scan without a plan how many rows it is for
 *
 * The hint is for the scan's first key.
 */
void *
vk_scan_hint_rows(int64 rows)
{
	VkScanHint *hint = palloc0(sizeof(VkScanHint));

	hint->magic = HINT_MAGIC;
	hint->demand.rows = rows;
	return hint;
}

/*
 * vk_scan_hint -- what is known of the plan around a scan; NULL: nothing
 */
const VkScanHint *
vk_scan_hint(IndexScanDesc scan)
{
	ScanKey		key = scan->numberOfOrderBys > 0 ? scan->orderByData :
		scan->numberOfKeys > 0 ? scan->keyData : NULL;
	const VkScanHint *hint = key != NULL ? key->sk_func.fn_extra : NULL;

	return hint != NULL && hint->magic == HINT_MAGIC ? hint : NULL;
}

/*
 * vk_hint_limit -- rows that the LIMIT above a scan asks for, 0 if unknown
 */
int64
vk_hint_limit(const VkScanHint *hint)
{
	const LimitState *limit = hint != NULL ? hint->demand.limit : NULL;
	int64		rows;

	if (hint != NULL && limit == NULL)
		return hint->demand.rows;
	if (limit == NULL || limit->lstate == LIMIT_INITIAL || limit->noCount ||
		pg_add_s64_overflow(limit->count, limit->offset, &rows) ||
		pg_add_s64_overflow(rows, hint->demand.more, &rows))
		return 0;
	return rows;
}

/*
 * vk_hint_ordered -- does a node rely on the order of a scan's rows?
 */
bool
vk_hint_ordered(const VkScanHint *hint)
{
	return hint != NULL && hint->ordered;
}

/*
 * vk_hint_strict -- and might it get them in another one, were some found late?
 *
 * The limit's rows are found before the first of them is returned.  Dropped: the
 * executor may drop rows that the scan returns.
 */
bool
vk_hint_strict(const VkScanHint *hint, bool dropped)
{
	return vk_hint_ordered(hint) &&
		(dropped || hint->demand.drops || vk_hint_limit(hint) == 0);
}

/*
 * vk_hint_conditions -- are there conditions that the index does not know?
 */
bool
vk_hint_conditions(const VkScanHint *hint)
{
	return hint != NULL && hint->node != NULL && hint->node->ss.ps.qual != NULL &&
		!hint->mask_complete;
}

/*
 * vk_hint_filter -- the scan node, where it has conditions that the scan may
 * evaluate, and should; else NULL
 */
IndexScanState *
vk_hint_filter(const VkScanHint *hint)
{
	return vk_hint_conditions(hint) && hint->cheap_filter ? hint->node : NULL;
}

/*
 * vk_hint_leaks -- must those conditions see no row that another one, of a policy,
 * may hide?
 */
bool
vk_hint_leaks(const VkScanHint *hint)
{
	return hint != NULL && hint->leaks;
}

void
vk_hint_set_mask(PlanState *scan, const VkRowMask *mask, bool complete)
{
	VkScanHint *hint = get_hint((IndexScanState *) scan);

	if (hint == NULL)
		return;
	hint->mask = mask;
	hint->mask_complete = mask != NULL && complete;
}

const VkRowMask *
vk_hint_mask(const VkScanHint *hint)
{
	return hint != NULL ? hint->mask : NULL;
}

/*
 * vk_hint_set_source -- let a scan ask there before it searches
 */
bool
vk_hint_set_source(PlanState *scan, Oid index, VkAnswerSource *source)
{
	bool		plain = IsA(scan, IndexScanState);
	Relation	relation = plain ? ((IndexScanState *) scan)->iss_RelationDesc :
		((BitmapIndexScanState *) scan)->biss_RelationDesc;
	VkScanHint *hint = plain ? get_hint((IndexScanState *) scan) :
		get_bitmap_hint((BitmapIndexScanState *) scan);

	if (hint == NULL || RelationGetRelid(relation) != index)
		return false;
	hint->source = source;
	return true;
}

bool
vk_hint_nearest(const VkScanHint *hint, Datum query, int64 wanted, VkAnswer *answer)
{
	return hint != NULL && hint->source != NULL &&
		hint->source->nearest(hint->source, query, wanted, answer);
}

bool
vk_hint_within(const VkScanHint *hint, Datum query, double radius, VkAnswer *answer)
{
	return hint != NULL && hint->source != NULL &&
		hint->source->within(hint->source, query, radius, answer);
}

/*
 * vk_planner_init -- set the hooks, once a process
 */
void
vk_planner_init(void)
{
	vk_paths_init();
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
}
