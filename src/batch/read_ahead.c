/*-------------------------------------------------------------------------
 *
 * read_ahead.c
 *	  The node that reads outer rows of a k-NN join ahead, and searches for many
 *	  of them at once (read_ahead.h).
 *
 * NOTES
 *	  The index scan on the other side of the loop is found when the plan has
 *	  been initialised; it asks for the answer to its query when it starts.  A
 *	  node that has not been connected only hands rows through.
 *
 *	  Batches begin small, since a LIMIT further up may want a few rows only, and
 *	  grow as long as rows are asked for.
 *
 * IDENTIFICATION
 *	  src/batch/read_ahead.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "vk_compat.h"

#include <math.h>

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "am/am.h"
#include "batch/batch.h"
#include "batch/read_ahead.h"

#define FIRST_BATCH		32
#define LARGEST_BATCH	1024

typedef struct ReadAhead
{
	CustomScanState css;
	VkAnswerSource source;
	bool		connected;		/* to an index scan */
	Oid			index;
	int64		wanted;
	ExprState  *query;

	/* the batch */
	MemoryContext context;
	int			size;			/* rows that the next one may have */
	int			count;
	int			position;		/* rows handed out */
	bool		finished;		/* the child has no more */
	MinimalTuple rows[LARGEST_BATCH];
	Datum		queries[LARGEST_BATCH];	/* detoasted; NULL: 0 */
	VkNeighbor *answers[LARGEST_BATCH];	/* NULL: unknown */

	/* for EXPLAIN */
	int64		batches;
	int64		searched;
} ReadAhead;

/* ---- a batch ---- */

