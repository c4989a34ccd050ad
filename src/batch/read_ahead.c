/*-------------------------------------------------------------------------
 *
 * read_ahead.c
 *	  The node that reads outer rows of a nested loop ahead, and searches for
 *	  many of them at once (read_ahead.h).
 *
 * NOTES
 *	  The index scan on the other side of the loop is found when the plan has
 *	  been initialised; it asks for the answer to its query when it starts.  A
 *	  node that has not been connected only hands rows through.
 *
 *	  Batches begin small where a LIMIT further up may want a few rows only, and
 *	  grow as long as rows are asked for.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "batch/read_ahead.h"

typedef struct ReadAhead
{
	CustomScanState css;
	VkAnswerSource source;
	bool		connected;		/* to an index scan */
	ExprState  *query;
	int			first;			/* rows of the first batch */
	int			size;			/* rows that the next one may have */
	int			position;		/* rows handed out */
	bool		finished;		/* the child has no more */
	bool		given_up;		/* answers do not fit in memory */
	MinimalTuple rows[VK_MOST_AHEAD];
	VkAheadBatch batch;

	/* for EXPLAIN */
	int64		batches;
	int64		searched;
} ReadAhead;

/* ---- a batch ---- */

/* the query of the row that the scan slot holds */
static void
add_query(ReadAhead *node)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	Datum		value;
	bool		isnull = true;

	econtext->ecxt_scantuple = node->css.ss.ss_ScanTupleSlot;
	value = node->connected ? ExecEvalExpr(node->query, econtext, &isnull) : (Datum) 0;
	vk_ahead_add(&node->batch, value, isnull);
	MemoryContextSwitchTo(old);
	ResetExprContext(econtext);
}

/* keep one row of the child and its query; false where there is none */
static bool
read_row(ReadAhead *node)
{
	TupleTableSlot *row = ExecProcNode(linitial(node->css.custom_ps));
	MinimalTuple copy;
	MemoryContext old;

	if (TupIsNull(row))
		return false;
	old = MemoryContextSwitchTo(node->batch.context);
	copy = ExecCopySlotMinimalTuple(row);
	MemoryContextSwitchTo(old);
	node->rows[node->batch.count] = copy;
	ExecForceStoreMinimalTuple(copy, node->css.ss.ss_ScanTupleSlot, false);
	add_query(node);
	return true;
}

/* how many rows the next batch may have */
static void
choose_size(ReadAhead *node)
{
	int			fitting = vk_ahead_fitting(&node->batch);

	node->given_up |= fitting < 2;
	node->size = node->given_up || !node->connected ? 1 :
		Min(Min(node->size * 2, VK_MOST_AHEAD), fitting);
}

static void
read_batch(ReadAhead *node)
{
	const Size	most = (Size) work_mem * 1024 / 2;
	VkAheadBatch *batch = &node->batch;

	vk_ahead_reset(batch);
	node->position = 0;
	while (!node->finished && batch->count < node->size &&
		   (batch->count == 0 ||
			MemoryContextMemAllocated(batch->context, false) < most))
		node->finished = !read_row(node);
	if (vk_ahead_search(batch, node->css.ss.ps.state->es_snapshot))
	{
		node->batches++;
		node->searched += batch->count;
	}
	choose_size(node);
}

/* the query of the row handed out last, which is the scan's */
static const VkAheadQuery *
query_at_hand(VkAnswerSource *source, bool nearest)
{
	ReadAhead  *node = (ReadAhead *) ((char *) source - offsetof(ReadAhead, source));

	return node->position == 0 || nearest != (node->batch.wanted > 0) ? NULL :
		&node->batch.queries[node->position - 1];
}

/* VkAnswerSource.nearest */
static bool
find_nearest(VkAnswerSource *source, Datum query, int64 wanted, VkAnswer *answer)
{
	const VkAheadQuery *ours = query_at_hand(source, true);

	return ours != NULL && vk_ahead_nearest(ours, query, wanted, answer);
}

/* VkAnswerSource.within */
static bool
find_within(VkAnswerSource *source, Datum query, double radius, VkAnswer *answer)
{
	const VkAheadQuery *ours = query_at_hand(source, false);

	return ours != NULL && vk_ahead_within(ours, query, radius, answer);
}

/* ---- the node ---- */

static TupleTableSlot *
next_row(ScanState *state)
{
	ReadAhead  *node = (ReadAhead *) state;
	TupleTableSlot *slot = state->ss_ScanTupleSlot;

	if (node->position == node->batch.count)
		read_batch(node);
	if (node->batch.count == 0)
		return ExecClearTuple(slot);
	ExecForceStoreMinimalTuple(node->rows[node->position++], slot, false);
	return slot;
}

/*
 * Where a row that another transaction has changed is looked at anew
 * (EvalPlanQual), the child has the row, and there is nothing to read ahead.
 */
