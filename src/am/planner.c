/*-------------------------------------------------------------------------
 *
 * planner.c
 *	  Tells index scans the LIMIT that stands above them in the plan.
 *
 * NOTES
 *	  An access method learns nothing of LIMIT from the executor.  After the
 *	  plan tree of a query has been initialised, each scan of one of our
 *	  indexes that feeds a Limit gets a pointer to its LimitState, in a field
 *	  of its ordering key that nobody else uses.  The limit is read when the
 *	  scan starts: the Limit has computed its expressions by then, on the first
 *	  scan as on every rescan.
 *
 *	  It is a hint only.  Filters, ties, joins and Gather workers may make the
 *	  scan return more rows or fewer, and a scan must go on when asked to.
 *
 * IDENTIFICATION
 *	  src/am/planner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

#include "am/am.h"

#define LIMIT_HINT_MAGIC	0x564B4C48

typedef struct LimitHint
{
	uint32		magic;
	LimitState *limit;
} LimitHint;

static ExecutorStart_hook_type previous_executor_start = NULL;

static void give_hint(PlanState *node, LimitState *limit);

static void
give_hint_to_all(PlanState **nodes, int count, LimitState *limit)
{
	for (int i = 0; i < count; i++)
		give_hint(nodes[i], limit);
}

static void
give_hint_to_scan(IndexScanState *scan, LimitState *limit)
{
	LimitHint  *hint;

	/* there is no relation where the plan is only to be explained */
	if (scan->iss_NumOrderByKeys == 0 || scan->iss_RelationDesc == NULL ||
		scan->iss_RelationDesc->rd_indam->amgettuple != vk_gettuple)
		return;

	hint = MemoryContextAlloc(scan->ss.ps.state->es_query_cxt,
							  sizeof(LimitHint));
	hint->magic = LIMIT_HINT_MAGIC;
	hint->limit = limit;
	scan->iss_OrderByKeys[0].sk_func.fn_extra = hint;
}

/*
 * give_hint -- find scans that feed this node row by row
 *
 * Only nodes that neither drop nor reorder rows by themselves are descended;
 * below any other, the number of rows asked for is unknown.
 */
static void
give_hint(PlanState *node, LimitState *limit)
{
	if (node == NULL)
		return;

	check_stack_depth();

	switch (nodeTag(node))
	{
		case T_IndexScanState:
			give_hint_to_scan((IndexScanState *) node, limit);
			break;
		case T_AppendState:
			give_hint_to_all(((AppendState *) node)->appendplans,
							 ((AppendState *) node)->as_nplans, limit);
			break;
		case T_MergeAppendState:
			give_hint_to_all(((MergeAppendState *) node)->mergeplans,
							 ((MergeAppendState *) node)->ms_nplans, limit);
			break;
		case T_SubqueryScanState:
			give_hint(((SubqueryScanState *) node)->subplan, limit);
			break;
		case T_ResultState:
		case T_LockRowsState:
		case T_GatherState:
		case T_GatherMergeState:
		case T_IncrementalSortState:
			give_hint(outerPlanState(node), limit);
			break;
		default:
			break;
	}
}

/*
 * find_limits -- walker over a whole plan, subplans and init plans included
 */
static bool
find_limits(PlanState *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, LimitState))
		give_hint(outerPlanState(node), (LimitState *) node);
	return planstate_tree_walker(node, find_limits, context);
}

static void
executor_start(QueryDesc *query, int flags)
{
	if (previous_executor_start)
		previous_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);

	find_limits(query->planstate, NULL);
}

/*
 * vk_limit_hint -- rows that the LIMIT above a scan asks for, 0 if unknown
 */
int64
vk_limit_hint(ScanKey orderbys, int norderbys)
{
	const LimitHint *hint;
	const LimitState *limit;
	int64		rows;

	if (norderbys == 0)
		return 0;
	hint = (const LimitHint *) orderbys[0].sk_func.fn_extra;
	if (hint == NULL || hint->magic != LIMIT_HINT_MAGIC)
		return 0;

	limit = hint->limit;
	if (limit->lstate == LIMIT_INITIAL || limit->noCount ||
		pg_add_s64_overflow(limit->count, limit->offset, &rows))
		return 0;
	return rows;
}

/*
 * vk_planner_init -- set the hook, once a process
 */
void
vk_planner_init(void)
{
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}