/* of the row that the scan slot holds */
static Datum
read_query(ReadAhead *node)
{
	ExprContext *econtext = node->css.ss.ps.ps_ExprContext;
	Datum		value;
	bool		isnull;

	econtext->ecxt_scantuple = node->css.ss.ss_ScanTupleSlot;
	value = ExecEvalExprSwitchContext(node->query, econtext, &isnull);
	return isnull ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

/* keep one row of the child and its query; false where there is none */
static bool
read_row(ReadAhead *node)
{
	TupleTableSlot *row = ExecProcNode(linitial(node->css.custom_ps));
	MemoryContext old;

	if (TupIsNull(row))
		return false;
	old = MemoryContextSwitchTo(node->context);
	node->rows[node->count] = ExecCopySlotMinimalTuple(row);
	ExecForceStoreMinimalTuple(node->rows[node->count], node->css.ss.ss_ScanTupleSlot,
							   false);
	node->queries[node->count] = node->connected ? read_query(node) : (Datum) 0;
	node->count++;
	MemoryContextSwitchTo(old);
	ResetExprContext(node->css.ss.ps.ps_ExprContext);
	return true;
}

/* an answer counts where all of it are numbers */
static void
take_answer(ReadAhead *node, const VkBatchQuery *query)
{
	VkNeighbor *rows;

	if (query->row_count < node->wanted ||
		isnan(query->rows[node->wanted - 1].distance))
		return;
	rows = MemoryContextAlloc(node->context, node->wanted * sizeof(VkNeighbor));
	memcpy(rows, query->rows, node->wanted * sizeof(VkNeighbor));
	node->answers[query->number - 1] = rows;
}

/* VkBatchAnswer */
static void
answer_batch(void *arg, VkBatch *batch)
{
	ReadAhead  *node = arg;

	vk_batch_nearest(batch, node->wanted);
	for (int i = 0; i < batch->count; i++)
		take_answer(node, &batch->queries[i]);
}

/*
 * Find the neighbours of all queries.  Those that make no sense are left to the
 * scan, and so is a single one.
 */
static void
search_batch(ReadAhead *node)
{
	bool		left_out[LARGEST_BATCH];
	VkBatchTarget *target;
	MemoryContext old;

	memset(node->answers, 0, sizeof(node->answers));
	if (!node->connected || node->count < 2)
		return;
	old = MemoryContextSwitchTo(node->context);
	target = vk_batch_open_planned(node->index);
	for (int i = 0; i < node->count; i++)
		left_out[i] = node->queries[i] == (Datum) 0 ||
			target->support->layout->dim(node->queries[i]) != target->vk->coder.dim;
	vk_batch_run(target, node->queries, left_out, node->count, node->wanted,
				 answer_batch, node);
	vk_batch_close(target);
	MemoryContextSwitchTo(old);
	node->batches++;
	node->searched += node->count;
}

static void
read_batch(ReadAhead *node)
{
	const Size	most = (Size) work_mem * 1024 / 2;

	MemoryContextReset(node->context);
	node->count = node->position = 0;
	while (!node->finished && node->count < node->size &&
		   (node->count == 0 ||
			MemoryContextMemAllocated(node->context, false) < most))
		node->finished = !read_row(node);
	node->size = Min(node->size * 2, LARGEST_BATCH);
	search_batch(node);
}

/* VkAnswerSource.find: the scan's query is that of the row handed out last */
static const VkNeighbor *
find_answer(VkAnswerSource *source, Datum query, int64 wanted)
{
	ReadAhead  *node = (ReadAhead *) ((char *) source - offsetof(ReadAhead, source));
	int			at = node->position - 1;
	const struct varlena *ours;
	const struct varlena *asked = (struct varlena *) DatumGetPointer(query);

	if (at < 0 || node->answers[at] == NULL || wanted != node->wanted)
		return NULL;
	ours = (struct varlena *) DatumGetPointer(node->queries[at]);
	if (VARSIZE(ours) != VARSIZE(asked) ||
		memcmp(ours, asked, VARSIZE(asked)) != 0)
		return NULL;
	return node->answers[at];
}

/* ---- the node ---- */

static TupleTableSlot *
next_row(ScanState *state)
{
	ReadAhead  *node = (ReadAhead *) state;
	TupleTableSlot *slot = state->ss_ScanTupleSlot;

	if (node->position == node->count)
		read_batch(node);
	if (node->count == 0)
		return ExecClearTuple(slot);
	ExecForceStoreMinimalTuple(node->rows[node->position++], slot, false);
	return slot;
}

static bool
recheck_row(ScanState *state, TupleTableSlot *slot)
{
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
	node->context = AllocSetContextCreate(estate->es_query_cxt, "vkindex batch",
										  ALLOCSET_DEFAULT_SIZES);
	node->size = FIRST_BATCH;
}

static void
forget_batch(ReadAhead *node)
{
	MemoryContextReset(node->context);
	node->count = node->position = 0;
	node->finished = false;
}

static void
rescan_read_ahead(CustomScanState *css)
{
	PlanState  *child = linitial(css->custom_ps);

	forget_batch((ReadAhead *) css);
	if (css->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(child, css->ss.ps.chgParam);
	if (child->chgParam == NULL)
		ExecReScan(child);
}

static void
end_read_ahead(CustomScanState *css)
{
	MemoryContextDelete(((ReadAhead *) css)->context);
	ExecEndNode(linitial(css->custom_ps));
}

static void
explain_read_ahead(CustomScanState *css, List *ancestors, ExplainState *es)
{
	ReadAhead  *node = (ReadAhead *) css;

	ExplainPropertyText("Index", get_rel_name(node->index), es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Batches", NULL, node->batches, es);
	ExplainPropertyInteger("Queries", NULL, node->searched, es);
}

static const CustomExecMethods read_ahead_methods = {
	.CustomName = "vkindex batch",
	.BeginCustomScan = begin_read_ahead,
	.ExecCustomScan = exec_read_ahead,
	.EndCustomScan = end_read_ahead,
	.ReScanCustomScan = rescan_read_ahead,
	.ExplainCustomScan = explain_read_ahead
};

static Node *
create_read_ahead(CustomScan *plan)
{
	ReadAhead  *node = (ReadAhead *) newNode(sizeof(ReadAhead), T_CustomScanState);

	node->css.methods = &read_ahead_methods;
	node->source.find = find_answer;
	node->index = DatumGetObjectId(list_nth_node(Const, plan->custom_private,
												 READ_AHEAD_INDEX)->constvalue);
	node->wanted = DatumGetInt64(list_nth_node(Const, plan->custom_private,
											   READ_AHEAD_WANTED)->constvalue);
	return (Node *) node;
}

const CustomScanMethods vk_read_ahead_scan_methods = {
	.CustomName = "vkindex batch",
	.CreateCustomScanState = create_read_ahead
};

/* ---- the other side of the loop ---- */

/* the scan that feeds a subquery's LIMIT */
static IndexScanState *
inner_scan(PlanState *inner)
{
	while (inner != NULL && !IsA(inner, IndexScanState))
	{
		if (IsA(inner, SubqueryScanState))
			inner = ((SubqueryScanState *) inner)->subplan;
		else if (IsA(inner, LimitState) || IsA(inner, ResultState))
			inner = outerPlanState(inner);
		else
			return NULL;
	}
	return (IndexScanState *) inner;
}

/* vk_plan_visitor: connect a node with the scan that it reads ahead for */
static void
connect_scan(PlanState *state)
{
	ReadAhead  *node;
	IndexScanState *scan;

	if (!IsA(state, NestLoopState) || !IsA(outerPlanState(state), CustomScanState) ||
		((CustomScanState *) outerPlanState(state))->methods != &read_ahead_methods)
		return;
	node = (ReadAhead *) outerPlanState(state);
	scan = inner_scan(innerPlanState(state));
	node->connected = scan != NULL &&
		vk_hint_set_source(scan, node->index, &node->source);
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