static bool
recheck_row(ScanState *state, TupleTableSlot *slot)
{
	TupleTableSlot *row = ExecProcNode(linitial(((CustomScanState *) state)->custom_ps));

	if (TupIsNull(row))
		return false;
	ExecCopySlot(slot, row);
	return true;
}

static TupleTableSlot *
exec_read_ahead(CustomScanState *css)
{
	return ExecScan(&css->ss, next_row, recheck_row);
}

static void
begin_read_ahead(CustomScanState *css, EState *estate, int eflags)
{
	ReadAhead  *node = (ReadAhead *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;

	css->custom_ps = list_make1(ExecInitNode(linitial(plan->custom_plans), estate,
											 eflags));
	node->query = ExecInitExpr(linitial(plan->custom_exprs), &css->ss.ps);
	node->batch.context = AllocSetContextCreate(estate->es_query_cxt, "vkindex batch",
												ALLOCSET_DEFAULT_SIZES);
	node->size = Min(node->first, vk_ahead_fitting(&node->batch));
}

static void
rescan_read_ahead(CustomScanState *css)
{
	ReadAhead  *node = (ReadAhead *) css;
	PlanState  *child = linitial(css->custom_ps);

	vk_ahead_reset(&node->batch);
	node->position = 0;
	node->finished = false;
	if (css->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(child, css->ss.ps.chgParam);
	if (child->chgParam == NULL)
		ExecReScan(child);
}

static void
end_read_ahead(CustomScanState *css)
{
	MemoryContextDelete(((ReadAhead *) css)->batch.context);
	ExecEndNode(linitial(css->custom_ps));
}

static void
explain_read_ahead(CustomScanState *css, List *ancestors, ExplainState *es)
{
	ReadAhead  *node = (ReadAhead *) css;

	ExplainPropertyText("Index", get_rel_name(node->batch.index), es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Batches", NULL, node->batches, es);
	ExplainPropertyInteger("Queries", NULL, node->searched, es);
	if (node->batch.forgotten > 0)
		ExplainPropertyInteger("Answers Too Large", NULL, node->batch.forgotten, es);
}

static const CustomExecMethods read_ahead_methods = {
	.CustomName = "vkindex batch",
	.BeginCustomScan = begin_read_ahead,
	.ExecCustomScan = exec_read_ahead,
	.EndCustomScan = end_read_ahead,
	.ReScanCustomScan = rescan_read_ahead,
	.ExplainCustomScan = explain_read_ahead
};

static Datum
private_value(const CustomScan *plan, int member)
{
	return list_nth_node(Const, plan->custom_private, member)->constvalue;
}

static Node *
create_read_ahead(CustomScan *plan)
{
	ReadAhead  *node = (ReadAhead *) newNode(sizeof(ReadAhead), T_CustomScanState);

	node->css.methods = &read_ahead_methods;
	node->source.nearest = find_nearest;
	node->source.within = find_within;
	node->batch.index = DatumGetObjectId(private_value(plan, READ_AHEAD_INDEX));
	node->batch.type = DatumGetObjectId(private_value(plan, READ_AHEAD_TYPE));
	node->batch.wanted = DatumGetInt64(private_value(plan, READ_AHEAD_WANTED));
	node->first = DatumGetInt32(private_value(plan, READ_AHEAD_FIRST));
	return (Node *) node;
}

const CustomScanMethods vk_read_ahead_scan_methods = {
	.CustomName = "vkindex batch",
	.CreateCustomScanState = create_read_ahead
};

/* ---- the other side of the loop ---- */

/* the scan that feeds it, through nodes that have one child */
static PlanState *
inner_scan(PlanState *inner)
{
	while (inner != NULL && !IsA(inner, IndexScanState) && !IsA(inner, BitmapIndexScanState))
	{
		if (IsA(inner, SubqueryScanState))
			inner = ((SubqueryScanState *) inner)->subplan;
		else
			inner = innerPlanState(inner) == NULL ? outerPlanState(inner) : NULL;
	}
	return inner;
}

/* vk_plan_visitor: connect a node with the scan that it reads ahead for */
static void
connect_scan(PlanState *state)
{
	ReadAhead  *node;
	PlanState  *scan;

	if (!IsA(state, NestLoopState) || !IsA(outerPlanState(state), CustomScanState) ||
		((CustomScanState *) outerPlanState(state))->methods != &read_ahead_methods)
		return;
	node = (ReadAhead *) outerPlanState(state);
	scan = inner_scan(innerPlanState(state));
	node->connected = scan != NULL &&
		vk_hint_set_source(scan, node->batch.index, &node->source);
}

/*
 * vk_read_ahead_init -- make the node known and set the hooks, once a process
 */
void
vk_read_ahead_init(void)
{
	RegisterCustomScanMethods(&vk_read_ahead_scan_methods);
	vk_read_ahead_path_init();
	vk_plan_visitor = connect_scan;
}
